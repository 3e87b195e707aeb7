"""ConsumerGroupHeartbeat and ConsumerGroupDescribe over the wire (KIP-848)."""

from pathlib import Path
from typing import Any

import pytest
from support.calls import Topic, both_ends, fresh, join_request, make_topic
from support.process import running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.api_versions import ApiVersionsRequest
from barnabas.protocol.messages.consumer_groups import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    DescribedGroup,
    TopicPartitions,
)
from barnabas.protocol.messages.group_offsets import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
)

ENDS = both_ends(ConsumerGroupHeartbeatRequest)
DESCRIBE_ENDS = both_ends(ConsumerGroupDescribeRequest)


def heartbeat(wire: Wire, version: int, **fields: Any) -> ConsumerGroupHeartbeatResponse:
    fields = {"member_id": "member", "topic_partitions": None, **fields}
    return wire.call(ConsumerGroupHeartbeatRequest(**fields), version)  # type: ignore[no-any-return]


def join(wire: Wire, version: int, group: str, *topics: Topic, **fields: Any) -> ConsumerGroupHeartbeatResponse:
    """Join the group; the member is "member" unless another is named."""
    names = [topic.name for topic in topics]
    whole = {"rebalance_timeout_ms": 60_000, "subscribed_topic_names": names, "topic_partitions": []}
    return heartbeat(wire, version, group_id=group, member_epoch=0, **whole, **fields)


def assigned(response: ConsumerGroupHeartbeatResponse) -> dict[bytes, list[int]] | None:
    if response.assignment is None:
        return None
    return {topic.topic_id: topic.partitions for topic in response.assignment.topic_partitions}


def owned(topic: Topic, *partitions: int) -> list[TopicPartitions]:
    return [TopicPartitions(topic_id=topic.topic_id, partitions=list(partitions))]


@ENDS
def test_who_joins_alone_gets_everything(wire: Wire, version: int) -> None:
    topic, group = make_topic(wire, partitions=3), fresh("group")
    joined = join(wire, version, group, topic)
    assert (joined.error_code, joined.member_id, joined.heartbeat_interval_ms) == (ErrorCode.NONE, "member", 5000)
    assert assigned(joined) == {topic.topic_id: [0, 1, 2]}
    again = heartbeat(wire, version, group_id=group, member_epoch=joined.member_epoch)
    assert (again.error_code, again.member_epoch, again.assignment) == (ErrorCode.NONE, joined.member_epoch, None)


def test_v0_gives_a_member_its_id(wire: Wire) -> None:
    joined = join(wire, 0, fresh("group"), make_topic(wire), member_id="")
    assert joined.error_code == ErrorCode.NONE
    assert joined.member_id


@ENDS
def test_partitions_are_given_up_before_somebody_else_gets_them(wire: Wire, version: int) -> None:
    topic, group = make_topic(wire, partitions=2), fresh("group")
    first = join(wire, version, group, topic)
    second = join(wire, version, group, topic, member_id="second")
    assert assigned(second) == {}
    told = heartbeat(wire, version, group_id=group, member_epoch=first.member_epoch)
    kept = assigned(told)
    assert kept is not None
    (left,) = kept[topic.topic_id]
    waits = heartbeat(wire, version, group_id=group, member_id="second", member_epoch=second.member_epoch)
    assert waits.assignment is None
    done = heartbeat(
        wire, version, group_id=group, member_epoch=told.member_epoch, topic_partitions=owned(topic, left)
    )
    assert (done.error_code, done.member_epoch) == (ErrorCode.NONE, second.member_epoch)
    gets = heartbeat(wire, version, group_id=group, member_id="second", member_epoch=second.member_epoch)
    assert assigned(gets) == {topic.topic_id: [1 - left]}


@ENDS
@pytest.mark.parametrize("epoch", [-1, -2])
def test_who_leaves_makes_room(wire: Wire, version: int, epoch: int) -> None:
    topic, group = make_topic(wire), fresh("group")
    instance = "instance" if epoch == -2 else None
    join(wire, version, group, topic, instance_id=instance)
    left = heartbeat(wire, version, group_id=group, member_epoch=epoch, instance_id=instance)
    assert (left.error_code, left.member_epoch, left.heartbeat_interval_ms) == (ErrorCode.NONE, epoch, 0)
    joined = join(wire, version, group, topic, member_id="second", instance_id=instance)
    assert assigned(joined) == {topic.topic_id: [0]}


