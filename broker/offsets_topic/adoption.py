"""Taking groups and their committed offsets out of a ``__consumer_offsets`` that Kafka, or Barnabas, has written."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ...protocol.group_records import (
    ConsumerGroupMetadataValue,
    GroupKey,
    GroupMetadataValue,
    OffsetCommitValue,
    OffsetKey,
    RecordType,
    key_type,
    read_key,
    read_value,
)
from ...protocol.primitives import MalformedMessage
from ...protocol.records import ControlType, headers, read_end_transaction_marker
from ...protocol.schema import Struct
from ...storage.catalog import (
    Catalog,
    Change,
    CommittedOffset,
    ConsumerGroupStored,
    GroupStored,
    OffsetsCommitted,
    PartitionsAdded,
    StoredConsumerGroup,
    StoredGroup,
    TopicCreated,
)
from .reading import KeyedRecord, keyed_records, slices

if TYPE_CHECKING:
    from ...storage.log import PartitionLog

_OFFSETS = (RecordType.LEGACY_OFFSET_COMMIT, RecordType.OFFSET_COMMIT)
_WANTED = (*_OFFSETS, RecordType.GROUP_METADATA, RecordType.CONSUMER_GROUP_METADATA)

K = TypeVar("K")
V = TypeVar("V")
S = TypeVar("S", bound=Struct)

logger = logging.getLogger(__name__)


class Taken(NamedTuple):
    """How much was taken in: groups that were not here, and offsets. ``left_out``: offsets of unknown partitions."""

    groups: int
    offsets: int
    left_out: int


class _At(NamedTuple):
    """A committed offset, and at which offset of the log it stands."""

    record_offset: int
    value: OffsetCommitValue


class FoundGroups:
    """What the logs say that were read, the newest value of each key (OffsetMetadataManager)."""

    def __init__(self) -> None:
        self._offsets: dict[str, dict[tuple[str, int], _At]] = {}
        self._classic: dict[str, GroupMetadataValue] = {}
        self._consumer: dict[str, ConsumerGroupMetadataValue] = {}

    def read(self, log: PartitionLog) -> None:
        """Take in one partition.

        Records of a transaction count when its commit marker is read, and keep their own offsets.
        Raises StorageError.
        """
        pending: dict[int, list[KeyedRecord]] = {}
        for found in slices(log):
            for position, header in headers(found.batches):
                batch = found.batches[position:]
                if header.is_control:
                    end = read_end_transaction_marker(batch)
                    undecided = pending.pop(header.producer_id, []) if end is not None else []
                    for record in undecided if end is not None and end.type is ControlType.COMMIT else ():
                        self._take(record)
                    continue
                for record in keyed_records(batch, header):
                    if header.is_transactional:
                        pending.setdefault(header.producer_id, []).append(record)
                    else:
                        self._take(record)

    def _take(self, record: KeyedRecord) -> None:
        kind = key_type(record.key)
        if kind not in _WANTED:
            return
        try:
            key = read_key(kind, record.key)
            if isinstance(key, OffsetKey):
                self._take_offset(record, key)
            elif isinstance(key, GroupKey) and kind is RecordType.GROUP_METADATA:
                _keep(self._classic, key.group_id, _value(GroupMetadataValue, record))
            elif isinstance(key, GroupKey):
                _keep(self._consumer, key.group_id, _value(ConsumerGroupMetadataValue, record))
        except MalformedMessage as error:
            logger.warning("the record at offset %d of __consumer_offsets is left out: %s", record.offset, error)

    def _take_offset(self, record: KeyedRecord, key: OffsetKey) -> None:
        value = _value(OffsetCommitValue, record)
        of_group = self._offsets.setdefault(key.group, {})
        partition = (key.topic, key.partition)
        present = of_group.get(partition)
        if present is not None and present.record_offset > record.offset:
            return  # committed without a transaction while this one was open
        _keep(of_group, partition, None if value is None else _At(record.offset, value))

    def store(self, catalog: Catalog, now_ms: int, of_topic: TopicCreated | PartitionsAdded | None = None) -> Taken:
        """Commit to the catalog what it does not know: groups, without members, and offsets of partitions it has.

        Groups that have anything in the catalog stay as they are. ``of_topic``: what becomes of __consumer_offsets.
        All is one commit: a failure leaves nothing behind. Raises CatalogError.
        """
        counts = {topic.name: topic.partition_count for topic in catalog.topics()}
        all_changes: list[Change] = []
        if of_topic is not None:
            topic = of_topic.topic if isinstance(of_topic, TopicCreated) else of_topic
            counts[topic.name] = topic.partition_count
            all_changes.append(of_topic)
        known = set(catalog.group_ids())
        groups = offsets = left_out = 0
        for group_id in sorted({*self._offsets, *self._classic, *self._consumer} - known):
            found = self._offsets.get(group_id, {})
            committed = [_committed(*at, found[at].value) for at in sorted(found) if at[1] < counts.get(at[0], 0)]
            left_out += len(found) - len(committed)
            changes = self._group(group_id, now_ms)
            if committed:
                changes.append(OffsetsCommitted(group_id, committed))
            if changes:
                all_changes += changes
                groups += 1
                offsets += len(committed)
        catalog.commit(*all_changes)
        return Taken(groups, offsets, left_out)

    def _group(self, group_id: str, now_ms: int) -> list[Change]:
        """Return the group as it is after its members have gone, which they have."""
        consumer, classic = self._consumer.get(group_id), self._classic.get(group_id)
        if consumer is not None:
            stored = StoredConsumerGroup(group_id, consumer.epoch, consumer.epoch, 0, {}, now_ms)
            return [ConsumerGroupStored(stored)]
        if classic is not None and classic.protocol_type:
            generation = classic.generation + bool(classic.members)
            return [GroupStored(StoredGroup(group_id, classic.protocol_type, generation, None, None, now_ms, ()))]
        return []


def _keep(kept: dict[K, V], key: K, value: V | None) -> None:
    if value is None:
        kept.pop(key, None)
    else:
        kept[key] = value


def _value(kind: type[S], record: KeyedRecord) -> S | None:
    return None if record.value is None else read_value(kind, record.value)


def _committed(topic: str, partition: int, value: OffsetCommitValue) -> CommittedOffset:
    return CommittedOffset(
        topic,
        partition,
        value.offset,
        value.leader_epoch,
        value.metadata,
        value.commit_timestamp,
        value.expire_timestamp,
    )
