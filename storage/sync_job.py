"""What a flusher is asked for, and by whom."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, Protocol

from .mapped_file import MappedFile

# Called with None when it is on the disk, or with what went wrong.
Done = Callable[[Exception | None], None]


class SyncJob(NamedTuple):
    """``work`` blocks until the disk has it; then ``finish`` is called in the owner's thread, or ``fail`` with the
    disk's error.

    ``file``: the only thing that ``work`` would sync. Who does that instead calls ``fail`` before the next sync.
    """

    work: Callable[[], None]
    finish: Callable[[], None]
    fail: Callable[[OSError], Exception]
    file: MappedFile | None = None


class Syncable(Protocol):
    """What a flusher can bring to the disk."""

    def sync_job(self) -> SyncJob: ...


# Topic id and partition.
LogId = tuple[bytes, int]


class Tail(NamedTuple):
    """The last batches of a log, whole ones, from ``base_offset`` to before ``end_offset``; there may be none.

    They lie in one segment and are of one leader epoch. ``position``: where they end in their file, in bytes; 0 when
    that is not known.
    """

    key: LogId
    base_offset: int
    end_offset: int
    batches: memoryview
    position: int = 0


class Journaled(ABC):
    """A ``Syncable`` whose end can be in the journal of its data directory until it is brought to the disk itself."""

    @abstractmethod
    def tail(self) -> Tail | None:
        """Return what there is since it was last synced, or in the journal; None if it has to be synced itself."""

    @abstractmethod
    def keep(self, tail: Tail) -> None:
        """Take note that what there was at its end is on the disk with the journal."""

    @abstractmethod
    def sync_job(self) -> SyncJob:
        """As ``Syncable``."""


# Whom to tell about each; nobody may want to know.
Wanted = dict[Syncable, list[Done]]
