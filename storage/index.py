"""The sparse indexes beside a segment, in Kafka's formats (OffsetIndex, TimeIndex).

Offset index: int32 last offset of a batch relative to the segment's base offset, int32 position of that batch.
Time index: int64 largest timestamp so far, int32 relative offset of (the last record of) its batch.
Both live in memory as arrays and are written out in whole when their segment is rolled, checkpointed or closed.
"""

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from . import files

OFFSET_ENTRY_BYTES = 8
TIME_ENTRY_BYTES = 12
RELATIVE_OFFSET_MAX = 2**31 - 1


class IndexCorrupt(Exception):
    """The file is not an index of this segment; it can be rebuilt from the segment."""


class OffsetIndex:
    """Where in the segment to begin looking for an offset."""

    __slots__ = ("offsets", "positions")

    def __init__(self) -> None:
        self.offsets = array("i")
        self.positions = array("i")

    def append(self, relative_offset: int, position: int) -> None:
        self.offsets.append(relative_offset)
        self.positions.append(position)

    def count_up_to_offset(self, relative_offset: int) -> int:
        """Return how many entries are for batches that end at or before ``relative_offset``."""
        return bisect_right(self.offsets, relative_offset)

    def count_up_to_position(self, position: int) -> int:
        """Return how many entries are for batches that begin at or before ``position``."""
        return bisect_right(self.positions, position)

    def truncate(self, position: int) -> None:
        """Drop the entries for batches at ``position`` and beyond."""
        at = bisect_left(self.positions, position)
        del self.offsets[at:]
        del self.positions[at:]

    def encode(self) -> bytes:
        count = len(self.positions)  # another thread may be appending
        pairs = array("i", bytes(OFFSET_ENTRY_BYTES * count))
        pairs[0::2] = self.offsets[:count]
        pairs[1::2] = self.positions[:count]
        if sys.byteorder == "little":
            pairs.byteswap()
        return pairs.tobytes()

    @classmethod
    def load(cls, path: Path, segment_bytes: int) -> "OffsetIndex":
        """Read an index file; zeros at its end are Kafka's preallocation. Raises IndexCorrupt, OSError."""
        pairs = array("i")
        content = files.read(path)
        pairs.frombytes(content[: len(content) // OFFSET_ENTRY_BYTES * OFFSET_ENTRY_BYTES])
        if sys.byteorder == "little":
            pairs.byteswap()
        index = cls()
        offsets, positions = pairs[0::2], pairs[1::2]
        while positions and not positions[-1]:
            positions.pop()
            offsets.pop()
        if not _rises(offsets) or not _rises(positions) or (positions and positions[-1] >= segment_bytes):
            raise IndexCorrupt(f"{path} is not an index of its segment")
        index.offsets, index.positions = offsets, positions
        return index


class TimeEntry(NamedTuple):
    timestamp: int
    relative_offset: int


class TimeIndex:
    """From which offset on to look for a timestamp."""

    __slots__ = ("offsets", "timestamps")

    def __init__(self) -> None:
        self.timestamps = array("q")
        self.offsets = array("i")

    def append(self, timestamp: int, relative_offset: int) -> None:
        """Add an entry unless the timestamp is -1 or does not go beyond the last one (Kafka's maybeAppend)."""
        if timestamp > (self.timestamps[-1] if self.timestamps else -1):
            self.timestamps.append(timestamp)
            self.offsets.append(relative_offset)

    def before(self, timestamp: int) -> Iterator[TimeEntry]:
        """Yield the entries whose timestamp is smaller, from the latest on: nothing before their offset is later."""
        for at in range(bisect_left(self.timestamps, timestamp) - 1, -1, -1):
            yield TimeEntry(self.timestamps[at], self.offsets[at])

    def last(self) -> TimeEntry | None:
        return TimeEntry(self.timestamps[-1], self.offsets[-1]) if self.timestamps else None

    def truncate(self, relative_offset: int) -> None:
        """Drop the entries for ``relative_offset`` and beyond."""
        at = bisect_left(self.offsets, relative_offset)
        del self.offsets[at:]
        del self.timestamps[at:]

    def encode(self) -> bytes:
        out = bytearray()
        count = len(self.offsets)  # another thread may be appending
        for timestamp, offset in zip(self.timestamps[:count], self.offsets[:count], strict=True):
            out += timestamp.to_bytes(8, "big", signed=True) + offset.to_bytes(4, "big")
        return bytes(out)

    @classmethod
    def load(cls, path: Path) -> "TimeIndex":
        """Read an index file; zeros at its end are Kafka's preallocation. Raises IndexCorrupt, OSError."""
        content = files.read(path)
        index = cls()
        for at in range(0, len(content) - TIME_ENTRY_BYTES + 1, TIME_ENTRY_BYTES):
            timestamp = int.from_bytes(content[at : at + 8], "big", signed=True)
            offset = int.from_bytes(content[at + 8 : at + 12], "big", signed=True)
            if at and not timestamp and not offset:
                break
            index.timestamps.append(timestamp)
            index.offsets.append(offset)
        if not _rises(index.timestamps) or any(a > b for a, b in pairwise(index.offsets)):
            raise IndexCorrupt(f"{path} is not a time index")
        return index


def _rises(values: "array[int]") -> bool:
    return all(a < b for a, b in pairwise(values)) and (not values or values[0] >= 0)
