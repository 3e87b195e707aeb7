"""The phases of a rebalance and their deadlines."""

import pytest

from barnabas.protocol.errors import ErrorCode as E

STATIC = {"group_instance_id": "i"}


def keep_alive(groups, seconds, *members):
    """Let time pass while ``members`` send their heartbeats; return what the last ones were answered."""
    errors = []
    for _ in range(seconds):
        groups.wait(1)
        errors = [groups.heartbeat(member) for member in members]
    return errors


# The first rebalance


def test_the_first_rebalance_waits_for_the_initial_delay(groups):
    joined = groups.join()
    groups.wait(2.9)
    assert joined.waits
    groups.wait(0.2)
    assert joined.generation_id == 1


def test_every_newcomer_extends_the_initial_delay(groups):
    first = groups.join()
    groups.wait(2)
    second = groups.join()
    groups.wait(2)
    assert first.waits
    third = groups.join()
    groups.wait(4.9)
    assert first.waits
    groups.wait(0.2)
    assert first.generation_id == second.generation_id == third.generation_id == 1
    assert len(first.members) == 3


def test_the_initial_delays_together_do_not_exceed_the_rebalance_timeout(groups):
    first = groups.join(rebalance_timeout_ms=7_000)
    for _ in range(7):
        assert first.waits
        groups.join()
        groups.wait(1)
    groups.wait(0.1)
    assert first.generation_id == 1


def test_without_an_initial_delay_the_first_member_is_answered_on_the_next_turn_of_the_loop(make_groups):
    groups = make_groups(group_initial_rebalance_delay_ms=0)
    joined = groups.join()
    assert groups.coordinator.next_deadline() == groups.clock.monotonic()
    groups.coordinator.advance()
    assert joined.error is E.NONE


def test_a_group_that_lost_everybody_during_the_initial_delay_is_empty_again(groups):
    groups.join()
    groups.leave(next(iter(groups.members())))
    groups.wait(3)
    assert groups.state() == "Empty"
    assert groups.join().waits


# Later rebalances


def test_a_rebalance_ends_as_soon_as_all_members_have_joined(groups):
    leader, follower = groups.stable({}, {})
    newcomer = groups.join()
    rejoined = groups.join(follower.member_id)
    assert newcomer.waits
    assert rejoined.waits
    again = groups.join(leader.member_id)
    assert again.generation_id == rejoined.generation_id == newcomer.generation_id == 2
    assert again.leader == leader.member_id
    assert len(again.members) == 3


def test_two_members_that_come_during_one_rebalance_are_both_in_the_next_generation(groups):
    (leader,) = groups.stable({})
    newcomers = [groups.join() for _ in range(5)]
    again = groups.join(leader.member_id)
    assert [newcomer.generation_id for newcomer in newcomers] == [2] * 5
    assert len(again.members) == 6


def test_a_rebalance_waits_for_those_who_were_told_to_come_back_with_an_id(groups):
    leader, _ = groups.stable({}, {})
    pending = groups.join(requires_known_member_id=True).member_id
    rejoined = groups.join(leader.member_id)
    groups.leave(next(m for m in groups.members() if m != leader.member_id))
    assert rejoined.waits
    joined = groups.join(pending)
    assert joined.generation_id == rejoined.generation_id == 2


def test_a_rebalance_stops_waiting_for_an_id_that_expired(groups):
    (leader,) = groups.stable({})
    groups.join(requires_known_member_id=True)
    rejoined = groups.join(leader.member_id)
    groups.wait(9.9)
    assert rejoined.waits
    groups.wait(0.2)
    assert rejoined.generation_id == 2


def test_a_newcomer_during_the_sync_phase_starts_it_over(groups):
    leader, follower = groups.joined({}, {})
    synced = groups.sync(follower)
    newcomer = groups.join()
    assert synced.error is E.REBALANCE_IN_PROGRESS
    groups.join(leader.member_id)
    groups.join(follower.member_id)
    assert newcomer.generation_id == 2
    assert groups.sync(leader).error is E.ILLEGAL_GENERATION


def test_a_leader_that_leaves_in_the_sync_phase_is_replaced(groups):
    leader, follower, other = groups.joined({}, {}, {})
    synced = groups.sync(follower)
    groups.leave(leader.member_id)
    assert synced.error is E.REBALANCE_IN_PROGRESS
    rejoined = groups.join(other.member_id), groups.join(follower.member_id)
    assert {joined.leader for joined in rejoined} == {follower.member_id}
    assert len(rejoined[1].members) == 2


