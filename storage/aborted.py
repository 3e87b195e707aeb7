"""Which transactions were aborted: one index beside each segment, in Kafka's format (TransactionIndex, AbortedTxn).

An entry belongs to the segment that holds the marker. There need be no file where there is no entry, and each is
written before its marker: an entry without a marker is dropped by the recovery, a marker without an entry would let
aborted records through.
"""

import struct
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from . import files
from .index import IndexCorrupt

TRANSACTION_INDEX_SUFFIX = ".txnindex"
_VERSION = 0
_ENTRY = struct.Struct(">hqqqq")


class AbortedTransaction(NamedTuple):
    """``first_offset`` and ``last_offset``: of the transaction in this partition, the marker's included.

    ``last_stable_offset``: what it was once the marker was written.
    """

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


class TransactionIndex:
    """The aborted transactions of one segment, by their last offsets. Read when first needed."""

    __slots__ = ("_dirty", "_entries", "_has_new_name", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: list[AbortedTransaction] | None = None
        self._dirty = False
        self._has_new_name = False

    @property
    def entries(self) -> list[AbortedTransaction]:
        """Raises OSError, IndexCorrupt."""
        if self._entries is None:
            self._entries = read_entries(self.path)
        return self._entries

    @property
    def is_dirty(self) -> bool:
        """True when there are entries that may not be on the disk, or the name of the file."""
        return self._dirty or self._has_new_name

    def make_file(self) -> None:
        """Have a file though there is no entry, which can take the place of one that has some. Raises OSError."""
        files.write(self.path, b"")

    def append(self, aborted: AbortedTransaction) -> None:
        """Write an entry behind the others; all of it or, with OSError, none."""
        entries = self.entries
        position = len(entries) * _ENTRY.size
        opened = files.open_file(self.path, files.ENSURE)
        try:
            try:
                files.write_all(opened, _ENTRY.pack(_VERSION, *aborted), position)
            except OSError:
                files.truncate(opened, position)
                raise
        finally:
            files.close(opened)
        entries.append(aborted)
        self._dirty = True
        if not position:
            self._has_new_name = True

    @contextmanager
    def holding(self, aborted: AbortedTransaction | None) -> Iterator[None]:
        """Have the entry here while its marker is written, and take it back when that fails. Raises OSError,
        IndexCorrupt."""
        if aborted is not None:
            self.append(aborted)
        try:
            yield
        except OSError:
            if aborted is not None:
                self.truncate(aborted.last_offset)
            raise

    def truncate(self, offset: int) -> None:
        """Drop the entries of markers at ``offset`` and beyond; those before it cannot get lost by that. Raises
        OSError, IndexCorrupt."""
        entries = self.entries
        count = bisect_left(entries, offset, key=lambda entry: entry.last_offset)
        if count < len(entries):
            opened = files.open_file(self.path, files.UPDATE)
            try:
                files.truncate(opened, count * _ENTRY.size)
            finally:
                files.close(opened)
            del entries[count:]
            self._dirty = True

    def replace(self, entries: list[AbortedTransaction]) -> None:
        """Have other entries, on the disk when this returns, whatever was in the file. Raises OSError."""
        if entries or self.path.exists():
            files.replace(self.path, b"".join(_ENTRY.pack(_VERSION, *entry) for entry in entries), is_synced=True)
        self._entries = entries

    def sync(self) -> bool:
        """Block until the entries are on disk and say whether the name of the file may not be; may be called from any
        thread. Raises OSError."""
        if self._dirty:
            self._dirty = False
            try:
                files.sync_path(self.path)
            except BaseException:
                self._dirty = True
                raise
        if not self._has_new_name:
            return False
        self._has_new_name = False
        return True


def read_entries(path: Path) -> list[AbortedTransaction]:
    """Return the entries of a file, none if there is no file. Raises OSError, IndexCorrupt."""
    try:
        content = files.read(path)
    except FileNotFoundError:
        return []
    entries: list[AbortedTransaction] = []
    if len(content) % _ENTRY.size:
        raise IndexCorrupt(f"{path}: {len(content)} bytes are no whole entries")
    last = -1
    for version, *fields in _ENTRY.iter_unpack(content):
        entry = AbortedTransaction(*fields)
        if version != _VERSION or entry.last_offset <= last or entry.first_offset >= entry.last_offset:
            raise IndexCorrupt(f"{path}: entry {len(entries)} does not follow the others")
        last = entry.last_offset
        entries.append(entry)
    return entries
