"""A live group changes between the classic and the consumer protocol, as Kafka's do (KIP-848, online migration)."""

import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.consumer_members import beat, join

from barnabas.broker.errors import ApiError
from barnabas.broker.groups.subscription import read_assignment, write_assignment
from barnabas.protocol.errors import ErrorCode as E
from barnabas.storage.catalog import GroupForgotten
from barnabas.storage.errors import CatalogError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # kafka-python reads its schemas in a deprecated way
    from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription

NAMES = st.text(min_size=1, max_size=9)


@pytest.fixture
def topic(groups: Any) -> bytes:
    """The topic "t" with four partitions."""
    return groups.topics.make("t", 4)


def subscription(*topics: str) -> bytes:
    """Subscribe as a client that gives up everything before it joins again."""
    return bytes(ConsumerProtocolSubscription(topics=list(topics), user_data=None, version=0).encode())


CLASSIC = {"protocols": (("range", subscription("t")), ("roundrobin", subscription("t")))}


def classic_group(groups: Any, **fields: Any) -> Any:
    """Bring a member into a Stable classic group, with all partitions of "t"."""
    joined = groups.join(**CLASSIC, **fields)
    groups.wait(3)
    groups.sync(joined, {joined.member_id: write_assignment({"t": frozenset(range(4))}, 0)})
    return joined


def parts(synced: Any) -> set[int]:
    assert synced.error is E.NONE, synced.error
    named, _ = read_assignment(synced.assignment)
    return set(named.get("t", ()))


def rejoin(groups: Any, joined: Any, **fields: Any) -> tuple[Any, set[int]]:
    """Take a classic member one step on; return its generation and what it has."""
    again = groups.join(joined.member_id, **CLASSIC, **fields)
    return again, parts(groups.sync(again))


def types(groups: Any) -> list[str]:
    return [group.group_type for group in groups.coordinator.list_groups()]


def described(groups: Any) -> dict[str, Any]:
    return {member.member_id: member for member in groups.coordinator.describe_consumer_group("g").members}


def indexes(result: Any) -> set[int]:
    return {index for part in (result.assignment or {}).values() for index in part}


@pytest.fixture
def mixed(groups: Any, topic: bytes) -> tuple[Any, Any, Any]:
    """A group of a classic member and "new", which both have two partitions."""
    old = classic_group(groups)
    new = join(groups, "new")
    assert indexes(new) == set()
    assert groups.heartbeat(old) is E.REBALANCE_IN_PROGRESS
    old, _ = rejoin(groups, old)
    new = beat(groups, "new", new.member_epoch)
    assert indexes(new) == {2, 3}
    return groups, old, new


# From the classic protocol to the new one


def test_a_group_is_upgraded_by_who_joins_with_the_new_protocol(mixed):
    groups, old, new = mixed
    assert types(groups) == ["consumer"]
    assert groups.heartbeat(old) is E.NONE
    assert parts(groups.sync(old)) == {0, 1}
    assert (old.protocol_type, old.protocol_name, old.leader) == ("consumer", "range", "")
    assert old.generation_id == new.member_epoch == 2
    assert {member_id: member.is_classic for member_id, member in described(groups).items()} == {
        old.member_id: True,
        "new": False,
    }


def test_offsets_stay_and_both_kinds_commit(mixed):
    groups, old, new = mixed
    assert groups.commit(old.member_id, old.generation_id, 5, api_version=8) is E.NONE
    assert groups.commit(old.member_id, old.generation_id - 1, 6, api_version=8) is E.ILLEGAL_GENERATION
    assert groups.commit("new", new.member_epoch, 7, api_version=9) is E.NONE
    assert groups.commit("new", new.member_epoch - 1, 8, api_version=9) is E.STALE_MEMBER_EPOCH
    assert groups.committed() == 7


def test_offsets_survive_the_change(groups, topic):
    old = classic_group(groups)
    groups.commit(old.member_id, old.generation_id, 5)
    join(groups, "new")
    assert groups.committed() == 5
    groups.leave("new")
    assert types(groups) == ["classic"]
    assert groups.committed() == 5


def test_a_mixed_group_survives_a_crash(mixed):
    groups, old, new = mixed
    groups.crash()
    assert types(groups) == ["consumer"]
    assert groups.heartbeat(old) is E.NONE
    assert beat(groups, "new", new.member_epoch).member_epoch == new.member_epoch
    assert parts(groups.sync(old)) == {0, 1}


