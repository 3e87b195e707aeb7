"""One segment of a partition's log: a file of record batches as they came from the wire, and its indexes."""

import os
import weakref
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from ..protocol.records import BATCH_OVERHEAD, NO_TIMESTAMP, BatchCorrupt, BatchHeader, read_header
from . import files
from .aborted import TRANSACTION_INDEX_SUFFIX, TransactionIndex
from .errors import LogCorrupt
from .file_pool import FilePool
from .index import RELATIVE_OFFSET_MAX, IndexCorrupt, OffsetIndex, TimeEntry, TimeIndex
from .mapped_file import MappedFile
from .walking import STEP, headers, no_batch, steps

LOG_SUFFIX = ".log"
INDEX_SUFFIX = ".index"
TIME_INDEX_SUFFIX = ".timeindex"
SNAPSHOT_SUFFIX = ".snapshot"
# What lies beside a segment and goes with it.
_FILES = (LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX, SNAPSHOT_SUFFIX)
# What the names of files end in that the log has parted with, that are being cleaned, and that are about to take the
# place of others.
DELETED_MARK, CLEANED_MARK, SWAP_MARK = ".deleted", ".cleaned", ".swap"

# Room for a few hundred small batches; more is not faster. Large batches would only be written twice for it.
_PAGE_BYTES = 4096
_ROOM_BYTES_MAX = 256 * 2**10
_BATCHES_IN_ROOM_MIN = 4
_ZEROS = memoryview(bytes(_ROOM_BYTES_MAX))
# Kafka's index.interval.bytes default, for indexes that are rebuilt.
INDEX_INTERVAL_BYTES = 4096


def file_name(base_offset: int, suffix: str) -> str:
    """Return Kafka's name of a file that belongs to the segment at ``base_offset``."""
    return f"{base_offset:020d}{suffix}"


