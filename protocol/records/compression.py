"""The codecs of a batch. Libraries are imported on first use: most batches pass a broker unopened."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from .errors import BatchCorrupt, RecordsTooLarge, UnsupportedCodec

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import ReadableBuffer

# A batch has at most max.message.bytes (1 MiB by default) and real records shrink 2 to 50 times, so 256 MiB is far
# above any honest batch, and still an amount of memory that a broker has for a moment.
DECOMPRESSED_BYTES_MAX = 256 * 2**20

# Input goes to a decompressor in steps, and the sum is checked after each. A step grows at most to 1 MiB (gzip,
# 1032:1), 4 MiB (one block of lz4) or 32 MiB (zstd: 4 bytes may stand for a block of 128 KiB): a bomb overshoots by
# that much. (For zstd comes its window, which the library refuses above 128 MiB.)
STEP_BYTES = 1024

# The header of org.xerial.snappy.SnappyOutputStream: magic, version 1, readable by version 1.
XERIAL_MAGIC = b"\x82SNAPPY\x00"
XERIAL_HEADER = XERIAL_MAGIC + struct.pack(">ii", 1, 1)
XERIAL_BLOCK_BYTES = 32 * 1024  # the block size that Java writes
_BLOCK_LENGTH = struct.Struct(">i")

LZ4_LEVEL_DEFAULT = 9


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
            import lz4.frame

            # Kafka's default level, 9, means its fast compressor, which is 0 here. Java reads no linked blocks.
            fast = level is None or level == LZ4_LEVEL_DEFAULT
            frame: bytes = lz4.frame.compress(
                data, compression_level=0 if fast else level, block_linked=False, store_size=False
            )
            return frame
        case Codec.ZSTD:
            import zstandard

            return zstandard.ZstdCompressor(level=3 if level is None else level).compress(memoryview(data))
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
            import zlib

            return _frames(lambda: zlib.decompressobj(wbits=31), view, max_bytes)
        case Codec.SNAPPY:
            return _unsnappy(view, max_bytes)
        case Codec.LZ4:
            import lz4.frame

            return _frames(lz4.frame.LZ4FrameDecompressor, view, max_bytes)
        case Codec.ZSTD:
            import zstandard

            return _frames(zstandard.ZstdDecompressor().decompressobj, view, max_bytes)
        case _:
            raise UnsupportedCodec(f"codec {codec}")


class _Frame(Protocol):
    """What the decompressors of zlib, lz4 and zstandard have in common; each reads one member or frame."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes | None: ...

    def decompress(self, data: memoryview, /) -> bytes: ...


def _frames(new: Callable[[], _Frame], data: memoryview, max_bytes: int) -> bytes:
    """Decompress frame after frame. Steps are small, so that what a step leaves unused is cheap to read again."""
    pieces: list[bytes] = []
    room = max_bytes
    position = 0
    try:
        frame = new()
        while position < len(data):
            if frame.eof:
                frame = new()
            step = data[position : position + STEP_BYTES]
            piece = frame.decompress(step)
            pieces.append(piece)
            room -= len(piece)
            if room < 0:
                break
            position += len(step) - (len(frame.unused_data or b"") if frame.eof else 0)
        complete = frame.eof
    except Exception as error:  # every library has its own, lz4 raises plain RuntimeError
        raise BatchCorrupt(f"the records do not decompress: {error}") from error
    if room < 0:
        raise RecordsTooLarge(f"the records decompress to more than {max_bytes} bytes")
    if not complete:
        raise BatchCorrupt("the compressed records are cut short")
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
