"""What a flusher is asked for, and by whom."""

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


# Whom to tell about each; nobody may want to know.
Wanted = dict[Syncable, list[Done]]