def test_who_waits_for_a_rebalance_is_told_to_begin_again(groups, topic):
    old = classic_group(groups)
    waiting = groups.join(**CLASSIC)
    assert waiting.waits
    join(groups, "new")
    assert waiting.error is E.REBALANCE_IN_PROGRESS
    assert len(described(groups)) == 3
    assert groups.heartbeat(old) is E.REBALANCE_IN_PROGRESS


def test_classic_members_come_and_go_in_a_consumer_group(groups, topic):
    new = join(groups, "new")
    assert groups.join(requires_known_member_id=True, **CLASSIC).error is E.MEMBER_ID_REQUIRED
    old = groups.join("chosen-by-somebody", requires_known_member_id=True, **CLASSIC)
    assert (old.error, parts(groups.sync(old))) == (E.NONE, set())
    assert indexes(beat(groups, "new", new.member_epoch)) == {0, 1}
    new = beat(groups, "new", new.member_epoch, owned={topic: frozenset({0, 1})})
    assert groups.heartbeat(old) is E.REBALANCE_IN_PROGRESS  # what it waited for is free
    old, has = rejoin(groups, old)
    assert has == {2, 3}
    assert groups.leave(old.member_id) is E.NONE
    assert indexes(beat(groups, "new", new.member_epoch)) == {0, 1, 2, 3}
    assert types(groups) == ["consumer"]


def test_a_classic_member_that_does_not_join_again_in_time_is_out(mixed):
    groups, old, _ = mixed
    old, _ = rejoin(groups, old, rebalance_timeout_ms=5_000)
    join(groups, "third")
    for _ in range(5):
        assert groups.heartbeat(old) is E.REBALANCE_IN_PROGRESS
        groups.wait(1)
    assert groups.heartbeat(old) is E.UNKNOWN_MEMBER_ID


def test_a_classic_member_that_does_not_ask_for_its_assignment_in_time_is_out(groups, topic):
    join(groups, "new")
    old = groups.join(rebalance_timeout_ms=5_000, **CLASSIC)
    groups.wait(5.1)
    assert set(described(groups)) == {"new"}
    assert groups.heartbeat(old) is E.UNKNOWN_MEMBER_ID


def test_a_classic_member_without_a_rebalance_timeout_has_a_second_for_each_step(mixed):
    groups, old, _ = mixed
    old = groups.join(old.member_id, **CLASSIC, rebalance_timeout_ms=0)
    groups.wait(0.9)
    assert parts(groups.sync(old)) == {0, 1}
    join(groups, "third")
    assert groups.heartbeat(old) is E.REBALANCE_IN_PROGRESS
    groups.wait(0.9)
    assert groups.join(old.member_id, **CLASSIC, rebalance_timeout_ms=0).error is E.NONE


def test_a_classic_member_has_the_session_timeout_that_it_asked_for(mixed):
    groups, old, _ = mixed
    groups.wait(10.1)
    assert set(described(groups)) == {"new"}
    assert groups.heartbeat(old) is E.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"protocol_type": "connect"}, E.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocols": (("sticky", subscription("t")),)}, E.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocols": ()}, E.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocols": (("range", b"?"),)}, E.UNKNOWN_SERVER_ERROR),
    ],
)
def test_who_does_not_fit_into_a_mixed_group_is_refused(mixed, fields, error):
    groups, _, _ = mixed
    assert groups.join(**fields).error is error
    assert len(described(groups)) == 2


def test_a_mixed_group_knows_its_members(mixed):
    groups, old, _ = mixed
    assert groups.heartbeat(old, generation_id=old.generation_id - 1) is E.ILLEGAL_GENERATION
    assert groups.heartbeat(old, instance_id="i") is E.UNKNOWN_MEMBER_ID
    assert groups.sync(old, member_id="nobody").error is E.UNKNOWN_MEMBER_ID
    assert groups.sync(old, member_id="new").error is E.UNKNOWN_MEMBER_ID  # it does not speak the classic protocol
    assert groups.sync(old, protocol_name="sticky").error is E.INCONSISTENT_GROUP_PROTOCOL
    assert groups.sync(old, protocol_type="connect").error is E.INCONSISTENT_GROUP_PROTOCOL
    assert groups.sync(old, generation_id=old.generation_id + 1).error is E.ILLEGAL_GENERATION


def test_a_member_whose_group_has_gone_on_has_to_join_before_it_syncs(mixed):
    groups, old, _ = mixed
    join(groups, "third")
    assert groups.sync(old).error is E.REBALANCE_IN_PROGRESS


