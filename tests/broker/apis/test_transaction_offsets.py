"""Offsets that are part of a transaction: nobody sees them before its end (KIP-98, KIP-447)."""

from typing import Any, NamedTuple

import pytest
from support.calls import Topic, both_ends, every_version, fresh, stable_alone
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.group_offsets import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)
from barnabas.protocol.messages.producer_ids import InitProducerIdRequest
from barnabas.protocol.messages.transaction_admin import DescribeTransactionsRequest
from barnabas.protocol.messages.transaction_offsets import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from barnabas.protocol.messages.transactions import AddOffsetsToTxnRequest, EndTxnRequest


class Producer(NamedTuple):
    transactional_id: str
    producer_id: int
    producer_epoch: int
    group_id: str


@pytest.fixture
def producer(wire: Wire) -> Producer:
    return begin(wire, fresh("transactional"), fresh("group"))


def begin(wire: Wire, name: str, group_id: str) -> Producer:
    answer = wire.call(InitProducerIdRequest(transactional_id=name, transaction_timeout_ms=60_000), 5)
    return Producer(name, answer.producer_id, answer.producer_epoch, group_id)


def add(wire: Wire, producer: Producer) -> None:
    assert wire.call(AddOffsetsToTxnRequest(**producer._asdict()), 3).error_code == 0


def commit(wire: Wire, producer: Producer, topic: str, version: int = 5, offset: int = 5, **other: Any) -> int:
    """Commit for partition 0 and return its error."""
    partition = TxnOffsetCommitRequestPartition(
        partition_index=other.pop("partition", 0),
        committed_offset=offset,
        committed_metadata=other.pop("metadata", ""),
    )
    topics = [TxnOffsetCommitRequestTopic(name=topic, partitions=[partition])]
    request = TxnOffsetCommitRequest(**{**producer._asdict(), "member_id": "", **other}, topics=topics)
    (answered,) = wire.call(request, version).topics
    return answered.partitions[0].error_code  # type: ignore[no-any-return]


def end(wire: Wire, producer: Producer, committed: bool) -> None:
    identity = producer._asdict()
    del identity["group_id"]
    assert wire.call(EndTxnRequest(**identity, committed=committed), 3).error_code == 0


def fetch(wire: Wire, group_id: str, topic: str, version: int = 9, require_stable: bool = False) -> tuple[int, int]:
    """Return error and offset of partition 0."""
    if version < 8:
        old = [OffsetFetchRequestTopic(name=topic, partition_indexes=[0])]
        request = OffsetFetchRequest(group_id=group_id, topics=old, require_stable=require_stable)
        found = wire.call(request, version).topics
    else:
        asked = [OffsetFetchRequestTopics(name=topic, partition_indexes=[0])]
        groups = [OffsetFetchRequestGroup(group_id=group_id, topics=asked)]
        found = wire.call(OffsetFetchRequest(groups=groups, require_stable=require_stable), version).groups[0].topics
    partition = found[0].partitions[0]
    return partition.error_code, partition.committed_offset


@every_version(TxnOffsetCommitRequest)
@pytest.mark.parametrize("committed", [True, False])
def test_they_count_when_the_transaction_is_committed(
    wire: Wire, topic: Topic, producer: Producer, version: int, committed: bool
) -> None:
    if version < 5:
        add(wire, producer)
    assert commit(wire, producer, topic.name, version) == 0
    assert fetch(wire, producer.group_id, topic.name) == (0, -1)
    end(wire, producer, committed)
    assert fetch(wire, producer.group_id, topic.name) == (0, 5 if committed else -1)


@both_ends(OffsetFetchRequest, since=7, until=9)
def test_who_wants_a_stable_offset_is_told_to_wait(
    wire: Wire, topic: Topic, producer: Producer, version: int
) -> None:
    commit(wire, producer, topic.name)
    asked = producer.group_id, topic.name, version
    assert fetch(wire, *asked, require_stable=True) == (ErrorCode.UNSTABLE_OFFSET_COMMIT, -1)
    assert fetch(wire, *asked) == (0, -1)
    end(wire, producer, True)
    assert fetch(wire, *asked, require_stable=True) == (0, 5)


