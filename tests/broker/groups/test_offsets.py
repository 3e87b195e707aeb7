import struct

import pytest

from barnabas.broker.groups import FetchedOffset, OffsetToCommit
from barnabas.protocol.errors import ErrorCode as E


def subscription(*topics, version=3):
    names = b"".join(struct.pack(">h", len(topic.encode())) + topic.encode() for topic in topics)
    return struct.pack(">hi", version, len(topics)) + names + struct.pack(">i", -1)


def commit_all(groups, *offsets, **fields):
    return groups.coordinator.commit_offsets("g", "", None, -1, offsets, **fields)


def test_what_was_committed_is_fetched(groups):
    assert commit_all(groups, OffsetToCommit("t", 1, 5, 3, "note"), OffsetToCommit("u", 0, 7, metadata=None)) == [
        0,
        0,
    ]
    assert groups.coordinator.fetch_offsets("g", [("u", 0), ("t", 0), ("t", 1)]) == [
        FetchedOffset("u", 0, 7, -1, ""),
        FetchedOffset("t", 0, -1, -1, ""),
        FetchedOffset("t", 1, 5, 3, "note"),
    ]
    assert sorted(groups.coordinator.fetch_offsets("g", None)) == [
        FetchedOffset("t", 1, 5, 3, "note"),
        FetchedOffset("u", 0, 7, -1, ""),
    ]


def test_metadata_that_is_too_large_is_refused_for_its_partition_only(make_groups):
    groups = make_groups(offset_metadata_max_bytes=4)
    errors = commit_all(
        groups,
        OffsetToCommit("t", 0, 1, metadata="12345"),
        OffsetToCommit("t", 1, 1, metadata="1234"),
        OffsetToCommit("t", 2, 1, metadata="éééé"),
        OffsetToCommit("t", 3, 1, metadata="\N{GRINNING FACE}" * 2),
        OffsetToCommit("t", 4, 1, metadata="\N{GRINNING FACE}" * 3),
    )
    assert errors == [E.OFFSET_METADATA_TOO_LARGE, 0, 0, 0, E.OFFSET_METADATA_TOO_LARGE]
    assert [fetched.partition for fetched in groups.coordinator.fetch_offsets("g", None)] == [1, 2, 3]


@pytest.mark.parametrize(("retention_time_ms", "expires_after_ms"), [(-1, None), (0, 0), (60_000, 60_000)])
def test_a_commit_may_name_its_own_retention(groups, retention_time_ms, expires_after_ms):
    commit_all(groups, OffsetToCommit("t", 0, 1), retention_time_ms=retention_time_ms)
    (stored,) = groups.catalog.offsets("g")
    assert stored.commit_ms == groups.clock.now_ms()
    assert stored.expire_ms == (-1 if expires_after_ms is None else stored.commit_ms + expires_after_ms)


def test_a_group_that_only_has_offsets_is_empty_and_has_no_protocol_type(groups):
    commit_all(groups, OffsetToCommit("t", 0, 1))
    assert groups.coordinator.list_groups() == [("g", "", "Empty", "classic")]
    groups.crash()
    assert groups.coordinator.list_groups() == [("g", "", "Empty", "classic")]
    assert groups.committed() == 1


def test_a_commit_that_stores_nothing_makes_no_group(make_groups):
    groups = make_groups(offset_metadata_max_bytes=0)
    commit_all(groups, OffsetToCommit("t", 0, 1, metadata="x"))
    assert groups.coordinator.list_groups() == []


def test_a_member_may_not_commit_without_its_id(groups):
    (leader,) = groups.stable({})
    assert groups.commit("", leader.generation_id) is E.UNKNOWN_MEMBER_ID
    assert groups.commit(leader.member_id, -1) is E.ILLEGAL_GENERATION


def test_offsets_of_a_topic_that_a_member_reads_cannot_be_deleted(groups):
    groups.stable({"protocols": [("range", subscription("a", "b"))]}, {"protocols": [("range", subscription("é"))]})
    result = groups.coordinator.delete_offsets("g", [("a", 0), ("t", 0), ("é", 1), ("u", 5)])
    assert result.error is E.NONE
    assert result.partitions == [E.GROUP_SUBSCRIBED_TO_TOPIC, E.NONE, E.GROUP_SUBSCRIBED_TO_TOPIC, E.NONE]


def test_deleted_offsets_are_gone(groups):
    commit_all(groups, OffsetToCommit("t", 0, 1), OffsetToCommit("t", 1, 1))
    groups.coordinator.delete_offsets("g", [("t", 0)])
    assert groups.committed() == -1
    assert [fetched.partition for fetched in groups.coordinator.fetch_offsets("g", None)] == [1]


@pytest.mark.parametrize("phase", ["joined", "stable"])
def test_offsets_of_a_group_that_is_no_consumer_group_are_deleted_only_while_it_is_empty(groups, phase):
    (leader,) = getattr(groups, phase)({"protocol_type": "connect"})
    assert groups.coordinator.delete_offsets("g", [("t", 0)]).error is E.NON_EMPTY_GROUP
    groups.leave(leader.member_id)
    assert groups.coordinator.delete_offsets("g", [("t", 0)]).error is E.NONE


def test_a_full_disk_makes_the_coordinator_unavailable_to_commits(groups):
    groups.catalog.is_full = True
    assert groups.commit() is E.COORDINATOR_NOT_AVAILABLE
    assert groups.coordinator.list_groups() == []
    groups.catalog.is_full = False
    assert groups.commit() is E.NONE
    groups.catalog.is_full = True
    assert groups.coordinator.delete_offsets("g", [("t", 0)]).error is E.COORDINATOR_NOT_AVAILABLE
    assert groups.committed() == 1
