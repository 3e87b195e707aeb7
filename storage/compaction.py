"""Compaction of one log: of each key the last record stays (Kafka's Cleaner).

What is here reads segments that do not grow any more and writes others beside them, ``*.cleaned``; the log is not
touched. It needs nothing but a ``Plan``, so it runs in a process of its own (see ``cleaner``).
"""

import os
from collections.abc import Callable, Generator, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from ..protocol.records import (
    NO_TIMESTAMP,
    BatchHeader,
    ControlType,
    emptied,
    keyed,
    read_end_transaction_marker,
    read_header,
    retain,
    retain_marker,
    verify,
)
from . import files
from .aborted import AbortedTransaction
from .errors import LogCorrupt
from .file_pool import FilePool
from .index import OFFSET_ENTRY_BYTES, RELATIVE_OFFSET_MAX
from .segment import CLEANED_MARK, INDEX_SUFFIX, LOG_SUFFIX, TIME_INDEX_SUFFIX, Segment

# What a key takes in Python's memory beside its own bytes: two objects and a place in a dictionary that doubles when
# it is full.
KEY_OVERHEAD_BYTES = 200
# Longer keys are remembered by a digest, which is one byte longer than any key that is not.
KEY_BYTES_MAX = 32


class LastRecord(NamedTuple):
    """What a producer wrote last: an offset, or -1 if there are only markers of ``epoch``."""

    offset: int
    epoch: int


class Plan(NamedTuple):
    """What to compact, all of it plain data.

    ``bases``: of the segments from the beginning of the log to ``end_offset``, where the last of them ends. Before
    ``dirty_offset`` no key is there twice. ``memory_bytes``: for the keys of what lies behind. ``producers``: their
    last records, as (id, offset, epoch). ``bytes_per_second``: how much to read and write at most.
    """

    directory: str
    bases: list[int]
    dirty_offset: int
    end_offset: int
    now_ms: int
    delete_retention_ms: int
    segment_bytes: int
    segment_index_bytes: int
    index_interval_bytes: int
    memory_bytes: int
    producers: list[tuple[int, int, int]]
    bytes_per_second: float


class Cleaned(NamedTuple):
    """A segment ``*.cleaned`` that stands for those at ``bases``; it begins at the first of them."""

    bases: list[int]


class Outcome(NamedTuple):
    """What came of a plan, once all its cleaned segments have taken their places. ``clean_offset``: where the next
    compaction begins; before it each key is there once."""

    clean_offset: int
    bytes_before: int
    bytes_after: int


# Told how many bytes were read or written, it waits when that is too many, and raises when it is time to end.
Pace = Callable[[int], None]


def compact(plan: Plan, pace: Pace) -> Generator[Cleaned | Outcome]:
    """Write the cleaned segments and yield each, by their offsets, and at last the outcome. What one stands for is
    not read again after it, so that it can go, and there need not be space for all of it twice.

    Raises OSError, LogCorrupt, BatchCorrupt, IndexCorrupt; then some may be there.
    """
    directory = Path(plan.directory)
    sources = [Segment(directory, base, 0) for base in plan.bases]
    try:
        for source in sources:
            source.ensure_indexes()
            source.close()
        aborted = sorted(_all_aborted(directory, plan.bases[0]), key=lambda entry: entry.first_offset)
        latest = _Latest(plan.memory_bytes)
        clean_offset = latest.learn(sources, plan, aborted, pace)
        ends = [*plan.bases[1:], plan.end_offset]
        groups = _grouped([s for s in sources if s.base_offset < clean_offset], ends, plan)
        job = _Job(plan, latest, aborted, pace)
        for group, end in groups:
            yield job.clean(group, end)
        before = sum(source.size for group, _ in groups for source in group)
        yield Outcome(clean_offset, before, job.bytes_written)
    finally:
        for source in sources:
            source.close()


def _all_aborted(directory: Path, log_start: int) -> Iterable[AbortedTransaction]:
    """Yield the aborted transactions of the whole log: one may end behind the last segment that is cleaned.

    There may be files of segments before ``log_start``, which the log has parted with.
    """
    for path in directory.glob(f"*{LOG_SUFFIX}"):
        if path.stem.isdigit() and int(path.stem) >= log_start:
            yield from Segment(directory, int(path.stem), 0).aborted.entries