def test_members_that_do_not_rejoin_in_time_are_dropped(groups):
    leader, follower = groups.stable({}, {})
    rejoined = groups.join(follower.member_id, protocols=[("range", b"new")])
    assert keep_alive(groups, 59, leader) == [E.REBALANCE_IN_PROGRESS]
    assert rejoined.waits
    groups.wait(1.1)
    assert rejoined.generation_id == 2
    assert rejoined.leader == rejoined.member_id
    assert groups.heartbeat(leader) is E.UNKNOWN_MEMBER_ID


def test_a_static_member_that_does_not_rejoin_in_time_stays_until_its_session_ends(groups):
    leader, static = groups.stable({"rebalance_timeout_ms": 5_000}, {"rebalance_timeout_ms": 5_000, **STATIC})
    rejoined = groups.join(leader.member_id, rebalance_timeout_ms=5_000)
    groups.wait(5.1)
    assert rejoined.generation_id == 2
    assert [member.member_id for member in rejoined.members] == [leader.member_id, static.member_id]


def test_a_group_of_static_members_that_are_all_silent_waits_for_their_sessions(groups):
    members = [{"group_instance_id": name, "rebalance_timeout_ms": 0} for name in "abc"]
    joined = groups.join(**members[0]), groups.join(**members[1])
    groups.wait(4.1)  # with a second to sync, the rebalance starts over
    assert [answer.error for answer in joined] == [E.NONE, E.NONE]
    assert groups.state() == "Empty"


def test_silent_static_members_keep_a_rebalance_open_until_one_returns(groups):
    fields = {"session_timeout_ms": 20_000, "rebalance_timeout_ms": 5_000}
    groups.stable({**fields, "group_instance_id": "a"}, {**fields, "group_instance_id": "b"}, fields)
    dynamic = next(m for m in groups.members() if m.startswith("client"))
    groups.leave(dynamic)
    groups.wait(12)
    assert groups.state() == "PreparingRebalance"
    returned = groups.join(group_instance_id="b", **fields)
    groups.wait(5.1)
    assert returned.error is E.NONE
    assert returned.leader == returned.member_id


def test_the_leader_stays_the_leader_while_it_rejoins(groups):
    leader, follower = groups.stable({}, {})
    groups.join()
    groups.join(follower.member_id)
    assert groups.join(leader.member_id).leader == leader.member_id


# Sessions


def test_a_silent_member_leaves_after_its_session_timeout(groups):
    leader, follower = groups.stable({}, {})
    keep_alive(groups, 9, leader)
    assert groups.state() == "Stable"
    assert keep_alive(groups, 2, leader) == [E.REBALANCE_IN_PROGRESS]
    assert groups.heartbeat(follower) is E.UNKNOWN_MEMBER_ID
    assert groups.join(leader.member_id).generation_id == 2


@pytest.mark.parametrize("way", ["heartbeat", "sync", "commit"])
def test_a_session_is_refreshed_by(groups, way):
    (leader,) = groups.stable({})
    refresh = {
        "heartbeat": lambda: groups.heartbeat(leader),
        "sync": lambda: groups.sync(leader).error,
        "commit": lambda: groups.commit(leader.member_id, leader.generation_id),
    }[way]
    for _ in range(3):
        groups.wait(9)
        assert refresh() is E.NONE
    groups.wait(10.1)
    assert groups.state() == "Empty"


@pytest.mark.parametrize("way", ["heartbeat", "commit"])
def test_a_session_is_refreshed_during_the_join_phase_too(groups, way):
    leader, follower = groups.stable({}, {})
    rejoined = groups.join(leader.member_id)
    for _ in range(5):
        groups.wait(9)
        if way == "heartbeat":
            assert groups.heartbeat(follower) is E.REBALANCE_IN_PROGRESS
        else:
            assert groups.commit(follower.member_id, 1) is E.NONE
    assert groups.join(follower.member_id).error is rejoined.error is E.NONE


def test_a_session_does_not_end_while_the_member_waits_for_the_others_to_join(groups):
    leader, follower = groups.stable({}, {})
    rejoined = groups.join(leader.member_id)
    keep_alive(groups, 30, follower)
    assert rejoined.waits
    groups.join(follower.member_id)
    assert rejoined.error is E.NONE