@pytest.mark.parametrize(
    ("version", "code"),
    [
        (0, ErrorCode.INVALID_TXN_STATE),
        (3, ErrorCode.INVALID_TXN_STATE),
        (4, ErrorCode.TRANSACTION_ABORTABLE),
        (5, ErrorCode.NONE),
    ],
)
def test_a_group_that_was_not_added(
    wire: Wire, topic: Topic, producer: Producer, version: int, code: ErrorCode
) -> None:
    assert commit(wire, producer, topic.name, version) == code


@both_ends(TxnOffsetCommitRequest)
def test_the_offsets_of_somebody_elses_transaction(
    wire: Wire, topic: Topic, producer: Producer, version: int
) -> None:
    wrong = {"producer_id": 2**60}
    assert commit(wire, producer, topic.name, version, **wrong) == ErrorCode.INVALID_PRODUCER_ID_MAPPING
    begin(wire, producer.transactional_id, producer.group_id)
    assert commit(wire, producer, topic.name, version) == ErrorCode.INVALID_PRODUCER_EPOCH


@both_ends(TxnOffsetCommitRequest)
def test_what_cannot_be_committed(wire: Wire, topic: Topic, producer: Producer, version: int) -> None:
    add(wire, producer)
    for code, wrong in (
        (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, {"partition": 9}),
        (ErrorCode.OFFSET_METADATA_TOO_LARGE, {"metadata": "x" * 5000}),
    ):
        assert commit(wire, producer, topic.name, version, **wrong) == code
    assert commit(wire, producer, "no-such-topic", version) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


@every_version(TxnOffsetCommitRequest)
def test_a_producer_that_was_fenced_is_told_of_unknown_partitions_first(
    wire: Wire, topic: Topic, producer: Producer, version: int
) -> None:
    begin(wire, producer.transactional_id, producer.group_id)
    partitions = [TxnOffsetCommitRequestPartition(partition_index=index, committed_offset=1) for index in (0, 9)]
    topics = [TxnOffsetCommitRequestTopic(name=name, partitions=partitions) for name in (topic.name, "nowhere")]
    request = TxnOffsetCommitRequest(**producer._asdict(), topics=topics)
    known, unknown = wire.call(request, version).topics
    assert [partition.error_code for partition in known.partitions] == [
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ]
    assert {partition.error_code for partition in unknown.partitions} == {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}


def test_unknown_partitions_alone_begin_no_transaction(wire: Wire, producer: Producer) -> None:
    assert commit(wire, producer, "nowhere") == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    (state,) = wire.call(
        DescribeTransactionsRequest(transactional_ids=[producer.transactional_id]), 0
    ).transaction_states
    assert state.transaction_state == "Empty"


@both_ends(TxnOffsetCommitRequest, since=3)
def test_only_the_present_members_of_a_group_commit(
    wire: Wire, topic: Topic, producer: Producer, version: int
) -> None:
    member = stable_alone(wire, group_instance_id="i")
    producer = producer._replace(group_id=member.group_id)
    add(wire, producer)
    present = {"member_id": member.member_id, "generation_id": member.generation_id, "group_instance_id": "i"}
    assert commit(wire, producer, topic.name, version, **present) == 0
    for code, wrong in (
        (ErrorCode.ILLEGAL_GENERATION, {"generation_id": 77}),
        (ErrorCode.UNKNOWN_MEMBER_ID, {"member_id": "nobody", "group_instance_id": None}),
        (ErrorCode.FENCED_INSTANCE_ID, {"member_id": "nobody"}),
    ):
        assert commit(wire, producer, topic.name, version, **present | wrong) == code
