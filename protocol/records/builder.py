"""Writing batches: for control records, compaction, recompression and whoever produces without a client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .batch import (
    ATTRIBUTES_OFFSET,
    BATCH_OVERHEAD,
    CODEC_MASK,
    CONTROL_MASK,
    CRC_OFFSET,
    DELETE_HORIZON_MASK,
    HEADER,
    LOG_OVERHEAD,
    MAGIC,
    TIMESTAMP_TYPE_MASK,
    TRANSACTIONAL_MASK,
    TimestampType,
    read_header,
)
from .checksum import crc32c
from .compression import Codec, compress, decompress
from .record import INT32_MAX, INT64_MAX, INT64_MIN
from .varint import write_varint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from _typeshed import ReadableBuffer

    from .record import Record

NO_TIMESTAMP = -1


def _written(value: int) -> bytes:
    out = bytearray()
    write_varint(out, value)
    return bytes(out)


_VARINTS = [_written(value) for value in range(128)]
_MINUS_ONE = _written(-1)


def _varint(value: int) -> bytes:
    return _VARINTS[value] if value < 128 else _written(value)


def build_batch(
    records: Iterable[Record],
    *,
    base_offset: int = 0,
    codec: Codec = Codec.NONE,
    timestamp_type: TimestampType = TimestampType.CREATE_TIME,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    leader_epoch: int = -1,
    is_transactional: bool = False,
    is_control: bool = False,
    level: int | None = None,
    last_offset: int | None = None,
    max_timestamp: int | None = None,
    delete_horizon_ms: int | None = None,
) -> bytes:
    """Return the batch that holds ``records``, whose offsets ascend from ``base_offset`` and may have gaps.

    ``level``: see ``compress``.
    ``last_offset``: None is that of the last record; compaction keeps the one of the batch it thinned out.
    ``max_timestamp``: ms; None is the latest of the records. For LogAppendTime it is the timestamp of all of them.
    ``delete_horizon_ms``: sets the flag and takes the place of the base timestamp (KIP-534).
    A batch without records, as compaction leaves behind for its sequence, needs ``last_offset``.
    Raises ValueError when an offset or timestamp has no place in the batch.
    """
    body = bytearray()
    base_timestamp = delete_horizon_ms
    latest = NO_TIMESTAMP
    last_offset_delta = count = 0
    for record in records:
        if base_timestamp is None:
            base_timestamp = record.timestamp
        delta = record.offset - base_offset
        if not last_offset_delta <= delta <= INT32_MAX:
            raise ValueError(f"offset {record.offset} is out of order in a batch from {base_offset}")
        last_offset_delta = delta
        latest = max(latest, record.timestamp)
        count += 1
        _write_record(body, record, delta, record.timestamp - base_timestamp)
    if last_offset is not None:
        if not last_offset_delta <= last_offset - base_offset <= INT32_MAX:
            raise ValueError(f"last offset {last_offset} lies outside of a batch from {base_offset}")
        last_offset_delta = last_offset - base_offset
    elif not count:
        raise ValueError("a batch without records needs a last offset")
    if not count:
        codec = Codec.NONE
    attributes = (
        codec
        | (TIMESTAMP_TYPE_MASK if timestamp_type is TimestampType.LOG_APPEND_TIME else 0)
        | (TRANSACTIONAL_MASK if is_transactional else 0)
        | (CONTROL_MASK if is_control else 0)
        | (DELETE_HORIZON_MASK if delete_horizon_ms is not None else 0)
    )
    payload = compress(codec, body, level)
    batch = bytearray(BATCH_OVERHEAD + len(payload))
    batch[BATCH_OVERHEAD:] = payload
    HEADER.pack_into(
        batch,
        0,
        base_offset,
        len(batch) - LOG_OVERHEAD,
        leader_epoch,
        MAGIC,
        0,
        attributes,
        last_offset_delta,
        NO_TIMESTAMP if base_timestamp is None else base_timestamp,
        latest if max_timestamp is None else max_timestamp,
        producer_id,
        producer_epoch,
        base_sequence,
        count,
    )
    checksum = crc32c(memoryview(batch)[ATTRIBUTES_OFFSET:])
    batch[CRC_OFFSET:ATTRIBUTES_OFFSET] = checksum.to_bytes(4, "big")
    return bytes(batch)


def build_keyed_batch(
    pairs: Sequence[tuple[bytes, bytes | None]], timestamp: int, codec: Codec = Codec.NONE
) -> bytearray:
    """Return a batch of records from offset 0 on: ``pairs`` of keys and values, all of one time in ms, no headers.

    As ``build_batch``, in half the time.
    """
    parts: list[bytes] = []
    for delta, (key, value) in enumerate(pairs):
        offset_delta, key_size = _varint(delta), _varint(len(key))
        value_size = _MINUS_ONE if value is None else _varint(len(value))
        content = value or b""
        size = 3 + len(offset_delta) + len(key_size) + len(key) + len(value_size) + len(content)
        # attributes and timestamp delta are 0, and there are 0 headers
        parts += (_varint(size), b"\0\0", offset_delta, key_size, key, value_size, content, b"\0")
    body = b"".join(parts)
    payload = body if codec is Codec.NONE else compress(codec, body)
    length, count = len(payload) + BATCH_OVERHEAD - LOG_OVERHEAD, len(pairs)
    batch = bytearray(
        HEADER.pack(0, length, -1, MAGIC, 0, codec, count - 1, timestamp, timestamp, -1, -1, -1, count) + payload
    )
    batch[CRC_OFFSET:ATTRIBUTES_OFFSET] = crc32c(memoryview(batch)[ATTRIBUTES_OFFSET:]).to_bytes(4, "big")
    return batch


def _write_record(out: bytearray, record: Record, offset_delta: int, timestamp_delta: int) -> None:
    if not INT64_MIN <= timestamp_delta <= INT64_MAX:
        raise ValueError(f"timestamp {record.timestamp} is too far from the first of the batch")
    body = bytearray((record.attributes,))
    write_varint(body, timestamp_delta)
    write_varint(body, offset_delta)
    _write_bytes(body, record.key)
    _write_bytes(body, record.value)
    write_varint(body, len(record.headers))
    for key, value in record.headers:
        _write_bytes(body, key.encode("utf-8", "surrogateescape"))
        _write_bytes(body, value)
    write_varint(out, len(body))
    out += body


def _write_bytes(out: bytearray, content: bytes | None) -> None:
    if content is None:
        write_varint(out, -1)
    else:
        write_varint(out, len(content))
        out += content


def recompress(batch: ReadableBuffer, codec: Codec, level: int | None = None) -> bytearray:
    """Return the batch with its records compressed by ``codec``; everything else stays as it is but size and CRC.

    Raises BatchCorrupt when the records cannot be decompressed, RecordsTooLarge (one of them) when they are too many.
    """
    header = read_header(batch)
    records = decompress(header.codec, memoryview(batch)[BATCH_OVERHEAD : header.size_bytes])
    body = compress(codec, records, level)
    changed = header._replace(
        batch_length=BATCH_OVERHEAD - LOG_OVERHEAD + len(body), attributes=header.attributes & ~CODEC_MASK | codec
    )
    covered = (HEADER.pack(*changed) + body)[ATTRIBUTES_OFFSET:]
    return bytearray(HEADER.pack(*changed._replace(crc=crc32c(covered))) + body)
