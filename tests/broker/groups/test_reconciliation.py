"""How a member comes from the partitions it has to those it should have, one step at a time (KIP-848)."""

from typing import Any

import pytest

from barnabas.broker.groups.consumer.assignors import Assignment
from barnabas.broker.groups.consumer.member import (
    UNOWNED,
    MemberState,
    Reconciliation,
    is_reconciled,
    new_member,
)
from barnabas.storage.catalog import ConsumerMember

STABLE, UNREVOKED, UNRELEASED = MemberState.STABLE, MemberState.UNREVOKED, MemberState.UNRELEASED
A, B = b"a" * 16, b"b" * 16


def parts(*indexes: int) -> frozenset[int]:
    return frozenset(indexes)


def member(
    state: MemberState, epoch: int, assigned: Assignment, revoking: Assignment | None = None
) -> ConsumerMember:
    return new_member("m")._replace(
        state=state, epoch=epoch, previous_epoch=epoch - 1, assigned=assigned, revoking=revoking or {}
    )


def step(before: ConsumerMember, target: Assignment, target_epoch: int, **given: Any) -> ConsumerMember:
    """Take one step.

    ``owned``: what the member says it has (nothing). ``topic_ids``: what it reads (both topics). ``others``: what
    other members have. ``changed``: whether its subscription did.
    """
    others, owned = given.get("others", set()), given.get("owned")
    mine = [before.assigned, before.revoking]

    def epoch_of(topic_id: bytes, index: int) -> int:
        if (topic_id, index) in others:
            return 1
        return before.epoch if any(index in each.get(topic_id, ()) for each in mine) else UNOWNED

    topic_ids = given.get("topic_ids", {A, B})
    reconciliation = Reconciliation(before, target, target_epoch, topic_ids, owned, epoch_of)
    return reconciliation.step(given.get("changed", False))


def shape(after: ConsumerMember) -> tuple[str, int, int, Assignment, Assignment]:
    return after.state, after.epoch, after.previous_epoch, after.assigned, after.revoking


# Stable


def test_a_member_that_has_what_it_should_stays_as_it_is():
    before = member(STABLE, 5, {A: parts(0)})
    assert step(before, {A: parts(0)}, 5) is before


def test_a_member_takes_what_nobody_has():
    after = step(member(STABLE, 5, {A: parts(0)}), {A: parts(0, 1), B: parts(3)}, 6)
    assert shape(after) == (STABLE, 6, 5, {A: parts(0, 1), B: parts(3)}, {})


def test_a_new_target_that_is_the_old_one_only_raises_the_epoch():
    after = step(member(STABLE, 5, {A: parts(0)}), {A: parts(0)}, 8)
    assert shape(after) == (STABLE, 8, 5, {A: parts(0)}, {})


def test_a_member_without_a_target_takes_nothing():
    after = step(member(STABLE, 0, {}), {}, 1)
    assert shape(after) == (STABLE, 1, 0, {}, {})


def test_a_member_gives_up_before_it_takes_and_keeps_its_epoch():
    before = member(STABLE, 5, {A: parts(0, 1), B: parts(2)})
    after = step(before, {A: parts(0, 7), B: parts(9)}, 6)
    assert shape(after) == (UNREVOKED, 5, 5, {A: parts(0)}, {A: parts(1), B: parts(2)})


def test_a_member_that_says_it_still_has_a_partition_has_to_give_it_up():
    before = member(STABLE, 5, {A: parts(0, 1)})
    after = step(before, {A: parts(0)}, 6, owned={A: parts(0, 1)})
    assert shape(after) == (UNREVOKED, 5, 5, {A: parts(0)}, {A: parts(1)})


def test_a_member_that_says_it_does_not_have_a_partition_need_not_give_it_up():
    before = member(STABLE, 5, {A: parts(0, 1)})
    after = step(before, {A: parts(0), B: parts(4)}, 6, owned={A: parts(0)})
    assert shape(after) == (STABLE, 6, 5, {A: parts(0), B: parts(4)}, {})


