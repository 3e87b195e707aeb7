"""One segment of a partition's log: a file of record batches as they came from the wire, and its indexes.

The file is written with ``pwrite`` and read through a map. The map is made as large as the segment may become and
the file is as large as it is: nothing is ever stored through the map, so a full disk is an error and not a signal.
"""

import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..protocol.records import BATCH_OVERHEAD, LOG_OVERHEAD, NO_TIMESTAMP, BatchCorrupt, BatchHeader, read_header
from .aborted import TRANSACTION_INDEX_SUFFIX, TransactionIndex
from .checkpoints import sync_file
from .errors import LogCorrupt
from .index import RELATIVE_OFFSET_MAX, IndexCorrupt, OffsetIndex, TimeEntry, TimeIndex

LOG_SUFFIX = ".log"
INDEX_SUFFIX = ".index"
TIME_INDEX_SUFFIX = ".timeindex"
SNAPSHOT_SUFFIX = ".snapshot"
# What lies beside a segment and goes with it.
_FILES = (LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX, SNAPSHOT_SUFFIX)
DELETED_SUFFIX = ".deleted"

# base offset, length, last offset delta: what it takes to step from batch to batch
STEP = struct.Struct(">qi11xi")
# Kafka's index.interval.bytes default, for indexes that are rebuilt.
INDEX_INTERVAL_BYTES = 4096
# Only Linux can be asked whether a read would wait; elsewhere the answer is always no.
_NO_WAIT = getattr(os, "RWF_NOWAIT", 0)


def file_name(base_offset: int, suffix: str) -> str:
    """Return Kafka's name of a file that belongs to the segment at ``base_offset``."""
    return f"{base_offset:020d}{suffix}"


