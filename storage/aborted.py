"""Which transactions were aborted: one index beside each segment, in Kafka's format (TransactionIndex, AbortedTxn).

An entry belongs to the segment that holds the marker. The file exists only where there is an entry, and each is
written before its marker: an entry without a marker is dropped by the recovery, a marker without an entry would let
aborted records through.
"""

import struct
from collections.abc import Callable, Iterator
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

    __slots__ = ("_dirty", "_entries", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: list[AbortedTransaction] | None = None
        self._dirty = False

    @property
    def entries(self) -> list[AbortedTransaction]:
        """Raises OSError, IndexCorrupt."""
        if self._entries is None:
            self._entries = read_entries(self.path)
        return self._entries

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
        """Drop the entries of markers at ``offset`` and beyond; see ``keep``. Raises OSError."""
        self.keep(lambda entry: entry.last_offset < offset)

    def keep(self, is_kept: Callable[[AbortedTransaction], bool]) -> None:
        """Drop the other entries; a file that cannot be read counts as empty. Raises OSError."""
        try:
            entries = self.entries
        except IndexCorrupt:
            entries = []
        kept = [entry for entry in entries if is_kept(entry)]
        if self.path.exists() and (kept != entries or not kept):
            files.replace(self.path, b"".join(_ENTRY.pack(_VERSION, *entry) for entry in kept))
            self._dirty = True
        self._entries = kept

    def sync(self) -> None:
        """Block until the entries are on disk; may be called from any thread. Raises OSError."""
        if self._dirty:
            self._dirty = False
            files.sync_path(self.path)


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
        if version != _VERSION or entry.last_offset <= last or entry.first_offset > entry.last_offset:
            raise IndexCorrupt(f"{path}: entry {len(entries)} does not follow the others")
        last = entry.last_offset
        entries.append(entry)
    return entries
