"""What the checkpoint files of a data directory know of each partition from start to start."""

import logging
from collections.abc import Callable
from pathlib import Path

from .checkpoints import Key, OffsetCheckpoint, Offsets, read_offsets
from .errors import LogOffline, StorageError
from .layout import CLEAN_OFFSETS_FILE, LOG_STARTS_FILE, RECOVERY_POINTS_FILE
from .log_starts import LogStarts
from .recovery import is_plainly_short

logger = logging.getLogger(__name__)


class KnownOffsets:
    """Recovery points, log start offsets, and up to where logs were compacted.

    ``has_recovery_points``: False when that file makes no sense. ``latest_points``: the recovery points of open logs.
    """

    def __init__(self, path: Path, latest_points: Callable[[], Offsets]) -> None:
        self._path = path
        self.has_recovery_points = True
        try:
            points = read_offsets(path / RECOVERY_POINTS_FILE)
        except StorageError as error:
            logger.warning("%s; checking the logs from their beginning", error)
            self.has_recovery_points, points = False, {}
        self.recovery_points = OffsetCheckpoint(path / RECOVERY_POINTS_FILE, points, latest_points)
        self.log_starts = LogStarts(path / LOG_STARTS_FILE)
        clean_offsets: Offsets = {}
        try:
            clean_offsets = read_offsets(path / CLEAN_OFFSETS_FILE)
        except StorageError as error:
            logger.warning("%s; compacting from the beginning", error)
        self.clean_offsets = OffsetCheckpoint(path / CLEAN_OFFSETS_FILE, clean_offsets)

    def settle(self, key: Key) -> None:
        """See that nothing of a deleted partition is taken for a new one of that name; may block. Raises OSError."""
        self.log_starts.settle([key])
        self.recovery_points.settle([key], is_synced=False)
        self.clean_offsets.settle([key], is_synced=False)

    def forget_former(self, topic: str, partitions: range) -> None:
        """Forget earlier partitions of a name before there are new ones; may block. Raises LogOffline.

        A process that was killed while it deleted a topic may have left them; a new topic has lost no records.
        """
        try:
            for key in ((topic, partition) for partition in partitions):
                self.log_starts.forget(key)
                self.recovery_points.forget(key)
                self.clean_offsets.forget(key)
                self.settle(key)
        except OSError as error:
            raise LogOffline(f"cannot write a checkpoint in {self._path}: {error.strerror}", may_pass=True) from error

    def note_clean_offset(self, key: Key, offset: int) -> None:
        """Remember up to where a log was compacted."""
        self.clean_offsets.note(key, offset)
        try:
            self.clean_offsets.write(is_synced=False)
        except OSError as error:  # it is compacted again then
            logger.warning("cannot write %s: %s", CLEAN_OFFSETS_FILE, error)

    def plainly_short(self) -> list[Key]:
        """Return the partitions whose files do not reach to their recovery points, as names and sizes tell.

        Topics that are not in the catalog any more are among them.
        """
        return [
            (topic, partition)
            for (topic, partition), known_end in self.recovery_points.known().items()
            if known_end > 0 and is_plainly_short(f"{self._path}/{topic}-{partition}", known_end)
        ]