class Segment:
    """A segment. ``size``: bytes of whole batches; ``max_timestamp`` in ms, -1 when there is none.

    The file is opened, and the indexes are read, when they are first needed. ``capacity``: how large it may still
    become (0: not at all), which is what gets mapped, so that a growing segment is mapped once.
    """

    __slots__ = (
        "_bytes_since_index",
        "_fd",
        "_flags",
        "_map",
        "_map_bytes",
        "aborted",
        "base_offset",
        "capacity",
        "created_ms",
        "directory",
        "first_timestamp",
        "index",
        "is_indexed",
        "is_retired",
        "max_timestamp",
        "max_timestamp_offset",
        "size",
        "time_index",
    )

    def __init__(self, directory: Path, base_offset: int, created_ms: int, is_read_only: bool = False) -> None:
        """Take a file that exists. Raises OSError."""
        self._flags = os.O_CLOEXEC | (os.O_RDONLY if is_read_only else os.O_RDWR)
        self.directory = directory
        self.base_offset = base_offset
        self.created_ms = created_ms
        self._fd = -1
        self.is_retired = False
        self.size = os.stat(self.path(LOG_SUFFIX)).st_size
        self._map: mmap.mmap | None = None
        self._map_bytes = 0
        self.capacity = 0
        self.index = OffsetIndex()
        self.time_index = TimeIndex()
        self.aborted = TransactionIndex(self.path(TRANSACTION_INDEX_SUFFIX))
        self.is_indexed = False
        self._bytes_since_index = 0
        self.first_timestamp = NO_TIMESTAMP
        self.max_timestamp = NO_TIMESTAMP
        self.max_timestamp_offset = base_offset

    @classmethod
    def create(cls, directory: Path, base_offset: int, created_ms: int) -> "Segment":
        """Make an empty segment. Raises OSError, FileExistsError among them."""
        os.close(
            os.open(directory / file_name(base_offset, LOG_SUFFIX), os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        )
        # One that was put aside may have had this name.
        (directory / file_name(base_offset, TRANSACTION_INDEX_SUFFIX)).unlink(missing_ok=True)
        segment = cls(directory, base_offset, created_ms)
        segment.is_indexed = True
        return segment

    @property
    def fd(self) -> int:
        if self._fd < 0:
            self._fd = os.open(self.path(LOG_SUFFIX), self._flags)
        return self._fd

    def path(self, suffix: str) -> Path:
        name = file_name(self.base_offset, suffix)
        return self.directory / (name + DELETED_SUFFIX if self.is_retired else name)

    def append(self, batch: memoryview, last_offset: int, max_timestamp: int, index_interval_bytes: int) -> None:
        """Write a batch behind the others; all of it or, with OSError, none."""
        position = self.size
        written = os.pwrite(self.fd, batch, position)
        size = len(batch)
        if written != size:
            self._write_rest(batch, position, written)
        self.size = position + size
        if not position or max_timestamp > self.max_timestamp or self._bytes_since_index > index_interval_bytes:
            self.note(position, size, last_offset, max_timestamp, index_interval_bytes)
        else:
            self._bytes_since_index += size

    def _write_rest(self, batch: memoryview, position: int, written: int) -> None:
        try:
            while written < len(batch):
                written += os.pwrite(self.fd, batch[written:], position + written)
        except OSError:
            os.ftruncate(self.fd, position)
            raise

    def note(self, position: int, size: int, last_offset: int, max_timestamp: int, index_interval_bytes: int) -> None:
        """Take a batch at ``position`` into the timestamps and, when it is time for it, into the indexes."""
        if not position:
            self.first_timestamp = max_timestamp
        if max_timestamp > self.max_timestamp:
            self.max_timestamp = max_timestamp
            self.max_timestamp_offset = last_offset
        if self._bytes_since_index > index_interval_bytes:
            self.index.append(last_offset - self.base_offset, position)
            self.time_index.append(self.max_timestamp, self.max_timestamp_offset - self.base_offset)
            self._bytes_since_index = 0
        self._bytes_since_index += size

    def view(self, start: int, end: int) -> memoryview:
        """Return the bytes from ``start`` to ``end``, not copied. Raises OSError."""
        if self._map is None or end > self._map_bytes:
            if not end:
                return memoryview(b"")
            self._remap(max(self.capacity, end))
        assert self._map is not None
        return memoryview(self._map)[start:end]

    def _remap(self, capacity: int) -> None:
        # mmap() itself does not mind a file that is shorter than the map, Python's wrapper does: so the file is made
        # as long for a moment. It stays sparse, and recovery cuts the zeros off if the process dies in between.
        size = os.fstat(self.fd).st_size
        if size < capacity:
            os.ftruncate(self.fd, capacity)
        try:
            self._map = mmap.mmap(self.fd, capacity, access=mmap.ACCESS_READ)
            self._map_bytes = capacity
        finally:
            if size < capacity:
                os.ftruncate(self.fd, size)

    def is_resident(self, position: int) -> bool:
        """Say whether the page at ``position`` is in memory, so that reading it does not wait for the disk."""
        try:
            os.preadv(self.fd, [bytearray(1)], position, _NO_WAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True  # the file system cannot say
        return True

    def warm(self, start: int, end: int) -> None:
        """Read a range from the disk into memory; may block, may be called from any thread. Raises OSError."""
        scratch = bytearray(min(end - start, 2**20))
        for position in range(start, end, len(scratch)):
            os.preadv(self.fd, [memoryview(scratch)[: end - position]], position)

    def truncate(self, size: int) -> None:
        """Drop what lies at ``size`` and beyond, in the file and in the offset index. Raises OSError."""
        os.ftruncate(self.fd, size)
        self.size = size
        self.index.truncate(size)
        self._map = None

    def sync(self) -> None:
        """Block until the batches are on disk; may be called from any thread. Raises OSError."""
        self.aborted.sync()
        sync_file(self.fd)

    def seal(self) -> None:
        """Add the last time index entry, as Kafka does when a segment is rolled or closed."""
        if self.max_timestamp != NO_TIMESTAMP:
            self.time_index.append(self.max_timestamp, self.max_timestamp_offset - self.base_offset)

    def write_indexes(self) -> None:
        """Write both index files. Raises OSError."""
        for suffix, content in ((INDEX_SUFFIX, self.index.encode()), (TIME_INDEX_SUFFIX, self.time_index.encode())):
            path = self.path(suffix)
            temporary = path.with_name(path.name + ".tmp")
            temporary.write_bytes(content)
            os.replace(temporary, path)

    def ensure_indexes(self) -> None:
        """Have the indexes in memory: from their files, or where those are missing or wrong from the batches.

        Raises OSError.
        """
        if self.is_indexed:
            return
        for position, header in self.headers(self.load_indexes(self.base_offset + RELATIVE_OFFSET_MAX + 1)):
            self.note(position, header.size_bytes, header.last_offset, header.max_timestamp, INDEX_INTERVAL_BYTES)

    def load_indexes(self, end_offset: int) -> int:
        """Take from the index files what they say of the batches before ``end_offset``. Raises OSError.

        Returns the position of the batch from which on the indexes have to be completed with ``note``: it lies
        where the time index ends, because what is behind that may be in the offset index only.
        """
        position = 0
        try:
            index = OffsetIndex.load(self.path(INDEX_SUFFIX), self.size)
            times = TimeIndex.load(self.path(TIME_INDEX_SUFFIX))
            times.truncate(end_offset - self.base_offset)
            self.use_indexes(index, times)
            last = times.last()
            if last is not None and self._agrees_with(last):
                position = self.position_before(min(end_offset - 1, self.base_offset + last.relative_offset))
                index.truncate(position + 1)
        except (IndexCorrupt, FileNotFoundError):
            pass
        if not position:
            self.use_indexes(OffsetIndex(), TimeIndex())
        return position

    def position_before(self, offset: int) -> int:
        """Return the position of a batch that lies at or before ``offset``: 0 if none is indexed."""
        return self._indexed(self.index.count_up_to_offset(offset - self.base_offset))

    def batch_before(self, position: int) -> int:
        """Return the position of a batch that is not beyond ``position``: 0 if none is indexed."""
        return self._indexed(self.index.count_up_to_position(position))

    def position_before_timestamp(self, timestamp: int) -> int:
        """Return the position of a batch before which every timestamp is smaller than ``timestamp``."""
        for entry in self.time_index.before(timestamp):
            if self._agrees_with(entry):
                return self.position_before(self.base_offset + entry.relative_offset)
        return 0

    def _indexed(self, count: int) -> int:
        """Return the position in the last of the first ``count`` index entries that the log agrees with, 0 if none.

        An index file has no checksum: a wrong entry would hide batches.
        """
        if not count:
            return 0
        view = self.view(0, self.size)
        index = self.index
        for at in range(count - 1, -1, -1):
            position = index.positions[at]
            if position + STEP.size <= self.size:
                base_offset, _, delta = STEP.unpack_from(view, position)
                if base_offset + delta - self.base_offset == index.offsets[at]:
                    return position
        return 0

    def _agrees_with(self, entry: TimeEntry) -> bool:
        offset = self.base_offset + entry.relative_offset
        try:
            found = self.find(offset)
            header = read_header(self.view(0, self.size), found[0]) if found else None
        except (LogCorrupt, BatchCorrupt):
            return False
        return header is not None and header.base_offset <= offset and header.max_timestamp == entry.timestamp

    def use_indexes(self, index: OffsetIndex, times: TimeIndex) -> None:
        """Take indexes that cover the segment, or the part of it up to their last entry."""
        self.index, self.time_index, self.is_indexed = index, times, True
        self._bytes_since_index = 0
        self.max_timestamp, self.max_timestamp_offset = NO_TIMESTAMP, self.base_offset
        if last := times.last():
            self.max_timestamp = last.timestamp
            self.max_timestamp_offset = self.base_offset + last.relative_offset
        for _, header in self.headers(0):
            self.first_timestamp = header.max_timestamp
            break

    def headers(self, position: int) -> Iterator[tuple[int, BatchHeader]]:
        """Walk the batch headers from ``position`` on; stop without a word where no whole batch of the segment is."""
        view = self.view(0, self.size)
        while position + BATCH_OVERHEAD <= self.size:
            try:
                header = read_header(view, position)
            except BatchCorrupt:
                return
            if position + header.size_bytes > self.size:
                return
            if not 0 <= header.last_offset - self.base_offset <= RELATIVE_OFFSET_MAX:
                return
            yield position, header
            position += header.size_bytes

    def find(self, offset: int) -> tuple[int, int] | None:
        """Return position and size of the first batch that reaches to ``offset`` or beyond; None if none does.

        Raises LogCorrupt, OSError.
        """
        position = self.position_before(offset)
        view = self.view(0, self.size)
        while position < self.size:
            base_offset, size, delta = self._step(view, position)
            if base_offset + delta >= offset:
                return position, size
            position += size
        return None

    def next_offset_at(self, end: int) -> int:
        """Return the offset behind the batch that ends at position ``end``. Raises LogCorrupt, OSError."""
        view = self.view(0, self.size)
        position = self.batch_before(end - 1)
        while True:
            base_offset, size, delta = self._step(view, position)
            position += size
            if position >= end:
                return base_offset + delta + 1

    def whole_batches(self, start: int, end: int) -> int:
        """Return where the last batch ends that lies wholly before ``end``; ``start`` is where one begins.

        That is also where the sound ones end: what comes before a damaged batch can still be read. Raises OSError.
        """
        if end >= self.size:
            return self.size
        position = max(start, self.batch_before(end))
        view = self.view(0, self.size)
        while True:
            try:
                _, size, _ = self._step(view, position)
            except LogCorrupt:
                return position
            if position + size > end:
                return position
            position += size

    def _step(self, view: memoryview, position: int) -> tuple[int, int, int]:
        try:
            base_offset, length, delta = STEP.unpack_from(view, position)
        except struct.error:
            length = -1
        if length < BATCH_OVERHEAD - LOG_OVERHEAD or position + LOG_OVERHEAD + length > self.size:
            raise LogCorrupt(f"{self.path(LOG_SUFFIX)}: no batch at position {position}")
        return base_offset, length + LOG_OVERHEAD, delta

    def retire(self) -> None:
        """Put the files aside under names that no other segment has: it is not the log's any more. Raises OSError."""
        names = [self.path(suffix) for suffix in _FILES]
        self.is_retired = True
        for name in names:
            with suppress(FileNotFoundError):
                name.rename(name.with_name(name.name + DELETED_SUFFIX))

    def unlink(self) -> None:
        """Remove the files; views that are still being sent keep what they show. Raises OSError."""
        self.close()
        for suffix in _FILES:
            self.path(suffix).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file; views that are still being sent keep their map."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._map = None