@pytest.mark.parametrize(
    ("config", "fields", "assignment"),
    [
        ({"consumer_migration_policy": "disabled"}, {}, b""),
        ({"consumer_migration_policy": "downgrade"}, {}, b""),
        ({"consumer_group_max_size": 0}, {}, b""),
        ({}, {"protocol_type": "connect"}, b""),
        ({}, {"protocols": (("range", b"?"),)}, b""),
        ({}, {}, b"?"),
        ({}, {}, ConsumerProtocolAssignment(assigned_partitions=[], user_data=b"mine", version=0).encode()),
    ],
)
def test_some_groups_stay_classic(make_groups, config, fields, assignment):
    groups = make_groups(**config)
    groups.topics.make("t", 4)
    old = groups.join(**{**CLASSIC, **fields})
    groups.wait(3)
    groups.sync(old, {old.member_id: bytes(assignment)})
    with pytest.raises(ApiError) as refused:
        join(groups, "new")
    assert refused.value.code is E.GROUP_ID_NOT_FOUND
    assert types(groups) == ["classic"]
    assert groups.heartbeat(old) is E.NONE


def test_a_change_that_cannot_be_stored_does_not_happen(groups, topic):
    old = classic_group(groups)
    groups.catalog.is_full = True
    with pytest.raises(CatalogError):
        join(groups, "new")
    assert types(groups) == ["classic"]
    assert groups.heartbeat(old) is E.NONE


# Refusals of classic members


@pytest.mark.parametrize("version_4", [True, False])
def test_with_migration_disabled_no_classic_member_joins(make_groups, version_4):
    groups = make_groups(consumer_migration_policy="disabled")
    groups.topics.make("t", 4)
    join(groups, "new")
    for member_id in ("", "chosen-by-somebody"):
        refused = groups.join(member_id, requires_known_member_id=version_4, **CLASSIC)
        assert (refused.error, refused.member_id) == (E.INCONSISTENT_GROUP_PROTOCOL, "")
    assert set(described(groups)) == {"new"}


@pytest.mark.parametrize("policy", ["upgrade", "downgrade", "bidirectional"])
def test_with_any_other_policy_a_classic_member_joins(make_groups, policy):
    groups = make_groups(consumer_migration_policy=policy)
    groups.topics.make("t", 4)
    join(groups, "new")
    assert groups.join(requires_known_member_id=True, **CLASSIC).error is E.MEMBER_ID_REQUIRED
    assert groups.join("chosen-by-somebody", requires_known_member_id=True, **CLASSIC).error is E.NONE


def test_a_refusal_of_a_consumer_group_carries_no_member_id(mixed):
    groups, old, _ = mixed
    for member_id, fields, error in (
        (old.member_id, {"protocol_type": "connect"}, E.INCONSISTENT_GROUP_PROTOCOL),
        (old.member_id, {"group_instance_id": "unheard"}, E.UNKNOWN_MEMBER_ID),
    ):
        refused = groups.join(member_id, **CLASSIC | fields)
        assert (refused.error, refused.member_id) == (error, "")


# Static members


def test_a_static_member_moves_to_the_new_protocol_and_keeps_its_partitions(groups, topic):
    old = classic_group(groups, group_instance_id="i")
    new = join(groups, "new", instance_id="i")
    assert indexes(new) == {0, 1, 2, 3}
    assert new.member_epoch == old.generation_id  # nobody else has anything to do
    assert set(described(groups)) == {"new"}
    assert groups.heartbeat(old, instance_id="i") is E.FENCED_INSTANCE_ID


def test_a_static_member_moves_back_and_nobody_rebalances(groups, topic):
    new = join(groups, "new", instance_id="i")
    old = groups.join(group_instance_id="i", **CLASSIC)
    assert types(groups) == ["classic"]
    assert (old.error, old.generation_id) == (E.NONE, new.member_epoch)
    assert parts(groups.sync(old, group_instance_id="i")) == {0, 1, 2, 3}
    assert groups.state() == "Stable"
    groups.crash()
    assert groups.heartbeat(old, instance_id="i") is E.NONE


def test_a_static_member_that_moves_back_with_another_subscription_begins_a_rebalance(groups, topic):
    groups.topics.make("u", 1)
    join(groups, "new", instance_id="i")
    old = groups.join(group_instance_id="i", protocols=(("range", subscription("t", "u")),))
    assert (types(groups), groups.state()) == (["classic"], "PreparingRebalance")
    assert groups.sync(old, group_instance_id="i").error is not E.NONE


