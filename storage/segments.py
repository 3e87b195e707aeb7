"""The log of one partition as a row of segment files (Kafka's UnifiedLog and LocalLog)."""

import errno
import logging
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Container
from functools import partial
from pathlib import Path

from ..protocol.records import (
    NO_TIMESTAMP,
    BatchCorrupt,
    BatchHeader,
    assign,
    read_end_transaction_marker,
    read_header,
)
from . import files
from .aborted import AbortedTransaction
from .checkpoints import LeaderEpochs
from .clock import Clock
from .errors import BatchTooLarge, LogCorrupt, LogOffline, OffsetNotInLog
from .flusher import SyncJob
from .index import OFFSET_ENTRY_BYTES, RELATIVE_OFFSET_MAX, IndexCorrupt
from .log import NEVER, Appended, LogSettings, Slice
from .mapped_file import FilePool
from .producers import ProducerStates
from .retention import Extent
from .segment import DELETED_MARK, LOG_SUFFIX, SNAPSHOT_SUFFIX, Segment, file_name

logger = logging.getLogger(__name__)

# What was appended this recently is in memory; asking the kernel is only worth it for what lies further back.
RECENT_BYTES = 8 * 2**20
# How often to say that a log cannot be used for now.
COMPLAINT_INTERVAL_S = 60.0
# More than any fetch waits for.
ENOUGH_BYTES = 2**31
# Errors that pass by themselves: nothing that was written is lost.
NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
FULL = (errno.ENOSPC, errno.EDQUOT, *NO_DESCRIPTORS)
_NOTHING = Slice(memoryview(b""), 0, None)


