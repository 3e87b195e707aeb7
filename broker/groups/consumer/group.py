"""A consumer group as it lives in memory: changed by the changes that the catalog keeps, and by nothing else."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Protocol

from ....storage.catalog import (
    ConsumerGroupStored,
    ConsumerMember,
    ConsumerMembersRemoved,
    ConsumerMembersStored,
    StoredConsumerGroup,
    TargetsStored,
)
from ..subscription import CONSUMER_PROTOCOL_TYPE
from .assignors import Assignment
from .member import UNOWNED, is_reconciled

UNKNOWN_HASH = -1  # of no set of topics

GroupChange = ConsumerGroupStored | ConsumerMembersStored | ConsumerMembersRemoved | TargetsStored


class KnownTopic(Protocol):
    """A topic as far as groups care."""

    name: str
    topic_id: bytes

    @property
    def partition_count(self) -> int: ...


class KnownTopics(Protocol):
    """The topics there are. ``version`` changes whenever they do."""

    version: int

    def get(self, name: str) -> KnownTopic | None: ...
    def with_id(self, topic_id: bytes) -> KnownTopic | None: ...
    def __iter__(self) -> Iterator[KnownTopic]: ...


class ConsumerGroupState(StrEnum):
    """Kafka's states of a consumer group, spelled as they stand on the wire."""

    EMPTY = "Empty"
    ASSIGNING = "Assigning"
    RECONCILING = "Reconciling"
    STABLE = "Stable"


