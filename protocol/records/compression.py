"""The codecs of a batch. Libraries are imported on first use: most batches pass a broker unopened.

cramjam does all codecs but gzip. It has wheels for every Python and C library that Barnabas runs on, unlike lz4 and
zstandard.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING

from .errors import BatchCorrupt, RecordsTooLarge, UnsupportedCodec

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import ReadableBuffer

# A batch has at most max.message.bytes (1 MiB by default) and real records shrink 2 to 50 times, so 256 MiB is far
# above any honest batch, and still an amount of memory that a broker has for a moment.
DECOMPRESSED_BYTES_MAX = 256 * 2**20

# Input goes to zlib in steps, and the sum is checked after each. A step grows at most to 1 MiB (1032:1), so a bomb
# overshoots the limit by that much.
STEP_BYTES = 1024

# lz4 and zstd write into a buffer. The first buffer has room for a common ratio, the next ones for rare ratios.
ROOM_BYTES_MIN = 64 * 1024
ROOM_RATIO = 4
ROOM_GROWTH = 8
NO_ROOM = "failed to write whole buffer"  # the words of the library for a buffer that is full

# The header of org.xerial.snappy.SnappyOutputStream: magic, version 1, readable by version 1.
XERIAL_MAGIC = b"\x82SNAPPY\x00"
XERIAL_HEADER = XERIAL_MAGIC + struct.pack(">ii", 1, 1)
XERIAL_BLOCK_BYTES = 32 * 1024  # the block size that Java writes
_BLOCK_LENGTH = struct.Struct(">i")

LZ4_LEVEL_DEFAULT = 9
# Magic; version 1, independent blocks, no checksums, no size; blocks of at most 64 KiB; checksum of the header.
LZ4_HEADER = b"\x04\x22\x4d\x18\x60\x40\x82"
LZ4_BLOCK_CHECKSUM = 0x10  # in the flags
LZ4_STORED = 0x8000_0000  # in the length of a block that is not compressed
_LZ4_LENGTH = struct.Struct("<I")


class Codec(IntEnum):
    """Bits 0 to 2 of the attributes of a batch."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


def compress(codec: Codec, data: ReadableBuffer, level: int | None = None) -> bytes:
    """Return ``data`` as one payload of ``codec`` that Kafka's Java clients read.

    ``level``: as in ``compression.gzip.level`` and so on (KIP-390); None is Kafka's default. Snappy has no levels.
    """
    match codec:
        case Codec.NONE:
            return bytes(data)
        case Codec.GZIP:
            import zlib

            return zlib.compress(data, -1 if level is None else level, wbits=31)
        case Codec.SNAPPY:
            return _xerial(memoryview(data))
        case Codec.LZ4:
            return _lz4_frame(data, level)
        case Codec.ZSTD:
            from cramjam import zstd

            return bytes(zstd.compress(data, 3 if level is None else level))
        case _:
            raise UnsupportedCodec(f"codec {codec}")


def decompress(codec: Codec, data: ReadableBuffer, max_bytes: int = DECOMPRESSED_BYTES_MAX) -> bytes:
    """Return what ``data`` holds: for gzip, lz4 and zstd that may be several members or frames in a row.

    ``max_bytes``: limit of the result; a bomb is stopped while it expands, not afterwards.
    Raises RecordsTooLarge above the limit, BatchCorrupt for whatever the library refuses and for a payload cut short.
    """
    view = memoryview(data)
    match codec:
        case Codec.NONE:
            if len(view) > max_bytes:
                raise RecordsTooLarge(f"{len(view)} bytes of records, the limit is {max_bytes}")
            return bytes(view)
        case Codec.GZIP:
            return _gunzip(view, max_bytes)
        case Codec.SNAPPY:
            return _unsnappy(view, max_bytes)
        case Codec.LZ4:
            from cramjam import lz4

            return _into_buffer(lz4.decompress_into, view, max_bytes)
        case Codec.ZSTD:
            from cramjam import zstd

            return _into_buffer(zstd.decompress_into, view, max_bytes)
        case _:
            raise UnsupportedCodec(f"codec {codec}")


