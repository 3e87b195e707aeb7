"""The log of one partition as a row of segment files: the half that writes (Kafka's UnifiedLog and LocalLog)."""

import errno
import logging
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from pathlib import Path

from ..protocol.records import (
    BatchCorrupt,
    BatchHeader,
    assign,
    read_end_transaction_marker,
    read_header,
)
from . import files
from .checkpoints import LeaderEpochs
from .clock import Clock
from .errors import NO_DESCRIPTORS, BatchTooLarge, LogCorrupt, LogOffline, OffsetNotInLog
from .file_pool import FilePool
from .index import OFFSET_ENTRY_BYTES, RELATIVE_OFFSET_MAX, IndexCorrupt
from .journal import TAIL_BYTES_MAX
from .log import Appended, LogSettings
from .producers import ProducerStates
from .reading import ReadableLog
from .segment import DELETED_MARK, LOG_SUFFIX, SNAPSHOT_SUFFIX, Segment, file_name
from .sync_job import Journaled, LogId, SyncJob, Tail

logger = logging.getLogger(__name__)


class SegmentedLog(ReadableLog, Journaled):
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
        super().__init__(directory, clock, segments, log_start_offset, log_end_offset)
        self.settings = settings
        self.producers = producers
        self.epochs = epochs
        self.recovery_point = self.durable_offset = log_end_offset
        # By which a journal knows the log; None: it is in none.
        self.key: LogId | None = None
        # Up to where in the growing segment all is on the disk, in its file or in the journal; -1: not known.
        self._kept_until = -1
        # Whether the journal had it the last time, so that its own file is not waited for.
        self._was_journaled = False
        self.unsynced: list[Segment] = []
        # Which records it is known to have had and has no more, in words; empty: none.
        self.loss = ""
        self.is_deleted = False
        # Held while files are made by their names in another thread than the one that owns the log.
        self.files = threading.Lock()
        self._on_roll = on_roll
        self._on_retire = on_retire
        self._pool = pool
        self._checkpointed_at = log_end_offset
        # The newest segment whose file name is known to be on the disk, with those of the files beside the segments,
        # and not only their content; -1: none is.
        self._named_until = -1
        self._active.capacity = _capacity(settings)
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
        settings = self.settings
        segment.append(batch, last_offset, header.max_timestamp, settings.index_interval_bytes)
        if settings.is_durable and segment.size > segment.room_end and not self._was_journaled:
            segment.make_room(len(batch))
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

    def _must_roll(self, segment: Segment, batch_bytes: int, last_offset: int, max_timestamp: int) -> bool:
        settings = self.settings
        size = segment.size + batch_bytes
        if size > settings.segment_bytes or size > segment.capacity:
            limit = min(settings.segment_bytes, segment.capacity)
            if batch_bytes > limit:
                raise BatchTooLarge(f"a batch of {batch_bytes} bytes, a segment has {limit} at most")
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
            try:
                new.preallocate(old.capacity)
            except OSError:
                new.unlink()  # it can be made only once
                raise
        new.capacity, old.capacity = old.capacity, 0
        old.seal()
        self.unsynced.append(old)  # before sync_job, in its thread, can see the new segment
        self.segments.append(new)
        self._bases.append(new.base_offset)
        self._active = new
        self._kept_until = -1
        self._jitter_ms = self._draw_jitter()
        self._on_roll(self)
        return new

    def _draw_jitter(self) -> int:
        return int(self._clock.random() * min(self.settings.segment_jitter_ms, self.settings.segment_ms))

    def configure(self, settings: LogSettings) -> None:
        self.settings = settings
        self._active.capacity = _capacity(settings)

    def delete_before(self, offset: int) -> int:
        if self.offline is not None:
            raise LogOffline(self.offline)
        if offset > self.log_end_offset:
            raise OffsetNotInLog(f"{self.directory.name}: offset {offset} is beyond {self.log_end_offset}")
        if offset > self.log_start_offset:
            self.epochs.truncate_start(offset)
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
    def is_dirty(self) -> bool:
        """True when there is something that may not be on disk yet."""
        return bool(self.unsynced) or self.recovery_point < self.log_end_offset or self.epochs.is_dirty

    def _is_in_many_files(self, active: Segment) -> bool:
        """Say whether more has to be synced than the content of the growing segment."""
        return (
            bool(self.unsynced)
            or active.aborted.is_dirty
            or self.epochs.is_dirty
            or self._named_until != active.base_offset
        )

    def sync_job(self) -> SyncJob:
        """Return how to bring the log to the disk; may be called from any thread."""
        offset, active = self.log_end_offset, self._active  # in this order: a roll in between does no harm then
        position = active.size
        rolled = list(self.unsynced)
        is_one_file = not self._is_in_many_files(active)

        def fail(error: OSError) -> Exception:
            return self.failed(error, may_pass=NO_DESCRIPTORS)

        def work() -> None:
            if self.offline is not None:
                raise OSError(errno.EIO, self.offline)
            try:
                for segment in (*rolled, active):
                    if segment.sync():
                        self._named_until = -1
                if self.epochs.sync():
                    self._named_until = -1
                if self._named_until != active.base_offset:
                    for folder in (self.directory, self.directory.parent):
                        files.sync_directory(folder)
                    self._named_until = active.base_offset
            except OSError as error:
                # The kernel drops what it could not write and says so once: the next sync would succeed. So this has
                # to be known before the next, and it does not pass even if all that was missing is space.
                self._named_until = -1  # of new names that were found there may be no second word
                fail(error)
                raise
            if rolled:
                with self.files:
                    if self.offline is None:
                        for segment in rolled:
                            segment.write_indexes()

        def finish() -> None:
            if rolled:
                self.unsynced = [segment for segment in self.unsynced if segment not in rolled]
            self.recovery_point = max(self.recovery_point, offset)
            self.durable_offset = max(self.durable_offset, offset)
            self._was_journaled = False
            if active is self._active:
                self._kept_until = max(self._kept_until, position)

        if is_one_file and self.offline is None:
            return SyncJob(work, finish, fail, active.file)
        return SyncJob(work, finish, self.failed)

    def tail(self) -> Tail | None:
        segment, start = self._active, self._kept_until
        end = segment.size
        if start < 0 or end - start > TAIL_BYTES_MAX or self.offline is not None or self.key is None:
            return None
        if self._is_in_many_files(segment):
            return None
        try:
            batches = segment.view(start, end)
        except OSError:
            return None
        base_offset = int.from_bytes(batches[:8], "big") if batches else self.log_end_offset
        if self.epochs.starts and self.epochs.starts[-1][1] > base_offset:
            return None  # it would be of two leaders
        return Tail(self.key, base_offset, self.log_end_offset, batches, end)

    def keep(self, tail: Tail) -> None:
        self.durable_offset = max(self.durable_offset, tail.end_offset)
        if tail.base_offset >= self._active.base_offset:
            self._kept_until = max(self._kept_until, tail.position)
        self._was_journaled = True

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

    def lost_file(self, segment: Segment) -> None:
        """Go offline because a segment has no file in the folder; not when it does not grow any more."""
        if segment is self._active and not self.is_deleted:
            self.failed(FileNotFoundError(errno.ENOENT, "it was removed or renamed", str(segment.path(LOG_SUFFIX))))

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


def _capacity(settings: LogSettings) -> int:
    """Return how large a segment may become: ``segment.bytes``, or less where files may not be as large."""
    return min(settings.segment_bytes, files.size_max())
