"""Joining, syncing, leaving: what the table of states does not show."""

import re

import pytest

from barnabas.broker.groups import LeavingMember, classic
from barnabas.protocol.errors import ErrorCode as E

STATIC = {"group_instance_id": "i"}


def test_a_member_id_is_the_client_id_and_a_uuid(groups):
    joined = groups.join(client_id="app", requires_known_member_id=True)
    assert re.fullmatch(r"app-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", joined.member_id)


def test_a_static_member_is_never_asked_to_come_back_with_an_id(groups):
    joined = groups.join(group_instance_id="i", requires_known_member_id=True)
    groups.wait(3)
    assert joined.error is E.NONE
    assert joined.member_id.startswith("i-")


def test_a_long_reason_to_join_is_cut(groups, caplog):
    with caplog.at_level("INFO"):
        groups.join(reason=256 * "r")
        groups.wait(3)
    assert f" is new ({255 * 'r'})" in caplog.text


def test_an_id_that_was_handed_out_can_be_used_to_join(groups):
    member_id = groups.join(requires_known_member_id=True).member_id
    joined = groups.join(member_id, requires_known_member_id=True)
    groups.wait(3)
    assert (joined.error, joined.member_id, joined.leader, joined.generation_id) == (E.NONE, member_id, member_id, 1)


def test_an_id_that_was_handed_out_is_forgotten_after_the_session_timeout(groups):
    member_id = groups.join(requires_known_member_id=True).member_id
    groups.wait(10)
    assert groups.join(member_id).error is E.UNKNOWN_MEMBER_ID


def test_ids_handed_out_are_limited(groups, monkeypatch):
    monkeypatch.setattr(classic, "PENDING_MEMBERS_MAX", 2)
    errors = [groups.join(requires_known_member_id=True).error for _ in range(3)]
    assert errors == [E.MEMBER_ID_REQUIRED, E.MEMBER_ID_REQUIRED, E.GROUP_MAX_SIZE_REACHED]


@pytest.mark.parametrize("timeout_ms", [5_999, 1_800_001])
def test_the_session_timeout_must_lie_within_the_brokers_bounds(groups, timeout_ms):
    assert groups.join(session_timeout_ms=timeout_ms).error is E.INVALID_SESSION_TIMEOUT
    assert groups.state() == "Dead"


@pytest.mark.parametrize(
    "fields",
    [
        {"protocol_type": "connect"},
        {"protocols": [("sticky", b"")]},
        {"protocols": []},
        {"protocols": [(f"p{n}", b"") for n in range(classic.PROTOCOLS_MAX)] + [("range", b"")]},
    ],
)
def test_a_member_must_speak_a_protocol_of_the_group(groups, fields):
    groups.stable({})
    assert groups.join(**fields).error is E.INCONSISTENT_GROUP_PROTOCOL
    assert groups.state() == "Stable"


@pytest.mark.parametrize("fields", [{"protocol_type": ""}, {"protocols": []}])
def test_the_first_member_must_speak_some_protocol(groups, fields):
    assert groups.join(**fields).error is E.INCONSISTENT_GROUP_PROTOCOL
    assert groups.state() == "Dead"


def test_the_protocol_most_members_prefer_among_those_all_support_is_chosen(groups):
    range_first = {"protocols": [("cooperative", b"c"), ("range", b"r1"), ("sticky", b"s1")]}
    sticky_first = {"protocols": [("sticky", b"s2"), ("range", b"r2")]}
    leader, *_ = groups.joined(range_first, sticky_first, sticky_first)
    assert leader.protocol_name == "sticky"
    assert [member.metadata for member in leader.members] == [b"s1", b"s2", b"s2"]


def test_only_the_leader_learns_who_is_in_the_group(groups):
    leader, follower = groups.joined({}, {})
    assert [member.member_id for member in leader.members] == [leader.member_id, follower.member_id]
    assert follower.members == ()
    assert follower.leader == leader.leader == leader.member_id
    assert follower.protocol_type == "consumer"


def test_the_rebalance_timeout_is_the_session_timeout_if_the_client_names_none(groups):
    leader, follower = groups.stable({"rebalance_timeout_ms": -1}, {"rebalance_timeout_ms": -1})
    rejoined = groups.join(leader.member_id, rebalance_timeout_ms=-1)
    groups.wait(9)
    groups.heartbeat(follower)
    assert rejoined.waits
    groups.wait(1)
    assert rejoined.generation_id == 2
    assert list(groups.members()) == [leader.member_id]