def _gunzip(data: memoryview, max_bytes: int) -> bytes:
    """Decompress member after member. Steps are small: the bytes that a step leaves are cheap to read again."""
    import zlib

    pieces: list[bytes] = []
    room = max_bytes
    position = 0
    try:
        member = zlib.decompressobj(wbits=31)
        while position < len(data):
            if member.eof:
                member = zlib.decompressobj(wbits=31)
            step = data[position : position + STEP_BYTES]
            piece = member.decompress(step)
            pieces.append(piece)
            room -= len(piece)
            if room < 0:
                break
            position += len(step) - len(member.unused_data)
    except zlib.error as error:
        raise BatchCorrupt(f"the records do not decompress: {error}") from error
    if room < 0:
        raise RecordsTooLarge(f"the records decompress to more than {max_bytes} bytes")
    if not member.eof:
        raise BatchCorrupt("the compressed records are cut short")
    return b"".join(pieces)


def _into_buffer(decompress_into: Callable[[memoryview, bytearray], int], data: memoryview, max_bytes: int) -> bytes:
    """Decompress all frames of ``data`` into a buffer, and into a larger one while they do not fit."""
    from cramjam import DecompressionError

    room = min(max_bytes, ROOM_BYTES_MIN + ROOM_RATIO * len(data))
    while True:
        buffer = bytearray(room)
        try:
            size = decompress_into(data, buffer)
        except DecompressionError as error:
            if NO_ROOM not in str(error):
                raise BatchCorrupt(f"the records do not decompress: {error}") from error
        else:
            return bytes(memoryview(buffer)[:size])
        if room == max_bytes:
            raise RecordsTooLarge(f"the records decompress to more than {max_bytes} bytes")
        room = min(max_bytes, room * ROOM_GROWTH)


def _lz4_frame(data: ReadableBuffer, level: int | None) -> bytes:
    """Return a frame as Java writes it: independent blocks, without the checksums that the library gives blocks."""
    from cramjam import lz4

    # Kafka's default level, 9, means its fast compressor, which is 0 here. Java reads no linked blocks.
    fast = level is None or level == LZ4_LEVEL_DEFAULT
    compressor = lz4.Compressor(level=0 if fast else level, content_checksum=False, block_linked=False)
    compressor.compress(bytes(data))
    frame = memoryview(compressor.finish())
    checksum_bytes = 4 if frame[4] & LZ4_BLOCK_CHECKSUM else 0
    pieces: list[ReadableBuffer] = [LZ4_HEADER]
    position = len(LZ4_HEADER)
    while length := _LZ4_LENGTH.unpack_from(frame, position)[0] & ~LZ4_STORED:
        end = position + _LZ4_LENGTH.size + length
        pieces.append(frame[position:end])
        position = end + checksum_bytes
    pieces.append(frame[position:])
    return b"".join(pieces)


def _xerial(data: memoryview) -> bytes:
    from cramjam import snappy

    pieces = [XERIAL_HEADER]
    for start in range(0, len(data), XERIAL_BLOCK_BYTES):
        block = bytes(snappy.compress_raw(data[start : start + XERIAL_BLOCK_BYTES]))
        pieces += (_BLOCK_LENGTH.pack(len(block)), block)
    return b"".join(pieces)


def _unsnappy(data: memoryview, max_bytes: int) -> bytes:
    """Read either framing. No raw payload begins like the magic: it would copy from before its own start."""
    if data[: len(XERIAL_MAGIC)] != XERIAL_MAGIC:
        return _unsnappy_block(data, max_bytes)
    # The two version numbers are not looked at: there is one version, and some clients write them little-endian.
    pieces: list[bytes] = []
    room = max_bytes
    position = len(XERIAL_HEADER)
    if len(data) < position:
        raise BatchCorrupt("the snappy header is cut short")
    while position < len(data):
        if len(data) - position < _BLOCK_LENGTH.size:
            raise BatchCorrupt("the length of a snappy block is cut short")
        (length,) = _BLOCK_LENGTH.unpack_from(data, position)
        position += _BLOCK_LENGTH.size
        if not 0 <= length <= len(data) - position:
            raise BatchCorrupt(f"a snappy block of {length} bytes, {len(data) - position} are left")
        pieces.append(_unsnappy_block(data[position : position + length], room))
        room -= len(pieces[-1])
        position += length
    return b"".join(pieces)


def _unsnappy_block(block: memoryview, max_bytes: int) -> bytes:
    """A raw block declares its size in front, and the library writes neither more nor less than that."""
    from cramjam import snappy

    try:
        declared = snappy.decompress_raw_len(block)
        if declared <= max_bytes:
            return bytes(snappy.decompress_raw(block))
    except Exception as error:
        raise BatchCorrupt(f"the records do not decompress: {error}") from error
    raise RecordsTooLarge(f"the records decompress to {declared} bytes, {max_bytes} are left of the limit")
