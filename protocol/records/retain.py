"""Thinning out a batch, as compaction does (KIP-534; Kafka's MemoryRecords.filterTo).

What stays keeps its offset, the batch keeps its first and last offset, its sequence, its codec and who wrote it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .batch import (
    ATTRIBUTES_OFFSET,
    BATCH_OVERHEAD,
    CODEC_MASK,
    DELETE_HORIZON_MASK,
    HEADER,
    LOG_OVERHEAD,
    TIMESTAMP_TYPE_MASK,
    BatchHeader,
)
from .builder import NO_TIMESTAMP
from .checksum import crc32c
from .compression import DECOMPRESSED_BYTES_MAX, compress
from .errors import BatchCorrupt
from .record import INT64_MAX, INT64_MIN, payload
from .varint import read_varint, read_varlong, write_varint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    # Whether a record stays: its offset, its key, and whether it has a value.
    Keeps = Callable[[int, bytes | None, bool], bool]


def keyed(batch: memoryview, header: BatchHeader) -> Iterator[tuple[int, bytes | None]]:
    """Yield offset and key of each record. Raises BatchCorrupt."""
    data = payload(batch, header, DECOMPRESSED_BYTES_MAX)
    base_offset = header.base_offset
    for _, _, _, offset_delta, key, _ in _outlines(data, header):
        yield base_offset + offset_delta, key


def retain(batch: memoryview, header: BatchHeader, keeps: Keeps, delete_horizon_ms: int) -> bytes | memoryview | None:
    """Return the batch with the records that ``keeps`` wants; itself if that is all, None if it is none.

    ``delete_horizon_ms``: until when tombstones in it are to stay, unless the batch says so already.
    Raises BatchCorrupt.
    """
    data = payload(batch, header, DECOMPRESSED_BYTES_MAX)
    kept: list[tuple[int, int, int]] = []
    has_tombstone = False
    for start, end, timestamp_delta, offset_delta, key, has_value in _outlines(data, header):
        if keeps(header.base_offset + offset_delta, key, has_value):
            kept.append((start, end, timestamp_delta))
            has_tombstone = has_tombstone or not has_value
    if not kept:
        return None
    needs_horizon = has_tombstone and header.delete_horizon_ms is None
    if len(kept) == header.records_count and not needs_horizon:
        return batch
    return _rewritten(data, header, kept, delete_horizon_ms if needs_horizon else None)


def retain_marker(batch: memoryview, header: BatchHeader, delete_horizon_ms: int) -> bytes | memoryview:
    """Return a control batch that is to stay until ``delete_horizon_ms``, unless it says until when already.

    Raises BatchCorrupt.
    """
    if header.delete_horizon_ms is not None:
        return batch
    data = payload(batch, header, DECOMPRESSED_BYTES_MAX)
    kept = [(start, end, timestamp_delta) for start, end, timestamp_delta, *_ in _outlines(data, header)]
    return _rewritten(data, header, kept, delete_horizon_ms) if kept else batch


def emptied(header: BatchHeader) -> bytes:
    """Return the batch without its records: it stands for the sequence of its producer, and for its offsets."""
    attributes = header.attributes & ~(CODEC_MASK | DELETE_HORIZON_MASK)
    bare = header._replace(attributes=attributes, base_timestamp=NO_TIMESTAMP, records_count=0)
    return _sealed(bare, b"")


def _rewritten(
    data: bytes, header: BatchHeader, kept: list[tuple[int, int, int]], delete_horizon_ms: int | None
) -> bytes:
    """Write the batch with the records that are ``kept``: where each begins and ends, and its timestamp delta.

    A horizon takes the place of the base timestamp, on which all others rest.
    """
    is_stamped = bool(header.attributes & TIMESTAMP_TYPE_MASK)
    latest = header.base_timestamp + max(delta for _, _, delta in kept)
    if latest > INT64_MAX:
        raise BatchCorrupt("a timestamp does not fit 64 bits")
    changed = header._replace(
        max_timestamp=header.max_timestamp if is_stamped else max(latest, NO_TIMESTAMP), records_count=len(kept)
    )
    if delete_horizon_ms is None:
        body = b"".join(data[start:end] for start, end, _ in kept)
    else:
        body = _rebased(data, kept, 0 if is_stamped else header.base_timestamp - delete_horizon_ms)
        attributes = header.attributes | DELETE_HORIZON_MASK
        changed = changed._replace(base_timestamp=delete_horizon_ms, attributes=attributes)
    return _sealed(changed, compress(header.codec, body))


def _rebased(data: bytes, kept: list[tuple[int, int, int]], shift_ms: int) -> bytes:
    """Return the records with ``shift_ms`` added to their timestamp deltas; the rest of each is as it was."""
    out = bytearray()
    for start, end, timestamp_delta in kept:
        if not INT64_MIN <= timestamp_delta + shift_ms <= INT64_MAX:
            raise BatchCorrupt("a timestamp is too far from the delete horizon")
        _, position = read_varint(data, start)
        _, rest = read_varlong(data, position + 1)
        record = bytearray((data[position],))
        write_varint(record, timestamp_delta + shift_ms)
        record += data[rest:end]
        write_varint(out, len(record))
        out += record
    return bytes(out)


def _sealed(header: BatchHeader, body: bytes) -> bytes:
    """Return header and body with the length and the CRC that they have together."""
    header = header._replace(batch_length=BATCH_OVERHEAD - LOG_OVERHEAD + len(body))
    whole = bytearray(HEADER.pack(*header) + body)
    HEADER.pack_into(whole, 0, *header._replace(crc=crc32c(memoryview(whole)[ATTRIBUTES_OFFSET:])))
    return bytes(whole)


def _outlines(data: bytes, header: BatchHeader) -> Iterator[tuple[int, int, int, int, bytes | None, bool]]:
    """Yield of each record where it begins and ends, timestamp and offset delta, key, and whether it has a value.

    Numbers of one byte, which most are, are read in place: compaction goes through every record twice.
    """
    position = 0
    last_offset_delta = header.last_offset_delta
    try:
        for _ in range(header.records_count):
            start = position
            byte = data[position]
            length, position = (
                (byte >> 1, position + 1) if byte < 0x80 and not byte & 1 else read_varint(data, position)
            )
            end = position + length
            if length < 0 or end > len(data):
                raise BatchCorrupt(f"a record of {length} bytes, {len(data) - position} are left")
            timestamp_delta, position = read_varlong(data, position + 1)
            byte = data[position]
            offset_delta, position = (
                (byte >> 1, position + 1) if byte < 0x80 and not byte & 1 else read_varint(data, position)
            )
            if not 0 <= offset_delta <= last_offset_delta:
                raise BatchCorrupt(f"offset delta {offset_delta}, the last of the batch is {last_offset_delta}")
            byte = data[position]
            key_length, position = (
                (byte >> 1, position + 1) if byte < 0x80 and not byte & 1 else read_varint(data, position)
            )
            key = None
            if key_length >= 0:
                key = data[position : position + key_length]
                position += key_length
            if position >= end:
                raise BatchCorrupt("a key reaches behind its record")
            # A length below zero, which stands for no value, is an odd number.
            yield start, end, timestamp_delta, offset_delta, key, not data[position] & 1
            position = end
    except IndexError:
        raise BatchCorrupt("a record is cut short") from None
    if position != len(data):
        raise BatchCorrupt(f"{len(data) - position} bytes lie behind the last record")
