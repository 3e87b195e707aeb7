"""Listing, describing, deleting; restarts; and a catalog that refuses."""

import pytest

from barnabas.broker.groups import coordinator
from barnabas.protocol.errors import ErrorCode as E

STATIC = {"group_instance_id": "i"}


# Listing


@pytest.fixture
def one_of_each(groups):
    groups.commit(group_id="empty")
    groups.stable({})
    groups.join(group_id="preparing", protocol_type="connect")
    return groups


@pytest.mark.parametrize(
    ("states", "types", "found"),
    [
        ([], [], ["empty", "g", "preparing"]),
        (["Empty"], [], ["empty"]),
        (["STABLE", " preparingrebalance "], [], ["g", "preparing"]),
        (["Reconciling"], [], []),
        (["nonsense"], [], []),
        ([], ["Classic"], ["empty", "g", "preparing"]),
        ([], ["consumer", "classic"], ["empty", "g", "preparing"]),
        ([], ["consumer"], []),
        ([], ["nonsense"], []),
        (["stable"], ["classic"], ["g"]),
        (["stable"], ["share"], []),
    ],
)
def test_groups_are_listed_by_state_and_type_whatever_the_case(one_of_each, states, types, found):
    assert sorted(group.group_id for group in one_of_each.coordinator.list_groups(states, types)) == found


def test_a_listed_group_says_what_it_is(one_of_each):
    assert sorted(one_of_each.coordinator.list_groups()) == [
        ("empty", "", "Empty", "classic"),
        ("g", "consumer", "Stable", "classic"),
        ("preparing", "connect", "PreparingRebalance", "classic"),
    ]


def test_the_number_of_groups_is_limited(groups, monkeypatch):
    monkeypatch.setattr(coordinator, "GROUPS_MAX", 1)
    groups.stable({})
    assert groups.join(group_id="other").error is E.COORDINATOR_NOT_AVAILABLE
    assert groups.commit(group_id="other") is E.COORDINATOR_NOT_AVAILABLE
    assert groups.join().waits


# Describing


def test_a_stable_group_is_described_with_metadata_and_assignments(groups):
    leader, static = groups.stable({}, {**STATIC, "client_id": "app", "client_host": "/10.0.0.1"})
    (described,) = groups.coordinator.describe_groups(["g"])
    assert described[:5] == (E.NONE, "g", "Stable", "consumer", "range")
    assert described.members == [
        (leader.member_id, None, "client", "/127.0.0.1", b"r", b"0"),
        (static.member_id, "i", "app", "/10.0.0.1", b"r", b"1"),
    ]


def test_during_a_rebalance_the_metadata_is_not_described(groups):
    (leader,) = groups.stable({})
    newcomer = groups.join()
    (described,) = groups.coordinator.describe_groups(["g"])
    assert described[:5] == (E.NONE, "g", "PreparingRebalance", "consumer", "")
    assert [member.metadata for member in described.members] == [b"", b""]
    assert [member.assignment for member in described.members] == [b"0", b""]
    groups.join(leader.member_id)
    assert newcomer.error is E.NONE
    (described,) = groups.coordinator.describe_groups(["g"])
    assert (described.state, described.protocol_data) == ("CompletingRebalance", "")


def test_an_empty_group_keeps_its_protocol_type(groups):
    (leader,) = groups.stable({})
    groups.leave(leader.member_id)
    assert groups.coordinator.describe_groups(["g"])[0][1:] == ("g", "Empty", "consumer", "", [])


# Deleting


def test_a_deleted_group_is_gone_with_its_offsets(groups):
    groups.commit()
    groups.commit(group_id="other")
    groups.stable({"group_id": "g"})
    results = groups.coordinator.delete_groups(["g", "other", "missing", "other"])
    assert results == [("g", 68), ("other", 0), ("missing", 69)]
    assert [group.group_id for group in groups.coordinator.list_groups()] == ["g"]
    assert groups.committed("other") == -1
    assert groups.commit(group_id="other", offset=3) is E.NONE
    groups.crash()
    assert (groups.committed("g"), groups.committed("other")) == (1, 3)


def test_an_id_handed_out_by_a_deleted_group_is_unknown(groups):
    pending = groups.join(requires_known_member_id=True).member_id
    groups.coordinator.delete_groups(["g"])
    assert groups.coordinator.next_deadline() is None
    assert groups.join(pending).error is E.UNKNOWN_MEMBER_ID


# Restarting


def test_members_that_survive_a_restart_go_on_as_if_nothing_had_happened(groups):
    leader, static = groups.stable({}, STATIC)
    before = groups.coordinator.describe_groups(["g"])
    groups.wait(9)
    groups.crash()
    assert groups.coordinator.describe_groups(["g"])[0].members == sorted(before[0].members)
    groups.wait(9)
    assert groups.heartbeat(leader) is groups.heartbeat(static, "i") is E.NONE
    assert groups.commit(leader.member_id, 1, 42) is E.NONE
    assert groups.sync(static, **STATIC).assignment == b"1"
    assert groups.join(static.member_id, **STATIC).generation_id == 1
    assert groups.committed() == 42


