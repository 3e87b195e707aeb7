"""What a dump consists of: each ``File`` is followed by what is in it. Timestamps in ms since 1970, -1 for none."""

from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from ..aborted import AbortedTransaction


class Selection(NamedTuple):
    """What to show. ``from_offset`` and ``to_offset``: the batches that hold these two and those between them.

    ``records``: also what is in the batches. ``limit``: how many batches of each folder. ``verify``: compare indexes
    with the segments beside them.
    """

    records: bool = False
    from_offset: int | None = None
    to_offset: int | None = None
    limit: int | None = None
    verify: bool = False


class Kind(StrEnum):
    """What a file is."""

    SEGMENT = "segment"
    OFFSET_INDEX = "offset_index"
    TIME_INDEX = "time_index"
    TRANSACTION_INDEX = "transaction_index"
    PRODUCER_SNAPSHOT = "producer_snapshot"
    LEADER_EPOCH_CHECKPOINT = "leader_epoch_checkpoint"
    OFFSET_CHECKPOINT = "offset_checkpoint"
    PARTITION_METADATA = "partition_metadata"
    META_PROPERTIES = "meta_properties"


class File(NamedTuple):
    """``base_offset``: where the segment begins to which it belongs, None when its name does not say that."""

    path: Path
    kind: Kind
    size_bytes: int
    base_offset: int | None


class Batch(NamedTuple):
    """A batch. ``crc`` is what its header says, ``is_crc_right`` whether its bytes agree.

    ``producer_id``, ``producer_epoch`` and the sequences: -1 for none. ``codec``, ``timestamp_type``: Kafka's names.
    """

    position: int
    size_bytes: int
    base_offset: int
    last_offset: int
    records_count: int
    leader_epoch: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    last_sequence: int
    timestamp_type: str
    base_timestamp: int
    max_timestamp: int
    codec: str
    is_transactional: bool
    is_control: bool
    delete_horizon_ms: int | None
    crc: int
    is_crc_right: bool


class BatchRecord(NamedTuple):
    """A record of the batch before it. Sizes of -1: it is null. ``headers``: names may be any bytes, values be null.

    ``control_type``: None but in control batches; ``coordinator_epoch``: of ABORT and COMMIT.
    """

    offset: int
    timestamp: int
    sequence: int
    key_size_bytes: int
    value_size_bytes: int
    control_type: str | None
    coordinator_epoch: int | None
    key: bytes | None
    value: bytes | None
    headers: list[tuple[bytes, bytes | None]]


class OffsetEntry(NamedTuple):
    """An entry of an offset index: the batch at ``position`` ends with ``offset``, None if the base is not known."""

    relative_offset: int
    offset: int | None
    position: int


class TimeEntry(NamedTuple):
    """An entry of a time index: no batch up to the one with ``offset`` has a later timestamp."""

    timestamp: int
    relative_offset: int
    offset: int | None


class Producer(NamedTuple):
    """A producer in a snapshot. ``offset_delta``: of its last batch; ``current_txn_first_offset``: -1 for none."""

    producer_id: int
    producer_epoch: int
    last_sequence: int
    last_offset: int
    offset_delta: int
    last_timestamp: int
    coordinator_epoch: int
    current_txn_first_offset: int


class LeaderEpoch(NamedTuple):
    leader_epoch: int
    start_offset: int


class PartitionOffset(NamedTuple):
    topic: str
    partition: int
    offset: int


class Property(NamedTuple):
    name: str
    value: str


class Preallocated(NamedTuple):
    """Nothing but zeros from ``position`` to the end of the file: room that nobody has used yet."""

    position: int
    size_bytes: int


class Problem(NamedTuple):
    """Damage. ``bytes_left``: how much of the file is not shown for it, None when the dump goes on behind it."""

    position: int
    reason: str
    bytes_left: int | None = None


class Unreadable(NamedTuple):
    """What could not be looked at, or not to its end. Is not part of the ``File`` before it."""

    path: Path
    reason: str


Content = (
    Batch
    | BatchRecord
    | OffsetEntry
    | TimeEntry
    | AbortedTransaction
    | Producer
    | LeaderEpoch
    | PartitionOffset
    | Property
    | Preallocated
    | Problem
)
Entry = File | Content | Unreadable