def test_a_pattern_is_resolved_at_once(wire: Wire) -> None:
    prefix = fresh("pattern")
    one = make_topic(wire, name=f"{prefix}.a")
    make_topic(wire, name=f"x{prefix}.a")
    joined = join(wire, 1, fresh("group"), subscribed_topic_regex=f"{prefix}\\..*")
    assert assigned(joined) == {one.topic_id: [0]}


@ENDS
@pytest.mark.parametrize(
    "fields",
    [
        {"group_id": ""},
        {"instance_id": ""},
        {"rack_id": ""},
        {"member_epoch": -3},
        {"member_epoch": -2},
        {"member_epoch": 0, "rebalance_timeout_ms": -1},
        {"member_epoch": 0, "topic_partitions": None},
        {"member_epoch": 0, "topic_partitions": [TopicPartitions(topic_id=bytes(16), partitions=[1])]},
        {"member_epoch": 0, "subscribed_topic_names": None},
        {"member_epoch": 1, "member_id": ""},
    ],
)
def test_what_makes_no_sense_is_refused(wire: Wire, version: int, fields: dict[str, Any]) -> None:
    whole = {
        "group_id": fresh("group"),
        "member_epoch": 0,
        "rebalance_timeout_ms": 1000,
        "subscribed_topic_names": ["t"],
        "topic_partitions": [],
    }
    refused = heartbeat(wire, version, **whole | fields)
    assert refused.error_code == ErrorCode.INVALID_REQUEST
    assert refused.error_message


@ENDS
def test_what_the_coordinator_does_not_know_is_refused(wire: Wire, version: int) -> None:
    topic, group = make_topic(wire), fresh("group")
    joined = join(wire, version, group, topic)
    epoch = joined.member_epoch
    for code, fields in (
        (ErrorCode.GROUP_ID_NOT_FOUND, {"group_id": fresh("group"), "member_epoch": 1}),
        (ErrorCode.UNKNOWN_MEMBER_ID, {"member_id": "other", "member_epoch": epoch}),
        (ErrorCode.UNKNOWN_MEMBER_ID, {"member_id": "other", "member_epoch": -1}),
        (ErrorCode.UNKNOWN_MEMBER_ID, {"instance_id": "nobody", "member_epoch": epoch}),
        (ErrorCode.FENCED_MEMBER_EPOCH, {"member_epoch": epoch + 1}),
        (ErrorCode.UNSUPPORTED_ASSIGNOR, {"member_epoch": epoch, "server_assignor": "nonsense"}),
    ):
        refused = heartbeat(wire, version, **{"group_id": group, **fields})
        assert refused.error_code == code
        assert refused.error_message


@ENDS
def test_a_static_member_keeps_its_name_until_it_leaves(wire: Wire, version: int) -> None:
    topic, group = make_topic(wire), fresh("group")
    join(wire, version, group, topic, instance_id="instance")
    refused = join(wire, version, group, topic, instance_id="instance", member_id="second")
    assert refused.error_code == ErrorCode.UNRELEASED_INSTANCE_ID
    heartbeat(wire, version, group_id=group, member_epoch=-2, instance_id="instance")
    taken = join(wire, version, group, topic, instance_id="instance", member_id="second")
    assert assigned(taken) == {topic.topic_id: [0]}
    fenced = heartbeat(wire, version, group_id=group, member_epoch=1, instance_id="instance")
    assert fenced.error_code == ErrorCode.FENCED_INSTANCE_ID


@both_ends(ConsumerGroupHeartbeatRequest, since=1)
@pytest.mark.parametrize("regex", ["(", "(a)\\1", "a{2000}{2000}", "^\\C+", "a\\C", "\\\\\\C", "\\Qa\\E\\C"])
def test_a_pattern_that_is_none_is_refused(wire: Wire, version: int, regex: str) -> None:
    refused = join(wire, version, fresh("group"), subscribed_topic_regex=regex)
    assert refused.error_code == ErrorCode.INVALID_REGULAR_EXPRESSION


