import time
from typing import Any

import pytest
from support.calls import (
    Topic,
    as_of,
    both_ends,
    commit,
    commit_request,
    every_version,
    fresh,
    join_alone,
    join_request,
    make_topic,
    stable_alone,
)
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.group_membership import LeaveGroupRequest
from barnabas.protocol.messages.group_offsets import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)
from barnabas.protocol.messages.topics import DeleteTopicsRequest

COMMIT_ENDS = both_ends(OffsetCommitRequest)
FETCH_ENDS = both_ends(OffsetFetchRequest)
NOWHERE = Topic("nowhere", b"nowhere_________")


def commit_answer(topic: Topic, *codes: int) -> OffsetCommitResponse:
    return OffsetCommitResponse(
        topics=[
            OffsetCommitResponseTopic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    OffsetCommitResponsePartition(partition_index=index, error_code=code)
                    for index, code in enumerate(codes)
                ],
            )
        ]
    )


def fetch_request(version: int, group: str, *asked: tuple[Topic, list[int]], all_topics: bool = False) -> Any:
    if version < 8:
        topics = [OffsetFetchRequestTopic(name=topic.name, partition_indexes=indexes) for topic, indexes in asked]
        return OffsetFetchRequest(group_id=group, topics=None if all_topics else topics)
    several = [
        OffsetFetchRequestTopics(name=topic.name, topic_id=topic.topic_id, partition_indexes=indexes)
        for topic, indexes in asked
    ]
    return OffsetFetchRequest(
        groups=[OffsetFetchRequestGroup(group_id=group, topics=None if all_topics else several)]
    )


def fetch_answer(version: int, group: str, *found: tuple[Topic, list[dict[str, Any]]]) -> OffsetFetchResponse:
    if version < 8:
        return OffsetFetchResponse(
            topics=[
                OffsetFetchResponseTopic(
                    name=topic.name,
                    partitions=[OffsetFetchResponsePartition(**offset) for offset in offsets],
                )
                for topic, offsets in found
            ]
        )
    return OffsetFetchResponse(
        groups=[
            OffsetFetchResponseGroup(
                group_id=group,
                topics=[
                    OffsetFetchResponseTopics(
                        name=topic.name,
                        topic_id=topic.topic_id,
                        partitions=[OffsetFetchResponsePartitions(**offset) for offset in offsets],
                    )
                    for topic, offsets in found
                ],
            )
        ]
    )


def committed(index: int, offset: int, epoch: int = 0, metadata: str = "note") -> dict[str, Any]:
    return {
        "partition_index": index,
        "committed_offset": offset,
        "committed_leader_epoch": epoch,
        "metadata": metadata,
    }


def nothing(index: int) -> dict[str, Any]:
    return committed(index, -1, -1, "")


# OffsetCommit


@every_version(OffsetCommitRequest)
def test_a_consumer_without_a_group_commits(wire: Wire, version: int) -> None:
    topic, group = make_topic(wire, partitions=2), fresh("group")
    expected = as_of(commit_answer(topic, 0, 0), version)
    assert wire.call(commit_request(group, topic, (0, 5), (1, 7)), version) == expected
    epoch = 0 if version >= 6 else -1
    found = fetch_answer(10, group, (topic, [committed(0, 5, epoch), committed(1, 7, epoch)]))
    assert wire.call(fetch_request(10, group, (topic, [0, 1])), 10) == as_of(found, 10)


@every_version(OffsetCommitRequest)
def test_a_member_commits(wire: Wire, topic: Topic, version: int) -> None:
    member = stable_alone(wire)
    request = commit_request(
        member.group_id, topic, (0, 5), generation_id_or_member_epoch=1, member_id=member.member_id
    )
    assert wire.call(request, version) == as_of(commit_answer(topic, 0), version)


@COMMIT_ENDS
def test_the_group_of_an_offset_may_have_no_name(wire: Wire, topic: Topic, version: int) -> None:
    assert wire.call(commit_request("", topic, (0, 5)), version) == as_of(commit_answer(topic, 0), version)
    found = fetch_answer(9, "", (topic, [committed(0, 5, 0 if version >= 6 else -1)]))
    assert wire.call(fetch_request(9, "", (topic, [0])), 9) == as_of(found, 9)


@COMMIT_ENDS
def test_unknown_topics_and_partitions_are_told_and_the_others_committed(
    wire: Wire, topic: Topic, version: int
) -> None:
    group = fresh("group")
    request = commit_request(group, NOWHERE, (0, 1))
    request.topics += commit_request(group, topic, (0, 5), (1, 6), (-1, 6)).topics
    response = wire.call(request, version)
    missing = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    unknown = missing if version < 10 else ErrorCode.UNKNOWN_TOPIC_ID
    codes = [[(result.partition_index, result.error_code) for result in each.partitions] for each in response.topics]
    assert codes == [[(0, unknown)], [(0, 0), (1, missing), (-1, missing)]]
    (found,) = wire.call(fetch_request(10, group, (topic, [0])), 10).groups[0].topics[0].partitions
    assert found.committed_offset == 5


