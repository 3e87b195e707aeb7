"""Who gets which partitions: ``uniform`` and ``range`` (KIP-848). Pure functions.

Both are given the members with the assignment that they are on their way to, and return the one to go for next.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import NamedTuple

# Partitions by topic id (16 bytes).
Assignment = Mapping[bytes, frozenset[int]]

# How often the partitions of members with different subscriptions are balanced; each time halves what is uneven.
BALANCE_ROUNDS_MAX = 16


class Subscriber(NamedTuple):
    """A member as an assignor sees it. ``assignment``: its present target."""

    instance_id: str | None
    topic_ids: frozenset[bytes]
    assignment: Assignment


Assignor = Callable[[Mapping[str, Subscriber], Mapping[bytes, int]], dict[str, Assignment]]


def uniform(members: Mapping[str, Subscriber], partition_counts: Mapping[bytes, int]) -> dict[str, Assignment]:
    """Give every member as many partitions as the others, one more or less, and move as few as possible.

    ``partition_counts``: by topic id, of the topics that exist. Members with different subscriptions are balanced as
    far as those permit. Source of the rule: Kafka's UniformAssignor.
    """
    kept = _keep(members, partition_counts)
    free = _free(members, partition_counts, kept)
    subscriptions = {member.topic_ids for member in members.values()}
    if len(subscriptions) == 1:
        _fill_evenly(kept, free)
    else:
        subscribers = _subscribers(members, partition_counts)
        _fill_least_loaded(kept, free, subscribers)
        _balance(kept, subscribers)
    return {member_id: _assignment(partitions) for member_id, partitions in kept.items()}


_Partition = tuple[bytes, int]


def _keep(
    members: Mapping[str, Subscriber], partition_counts: Mapping[bytes, int]
) -> dict[str, dict[_Partition, None]]:
    """Return what each member has that it may keep, in a fixed order."""
    taken: set[_Partition] = set()
    kept: dict[str, dict[_Partition, None]] = {}
    for member_id, member in members.items():
        mine = kept[member_id] = {}
        for topic_id in sorted(member.assignment):
            count = partition_counts.get(topic_id, 0) if topic_id in member.topic_ids else 0
            for index in sorted(member.assignment[topic_id]):
                partition = (topic_id, index)
                if index < count and partition not in taken:
                    taken.add(partition)
                    mine[partition] = None
    return kept


def _free(
    members: Mapping[str, Subscriber],
    partition_counts: Mapping[bytes, int],
    kept: Mapping[str, Mapping[_Partition, None]],
) -> list[_Partition]:
    """Return the partitions that nobody keeps and somebody wants."""
    wanted = sorted(frozenset[bytes]().union(*(member.topic_ids for member in members.values())))
    taken = {partition for mine in kept.values() for partition in mine}
    return [
        (topic_id, index)
        for topic_id in wanted
        for index in range(partition_counts.get(topic_id, 0))
        if (topic_id, index) not in taken
    ]


def _fill_evenly(kept: dict[str, dict[_Partition, None]], free: list[_Partition]) -> None:
    """All members read the same topics: each has its quota, and the first with more keep one more."""
    total = sum(map(len, kept.values())) + len(free)
    quota, extra = divmod(total, len(kept)) if kept else (0, 0)
    # Who has more than the quota keeps one more, as long as there are such places; so nothing moves without need.
    for mine in sorted(kept.values(), key=len, reverse=True):
        allowed = quota
        if extra and len(mine) > quota:
            allowed += 1
            extra -= 1
        while len(mine) > allowed:
            free.append(mine.popitem()[0])
    free.reverse()  # so that the first is given out first
    for mine in kept.values():
        allowed = quota
        if len(mine) <= quota and extra:
            allowed += 1
            extra -= 1
        while len(mine) < allowed and free:
            mine[free.pop()] = None


def _subscribers(members: Mapping[str, Subscriber], partition_counts: Mapping[bytes, int]) -> dict[bytes, list[str]]:
    """Return who reads each topic; topics with many partitions for few members come first."""
    readers: dict[bytes, list[str]] = {}
    for member_id, member in members.items():
        for topic_id in member.topic_ids:
            if topic_id in partition_counts:
                readers.setdefault(topic_id, []).append(member_id)
    order = sorted(readers, key=lambda topic_id: (-partition_counts[topic_id] / len(readers[topic_id]), topic_id))
    return {topic_id: readers[topic_id] for topic_id in order}


def _fill_least_loaded(
    kept: dict[str, dict[_Partition, None]], free: list[_Partition], subscribers: Mapping[bytes, list[str]]
) -> None:
    by_topic: dict[bytes, list[_Partition]] = {}
    for partition in free:
        by_topic.setdefault(partition[0], []).append(partition)
    for topic_id, readers in subscribers.items():
        loads = [(len(kept[member_id]), number, member_id) for number, member_id in enumerate(readers)]
        heapq.heapify(loads)
        for partition in by_topic.get(topic_id, ()):
            load, number, member_id = loads[0]
            kept[member_id][partition] = None
            heapq.heapreplace(loads, (load + 1, number, member_id))


def _balance(kept: dict[str, dict[_Partition, None]], subscribers: Mapping[bytes, list[str]]) -> None:
    """Move partitions from members with many to members with few that read the same topic."""
    for _ in range(BALANCE_ROUNDS_MAX):
        moved = False
        for topic_id, readers in subscribers.items():
            if len(readers) > 1:
                moved |= _balance_topic(kept, topic_id, readers)
        if not moved:
            return


def _balance_topic(kept: dict[str, dict[_Partition, None]], topic_id: bytes, readers: list[str]) -> bool:
    held = {member_id: [each for each in kept[member_id] if each[0] == topic_id] for member_id in readers}
    least = [(len(kept[member_id]), number, member_id) for number, member_id in enumerate(readers)]
    heapq.heapify(least)
    moved = False
    for giver in sorted(readers, key=lambda member_id: -len(kept[member_id])):
        while held[giver]:
            load, number, taker = least[0]
            if load != len(kept[taker]):  # it gave something away since
                heapq.heapreplace(least, (len(kept[taker]), number, taker))
                continue
            if len(kept[giver]) - load <= 1:
                break
            partition = held[giver].pop()
            del kept[giver][partition]
            kept[taker][partition] = None
            heapq.heapreplace(least, (load + 1, number, taker))
            moved = True
    return moved


def range_(members: Mapping[str, Subscriber], partition_counts: Mapping[bytes, int]) -> dict[str, Assignment]:
    """Give every member a row of neighbouring partitions of each topic it reads (Kafka's RangeAssignor).

    Members take their turns by instance id, those without one after them by member id. So topics with equally many
    partitions and the same readers are co-partitioned, and static members always have the same.
    """
    order = sorted(members, key=lambda each: (members[each].instance_id is None, members[each].instance_id or each))
    assigned: dict[str, dict[bytes, frozenset[int]]] = {member_id: {} for member_id in order}
    for topic_id, count in partition_counts.items():
        readers = [member_id for member_id in order if topic_id in members[member_id].topic_ids]
        start = 0
        for number, member_id in enumerate(readers):
            quota, extra = divmod(count, len(readers))
            end = start + quota + (number < extra)
            if end > start:
                assigned[member_id][topic_id] = frozenset(range(start, end))
            start = end
    return dict(assigned)


def _assignment(partitions: Mapping[_Partition, None]) -> Assignment:
    by_topic: dict[bytes, set[int]] = {}
    for topic_id, index in partitions:
        by_topic.setdefault(topic_id, set()).add(index)
    return {topic_id: frozenset(indexes) for topic_id, indexes in by_topic.items()}


ASSIGNORS: Mapping[str, Assignor] = {"uniform": uniform, "range": range_}
