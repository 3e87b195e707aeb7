"""The records inside a batch: off the hot path, opened only where the semantics need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .batch import BATCH_OVERHEAD, TIMESTAMP_TYPE_MASK, BatchHeader, read_header
from .compression import DECOMPRESSED_BYTES_MAX, Codec, decompress
from .errors import BatchCorrupt, RecordsTooLarge
from .varint import read_varint, read_varlong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer

    Headers = list[tuple[str, bytes | None]]

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)


class Record:
    """One record. ``timestamp`` in ms since 1970, -1 for none; ``attributes`` has no bit in use.

    Header keys that are not UTF-8 keep their bytes as surrogate escapes, so that a rewritten record stays the same.
    """

    __slots__ = ("attributes", "headers", "key", "offset", "timestamp", "value")

    def __init__(
        self,
        offset: int,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None = None,
        attributes: int = 0,
    ) -> None:
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headers: Headers = [] if headers is None else headers
        self.attributes = attributes

    def _fields(self) -> tuple[object, ...]:
        return (self.offset, self.timestamp, self.key, self.value, self.headers, self.attributes)

    def __eq__(self, other: object) -> bool:
        return self._fields() == other._fields() if isinstance(other, Record) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __repr__(self) -> str:
        return "Record(offset={!r}, timestamp={!r}, key={!r}, value={!r}, headers={!r}, attributes={!r})".format(
            *self._fields()
        )


def records(
    buf: ReadableBuffer, max_bytes: int = DECOMPRESSED_BYTES_MAX, max_headers: int = INT32_MAX
) -> Iterator[Record]:
    """Yield the records of the batch at the start of ``buf``; its CRC is not checked, see ``verify``.

    ``max_bytes``: limit of the decompressed records. They are copied, so ``buf`` may change during the iteration.
    ``max_headers``: limit of the headers of a record, which take thirty times as much memory as bytes on the wire.
    Raises BatchCorrupt, and nothing else, wherever the bytes are not what they should be.
    """
    header = read_header(buf)
    data = payload(buf, header, max_bytes)
    append_time = header.max_timestamp if header.attributes & TIMESTAMP_TYPE_MASK else None
    position = 0
    for _ in range(header.records_count):
        record, position = _read_record(data, position, header, append_time, max_headers)
        yield record
    if position != len(data):
        raise BatchCorrupt(f"{len(data) - position} bytes lie behind the last record")


def outlines(buf: ReadableBuffer, max_bytes: int = DECOMPRESSED_BYTES_MAX) -> Iterator[tuple[int, bool]]:
    """Yield (timestamp, whether the key is null) of each record: all that the rules of a topic ask for.

    The timestamp is the producer's, and may not fit 64 bits. Twice as fast as ``records``: what follows the key is
    stepped over and not checked.
    """
    header = read_header(buf)
    data = payload(buf, header, max_bytes)
    base_timestamp = header.base_timestamp
    position = 0
    for _ in range(header.records_count):
        position, end = _frame(data, position)
        timestamp_delta, position = read_varlong(data, position + 1)
        offset_delta, position = read_varint(data, position)
        if not 0 <= offset_delta <= header.last_offset_delta:
            raise BatchCorrupt(f"offset delta {offset_delta}, the last of the batch is {header.last_offset_delta}")
        key_length, position = read_varint(data, position)
        if position + max(key_length, 0) + 2 > end:  # a value has a length, and there is a number of headers
            raise BatchCorrupt("a key reaches behind its record")
        yield base_timestamp + timestamp_delta, key_length < 0
        position = end
    if position != len(data):
        raise BatchCorrupt(f"{len(data) - position} bytes lie behind the last record")


def offset_of_timestamp(buf: ReadableBuffer, timestamp: int, log_start_offset: int = 0) -> tuple[int, int] | None:
    """Return (offset, timestamp) of the first record whose timestamp is ``timestamp`` (ms) or later.

    Records before ``log_start_offset`` are deleted and do not count. None when the batch has no such record. Raises
    BatchCorrupt.
    """
    for record in records(buf):
        if record.timestamp >= timestamp and record.offset >= log_start_offset:
            return record.offset, record.timestamp
    return None


def max_timestamp_record(buf: ReadableBuffer) -> tuple[int, int] | None:
    """Return (offset, timestamp) of the first record that has the batch's max timestamp (KIP-734).

    With LogAppendTime all records have it, so it is the first one, as in Kafka (RecordBatch.offsetOfMaxTimestamp).
    None when no record has it: the batch is empty, or its producer stated another one. Raises BatchCorrupt.
    """
    max_timestamp = read_header(buf).max_timestamp
    for record in records(buf):
        if record.timestamp == max_timestamp:
            return record.offset, record.timestamp
    return None


def payload(buf: ReadableBuffer, header: BatchHeader, max_bytes: int) -> bytes:
    """Return the records of the batch as bytes, decompressed, after checking what only the header says."""
    view = memoryview(buf)
    if header.size_bytes > len(view):
        raise BatchCorrupt(f"the batch says {header.size_bytes} bytes, there are {len(view)}")
    if header.records_count < 0:
        raise BatchCorrupt(f"the batch says {header.records_count} records")
    if header.last_offset_delta < 0 or header.last_offset > INT64_MAX:
        raise BatchCorrupt(f"offset {header.base_offset} and {header.last_offset_delta} behind it are no range")
    packed = view[BATCH_OVERHEAD : header.size_bytes]
    codec = header.codec
    if codec is Codec.NONE:  # no limit: it does not grow
        return bytes(packed)
    return decompress(codec, packed, max_bytes) if packed else b""


def _frame(data: bytes, position: int) -> tuple[int, int]:
    """Return where the body of the record at ``position`` begins and ends."""
    length, position = read_varint(data, position)
    if not 0 <= length <= len(data) - position:
        raise BatchCorrupt(f"a record of {length} bytes, {len(data) - position} are left")
    return position, position + length


def _read_record(
    data: bytes, position: int, header: BatchHeader, append_time: int | None, max_headers: int
) -> tuple[Record, int]:
    start, end = _frame(data, position)
    timestamp_delta, position = read_varlong(data, start + 1)
    offset_delta, position = read_varint(data, position)
    if not 0 <= offset_delta <= header.last_offset_delta:
        raise BatchCorrupt(f"offset delta {offset_delta}, the last of the batch is {header.last_offset_delta}")
    key, position = _read_bytes(data, position, end)
    value, position = _read_bytes(data, position, end)
    headers_count, position = read_varint(data, position)
    if headers_count:
        if headers_count > max_headers:
            raise RecordsTooLarge(f"{headers_count} headers of a record, the limit is {max_headers}")
        headers, position = _read_headers(data, position, end, headers_count)
    else:
        headers = []
    if position != end:
        raise BatchCorrupt(f"a record of {end - start} bytes has {position - start} of content")
    if append_time is None:
        timestamp = header.base_timestamp + timestamp_delta
        if not INT64_MIN <= timestamp <= INT64_MAX:
            raise BatchCorrupt("a timestamp does not fit 64 bits")
    else:
        timestamp = append_time
    return Record(header.base_offset + offset_delta, timestamp, key, value, headers, data[start]), end


def _read_bytes(data: bytes, position: int, end: int) -> tuple[bytes | None, int]:
    length, position = read_varint(data, position)
    if length < 0:
        return None, position
    behind = position + length
    if behind > end:
        raise BatchCorrupt(f"{length} bytes of content, {end - position} are left of the record")
    return data[position:behind], behind


def _read_headers(data: bytes, position: int, end: int, count: int) -> tuple[Headers, int]:
    if not 0 <= count <= end - position:  # Kafka's rule too; a header has two bytes at least
        raise BatchCorrupt(f"{count} headers, {end - position} bytes are left of the record")
    headers: Headers = []
    for _ in range(count):
        key, position = _read_bytes(data, position, end)
        if key is None:
            raise BatchCorrupt("a header without a key")
        value, position = _read_bytes(data, position, end)
        headers.append((key.decode("utf-8", "surrogateescape"), value))
    return headers, position
