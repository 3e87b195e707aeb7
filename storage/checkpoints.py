"""Kafka's small text files: offset checkpoints, leader epochs, properties. Each is replaced as a whole."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ..protocol.records import BatchHeader
from . import files
from .errors import StorageError

_VERSION = "0"

# Topic and partition.
Key = tuple[str, int]
Offsets = Mapping[Key, int]


def write_offsets(path: Path, offsets: Offsets, is_synced: bool = True) -> None:
    """Write a ``*-offset-checkpoint``: one offset per (topic, partition). Raises OSError."""
    lines = [f"{topic} {partition} {offset}" for (topic, partition), offset in offsets.items()]
    files.replace(path, _numbered(lines), is_synced)


def _numbered(lines: list[str]) -> bytes:
    return "\n".join([_VERSION, str(len(lines)), *lines, ""]).encode()


def read_offsets(path: Path) -> dict[Key, int]:
    """Read a ``*-offset-checkpoint``; no file is an empty one. Raises StorageError when it makes no sense."""
    offsets = {}
    for line in _lines(path):
        try:
            topic, partition, offset = line.split()
            offsets[topic, int(partition)] = int(offset)
        except ValueError:
            raise StorageError(f"{path}: cannot read the line {line!r}") from None
    return offsets


def _lines(path: Path) -> Sequence[str]:
    try:
        version, count, *lines = files.read(path).decode().splitlines()
    except FileNotFoundError:
        return ()
    except ValueError:
        raise StorageError(f"{path} is not a checkpoint file") from None
    if version != _VERSION or count != str(len(lines)):
        raise StorageError(f"{path}: version {version!r} or the number of lines, {count!r}, is wrong")
    return lines


class OffsetCheckpoint:
    """A ``*-offset-checkpoint`` in use: one offset per partition. One thread changes it, any may write it.

    ``latest`` returns offsets that are newer than those noted here, of the partitions that are in use.
    """

    def __init__(self, path: Path, offsets: Offsets, latest: Callable[[], Offsets] = dict) -> None:
        self.path = path
        self._writing = threading.Lock()
        self._offsets = dict(offsets)
        self._latest = latest
        # Partitions that the file may still have, and that it must not have when there are new ones of that name.
        self._forgotten: set[Key] = set()

    def get(self, key: Key) -> int:
        """Return the noted offset, 0 when there is none."""
        return self._offsets.get(key, 0)

    def known(self) -> dict[Key, int]:
        """Return all noted offsets."""
        return self._offsets.copy()

    def note(self, key: Key, offset: int) -> None:
        self._offsets[key] = offset

    def forget(self, key: Key, is_in_use: bool = False) -> bool:
        """Drop the offset of a partition that was deleted, and return whether the file may have it.

        ``is_in_use``: ``latest`` had the partition so far.
        """
        is_known = self._offsets.pop(key, None) is not None or is_in_use
        if is_known:
            self._forgotten.add(key)
        return is_known

    def settle(self, keys: Iterable[Key], is_synced: bool = True) -> None:
        """Write the file if it may still have one of ``keys`` that was forgotten; may block. Raises OSError."""
        if self._forgotten and not self._forgotten.isdisjoint(keys):
            self.write(is_synced)

    def write(self, is_synced: bool = True) -> None:
        """Replace the file; blocks when ``is_synced``. Raises OSError."""
        with self._writing:
            forgotten = self._forgotten.copy()
            write_offsets(self.path, {**self._offsets.copy(), **self._latest()}, is_synced)
            self._forgotten -= forgotten


class LeaderEpochs:
    """Which leader epoch began at which offset (KIP-101), as ``leader-epoch-checkpoint`` keeps it."""

    __slots__ = ("_path", "is_dirty", "starts")

    def __init__(self, path: Path, is_new: bool = False) -> None:
        """``is_new``: there is no file yet. Raises OSError, StorageError when the file makes no sense."""
        self._path = path
        self.is_dirty = False
        self.starts: list[tuple[int, int]] = []
        for line in [] if is_new else _lines(path):
            try:
                epoch, start = map(int, line.split())
            except ValueError:
                raise StorageError(f"{path}: cannot read the line {line!r}") from None
            self.starts.append((epoch, start))

    @property
    def latest(self) -> int:
        """Return the newest epoch, -1 when there is none."""
        return self.starts[-1][0] if self.starts else -1

    def assign(self, epoch: int, start_offset: int) -> None:
        """Note that ``epoch`` begins at ``start_offset``, if it is newer than the latest. Raises OSError."""
        if epoch > self.latest:
            # Another may have been noted for a record that could not be written then.
            self._replace(
                [*((known, start) for known, start in self.starts if start < start_offset), (epoch, start_offset)]
            )

    def recall(self, offset: int, batches: Iterable[BatchHeader]) -> None:
        """Take what lies at ``offset`` and beyond from the ``batches`` that are there, in order. Raises OSError."""
        starts = [(epoch, start) for epoch, start in self.starts if start < offset]
        for header in batches:
            if header.partition_leader_epoch > (starts[-1][0] if starts else -1):
                starts.append((header.partition_leader_epoch, header.base_offset))
        if starts != self.starts:
            self._replace(starts)

    def truncate_start(self, start_offset: int) -> None:
        """Forget what lies before ``start_offset``: the epoch there begins with it.

        The file may say more until the next epoch begins: whoever reads it knows where the log starts.
        """
        first = self.epoch_at(start_offset)
        self.starts = [(epoch, max(start, start_offset)) for epoch, start in self.starts if epoch >= first]

    def end_of(self, epoch: int, leader_epoch: int, log_end_offset: int) -> tuple[int, int]:
        """Return the largest epoch that is at most ``epoch``, and the offset where it ends (LeaderEpochFileCache).

        ``leader_epoch`` is the present one, which ends at the log end offset, whether it has written yet or not.
        (-1, -1) when ``epoch`` is negative or newer than that; an epoch before all known ones ends where they begin.
        """
        if epoch < 0 or epoch > leader_epoch:
            return -1, -1
        if epoch == leader_epoch:
            return epoch, log_end_offset
        found = -1
        for known, start in [*self.starts, (leader_epoch, log_end_offset)]:
            if known > epoch:
                return (found, start) if found >= 0 else (epoch, start)
            found = known
        return -1, -1

    def epoch_at(self, offset: int) -> int:
        """Return the leader epoch of the record at ``offset``, -1 when it is not known."""
        found = -1
        for epoch, start in self.starts:
            if start > offset:
                break
            found = epoch
        return found

    def _replace(self, starts: list[tuple[int, int]]) -> None:
        lines = [f"{epoch} {start}" for epoch, start in starts]
        files.replace(self._path, _numbered(lines))
        self.starts = starts
        self.is_dirty = True

    def sync(self) -> bool:
        """Block until the content is on disk and say whether its name may not be; may be called from any thread.

        Raises OSError.
        """
        if not self.is_dirty:
            return False
        self.is_dirty = False
        try:
            files.sync_path(self._path)
        except BaseException:
            self.is_dirty = True
            raise
        return True
