"""The half of a log that reads: finding batches by offset and by timestamp, and what was aborted among them."""

import errno
import logging
from bisect import bisect_right
from collections.abc import Container
from functools import partial
from pathlib import Path

from .aborted import AbortedTransaction
from .clock import Clock
from .errors import FULL, LogCorrupt, LogOffline, OffsetNotInLog
from .index import IndexCorrupt
from .log import NEVER, Slice
from .mapped_file import COPIED_BYTES_MAX
from .retention import Extent
from .segment import LOG_SUFFIX, Segment

logger = logging.getLogger(__name__)

# What was appended this recently is in memory; asking the kernel is only worth it for what lies further back.
RECENT_BYTES = 8 * 2**20
# How often to say that a log cannot be used for now.
COMPLAINT_INTERVAL_S = 60.0
# More than any fetch waits for.
ENOUGH_BYTES = 2**31
_NOTHING = Slice(memoryview(b""), 0, None)


class ReadableLog:
    """A row of segments. ``offline``: why its files cannot be used any more, None while they can."""

    def __init__(
        self, directory: Path, clock: Clock, segments: list[Segment], log_start_offset: int, log_end_offset: int
    ) -> None:
        self.directory = directory
        self.segments = segments
        self.log_start_offset = max(log_start_offset, segments[0].base_offset)
        self.log_end_offset = log_end_offset
        self.offline: str | None = None
        self._clock = clock
        self._complained_s = float("-inf")
        self._failed_at: int | None = None
        self._active = segments[-1]
        self._bases = [segment.base_offset for segment in segments]

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
                self._failed_at = self.log_end_offset
                fault = "disk full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
                logger.error(
                    "%s: %s; producers get KAFKA_STORAGE_ERROR until this is over", self.directory.name, fault
                )
        else:
            self.offline = reason
            logger.error("partition %s is offline until the next start: %s", self.directory.name, error)
        return LogOffline(reason)

    def tell_recovery(self) -> None:
        """Say that the files can be used again, when records have come since they could not."""
        if self._failed_at is not None and self.log_end_offset > self._failed_at:
            self._failed_at = None
            logger.info("%s takes records again", self.directory.name)

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
            if end - position > COPIED_BYTES_MAX and not segment.file.reaches(end, segment.capacity):
                # Copies take memory until they are sent, so there are no more of them than must be.
                end = max(position + batch_bytes, segment.whole_batches(position, position + COPIED_BYTES_MAX))
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
            if segment.is_retired or isinstance(error, FileNotFoundError):
                return  # the batches are held by their map, and its file is gone, or is just being renamed
            raise self.failed(error) from error

    def batch_at_or_after(self, timestamp_ms: int, offset: int = 0) -> memoryview | None:
        offset = max(offset, self.log_start_offset)
        for segment in self._indexed_segments():
            if segment.max_timestamp >= timestamp_ms:
                found = self._first_batch(segment, timestamp_ms, offset)
                if found is not None:
                    return found
        return None

    def batch_of_max_timestamp(self) -> memoryview | None:
        newest = max(self._indexed_segments(), key=lambda segment: segment.max_timestamp)
        return self._first_batch(newest, newest.max_timestamp, 0)

    def _first_batch(self, segment: Segment, timestamp_ms: int, offset: int) -> memoryview | None:
        """Return the first batch of the segment that reaches to ``offset`` and to ``timestamp_ms``."""
        end = max(segment.position_before_timestamp(timestamp_ms), segment.position_before(offset))
        for position, header in segment.headers(end):
            end = position + header.size_bytes
            if header.max_timestamp < timestamp_ms or header.last_offset < offset:
                continue
            if header.records_count:  # compaction has left the time of the others with them
                return segment.view(position, end)
        if end < segment.size:
            raise LogCorrupt(f"{segment.path(LOG_SUFFIX)}: no batch at position {end}")
        return None

    def _indexed_segments(self) -> list[Segment]:
        if self.offline is not None:
            raise LogOffline(self.offline)
        try:
            for segment in self.segments:
                segment.ensure_indexes()
        except OSError as error:
            raise self.failed(error) from error
        return self.segments

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

    @property
    def segment_count(self) -> int:
        return len(self.segments)

    @property
    def size_bytes(self) -> int:
        return sum(segment.size for segment in self.segments)

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
