"""How many files are open and how much of them is mapped, kept within the limits of the process."""

import logging
import resource
import sys
from typing import TYPE_CHECKING, Protocol, TypeVar
from weakref import finalize

if TYPE_CHECKING:
    from .mapped_file import MappedFile

logger = logging.getLogger(__name__)

_OPEN_MAX = 16_384
# One file is written while another is read.
_OPEN_MIN = 2
# A map takes a descriptor of its own before Python 3.13.
DESCRIPTORS_PER_FILE = 1 if sys.version_info >= (3, 13) else 2
# What the broker itself has open: the catalog, the journal, listeners, the event loop, the cleaner's pipes, and the
# small files that come and go.
DESCRIPTORS_RESERVED = 24
# Below that there are too few for two files and some clients.
DESCRIPTORS_MIN = 32
_ADDRESSES_32_BIT = 2 * 2**30


class Map(Protocol):
    """Mapped bytes of a file, for as long as a view shows them."""

    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...


AnyMap = TypeVar("AnyMap", bound=Map)


class FilePool:
    """Bounds the open files to ``limit`` and their maps to ``map_bytes_max``.

    A file closes when the pool has come past it twice and nothing has used it in between.
    A pool belongs to one thread at a time. Another thread opens a file by its name for itself.
    """

    def __init__(self, limit: int | None = None, map_bytes_max: int | None = None) -> None:
        """``limit``: by default half of the descriptors; ``map_bytes_max``: by default a quarter of the address space
        where that is limited. Connections take the rest of the descriptors, see ``descriptors_for_connections``."""
        self.limit = limit or _files_max()
        self._map_bytes_max = _map_bytes_max() if map_bytes_max is None else map_bytes_max
        self._open: dict[MappedFile, None] = {}
        # By the maps' ids. Maps of closed files are among them as long as an answer that is being sent shows them.
        self._lengths: dict[int, int] = {}
        self._has_told = False

    def __len__(self) -> int:
        return len(self._open)

    def add(self, file: "MappedFile") -> None:
        """Take note of a file that was opened, and close another if there are too many."""
        self._open[file] = None
        while len(self._open) > self.limit:
            oldest = next(iter(self._open))
            del self._open[oldest]
            if oldest.was_used:
                oldest.was_used = False
                self._open[oldest] = None
            else:
                oldest.close()

    def remove(self, file: "MappedFile") -> None:
        """Forget a file, open or not."""
        self._open.pop(file, None)

    def has_room(self, size: int) -> bool:
        """Say whether ``size`` bytes more may be mapped; unmap the files when that makes the room."""
        if self._map_bytes_max is None:
            return True
        if size > self._map_bytes_max:
            return False
        if self.mapped_bytes + size > self._map_bytes_max:
            self.unmap()
        return self.mapped_bytes + size <= self._map_bytes_max

    @property
    def mapped_bytes(self) -> int:
        """Return how much address space the maps take."""
        return sum(list(self._lengths.values()))  # another thread may close one meanwhile

    def counted(self, mapped: AnyMap) -> AnyMap:
        """Count a map for as long as something shows it."""
        number = id(mapped)
        self._lengths[number] = len(mapped)
        finalize(mapped, self._lengths.pop, number).atexit = False
        return mapped

    def unmap(self) -> None:
        """Let go of the maps of all files; the files stay open."""
        for file in self._open:
            file.forget_map()

    def tell_once(self, text: str) -> None:
        """Log that a file cannot be mapped; what hinders one hinders all."""
        if not self._has_told:
            self._has_told = True
            logger.warning("%s", text)


def _map_bytes_max() -> int | None:
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    limits = [] if soft == resource.RLIM_INFINITY else [soft]
    if sys.maxsize < 2**32:
        limits.append(_ADDRESSES_32_BIT)
    return min(limits) // 4 if limits else None


def descriptors() -> int:
    """Return how many descriptors the process may have (``ulimit -n``), ``sys.maxsize`` for no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def descriptors_for_connections() -> int:
    """Return how many descriptors the files of partitions and the broker itself leave."""
    return max(1, descriptors() - DESCRIPTORS_RESERVED - _files_max() * DESCRIPTORS_PER_FILE)


def _files_max() -> int:
    return max(_OPEN_MIN, min((descriptors() - DESCRIPTORS_RESERVED) // 2 // DESCRIPTORS_PER_FILE, _OPEN_MAX))
