"""Where logs begin, when records were deleted from them (``log-start-offset-checkpoint``, as Kafka's)."""

import logging
import threading
from pathlib import Path

from .checkpoints import read_offsets, write_offsets
from .errors import LogOffline, StorageError
from .sync_job import SyncJob

logger = logging.getLogger(__name__)

Key = tuple[str, int]


class LogStarts:
    """The offset at which each log begins, by topic and partition. One thread changes it, any may write it.

    It is on the disk whenever it was written: the file is replaced, and if it were not synced, the failure of the
    power could take where all the other logs begin.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = threading.Lock()
        self._offsets: dict[Key, int] = {}
        self._forgotten: set[Key] = set()
        try:
            self._offsets = read_offsets(path)
        except StorageError as error:
            logger.error("%s; records that were deleted may come back", error)

    def get(self, key: Key) -> int:
        return self._offsets.get(key, 0)

    def note(self, key: Key, offset: int) -> None:
        self._offsets[key] = offset

    def forget(self, key: Key) -> bool:
        """Return whether there was something to forget, and to write."""
        is_known = self._offsets.pop(key, None) is not None
        if is_known:
            self._forgotten.add(key)
        return is_known

    def settle(self, key: Key) -> None:
        """See that what was forgotten does not come back for a new log of that name; may block. Raises OSError."""
        if key in self._forgotten:
            self.write()

    def write(self) -> None:
        """Bring it to the disk; blocks. Raises OSError."""
        with self._writing:
            forgotten = self._forgotten.copy()
            write_offsets(self._path, self._offsets.copy())
            self._forgotten -= forgotten

    def sync_job(self) -> SyncJob:
        return SyncJob(self.write, lambda: None, self._failed)

    def _failed(self, error: OSError) -> LogOffline:
        logger.error("cannot write %s: %s", self._path, error)
        return LogOffline(f"cannot write {self._path.name}: {error.strerror}", may_pass=True)
