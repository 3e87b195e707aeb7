"""Groups of the consumer protocol on a manual clock: time, topics that change, answers that get lost (KIP-848)."""

from collections.abc import Callable
from typing import Any

import pytest
from support.consumer_members import REBALANCE_TIMEOUT_MS, beat, join

from barnabas.broker import patterns
from barnabas.broker.errors import ApiError
from barnabas.protocol.errors import ErrorCode as E
from barnabas.storage.catalog import ConsumerMembersStored
from barnabas.storage.errors import CatalogError

SESSION_S = 45
RETENTION_S = 7 * 24 * 3600
REVOCATION_S = REBALANCE_TIMEOUT_MS // 1000


@pytest.fixture
def topic(groups: Any) -> bytes:
    """The topic "t" with four partitions."""
    return groups.topics.make("t", 4)


def refusal(call: Callable[..., Any], *args: Any, **fields: Any) -> E:
    with pytest.raises(ApiError) as caught:
        call(*args, **fields)
    return caught.value.code


def parts(*indexes: int) -> frozenset[int]:
    return frozenset(indexes)


def live(groups: Any, seconds: int, *member_ids: str) -> None:
    """Let members heartbeat every second, and say nothing."""
    for _ in range(seconds):
        groups.wait(1)
        for member_id in member_ids:
            beat(groups, member_id, member(groups, member_id).member_epoch)


def describe(groups: Any) -> Any:
    return groups.coordinator.describe_consumer_group("g")


def member(groups: Any, member_id: str) -> Any:
    return next(each for each in describe(groups).members if each.member_id == member_id)


def members(groups: Any) -> set[str]:
    return {member.member_id for member in describe(groups).members}


# Time


def test_a_member_that_stays_silent_leaves_after_its_session_timeout(groups, topic):
    epoch = join(groups, "one").member_epoch
    groups.wait(SESSION_S - 1)
    assert members(groups) == {"one"}
    groups.wait(2)
    assert (describe(groups).state, members(groups)) == ("Empty", set())
    assert refusal(beat, groups, "one", epoch) is E.UNKNOWN_MEMBER_ID


def test_what_a_silent_member_had_goes_to_the_others_at_their_next_heartbeat(groups, topic):
    join(groups, "silent")
    epoch = join(groups, "one").member_epoch
    live(groups, SESSION_S + 1, "one")
    assert member(groups, "one").assigned == {topic: parts(0, 1, 2, 3)}
    assert member(groups, "one").member_epoch == epoch + 1


def test_a_heartbeat_begins_the_session_anew(groups, topic):
    epoch = join(groups, "one").member_epoch
    for _ in range(3):
        groups.wait(SESSION_S - 1)
        beat(groups, "one", epoch)
    assert members(groups) == {"one"}


def test_who_does_not_give_up_its_partitions_in_time_is_thrown_out(groups, topic):
    join(groups, "one")
    join(groups, "two")
    beat(groups, "one", 2)  # it is told, and its time runs
    live(groups, REVOCATION_S - 1, "one", "two")
    assert members(groups) == {"one", "two"}
    groups.wait(2)
    assert members(groups) == {"two"}
    assert refusal(beat, groups, "one", 2) is E.UNKNOWN_MEMBER_ID
    assert beat(groups, "two", 3).assignment == {topic: parts(0, 1, 2, 3)}


def test_who_gave_something_up_has_its_whole_time_for_the_next_and_no_more(groups, topic):
    """Kafka begins the timeout anew with each change of a member that has to give something up."""
    join(groups, "one")
    join(groups, "two")
    kept = beat(groups, "one", 2).assignment
    groups.topics.delete("t")
    live(groups, REVOCATION_S - 1, "one", "two")
    assert beat(groups, "one", 2, owned=kept).assignment == {}
    live(groups, REVOCATION_S - 1, "two")
    assert members(groups) == {"one", "two"}
    live(groups, 2, "two")
    assert members(groups) == {"two"}


def test_a_static_member_that_said_it_would_be_back_is_expected_until_its_session_ends(groups, topic):
    join(groups, "one", instance_id="x")
    join(groups, "two")
    beat(groups, "one", -2, instance_id="x")
    live(groups, SESSION_S - 1, "two")
    assert members(groups) == {"one", "two"}
    live(groups, 2, "two")
    assert members(groups) == {"two"}


def test_everybody_has_the_whole_session_again_after_a_restart(groups, topic):
    epoch = join(groups, "one").member_epoch
    groups.wait(SESSION_S - 1)
    groups.crash()
    groups.wait(SESSION_S - 1)
    beat(groups, "one", epoch)
    groups.wait(SESSION_S + 1)
    assert members(groups) == set()