@pytest.mark.parametrize("regex", ["\\QC\\C", "\\\\C", "\\pC", "\\p{C}", "[[:alpha:]]+|C"])
def test_a_pattern_with_a_c_that_is_no_single_byte_is_taken(wire: Wire, regex: str) -> None:
    assert join(wire, 1, fresh("group"), subscribed_topic_regex=regex).error_code == ErrorCode.NONE


def test_a_full_group_takes_nobody_in(tmp_path: Path) -> None:
    with running(tmp_path / "data", "-c", "group.consumer.max.size=1") as broker, Wire(broker.port) as wire:
        topic = make_topic(wire)
        for version in (0, 1):
            assert join(wire, version, "group", topic).error_code == ErrorCode.NONE
            refused = join(wire, version, "group", topic, member_id="second")
            assert refused.error_code == ErrorCode.GROUP_MAX_SIZE_REACHED


@ENDS
def test_members_that_do_not_understand_each_other_do_not_mix(wire: Wire, version: int) -> None:
    topic, group = make_topic(wire), fresh("group")
    join(wire, version, group, topic)
    strange = wire.call(join_request(group, protocol_type="connect"), 3)
    assert strange.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    classic = fresh("group")
    assert wire.call(join_request(classic, protocol_type="connect"), 3).error_code == ErrorCode.NONE
    assert join(wire, version, classic, topic).error_code == ErrorCode.GROUP_ID_NOT_FOUND


@ENDS
def test_an_empty_group_takes_the_protocol_of_who_joins(wire: Wire, version: int) -> None:
    topic, group = make_topic(wire), fresh("group")
    assert commit(wire, group, topic, "", -1) == ErrorCode.NONE
    join(wire, version, group, topic)
    heartbeat(wire, version, group_id=group, member_epoch=-1)
    assert wire.call(join_request(group), 3).error_code == ErrorCode.NONE
    asked = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=group, topics=None)])
    assert len(wire.call(asked, 8).groups[0].topics) == 1


def commit(wire: Wire, group: str, topic: Topic, member_id: str, epoch: int, version: int = 9) -> int:
    partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=1, committed_metadata="")
    request = OffsetCommitRequest(
        group_id=group,
        member_id=member_id,
        generation_id_or_member_epoch=epoch,
        topics=[OffsetCommitRequestTopic(name=topic.name, topic_id=topic.topic_id, partitions=[partition])],
    )
    return int(wire.call(request, version).topics[0].partitions[0].error_code)


@pytest.mark.parametrize("version", [9, 10])
def test_only_the_present_epoch_may_commit(wire: Wire, version: int) -> None:
    topic, group = make_topic(wire), fresh("group")
    epoch = join(wire, 1, group, topic).member_epoch
    assert commit(wire, group, topic, "member", epoch, version) == ErrorCode.NONE
    assert commit(wire, group, topic, "member", epoch + 1, version) == ErrorCode.STALE_MEMBER_EPOCH
    assert commit(wire, group, topic, "other", epoch, version) == ErrorCode.UNKNOWN_MEMBER_ID
    assert commit(wire, group, topic, "", -1, version) == ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("version", [2, 8])
def test_a_member_commits_with_a_version_that_knows_epochs(wire: Wire, version: int) -> None:
    topic, group = make_topic(wire), fresh("group")
    epoch = join(wire, 1, group, topic).member_epoch
    assert commit(wire, group, topic, "member", epoch, version) == ErrorCode.UNSUPPORTED_VERSION