class Segment:
    """A segment. ``size``: bytes of whole batches; ``max_timestamp`` in ms, -1 when there is none.

    The file is opened, and the indexes are read, when they are first needed. ``capacity``: how large it may still
    become (0: not at all). ``room_end``: where the file ends, if that is behind the batches. ``mark``: what the names
    of its files end in; nothing, but for what is about to become a part of the log or was one. ``is_retired``: it is
    not a part of the log any more.
    """

    __slots__ = (
        "__weakref__",
        "_bytes_since_index",
        "aborted",
        "base_offset",
        "capacity",
        "created_ms",
        "directory",
        "file",
        "first_timestamp",
        "index",
        "is_indexed",
        "is_retired",
        "mark",
        "max_timestamp",
        "max_timestamp_offset",
        "room_end",
        "size",
        "time_index",
    )

    def __init__(
        self,
        directory: Path,
        base_offset: int,
        created_ms: int,
        pool: FilePool | None = None,
        mark: str = "",
    ) -> None:
        """Take a file that exists. ``pool``: None for somebody who only reads. Raises OSError."""
        self.directory = directory
        self.base_offset = base_offset
        self.created_ms = created_ms
        self.mark = mark
        self.is_retired = False
        self.room_end = 0
        # Weak, so that a segment that goes is freed at once: a circle would wait for the garbage collector.
        self.file = MappedFile(partial(_log_name_of, weakref.ref(self)), pool)
        self.size = os.stat(self.path(LOG_SUFFIX)).st_size
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
    def create(cls, directory: Path, base_offset: int, created_ms: int, pool: FilePool, mark: str = "") -> "Segment":
        """Make an empty segment. Raises OSError, FileExistsError among them."""
        # One that was put aside may have had this name. First, as it may fail, and the segment is made only once.
        files.unlink(directory / (file_name(base_offset, TRANSACTION_INDEX_SUFFIX) + mark))
        files.close(files.open_file(directory / (file_name(base_offset, LOG_SUFFIX) + mark), files.CREATE))
        segment = cls(directory, base_offset, created_ms, pool, mark)
        segment.is_indexed = True
        return segment

    def path(self, suffix: str) -> Path:
        return self.directory / (file_name(self.base_offset, suffix) + self.mark)

    def log_name(self) -> str:
        """The path of the log file, as a string."""
        return f"{self.directory}/{file_name(self.base_offset, LOG_SUFFIX)}{self.mark}"

    def append(self, batch: memoryview, last_offset: int, max_timestamp: int, index_interval_bytes: int) -> None:
        """Write a batch behind the others; all of it or, with OSError, none."""
        position = self.size
        written = files.pwrite(self.file.fd, batch, position)
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
            files.write_all(self.file.fd, batch[written:], position + written)
        except OSError:
            files.truncate(self.file.fd, position)
            self.room_end = 0
            raise

    def preallocate(self, size: int) -> None:
        """Have space for ``size`` bytes (``preallocate``). Raises OSError."""
        try:
            files.allocate(self.file.fd, size)
        except OSError:
            files.truncate(self.file.fd, self.size)  # some of it may have been there
            raise
        self.room_end = size

    def make_room(self, batch_bytes: int) -> None:
        """Have zeros behind the batches for the next ones of ``batch_bytes`` to be written over, and so to be brought
        to the disk without the file's length and blocks, which takes the file system twice as long.

        The file becomes at most twice as long as its batches, and a page. It is no harm if there is no space.
        """
        room = min(max(self.size, _PAGE_BYTES), _ROOM_BYTES_MAX, self.capacity - self.size)
        if room >= _BATCHES_IN_ROOM_MIN * batch_bytes:
            with suppress(OSError):
                self.room_end = self.size + files.pwrite(self.file.fd, _ZEROS[:room], self.size)

    def trim(self) -> None:
        """Give back the space that is not used. Raises OSError."""
        if self.room_end > self.size:
            files.truncate(self.file.fd, self.size)
            self.room_end = 0

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
        """Return the bytes from ``start`` to ``end`` (``MappedFile.view``). Raises OSError."""
        return self.file.view(start, end, self.capacity)

    def warm(self, start: int, end: int) -> None:
        """Read a range from the disk into memory; may block, may be called from any thread. Raises OSError."""
        opened = files.open_file(self.log_name(), files.READ)
        try:
            scratch = bytearray(min(end - start, 2**20))
            for position in range(start, end, len(scratch)):
                files.preadv(opened, [memoryview(scratch)[: end - position]], position)
        finally:
            files.close(opened)

    def truncate(self, size: int) -> None:
        """Drop what lies at ``size`` and beyond, in the file and in the offset index. Raises OSError.

        The index files go: they may tell of what was there, and what is written next over them can be lost.
        """
        files.truncate(self.file.fd, size)
        for suffix in (INDEX_SUFFIX, TIME_INDEX_SUFFIX):
            files.unlink(self.path(suffix))
        self.size = size
        self.index.truncate(size)
        self.file.forget_map()

    def sync(self) -> bool:
        """Block until the batches are on disk and say whether the name of a file beside them may not be.

        May be called from any thread. Raises OSError.
        """
        has_new_name = self.aborted.sync()
        self.file.sync()
        return has_new_name

    def seal(self) -> None:
        """Add the last time index entry, as Kafka does when a segment is rolled or closed."""
        if self.max_timestamp != NO_TIMESTAMP:
            self.time_index.append(self.max_timestamp, self.max_timestamp_offset - self.base_offset)

    def write_indexes(self) -> None:
        """Write both index files. Raises OSError."""
        for suffix, content in ((INDEX_SUFFIX, self.index.encode()), (TIME_INDEX_SUFFIX, self.time_index.encode())):
            files.replace(self.path(suffix), content)

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
        index = self.index
        for at in range(count - 1, -1, -1):
            position = index.positions[at]
            if position + STEP.size <= self.size:
                base_offset, _, delta = STEP.unpack(self.view(position, position + STEP.size))
                if base_offset + delta - self.base_offset == index.offsets[at]:
                    return position
        return 0

    def _agrees_with(self, entry: TimeEntry) -> bool:
        offset = self.base_offset + entry.relative_offset
        try:
            found = self.find(offset)
            header = read_header(self.view(found[0], found[0] + BATCH_OVERHEAD)) if found else None
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
        return headers(self, position)

    def find(self, offset: int) -> tuple[int, int] | None:
        """Return position and size of the first batch that reaches to ``offset`` or beyond; None if none does.

        Raises LogCorrupt, OSError.
        """
        for position, size, last_offset in steps(self, self.position_before(offset)):
            if last_offset >= offset:
                return position, size
        return None

    def next_offset_at(self, end: int) -> int:
        """Return the offset behind the batch that ends at position ``end``. Raises LogCorrupt, OSError."""
        for position, size, last_offset in steps(self, self.batch_before(end - 1)):
            if position + size >= end:
                return last_offset + 1
        raise no_batch(self, end)

    def whole_batches(self, start: int, end: int) -> int:
        """Return where the last batch ends that lies wholly before ``end``; ``start`` is where one begins.

        That is also where the sound ones end: what comes before a damaged batch can still be read. Raises OSError.
        """
        if end >= self.size:
            return self.size
        found = max(start, self.batch_before(end))
        with suppress(LogCorrupt):
            for position, size, _ in steps(self, found):
                if position + size > end:
                    break
                found = position + size
        return found

    def rename(self, mark: str, has_snapshot: bool = True) -> None:
        """Have the names of the files end in ``mark`` from now on. Raises OSError.

        The log is the first to go and the last to come: where it is, the others are. ``has_snapshot``: whether the
        snapshot of the producers goes as well.
        """
        suffixes = _FILES if has_snapshot else _FILES[:-1]
        old, self.mark = self.mark, mark
        self.aborted.path = self.path(TRANSACTION_INDEX_SUFFIX)
        for suffix in suffixes if mark == DELETED_MARK else reversed(suffixes):
            name = self.directory / file_name(self.base_offset, suffix)
            with suppress(FileNotFoundError):
                files.rename(f"{name}{old}", f"{name}{mark}")

    def unlink(self) -> None:
        """Remove the files; views that are still being sent keep what they show. Raises OSError."""
        self.close()
        for suffix in _FILES:
            files.unlink(self.path(suffix))

    def close(self) -> None:
        """Let go of the file; views that are still being sent keep their map."""
        self.file.close()


def _log_name_of(reference: weakref.ref[Segment]) -> str:
    segment = reference()
    assert segment is not None, "a file outlives its segment"
    return segment.log_name()
