"""Who gets which partitions: ``uniform`` and ``range`` over all kinds of groups, and examples of Kafka's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barnabas.broker.groups.consumer.assignors import ASSIGNORS, Assignment, Subscriber, range_, uniform

TOPICS = [bytes([number]) * 16 for number in range(1, 5)]
T1, T2, T3, T4 = TOPICS
GONE = b"\xff" * 16
EVERY = pytest.mark.parametrize("name", ["uniform", "range"])

counts_of = st.dictionaries(st.sampled_from(TOPICS), st.integers(1, 7))
member_ids = st.sampled_from("ABCDEF")
nobody_yet: Assignment = {}


def parts(*indexes: int) -> frozenset[int]:
    return frozenset(indexes)


@st.composite
def groups(draw, same: bool | None = None, counts=counts_of):
    """Return members and partition counts; the present targets may be of any kind, with overlaps and leftovers."""
    known = draw(counts)
    ids = draw(st.lists(member_ids, unique=True, min_size=1))
    topics = st.frozensets(st.sampled_from(TOPICS))
    shared = draw(topics)
    is_same = draw(st.booleans()) if same is None else same
    instances = draw(st.sampled_from(["uvwxyz", "zyxwvu", "xuzvyw"]))
    targets = st.dictionaries(st.sampled_from([*TOPICS, GONE]), st.frozensets(st.integers(0, 8), min_size=1))
    members = {
        member_id: Subscriber(
            instances[number] if draw(st.booleans()) else None,
            frozenset((shared if is_same else draw(topics)) & known.keys()),
            draw(targets),
        )
        for number, member_id in enumerate(ids)
    }
    return members, known


def flat(assignment: Assignment) -> set[tuple[bytes, int]]:
    return {(topic_id, index) for topic_id, indexes in assignment.items() for index in indexes}


def on(members: dict[str, Subscriber], assigned: dict[str, Assignment]) -> dict[str, Subscriber]:
    """Return the members with their targets as ``assigned``."""
    return {each: member._replace(assignment=assigned[each]) for each, member in members.items()}


def sizes(assigned: dict[str, Assignment]) -> dict[str, int]:
    return {member_id: len(flat(assignment)) for member_id, assignment in assigned.items()}


def moved(before: dict[str, Assignment], after: dict[str, Assignment]) -> set[tuple[bytes, int]]:
    """Return what a member has now that another one had."""
    had = {partition: member_id for member_id, assignment in before.items() for partition in flat(assignment)}
    return {
        partition
        for member_id, assignment in after.items()
        for partition in flat(assignment)
        if had.get(partition, member_id) != member_id
    }


# Both


@EVERY
@given(group=groups())
def test_every_partition_that_somebody_reads_has_exactly_one_owner_who_reads_it(name, group):
    members, counts = group
    assigned = ASSIGNORS[name](members, counts)
    assert assigned.keys() == members.keys()
    given_out = [partition for assignment in assigned.values() for partition in flat(assignment)]
    wanted = frozenset().union(*(member.topic_ids for member in members.values()))
    assert sorted(given_out) == sorted((topic_id, index) for topic_id in wanted for index in range(counts[topic_id]))
    for member_id, assignment in assigned.items():
        assert assignment.keys() <= members[member_id].topic_ids
        assert all(assignment.values())


@EVERY
@given(group=groups())
def test_asking_again_changes_nothing(name, group):
    members, counts = group
    assigned = ASSIGNORS[name](members, counts)
    assert ASSIGNORS[name](on(members, assigned), counts) == assigned


@EVERY
@given(group=groups(), data=st.data())
def test_what_is_given_out_does_not_change_with_the_order_of_what_stays(name, group, data):
    members, counts = group
    settled = on(members, ASSIGNORS[name](members, counts))
    order = data.draw(st.permutations(list(settled)))
    assert ASSIGNORS[name]({each: settled[each] for each in order}, counts) == ASSIGNORS[name](settled, counts)


@EVERY
def test_nobody_gets_nothing(name):
    assert ASSIGNORS[name]({}, {T1: 3}) == {}
    assert ASSIGNORS[name]({"A": Subscriber(None, frozenset(), {T1: parts(0)})}, {T1: 3}) == {"A": {}}


# Uniform, the same subscriptions


@given(group=groups(same=True))
def test_members_that_read_the_same_have_equally_many_but_for_one(group):
    assigned = sizes(uniform(*group))
    assert max(assigned.values()) - min(assigned.values()) <= 1


@given(group=groups(same=True))
def test_nobody_loses_more_than_balance_needs(group):
    """A member keeps what it may keep up to its quota, and one more while such places are there."""
    members, counts = group
    assigned = uniform(members, counts)
    total, taken = sum(sizes(assigned).values()), set()
    quota = total // len(members)
    for member_id, member in members.items():
        may_keep = {
            (topic_id, index)
            for topic_id, index in flat(member.assignment) - taken
            if topic_id in member.topic_ids and index < counts[topic_id]
        }
        taken |= may_keep
        assert len(may_keep & flat(assigned[member_id])) >= min(len(may_keep), quota)


@given(group=groups(same=True), data=st.data())
def test_a_member_that_leaves_moves_nothing_but_its_own(group, data):
    members, counts = group
    before = uniform(members, counts)
    gone = data.draw(st.sampled_from(sorted(members)))
    left = {each: member for each, member in on(members, before).items() if each != gone}
    after = uniform(left, counts)
    assert moved({each: before[each] for each in left}, after) == set()


@given(group=groups(same=True), at=st.integers(0, 6))
def test_a_member_that_joins_takes_its_quota_and_the_others_exchange_nothing(group, at):
    members, counts = group
    before = uniform(members, counts)
    topic_ids = next(iter(members.values())).topic_ids
    present = list(on(members, before).items())
    present.insert(at, ("new", Subscriber(None, topic_ids, {})))
    after = uniform(dict(present), counts)
    assert moved(before, after) == flat(after["new"])
    assert len(flat(after["new"])) <= -(-sum(sizes(after).values()) // len(after))


@given(group=groups(same=True), data=st.data())
def test_partitions_that_are_added_move_at_most_what_balance_needs(group, data):
    members, counts = group
    before = uniform(members, counts)
    more = {topic_id: count + data.draw(st.integers(0, 4)) for topic_id, count in counts.items()}
    after = uniform(on(members, before), more)
    assert moved(before, after) == set()


# Uniform, different subscriptions


def improvements(
    members: dict[str, Subscriber], assigned: dict[str, Assignment]
) -> list[tuple[str, str, tuple[bytes, int]]]:
    """Return the single moves that would take the members closer to one another."""
    size = sizes(assigned)
    return [
        (giver, taker, partition)
        for giver, assignment in assigned.items()
        for partition in flat(assignment)
        for taker, member in members.items()
        if partition[0] in member.topic_ids and size[giver] - size[taker] > 1
    ]


@given(group=groups(same=False))
def test_no_single_move_would_make_different_members_more_equal(group):
    members, _ = group
    assert improvements(members, uniform(*group)) == []


# Range


@given(group=groups())
def test_range_gives_everybody_neighbours_by_instance_id_and_then_by_member_id(group):
    members, counts = group
    assigned = range_(members, counts)
    static = sorted((member.instance_id, each) for each, member in members.items() if member.instance_id is not None)
    order = [each for _, each in static] + sorted(members.keys() - {each for _, each in static})
    for topic_id, count in counts.items():
        readers = [each for each in order if topic_id in members[each].topic_ids]
        rows = [sorted(assigned[each].get(topic_id, ())) for each in readers]
        if readers:
            assert [index for row in rows for index in row] == list(range(count))
            lengths = list(map(len, rows))
            assert lengths == sorted(lengths, reverse=True)
            assert lengths[0] - lengths[-1] <= 1


@given(group=groups(same=True, counts=st.sampled_from([dict.fromkeys(TOPICS, count) for count in range(1, 8)])))
def test_topics_of_the_same_size_with_the_same_readers_are_copartitioned(group):
    for assignment in range_(*group).values():
        assert len({frozenset(indexes) for indexes in assignment.values()}) <= 1


@given(group=groups(), data=st.data())
def test_a_static_member_has_the_same_range_under_a_new_member_id(group, data):
    members, counts = group
    renamed = {
        f"{each}{data.draw(member_ids)}" if member.instance_id else each: member for each, member in members.items()
    }
    before, after = range_(members, counts), range_(renamed, counts)
    static = {member.instance_id: after[each] for each, member in renamed.items() if member.instance_id}
    assert static == {member.instance_id: before[each] for each, member in members.items() if member.instance_id}


# Kafka's examples (UniformHomogeneousAssignmentBuilderTest, UniformHeterogeneousAssignmentBuilderTest,
# RangeAssignorTest): what does not depend on the order in which Kafka goes through its hash maps.


def reader(*topic_ids: bytes, has: Assignment = nobody_yet) -> Subscriber:
    return Subscriber(None, frozenset(topic_ids), has)


def test_kafka_two_topics_for_two_members():
    assigned = uniform({"A": reader(T1, T3), "B": reader(T1, T3)}, {T1: 3, T3: 2})
    assert sorted(sizes(assigned).values()) == [2, 3]


def test_kafka_more_members_than_partitions():
    assigned = uniform(dict.fromkeys("ABC", reader(T3)), {T3: 2})
    assert sorted(sizes(assigned).values()) == [0, 1, 1]


def test_kafka_one_hundred_topics_for_forty_nine_members():
    counts = {number.to_bytes(16, "big"): 3 for number in range(100)}
    assigned = uniform({f"member{number}": reader(*counts) for number in range(1, 50)}, counts)
    assert set(sizes(assigned).values()) == {6, 7}


def test_kafka_an_unbalanced_group_moves_one_partition():
    members = {
        "A": reader(T1, T2, has={T1: parts(0, 1), T2: parts(0, 1)}),
        "B": reader(T1, T2, has={T1: parts(2), T2: parts(2)}),
    }
    assigned = uniform(members, {T1: 3, T2: 3})
    assert assigned == {
        "A": {T1: parts(0, 1), T2: parts(0)},
        "B": {T1: parts(2), T2: parts(1, 2)},
    }


def test_kafka_partitions_are_added_for_two_members():
    members = {
        "A": reader(T1, T2, has={T1: parts(0, 2), T2: parts(0)}),
        "B": reader(T1, T2, has={T1: parts(1), T2: parts(1, 2)}),
    }
    assigned = uniform(members, {T1: 6, T2: 5})
    assert sorted(sizes(assigned).values()) == [5, 6]
    assert flat(members["A"].assignment) <= flat(assigned["A"])
    assert flat(members["B"].assignment) <= flat(assigned["B"])


def test_kafka_one_topic_of_one_member_and_one_of_both():
    assigned = uniform({"A": reader(T1, T3), "B": reader(T3)}, {T1: 3, T3: 6})
    assert assigned["A"][T1] == parts(0, 1, 2)
    assert sorted(sizes(assigned).values()) == [4, 5]


def test_kafka_a_member_without_partitions_among_different_ones():
    assigned = uniform({"A": reader(T3), "B": reader(T3), "C": reader(T1)}, {T3: 1, T1: 2})
    assert assigned["C"] == {T1: parts(0, 1)}
    assert sorted(sizes(assigned).values()) == [0, 1, 2]


def test_kafka_an_unbalanced_group_of_different_members():
    members = {
        "A": reader(T1, has={T1: parts(0, 1, 2)}),
        "B": reader(T1, T2, has={T1: parts(3), T2: parts(0)}),
        "C": reader(T1, T2, T3, has={T1: parts(4, 5), T2: parts(1, 2, 3), T3: parts(0, 1, 2, 3)}),
    }
    assigned = uniform(members, {T1: 6, T2: 4, T3: 4})
    assert sizes(assigned) == {"A": 4, "B": 5, "C": 5}
    assert assigned["C"][T3] == parts(0, 1, 2, 3)
    assert flat(members["A"].assignment) <= flat(assigned["A"])
    assert flat(members["B"].assignment) <= flat(assigned["B"])


def test_kafka_partitions_are_added_for_different_members():
    members = {
        "A": reader(T1, T3, has={T1: parts(0, 1, 2, 3), T3: parts(0, 1)}),
        "B": reader(T1, T2, T3, T4, has={T2: parts(0, 1, 2), T4: parts(0, 1, 2)}),
    }
    assigned = uniform(members, {T1: 6, T2: 5, T3: 3, T4: 3})
    assert sorted(sizes(assigned).values()) == [8, 9]
    assert flat(members["A"].assignment) <= flat(assigned["A"])
    assert flat(members["B"].assignment) <= flat(assigned["B"])


@pytest.mark.parametrize(
    ("members", "counts", "expected"),
    [
        (
            {"A": reader(T1, T3), "B": reader(T1, T3)},
            {T1: 3, T3: 2},
            {"A": {T1: parts(0, 1), T3: parts(0)}, "B": {T1: parts(2), T3: parts(1)}},
        ),
        (
            {"A": reader(T1, T2), "B": reader(T3), "C": reader(T2, T3)},
            {T1: 3, T2: 3, T3: 2},
            {
                "A": {T1: parts(0, 1, 2), T2: parts(0, 1)},
                "B": {T3: parts(0)},
                "C": {T2: parts(2), T3: parts(1)},
            },
        ),
        (
            dict.fromkeys("ABC", reader(T1, T3)),
            {T1: 3, T3: 2},
            {
                "A": {T1: parts(0), T3: parts(0)},
                "B": {T1: parts(1), T3: parts(1)},
                "C": {T1: parts(2)},
            },
        ),
        (
            dict.fromkeys("ABC", reader(T1, T2)),
            {T1: 2, T2: 2},
            {"A": {T1: parts(0), T2: parts(0)}, "B": {T1: parts(1), T2: parts(1)}, "C": {}},
        ),
    ],
)
def test_kafka_ranges(members, counts, expected):
    assert range_(members, counts) == expected
