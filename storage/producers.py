"""What a partition remembers of its idempotent producers (KIP-98; Kafka's ProducerStateManager).

Per producer id: the epoch, and the sequences of the last five batches, so that a batch which was sent again is
answered with its first offset instead of being appended again; and where its open transaction begins.
"""

import struct
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..protocol.records import BatchHeader, ControlType, EndTransactionMarker, crc32c
from . import files
from .aborted import AbortedTransaction
from .errors import CoordinatorEpochStale, ProducerEpochStale, SequenceOutOfOrder, TransactionStateInvalid

# A producer has at most this many batches in flight, so it never repeats an older one.
BATCHES_REMEMBERED = 5
NO_EPOCH = -1
SEQUENCE_MAX = 0x7FFFFFFF

_SNAPSHOT_VERSION = 1
_SNAPSHOT_HEAD = struct.Struct(">hIi")
_SNAPSHOT_ENTRY = struct.Struct(">qhiqiqiq")
_CRC_END = 6


class SnapshotCorrupt(Exception):
    """The file is not a producer snapshot; an older one or the log itself has to do."""


class BatchSequence(NamedTuple):
    """A remembered batch. ``timestamp``: its max timestamp, ms."""

    first_sequence: int
    last_sequence: int
    first_offset: int
    last_offset: int
    timestamp: int


class ProducerEntry:
    """One producer. ``batches``: oldest first; ``last_timestamp`` in ms decides about expiry."""

    __slots__ = ("batches", "coordinator_epoch", "current_txn_first_offset", "epoch", "last_timestamp")

    def __init__(self, epoch: int, last_timestamp: int) -> None:
        self.epoch = epoch
        self.last_timestamp = last_timestamp
        self.coordinator_epoch = -1
        self.current_txn_first_offset = -1
        self.batches: deque[BatchSequence] = deque(maxlen=BATCHES_REMEMBERED)