def test_a_session_that_ends_on_a_full_disk_ends_later(groups, topic):
    join(groups, "silent")
    join(groups, "one")
    live(groups, SESSION_S - 2, "one")
    groups.catalog.is_full = True
    groups.wait(5)
    groups.catalog.is_full = False
    live(groups, SESSION_S, "one")
    assert members(groups) == {"one"}


def test_a_static_member_that_could_not_be_replaced_is_still_expected_for_its_session_only(groups, topic):
    join(groups, "one", instance_id="x")
    beat(groups, "one", -2, instance_id="x")
    groups.catalog.is_full = True
    with pytest.raises(CatalogError):
        join(groups, "two", instance_id="x")
    groups.catalog.is_full = False
    groups.wait(SESSION_S + 1)
    assert members(groups) == set()


# Topics that change


def test_a_topic_that_grows_raises_the_epoch_and_gives_out_the_new_partitions(groups, topic):
    epoch = join(groups, "one").member_epoch
    groups.topics.grow("t", 6)
    grown = beat(groups, "one", epoch)
    assert (grown.member_epoch, grown.assignment) == (epoch + 1, {topic: parts(*range(6))})


def test_a_topic_that_goes_is_given_up(groups, topic):
    epoch = join(groups, "one").member_epoch
    groups.topics.delete("t")
    told = beat(groups, "one", epoch)
    assert (told.member_epoch, told.assignment) == (epoch, {})
    done = beat(groups, "one", epoch, owned={})
    assert (done.member_epoch, describe(groups).state) == (epoch + 1, "Stable")


def test_a_topic_that_is_made_again_is_another_topic(groups, topic):
    epoch = join(groups, "one").member_epoch
    groups.topics.delete("t")
    again = groups.topics.make("t", 4)
    assert again != topic
    assert beat(groups, "one", epoch).assignment == {}
    done = beat(groups, "one", epoch, owned={})
    assert (done.member_epoch, done.assignment) == (epoch + 1, {again: parts(0, 1, 2, 3)})


def test_a_topic_that_comes_later_is_given_out_to_who_waits_for_it(groups):
    epoch = join(groups, "one", "later").member_epoch
    assert beat(groups, "one", epoch).assignment is None
    later = groups.topics.make("later", 1)
    assert beat(groups, "one", epoch).assignment == {later: parts(0)}


def test_topics_that_nobody_reads_change_nothing(groups, topic):
    epoch = join(groups, "one").member_epoch
    groups.topics.make("other", 1)
    assert beat(groups, "one", epoch) == ("one", epoch, 5_000, None)


def test_a_change_that_comes_while_the_disk_is_full_is_not_forgotten(groups, topic):
    epoch = join(groups, "one").member_epoch
    groups.topics.grow("t", 6)
    groups.catalog.is_full = True
    with pytest.raises(CatalogError):
        beat(groups, "one", epoch)
    groups.catalog.is_full = False
    assert beat(groups, "one", epoch).assignment == {topic: parts(*range(6))}


def test_a_pattern_is_matched_with_new_topics_ten_seconds_later(groups, topic):
    epoch = join(groups, "one", regex="t.*").member_epoch
    new = groups.topics.make("tt", 1)
    groups.wait(9)
    assert beat(groups, "one", epoch).assignment is None
    groups.wait(2)
    found = beat(groups, "one", epoch)
    assert (found.member_epoch, found.assignment) == (epoch + 1, {topic: parts(0, 1, 2, 3), new: parts(0)})


def test_a_pattern_takes_in_topics_that_come_while_the_disk_is_full(groups, topic):
    epoch = join(groups, "one", regex="t.*").member_epoch
    new = groups.topics.make("tt", 1)
    groups.wait(11)
    groups.catalog.is_full = True
    with pytest.raises(CatalogError):
        beat(groups, "one", epoch)
    groups.catalog.is_full = False
    live(groups, 11, "one")
    assert member(groups, "one").assigned == {topic: parts(0, 1, 2, 3), new: parts(0)}


def test_a_new_pattern_is_matched_at_once(groups, topic):
    epoch = join(groups, "one", regex="t").member_epoch
    new = groups.topics.make("new", 1)
    told = beat(groups, "one", epoch, regex="n.*", owned={topic: parts(0, 1, 2, 3)})
    assert told.assignment == {}
    assert beat(groups, "one", epoch, owned={}).assignment == {new: parts(0)}


def test_known_patterns_are_matched_again_only_when_topics_have_changed(groups, topic, monkeypatch):
    matched = []
    resolve = patterns.resolve
    monkeypatch.setattr(
        patterns, "resolve", lambda regexes, names: matched.append(set(regexes)) or resolve(regexes, names)
    )
    join(groups, "one", regex="t")
    join(groups, "two", regex="t.*")
    groups.topics.make("tt", 1)
    join(groups, "three", regex="tt")
    assert matched == [{"t"}, {"t.*"}, {"t", "t.*", "tt"}]