@COMMIT_ENDS
def test_a_note_that_is_too_long_is_refused_for_its_partition(wire: Wire, topic: Topic, version: int) -> None:
    group = fresh("group")
    fits = commit_request(group, topic, (0, 5), metadata="m" * 4096)
    assert wire.call(fits, version) == as_of(commit_answer(topic, 0), version)
    refusal = as_of(commit_answer(topic, ErrorCode.OFFSET_METADATA_TOO_LARGE), version)
    assert wire.call(commit_request(group, topic, (0, 6), metadata="m" * 4097), version) == refusal


@COMMIT_ENDS
def test_no_note_is_an_empty_note(wire: Wire, topic: Topic, version: int) -> None:
    group = fresh("group")
    wire.call(commit_request(group, topic, (0, 5), metadata=None), version)
    (found,) = wire.call(fetch_request(10, group, (topic, [0])), 10).groups[0].topics[0].partitions
    assert found.metadata == ""


@COMMIT_ENDS
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"generation_id_or_member_epoch": 2}, ErrorCode.ILLEGAL_GENERATION),
        ({"generation_id_or_member_epoch": 0}, ErrorCode.ILLEGAL_GENERATION),
        ({"member_id": "stranger"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"generation_id_or_member_epoch": -1, "member_id": ""}, ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_a_commit_that_does_not_fit_the_group_is_refused(
    wire: Wire, topic: Topic, version: int, change: dict[str, Any], code: ErrorCode
) -> None:
    member = stable_alone(wire)
    values = {"generation_id_or_member_epoch": 1, "member_id": member.member_id, **change}
    request = commit_request(member.group_id, topic, (0, 5), **values)
    assert wire.call(request, version) == as_of(commit_answer(topic, code), version)


@every_version(OffsetCommitRequest)
def test_a_generation_without_a_group_is_refused(wire: Wire, topic: Topic, version: int) -> None:
    request = commit_request(fresh("group"), topic, (0, 5), generation_id_or_member_epoch=1, member_id="m")
    code = ErrorCode.GROUP_ID_NOT_FOUND if version >= 9 else ErrorCode.ILLEGAL_GENERATION
    assert wire.call(request, version) == as_of(commit_answer(topic, code), version)


@COMMIT_ENDS
def test_commits_wait_for_the_assignment_but_not_for_a_rebalance(
    wire: Wire, other: Wire, topic: Topic, version: int
) -> None:
    member = join_alone(wire)
    values = {"generation_id_or_member_epoch": 1, "member_id": member.member_id}
    request = commit_request(member.group_id, topic, (0, 5), **values)
    expected = as_of(commit_answer(topic, ErrorCode.REBALANCE_IN_PROGRESS), version)
    assert wire.call(request, version) == expected

    member = stable_alone(wire)
    other.send(join_request(member.group_id), 3)
    time.sleep(0.05)
    values["member_id"] = member.member_id
    request = commit_request(member.group_id, topic, (0, 5), **values)
    assert wire.call(request, version) == as_of(commit_answer(topic, 0), version)


@both_ends(OffsetCommitRequest, since=7)
def test_the_commit_of_a_fenced_instance_is_refused(wire: Wire, topic: Topic, version: int) -> None:
    member = stable_alone(wire, group_instance_id="instance")
    request = commit_request(
        member.group_id,
        topic,
        (0, 5),
        generation_id_or_member_epoch=1,
        member_id="stranger",
        group_instance_id="instance",
    )
    expected = as_of(commit_answer(topic, ErrorCode.FENCED_INSTANCE_ID), version)
    assert wire.call(request, version) == expected


@COMMIT_ENDS
def test_nothing_to_commit_is_no_error(wire: Wire, version: int) -> None:
    assert wire.call(OffsetCommitRequest(group_id=fresh("group")), version) == OffsetCommitResponse()


# OffsetFetch


@every_version(OffsetFetchRequest)
def test_offsets_are_fetched(wire: Wire, version: int) -> None:
    topic, second, group = make_topic(wire, partitions=3), make_topic(wire), fresh("group")
    commit(wire, group, topic, (0, 5), (2, 7))
    request = fetch_request(version, group, (topic, [0, 1, 2]), (second, [0]))
    expected = fetch_answer(
        version, group, (topic, [committed(0, 5), nothing(1), committed(2, 7)]), (second, [nothing(0)])
    )
    assert wire.call(request, version) == as_of(expected, version)


@every_version(OffsetFetchRequest, since=2)
def test_null_topics_are_all_that_were_committed(wire: Wire, version: int) -> None:
    topic, second, group = make_topic(wire, partitions=3), make_topic(wire), fresh("group")
    commit(wire, group, topic, (2, 7), (0, 5))
    commit(wire, group, second, (0, 9))
    ordered = sorted([(topic, [committed(0, 5), committed(2, 7)]), (second, [committed(0, 9)])])
    request = fetch_request(version, group, all_topics=True)
    assert wire.call(request, version) == as_of(fetch_answer(version, group, *ordered), version)


@every_version(OffsetFetchRequest)
def test_a_group_that_does_not_exist_has_committed_nothing(wire: Wire, topic: Topic, version: int) -> None:
    group = fresh("group")
    expected = fetch_answer(version, group, (topic, [nothing(0)]))
    assert wire.call(fetch_request(version, group, (topic, [0])), version) == as_of(expected, version)
    if version >= 2:
        expected = as_of(fetch_answer(version, group), version)
        assert wire.call(fetch_request(version, group, all_topics=True), version) == expected


@FETCH_ENDS
def test_offsets_of_an_unknown_topic_are_unknown(wire: Wire, version: int) -> None:
    group = fresh("group")
    found = nothing(0)
    if version >= 10:
        found["error_code"] = ErrorCode.UNKNOWN_TOPIC_ID
    expected = as_of(fetch_answer(version, group, (NOWHERE, [found])), version)
    assert wire.call(fetch_request(version, group, (NOWHERE, [0])), version) == expected


def test_offsets_of_a_topic_made_again_are_not_those_of_the_old_one(wire: Wire, topic: Topic) -> None:
    group = fresh("group")
    commit(wire, group, topic, (0, 5))
    wire.call(DeleteTopicsRequest(topic_names=[topic.name]), 5)
    again = make_topic(wire, name=topic.name)
    for asked, code in ((topic, ErrorCode.UNKNOWN_TOPIC_ID), (again, ErrorCode.NONE)):
        (found,) = wire.call(fetch_request(10, group, (asked, [0])), 10).groups[0].topics[0].partitions
        assert (found.committed_offset, found.error_code) == (-1, code)
    assert wire.call(fetch_request(10, group, all_topics=True), 10).groups[0].topics == []


@every_version(OffsetFetchRequest, since=8)
def test_several_groups_are_fetched_at_once(wire: Wire, topic: Topic, version: int) -> None:
    """KIP-709."""
    groups = [fresh("group") for _ in range(3)]
    commit(wire, groups[0], topic, (0, 5))
    commit(wire, groups[2], topic, (0, 7))
    request = OffsetFetchRequest(
        groups=[
            OffsetFetchRequestGroup(
                group_id=group,
                topics=[OffsetFetchRequestTopics(name=topic.name, topic_id=topic.topic_id, partition_indexes=[0])],
            )
            for group in groups
        ]
    )
    response = wire.call(request, version)
    found = [(group.group_id, group.topics[0].partitions[0].committed_offset) for group in response.groups]
    assert found == [(groups[0], 5), (groups[1], -1), (groups[2], 7)]
    assert all(group.error_code == 0 for group in response.groups)


@both_ends(OffsetFetchRequest, since=8)
def test_no_groups_are_answered_with_none(wire: Wire, version: int) -> None:
    assert wire.call(OffsetFetchRequest(), version) == OffsetFetchResponse()


@FETCH_ENDS
def test_no_topics_are_answered_with_none(wire: Wire, topic: Topic, version: int) -> None:
    group = fresh("group")
    commit(wire, group, topic, (0, 5))
    expected = as_of(fetch_answer(version, group), version)
    assert wire.call(fetch_request(version, group), version) == expected


@both_ends(OffsetFetchRequest, since=7)
def test_stable_offsets_are_fetched(wire: Wire, topic: Topic, version: int) -> None:
    group = fresh("group")
    commit(wire, group, topic, (0, 5))
    request = fetch_request(version, group, (topic, [0]))
    request.require_stable = True
    expected = fetch_answer(version, group, (topic, [committed(0, 5)]))
    assert wire.call(request, version) == as_of(expected, version)


def test_offsets_outlive_their_members_and_a_crash(broker: BrokerProcess, wire: Wire, topic: Topic) -> None:
    member = stable_alone(wire)
    values = {"generation_id_or_member_epoch": 1, "member_id": member.member_id}
    commit(wire, member.group_id, topic, (0, 5), **values)
    wire.call(LeaveGroupRequest(group_id=member.group_id, member_id=member.member_id), 0)
    wire.socket.close()
    broker.kill()
    broker.start()
    with Wire(broker.port) as again:
        expected = fetch_answer(10, member.group_id, (topic, [committed(0, 5)]))
        assert again.call(fetch_request(10, member.group_id, (topic, [0])), 10) == as_of(expected, 10)
