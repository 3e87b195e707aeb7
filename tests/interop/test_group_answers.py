"""What requests about groups are answered: Barnabas says what Apache Kafka says."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from support.beside_kafka import Both
from support.calls import Topic, fresh, join_request, make_topic, wait_until
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.consumer_groups import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupHeartbeatRequest,
    TopicPartitions,
)
from barnabas.protocol.messages.find_coordinator import FindCoordinatorRequest
from barnabas.protocol.messages.group_admin import DeleteGroupsRequest
from barnabas.protocol.messages.group_membership import (
    JoinGroupRequestProtocol,
    LeaveGroupRequest,
    MemberIdentity,
    SyncGroupRequest,
)
from barnabas.protocol.messages.producer_ids import InitProducerIdRequest
from barnabas.protocol.messages.transaction_offsets import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from barnabas.protocol.schema import Request

NOT_READY = (
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.CONCURRENT_TRANSACTIONS,
)
GROUP, TRANSACTION = 0, 1


class Wires(NamedTuple):
    """A connection to each."""

    kafka: Wire
    ours: Wire


@pytest.fixture
def wires(both: Both) -> Iterator[Wires]:
    kafka, ours = both.brokers
    with Wire(kafka.port) as kafka_wire, Wire(ours.port) as wire:
        yield Wires(kafka_wire, wire)


def ready(wire: Wire, request: Request, version: int) -> Any:
    """Return the answer of a coordinator that has loaded what it needs."""
    answers: list[Any] = []

    def is_ready() -> bool:
        answers.append(wire.call(request, version))
        return answers[-1].error_code not in NOT_READY

    wait_until(is_ready)
    return answers[-1]


def find_coordinator(wire: Wire, key: str, key_type: int = GROUP) -> None:
    request = FindCoordinatorRequest(key_type=key_type, coordinator_keys=[key])
    wait_until(lambda: wire.call(request, 6).coordinators[0].error_code == 0)


def assert_same(wires: Wires, ask: Callable[[Wire], Any]) -> Any:
    kafka, ours = map(ask, wires)
    assert ours == kafka
    return ours


# JoinGroup

# A subscription to nothing; Kafka never answers a member whose metadata it cannot read.
SUBSCRIPTION = [JoinGroupRequestProtocol(name="range", metadata=b"\0\0" + b"\0\0\0\0" + b"\xff\xff\xff\xff")]


def join(wire: Wire, group: str, member_id: str = "", version: int = 9, **fields: Any) -> Any:
    return wire.call(join_request(group, member_id, **{"protocols": SUBSCRIPTION, **fields}), version)


def classic_member(wire: Wire, group: str) -> str:
    find_coordinator(wire, group)
    member_id: str = ready(wire, join_request(group, protocols=SUBSCRIPTION), 9).member_id
    assert join(wire, group, member_id).error_code == 0
    return member_id


REFUSED_JOINS: list[dict[str, Any]] = [
    {"session_timeout_ms": 1},
    {"session_timeout_ms": 1, "member_id": "x"},
    {"member_id": "x"},
    {"member_id": "x", "protocol_type": "connect"},
    {"protocol_type": "connect"},
    {"protocol_type": ""},
    {"protocols": []},
    {"group_instance_id": "i", "member_id": "x"},
]


@pytest.mark.parametrize("version", [5, 9])
@pytest.mark.parametrize("fields", REFUSED_JOINS, ids=str)
def test_a_classic_group_refuses_a_join_alike(wires: Wires, fields: dict[str, Any], version: int) -> None:
    group = fresh("classic")

    def ask(wire: Wire) -> Any:
        classic_member(wire, group)
        return join(wire, group, version=version, **fields)

    assert assert_same(wires, ask).error_code != 0


def heartbeat(wire: Wire, group: str, epoch: int, topic: str, **fields: Any) -> Any:
    joins = {"rebalance_timeout_ms": 20_000, "topic_partitions": [], "subscribed_topic_names": [topic]}
    whole = {"member_id": "one", "topic_partitions": None, **(joins if epoch == 0 else {}), **fields}
    return ready(wire, ConsumerGroupHeartbeatRequest(group_id=group, member_epoch=epoch, **whole), 1)


@pytest.mark.parametrize("version", [5, 9])
@pytest.mark.parametrize(
    "fields",
    [
        {"protocol_type": "connect"},
        {"protocols": []},
        {"group_instance_id": "i", "member_id": "x"},
        {"protocols": [JoinGroupRequestProtocol(name="range", metadata=b"?")], "member_id": "x"},
    ],
    ids=str,
)
def test_a_consumer_group_refuses_a_classic_join_alike(wires: Wires, fields: dict[str, Any], version: int) -> None:
    group = fresh("consumer")

    def ask(wire: Wire) -> Any:
        find_coordinator(wire, group)
        assert heartbeat(wire, group, 0, "nowhere").error_code == 0
        return join(wire, group, version=version, **fields)

    assert assert_same(wires, ask).error_code != 0


def test_a_member_without_a_rebalance_timeout_may_sync(wires: Wires) -> None:
    """Apache Kafka expels it when its SyncGroup takes longer than a moment, so only ours is asked."""
    group = fresh("classic")
    member_id = join(wires.ours, group).member_id
    joined = join(wires.ours, group, member_id, rebalance_timeout_ms=0)
    request = SyncGroupRequest(
        group_id=group,
        generation_id=joined.generation_id,
        member_id=member_id,
        protocol_type="consumer",
        protocol_name="range",
    )
    assert wires.ours.call(request, 5).error_code == 0


# DeleteGroups


def test_a_group_that_is_named_twice_is_deleted_once(wires: Wires) -> None:
    group = fresh("classic")

    def ask(wire: Wire) -> Any:
        member = MemberIdentity(member_id=classic_member(wire, group))
        wire.call(LeaveGroupRequest(group_id=group, members=[member]), 5)
        results = wire.call(DeleteGroupsRequest(groups_names=[group, "nowhere", group, "nowhere"]), 2).results
        return sorted((result.group_id, result.error_code) for result in results)

    assert assert_same(wires, ask) == [(group, ErrorCode.NONE), ("nowhere", ErrorCode.GROUP_ID_NOT_FOUND)]


# TxnOffsetCommit


@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize("indexes", [[0], [0, 9], [9]], ids=str)
def test_a_fenced_producer_is_told_of_unknown_partitions_alike(
    wires: Wires, version: int, indexes: list[int]
) -> None:
    name, group = fresh("transactional"), fresh("group")

    def ask(wire: Wire) -> Any:
        find_coordinator(wire, group)
        find_coordinator(wire, name, TRANSACTION)
        topic = served_topic(wire, name)
        begun = ready(wire, InitProducerIdRequest(transactional_id=name, transaction_timeout_ms=60_000), 5)
        partitions = [TxnOffsetCommitRequestPartition(partition_index=i, committed_offset=1) for i in indexes]
        request = TxnOffsetCommitRequest(
            transactional_id=name,
            group_id=group,
            producer_id=begun.producer_id,
            producer_epoch=begun.producer_epoch + 7,
            topics=[
                TxnOffsetCommitRequestTopic(name=each, partitions=partitions) for each in (topic.name, "nowhere")
            ],
        )
        return sorted(
            (answered.name, each.partition_index, each.error_code)
            for answered in wire.call(request, version).topics
            for each in answered.partitions
        )

    assert_same(wires, ask)


# Consumer groups


def served_topic(wire: Wire, name: str, partitions: int = 1) -> Topic:
    """Make a topic and wait until groups know it, which takes Kafka a moment."""
    topic = make_topic(wire, name=name, partitions=partitions)
    group = fresh("probe")
    find_coordinator(wire, group)
    epoch = heartbeat(wire, group, 0, name).member_epoch

    def is_assigned() -> bool:
        nonlocal epoch
        epoch = heartbeat(wire, group, epoch, name).member_epoch
        (member,) = wire.call(ConsumerGroupDescribeRequest(group_ids=[group]), 1).groups[0].members
        return bool(member.assignment.topic_partitions)

    wait_until(is_assigned)
    return topic


def test_a_member_is_described_with_what_it_still_has_to_revoke(wires: Wires) -> None:
    name, group = fresh("topic"), fresh("group")

    def ask(wire: Wire) -> Any:
        topic = served_topic(wire, name, 3)
        find_coordinator(wire, group)
        epochs = {"one": heartbeat(wire, group, 0, name).member_epoch}
        shares: dict[str, Any] = {}

        def described(member_id: str, *has: int) -> bool:
            given = [TopicPartitions(topic_id=topic.topic_id, partitions=list(has))] if has else []
            answer = heartbeat(wire, group, epochs[member_id], name, member_id=member_id, topic_partitions=given)
            epochs[member_id] = answer.member_epoch
            members = wire.call(ConsumerGroupDescribeRequest(group_ids=[group]), 1).groups[0].members
            shares.update(
                {
                    member.member_id: [
                        [each.partitions for each in assignment.topic_partitions]
                        for assignment in (member.assignment, member.target_assignment)
                    ]
                    for member in members
                }
            )
            return bool(shares[member_id][1])

        wait_until(lambda: described("one") and shares["one"][0] == [[0, 1, 2]])
        described("one", 0, 1, 2)
        epochs["two"] = heartbeat(wire, group, 0, name, member_id="two").member_epoch
        wait_until(lambda: described("two") and described("one", 0, 1, 2) and shares["one"][1] != [[0, 1, 2]])
        described("one", 0, 1, 2)
        return shares

    said = assert_same(wires, ask)
    assert said["one"][0] == [[0, 1, 2]]
    assert said["two"][0] == []


# Regular expressions

VALID = [r"a{1,1000}", r"(?i)A", r"\pN+", r"\p{Greek}", r"\Qa.b\E", r"\QC\C", r"\\C", r"\pC", r"(?P<n>a)", r"(?<n>a)"]
VALID += [
    r"\z",
    r"[[:alpha:]]+",
    r"(?s).",
    r"(?m)^a$",
    r"(?U)a+",
    r"a{,5}",
    r"\x{10FFFF}",
    r"\07",
    r"[]a]",
    r"^$",
    r"\A",
    "é+",
]
INVALID = [
    r"^\C+",
    r"\C",
    r"\\\C",
    r"a{1,1001}",
    r"\p{greek}",
    r"\p{Foo}",
    r"\Z",
    r"(?!a)",
    r"\1",
    r"a**",
    r"a++",
    "(a",
]
INVALID += [
    r"\h",
    r"a{2,1}",
    r"\x{110000}",
    r"[a-\d]",
    r"[b-a]",
    "[a",
    r"\K",
    r"\e",
    r"(?#x)a",
    r"(?x)a",
    "a|*",
    "*",
    r"\u0041",
]
# Refused by RE2 and by RE2/J, in this order.
KNOWN = {
    r"^(a{1,100}){1,50}b": (True, False),
    r"((a{100}){100}){100}": (True, False),
    r"\pL{500}": (True, False),
    r"\é": (True, False),
    r"\p{Kawi}": (False, True),
    r"(?<n>a)(?<n>b)": (False, True),
    r"(?P<é>a)": (False, True),
}


@pytest.mark.parametrize("regex", [*VALID, *INVALID, *KNOWN], ids=ascii)
def test_a_regular_expression_is_valid_or_not_alike(wires: Wires, regex: str) -> None:
    codes = []
    for wire in wires:
        group = fresh("group")
        find_coordinator(wire, group)
        given = {"subscribed_topic_names": None, "subscribed_topic_regex": regex}
        codes.append(heartbeat(wire, group, 0, "", **given).error_code)
    ours, kafka = KNOWN.get(regex, (regex in INVALID, regex in INVALID))
    invalid = {True: ErrorCode.INVALID_REGULAR_EXPRESSION, False: ErrorCode.NONE}
    assert codes == [invalid[kafka], invalid[ours]]