class ConsumerGroup:
    """See the module. ``owners`` holds the epoch of the member that has a partition, by topic id and partition.

    ``seen_version``: the version of the topics that ``metadata_hash`` was compared with last. ``refreshed_s`` and
    ``refreshed_version``: when (monotonic) and with which topics the regular expressions were matched last.
    """

    def __init__(self, stored: StoredConsumerGroup) -> None:
        self.stored = stored
        self.members: dict[str, ConsumerMember] = {}
        self.targets: dict[str, Assignment] = {}
        self.static_members: dict[str, str] = {}
        self.seen_version = -1
        self.refreshed_s = float("-inf")
        self.refreshed_version = -1
        self._owners: dict[tuple[bytes, int], int] = {}
        self._assigned_since: dict[str, dict[tuple[bytes, int], int]] = {}

    @classmethod
    def new(cls, group_id: str, now_ms: int) -> ConsumerGroup:
        """Return a group that nobody has joined yet; the first to join has the epoch after this (KAFKA-20268)."""
        return cls(StoredConsumerGroup(group_id, 1, 1, 0, {}, now_ms))

    @property
    def group_id(self) -> str:
        return self.stored.group_id

    @property
    def epoch(self) -> int:
        return self.stored.epoch

    @property
    def assignment_epoch(self) -> int:
        return self.stored.assignment_epoch

    @property
    def state(self) -> ConsumerGroupState:
        if not self.members:
            return ConsumerGroupState.EMPTY
        if self.epoch > self.assignment_epoch:
            return ConsumerGroupState.ASSIGNING
        if all(is_reconciled(member, self.assignment_epoch) for member in self.members.values()):
            return ConsumerGroupState.STABLE
        return ConsumerGroupState.RECONCILING

    def apply(self, changes: Iterable[GroupChange]) -> None:
        """Take in changes that were committed."""
        for change in changes:
            match change:
                case ConsumerGroupStored(stored):
                    self.stored = stored
                case ConsumerMembersRemoved(_, member_ids):
                    for member_id in member_ids:
                        self._remove(member_id)
                case ConsumerMembersStored(_, members):
                    for member in members:
                        self._put(member)
                case TargetsStored(_, targets):
                    self.targets.update(targets)

    def load(self, member: ConsumerMember, target: Assignment) -> None:
        """Take in a member as the catalog has it."""
        self._put(member)
        self.targets[member.member_id] = target

    def _put(self, member: ConsumerMember) -> None:
        old = self.members.get(member.member_id)
        if old is not None:
            self._disown(old)
            self._free_instance(old)
        since = self._assigned_since.get(member.member_id, {})
        self._assigned_since[member.member_id] = {
            partition: since.get(partition, member.epoch) for partition in _partitions(member.assigned)
        }
        self.members[member.member_id] = member
        self.targets.setdefault(member.member_id, {})
        for partition in _held(member):
            self._owners[partition] = member.epoch
        if member.instance_id is not None:
            self.static_members[member.instance_id] = member.member_id

    def _remove(self, member_id: str) -> None:
        member = self.members.pop(member_id, None)
        if member is None:
            return
        self._disown(member)
        del self._assigned_since[member_id]
        self.targets.pop(member_id, None)
        self._free_instance(member)

    def _free_instance(self, member: ConsumerMember) -> None:
        if member.instance_id is not None and self.static_members.get(member.instance_id) == member.member_id:
            del self.static_members[member.instance_id]

    def _disown(self, member: ConsumerMember) -> None:
        for partition in _held(member):
            # Somebody else may have it in the same set of changes already.
            if self._owners.get(partition) == member.epoch:
                del self._owners[partition]

    def had_all_at(self, member: ConsumerMember, epoch: int, partitions: Iterable[tuple[bytes, int]]) -> bool:
        """Say whether the member has these partitions now and had them when it had ``epoch`` (KIP-1251).

        After a restart it counts as having got them at its present epoch.
        """
        since = self._assigned_since[member.member_id]
        return epoch <= member.epoch and all(since.get(each, epoch + 1) <= epoch for each in partitions)

    def epoch_of(self, topic_id: bytes, index: int) -> int:
        """Return the epoch of the member that has the partition, UNOWNED when nobody has."""
        return self._owners.get((topic_id, index), UNOWNED)

    def static_member(self, instance_id: str) -> ConsumerMember | None:
        member_id = self.static_members.get(instance_id)
        return None if member_id is None else self.members[member_id]

    def is_at_rest(self, member: ConsumerMember, topics_version: int) -> bool:
        """Say whether nothing can have changed for the member, as long as it says nothing new itself."""
        return (
            self.members.get(member.member_id) is member
            and self.epoch == self.assignment_epoch
            and self.seen_version == topics_version
            and (not self.stored.resolved or self.refreshed_version == topics_version)
            and is_reconciled(member, self.assignment_epoch)
        )

    @property
    def is_only_classic(self) -> bool:
        """True when there are members and all of them speak the classic protocol."""
        return bool(self.members) and all(member.classic is not None for member in self.members.values())

    def supports_classic(self, protocol_type: str, names: Iterable[str]) -> bool:
        """Say whether somebody with these protocols can join the members that speak the classic protocol."""
        if protocol_type != CONSUMER_PROTOCOL_TYPE:
            return False
        spoken = [
            {name for name, _ in member.classic.protocols}
            for member in self.members.values()
            if member.classic is not None
        ]
        return bool(set(names).intersection(*spoken))

    def waits_for_partitions(self, member: ConsumerMember) -> bool:
        """Say whether others have partitions that the member should have."""
        target = self.targets[member.member_id]
        return any(
            self.epoch_of(topic_id, index) != UNOWNED
            for topic_id, indexes in target.items()
            for index in indexes - member.assigned.get(topic_id, frozenset())
        )

    def topic_names(self, member: ConsumerMember, resolved: Mapping[str, frozenset[str]]) -> frozenset[str]:
        """Return what a member reads: the topics it names and those that its regular expression stands for."""
        return frozenset(member.topic_names) | resolved.get(member.regex, frozenset())

    def is_subscribed_to(self, topic: str) -> bool:
        return any(topic in self.topic_names(member, self.stored.resolved) for member in self.members.values())

    def preferred_assignor(self, members: Iterable[ConsumerMember], default: str) -> str:
        """Return the assignor that most members want; of equals the first by name, also after a restart."""
        votes = Counter(member.assignor for member in members if member.assignor is not None)
        return max(sorted(votes), key=votes.__getitem__, default=default)


def _held(member: ConsumerMember) -> Iterator[tuple[bytes, int]]:
    yield from _partitions(member.assigned)
    yield from _partitions(member.revoking)


def _partitions(assignment: Assignment) -> Iterator[tuple[bytes, int]]:
    for topic_id, indexes in assignment.items():
        for index in indexes:
            yield topic_id, index


def metadata_hash(names: Iterable[str], topics: KnownTopics) -> int:
    """Return a number that differs when the topics, their ids or numbers of partitions do; 0 without topics."""
    known = [topic for name in sorted(set(names)) if (topic := topics.get(name)) is not None]
    if not known:
        return 0
    text = "\n".join(f"{topic.name} {topic.topic_id.hex()} {topic.partition_count}" for topic in known)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big")
