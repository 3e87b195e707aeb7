"""The indexes beside a segment: offsets, timestamps and aborted transactions, see ``index`` and ``aborted``."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from ..aborted import AbortedTransaction
from .entries import OffsetEntry, Preallocated, Problem, TimeEntry
from .reader import Reader
from .segments import Found, is_sound, walk

_OFFSET_ENTRY = struct.Struct(">ii")
_TIME_ENTRY = struct.Struct(">qi")
_ABORTED_ENTRY = struct.Struct(">hqqqq")
_ABORTED_VERSION = 0


class _Row(NamedTuple):
    position: int
    fields: tuple[int, ...]


class LogBeside:
    """The segment that an index is compared with: walked once, because the entries of an index rise as it does."""

    def __init__(self, reader: Reader, base_offset: int) -> None:
        self.base_offset = base_offset
        self._walk = walk(reader, 0)
        self._current: Found | None = None
        self._step()

    def _step(self) -> None:
        found = next(self._walk, None)
        self._current = found if isinstance(found, Found) else None

    def objection_to_offset(self, relative_offset: int, position: int) -> str:
        """Return what is wrong with an entry of the offset index, empty for nothing. Raises OSError."""
        while self._current is not None and self._current.position < position:
            self._step()
        if self._current is None or self._current.position != position:
            return f"no batch begins at position {position} of the segment"
        last_offset = self._current.header.last_offset
        if last_offset != self.base_offset + relative_offset:
            return f"the batch at position {position} ends with offset {last_offset}"
        return ""

    def objection_to_time(self, timestamp: int, relative_offset: int) -> str:
        """Return what is wrong with an entry of the time index, empty for nothing. Raises OSError."""
        offset = self.base_offset + relative_offset
        while self._current is not None and self._current.header.last_offset < offset:
            self._step()
        if self._current is None or self._current.header.base_offset > offset:
            return f"no batch of the segment has offset {offset}"
        max_timestamp = self._current.header.max_timestamp
        if max_timestamp != timestamp:
            return f"the max timestamp of the batch with offset {offset} is {max_timestamp}"
        return ""


def offset_index_entries(
    reader: Reader, base_offset: int | None, log: LogBeside | None
) -> Iterator[OffsetEntry | Problem | Preallocated]:
    """Yield the entries, compared with ``log`` if there is one. Raises OSError."""
    last_offset = last_position = -1
    for row in _rows(reader, _OFFSET_ENTRY):
        if not isinstance(row, _Row):
            yield row
            continue
        relative_offset, position = row.fields
        yield OffsetEntry(relative_offset, _absolute(base_offset, relative_offset), position)
        if relative_offset <= last_offset or position <= last_position:
            yield Problem(row.position, f"the entries do not rise above {last_offset} at position {last_position}")
            continue
        last_offset, last_position = relative_offset, position
        if log is not None and (reason := log.objection_to_offset(relative_offset, position)):
            yield Problem(row.position, reason)


def time_index_entries(
    reader: Reader, base_offset: int | None, log: LogBeside | None
) -> Iterator[TimeEntry | Problem | Preallocated]:
    """Yield the entries, compared with ``log`` if there is one. Raises OSError."""
    last_timestamp = last_offset = -1
    for row in _rows(reader, _TIME_ENTRY):
        if not isinstance(row, _Row):
            yield row
            continue
        timestamp, relative_offset = row.fields
        yield TimeEntry(timestamp, relative_offset, _absolute(base_offset, relative_offset))
        if timestamp <= last_timestamp or relative_offset < max(0, last_offset):
            yield Problem(row.position, f"the entries do not rise above timestamp {last_timestamp} for {last_offset}")
            continue
        last_timestamp, last_offset = timestamp, relative_offset
        if log is not None and (reason := log.objection_to_time(timestamp, relative_offset)):
            yield Problem(row.position, reason)


def aborted_entries(reader: Reader) -> Iterator[AbortedTransaction | Problem | Preallocated]:
    """Yield the aborted transactions of a segment. Raises OSError."""
    last = -1
    for row in _rows(reader, _ABORTED_ENTRY, is_preallocated=False):
        if not isinstance(row, _Row):
            yield row
            continue
        version, *fields = row.fields
        entry = AbortedTransaction(*fields)
        yield entry
        if version != _ABORTED_VERSION:
            yield Problem(row.position, f"the entry has version {version}, only {_ABORTED_VERSION} is known")
        if entry.first_offset > entry.last_offset:
            yield Problem(row.position, "the transaction ends before it begins")
        if entry.last_offset <= last:
            yield Problem(row.position, f"the entries do not rise above last offset {last}")
        last = max(last, entry.last_offset)


def place_before(index: Reader, log: Reader, base_offset: int, offset: int) -> int:
    """Return the position of a batch that lies at or before ``offset``, 0 when the index knows none.

    What the index says counts only if a batch lies there whose CRC is right and which does not begin behind
    ``offset``: a wrong entry would hide batches. Raises OSError.
    """
    low, high = 0, index.size_bytes // _OFFSET_ENTRY.size
    position = 0
    while low < high:
        middle = (low + high) // 2
        entry = index.read(middle * _OFFSET_ENTRY.size, _OFFSET_ENTRY.size)
        relative_offset, indexed = _OFFSET_ENTRY.unpack(entry.ljust(_OFFSET_ENTRY.size, b"\0"))
        if indexed <= 0 or base_offset + relative_offset > offset:  # zeros are room for entries that may come
            high = middle
        else:
            low, position = middle + 1, indexed
    found = next(walk(log, position), None) if position else None
    is_right = isinstance(found, Found) and found.header.base_offset <= offset and is_sound(log, found)
    return position if is_right else 0


def _absolute(base_offset: int | None, relative_offset: int) -> int | None:
    return None if base_offset is None else base_offset + relative_offset


def _rows(
    reader: Reader, layout: struct.Struct, is_preallocated: bool = True
) -> Iterator[_Row | Problem | Preallocated]:
    """Yield entry after entry. ``is_preallocated``: zeros at the end are room for entries that may come."""
    zeros = bytes(layout.size)
    position = nonzero = 0
    while len(entry := reader.read(position, layout.size)) == layout.size:
        # A file with one entry of zeros is a time index whose only timestamp is 0; nobody makes room for one entry.
        if is_preallocated and entry == zeros and position >= nonzero and reader.look() != layout.size:
            found = reader.nonzero_from(position)
            if found is None:
                yield Preallocated(position, reader.look() - position)
                return
            nonzero = found
        yield _Row(position, layout.unpack(entry))
        position += layout.size
    if entry:
        yield Problem(position, f"the last {len(entry)} bytes are no whole entry", len(entry))
