"""Consumers of the classic protocol without a broker: eager ones, and cooperative ones (KIP-429)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from support.consumer_members import REBALANCE_TIMEOUT_MS, Partitions, Subscription
from support.topics import KnownTopics

from barnabas.broker.groups.subscription import read_assignment, read_subscription, write_assignment
from barnabas.protocol.codec import encoder
from barnabas.protocol.consumer_protocol import ConsumerProtocolSubscription, TopicPartition
from barnabas.protocol.errors import ErrorCode as E

SESSION_MS = 45_000
COOPERATIVE_VERSION = 1
_TRY_AGAIN = (E.REBALANCE_IN_PROGRESS, E.COORDINATOR_NOT_AVAILABLE, E.NOT_COORDINATOR)
_encode = {
    version: encoder(ConsumerProtocolSubscription, version, flexible=False) for version in (0, COOPERATIVE_VERSION)
}


@dataclass(eq=False)
class ClassicConsumer:
    """``is_cooperative``: it gives up only what it must and joins again then; else it gives up all before it joins.

    ``generation_id``: -1 when it is in no generation. ``seen``: what there was of topics when it joined; None when it
    came back as a static member, and cannot know whether its assignment is for those. ``watched``: the topics whose
    change makes it join again; a leader watches those of all.
    """

    groups: Any
    instance_id: str | None
    is_cooperative: bool
    subscription: Subscription
    member_id: str = ""
    generation_id: int = -1
    owned: Partitions = frozenset()
    must_join: bool = True
    must_sync: bool = False
    proposal: dict[str, bytes] = field(default_factory=dict)
    joining: Any = None
    syncing: Any = None
    seen: Any = None
    watched: frozenset[str] = frozenset()
    heard_s: float = field(default=float("-inf"))
    is_paused: bool = False
    is_fenced: bool = False

    @property
    def epoch(self) -> int:
        return self.generation_id

    @property
    def is_at_rest(self) -> bool:
        asks = self.joining is not None or self.syncing is not None or self.must_join or self.must_sync
        return not asks and not self._finds_other_topics()

    def act(self) -> None:
        """Go on until there is something to wait for, or a heartbeat says that all is well."""
        for _ in range(20):
            if self.is_fenced or not self._step():
                return
            self.heard_s = self.groups.clock.monotonic()

    def lose_answer(self) -> None:
        """Find the connection gone: whatever was asked for is asked for again."""
        if self.joining is not None or self.syncing is not None:
            self.joining = self.syncing = None
            self.must_join = True

    def _step(self) -> bool:
        if self.joining is not None:
            return not self.joining.waits and self._joined()
        if self.syncing is not None:
            return not self.syncing.waits and self._synced()
        if self.must_sync:
            self._sync()
            return True
        if self.must_join or self._finds_other_topics():
            self._join()
            return True
        self.heard_s = self.groups.clock.monotonic()
        error = self.groups.heartbeat(self, self.instance_id)
        return error is not E.NONE and self._refused(error)

    # One request after the other

    def _join(self) -> None:
        if not self.is_cooperative:
            self.owned = frozenset()
        self.must_join, self.must_sync, self.seen = False, False, self._topics()
        version = COOPERATIVE_VERSION if self.is_cooperative else 0
        owned = [
            TopicPartition(topic=name, partitions=sorted(parts)) for name, parts in self._named(self.owned).items()
        ]
        subscription = ConsumerProtocolSubscription(topics=list(self.subscription.names), owned_partitions=owned)
        metadata = b"".join((version.to_bytes(2, "big"), *_encode[version](subscription)))
        self.joining = self.groups.join(
            self.member_id,
            group_instance_id=self.instance_id,
            session_timeout_ms=SESSION_MS,
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            protocols=[("cooperative" if self.is_cooperative else "eager", metadata)],
            requires_known_member_id=True,
            supports_skipping_assignment=True,
        )

    def _joined(self) -> bool:
        result, self.joining = self.joining.result, None
        if result.error is E.MEMBER_ID_REQUIRED:
            self.member_id, self.must_join = result.member_id, True
            return True
        if result.error is not E.NONE:
            return self._refused(result.error)
        if self.instance_id and self.generation_id < 0:
            self.seen = None
        self.member_id, self.generation_id, self.must_sync = result.member_id, result.generation_id, True
        leads = result.leader == self.member_id and not result.skip_assignment
        self.proposal = self._assign(result.members) if leads else {}
        read = [read_subscription(each.metadata) for each in result.members] if leads else []
        self.watched = frozenset(self.subscription.names).union(*(subscription.topics for subscription in read))
        return True

    def _assign(self, members: Iterable[Any]) -> dict[str, bytes]:
        """Deal the partitions out in turns; what another one has must be given up by it first."""
        read = {each.member_id: read_subscription(each.metadata) for each in members}
        owners = {
            (name, index): member_id
            for member_id, subscription in read.items()
            for name, indexes in subscription.owned.items()
            for index in indexes
        }
        given: dict[str, dict[str, set[int]]] = {member_id: {} for member_id in read}
        dealt = 0
        for topic in self.groups.topics:
            readers = sorted(
                member_id for member_id, subscription in read.items() if topic.name in subscription.topics
            )
            for index in range(topic.partition_count if readers else 0):
                member_id = readers[dealt % len(readers)]
                dealt += 1
                if owners.get((topic.name, index), member_id) == member_id:
                    given[member_id].setdefault(topic.name, set()).add(index)
        return {
            member_id: write_assignment({name: frozenset(parts) for name, parts in share.items()}, 0)
            for member_id, share in given.items()
        }

    def _sync(self) -> None:
        self.must_sync = False
        self.syncing = self.groups.sync(self, self.proposal, group_instance_id=self.instance_id)

    def _synced(self) -> bool:
        result, self.syncing = self.syncing.result, None
        if result.error is not E.NONE:
            return self._refused(result.error)
        named, _ = read_assignment(result.assignment) if result.assignment else ({}, b"")
        given = frozenset(
            (topic.topic_id, index)
            for name, indexes in named.items()
            if (topic := self.groups.topics.get(name)) is not None
            for index in indexes
        )
        self.must_join = bool(self.owned - given)  # only a cooperative one has anything then
        self.owned = given
        return self.must_join

    def _refused(self, error: E) -> bool:
        """Take in an error; everybody goes on but who was replaced."""
        self.must_join, self.must_sync = True, False
        if error is E.FENCED_INSTANCE_ID:
            self.is_fenced = True
        elif error in (E.UNKNOWN_MEMBER_ID, E.ILLEGAL_GENERATION):
            self.owned, self.generation_id = frozenset(), -1
            if error is E.UNKNOWN_MEMBER_ID:
                self.member_id = ""
        else:
            assert error in _TRY_AGAIN, error
        return error is not E.COORDINATOR_NOT_AVAILABLE

    # What there is to read

    def _finds_other_topics(self) -> bool:
        topics = self._topics()
        return self.seen is None or any(self.seen.get(name) != topics.get(name) for name in self.watched)

    def _topics(self) -> Any:
        topics: KnownTopics = self.groups.topics
        return {each.name: (each.topic_id, each.partition_count) for each in topics}

    def _named(self, partitions: Partitions) -> Mapping[str, set[int]]:
        named: dict[str, set[int]] = {}
        for topic_id, index in partitions:
            topic = self.groups.topics.with_id(topic_id)
            if topic is not None:
                named.setdefault(topic.name, set()).add(index)
        return named