def test_a_follower_may_sync_before_the_leader(groups):
    leader, follower = groups.joined({}, {})
    early = groups.sync(follower)
    assert early.waits
    groups.sync(leader, {follower.member_id: b"yours", leader.member_id: b"mine", "gone": b"nobody's"})
    assert early.result == (E.NONE, "consumer", "range", b"yours")
    assert groups.members() == {leader.member_id: b"mine", follower.member_id: b"yours"}


def test_a_member_that_the_leader_forgot_gets_an_empty_assignment(groups):
    leader, follower = groups.joined({}, {})
    early = groups.sync(follower)
    groups.sync(leader, {leader.member_id: b"all"})
    assert (early.error, early.assignment) == (E.NONE, b"")


@pytest.mark.parametrize("claim", [{"protocol_type": "connect"}, {"protocol_name": "sticky"}])
def test_a_sync_that_names_another_protocol_is_refused(groups, claim):
    (leader,) = groups.joined({})
    assert groups.sync(leader, **claim).error is E.INCONSISTENT_GROUP_PROTOCOL
    assert groups.sync(leader, protocol_type="consumer", protocol_name="range").error is E.NONE


def test_a_repeated_request_releases_the_one_it_repeats(groups):
    leader, follower = groups.joined({}, {})
    first, second = groups.sync(follower), groups.sync(follower)
    assert (first.error, second.waits) == (E.REBALANCE_IN_PROGRESS, True)
    groups.sync(leader)
    first, second = groups.join(leader.member_id), groups.join(leader.member_id)
    assert (first.error, second.waits) == (E.REBALANCE_IN_PROGRESS, True)
    groups.join(follower.member_id)
    assert second.error is E.NONE


def test_leaving_members_are_answered_one_by_one(groups):
    leader, static = groups.stable({}, STATIC)
    pending = groups.join(requires_known_member_id=True).member_id
    leaving = [
        LeavingMember(leader.member_id),
        LeavingMember(leader.member_id),
        LeavingMember(pending),
        LeavingMember("", "i", "scaled down"),
        LeavingMember("", "other"),
        LeavingMember(""),
    ]
    result = groups.coordinator.leave_group("g", leaving)
    assert result.error is E.NONE
    assert [member.error for member in result.members] == [0, 25, 0, 0, 25, 25]
    assert [member[:2] for member in result.members] == [member[:2] for member in leaving]
    assert groups.state() == "Empty"
    assert groups.heartbeat(static) is E.UNKNOWN_MEMBER_ID


def test_a_pending_member_that_leaves_disturbs_nobody(groups):
    (leader,) = groups.stable({})
    pending = groups.join(requires_known_member_id=True).member_id
    assert groups.leave(pending) is E.NONE
    assert groups.state() == "Stable"
    assert groups.heartbeat(leader) is E.NONE


def test_who_leaves_while_it_waits_is_answered(groups):
    leader, follower = groups.joined({}, {})
    synced = groups.sync(follower)
    groups.leave(follower.member_id)
    assert synced.error is E.UNKNOWN_MEMBER_ID
    groups.leave(leader.member_id)
    joined = groups.join()
    member_id = next(iter(groups.members()))
    groups.leave(member_id)
    assert joined.error is E.UNKNOWN_MEMBER_ID


def test_a_generation_ends_when_the_last_member_leaves(groups):
    (leader,) = groups.stable({})
    groups.leave(leader.member_id)
    (again,) = groups.joined({})
    assert again.generation_id == 3


# Size


def test_a_full_group_accepts_its_members_and_no_others(make_groups):
    groups = make_groups(group_max_size=2)
    leader, follower = groups.stable({}, {})
    refused = groups.join()
    assert (refused.error, refused.member_id) == (E.GROUP_MAX_SIZE_REACHED, "")
    assert groups.join(follower.member_id).error is E.NONE
    rejoined = groups.join(leader.member_id)
    assert groups.join(follower.member_id).error is rejoined.error is E.NONE


def test_a_pending_member_is_turned_away_when_the_group_has_filled_up(make_groups):
    groups = make_groups(group_max_size=1)
    pending = groups.join(requires_known_member_id=True).member_id
    groups.stable({})
    assert groups.join(pending).error is E.GROUP_MAX_SIZE_REACHED
    assert groups.join(pending).error is E.GROUP_MAX_SIZE_REACHED
    assert groups.state() == "Stable"


