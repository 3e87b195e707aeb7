"""The log of a partition to which nothing was ever written: it has no folder yet."""

from collections.abc import Callable
from pathlib import Path

from ..protocol.records import BatchHeader
from .aborted import AbortedTransaction
from .checkpoints import LeaderEpochs
from .errors import OffsetNotInLog
from .log import NEVER, Appended, LogSettings, PartitionLog, Slice
from .producers import ProducerStates
from .recall import LEADER_EPOCH_FILE
from .sync_job import SyncJob

_NOTHING = Slice(memoryview(b""), 0, None)


class UnwrittenLog:
    """A ``PartitionLog`` that is empty. The first write calls ``make``, and goes to the log that it returns.

    ``directory``: the folder that ``make`` makes.
    """

    offline: str | None = None
    segment_count = 0
    size_bytes = 0
    last_stable_offset = 0

    def __init__(self, directory: Path, make: Callable[[], PartitionLog]) -> None:
        self._make = make
        self.log_start_offset = self.log_end_offset = self.recovery_point = self.durable_offset = 0
        self.producers = ProducerStates()
        self.epochs = LeaderEpochs(directory / LEADER_EPOCH_FILE, is_new=True)

    def append(self, batch: memoryview, header: BatchHeader, leader_epoch: int) -> Appended:
        return self._make().append(batch, header, leader_epoch)

    def end_transaction(self, marker: memoryview, leader_epoch: int, must_bump: bool) -> Appended:
        return self._make().end_transaction(marker, leader_epoch, must_bump)

    def read(self, offset: int, max_bytes: int, at_least_one: bool, end_offset: int = NEVER) -> Slice:
        del max_bytes, at_least_one, end_offset
        self._check(offset)
        return _NOTHING

    def delete_before(self, offset: int) -> int:
        self._check(offset)
        return 0

    def expire(self, offset: int) -> int:
        del offset
        return 0

    @staticmethod
    def _check(offset: int) -> None:
        if offset:
            raise OffsetNotInLog(f"offset {offset} is not in an empty log")

    def aborted(self, offset: int, size_bytes: int) -> list[AbortedTransaction]:
        del offset, size_bytes
        return []

    def batch_at_or_after(self, timestamp_ms: int, offset: int = 0) -> memoryview | None:
        del timestamp_ms, offset
        return None

    def batch_of_max_timestamp(self) -> memoryview | None:
        return None

    def configure(self, settings: LogSettings) -> None:
        """Do nothing: the settings shape files, and there are none."""

    def sync_job(self) -> SyncJob:
        return SyncJob(lambda: None, lambda: None, lambda error: error)