def _grouped(sources: list[Segment], ends: list[int], plan: Plan) -> list[tuple[list[Segment], int]]:
    """Put neighbours together that fit into one segment even if nothing goes; with the offset where each ends."""
    groups: list[tuple[list[Segment], int]] = []
    size = entries = 0
    for source, end in zip(sources, ends, strict=False):
        size += source.size
        entries += max(len(source.index.offsets), len(source.time_index.offsets))
        fits = (
            size <= min(plan.segment_bytes, files.size_max())
            and entries * OFFSET_ENTRY_BYTES <= plan.segment_index_bytes
            and groups
            and end - 1 - groups[-1][0][0].base_offset <= RELATIVE_OFFSET_MAX
        )
        if fits:
            groups[-1] = ([*groups[-1][0], source], end)
        else:
            groups.append(([source], end))
            size = source.size
            entries = max(len(source.index.offsets), len(source.time_index.offsets))
    return groups


def _whole(segment: Segment) -> Iterable[tuple[memoryview, BatchHeader]]:
    """Yield every batch of a segment. Raises LogCorrupt where there is none."""
    position = 0
    for position, header in segment.headers(0):
        yield segment.view(position, position + header.size_bytes), header
        position += header.size_bytes
    if position != segment.size:
        raise LogCorrupt(f"{segment.path(LOG_SUFFIX)}: no batch at position {position}")


def _modified_ns(segment: Segment) -> int:
    """Return when a segment was written to last; its newest record says so, unless that is of a later time."""
    written_ns = os.stat(segment.path(LOG_SUFFIX)).st_mtime_ns
    return written_ns if segment.max_timestamp == NO_TIMESTAMP else min(written_ns, segment.max_timestamp * 10**6)


class _Transactions:
    """Which transactions are under way at a place in the log, and whether anything of them was seen before it."""

    def __init__(self, aborted: list[AbortedTransaction]) -> None:
        self._coming = aborted[::-1]
        self._aborting: dict[int, AbortedTransaction] = {}
        self._seen: set[int] = set()

    def _go_to(self, offset: int) -> None:
        while self._coming and self._coming[-1].first_offset <= offset:
            entry = self._coming.pop()
            self._aborting.setdefault(entry.producer_id, entry)

    def is_aborted(self, header: BatchHeader) -> bool:
        """Take a batch of data; say whether it belongs to a transaction that was aborted."""
        self._go_to(header.last_offset)
        if not header.is_transactional:
            return False
        self._seen.add(header.producer_id)
        return header.producer_id in self._aborting

    def end(self, header: BatchHeader, kind: ControlType | None) -> tuple[bool, AbortedTransaction | None]:
        """Take a marker; say whether its transaction has left anything, and what the index has to say of it."""
        self._go_to(header.last_offset)
        if kind is None:
            return False, None
        has_data = header.producer_id in self._seen
        self._seen.discard(header.producer_id)
        entry = self._aborting.pop(header.producer_id, None) if kind is ControlType.ABORT else None
        return has_data, entry if has_data else None


class _Latest:
    """The last offset of each key, as far as there is memory for them."""

    def __init__(self, memory_bytes: int) -> None:
        self._offsets: dict[bytes, int] = {}
        self._room = memory_bytes
        self.end_offset = 0

    def learn(self, sources: list[Segment], plan: Plan, aborted: list[AbortedTransaction], pace: Pace) -> int:
        """Go through what is dirty, and return the offset up to which there was memory for its keys.

        That is one batch at least, so that the next compaction begins behind this one.
        """
        transactions = _Transactions([entry for entry in aborted if entry.last_offset >= plan.dirty_offset])
        self.end_offset = plan.dirty_offset
        ends = [*plan.bases[1:], plan.end_offset]
        for source in (source for source, end in zip(sources, ends, strict=True) if end > plan.dirty_offset):
            for batch, header in _whole(source):
                if header.last_offset < plan.dirty_offset:
                    continue
                pace(len(batch))
                if not header.is_control and not transactions.is_aborted(header):
                    self._note(batch, header, plan.dirty_offset)
                elif header.is_control:
                    transactions.end(header, _kind(batch))
                self.end_offset = header.next_offset
                if self._room <= 0:
                    return self.end_offset
            source.close()
        self.end_offset = plan.end_offset
        return self.end_offset

    def _note(self, batch: memoryview, header: BatchHeader, dirty_offset: int) -> None:
        offsets = self._offsets
        before = len(offsets)
        size = 0
        for offset, key in keyed(batch, header):
            if key is not None and offset >= dirty_offset:
                length = len(key)
                offsets[key if length <= KEY_BYTES_MAX else _short(key)] = offset
                size += length
        added = len(offsets) - before
        self._room -= added * KEY_OVERHEAD_BYTES + min(size, added * KEY_BYTES_MAX)

    def of(self, key: bytes) -> int:
        """Return the last offset of a key, -1 when it is not known."""
        return self._offsets.get(key if len(key) <= KEY_BYTES_MAX else _short(key), -1)


