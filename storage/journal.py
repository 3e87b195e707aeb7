"""The journal: what several logs have taken lately, in one file, so that one sync commits all of it.

A log that was synced does not need it, so it is never long: two files take turns, and one is written over when the
logs have all that is in it on the disk themselves. After a power failure recovery takes from it what they have lost.
"""

import errno
import logging
import os
import struct
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from ..protocol.records import BatchCorrupt, crc32c, read_header, verify
from ..protocol.records.batch import ATTRIBUTES_OFFSET
from . import files
from .errors import StorageError
from .sync_job import LogId, SyncJob, Tail

logger = logging.getLogger(__name__)

FILE_NAMES = ("commits-0.journal", "commits-1.journal")
FILE_BYTES = 16 * 2**20
# It is not made on a disk that has not so many times as much space.
SPACE_MIN_FACTOR = 16
# What is larger is better synced where it is than written twice.
TAIL_BYTES_MAX = 64 * 2**10
_GROUP_BYTES_MAX = 2**20
_GROUP_TAILS_MAX = 500  # below the system's limit for one call (IOV_MAX)

# Magic, the file's generation, how many tails, bytes of their batches. A CRC-32C follows: of this, of the table, and
# of what the first batch of each tail has before what its own CRC is of.
_HEAD = struct.Struct(">4sQIQ")
_CRC = struct.Struct(">I")
_HEAD_BYTES = _HEAD.size + _CRC.size
_MAGIC = b"BjC1"
# Of each tail: topic id, partition, base offset, end offset, bytes of its batches; then come the batches of all.
_TAIL = struct.Struct(">16siqqI")


class Redo:
    """Batches that a log had before a crash; it may still have them."""

    def __init__(self) -> None:
        self._tails: dict[int, Tail] = {}

    def add(self, tail: Tail) -> None:
        self._tails[tail.base_offset] = tail

    def tails(self) -> Collection[Tail]:
        return self._tails.values()

    @property
    def end_offset(self) -> int:
        return max(tail.end_offset for tail in self._tails.values())

    def at(self, offset: int, epoch_min: int = -1) -> Tail | None:
        """Return batches from the one on that begins at ``offset``, None when there is none.

        Those of a leader epoch before ``epoch_min`` are of another time: each process that did not end well is
        followed by a new leader.
        """
        tail = self._tails.get(offset)
        if tail is None:
            around = (tail for tail in self._tails.values() if tail.base_offset < offset < tail.end_offset)
            tail = next(around, None)
        return None if tail is None else _sound_part(tail, offset, epoch_min)


class Journal:
    """The journal of a data directory; it belongs to the thread that owns the logs.

    ``left``: what a crash has left of logs that were not opened since. ``has_all`` says whether a log has on the disk
    what it had up to an offset, or is not there any more; ``sync_logs`` has some brought there.
    """

    def __init__(
        self,
        directory: Path,
        left: dict[LogId, Redo],
        has_all: Callable[[LogId, int], bool],
        sync_logs: Callable[[Iterable[LogId]], None],
    ) -> None:
        self._directory = directory
        self.left = left
        self._has_all = has_all
        self._sync_logs = sync_logs
        self._has_left_over = bool(left)
        self._is_begun = False
        self._is_broken = False
        self._descriptors: list[int] = []
        self._generation = 1
        self._position = 0
        # The file that is written, and up to where each log has batches in each; of those that a crash has left, the
        # first has all.
        self._current = 0
        self._held: tuple[dict[LogId, int], dict[LogId, int]] = ({}, {})

    def recovered(self, key: LogId, log_end_offset: int) -> None:
        """A log was opened and has what was left for it, as far as that was possible."""
        redo = self.left.pop(key, None)
        if redo is not None:
            self._held[0][key] = min(redo.end_offset, log_end_offset)

    def forget(self, key: LogId) -> None:
        """A log was deleted."""
        self.left.pop(key, None)

    def tidy(self) -> None:
        """Remove what a crash has left, once the logs have it."""
        if self._has_left_over and not self._is_begun and not self.left and self._settle(self._held[0]):
            self._has_left_over = False
            with suppress(OSError):
                self.remove()

    @property
    def is_ready(self) -> bool:
        """Say whether it can be written."""
        return bool(self._descriptors)

    def begin(self) -> bool:
        """Say, once, that its files may be made: nobody needs those of before. The caller has that done."""
        if self._is_begun or self.left or not self._settle(self._held[0]):
            return False
        self._is_begun = True
        return True

    def sync_job(self) -> SyncJob:
        """Return how to make the files, of zeros: what is written over them is sooner on the disk."""
        made: list[int] = []

        def work() -> None:
            space = os.statvfs(self._directory)
            if space.f_bavail * space.f_frsize < SPACE_MIN_FACTOR * FILE_BYTES:
                raise OSError(errno.ENOSPC, "too little free space on the disk")
            zeros = memoryview(bytes(2**20))
            self.remove()
            for name in FILE_NAMES:
                made.append(files.open_file(self._directory / name, files.CREATE))
                for position in range(0, FILE_BYTES, len(zeros)):
                    files.write_all(made[-1], zeros[: FILE_BYTES - position], position)
                files.sync(made[-1])
            files.sync_directory(self._directory)

        def finish() -> None:
            self._descriptors = made

        def fail(error: OSError) -> StorageError:
            logger.warning("no journal, each log is synced by itself: %s", error)
            _close_all(made)
            with suppress(OSError):
                self.remove()
            return StorageError(str(error))

        return SyncJob(work, finish, fail)

    def append(self, tails: Sequence[Tail]) -> int:
        """Write some tails, the first, and return how many; they are on the disk when ``descriptor`` is synced."""
        count = size = 0
        for tail in tails[:_GROUP_TAILS_MAX]:
            size += len(tail.batches)
            if size > _GROUP_BYTES_MAX and count:
                size -= len(tail.batches)
                break
            count += 1
        taken = tails[:count]
        table = b"".join(
            _TAIL.pack(*tail.key, tail.base_offset, tail.end_offset, len(tail.batches)) for tail in taken
        )
        total = _HEAD_BYTES + len(table) + size
        if self._position + total > FILE_BYTES and not self._take_turns():
            return 0
        head = _HEAD.pack(_MAGIC, self._generation, count, size)
        crc = crc32c(table, crc32c(head))
        for tail in taken:
            crc = crc32c(tail.batches[:ATTRIBUTES_OFFSET], crc)
        parts: list[bytes | memoryview] = [b"".join((head, _CRC.pack(crc), table))]
        parts += [tail.batches for tail in taken]
        try:
            written = files.pwritev(self.descriptor, parts, self._position)
        except OSError as error:
            self.fail(error)
            return 0
        if written != total:
            self.fail(OSError(errno.ENOSPC, f"{written} bytes of {total} were written"))
            return 0
        self._position += total
        self._held[self._current].update((tail.key, tail.end_offset) for tail in taken)
        return count

    @property
    def descriptor(self) -> int:
        """The file that was written last."""
        return self._descriptors[self._current]

    def fail(self, error: OSError) -> None:
        """Do without it from now on. What was in it before stays there."""
        if not self._is_broken:
            logger.error("cannot write the journal, each log is synced by itself from now on: %s", error)
        self._is_broken = True
        self.close()
        for held in self._held:
            self._sync_logs(held)

    def _take_turns(self) -> bool:
        """Go on at the beginning of the other file, if the logs have all that is in it."""
        if not self._settle(self._held[1 - self._current]):
            return False
        self._sync_logs(self._held[self._current])
        self._current = 1 - self._current
        self._generation += 1
        self._position = 0
        return True

    def _settle(self, held: dict[LogId, int]) -> bool:
        """Forget of a file the logs that have all of it on the disk themselves, and say whether those were all."""
        while held:
            key, end_offset = next(iter(held.items()))
            if not self._has_all(key, end_offset):
                return False
            del held[key]
        return True

    def close(self) -> None:
        """Let go of the files."""
        descriptors, self._descriptors = self._descriptors, []
        _close_all(descriptors)

    def remove(self) -> None:
        """Remove the files: nobody needs what is in them. Raises OSError."""
        for name in FILE_NAMES:
            files.unlink(self._directory / name)


