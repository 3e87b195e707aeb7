"""The header of a record batch (magic 2) as a view on the bytes, and the few fields a broker changes in place.

On the hot path (produce, fetch): nothing here copies or opens the records.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from .checksum import crc32c
from .compression import Codec
from .errors import BatchCorrupt, UnknownMagic, UnsupportedCodec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer, WriteableBuffer

HEADER = struct.Struct(">qiibIhiqqqhii")
BATCH_OVERHEAD = 61  # the whole header
LOG_OVERHEAD = 12  # base offset and length: what batch_length does not count
MAGIC = 2

MAGIC_OFFSET = 16
CRC_OFFSET = 17
ATTRIBUTES_OFFSET = 21  # the CRC covers everything from here on
MAX_TIMESTAMP_OFFSET = 35

CODEC_MASK = 0x07
TIMESTAMP_TYPE_MASK = 0x08
TRANSACTIONAL_MASK = 0x10
CONTROL_MASK = 0x20
DELETE_HORIZON_MASK = 0x40

NO_SEQUENCE = -1
SEQUENCE_MASK = 0x7FFFFFFF

_BATCH_LENGTH_MIN = BATCH_OVERHEAD - LOG_OVERHEAD
_CODECS = tuple(Codec)
_PLACE = struct.Struct(">qii")
_CRC = struct.Struct(">I")
_ATTRIBUTES = struct.Struct(">h")
_MAX_TIMESTAMP = struct.Struct(">q")


class TimestampType(IntEnum):
    """Bit 3 of the attributes: who set the timestamps (KIP-32)."""

    CREATE_TIME = 0
    LOG_APPEND_TIME = 1


class BatchHeader(NamedTuple):
    """The fields in the order of the wire. Timestamps in ms since 1970; -1 stands for none, in the producer's too."""

    base_offset: int
    batch_length: int
    partition_leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records_count: int

    @property
    def size_bytes(self) -> int:
        """Of the whole batch, its header included."""
        return self.batch_length + LOG_OVERHEAD

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def last_sequence(self) -> int:
        """NO_SEQUENCE (-1) when the batch has none."""
        if self.base_sequence == NO_SEQUENCE:
            return NO_SEQUENCE
        return increment_sequence(self.base_sequence, self.last_offset_delta)

    @property
    def codec(self) -> Codec:
        """Raises UnsupportedCodec for 5 to 7."""
        try:
            return _CODECS[self.attributes & CODEC_MASK]
        except IndexError:
            raise UnsupportedCodec(f"codec {self.attributes & CODEC_MASK}") from None

    @property
    def timestamp_type(self) -> TimestampType:
        if self.attributes & TIMESTAMP_TYPE_MASK:
            return TimestampType.LOG_APPEND_TIME
        return TimestampType.CREATE_TIME

    @property
    def is_transactional(self) -> bool:
        return self.attributes & TRANSACTIONAL_MASK != 0

    @property
    def is_control(self) -> bool:
        return self.attributes & CONTROL_MASK != 0

    @property
    def delete_horizon_ms(self) -> int | None:
        """When compaction may drop the tombstones and markers in here (KIP-534); it stands in base_timestamp."""
        return self.base_timestamp if self.attributes & DELETE_HORIZON_MASK else None


def increment_sequence(sequence: int, increment: int) -> int:
    """Return the sequence ``increment`` records later; after 2147483647 comes 0."""
    return (sequence + increment) & SEQUENCE_MASK


def read_header(buf: ReadableBuffer, position: int = 0) -> BatchHeader:
    """Read the header at ``position``; the records behind it need not be there.

    Raises BatchCorrupt when fewer than 61 bytes are left or the length is shorter than a header, UnknownMagic (one of
    them) when the bytes are of another format.
    """
    try:
        header = BatchHeader(*HEADER.unpack_from(buf, position))
    except struct.error:
        raise _refusal(memoryview(buf)[position:]) from None
    if header.batch_length < _BATCH_LENGTH_MIN or header.magic != MAGIC:
        raise _refusal(memoryview(buf)[position:])
    return header


def _refusal(view: memoryview) -> BatchCorrupt:
    """Older formats have shorter messages, so the magic is looked at before the lengths."""
    if len(view) > MAGIC_OFFSET and view[MAGIC_OFFSET] != MAGIC:
        return UnknownMagic(f"magic {view[MAGIC_OFFSET]}, only {MAGIC} is known")
    if len(view) < BATCH_OVERHEAD:
        return BatchCorrupt(f"{len(view)} bytes are no batch header, which has {BATCH_OVERHEAD}")
    return BatchCorrupt("the batch length is shorter than a batch header")


def verify(buf: ReadableBuffer) -> BatchHeader:
    """Return the header of the one batch that ``buf`` is, after checking size, magic and CRC. Raises BatchCorrupt."""
    header = read_header(buf)
    view = memoryview(buf)
    if header.batch_length + LOG_OVERHEAD != len(view):
        raise BatchCorrupt(f"the batch says {header.size_bytes} bytes, there are {len(view)}")
    if crc32c(view[ATTRIBUTES_OFFSET:]) != header.crc:
        raise BatchCorrupt("the CRC of the batch does not match its bytes")
    return header


def headers(buf: ReadableBuffer, position: int = 0) -> Iterator[tuple[int, BatchHeader]]:
    """Yield (position, header) of each whole batch from ``position`` on; a batch cut short at the end is left out.

    Looks at headers only, no CRC. Raises BatchCorrupt where what follows a batch is none.
    """
    size = memoryview(buf).nbytes
    while size - position >= BATCH_OVERHEAD:
        header = read_header(buf, position)
        end = position + header.batch_length + LOG_OVERHEAD
        if end > size:
            return
        yield position, header
        position = end


def assign(buf: WriteableBuffer, position: int, header: BatchHeader, base_offset: int, leader_epoch: int) -> None:
    """Give the batch at ``position``, whose header that is, its place in the log. The CRC covers none of it."""
    _PLACE.pack_into(buf, position, base_offset, header.batch_length, leader_epoch)


def set_max_timestamp(buf: WriteableBuffer, position: int, timestamp_ms: int) -> None:
    """Say in the header of the batch at ``position`` what its latest timestamp is, and renew its CRC.

    Raises BatchCorrupt when the batch is not there as a whole.
    """
    _stamp(buf, position, timestamp_ms, 0)


def stamp_append_time(buf: WriteableBuffer, position: int, timestamp_ms: int) -> None:
    """Make ``timestamp_ms`` the timestamp of all records of the batch at ``position`` (KIP-32), and renew its CRC.

    Raises BatchCorrupt when the batch is not there as a whole.
    """
    _stamp(buf, position, timestamp_ms, TIMESTAMP_TYPE_MASK)


def _stamp(buf: WriteableBuffer, position: int, timestamp_ms: int, attributes: int) -> None:
    header = read_header(buf, position)
    view = memoryview(buf)
    end = position + header.size_bytes
    if end > len(view):
        raise BatchCorrupt(f"the batch says {header.size_bytes} bytes, there are {len(view) - position}")
    _ATTRIBUTES.pack_into(buf, position + ATTRIBUTES_OFFSET, header.attributes | attributes)
    _MAX_TIMESTAMP.pack_into(buf, position + MAX_TIMESTAMP_OFFSET, timestamp_ms)
    _CRC.pack_into(buf, position + CRC_OFFSET, crc32c(view[position + ATTRIBUTES_OFFSET : end]))