@pytest.mark.parametrize("version", [9, 10])
def test_only_the_present_epoch_may_fetch_offsets(wire: Wire, version: int) -> None:
    topic, group = make_topic(wire), fresh("group")
    epoch = join(wire, 1, group, topic).member_epoch
    for member_id, given, code in (
        (None, -1, ErrorCode.NONE),
        ("member", epoch, ErrorCode.NONE),
        ("member", epoch + 1, ErrorCode.STALE_MEMBER_EPOCH),
        ("other", epoch, ErrorCode.UNKNOWN_MEMBER_ID),
    ):
        asked = OffsetFetchRequestGroup(group_id=group, member_id=member_id, member_epoch=given, topics=None)
        (answer,) = wire.call(OffsetFetchRequest(groups=[asked]), version).groups
        assert answer.error_code == code


@DESCRIBE_ENDS
def test_a_group_is_described_with_what_its_members_have(wire: Wire, version: int) -> None:
    topic, group = make_topic(wire, partitions=2), fresh("group")
    joined = join(wire, 1, group, topic)
    (described,) = wire.call(ConsumerGroupDescribeRequest(group_ids=[group]), version).groups
    (member,) = described.members
    assert (described.error_code, described.group_state, described.assignor_name) == (0, "Stable", "uniform")
    assert (member.member_id, member.member_epoch, member.client_id) == ("member", joined.member_epoch, "wire")
    for assignment in (member.assignment, member.target_assignment):
        (given,) = assignment.topic_partitions
        assert (given.topic_id, given.topic_name, given.partitions) == (topic.topic_id, topic.name, [0, 1])


@DESCRIBE_ENDS
def test_a_member_is_described_with_what_it_still_has_to_revoke(wire: Wire, version: int) -> None:
    topic, group = make_topic(wire, partitions=3), fresh("group")
    first = join(wire, 1, group, topic)
    join(wire, 1, group, topic, member_id="second")
    told = assigned(heartbeat(wire, 1, group_id=group, member_epoch=first.member_epoch))

    (described,) = wire.call(ConsumerGroupDescribeRequest(group_ids=[group]), version).groups

    assert told == {topic.topic_id: [0, 1]}
    members = {
        member.member_id: [
            [given.partitions for given in assignment.topic_partitions]
            for assignment in (member.assignment, member.target_assignment)
        ]
        for member in described.members
    }
    assert members == {"member": [[[0, 1, 2]], [[0, 1]]], "second": [[], [[2]]]}


@DESCRIBE_ENDS
def test_what_is_no_consumer_group_is_not_described(wire: Wire, version: int) -> None:
    classic, nobody = fresh("group"), fresh("group")
    wire.call(join_request(classic), 3)
    request = ConsumerGroupDescribeRequest(group_ids=[classic, nobody, ""])
    described: list[DescribedGroup] = wire.call(request, version).groups
    codes = [ErrorCode.GROUP_ID_NOT_FOUND, ErrorCode.GROUP_ID_NOT_FOUND, ErrorCode.INVALID_GROUP_ID]
    assert [group.error_code for group in described] == codes


def test_without_the_consumer_protocol_its_apis_are_advertised_and_refused(tmp_path: Path) -> None:
    setting = "group.coordinator.rebalance.protocols=classic"
    with running(tmp_path / "data", "-c", setting) as broker, Wire(broker.port) as wire:
        topic = make_topic(wire)
        keys = wire.call(ApiVersionsRequest(client_software_name="n", client_software_version="1"), 4).api_keys
        versions = {key.api_key: (key.min_version, key.max_version) for key in keys}
        assert versions[ConsumerGroupHeartbeatRequest.api_key] == (0, 1)
        assert versions[ConsumerGroupDescribeRequest.api_key] == (0, 1)
        for version in (0, 1):
            refusal = ConsumerGroupHeartbeatResponse(error_code=ErrorCode.UNSUPPORTED_VERSION)
            assert join(wire, version, "group", topic) == refusal
            assert heartbeat(wire, version, group_id="", member_epoch=-1) == refusal
            described = wire.call(ConsumerGroupDescribeRequest(group_ids=["group", ""]), version).groups
            assert [(group.group_id, group.error_code) for group in described] == [
                ("group", ErrorCode.UNSUPPORTED_VERSION),
                ("", ErrorCode.UNSUPPORTED_VERSION),
            ]
        assert wire.call(join_request("group"), 3).error_code == ErrorCode.NONE