def _close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        with suppress(OSError):  # what was to be synced was
            files.close(descriptor)


def left_in(directory: Path) -> dict[LogId, Redo]:
    """Return what the journal in a directory has. Raises StorageError when it cannot be read."""
    generations = []
    for name in FILE_NAMES:
        try:
            generations.append(_read(files.read(directory / name)))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StorageError(
                f"cannot read {directory / name}, which may have records that are nowhere else: {error.strerror}"
                " (move it away to start without them)"
            ) from error
    left: dict[LogId, Redo] = {}
    for _, tails in sorted(generations, key=lambda read: read[0]):
        for tail in tails:
            left.setdefault(tail.key, Redo()).add(tail)
    return left


def _read(content: bytes) -> tuple[int, list[Tail]]:
    """Return the generation of a file, and what was written whole."""
    view = memoryview(content)
    generation, position = -1, 0
    tails: list[Tail] = []
    while position + _HEAD_BYTES <= len(view):
        magic, found, count, size = _HEAD.unpack_from(view, position)
        table = position + _HEAD_BYTES
        batches = table + count * _TAIL.size
        end = batches + size
        if magic != _MAGIC or generation not in (-1, found) or end > len(view):
            break
        crc = crc32c(view[table:batches], crc32c(view[position : position + _HEAD.size]))
        group = []
        for topic_id, partition, base_offset, end_offset, length in _TAIL.iter_unpack(view[table:batches]):
            tail = Tail((topic_id, partition), base_offset, end_offset, view[batches : batches + length])
            group.append(tail)
            batches += length
            crc = crc32c(tail.batches[:ATTRIBUTES_OFFSET], crc)
        if crc != _CRC.unpack_from(view, position + _HEAD.size)[0]:
            break
        generation = found
        tails += group
        position = end
    return generation, tails


def _sound_part(tail: Tail, offset: int, epoch_min: int) -> Tail | None:
    """Return the batches from the one at ``offset`` to the last that is whole: nobody was told of the others.

    They are one behind the other, and of one leader.
    """
    start = end = 0
    expected = tail.base_offset
    try:
        epoch = read_header(tail.batches).partition_leader_epoch
        while end < len(tail.batches):
            header = read_header(tail.batches, end)
            if header.base_offset != expected or header.partition_leader_epoch != epoch or epoch < epoch_min:
                break
            verify(tail.batches[end : end + header.size_bytes])
            expected = header.next_offset
            end += header.size_bytes
            if expected <= offset:
                start = end
    except BatchCorrupt:
        pass
    sound = tail._replace(base_offset=offset, end_offset=expected, batches=tail.batches[start:end])
    return sound if expected > offset and start < end and read_header(sound.batches).base_offset == offset else None
