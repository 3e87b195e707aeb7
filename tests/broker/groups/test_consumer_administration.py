"""Groups of the consumer protocol: limits, lists, deletion, and offsets that get old."""

from collections.abc import Callable
from typing import Any

import pytest
from support.consumer_members import beat, join

from barnabas.broker.errors import ApiError
from barnabas.broker.groups import LeavingMember, OffsetToCommit
from barnabas.protocol.errors import ErrorCode as E

RETENTION_S = 7 * 24 * 3600


@pytest.fixture
def topic(groups: Any) -> bytes:
    """The topic "t" with four partitions."""
    return groups.topics.make("t", 4)


def refusal(call: Callable[..., Any], *args: Any, **fields: Any) -> E:
    with pytest.raises(ApiError) as caught:
        call(*args, **fields)
    return caught.value.code


def describe(groups: Any) -> Any:
    return groups.coordinator.describe_consumer_group("g")


def members(groups: Any) -> set[str]:
    return {member.member_id for member in describe(groups).members}


# Limits and administration


def test_a_full_group_takes_nobody_in_and_lets_its_members_live(make_groups):
    groups = make_groups(consumer_group_max_size=1)
    groups.topics.make("t", 1)
    epoch = join(groups, "one").member_epoch
    assert refusal(join, groups, "two") is E.GROUP_MAX_SIZE_REACHED
    beat(groups, "one", epoch)
    assert join(groups, "one").member_epoch == epoch
    beat(groups, "one", -1)
    assert join(groups, "two").assignment is not None


def test_a_group_is_listed_by_its_state_and_type(groups, topic):
    join(groups, "one")
    listed = groups.coordinator.list_groups
    assert listed() == [("g", "consumer", "Stable", "consumer")]
    assert listed(["stable"], ["Consumer"]) == listed()
    assert listed(["empty"]) == listed([], ["classic"]) == []
    epoch = join(groups, "two").member_epoch
    assert [group.state for group in listed()] == ["Reconciling"]
    beat(groups, "one", -1)
    assert [group.state for group in listed()] == ["Assigning"]
    beat(groups, "two", epoch)
    beat(groups, "two", -1)
    assert [group.state for group in listed()] == ["Empty"]


def test_only_an_empty_group_can_be_deleted(groups, topic):
    join(groups, "one")
    assert groups.coordinator.delete_groups(["g"]) == [("g", E.NON_EMPTY_GROUP)]
    beat(groups, "one", -1)
    assert groups.coordinator.delete_groups(["g"]) == [("g", E.NONE)]
    assert refusal(describe, groups) is E.GROUP_ID_NOT_FOUND
    groups.crash()
    assert groups.coordinator.list_groups() == []


def test_an_administrator_takes_members_out_by_id_or_instance(groups, topic):
    epoch = join(groups, "one").member_epoch
    join(groups, "two", instance_id="x")
    leaving = [LeavingMember("one"), LeavingMember("", "x"), LeavingMember("nobody"), LeavingMember("one", "y")]
    left = groups.coordinator.leave_group("g", leaving)
    unknown = E.UNKNOWN_MEMBER_ID
    assert [member.error for member in left.members] == [E.NONE, E.NONE, unknown, unknown]
    assert refusal(beat, groups, "one", epoch) is E.UNKNOWN_MEMBER_ID


# Offsets


def test_offsets_of_topics_that_are_read_stay(groups, topic):
    epoch = join(groups, "one").member_epoch
    assert groups.commit("one", epoch, offset=5, api_version=9) is E.NONE
    groups.clock.advance(RETENTION_S)
    groups.coordinator.expire()
    assert groups.committed() == 5


def test_offsets_of_topics_that_nobody_reads_go_when_they_are_old(groups, topic):
    epoch = join(groups, "one", "other").member_epoch
    groups.commit("one", epoch, offset=5, api_version=9)
    groups.clock.advance(RETENTION_S - 1)
    groups.coordinator.expire()
    assert groups.committed() == 5
    groups.clock.advance(1)
    groups.coordinator.expire()
    assert groups.committed() == -1
    assert members(groups) == {"one"}


def test_an_empty_group_goes_with_its_last_offset(groups, topic):
    epoch = join(groups, "one").member_epoch
    groups.commit("one", epoch, offset=5, api_version=9)
    beat(groups, "one", -1)
    groups.wait(RETENTION_S - 1)
    groups.coordinator.expire()
    assert [group.group_id for group in groups.coordinator.list_groups()] == ["g"]
    groups.wait(1)
    groups.coordinator.expire()
    assert groups.coordinator.list_groups() == []
    groups.crash()
    assert groups.coordinator.list_groups() == []


def test_a_group_with_members_does_not_go(groups, topic):
    epoch = join(groups, "one").member_epoch
    groups.clock.advance(RETENTION_S)
    beat(groups, "one", epoch)
    groups.coordinator.expire()
    assert members(groups) == {"one"}


# Commits with an epoch that is not the newest (KIP-1251)


def test_who_has_a_partition_since_then_may_commit_with_an_older_epoch(groups, topic):
    old = join(groups, "one").member_epoch
    join(groups, "two")
    kept = beat(groups, "one", old).assignment
    epoch = beat(groups, "one", old, owned=kept).member_epoch
    assert (kept, epoch) == ({topic: frozenset({0, 1})}, old + 1)

    def commit(member_epoch, *partitions):
        offsets = [OffsetToCommit("t", partition, 1) for partition in partitions]
        return set(groups.coordinator.commit_offsets("g", "one", None, member_epoch, offsets, api_version=9))

    assert commit(old, 0, 1) == {E.NONE}
    assert commit(old, 2) == {E.STALE_MEMBER_EPOCH}
    assert commit(old, 0, 2) == {E.STALE_MEMBER_EPOCH}
    assert commit(epoch, 2) == {E.NONE}
    assert commit(old - 1, 0) == commit(epoch + 1, 0) == commit(-1, 0) == {E.STALE_MEMBER_EPOCH}
    assert groups.coordinator.check_offset_fetch("g", "one", old) is E.STALE_MEMBER_EPOCH