def test_newcomers_may_take_the_places_of_members_that_did_not_rejoin_yet(make_groups):
    groups = make_groups(group_max_size=2)
    leader, follower = groups.stable({}, {})
    rejoined = groups.join(leader.member_id)
    newcomer = groups.join()
    late = groups.join(follower.member_id)
    assert late.error is E.GROUP_MAX_SIZE_REACHED
    assert rejoined.error is newcomer.error is E.NONE
    assert list(groups.members()) == [leader.member_id, newcomer.member_id]


# Static members (KIP-345)


@pytest.fixture
def static(groups):
    """The follower of a Stable group, restarted: who it was, and its new join."""
    _, old = groups.stable({}, STATIC)
    return old, groups.join(**STATIC)


def test_a_static_member_that_restarts_gets_its_place_back_without_a_rebalance(groups, static):
    old, new = static
    assert (new.error, new.generation_id, new.members, new.skip_assignment) == (E.NONE, 1, (), False)
    assert new.member_id != old.member_id
    assert groups.state() == "Stable"
    assert groups.sync(new, group_instance_id="i").assignment == b"1"


def test_the_former_self_of_a_static_member_is_fenced(groups, static):
    old, _ = static
    assert groups.join(old.member_id, **STATIC).error is E.FENCED_INSTANCE_ID
    assert groups.sync(old, **STATIC).error is E.FENCED_INSTANCE_ID
    assert groups.heartbeat(old, "i") is E.FENCED_INSTANCE_ID
    assert groups.commit(old.member_id, 1, instance_id="i") is E.FENCED_INSTANCE_ID
    assert groups.leave(old.member_id, "i") is E.FENCED_INSTANCE_ID
    assert groups.heartbeat(old) is E.UNKNOWN_MEMBER_ID


def test_an_unknown_instance_id_is_an_unknown_member(groups, static):
    _, new = static
    assert groups.join(new.member_id, group_instance_id="j").error is E.UNKNOWN_MEMBER_ID
    assert groups.heartbeat(new, "j") is E.UNKNOWN_MEMBER_ID
    assert groups.commit(new.member_id, 1, instance_id="j") is E.UNKNOWN_MEMBER_ID


def test_a_static_leader_that_restarts_is_told_to_skip_the_assignment_since_v9(groups):
    old, follower = groups.stable(STATIC, {})
    new = groups.join(**STATIC, supports_skipping_assignment=True)
    assert new.skip_assignment is True
    assert new.leader == new.member_id
    assert [member.member_id for member in new.members] == [new.member_id, follower.member_id]
    assert old.member_id not in groups.members()


def test_a_static_leader_that_restarts_is_told_that_another_leads_before_v9(groups):
    old, _ = groups.stable(STATIC, {})
    new = groups.join(**STATIC)
    assert (new.leader, new.skip_assignment, new.members) == (old.member_id, False, ())
    again = groups.join(new.member_id, **STATIC)
    assert groups.state() == "PreparingRebalance"
    assert again.waits


def test_a_static_member_that_restarts_with_another_protocol_causes_a_rebalance(groups):
    both = [("range", b"r"), ("sticky", b"s")]
    leader, _ = groups.stable({"protocols": both}, {"protocols": both, **STATIC})
    new = groups.join(**STATIC, protocols=[("sticky", b"s")])
    assert new.waits
    assert groups.heartbeat(leader) is E.REBALANCE_IN_PROGRESS
    rejoined = groups.join(leader.member_id, protocols=both)
    assert rejoined.protocol_name == new.protocol_name == "sticky"


def test_what_a_static_member_waited_for_is_fenced_when_it_restarts(groups):
    leader, static = groups.joined({}, STATIC)
    synced = groups.sync(static)
    joined = groups.join(**STATIC)
    assert synced.error is E.FENCED_INSTANCE_ID
    assert groups.state() == "PreparingRebalance"
    newest = groups.join(**STATIC)
    assert (joined.error, joined.generation_id) == (E.FENCED_INSTANCE_ID, -1)
    assert newest.waits
    groups.join(leader.member_id)
    assert newest.error is E.NONE


def test_a_static_member_that_restarts_before_it_synced_still_has_to_sync(groups):
    leader, _ = groups.joined({}, STATIC)
    groups.sync(leader)
    new = groups.join(**STATIC)
    assert (groups.state(), new.error) == ("Stable", E.NONE)
    groups.sync(new)
    for _ in range(15):
        assert groups.heartbeat(leader) is groups.heartbeat(new) is E.NONE
        groups.wait(5)
