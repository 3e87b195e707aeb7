"""The batches of a segment, and the records in them."""

from collections.abc import Iterator
from typing import NamedTuple

from ...protocol.records import (
    ATTRIBUTES_OFFSET,
    BATCH_OVERHEAD,
    BatchCorrupt,
    BatchHeader,
    ControlType,
    Record,
    TimestampType,
    UnsupportedCodec,
    control_type,
    crc32c,
    end_transaction_marker_in,
    increment_sequence,
    read_header,
    records,
)
from .entries import Batch, BatchRecord, Preallocated, Problem, Selection
from .reader import Reader

# What a broker opens, too: a batch and what it expands to. Printed they may take ten times as much.
OPENED_BYTES_MAX = 32 * 2**20
# Far above what anybody sends; a batch may expand to millions of empty ones.
HEADERS_MAX = 100_000
# What an index entry can hold.
_RELATIVE_OFFSET_MAX = 2**31 - 1
_TIMESTAMP_TYPES = {TimestampType.CREATE_TIME: "CreateTime", TimestampType.LOG_APPEND_TIME: "LogAppendTime"}


class Found(NamedTuple):
    """A batch that lies in the file as a whole, as far as its header tells."""

    position: int
    header: BatchHeader


def segment_entries(
    reader: Reader, base_offset: int | None, start: int, selection: Selection
) -> Iterator[Batch | BatchRecord | Problem | Preallocated]:
    """Yield the selected batches from position ``start`` on, where one begins, up to the first place without a batch.

    One whose CRC is wrong is shown, too. Raises OSError.
    """
    expected = None if start else base_offset
    left = selection.limit
    for found in walk(reader, start):
        if not isinstance(found, Found):
            yield found
            return
        header = found.header
        if selection.to_offset is not None and header.base_offset > selection.to_offset:
            return
        if selection.from_offset is None or header.last_offset >= selection.from_offset:
            yield from _batch(reader, found, selection.records)
            for reason in _faults(header, base_offset, expected):
                yield Problem(found.position, reason)
            if left is not None:
                left -= 1
                if not left:
                    return
        expected = header.next_offset


def walk(reader: Reader, position: int) -> Iterator[Found | Problem | Preallocated]:
    """Yield batch after batch, by their headers; and at last what is there instead of one, unless the file ends.

    Raises OSError.
    """
    while head := reader.read(position, BATCH_OVERHEAD):
        try:
            header = read_header(head)
        except BatchCorrupt as error:
            yield _ending(reader, position, head, str(error))
            return
        end = position + header.size_bytes
        if end > reader.size_bytes and end > reader.look():
            left = reader.size_bytes - position
            yield _ending(reader, position, head, f"the batch says {header.size_bytes} bytes, {left} are left")
            return
        yield Found(position, header)
        position = end


def _ending(reader: Reader, position: int, head: bytes, reason: str) -> Problem | Preallocated:
    is_empty = not any(head) and reader.nonzero_from(position) is None
    left = max(len(head), reader.look() - position)
    return Preallocated(position, left) if is_empty else Problem(position, f"no sound batch begins: {reason}", left)


def is_sound(reader: Reader, found: Found) -> bool:
    return _crc_of(reader, found) == found.header.crc


def _crc_of(reader: Reader, found: Found) -> int:
    crc = 0
    for chunk in reader.chunks(found.position + ATTRIBUTES_OFFSET, found.position + found.header.size_bytes):
        crc = crc32c(chunk, crc)
    return crc


def _batch(reader: Reader, found: Found, with_records: bool) -> Iterator[Batch | BatchRecord | Problem]:
    position, header = found
    crc = _crc_of(reader, found)
    yield _described(found, crc == header.crc)
    if crc != header.crc:
        yield Problem(position, f"the CRC of the batch is {header.crc:#010x}, that of its bytes {crc:#010x}")
    if not with_records:
        return
    if header.size_bytes > OPENED_BYTES_MAX:
        yield Problem(
            position, f"its records are not shown: {header.size_bytes} bytes, the limit is {OPENED_BYTES_MAX}"
        )
        return
    try:
        for record in records(reader.read(position, header.size_bytes), OPENED_BYTES_MAX, HEADERS_MAX):
            yield from _record(position, header, record)
    except BatchCorrupt as error:
        yield Problem(position, f"its records end here: {error}")


def _described(found: Found, is_crc_right: bool) -> Batch:
    position, header = found
    return Batch(
        position,
        header.size_bytes,
        header.base_offset,
        header.last_offset,
        header.records_count,
        header.partition_leader_epoch,
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
        header.last_sequence,
        _TIMESTAMP_TYPES[header.timestamp_type],
        header.base_timestamp,
        header.max_timestamp,
        _codec_name(header),
        header.is_transactional,
        header.is_control,
        header.delete_horizon_ms,
        header.crc,
        is_crc_right,
    )


def _codec_name(header: BatchHeader) -> str:
    try:
        return header.codec.name.lower()
    except UnsupportedCodec:
        return "unknown"


def _faults(header: BatchHeader, base_offset: int | None, expected: int | None) -> Iterator[str]:
    """What is wrong with a batch although its CRC may be right. ``expected``: the least offset that it may have."""
    if expected is not None and header.base_offset < expected:
        yield f"offset {header.base_offset} where {expected} or more was expected"
    if header.last_offset_delta < 0 or header.records_count < 0:
        yield f"{header.records_count} records from offset {header.base_offset} to {header.last_offset}"
    if base_offset is not None and header.last_offset > base_offset + _RELATIVE_OFFSET_MAX:
        yield f"offset {header.last_offset} is too far from the segment's first"
    try:
        _ = header.codec
    except UnsupportedCodec as error:
        yield f"{error} does not exist"


def _record(position: int, header: BatchHeader, record: Record) -> Iterator[BatchRecord | Problem]:
    kind: ControlType | None = None
    epoch: int | None = None
    reason = ""
    if header.is_control:
        try:
            kind = control_type(record.key)
            marker = end_transaction_marker_in(record)
            epoch = marker.coordinator_epoch if marker else None
        except BatchCorrupt as error:
            reason = str(error)
    has_sequence = header.base_sequence >= 0
    yield BatchRecord(
        record.offset,
        record.timestamp,
        increment_sequence(header.base_sequence, record.offset - header.base_offset) if has_sequence else -1,
        -1 if record.key is None else len(record.key),
        -1 if record.value is None else len(record.value),
        None if kind is None else kind.name,
        epoch,
        record.key,
        record.value,
        [(name.encode("utf-8", "surrogateescape"), value) for name, value in record.headers],
    )
    if reason:
        yield Problem(position, f"the control record at offset {record.offset}: {reason}")
