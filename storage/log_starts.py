"""Where logs begin, when records were deleted from them (``log-start-offset-checkpoint``, as Kafka's)."""

import logging
import threading
from pathlib import Path

from . import files
from .checkpoints import encode_offsets, read_offsets
from .errors import StorageError

logger = logging.getLogger(__name__)

Key = tuple[str, int]


class LogStarts:
    """The offset at which each log begins, by topic and partition. One thread changes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._version = 0
        self._offsets: dict[Key, int] = {}
        try:
            self._offsets = read_offsets(path)
        except StorageError as error:
            logger.error("%s; records that were deleted may come back", error)

    def get(self, key: Key) -> int:
        return self._offsets.get(key, 0)

    def note(self, key: Key, offset: int) -> None:
        self._offsets[key] = offset

    def forget(self, key: Key) -> bool:
        """Return whether there was something to forget."""
        return self._offsets.pop(key, None) is not None

    def write(self) -> None:
        """Make what was noted survive the death of the process. Raises StorageError."""
        try:
            with self._lock:
                self._version += 1
                files.replace(self._path, encode_offsets(self._offsets))
        except OSError as error:
            raise StorageError(f"cannot write {self._path.name}: {error.strerror}") from error

    def write_durably(self) -> None:
        """Make it survive the death of the machine; blocks, from another thread. Raises OSError.

        ``write`` does not wait for it: what it has written meanwhile is newer, and gets its turn here.
        """
        temporary = self._path.with_name(self._path.name + ".synced.tmp")
        while True:
            version = self._version
            files.write(temporary, encode_offsets(self._offsets.copy()), is_synced=True)
            with self._lock:
                if version == self._version:
                    files.rename(temporary, self._path)
                    break
        files.sync_directory(self._path.parent)