def test_what_a_leader_had_not_assigned_is_assigned_when_a_static_member_moves_to_the_new_protocol(groups, topic):
    """Its predecessor leads the first generation and has not assigned anything yet."""
    groups.join(group_instance_id="i", **CLASSIC)
    groups.wait(3)
    assert indexes(join(groups, "new", instance_id="i")) == {0, 1, 2, 3}


def test_what_came_after_the_last_assignment_is_assigned_when_a_static_member_moves(groups, topic):
    classic_group(groups, group_instance_id="i")
    groups.topics.grow("t", 6)
    assert indexes(join(groups, "new", instance_id="i")) == {0, 1, 2, 3, 4, 5}


def waiting_for_what_a_static_member_has(groups: Any) -> tuple[Any, Any]:
    """A group that goes back to the classic protocol with "i"; the other one should have half, and has nothing."""
    join(groups, "new", instance_id="i")
    other = groups.join(**CLASSIC)
    assert parts(groups.sync(other)) == set()
    groups.join(group_instance_id="i", **CLASSIC)
    assert types(groups) == ["classic"]
    return groups, other


def test_who_still_waits_for_partitions_when_a_static_member_moves_back_is_told_to_join_again(groups, topic):
    groups, other = waiting_for_what_a_static_member_has(groups)
    assert groups.heartbeat(other) is E.REBALANCE_IN_PROGRESS


def test_it_is_told_so_after_a_restart(groups, topic):
    groups, other = waiting_for_what_a_static_member_has(groups)
    groups.crash()
    assert groups.state() == "PreparingRebalance"
    assert groups.heartbeat(other) is E.REBALANCE_IN_PROGRESS


def test_what_a_member_has_not_given_up_yet_is_nobody_elses_through_two_changes_of_kind(groups, topic):
    classic_group(groups)
    beginning = join(groups, "new", instance_id="i")
    assert indexes(beginning) == set()
    groups.join(group_instance_id="i", **CLASSIC)
    assert types(groups) == ["classic"]
    again = join(groups, "newer", instance_id="i")
    assert types(groups) == ["consumer"]
    assert indexes(again) == set()


# And back


@pytest.mark.parametrize("way", ["leaves", "silent"])
def test_a_group_is_downgraded_when_the_last_member_of_the_new_protocol_goes(mixed, way):
    groups, old, new = mixed
    if way == "leaves":
        beat(groups, "new", -1)
    else:
        for _ in range(46):
            groups.wait(1)
            groups.heartbeat(old)
    assert (types(groups), groups.state()) == (["classic"], "PreparingRebalance")
    again = groups.join(old.member_id, **CLASSIC)
    assert (again.leader, again.generation_id > new.member_epoch) == (old.member_id, True)
    everything = write_assignment({"t": frozenset(range(4))}, 0)
    assert parts(groups.sync(again, {old.member_id: everything})) == {0, 1, 2, 3}


@pytest.mark.parametrize("config", [{"consumer_migration_policy": "upgrade"}, {"group_max_size": 1}])
def test_some_groups_stay_consumer_groups(make_groups, config):
    groups = make_groups(**config)
    groups.topics.make("t", 4)
    join(groups, "new")
    olds = [groups.join(**CLASSIC) for _ in range(2)]
    beat(groups, "new", -1)
    assert types(groups) == ["consumer"]
    assert {old.member_id for old in olds} == set(described(groups))
    for _ in range(2):
        olds = [rejoin(groups, old)[0] for old in olds]
    one, other = (parts(groups.sync(old)) for old in olds)
    assert (len(one), len(other), one | other) == (2, 2, {0, 1, 2, 3})


def test_a_group_whose_downgrade_cannot_be_stored_goes_on(mixed, caplog):
    groups, old, _ = mixed
    commit = groups.catalog.commit

    def commit_most(*changes: Any) -> None:
        if any(isinstance(change, GroupForgotten) for change in changes):
            raise CatalogError("disk full")
        commit(*changes)

    groups.catalog.commit = commit_most
    assert groups.leave("new") is E.NONE
    assert types(groups) == ["consumer"]
    assert "stays a consumer group" in caplog.text
    assert rejoin(groups, old)[1] == {0, 1, 2, 3}


# What they tell each other


@given(partitions=st.dictionaries(NAMES, st.frozensets(st.integers(0, 99)), max_size=4), version=st.integers(0, 3))
def test_assignments_are_written_as_clients_read_them(partitions, version):
    written = write_assignment(partitions, version)
    read = ConsumerProtocolAssignment.decode(written)
    assert {each.topic: frozenset(each.partitions) for each in read.assigned_partitions} == partitions
    assert read_assignment(written) == (partitions, b"")
