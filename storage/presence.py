"""Whether a data directory and the files in it are still where they were opened, and can be written to."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from .checkpoints import Key
from .errors import FULL, DataDirLost
from .segment import LOG_SUFFIX, Segment
from .segments import SegmentedLog


class Presence:
    """Watches a data directory that is in use.

    Files that are open stay writable when the directory is moved, removed or replaced by another. What is written to
    them then is not found at the next start, so nothing must be acknowledged any more. Kafka fails a log directory
    for that at the next error, and halts when it has no other (ReplicaManager.handleLogDirFailure).
    """

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        """``names``: files in the directory that are open as long as it is in use. Raises OSError."""
        self._path = path.absolute()
        # An inode is not given to another file while this one is open.
        self._identities = {path / name: _identity(path / name) for name in names}
        self._was_writable = _is_writable(path)

    def check(self) -> None:
        """Raises DataDirLost. Asks the disk, so it may block; may be called from any thread."""
        where = f"the data directory {self._path}"
        for file, identity in self._identities.items():
            try:
                found = _identity(file)
            except (FileNotFoundError, NotADirectoryError):
                if not self._path.is_dir():
                    raise DataDirLost(f"{where} was moved or removed") from None
                raise DataDirLost(f"{file.name} is gone from {where}") from None
            except OSError as error:
                if error.errno in FULL:
                    return
                raise DataDirLost(f"{where} cannot be reached: {error.strerror}") from error
            if found != identity:
                raise DataDirLost(f"{where} was replaced: {file.name} is not the file that was opened")
        if self._was_writable and not _is_writable(self._path):
            raise DataDirLost(f"{where} has become read-only")


class GrowingFiles:
    """Watches the files that open logs grow in: a partition's folder may be removed while its files are open."""

    def __init__(self, logs: Mapping[Key, SegmentedLog]) -> None:
        self._logs = logs
        self._ends: dict[SegmentedLog, int] = {}

    def missing(self) -> list[tuple[SegmentedLog, Segment]]:
        """Return the logs that grew since the last call and whose newest segment has no file any more.

        Asks the disk, so it may block; may be called from any thread. The owner of the logs calls ``lost_file``,
        because the segment may have been rolled and removed, or the topic deleted, in the meantime.
        """
        before, self._ends = self._ends, {log: log.log_end_offset for log in list(self._logs.values())}
        grown = [(log, log.segments[-1]) for log, end in self._ends.items() if before.get(log) != end]
        return [(log, segment) for log, segment in grown if not segment.path(LOG_SUFFIX).exists()]


def _identity(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
