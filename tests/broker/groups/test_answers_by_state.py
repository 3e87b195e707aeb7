"""What each request is answered in each state of the group: kafka-protocol.md 4.13, cell by cell."""

from typing import NamedTuple

import pytest

from barnabas.broker.groups import FetchedOffset
from barnabas.protocol.errors import ErrorCode as E

STATES = ("missing", "Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead")


class Known(NamedTuple):
    """Somebody who is, or was, or never was a member."""

    member_id: str
    generation_id: int


def bring_to(groups, state):
    """Make "g" be in ``state``; return its leader and a follower, as they know themselves."""
    if state == "missing":
        return Known("nobody", 1), Known("noone", 1)
    if state == "CompletingRebalance":
        leader, follower = groups.joined({}, {})
    else:
        leader, follower = groups.stable({}, {})
    if state == "PreparingRebalance":
        assert groups.join().waits
    if state == "Empty":
        groups.leave(leader.member_id)
        groups.leave(follower.member_id)
    if state == "Dead":
        groups.coordinator.close()
    assert groups.state() == state
    generation_id = 2 if state == "Empty" else 1
    return Known(leader.member_id, generation_id), Known(follower.member_id, generation_id)


def cells(*answers):
    return pytest.mark.parametrize(("state", "answer"), list(zip(STATES, answers, strict=True)), ids=STATES)


def outcome(groups, answer):
    """An error, or the state in which the request waits."""
    return groups.state() if answer.waits else answer.error


PREPARING = "PreparingRebalance"


@cells(PREPARING, PREPARING, PREPARING, PREPARING, PREPARING, E.COORDINATOR_NOT_AVAILABLE)
def test_a_member_without_an_id_joins_and_waits_for_the_rebalance(groups, state, answer):
    bring_to(groups, state)
    assert outcome(groups, groups.join()) == answer


@cells(*[E.MEMBER_ID_REQUIRED] * 5, E.COORDINATOR_NOT_AVAILABLE)
def test_a_member_without_an_id_is_first_given_one_since_v4(groups, state, answer):
    bring_to(groups, state)
    joined = groups.join(requires_known_member_id=True)
    assert joined.error == answer
    assert bool(joined.member_id) is (answer is E.MEMBER_ID_REQUIRED)
    assert groups.state() == ("Empty" if state == "missing" else state)


@cells(E.UNKNOWN_MEMBER_ID, E.UNKNOWN_MEMBER_ID, PREPARING, E.NONE, E.NONE, E.COORDINATOR_NOT_AVAILABLE)
def test_an_unchanged_follower_that_joins_again_gets_the_current_generation_or_waits(groups, state, answer):
    leader, follower = bring_to(groups, state)
    joined = groups.join(follower.member_id)
    assert outcome(groups, joined) == answer
    if answer == E.NONE:
        assert (joined.generation_id, joined.leader, joined.members) == (1, leader.member_id, ())
        assert groups.state() == state


@cells(E.UNKNOWN_MEMBER_ID, E.UNKNOWN_MEMBER_ID, PREPARING, PREPARING, PREPARING, E.COORDINATOR_NOT_AVAILABLE)
def test_a_follower_that_joins_with_other_metadata_causes_a_rebalance(groups, state, answer):
    _, follower = bring_to(groups, state)
    assert outcome(groups, groups.join(follower.member_id, protocols=[("range", b"other")])) == answer


@cells(E.UNKNOWN_MEMBER_ID, E.UNKNOWN_MEMBER_ID, PREPARING, E.NONE, PREPARING, E.COORDINATOR_NOT_AVAILABLE)
def test_an_unchanged_leader_that_joins_again_causes_a_rebalance_once_the_group_is_stable(groups, state, answer):
    leader, follower = bring_to(groups, state)
    joined = groups.join(leader.member_id)
    assert outcome(groups, joined) == answer
    if answer == E.NONE:
        assert [member.member_id for member in joined.members] == [leader.member_id, follower.member_id]


@cells(E.UNKNOWN_MEMBER_ID, E.UNKNOWN_MEMBER_ID, E.REBALANCE_IN_PROGRESS, "CompletingRebalance", E.NONE, 15)
def test_a_follower_that_syncs_waits_for_the_leader_or_gets_its_assignment_again(groups, state, answer):
    _, follower = bring_to(groups, state)
    synced = groups.sync(follower)
    assert outcome(groups, synced) == answer
    if state == "Stable":
        assert synced.result == (E.NONE, "consumer", "range", b"1")


@cells(E.UNKNOWN_MEMBER_ID, E.UNKNOWN_MEMBER_ID, E.REBALANCE_IN_PROGRESS, E.NONE, E.NONE, 15)
def test_a_leader_that_syncs_completes_the_rebalance(groups, state, answer):
    leader, _ = bring_to(groups, state)
    assert outcome(groups, groups.sync(leader, {leader.member_id: b"all"})) == answer
    if answer == E.NONE:
        assert groups.state() == "Stable"


@cells(E.UNKNOWN_MEMBER_ID, E.UNKNOWN_MEMBER_ID, E.REBALANCE_IN_PROGRESS, E.NONE, E.NONE, 15)
def test_a_heartbeat_says_whether_to_join_again(groups, state, answer):
    _, follower = bring_to(groups, state)
    assert groups.heartbeat(follower) == answer