def test_a_member_waits_for_what_somebody_else_has():
    after = step(member(STABLE, 5, {A: parts(0)}), {A: parts(0, 1, 2)}, 6, others={(A, 1)})
    assert shape(after) == (UNRELEASED, 6, 5, {A: parts(0, 2)}, {})


def test_a_member_that_gets_nothing_yet_waits_at_the_new_epoch():
    after = step(member(STABLE, 0, {}), {A: parts(1)}, 6, others={(A, 1)})
    assert shape(after) == (UNRELEASED, 6, 0, {}, {})


def test_a_member_is_not_given_a_topic_that_it_does_not_read_any_more():
    before = member(STABLE, 5, {A: parts(0), B: parts(1)})
    after = step(before, {A: parts(0), B: parts(1)}, 6, topic_ids={A}, changed=True)
    assert shape(after) == (UNREVOKED, 5, 5, {A: parts(0)}, {B: parts(1)})


def test_what_it_does_not_read_is_taken_away_before_there_is_a_new_target():
    before = member(STABLE, 5, {A: parts(0), B: parts(1)})
    after = step(before, {A: parts(0), B: parts(1)}, 5, topic_ids={A}, changed=True)
    assert (after.state, after.epoch) == (UNREVOKED, 5)
    assert (after.assigned, after.revoking) == ({A: parts(0)}, {B: parts(1)})


def test_what_it_does_not_read_and_does_not_have_is_simply_gone():
    before = member(STABLE, 5, {A: parts(0), B: parts(1)})
    after = step(before, {A: parts(0)}, 5, topic_ids={A}, changed=True, owned={A: parts(0)})
    assert (after.state, after.epoch, after.assigned, after.revoking) == (STABLE, 5, {A: parts(0)}, {})


def test_a_subscription_that_loses_nothing_changes_nothing():
    before = member(STABLE, 5, {A: parts(0)})
    assert step(before, {A: parts(0)}, 5, changed=True) is before


# Unrevoked


@pytest.mark.parametrize("owned", [None, {A: parts(0, 1)}, {A: parts(1)}])
def test_a_member_that_has_not_given_up_waits_whatever_the_target(owned):
    before = member(UNREVOKED, 5, {A: parts(0)}, {A: parts(1)})
    assert step(before, {A: parts(0), B: parts(2)}, 7, owned=owned) is before


def test_who_gave_up_gets_the_target():
    before = member(UNREVOKED, 5, {A: parts(0)}, {A: parts(1)})
    after = step(before, {A: parts(0), B: parts(2)}, 6, owned={A: parts(0)})
    assert shape(after) == (STABLE, 6, 5, {A: parts(0), B: parts(2)}, {})


def test_who_gave_up_goes_on_to_a_target_that_came_meanwhile():
    before = member(UNREVOKED, 5, {A: parts(0)}, {A: parts(1)})
    after = step(before, {A: parts(0), B: parts(2)}, 9, owned={A: parts(0)})
    assert shape(after) == (STABLE, 9, 5, {A: parts(0), B: parts(2)}, {})


def test_who_gave_up_may_have_to_give_up_more_at_the_epoch_after():
    before = member(UNREVOKED, 5, {A: parts(0, 2)}, {A: parts(1)})
    after = step(before, {A: parts(0)}, 9, owned={A: parts(0, 2)})
    assert shape(after) == (UNREVOKED, 6, 5, {A: parts(0)}, {A: parts(2)})


def test_the_epoch_never_goes_beyond_the_target():
    before = member(UNREVOKED, 5, {A: parts(0, 2)}, {A: parts(1)})
    after = step(before, {A: parts(0)}, 5, owned={A: parts(0, 2)})
    assert (after.state, after.epoch, after.revoking) == (UNREVOKED, 5, {A: parts(2)})


def test_who_gave_up_may_have_to_wait_for_others():
    before = member(UNREVOKED, 5, {A: parts(0)}, {A: parts(1)})
    after = step(before, {A: parts(0), B: parts(2)}, 6, owned={A: parts(0)}, others={(B, 2)})
    assert shape(after) == (UNRELEASED, 6, 5, {A: parts(0)}, {})


