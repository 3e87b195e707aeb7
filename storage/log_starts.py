"""Where logs begin, when records were deleted from them (``log-start-offset-checkpoint``, as Kafka's)."""

import logging
from pathlib import Path

from .checkpoints import OffsetCheckpoint, read_offsets
from .errors import LogOffline, StorageError
from .sync_job import SyncJob

logger = logging.getLogger(__name__)


class LogStarts(OffsetCheckpoint):
    """The offset at which each log begins, by topic and partition.

    It is on the disk whenever it was written: the file is replaced, and if it were not synced, the failure of the
    power could take where all the other logs begin.
    """

    def __init__(self, path: Path) -> None:
        try:
            offsets = read_offsets(path)
        except StorageError as error:
            logger.error("%s; records that were deleted may come back", error)
            offsets = {}
        super().__init__(path, offsets)

    def sync_job(self) -> SyncJob:
        return SyncJob(self.write, lambda: None, self._failed)

    def _failed(self, error: OSError) -> LogOffline:
        logger.error("cannot write %s: %s", self.path, error)
        return LogOffline(f"cannot write {self.path.name}: {error.strerror}", may_pass=True)