def test_members_that_do_not_survive_a_restart_time_out(groups):
    leader, _ = groups.stable({}, {})
    groups.crash()
    groups.wait(9)
    groups.heartbeat(leader)
    groups.wait(2)
    assert groups.state() == "PreparingRebalance"
    assert groups.join(leader.member_id).generation_id == 2


def test_the_leader_is_still_the_leader_after_a_restart(groups):
    leader, follower = groups.stable({}, {})
    groups.crash()
    again = groups.join(follower.member_id, protocols=[("range", b"new")]), groups.join(leader.member_id)
    assert {joined.leader for joined in again} == {leader.member_id}
    assert {joined.generation_id for joined in again} == {2}


def test_a_rebalance_that_a_crash_interrupts_falls_back_to_the_last_complete_generation(groups):
    leader, follower = groups.stable({}, {})
    newcomer = groups.join()
    groups.join(leader.member_id), groups.join(follower.member_id)
    assert groups.state() == "CompletingRebalance"
    groups.crash()
    assert groups.state() == "Stable"
    assert groups.heartbeat(newcomer) is E.UNKNOWN_MEMBER_ID
    assert groups.heartbeat(leader, generation_id=2) is E.ILLEGAL_GENERATION
    assert groups.heartbeat(leader) is E.NONE


def test_an_empty_group_keeps_its_generation_over_a_restart(groups):
    (leader,) = groups.stable({})
    groups.leave(leader.member_id)
    groups.crash()
    assert groups.state() == "Empty"
    assert groups.commit(leader.member_id, 1) is E.UNKNOWN_MEMBER_ID
    assert groups.commit() is E.NONE
    (again,) = groups.joined({})
    assert again.generation_id == 3


def test_a_static_member_that_took_over_stays_after_a_restart(groups):
    old, _ = groups.stable(STATIC, {})
    new = groups.join(**STATIC, supports_skipping_assignment=True)
    groups.crash()
    assert groups.heartbeat(new, "i") is E.NONE
    assert groups.heartbeat(old, "i") is E.FENCED_INSTANCE_ID
    groups.join(new.member_id, **STATIC)
    assert groups.state() == "PreparingRebalance"


def test_a_group_that_is_too_large_after_a_restart_rebalances_to_shed_members(groups):
    leader, follower, other = groups.stable({}, {}, {})
    groups.crash(group_max_size=2)
    assert groups.heartbeat(leader) is E.REBALANCE_IN_PROGRESS
    assert groups.commit(other.member_id, 1) is E.NONE
    answers = [groups.join(member.member_id) for member in (other, follower, leader)]
    assert [answer.error for answer in answers] == [E.NONE, E.NONE, E.GROUP_MAX_SIZE_REACHED]


def test_a_coordinator_that_closes_sends_those_who_wait_elsewhere(groups):
    leader, follower = groups.joined({}, {})
    synced = groups.sync(follower)
    joined = groups.join(group_id="other")
    groups.coordinator.close()
    assert synced.error is joined.error is E.NOT_COORDINATOR
    assert groups.coordinator.next_deadline() is None
    assert groups.join(group_id="third").error is E.COORDINATOR_NOT_AVAILABLE
    assert groups.commit(group_id="third") is E.COORDINATOR_NOT_AVAILABLE
    assert groups.heartbeat(leader) is E.COORDINATOR_NOT_AVAILABLE


# A catalog that refuses


def test_an_assignment_that_cannot_be_stored_is_given_to_nobody(groups):
    leader, follower = groups.joined({}, {})
    waiting = groups.sync(follower)
    groups.catalog.is_full = True
    synced = groups.sync(leader, {follower.member_id: b"a"})
    assert synced.error is waiting.error is E.COORDINATOR_NOT_AVAILABLE
    assert set(groups.members().values()) == {b""}
    assert groups.state() == "PreparingRebalance"
    groups.catalog.is_full = False
    rejoined, _ = groups.join(leader.member_id), groups.join(follower.member_id)
    assert groups.sync(rejoined, {leader.member_id: b"b"}).assignment == b"b"


def test_a_static_member_whose_new_id_cannot_be_stored_keeps_the_old_one(groups):
    _, old = groups.stable({}, STATIC)
    groups.catalog.is_full = True
    new = groups.join(**STATIC, protocols=[("range", b"new")])
    assert (new.error, new.member_id) == (E.COORDINATOR_NOT_AVAILABLE, "")
    assert groups.heartbeat(old, "i") is E.NONE
    assert groups.join(old.member_id, **STATIC).generation_id == 1


def test_the_last_member_leaves_even_if_that_cannot_be_stored(groups):
    (leader,) = groups.stable({})
    groups.catalog.is_full = True
    assert groups.leave(leader.member_id) is E.COORDINATOR_NOT_AVAILABLE
    assert groups.state() == "Empty"
    groups.catalog.is_full = False
    groups.crash()
    assert groups.state() == "Stable"
    groups.wait(11)
    assert groups.state() == "Empty"


def test_a_group_that_cannot_be_deleted_stays(groups):
    groups.commit()
    groups.catalog.is_full = True
    assert groups.coordinator.delete_groups(["g", "missing"]) == [("g", 15), ("missing", 69)]
    assert groups.state() == "Empty"
    assert groups.committed() == 1