def test_a_pattern_that_an_older_version_took_does_not_stop_the_group(groups, topic):
    join(groups, "old", regex="t")
    epoch = join(groups, "new", regex="t.*").member_epoch
    old = groups.coordinator.describe_consumer_group("g").members[0]
    stored = next(each for _, each, _ in groups.catalog.consumer_members() if each.member_id == old.member_id)
    groups.catalog.commit(ConsumerMembersStored("g", [stored._replace(regex="\\C+")]))
    groups.crash()
    assert beat(groups, "new", epoch).member_epoch == epoch + 1
    with pytest.raises(ApiError):
        beat(groups, "new", epoch + 1, regex="\\C")


# Assignors


def test_the_assignor_that_most_members_want_is_used(groups, topic):
    join(groups, "one", assignor="uniform")
    assert describe(groups).assignor == "uniform"
    join(groups, "two", assignor="range")
    join(groups, "three", assignor="range")
    assert describe(groups).assignor == "range"
    targets = {member.member_id: member.target for member in describe(groups).members}
    assert targets == {"one": {topic: parts(0, 1)}, "three": {topic: parts(2)}, "two": {topic: parts(3)}}


def test_a_tie_between_assignors_ends_the_same_way_after_a_restart(groups, topic):
    join(groups, "two", assignor="range")
    join(groups, "one", assignor="uniform")
    before = describe(groups).assignor
    groups.crash()
    assert describe(groups).assignor == before


def test_a_restart_does_not_change_who_gets_what(make_groups):
    targets = []
    for crashes in (False, True):
        groups = make_groups()
        groups.topics.make("t", 3)
        two = join(groups, "two").member_epoch
        join(groups, "one", "nothing")
        if crashes:
            groups.crash()
        beat(groups, "one", 3, topic_names=("t",))
        beat(groups, "two", two)
        groups.topics.delete("t")
        groups.topics.make("t", 3)
        beat(groups, "two", two)
        targets.append({member.member_id: member.target for member in describe(groups).members})
    assert targets[0] == targets[1]


# Answers that get lost


def test_who_missed_its_new_epoch_may_come_with_the_one_before(groups, topic):
    one = join(groups, "one").member_epoch
    two = join(groups, "two").member_epoch
    kept = beat(groups, "one", one).assignment
    moved = beat(groups, "one", one, owned=kept)
    assert moved.member_epoch == two
    lost = beat(groups, "one", one, owned=kept)  # the answer before did not arrive
    assert (lost.member_epoch, lost.assignment) == (two, None)
    assert refusal(beat, groups, "one", one) is E.FENCED_MEMBER_EPOCH
    assert refusal(beat, groups, "one", one, owned={topic: parts(0, 1, 2, 3)}) is E.FENCED_MEMBER_EPOCH


def test_who_says_everything_is_told_everything(groups, topic):
    epoch = join(groups, "one").member_epoch
    assert beat(groups, "one", epoch).assignment is None
    assert beat(groups, "one", epoch, owned={topic: parts(0, 1, 2, 3)}).assignment is None
    whole = {"rebalance_timeout_ms": 1000, "topic_names": ("t",), "owned": {}}
    assert beat(groups, "one", epoch, **whole).assignment == {topic: parts(0, 1, 2, 3)}


def test_who_joins_again_keeps_its_place(groups, topic):
    one = join(groups, "one")
    again = join(groups, "one")
    assert again == one
    assert members(groups) == {"one"}


def test_a_join_that_could_not_be_stored_did_not_happen(groups, topic):
    groups.catalog.is_full = True
    with pytest.raises(CatalogError):
        join(groups, "one")
    assert groups.coordinator.list_groups() == []
    groups.catalog.is_full = False
    assert join(groups, "one").member_epoch == 2


# Static members


def test_a_static_member_that_comes_back_does_not_raise_the_epoch(groups, topic):
    epoch = join(groups, "one", instance_id="x").member_epoch
    beat(groups, "one", -2, instance_id="x")
    back = join(groups, "two", instance_id="x")
    assert (back.member_epoch, back.assignment) == (epoch, {topic: parts(0, 1, 2, 3)})


def test_a_member_that_takes_another_instance_id_leaves_the_old_one_free(groups, topic):
    join(groups, "one", instance_id="x")
    join(groups, "one", instance_id="y")
    beat(groups, "one", -1, instance_id="y")
    assert join(groups, "two", instance_id="x").assignment == {topic: parts(0, 1, 2, 3)}


def test_a_dynamic_member_may_take_the_place_of_a_static_one(groups, topic):
    join(groups, "one", instance_id="x")
    join(groups, "two")
    beat(groups, "one", -2, instance_id="x")
    assert join(groups, "two", "t", "other", instance_id="x").assignment == {topic: parts(0, 1, 2, 3)}
    assert members(groups) == {"two"}
