"""Which segments are too old or too many: ``retention.ms`` and ``retention.bytes`` (UnifiedLog.deleteOldSegments).

Whoever owns the log takes note of its extents, any thread decides by them, and the owner acts on it.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from ..protocol.records import NO_TIMESTAMP
from .segment import LOG_SUFFIX, Segment, file_name

# Clocks differ, and Kafka accepts as much by default (message.timestamp.after.max.ms).
FUTURE_MS = 3_600_000


class RetentionSettings(Protocol):
    """-1 stands for no limit."""

    @property
    def is_deleting(self) -> bool: ...
    @property
    def retention_ms(self) -> int: ...
    @property
    def retention_bytes(self) -> int: ...


class Extent(NamedTuple):
    """A segment as retention sees it. ``newest_ms``: its largest timestamp; None when its files have to be asked."""

    directory: Path
    base_offset: int
    size_bytes: int
    newest_ms: int | None


def extents_in(directory: Path) -> list[Extent]:
    """Return the segments of a log that is not open; they are what they were when it was closed. Raises OSError."""
    bases = sorted(int(path.stem) for path in directory.glob(f"*{LOG_SUFFIX}") if path.stem.isdigit())
    return [Extent(directory, base, (directory / file_name(base, LOG_SUFFIX)).stat().st_size, None) for base in bases]


def new_start(
    extents: Sequence[Extent],
    settings: RetentionSettings,
    now_ms: int,
    end_offset: int,
    on_future: Callable[[int], object] = lambda _: None,
) -> int | None:
    """Return the offset that the log may begin with, None when all of it has to stay; blocks.

    ``end_offset``: what lies there or beyond may not go, because consumers cannot have seen it. The size is looked at
    first; as in Kafka a log is not made smaller than ``retention_bytes``, and a timestamp of the future keeps its
    segment, and all behind it: ``on_future`` is called with one that is more than FUTURE_MS ahead. Raises OSError.
    """
    if not settings.is_deleting:
        return None
    surplus = sum(extent.size_bytes for extent in extents) - settings.retention_bytes
    is_old = settings.retention_bytes >= 0
    start: int | None = None
    for number, extent in enumerate(extents):
        is_last = number == len(extents) - 1
        following = end_offset if is_last else extents[number + 1].base_offset
        if following > end_offset or (is_last and not extent.size_bytes):
            break
        surplus -= extent.size_bytes
        is_old = is_old and surplus >= 0
        if not is_old:
            newest = newest_ms(extent) if settings.retention_ms >= 0 else None
            if newest is not None and newest > now_ms + FUTURE_MS:
                on_future(newest)
            if newest is None or now_ms - newest <= settings.retention_ms:
                break
        start = following
    return start


def newest_ms(extent: Extent) -> int:
    """Return the largest timestamp in a segment; when it was last written to, if it has none (LogSegment); blocks.

    Raises OSError.
    """
    found = extent.newest_ms
    if found is None:
        with _opened(extent) as segment:
            segment.ensure_indexes()
            found = segment.max_timestamp
    if found == NO_TIMESTAMP:
        return int(os.stat(extent.directory / file_name(extent.base_offset, LOG_SUFFIX)).st_mtime * 1000)
    return found


def first_timestamp_ms(extent: Extent) -> int:
    """Return the max timestamp of a segment's first batch, -1 when it has none; blocks. Raises OSError."""
    with _opened(extent) as segment:
        return next((header.max_timestamp for _, header in segment.headers(0)), NO_TIMESTAMP)


@contextmanager
def _opened(extent: Extent) -> Iterator[Segment]:
    """A segment that belongs to nobody else."""
    segment = Segment(extent.directory, extent.base_offset, 0)
    try:
        yield segment
    finally:
        segment.close()