def test_a_session_does_not_end_while_the_member_waits_for_its_assignment(groups):
    leader, follower = groups.joined({}, {})
    synced = groups.sync(follower)
    keep_alive(groups, 30, leader)
    assert synced.waits
    groups.sync(leader, {follower.member_id: b"a"})
    assert synced.assignment == b"a"
    keep_alive(groups, 9, leader)
    assert groups.heartbeat(follower) is E.NONE


def test_a_member_that_waited_for_longer_than_its_session_can_still_time_out(groups):
    leader, follower = groups.stable({}, {})
    rejoined = groups.join(leader.member_id)
    keep_alive(groups, 20, follower)
    again = groups.join(follower.member_id)
    synced = groups.sync(again)
    keep_alive(groups, 20, rejoined)
    groups.sync(rejoined)
    assert (synced.error, groups.state()) == (E.NONE, "Stable")
    keep_alive(groups, 9, rejoined)
    assert groups.state() == "Stable"
    keep_alive(groups, 2, rejoined)
    assert list(groups.members()) == [leader.member_id]


def test_a_member_that_waited_for_the_others_and_then_fell_silent_is_let_go(groups):
    leader, follower = groups.stable({}, {})
    rejoined = groups.join(leader.member_id)
    keep_alive(groups, 20, follower)
    again = groups.join(follower.member_id)
    keep_alive(groups, 11, again)
    assert groups.heartbeat(rejoined) is E.UNKNOWN_MEMBER_ID


def test_a_session_begins_anew_with_the_answer_to_the_join(groups):
    leader, _ = groups.stable({}, {})
    rejoined = groups.join(leader.member_id)
    groups.wait(11)
    assert rejoined.generation_id == 2
    groups.wait(9)
    assert groups.heartbeat(rejoined) is E.NONE


def test_a_newcomer_that_waits_for_five_minutes_is_let_go(groups):
    fields = {"session_timeout_ms": 1_800_000, "rebalance_timeout_ms": 600_000}
    leader, _ = groups.stable(fields, fields)
    newcomer, rejoined = groups.join(), groups.join(leader.member_id, **fields)
    groups.wait(299)
    assert newcomer.waits
    groups.wait(1.1)
    assert (newcomer.error, newcomer.member_id) == (E.UNKNOWN_MEMBER_ID, "")
    assert rejoined.waits


def test_a_group_becomes_empty_when_all_sessions_end(groups):
    groups.stable({}, {}, STATIC)
    groups.wait(10.1)
    groups.wait(60)
    assert groups.state() == "Empty"
    assert groups.coordinator.next_deadline() is None


# Sync phase


@pytest.mark.parametrize("rebalance_timeout_ms", [0, 1, -5])
def test_a_member_has_a_second_to_sync_whatever_rebalance_timeout_it_names(groups, rebalance_timeout_ms):
    fields = {"rebalance_timeout_ms": rebalance_timeout_ms}
    (joined,) = groups.joined(fields)
    groups.wait(0.9)
    assert groups.sync(joined, {joined.member_id: b"a"}).assignment == b"a"
    groups.join(joined.member_id, **fields)  # the leader, so there is a new generation
    groups.wait(1.1)
    assert groups.heartbeat(joined) is E.UNKNOWN_MEMBER_ID


def test_members_that_do_not_sync_in_time_are_dropped(groups):
    leader, follower, other = groups.joined({}, {}, {})
    groups.sync(leader, {follower.member_id: b"a"})
    groups.sync(follower)
    assert keep_alive(groups, 59, leader, follower, other) == [E.NONE] * 3
    groups.wait(1.1)
    assert groups.heartbeat(other) is E.UNKNOWN_MEMBER_ID
    assert groups.heartbeat(leader) is groups.heartbeat(follower) is E.REBALANCE_IN_PROGRESS


def test_a_leader_that_does_not_sync_in_time_is_dropped(groups):
    leader, follower = groups.joined({}, {})
    synced = groups.sync(follower)
    keep_alive(groups, 59, leader)
    assert synced.waits
    groups.wait(1.1)
    assert synced.error is E.REBALANCE_IN_PROGRESS
    assert groups.join(follower.member_id).leader == follower.member_id


def test_once_all_have_synced_there_is_no_deadline_but_the_sessions(groups):
    leader, follower = groups.stable({}, {})
    assert keep_alive(groups, 100, leader, follower) == [E.NONE, E.NONE]