def _short(key: bytes) -> bytes:
    """Return what stands for a key that is longer than KEY_BYTES_MAX."""
    return blake2b(key, digest_size=KEY_BYTES_MAX + 1).digest()


def _kind(batch: memoryview) -> ControlType | None:
    """Return how a marker ends its transaction; None when the batch was emptied, or is about something else."""
    marker = read_end_transaction_marker(batch)
    return None if marker is None else marker.type


class _Job:
    """Writes the cleaned segments of one plan, one after the other."""

    def __init__(self, plan: Plan, latest: _Latest, aborted: list[AbortedTransaction], pace: Pace) -> None:
        self._plan = plan
        self._latest = latest
        self._transactions = _Transactions(aborted)
        self._producers = {number: LastRecord(offset, epoch) for number, offset, epoch in plan.producers}
        self._pace = pace
        self._pool = FilePool()
        self.bytes_written = 0

    def clean(self, group: list[Segment], end_offset: int) -> Cleaned:
        first = group[0]
        for suffix in (LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX):
            files.unlink(Path(f"{first.path(suffix)}{CLEANED_MARK}"))
        target = Segment.create(first.directory, first.base_offset, 0, self._pool, CLEANED_MARK)
        try:
            if first.aborted.path.exists():
                target.aborted.make_file()
            for source in group:
                for batch, header in _whole(source):
                    self._pace(len(batch))
                    verify(batch)  # what is written anew gets a checksum that is right
                    kept = self._kept(batch, header, end_offset, target)
                    if kept is not None:
                        self._append(target, kept, header)
            target.seal()
            target.write_indexes()
            # As old as what it stands for, in case there are no timestamps for retention to go by.
            files.set_modified(target.path(LOG_SUFFIX), max(map(_modified_ns, group)))
            for suffix in (INDEX_SUFFIX, TIME_INDEX_SUFFIX):
                files.sync_path(target.path(suffix))
            target.sync()
        finally:
            target.close()
            for source in group:
                source.close()
        self.bytes_written += target.size
        return Cleaned([source.base_offset for source in group])

    def _append(self, target: Segment, kept: bytes | memoryview, header: BatchHeader) -> None:
        self._pace(len(kept))
        max_timestamp = read_header(kept).max_timestamp
        target.append(memoryview(kept), header.last_offset, max_timestamp, self._plan.index_interval_bytes)

    def _kept(
        self, batch: memoryview, header: BatchHeader, end_offset: int, target: Segment
    ) -> bytes | memoryview | None:
        """Return what stays of a batch, None when nothing does."""
        if header.is_control:
            kept = self._kept_marker(batch, header, target)
        elif self._transactions.is_aborted(header):
            kept = None
        else:
            kept = self._kept_records(batch, header)
        if kept is not None:
            return kept
        if self._is_last_of_producer(header):
            return emptied(header)  # it stands for the sequence
        if header.next_offset == end_offset:
            # It stands for where the segment ends, and for no time: who looks for that would find no record here.
            return emptied(header._replace(max_timestamp=NO_TIMESTAMP))
        return None

    def _kept_marker(self, batch: memoryview, header: BatchHeader, target: Segment) -> bytes | memoryview | None:
        """A marker stays as long as there is data of its transaction, and then for ``delete.retention.ms``."""
        if not header.records_count:
            self._transactions.end(header, None)
            return None
        kind = _kind(batch)
        has_data, entry = self._transactions.end(header, kind)
        if entry is not None:
            target.aborted.append(entry)
        if kind is None or has_data:
            return batch
        horizon_ms = header.delete_horizon_ms
        if horizon_ms is not None and horizon_ms <= self._plan.now_ms:
            return None
        return retain_marker(batch, header, self._plan.now_ms + self._plan.delete_retention_ms)

    def _kept_records(self, batch: memoryview, header: BatchHeader) -> bytes | memoryview | None:
        horizon_ms = header.delete_horizon_ms
        keeps_tombstones = horizon_ms is None or self._plan.now_ms < horizon_ms
        known_end, last_of = self._latest.end_offset, self._latest.of

        def keeps(offset: int, key: bytes | None, has_value: bool) -> bool:
            if offset >= known_end:
                return True
            return key is not None and last_of(key) <= offset and (has_value or keeps_tombstones)

        return retain(batch, header, keeps, self._plan.now_ms + self._plan.delete_retention_ms)

    def _is_last_of_producer(self, header: BatchHeader) -> bool:
        last = self._producers.get(header.producer_id) if header.producer_id >= 0 else None
        if last is None:
            return False
        if last.offset >= 0:
            return header.last_offset == last.offset
        return header.is_control and header.producer_epoch == last.epoch
