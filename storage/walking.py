"""Going from batch to batch in a segment by their headers, some bytes of it at a time."""

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..protocol.records import BATCH_OVERHEAD, LOG_OVERHEAD, BatchCorrupt, BatchHeader, read_header
from .errors import LogCorrupt
from .index import RELATIVE_OFFSET_MAX

if TYPE_CHECKING:
    from .segment import Segment

# Base offset, length, last offset delta: enough to step from batch to batch.
STEP = struct.Struct(">qi11xi")
# A little more than lies between two index entries.
_WINDOW_BYTES = 8 * 2**10


def headers(segment: "Segment", position: int) -> Iterator[tuple[int, BatchHeader]]:
    """See ``Segment.headers``."""
    while position + BATCH_OVERHEAD <= segment.size:
        window = _window(segment, position)
        at, last_at = 0, len(window) - BATCH_OVERHEAD
        while at <= last_at:
            try:
                header = read_header(window, at)
            except BatchCorrupt:
                return
            if position + at + header.size_bytes > segment.size:
                return
            if not 0 <= header.last_offset - segment.base_offset <= RELATIVE_OFFSET_MAX:
                return
            yield position + at, header
            at += header.size_bytes
        position += at


def steps(segment: "Segment", position: int) -> Iterator[tuple[int, int, int]]:
    """Yield the position, the size in bytes and the last offset of each batch from ``position`` on.

    Raises LogCorrupt where no whole batch is, OSError.
    """
    end = segment.size
    while position < end:
        window = _window(segment, position)
        at, last_at = 0, len(window) - STEP.size
        while at <= last_at:
            base_offset, length, delta = STEP.unpack_from(window, at)
            size = length + LOG_OVERHEAD
            if size < BATCH_OVERHEAD or position + at + size > end:
                raise no_batch(segment, position + at)
            yield position + at, size, base_offset + delta
            at += size
        if not at:
            raise no_batch(segment, position)
        position += at


def no_batch(segment: "Segment", position: int) -> LogCorrupt:
    """Return the error for a position where no whole batch lies."""
    return LogCorrupt(f"{segment.log_name()}: no batch at position {position}")


def _window(segment: "Segment", position: int) -> memoryview:
    """Return the header at ``position`` and the batches behind it, as far as they are small."""
    return segment.view(position, min(position + _WINDOW_BYTES, segment.size))
