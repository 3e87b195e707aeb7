"""What becomes of groups and commits in ``__consumer_offsets``."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import (
    Topic,
    batch,
    commit,
    commit_request,
    committed_offset,
    fresh,
    make_topic,
    produce,
    stable_alone,
    wait_until,
)
from support.offsets_topic import State, find_coordinator, offsets, state, wait_for_offsets, written
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.group_records import (
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataValue,
    CurrentPartitions,
    GroupMetadataValue,
    MemberMetadata,
    OffsetCommitValue,
    RecordType,
    TargetPartitions,
)
from barnabas.protocol.messages.consumer_groups import ConsumerGroupHeartbeatRequest
from barnabas.protocol.messages.group_admin import DeleteGroupsRequest
from barnabas.protocol.messages.group_membership import LeaveGroupRequest, MemberIdentity
from barnabas.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from barnabas.protocol.messages.producer_ids import InitProducerIdRequest
from barnabas.protocol.messages.topics import DeleteTopicsRequest, DeleteTopicState
from barnabas.protocol.messages.transaction_offsets import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from barnabas.protocol.messages.transactions import EndTxnRequest

SETTINGS = ("-c", "offsets.topic.num.partitions=3", "-c", "group.initial.rebalance.delay.ms=0")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with running(tmp_path_factory.mktemp("copy") / "data", *SETTINGS) as process, Wire(process.port) as wire:
        find_coordinator(wire)
        yield process
    log = process.log.read_text()
    assert "Traceback" not in log
    assert "WARNING" not in log


@pytest.fixture
def topic(wire: Wire) -> Topic:
    return make_topic(wire, partitions=3)


@pytest.fixture
def group() -> str:
    return fresh("group")


def of_group(wire: Wire, group_id: str) -> State:
    return {key: value for key, value in state(wire).items() if key[1] == group_id}


def value_of(wire: Wire, kind: RecordType, group_id: str, name: object = None) -> object:
    return state(wire).get((kind, group_id, name))  # type: ignore[call-overload]


def test_a_commit_is_written_as_kafka_writes_it(wire: Wire, topic: Topic, group: str) -> None:
    commit(wire, group, topic, (0, 5), (2, 7), metadata="note")
    wait_for_offsets(wire, group, {(topic.name, 0): 5, (topic.name, 2): 7})
    found = value_of(wire, RecordType.OFFSET_COMMIT, group, (topic.name, 0))
    assert isinstance(found, OffsetCommitValue)
    assert found == OffsetCommitValue(
        offset=5, leader_epoch=0, metadata="note", commit_timestamp=found.commit_timestamp
    )
    assert found.commit_timestamp > 0


def test_a_commit_that_names_its_retention_has_a_time_to_expire(wire: Wire, topic: Topic, group: str) -> None:
    wire.call(commit_request(group, topic, (0, 5), retention_time_ms=60_000), 4)
    wait_for_offsets(wire, group, {(topic.name, 0): 5})
    found = value_of(wire, RecordType.OFFSET_COMMIT, group, (topic.name, 0))
    assert isinstance(found, OffsetCommitValue)
    assert found.expire_timestamp == found.commit_timestamp + 60_000


def test_the_newest_commit_is_the_last_record(wire: Wire, topic: Topic, group: str) -> None:
    for offset in range(1, 6):
        commit(wire, group, topic, (0, offset))
    wait_for_offsets(wire, group, {(topic.name, 0): 5})


def test_offsets_that_are_deleted_leave_tombstones(wire: Wire, topic: Topic, group: str) -> None:
    commit(wire, group, topic, (0, 5), (1, 6))
    asked = [OffsetDeleteRequestTopic(name=topic.name, partitions=[OffsetDeleteRequestPartition(partition_index=0)])]
    assert wire.call(OffsetDeleteRequest(group_id=group, topics=asked), 0).error_code == 0
    wait_for_offsets(wire, group, {(topic.name, 1): 6})
    assert [each.value for each in written(wire) if each[1:3] == (group, (topic.name, 0))][-1] is None


def test_a_deleted_topic_takes_its_offsets_along(wire: Wire, topic: Topic, group: str) -> None:
    kept = make_topic(wire)
    commit(wire, group, topic, (0, 5), (1, 5))
    commit(wire, group, kept, (0, 6))
    wire.call(DeleteTopicsRequest(topics=[DeleteTopicState(name=None, topic_id=topic.topic_id)], timeout_ms=1000), 6)
    wait_for_offsets(wire, group, {(kept.name, 0): 6})


def test_a_deleted_group_leaves_nothing(wire: Wire, topic: Topic) -> None:
    member = stable_alone(wire)
    commit(wire, member.group_id, topic, (0, 5), member_id=member.member_id, generation_id_or_member_epoch=1)
    wait_for_offsets(wire, member.group_id, {(topic.name, 0): 5})
    leaving = LeaveGroupRequest(group_id=member.group_id, members=[MemberIdentity(member_id=member.member_id)])
    assert wire.call(leaving, 3).error_code == 0
    (deleted,) = wire.call(DeleteGroupsRequest(groups_names=[member.group_id]), 2).results
    assert deleted.error_code == 0
    wait_until(lambda: of_group(wire, member.group_id) == {})


def test_a_classic_group_is_written_with_its_members_and_without_them(wire: Wire) -> None:
    member = stable_alone(wire, group_instance_id="instance")
    key = RecordType.GROUP_METADATA, member.group_id
    wait_until(lambda: value_of(wire, *key) is not None)
    found = value_of(wire, *key)
    assert isinstance(found, GroupMetadataValue)
    (described,) = found.members
    assert found == GroupMetadataValue(
        protocol_type="consumer",
        generation=1,
        protocol="range",
        leader=member.member_id,
        current_state_timestamp=found.current_state_timestamp,
        members=[
            MemberMetadata(
                member_id=member.member_id,
                group_instance_id="instance",
                client_id=described.client_id,
                client_host="/127.0.0.1",
                rebalance_timeout=10_000,
                session_timeout=10_000,
                subscription=b"metadata",
                assignment=b"assignment",
            )
        ],
    )
    leaving = LeaveGroupRequest(
        group_id=member.group_id, members=[MemberIdentity(member_id="", group_instance_id="instance")]
    )
    assert wire.call(leaving, 3).error_code == 0
    wait_until(lambda: value_of(wire, *key) != found)
    empty = value_of(wire, *key)
    assert isinstance(empty, GroupMetadataValue)
    assert (empty.generation, empty.protocol_type, empty.protocol, empty.leader) == (2, "consumer", None, None)
    assert empty.members == []


def heartbeat(wire: Wire, group: str, epoch: int, **fields: object) -> int:
    fields = {"topic_partitions": None, "member_id": "member", **fields}
    answer = wire.call(ConsumerGroupHeartbeatRequest(group_id=group, member_epoch=epoch, **fields), 1)
    assert answer.error_code == 0, answer
    return answer.member_epoch  # type: ignore[no-any-return]


def test_a_consumer_group_is_written_and_goes_with_its_last_member(wire: Wire, topic: Topic, group: str) -> None:
    subscribed = {"rebalance_timeout_ms": 60_000, "topic_partitions": [], "subscribed_topic_regex": f"^{topic.name}$"}
    epoch = heartbeat(wire, group, 0, subscribed_topic_names=None, **subscribed)
    regex = f"^{topic.name}$"
    wait_until(lambda: (RecordType.CONSUMER_GROUP_REGULAR_EXPRESSION, group, regex) in state(wire))
    found = of_group(wire, group)
    metadata = found.pop((RecordType.CONSUMER_GROUP_METADATA, group, None))
    member = found[RecordType.CONSUMER_GROUP_MEMBER_METADATA, group, "member"]
    assert metadata.epoch == epoch  # type: ignore[attr-defined]
    assert found == {
        (RecordType.CONSUMER_GROUP_REGULAR_EXPRESSION, group, regex): ConsumerGroupRegularExpressionValue(
            topics=[topic.name]
        ),
        (
            RecordType.CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA,
            group,
            None,
        ): ConsumerGroupTargetAssignmentMetadataValue(assignment_epoch=epoch),
        (RecordType.CONSUMER_GROUP_MEMBER_METADATA, group, "member"): ConsumerGroupMemberMetadataValue(
            client_id=member.client_id,  # type: ignore[attr-defined]
            client_host="/127.0.0.1",
            subscribed_topic_regex=regex,
            rebalance_timeout_ms=60_000,
            classic_member_metadata=None,
        ),
        (
            RecordType.CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT,
            group,
            "member",
        ): ConsumerGroupCurrentMemberAssignmentValue(
            member_epoch=epoch,
            assigned_partitions=[
                CurrentPartitions(topic_id=topic.topic_id, partitions=[0, 1, 2], assignment_epochs=[epoch] * 3)
            ],
        ),
        (
            RecordType.CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER,
            group,
            "member",
        ): ConsumerGroupTargetAssignmentMemberValue(
            topic_partitions=[TargetPartitions(topic_id=topic.topic_id, partitions=[0, 1, 2])]
        ),
    }
    heartbeat(wire, group, -1)
    of_no_member = {RecordType.CONSUMER_GROUP_METADATA, RecordType.CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA}
    wait_until(lambda: {kind for kind, _, _ in of_group(wire, group)} == of_no_member)
    (deleted,) = wire.call(DeleteGroupsRequest(groups_names=[group]), 2).results
    assert deleted.error_code == 0
    wait_until(lambda: of_group(wire, group) == {})


def test_a_group_that_becomes_a_consumer_group_leaves_a_tombstone_of_the_classic_one(
    wire: Wire, topic: Topic
) -> None:
    member = stable_alone(wire)
    leaving = LeaveGroupRequest(group_id=member.group_id, members=[MemberIdentity(member_id=member.member_id)])
    assert wire.call(leaving, 3).error_code == 0
    heartbeat(
        wire,
        member.group_id,
        0,
        rebalance_timeout_ms=60_000,
        topic_partitions=[],
        subscribed_topic_names=[topic.name],
    )
    wait_until(lambda: value_of(wire, RecordType.CONSUMER_GROUP_METADATA, member.group_id) is not None)
    assert value_of(wire, RecordType.GROUP_METADATA, member.group_id) is None


def test_clients_cannot_write_into_the_topic(wire: Wire) -> None:
    internal = Topic("__consumer_offsets", make_topic(wire).topic_id)
    refused = produce(wire, internal, batch(b"value", keys=[b"key"]), 12)
    assert refused.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION


def test_a_commit_counts_though_kafkas_format_has_no_place_for_it(tmp_path: Path) -> None:
    settings = (*SETTINGS, "-c", "offset.metadata.max.bytes=100000")
    with running(tmp_path / "data", *settings) as broker, Wire(broker.port) as wire:
        find_coordinator(wire)
        topic = make_topic(wire)
        commit(wire, "group", topic, (0, 1), metadata="x" * 40_000)
        commit(wire, "other", topic, (0, 2))
        wait_for_offsets(wire, "other", {(topic.name, 0): 2})
        assert offsets(wire, "group") == {}
        assert committed_offset(wire, "group", topic) == 1
    assert "Traceback" not in broker.log.read_text()


@pytest.mark.parametrize("is_commit", [True, False])
def test_offsets_of_a_transaction_are_written_when_it_is_committed(
    wire: Wire, topic: Topic, group: str, is_commit: bool
) -> None:
    transactional_id = fresh("transactional")
    given = wire.call(InitProducerIdRequest(transactional_id=transactional_id, transaction_timeout_ms=60_000), 5)
    identity = {
        "transactional_id": transactional_id,
        "producer_id": given.producer_id,
        "producer_epoch": given.producer_epoch,
    }
    partition = TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=5, committed_metadata="")
    asked = [TxnOffsetCommitRequestTopic(name=topic.name, partitions=[partition])]
    request = TxnOffsetCommitRequest(**identity, group_id=group, member_id="", generation_id=-1, topics=asked)
    assert wire.call(request, 5).topics[0].partitions[0].error_code == 0
    commit(wire, group, topic, (1, 6))
    wait_for_offsets(wire, group, {(topic.name, 1): 6})
    assert wire.call(EndTxnRequest(**identity, committed=is_commit), 5).error_code == 0
    commit(wire, group, topic, (2, 7))
    expected = {(topic.name, 1): 6, (topic.name, 2): 7} | ({(topic.name, 0): 5} if is_commit else {})
    wait_for_offsets(wire, group, expected)