class SegmentedLog:
    """A ``PartitionLog`` in a folder of its own. ``recovery.open_log`` makes one.

    ``log_start_offset``: where it begins, when that is beyond the first segment's beginning.
    ``on_roll`` is called when a segment will not grow any more, to sync the log in the background; ``on_retire`` is
    handed the segments that are not the log's any more, to delete them there.
    """

    def __init__(
        self,
        directory: Path,
        settings: LogSettings,
        clock: Clock,
        segments: list[Segment],
        producers: ProducerStates,
        epochs: LeaderEpochs,
        log_start_offset: int,
        log_end_offset: int,
        on_roll: Callable[["SegmentedLog"], None],
        on_retire: Callable[["SegmentedLog", list[Segment]], None],
        pool: FilePool,
    ) -> None:
        self.directory = directory
        self.settings = settings
        self.segments = segments
        self.producers = producers
        self.epochs = epochs
        self.log_start_offset = max(log_start_offset, segments[0].base_offset)
        self.log_end_offset = log_end_offset
        self.recovery_point = log_end_offset
        self.unsynced: list[Segment] = []
        self.offline: str | None = None
        self.is_deleted = False
        # Held while files are made by their names in another thread than the one that owns the log.
        self.files = threading.Lock()
        self._complained_s = float("-inf")
        self._clock = clock
        self._on_roll = on_roll
        self._on_retire = on_retire
        self._pool = pool
        self._checkpointed_at = log_end_offset
        # The newest segment whose file name is known to be on the disk, and not only its content; -1: none is.
        self._named_until = -1
        self._active = segments[-1]
        self._active.capacity = settings.segment_bytes
        self._bases = [segment.base_offset for segment in segments]
        self._jitter_ms = self._draw_jitter()

    def append(self, batch: memoryview, header: BatchHeader, leader_epoch: int) -> Appended:
        if self.offline is not None:
            raise LogOffline(self.offline)
        if header.producer_id >= 0:
            repeated = self.producers.check(header)
            if repeated is not None:
                return Appended(repeated.first_offset, repeated.timestamp)
        base_offset = self.log_end_offset
        try:
            segment = self._active
            if self._must_roll(segment, len(batch), base_offset + header.last_offset_delta, header.max_timestamp):
                segment = self.roll()
            self._write(segment, batch, header, leader_epoch)
        except OSError as error:
            raise self.failed(error) from error
        if header.producer_id >= 0:
            self.producers.remember(header, base_offset)
        return Appended(base_offset, -1)

    def _write(self, segment: Segment, batch: memoryview, header: BatchHeader, leader_epoch: int) -> None:
        base_offset = self.log_end_offset
        last_offset = base_offset + header.last_offset_delta
        if leader_epoch != self.epochs.latest:
            self.epochs.assign(leader_epoch, base_offset)
        assign(batch, 0, header, base_offset, leader_epoch)
        segment.append(batch, last_offset, header.max_timestamp, self.settings.index_interval_bytes)
        self.log_end_offset = last_offset + 1

    def end_transaction(self, marker: memoryview, leader_epoch: int, must_bump: bool) -> Appended:
        if self.offline is not None:
            raise LogOffline(self.offline)
        header, end = read_header(marker), read_end_transaction_marker(marker)
        if end is None:
            raise BatchCorrupt("the control batch ends no transaction")
        self.producers.check_marker(header, end, must_bump)
        offset = self.log_end_offset
        try:
            segment = self._active
            if self._must_roll(segment, len(marker), offset, header.max_timestamp):
                segment = self.roll()
            aborted = self.producers.aborted_by(header, end, offset)
            with segment.aborted.holding(aborted):
                self._write(segment, marker, header, leader_epoch)
        except IndexCorrupt as error:
            raise LogCorrupt(str(error)) from error
        except OSError as error:
            raise self.failed(error) from error
        self.producers.end_transaction(header, end, offset)
        return Appended(offset, -1)

    @property
    def last_stable_offset(self) -> int:
        first = self.producers.first_open_offset
        # The beginning of a transaction may have been deleted.
        return self.log_end_offset if first is None else max(first, self.log_start_offset)

    def aborted(self, offset: int, size_bytes: int) -> list[AbortedTransaction]:
        found: list[AbortedTransaction] = []
        end = -1  # behind what was read; found out when there is something to compare with
        try:
            at = max(0, bisect_right(self._bases, offset) - 1)
            for segment in self.segments[at:]:
                for entry in segment.aborted.entries:
                    if entry.last_offset < offset:
                        continue
                    if end < 0:
                        end = self._end_of_read(at, offset, size_bytes)
                    if entry.first_offset < end:
                        found.append(entry)
                    if entry.last_stable_offset >= end:
                        return found
        except IndexCorrupt as error:
            raise LogCorrupt(str(error)) from error
        except OSError as error:
            raise self.failed(error) from error
        return found

    def _must_roll(self, segment: Segment, batch_bytes: int, last_offset: int, max_timestamp: int) -> bool:
        settings = self.settings
        if segment.size + batch_bytes > settings.segment_bytes:
            if batch_bytes > settings.segment_bytes:
                raise BatchTooLarge(f"a batch of {batch_bytes} bytes, segment.bytes is {settings.segment_bytes}")
            return True
        if not segment.size:
            return False
        if segment.first_timestamp >= 0 and max_timestamp >= 0:
            waited_ms = max_timestamp - segment.first_timestamp
        else:
            waited_ms = self._clock.now_ms() - segment.created_ms
        segment_ms = settings.segment_ms
        if settings.is_compacted:  # records have to leave the growing segment to be compacted
            segment_ms = min(segment_ms, settings.max_compaction_lag_ms)
        return (
            waited_ms > segment_ms - self._jitter_ms
            or len(segment.index.offsets) * OFFSET_ENTRY_BYTES >= settings.segment_index_bytes
            or last_offset - segment.base_offset > RELATIVE_OFFSET_MAX
        )

    def roll(self) -> Segment:
        """Begin a new segment at the log end offset and return it. Raises OSError."""
        old = self._active
        old.trim()
        # In this order, because the snapshot can be written again when the disk was full, and a file made only once.
        self.producers.write_snapshot(self.directory / file_name(self.log_end_offset, SNAPSHOT_SUFFIX))
        new = Segment.create(self.directory, self.log_end_offset, self._clock.now_ms(), self._pool)
        if self.settings.preallocate:
            new.preallocate(self.settings.segment_bytes)
        new.capacity = self.settings.segment_bytes
        old.seal()
        self.unsynced.append(old)  # before sync_job, in its thread, can see the new segment
        self.segments.append(new)
        self._bases.append(new.base_offset)
        self._active = new
        self._jitter_ms = self._draw_jitter()
        self._on_roll(self)
        return new

    def _draw_jitter(self) -> int:
        return int(self._clock.random() * min(self.settings.segment_jitter_ms, self.settings.segment_ms))

    def failed(self, error: OSError, may_pass: Container[int | None] = FULL) -> LogOffline:
        """Take note that the files cannot be used, say so once, and return what to raise.

        After an error that may not pass by itself the partition stays offline until the restart.
        """
        if self.offline is not None:
            return LogOffline(self.offline)
        reason = f"{self.directory.name}: {error.strerror or error}"
        if error.errno in may_pass:
            now_s = self._clock.monotonic()
            if now_s - self._complained_s > COMPLAINT_INTERVAL_S:  # clients try again and again
                self._complained_s = now_s
                logger.error("cannot use %s for now: %s", self.directory, error)
        else:
            self.offline = reason
            logger.error("partition %s is offline until the next start: %s", self.directory, error)
        return LogOffline(reason)

    def _end_of_read(self, at: int, offset: int, size_bytes: int) -> int:
        """Return the offset behind the batches that ``read`` found from the segment number ``at`` on."""
        for segment in self.segments[at:]:
            found = segment.find(offset)
            if found is not None:
                return segment.next_offset_at(found[0] + size_bytes)
        return self.log_end_offset

    def read(self, offset: int, max_bytes: int, at_least_one: bool, end_offset: int = NEVER) -> Slice:
        if self.offline is not None:
            raise LogOffline(self.offline)
        if offset == self.log_end_offset:
            return _NOTHING
        if not self.log_start_offset <= offset < self.log_end_offset:
            raise OffsetNotInLog(
                f"{self.directory.name}: offset {offset} is not in {self.log_start_offset} to {self.log_end_offset}"
            )
        if offset >= end_offset:
            return _NOTHING
        at = len(self.segments) - 1
        if offset < self._active.base_offset:
            at = bisect_right(self._bases, offset) - 1
        try:
            for segment in self.segments[at:]:
                segment.ensure_indexes()
                found = segment.find(offset)
                if found is not None:
                    beyond = segment.find(end_offset) if end_offset < self.log_end_offset else None
                    limit = beyond[0] if beyond is not None else segment.size
                    return self._slice(segment, *found, limit, max_bytes, at_least_one)
        except OSError as error:
            raise self.failed(error) from error
        return _NOTHING

    def _slice(
        self, segment: Segment, position: int, batch_bytes: int, limit: int, max_bytes: int, at_least_one: bool
    ) -> Slice:
        """Return the whole batches from ``position`` on that end before position ``limit``."""
        is_growing = segment is self._active
        # Behind a segment that is full there is more, so there is no reason to wait for it.
        readable = max(0, min(limit - position, max_bytes)) if is_growing else ENOUGH_BYTES
        if batch_bytes >= max_bytes:
            if batch_bytes > max_bytes and not at_least_one:
                return Slice(_NOTHING.batches, readable, None)
            end = position + batch_bytes
        else:
            end = segment.whole_batches(position, min(position + max_bytes, limit))
        batches = segment.view(position, end)
        readable = max(readable, end - position)
        if is_growing and position >= segment.size - RECENT_BYTES:
            return Slice(batches, readable, None)
        probes = (position, (position + end) // 2, end - 1)
        if all(segment.file.is_resident(probe) for probe in probes):
            return Slice(batches, readable, None)
        return Slice(batches, readable, partial(self._warm, segment, position, end))

    def _warm(self, segment: Segment, start: int, end: int) -> None:
        try:
            segment.warm(start, end)
        except OSError as error:
            if segment.is_retired:
                return  # the batches are held by their map, and its file is gone
            raise self.failed(error) from error

    def batch_at_or_after(self, timestamp_ms: int) -> memoryview | None:
        for segment in self._indexed_segments():
            if segment.max_timestamp < timestamp_ms or segment.max_timestamp == NO_TIMESTAMP:
                continue
            end = segment.position_before_timestamp(timestamp_ms)
            for position, header in segment.headers(end):
                end = position + header.size_bytes
                if header.max_timestamp >= timestamp_ms and header.last_offset >= self.log_start_offset:
                    return segment.view(position, end)
            if end < segment.size:
                raise LogCorrupt(f"{segment.path(LOG_SUFFIX)}: no batch at position {end}")
        return None

    def batch_of_max_timestamp(self) -> memoryview | None:
        first, *others = self._indexed_segments()
        newest = first.max_timestamp
        if self.log_start_offset > first.base_offset:  # it may be that of a record that was deleted
            left = (header for _, header in first.headers(0) if header.last_offset >= self.log_start_offset)
            newest = max((header.max_timestamp for header in left), default=NO_TIMESTAMP)
        newest = max(newest, *(segment.max_timestamp for segment in others)) if others else newest
        return None if newest == NO_TIMESTAMP else self.batch_at_or_after(newest)

    def _indexed_segments(self) -> list[Segment]:
        if self.offline is not None:
            raise LogOffline(self.offline)
        try:
            for segment in self.segments:
                segment.ensure_indexes()
        except OSError as error:
            raise self.failed(error) from error
        return self.segments

    def configure(self, settings: LogSettings) -> None:
        self.settings = settings
        self._active.capacity = settings.segment_bytes

    def delete_before(self, offset: int) -> int:
        if self.offline is not None:
            raise LogOffline(self.offline)
        if offset > self.log_end_offset:
            raise OffsetNotInLog(f"{self.directory.name}: offset {offset} is beyond {self.log_end_offset}")
        if offset > self.log_start_offset:
            try:
                self.epochs.truncate_start(offset)
            except OSError as error:
                raise self.failed(error) from error
            self.log_start_offset = offset
        retired = bisect_right(self._bases, self.log_start_offset) - 1
        if retired > 0:
            self._retire(retired)
        return self.log_start_offset

    def expire(self, offset: int) -> int:
        if offset > self._active.base_offset:
            if offset == self.log_end_offset and self._active.size:
                try:
                    self.roll()
                except OSError as error:
                    raise self.failed(error) from error
            else:
                offset = self._active.base_offset  # it has grown since
        return self.delete_before(min(offset, self.log_end_offset))

    def extents(self) -> list[Extent]:
        """Return what retention has to know of each segment."""
        return [
            Extent(
                self.directory,
                segment.base_offset,
                segment.size,
                segment.max_timestamp if segment.is_indexed else None,
            )
            for segment in self.segments
        ]

    def _retire(self, count: int) -> None:
        """Part with the first ``count`` segments."""
        retired = self.segments[:count]
        self.segments = self.segments[count:]
        del self._bases[:count]
        self.unsynced = [segment for segment in self.unsynced if segment not in retired]
        for segment in retired:
            segment.is_retired = True
            segment.file.leave_pool()
        self._on_retire(self, retired)

    def last_records(self) -> list[tuple[int, int, int]]:
        """Return of each producer its id, the offset of its last record, -1 if that is a marker, and its epoch."""
        return [
            (producer_id, entry.batches[-1].last_offset if entry.batches else -1, entry.epoch)
            for producer_id, entry in self.producers.entries.items()
        ]

    def replace(self, cleaned: Segment, bases: list[int]) -> list[Segment] | None:
        """Take a segment in the place of those at ``bases``, and return these; None when the log has changed."""
        at = bisect_left(self._bases, bases[0])
        behind = at + len(bases)
        if self.offline is not None or self._bases[at:behind] != bases or behind >= len(self.segments):
            return None
        replaced = self.segments[at:behind]
        self.segments = [*self.segments[:at], cleaned, *self.segments[behind:]]
        self._bases[at:behind] = [cleaned.base_offset]
        for segment in replaced:
            segment.is_retired = True
            segment.file.leave_pool()
        return replaced

    def put_aside(self, segments: list[Segment]) -> None:
        """Give segments that were retired names that no other segment has; from the flusher's thread.

        Raises OSError.
        """
        with self.files:  # where a deleted log was there may be one of the same name
            for segment in segments:
                segment.close()
                if not self.is_deleted:
                    segment.rename(DELETED_MARK)
                else:
                    segment.mark = DELETED_MARK

    @property
    def size_bytes(self) -> int:
        return sum(segment.size for segment in self.segments)

    @property
    def is_dirty(self) -> bool:
        """True when there is something that may not be on disk yet."""
        return bool(self.unsynced) or self.recovery_point < self.log_end_offset

    def sync_job(self) -> SyncJob:
        """Return how to bring the log to the disk; may be called from any thread."""
        offset, active = self.log_end_offset, self._active  # in this order: a roll in between does no harm then
        rolled = list(self.unsynced)

        def work() -> None:
            if self.offline is not None:
                raise OSError(errno.EIO, self.offline)
            try:
                for segment in (*rolled, active):
                    segment.sync()
                if self._named_until != active.base_offset:
                    for folder in (self.directory, self.directory.parent):
                        files.sync_directory(folder)
                    self._named_until = active.base_offset
            except OSError as error:
                # The kernel drops what it could not write and says so once: the next sync would succeed. So this has
                # to be known before the next, and it does not pass even if all that was missing is space.
                self.failed(error, may_pass=NO_DESCRIPTORS)
                raise
            with self.files:
                if self.offline is None:
                    for segment in rolled:
                        segment.write_indexes()

        def finish() -> None:
            self.unsynced = [segment for segment in self.unsynced if segment not in rolled]
            self.recovery_point = max(self.recovery_point, offset)

        return SyncJob(work, finish, self.failed)

    def checkpoint(self) -> None:
        """Write the indexes of the growing segment, so that a recovery can begin near its end. Raises OSError."""
        with self.files:
            if self.offline is None and self._checkpointed_at != self.log_end_offset and self._active.is_indexed:
                self._checkpointed_at = self.log_end_offset
                self._active.write_indexes()

    def delete(self, aside: Path) -> None:
        """Go offline for good and move the folder ``aside``. Raises OSError."""
        with self.files:  # what is being written in it has to be written first
            self.offline = f"{self.directory.name}: the topic was deleted"
            self.is_deleted = True
            files.rename(self.directory, aside)
        for segment in self.segments:
            segment.file.leave_pool()

    def close(self) -> None:
        """Leave the folder such that it opens without a scan: indexes, producer snapshot. Raises OSError."""
        if self.offline is None:
            self._active.ensure_indexes()
            self._active.trim()
            self._active.seal()
            self._active.write_indexes()
            self.producers.write_snapshot(self.directory / file_name(self.log_end_offset, SNAPSHOT_SUFFIX))
        self.let_go()

    def let_go(self) -> None:
        """Close the files, whatever state they are in."""
        for segment in self.segments:
            segment.close()
