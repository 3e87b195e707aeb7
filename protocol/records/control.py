"""Control records: what a coordinator writes into a partition and no consumer sees (KIP-98)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from .batch import read_header
from .builder import build_batch
from .errors import BatchCorrupt
from .record import Record, records

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

CONTROL_VERSION = 0

_KEY = struct.Struct(">hh")  # version, type
_MARKER = struct.Struct(">hi")  # version, coordinator epoch


class ControlType(IntEnum):
    """Second field of the key of a control record. UNKNOWN is for all that Kafka may add: skip it."""

    UNKNOWN = -1
    ABORT = 0
    COMMIT = 1
    LEADER_CHANGE = 2
    SNAPSHOT_HEADER = 3
    SNAPSHOT_FOOTER = 4
    KRAFT_VERSION = 5
    KRAFT_VOTERS = 6


class EndTransactionMarker(NamedTuple):
    """How a transaction ended in this partition: ABORT or COMMIT, and the epoch of the coordinator that says so."""

    type: ControlType
    coordinator_epoch: int


def end_transaction_marker(
    *,
    commit: bool,
    producer_id: int,
    producer_epoch: int,
    coordinator_epoch: int,
    timestamp: int,
    base_offset: int = 0,
    leader_epoch: int = -1,
) -> bytes:
    """Return the batch with the one record that ends a transaction. ``timestamp`` in ms since 1970."""
    key = _KEY.pack(CONTROL_VERSION, ControlType.COMMIT if commit else ControlType.ABORT)
    value = _MARKER.pack(CONTROL_VERSION, coordinator_epoch)
    return build_batch(
        [Record(base_offset, timestamp, key, value)],
        base_offset=base_offset,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        leader_epoch=leader_epoch,
        is_transactional=True,
        is_control=True,
    )


def control_type(key: bytes | None) -> ControlType:
    """Return what the control record with this key is. Raises BatchCorrupt when the key is no control key."""
    if key is None or len(key) < _KEY.size:
        raise BatchCorrupt("the key of a control record is cut short")
    version, number = _KEY.unpack_from(key)
    if version < 0:  # a later version only adds fields at the end
        raise BatchCorrupt(f"version {version} of a control key")
    try:
        return ControlType(number)
    except ValueError:
        return ControlType.UNKNOWN


def read_end_transaction_marker(buf: ReadableBuffer) -> EndTransactionMarker | None:
    """Return the marker that the control batch ``buf`` holds, None when it is about something else.

    None also when compaction has emptied the batch: then the whole transaction is gone from the log.
    Raises BatchCorrupt when it is no control batch or a malformed one.
    """
    if not read_header(buf).is_control:
        raise BatchCorrupt("not a control batch")
    record = next(records(buf), None)
    return None if record is None else end_transaction_marker_in(record)


def end_transaction_marker_in(record: Record) -> EndTransactionMarker | None:
    """Return the marker that a control record is, None when it is about something else. Raises BatchCorrupt."""
    kind = control_type(record.key)
    if kind not in (ControlType.ABORT, ControlType.COMMIT):
        return None
    if record.value is None or len(record.value) < _MARKER.size:
        raise BatchCorrupt("the value of an end transaction marker is cut short")
    version, coordinator_epoch = _MARKER.unpack_from(record.value)
    if version < 0:
        raise BatchCorrupt(f"version {version} of an end transaction marker")
    return EndTransactionMarker(kind, coordinator_epoch)
