"""Kafka's small text files: offset checkpoints, leader epochs, properties. Each is replaced as a whole."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import StorageError

_VERSION = "0"


def replace_file(path: Path, content: str, sync: bool = True) -> None:
    """Make ``content`` the content of ``path``, or leave what was there: never half of it. Raises OSError.

    Without ``sync`` that holds for the death of the process, not of the machine.
    """
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    os.replace(temporary, path)
    if sync:
        sync_directory(path.parent)


def sync_file(descriptor: int) -> None:
    """Bring a file's content to the disk; blocks. Raises OSError."""
    # What macOS calls fsync does not wait for the disk, but it is what there is in Python's standard library.
    getattr(os, "fdatasync", os.fsync)(descriptor)


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to the disk; a file that was synced may else be nameless. Raises OSError."""
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def write_offsets(path: Path, offsets: Mapping[tuple[str, int], int], sync: bool = True) -> None:
    """Write a ``*-offset-checkpoint``: one offset per (topic, partition). Raises OSError."""
    lines = [f"{topic} {partition} {offset}" for (topic, partition), offset in offsets.items()]
    replace_file(path, "\n".join([_VERSION, str(len(lines)), *lines]) + "\n", sync)


def read_offsets(path: Path) -> dict[tuple[str, int], int]:
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
        version, count, *lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    except ValueError:
        raise StorageError(f"{path} is not a checkpoint file") from None
    if version != _VERSION or count != str(len(lines)):
        raise StorageError(f"{path}: version {version!r} or the number of lines, {count!r}, is wrong")
    return lines


class LeaderEpochs:
    """Which leader epoch began at which offset (KIP-101), as ``leader-epoch-checkpoint`` keeps it."""

    __slots__ = ("_path", "starts")

    def __init__(self, path: Path) -> None:
        """Raises StorageError when the file is there but makes no sense."""
        self._path = path
        self.starts: list[tuple[int, int]] = []
        for line in _lines(path):
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
            self._replace([*self.starts, (epoch, start_offset)])

    def truncate(self, end_offset: int) -> None:
        """Drop the epochs that begin at or beyond ``end_offset``. Raises OSError."""
        kept = [(epoch, start) for epoch, start in self.starts if start < end_offset]
        if kept != self.starts:
            self._replace(kept)

    def truncate_start(self, start_offset: int) -> None:
        """Forget what lies before ``start_offset``: the epoch there begins with it. Raises OSError."""
        first = self.epoch_at(start_offset)
        kept = [(epoch, max(start, start_offset)) for epoch, start in self.starts if epoch >= first]
        if kept != self.starts:
            self._replace(kept)

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
        replace_file(self._path, "\n".join([_VERSION, str(len(lines)), *lines]) + "\n", sync=False)
        self.starts = starts