@cells(E.UNKNOWN_MEMBER_ID, E.UNKNOWN_MEMBER_ID, E.NONE, E.NONE, E.NONE, E.COORDINATOR_NOT_AVAILABLE)
def test_a_member_may_leave_whenever_it_is_one(groups, state, answer):
    _, follower = bring_to(groups, state)
    assert groups.leave(follower.member_id) == answer


@cells(E.GROUP_ID_NOT_FOUND, E.UNKNOWN_MEMBER_ID, E.NONE, E.REBALANCE_IN_PROGRESS, E.NONE, 15)
def test_a_member_commits_unless_it_should_fetch_its_assignment_first(groups, state, answer):
    _, follower = bring_to(groups, state)
    error = groups.commit(*follower, api_version=9)
    assert error == answer
    if state != "Dead":
        assert groups.committed() == (1 if error is E.NONE else -1)


def test_before_v9_a_missing_group_is_an_illegal_generation_to_a_commit(groups):
    assert groups.commit("nobody", 1) is E.ILLEGAL_GENERATION


@cells(E.NONE, E.NONE, *[E.UNKNOWN_MEMBER_ID] * 3, E.COORDINATOR_NOT_AVAILABLE)
def test_anybody_may_commit_while_the_group_has_no_members(groups, state, answer):
    bring_to(groups, state)
    assert groups.commit() == answer


@cells(E.ILLEGAL_GENERATION, E.UNKNOWN_MEMBER_ID, E.NONE, E.NONE, E.NONE, E.COORDINATOR_NOT_AVAILABLE)
def test_a_commit_within_a_transaction_does_not_depend_on_the_rebalance(groups, state, answer):
    _, follower = bring_to(groups, state)
    check = groups.coordinator.check_offset_commit
    assert check("g", follower.member_id, None, follower.generation_id, transactional=True) == answer
    if state != "Dead":
        assert check("g", "", None, -1, transactional=True) == E.NONE


@cells(-1, 7, 7, 7, 7, -1)
def test_offsets_can_always_be_fetched(groups, state, answer):
    if state != "missing":
        groups.commit(offset=7)
    bring_to(groups, state)
    assert groups.committed() == answer
    everything = [FetchedOffset("t", 0, 7)] if answer == 7 else []
    assert groups.coordinator.fetch_offsets("g", None) == everything


@cells(E.GROUP_ID_NOT_FOUND, E.NONE, E.NONE, E.NONE, E.NONE, E.GROUP_ID_NOT_FOUND)
def test_offsets_can_be_deleted_from_a_consumer_group(groups, state, answer):
    bring_to(groups, state)
    result = groups.coordinator.delete_offsets("g", [("t", 0)])
    assert result.error == answer
    # The members' metadata is no subscription, so each may read any topic.
    subscribed = state in STATES[2:5]
    if answer is E.NONE:
        assert result.partitions == [E.GROUP_SUBSCRIBED_TO_TOPIC if subscribed else E.NONE]


@cells(E.GROUP_ID_NOT_FOUND, E.NONE, *[E.NON_EMPTY_GROUP] * 3, E.GROUP_ID_NOT_FOUND)
def test_a_group_can_be_deleted_when_it_is_empty(groups, state, answer):
    bring_to(groups, state)
    assert groups.coordinator.delete_groups(["g"]) == [("g", answer)]


@cells("Dead", *STATES[1:])
def test_a_description_names_the_state(groups, state, answer):
    bring_to(groups, state)
    (described,) = groups.coordinator.describe_groups(["g"])
    assert (described.error, described.state) == (E.NONE, answer)
    (described,) = groups.coordinator.describe_groups(["g"], expects_group_id_not_found=True)
    assert described.error == (E.GROUP_ID_NOT_FOUND if state == "missing" else E.NONE)


@pytest.mark.parametrize("state", STATES[2:5])
def test_another_generation_is_illegal_in_every_state(groups, state):
    _, follower = bring_to(groups, state)
    other = follower._replace(generation_id=9)
    assert groups.sync(other).error is E.ILLEGAL_GENERATION
    assert groups.heartbeat(other) is E.ILLEGAL_GENERATION
    assert groups.commit(*other) is E.ILLEGAL_GENERATION


@pytest.mark.parametrize("state", STATES[2:5])
def test_a_stranger_is_unknown_in_every_state(groups, state):
    bring_to(groups, state)
    stranger = Known("stranger", 1)
    assert groups.join("stranger").error is E.UNKNOWN_MEMBER_ID
    assert groups.sync(stranger).error is E.UNKNOWN_MEMBER_ID
    assert groups.heartbeat(stranger) is E.UNKNOWN_MEMBER_ID
    assert groups.leave("stranger") is E.UNKNOWN_MEMBER_ID
    assert groups.commit(*stranger) is E.UNKNOWN_MEMBER_ID


def test_only_offsets_may_belong_to_the_group_without_a_name(groups):
    nobody = Known("m", 1)
    assert groups.join(group_id="").error is E.INVALID_GROUP_ID
    assert groups.sync(nobody, group_id="").error is E.INVALID_GROUP_ID
    assert groups.coordinator.heartbeat("", "m", None, 1) is E.INVALID_GROUP_ID
    assert groups.coordinator.leave_group("", []).error is E.INVALID_GROUP_ID
    assert groups.coordinator.delete_offsets("", []).error is E.INVALID_GROUP_ID
    assert groups.commit(group_id="", offset=5) is E.NONE
    assert groups.committed("") == 5
    assert groups.coordinator.delete_groups([""]) == [("", E.NONE)]
