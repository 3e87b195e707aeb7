"""A file that is written by its descriptor and read through a map, and the pool that bounds how many are open."""

import mmap
import os
import resource
import threading
from collections.abc import Callable
from contextlib import suppress

from . import files

# Only Linux can be asked whether a read would wait; elsewhere the answer is always no.
_NO_WAIT = getattr(os, "RWF_NOWAIT", 0)
_OPEN_MAX, _OPEN_MIN = 16_384, 64
# Held for as long as it takes to say which descriptor is being synced, or is to be closed.
_claiming = threading.Lock()


class FilePool:
    """Bounds the open files to ``limit``: which are closed were not used since they came up for it before.

    A pool belongs to one thread at a time. Others that need a file open it for themselves, by its name.
    """

    def __init__(self, limit: int | None = None) -> None:
        """``limit``: by default what leaves half of the descriptors to connections, as each file takes two."""
        self.limit = limit or _limit()
        self._open: dict[MappedFile, None] = {}

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


def _limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _OPEN_MAX if soft == resource.RLIM_INFINITY else max(_OPEN_MIN, min(soft // 4, _OPEN_MAX))


class MappedFile:
    """A file of a segment, opened when it is first needed and again after the pool has closed it.

    The map is made as large as the file may become and the file is as large as it is: nothing is ever stored through
    the map, so a full disk is an error and not a signal. ``path`` tells the file's name at present.
    """

    __slots__ = ("_fd", "_map", "_map_bytes", "_mode", "_path", "_pool", "_syncing_fd", "was_used")

    def __init__(self, path: Callable[[], str], pool: FilePool | None) -> None:
        """``pool``: None for somebody who only reads, and closes what he opens."""
        self._path = path
        self._pool = pool
        self._mode = files.READ if pool is None else files.UPDATE
        self._fd = self._syncing_fd = -1
        self._map: mmap.mmap | None = None
        self._map_bytes = 0
        self.was_used = False

    @property
    def fd(self) -> int:
        """The descriptor, for use before any other file is opened. Raises OSError."""
        if self._fd < 0:
            self._fd = files.open_file(self._path(), self._mode)
            self.was_used = True
            if self._pool is not None:
                self._pool.add(self)
        self.was_used = True
        return self._fd

    @property
    def descriptor(self) -> int:
        """The descriptor, -1 while the file is closed."""
        return self._fd

    def view(self, start: int, end: int, capacity: int) -> memoryview:
        """Return the bytes from ``start`` to ``end``, not copied; they stay when the file is closed or removed.

        ``capacity``: how large the file may become, so that a growing one is mapped once. Raises OSError.
        """
        if self._map is None or end > self._map_bytes:
            if not end:
                return memoryview(b"")
            self._remap(max(capacity, end))
        assert self._map is not None
        self.was_used = True
        return memoryview(self._map)[start:end]

    def _remap(self, capacity: int) -> None:
        # mmap() itself does not mind a file that is shorter than the map, Python's wrapper does: so the file is made
        # as long for a moment. It stays sparse, and recovery cuts the zeros off if the process dies in between.
        size = os.fstat(self.fd).st_size
        if size < capacity:
            files.truncate(self.fd, capacity)
        try:
            self._map = mmap.mmap(self.fd, capacity, access=mmap.ACCESS_READ)
            self._map_bytes = capacity
        finally:
            if size < capacity:
                files.truncate(self.fd, size)

    def sync(self) -> None:
        """Bring the content to the disk; blocks. May be called from any thread, from one at a time. Raises OSError.

        The descriptor that was written by is also the one that is told of errors since.
        """
        with _claiming:
            fd = self._syncing_fd = self._fd
        if fd < 0:
            files.sync_path(self._path())
            return
        try:
            files.sync(fd)
        finally:
            with _claiming:
                self._syncing_fd = -1
                was_closed = self._fd != fd
            if was_closed:
                files.close(fd)

    def forget_map(self) -> None:
        """Have the file mapped anew when it is read next: it was cut."""
        self._map = None

    def is_resident(self, position: int) -> bool:
        """Say whether the page at ``position`` is in memory, so that reading it does not wait for the disk."""
        try:
            os.preadv(self.fd, [bytearray(1)], position, _NO_WAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True  # the file system cannot say
        return True

    def join_pool(self, pool: FilePool) -> None:
        """Be closed by a pool from now on, when others are used more."""
        self._pool = pool
        if self._fd >= 0:
            pool.add(self)

    def leave_pool(self) -> None:
        """Belong to nobody but the caller from now on, who may be another thread than the pool's."""
        if self._pool is not None:
            self._pool.remove(self)
            self._pool = None

    def close(self) -> None:
        """Let go of the file; views that are still being sent keep their map."""
        if self._pool is not None:
            self._pool.remove(self)
        with _claiming:
            fd, self._fd = self._fd, -1
            is_syncing = fd == self._syncing_fd
        if fd >= 0 and not is_syncing:
            files.close(fd)
        unused, self._map = self._map, None
        if unused is not None:
            with suppress(BufferError):  # it goes with the last view of it
                unused.close()