class ProducerStates:
    """All producers of one partition. ``open``: where their open transactions begin, in the order of the log."""

    __slots__ = ("entries", "open")

    def __init__(self) -> None:
        self.entries: dict[int, ProducerEntry] = {}
        self.open: dict[int, int] = {}

    @property
    def first_open_offset(self) -> int | None:
        """Where the oldest open transaction begins, None when there is none."""
        return next(iter(self.open.values()), None)

    def check(self, header: BatchHeader) -> BatchSequence | None:
        """Say whether the batch may be appended: return the batch that it repeats, or None when it is new.

        Raises ProducerEpochStale, SequenceOutOfOrder, TransactionStateInvalid. A producer that is not known may begin
        anywhere: its state may have expired (KIP-360).
        """
        entry = self.entries.get(header.producer_id)
        if entry is None or entry.epoch == NO_EPOCH:
            return None
        first = header.base_sequence
        if header.producer_epoch == entry.epoch:
            last = header.last_sequence
            for batch in entry.batches:
                if batch.first_sequence == first and batch.last_sequence == last:
                    return batch
            if not entry.batches:
                expected = 0
            else:
                previous = entry.batches[-1].last_sequence
                expected = 0 if previous == SEQUENCE_MAX else previous + 1
        elif header.producer_epoch < entry.epoch:
            raise ProducerEpochStale(
                f"producer {header.producer_id} has epoch {entry.epoch} here, the batch has {header.producer_epoch}"
            )
        else:
            expected = 0
        if first != expected:
            raise SequenceOutOfOrder(
                f"producer {header.producer_id} epoch {header.producer_epoch}: sequence {first}, expected {expected}"
            )
        if entry.current_txn_first_offset >= 0 and not header.is_transactional:
            raise TransactionStateInvalid(f"producer {header.producer_id} has an open transaction here")
        return None

    def check_marker(self, header: BatchHeader, marker: EndTransactionMarker, must_bump: bool) -> None:
        """Say whether the marker may be appended; ``must_bump``: its epoch is new with it (KIP-890, version 2).

        Raises ProducerEpochStale, CoordinatorEpochStale.
        """
        entry = self.entries.get(header.producer_id)
        if entry is None:
            return
        epoch = header.producer_epoch
        if epoch < entry.epoch or (must_bump and epoch == entry.epoch):
            raise ProducerEpochStale(
                f"producer {header.producer_id} has epoch {entry.epoch} here, the marker has {epoch}"
            )
        if marker.coordinator_epoch < entry.coordinator_epoch:
            known, epoch = entry.coordinator_epoch, marker.coordinator_epoch
            raise CoordinatorEpochStale(f"the coordinator had epoch {known} here, the marker has {epoch}", known)

    def remember(self, header: BatchHeader, base_offset: int) -> None:
        """Take note of a batch that lies in the log at ``base_offset``; also used to rebuild the state from a log."""
        entry = self.entries.get(header.producer_id)
        if entry is None:
            entry = self.entries[header.producer_id] = ProducerEntry(header.producer_epoch, header.max_timestamp)
        elif entry.epoch != header.producer_epoch:
            entry.epoch = header.producer_epoch
            entry.batches.clear()
        entry.last_timestamp = header.max_timestamp
        if header.is_control:
            return
        entry.batches.append(_sequence_of(header, base_offset))
        if header.is_transactional and entry.current_txn_first_offset < 0:
            entry.current_txn_first_offset = self.open[header.producer_id] = base_offset

    def aborted_by(self, header: BatchHeader, marker: EndTransactionMarker, offset: int) -> AbortedTransaction | None:
        """Return the transaction that a marker at ``offset`` aborts here, None when it commits or there is none."""
        first_offset = self.open.get(header.producer_id)
        if first_offset is None or marker.type is not ControlType.ABORT:
            return None
        others = (first for producer_id, first in self.open.items() if producer_id != header.producer_id)
        return AbortedTransaction(header.producer_id, first_offset, offset, next(others, offset + 1))

    def end_transaction(self, header: BatchHeader, marker: EndTransactionMarker, offset: int) -> None:
        """Take note of a marker that lies in the log at ``offset``; also used to rebuild the state from a log."""
        self.remember(header, offset)
        entry = self.entries[header.producer_id]
        entry.coordinator_epoch = marker.coordinator_epoch
        entry.current_txn_first_offset = -1
        self.open.pop(header.producer_id, None)

    def recall(self, earlier: Iterable[BatchHeader]) -> None:
        """Refill what a snapshot leaves out, the batches before the last, from the ``earlier`` part of the log."""
        found: dict[int, list[BatchSequence]] = {}
        for header in earlier:
            entry = self.entries.get(header.producer_id)
            if entry is not None and entry.epoch == header.producer_epoch and not header.is_control:
                found.setdefault(header.producer_id, []).append(_sequence_of(header, header.base_offset))
        for producer_id, batches in found.items():
            entry = self.entries[producer_id]
            if entry.batches:
                last = entry.batches[-1]
                older = [batch for batch in batches if batch.last_offset < last.last_offset]
                entry.batches = deque([*older, last], maxlen=BATCHES_REMEMBERED)

    def expire(self, before_ms: int) -> None:
        """Forget producers whose last batch is older than ``before_ms`` and which have no open transaction."""
        for producer_id in [
            producer_id
            for producer_id, entry in self.entries.items()
            if entry.last_timestamp < before_ms and entry.current_txn_first_offset < 0
        ]:
            del self.entries[producer_id]

    def write_snapshot(self, path: Path) -> None:
        """Write Kafka's snapshot file: per producer the last batch only. Raises OSError."""
        body = bytearray(struct.pack(">i", len(self.entries)))
        for producer_id, entry in self.entries.items():
            last = entry.batches[-1] if entry.batches else BatchSequence(-1, -1, -1, -1, -1)
            body += _SNAPSHOT_ENTRY.pack(
                producer_id,
                entry.epoch,
                last.last_sequence,
                last.last_offset,
                last.last_offset - last.first_offset,
                entry.last_timestamp,
                entry.coordinator_epoch,
                entry.current_txn_first_offset,
            )
        files.replace(path, struct.pack(">hI", _SNAPSHOT_VERSION, crc32c(bytes(body))) + body)

    @classmethod
    def read_snapshot(cls, path: Path) -> "ProducerStates":
        """Read a snapshot file of Kafka's or ours. Raises SnapshotCorrupt, OSError."""
        content = files.read(path)
        states = cls()
        try:
            version, crc, count = _SNAPSHOT_HEAD.unpack_from(content)
            if version != _SNAPSHOT_VERSION or crc != crc32c(content[_CRC_END:]):
                raise SnapshotCorrupt(f"{path}: version {version} or checksum is wrong")
            if len(content) != _SNAPSHOT_HEAD.size + count * _SNAPSHOT_ENTRY.size:
                raise SnapshotCorrupt(f"{path}: {count} producers do not fill {len(content)} bytes")
            for at in range(_SNAPSHOT_HEAD.size, len(content), _SNAPSHOT_ENTRY.size):
                fields = _SNAPSHOT_ENTRY.unpack_from(content, at)
                producer_id, epoch, last_sequence, last_offset, delta, timestamp, coordinator_epoch, txn = fields
                entry = states.entries[producer_id] = ProducerEntry(epoch, timestamp)
                entry.coordinator_epoch = coordinator_epoch
                entry.current_txn_first_offset = txn
                if last_offset >= 0:
                    first_sequence = last_sequence - delta & SEQUENCE_MAX
                    entry.batches.append(
                        BatchSequence(first_sequence, last_sequence, last_offset - delta, last_offset, timestamp)
                    )
        except struct.error as error:
            raise SnapshotCorrupt(f"{path}: {error}") from error
        begun = ((entry.current_txn_first_offset, producer_id) for producer_id, entry in states.entries.items())
        states.open = {producer_id: first for first, producer_id in sorted(begun) if first >= 0}
        return states


def _sequence_of(header: BatchHeader, base_offset: int) -> BatchSequence:
    return BatchSequence(
        header.base_sequence,
        header.last_sequence,
        base_offset,
        base_offset + header.last_offset_delta,
        header.max_timestamp,
    )