def test_what_was_given_up_may_come_back_at_once():
    before = member(UNREVOKED, 5, {A: parts(0)}, {A: parts(1)})
    after = step(before, {A: parts(0, 1)}, 7, owned={A: parts(0)})
    assert shape(after) == (STABLE, 7, 5, {A: parts(0, 1)}, {})


def test_who_has_to_give_up_has_more_to_give_up_when_it_reads_less():
    before = member(UNREVOKED, 5, {A: parts(0), B: parts(3)}, {A: parts(1)})
    owned = {A: parts(0, 1), B: parts(3)}
    after = step(before, {A: parts(0), B: parts(3)}, 7, owned=owned, topic_ids={A}, changed=True)
    assert (after.state, after.epoch) == (UNREVOKED, 5)
    assert (after.assigned, after.revoking) == ({A: parts(0)}, {A: parts(1), B: parts(3)})


def test_who_has_to_give_up_and_reads_something_else_but_loses_nothing_stays_as_it_is():
    before = member(UNREVOKED, 5, {A: parts(0)}, {A: parts(1)})
    assert step(before, {A: parts(0)}, 7, topic_ids={A}, changed=True) is before


def test_who_gave_up_and_reads_less_goes_straight_on():
    before = member(UNREVOKED, 5, {A: parts(0), B: parts(3)}, {A: parts(1)})
    after = step(before, {A: parts(0)}, 7, owned={A: parts(0)}, topic_ids={A}, changed=True)
    assert shape(after) == (STABLE, 7, 5, {A: parts(0)}, {})


# Unreleased


def test_who_waits_gets_what_was_released_and_waits_for_the_rest():
    before = member(UNRELEASED, 6, {A: parts(0)})
    after = step(before, {A: parts(0, 1, 2)}, 6, others={(A, 2)})
    assert shape(after) == (UNRELEASED, 6, 6, {A: parts(0, 1)}, {})
    assert shape(step(after, {A: parts(0, 1, 2)}, 6)) == (STABLE, 6, 6, {A: parts(0, 1, 2)}, {})


def test_who_waits_for_nothing_new_has_the_same_in_hand():
    before = member(UNRELEASED, 6, {A: parts(0)})
    after = step(before, {A: parts(0, 1)}, 6, others={(A, 1)})
    assert (after.state, after.epoch, after.assigned) == (UNRELEASED, 6, {A: parts(0)})


def test_who_waits_has_to_give_up_when_the_target_changes():
    before = member(UNRELEASED, 6, {A: parts(0)})
    after = step(before, {B: parts(0)}, 7, others={(A, 1)})
    assert shape(after) == (UNREVOKED, 6, 6, {}, {A: parts(0)})


def test_who_waits_stops_waiting_when_the_target_does_not_ask_for_it_any_more():
    before = member(UNRELEASED, 6, {A: parts(0)})
    after = step(before, {A: parts(0)}, 7, others={(A, 1)})
    assert shape(after) == (STABLE, 7, 6, {A: parts(0)}, {})


def test_who_waits_for_a_topic_that_it_does_not_read_any_more_is_done():
    before = member(UNRELEASED, 6, {A: parts(0)})
    after = step(before, {A: parts(0), B: parts(1)}, 7, others={(B, 1)}, topic_ids={A}, changed=True)
    assert shape(after) == (STABLE, 7, 6, {A: parts(0)}, {})


# At rest


@pytest.mark.parametrize(
    ("state", "epoch", "expected"),
    [(STABLE, 6, True), (STABLE, 5, False), (UNREVOKED, 6, False), (UNRELEASED, 6, False)],
)
def test_only_who_is_stable_at_the_epoch_of_the_target_has_what_it_should(state, epoch, expected):
    assert is_reconciled(member(state, epoch, {}), 6) is expected


def test_a_new_member_has_nothing_and_no_epoch():
    assert shape(new_member("m")) == (STABLE, 0, 0, {}, {})
    assert not is_reconciled(new_member("m"), 1)
