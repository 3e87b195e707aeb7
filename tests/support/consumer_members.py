"""Members of the consumer protocol (KIP-848) without a broker: single heartbeats, and a client that behaves."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import re2
from support.topics import KnownTopics, default_times

from barnabas.broker.groups import GroupCoordinator, GroupCoordinatorConfig, HeartbeatRequest, HeartbeatResult
from barnabas.broker.groups.consumer.assignors import Subscriber, range_
from barnabas.protocol.errors import ErrorCode
from barnabas.storage.catalog.sqlite import SqliteCatalog

REBALANCE_TIMEOUT_MS = 20_000
Partitions = frozenset[tuple[bytes, int]]


def heartbeat_request(member_id: str, member_epoch: int, **fields: Any) -> HeartbeatRequest:
    """Return a heartbeat for the group "g" that says nothing new but ``fields``."""
    silent = {
        "group_id": "g",
        "instance_id": None,
        "rack_id": None,
        "rebalance_timeout_ms": -1,
        "topic_names": None,
        "regex": None,
        "assignor": None,
        "owned": None,
        "client_id": "client",
        "client_host": "/127.0.0.1",
    }
    return HeartbeatRequest(member_id=member_id, member_epoch=member_epoch, **silent | fields)


def beat(groups: Any, member_id: str, member_epoch: int, **fields: Any) -> HeartbeatResult:
    """Send such a heartbeat to a coordinator in a harness (see tests/broker/groups/conftest.py)."""
    return groups.coordinator.consumer_heartbeat(  # type: ignore[no-any-return]
        heartbeat_request(member_id, member_epoch, **fields), 1
    )


def join(groups: Any, member_id: str, *names: str, **fields: Any) -> HeartbeatResult:
    """Join and read "t" unless something else is named."""
    whole = {"rebalance_timeout_ms": REBALANCE_TIMEOUT_MS, "owned": {}}
    subscription = {} if "regex" in fields else {"topic_names": names or ("t",)}
    return beat(groups, member_id, 0, **whole | subscription | fields)


def flat(assignment: Any) -> Partitions:
    return frozenset((topic_id, index) for topic_id, indexes in assignment.items() for index in indexes)


def by_topic(partitions: Partitions) -> dict[bytes, frozenset[int]]:
    topic_ids = {topic_id for topic_id, _ in partitions}
    return {each: frozenset(index for topic_id, index in partitions if topic_id == each) for each in topic_ids}


class Subscription(NamedTuple):
    """What a member reads; ``regex``: "" when there is none."""

    names: tuple[str, ...]
    regex: str

    def topics(self, known: Any) -> frozenset[str]:
        names = (topic.name for topic in known)
        return frozenset(name for name in names if name in self.names or re2.fullmatch(self.regex, name))


@dataclass(eq=False)
class ConsumerMember:
    """A consumer as KIP-848 wants it: it says what changed, gives up first, then takes.

    ``slowness``: heartbeats between being told to give something up and having done so. ``said``: what the
    coordinator certainly knows, None when that is not certain. ``heard_s``: when the coordinator heard it last.
    """

    member_id: str
    instance_id: str | None
    assignor: str | None
    slowness: int
    subscription: Subscription
    epoch: int = 0
    owned: Partitions = frozenset()
    told: Partitions = frozenset()
    delay: int = 0
    said: tuple[Subscription, Partitions] | None = None
    heard_s: float = field(default=float("-inf"))
    is_paused: bool = False

    def request(self) -> HeartbeatRequest:
        """Return the next heartbeat: everything when it joins or has lost track, else what it has not said yet."""
        whole = self.epoch == 0 or self.said is None
        subscription, owned = (None, None) if self.said is None or whole else self.said
        fields: dict[str, Any] = {"instance_id": self.instance_id}
        if whole:
            fields |= {"rebalance_timeout_ms": REBALANCE_TIMEOUT_MS, "assignor": self.assignor}
        if subscription != self.subscription:
            fields |= {"topic_names": self.subscription.names, "regex": self.subscription.regex}
        if owned != self.owned:
            fields["owned"] = by_topic(self.owned)
        return heartbeat_request(self.member_id, self.epoch, **fields)

    def take(self, epoch: int, assignment: Any) -> None:
        """Take in an answer."""
        self.epoch = epoch
        if assignment is not None:
            self.told = flat(assignment)
        if self.owned <= self.told:
            self.owned = self.told

    def work(self) -> None:
        """Give up what is to be given up, when it is time, and only then take what is new."""
        if self.owned <= self.told:
            self.delay = self.slowness
        elif self.delay > 0:
            self.delay -= 1
        else:
            self.owned, self.delay = self.told, self.slowness

    def refused(self, code: ErrorCode) -> bool:
        """Take in an error: try again, or give everything up; False when somebody has its place for good."""
        if self.epoch == 0:
            assert code in (ErrorCode.UNRELEASED_INSTANCE_ID, ErrorCode.GROUP_ID_NOT_FOUND)
            return True
        assert code in (
            ErrorCode.FENCED_MEMBER_EPOCH,
            ErrorCode.UNKNOWN_MEMBER_ID,
            ErrorCode.FENCED_INSTANCE_ID,
            ErrorCode.GROUP_ID_NOT_FOUND,
        )
        self.drop_everything()
        return code is not ErrorCode.FENCED_INSTANCE_ID

    def drop_everything(self) -> None:
        """Be as new, and quick from now on: who is too slow every time is thrown out for ever."""
        self.epoch, self.owned, self.told, self.said = 0, frozenset(), frozenset(), None
        self.slowness = self.delay = 0


def read_everything_once(members: Sequence[ConsumerMember], topics: KnownTopics) -> bool:
    """Say whether each partition of each topic that somebody subscribed to has exactly one owner."""
    wanted = frozenset[str]().union(*(member.subscription.topics(topics) for member in members))
    there = [
        (each.topic_id, index) for each in topics if each.name in wanted for index in range(each.partition_count)
    ]
    return sorted(partition for member in members for partition in member.owned) == sorted(there)


def check_balance(members: Sequence[ConsumerMember], assignors: set[str | None], topics: KnownTopics) -> None:
    """Check members that are at rest; ``assignors``: what they or, being static, their predecessors asked for."""
    subscribed = [member.subscription.topics(topics) for member in members]
    if assignors == {"range"}:
        subscribers = {
            member.member_id: Subscriber(
                member.instance_id, frozenset(each.topic_id for each in topics if each.name in names), {}
            )
            for member, names in zip(members, subscribed, strict=True)
        }
        expected = range_(subscribers, {each.topic_id: each.partition_count for each in topics})
        assert {member.member_id: by_topic(member.owned) for member in members} == expected
    elif assignors <= {"uniform", None} and len(set(subscribed)) == 1:
        sizes = [len(member.owned) for member in members]
        assert max(sizes) - min(sizes) <= 1


def restarted_copy(groups: Any) -> tuple[GroupCoordinator, SqliteCatalog]:
    """Return a coordinator over a copy of the catalog, as after a restart now; the catalog is to close."""
    path = groups.path.with_name("copy.db")
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(groups.path)) as source, closing(sqlite3.connect(path)) as copy:
        source.backup(copy)
    catalog, config = SqliteCatalog(path, groups.clock), GroupCoordinatorConfig(**groups.config)
    return GroupCoordinator(catalog, groups.clock, config, groups.topics, default_times), catalog
