"""The log of one partition: what every engine offers, and what goes in and comes out."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from ..protocol.records import BatchHeader
from .aborted import AbortedTransaction
from .checkpoints import LeaderEpochs
from .producers import ProducerStates
from .sync_job import SyncJob


class LogSettings(Protocol):
    """The topic settings that shape a log, under Kafka's names; sizes in bytes, times in ms."""

    @property
    def segment_bytes(self) -> int: ...
    @property
    def segment_ms(self) -> int: ...
    @property
    def segment_jitter_ms(self) -> int: ...
    @property
    def segment_index_bytes(self) -> int: ...
    @property
    def index_interval_bytes(self) -> int: ...
    @property
    def flush_ms(self) -> int: ...
    @property
    def file_delete_delay_ms(self) -> int: ...
    @property
    def preallocate(self) -> bool: ...
    @property
    def is_durable(self) -> bool: ...
    @property
    def is_compacted(self) -> bool: ...
    @property
    def max_compaction_lag_ms(self) -> int: ...


# Beyond every offset.
NEVER = 2**63 - 1


class Appended(NamedTuple):
    """Where a batch lies. ``append_time_ms``: -1, unless the batch was there already: then its timestamp."""

    base_offset: int
    append_time_ms: int


class Slice(NamedTuple):
    """A run of whole batches, not copied.

    ``readable_bytes``: what there was to read within the limit, whole batches or not; it is what a fetch that waits
    for ``min_bytes`` counts (Kafka's DelayedFetch). ``warm``: reads the batches from the disk, blocking; None when
    they are in memory.
    """

    batches: memoryview
    readable_bytes: int
    warm: Callable[[], None] | None


class PartitionLog(Protocol):
    """An append-only sequence of record batches with consecutive offsets.

    ``log_end_offset`` is the offset of the next record; ``durable_offset`` is where what is not yet on disk begins,
    and ``recovery_point`` where what is not there in the log's own files begins; ``offline`` is why these cannot be
    used any more, None while they can.
    Every method raises LogOffline once the log's files cannot be used.
    """

    log_start_offset: int
    log_end_offset: int
    recovery_point: int
    durable_offset: int
    offline: str | None
    producers: ProducerStates
    epochs: LeaderEpochs

    def append(self, batch: memoryview, header: BatchHeader, leader_epoch: int) -> Appended:
        """Append one verified batch; its base offset and leader epoch are overwritten in place.

        Raises ProducerEpochStale, SequenceOutOfOrder, TransactionStateInvalid, BatchTooLarge, LogOffline.
        """
        ...

    def end_transaction(self, marker: memoryview, leader_epoch: int, must_bump: bool) -> Appended:
        """Append the control batch that ends a producer's transaction, if it has one here.

        ``must_bump``: see ``ProducerStates.check_marker``. Raises ProducerEpochStale, CoordinatorEpochStale,
        LogOffline.
        """
        ...

    def aborted(self, offset: int, size_bytes: int) -> list[AbortedTransaction]:
        """Return the aborted transactions that the ``size_bytes`` of batches read at ``offset`` may hold records of,
        by their ends.

        Raises LogCorrupt, LogOffline.
        """
        ...

    @property
    def last_stable_offset(self) -> int:
        """Where the oldest open transaction begins, or the log ends (KIP-98)."""
        ...

    def read(self, offset: int, max_bytes: int, at_least_one: bool, end_offset: int = NEVER) -> Slice:
        """Return batches from the one that holds ``offset`` on, as many as fit; they may end at a segment's end.

        ``end_offset``: where to end at the latest; a batch begins there, or it lies behind the log.
        ``at_least_one``: return the first batch though it is larger. Raises OffsetNotInLog, LogOffline.
        """
        ...

    def batch_at_or_after(self, timestamp_ms: int, offset: int = 0) -> memoryview | None:
        """Return the first batch that reaches to ``offset`` or beyond and says that it has a record of
        ``timestamp_ms`` or later, None when there is none. That record may be a deleted one.
        """
        ...

    def batch_of_max_timestamp(self) -> memoryview | None:
        """Return the first batch that holds the largest timestamp of the segments, -1 if they have no other; None
        when there is none.

        Deleted records count while their segment is there (Kafka's UnifiedLog.fetchOffsetByTimestamp).
        """
        ...

    @property
    def segment_count(self) -> int: ...

    @property
    def size_bytes(self) -> int:
        """Return the bytes of all batches."""
        ...

    def configure(self, settings: LogSettings) -> None:
        """Go on with other settings."""
        ...

    def delete_before(self, offset: int) -> int:
        """Drop what lies before ``offset`` and return the new log start offset, which never goes back (KIP-107).

        Whole segments go from the disk in the background. Raises OffsetNotInLog when ``offset`` is beyond the log.
        """
        ...

    def expire(self, offset: int) -> int:
        """Part with the segments before ``offset``, which retention has found, and return the log start offset.

        Raises LogOffline.
        """
        ...

    def sync_job(self) -> SyncJob:
        """Return how to bring what has been appended so far to the disk."""
        ...
