"""A file that is written by its descriptor and read through a map of what is there, or else by copies."""

import errno
import mmap
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from . import files
from .file_pool import FilePool, Map

# Only Linux can be asked whether a read would wait; elsewhere the answer is always no.
_NO_WAIT = getattr(os, "RWF_NOWAIT", 0)
# How much of a file is copied at a time that cannot be mapped, except for a batch that is larger.
COPIED_BYTES_MAX = 64 * 2**10
# The map of a growing file has room for as much as there is, within these limits; more would waste address space.
_AHEAD_BYTES_MIN, _AHEAD_BYTES_MAX = 2**18, 2**24
# How many reads copy from a file that could not be mapped before a map is tried again.
_COPIES_BEFORE_RETRY = 1000
# Held for as long as it takes to say which descriptor is being synced, or is to be closed.
_claiming = threading.Lock()


class MappedFile:
    """A file of a segment, opened when it is first needed and again after the pool has closed it.

    The map of a file that grows has some room at its end. It takes address space for what is there, and not for all
    that may come. Nothing is ever stored through the map, so a full disk is an error and not a signal. ``path`` tells
    the present name of the file.
    """

    __slots__ = (
        "_copies_left",
        "_fd",
        "_map_bytes",
        "_mapped",
        "_mode",
        "_path",
        "_pool",
        "_syncing_fd",
        "was_used",
    )

    def __init__(self, path: Callable[[], str], pool: FilePool | None) -> None:
        """``pool``: None for a reader that opens and closes one file at a time."""
        self._path = path
        self._pool = pool
        self._mode = files.READ if pool is None else files.UPDATE
        self._fd = self._syncing_fd = -1
        self._mapped = memoryview(b"")
        self._map_bytes = self._copies_left = 0
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

    def view(self, start: int, end: int, capacity: int = 0) -> memoryview:
        """Return the bytes from ``start`` to ``end``; they stay when the file is closed or removed.

        ``capacity``: how large the file may become, 0 when it does not grow. Raises OSError.
        """
        if end > self._map_bytes and not self.reaches(end, capacity):
            return self._copy(start, end)
        self.was_used = True
        return self._mapped[start:end]

    def reaches(self, end: int, capacity: int = 0) -> bool:
        """Map the file up to ``end`` if it is not; False when there is no address space or descriptor for that, or
        when the file system has no maps. A read has to be copied then. Raises OSError."""
        if end <= self._map_bytes:
            return True
        if self._copies_left:
            self._copies_left -= 1
            return False
        self.forget_map()
        fd = self.fd
        size = os.fstat(fd).st_size
        if size < end:
            return False  # it was cut by another process; the copy says so
        length = max(size, min(capacity, _with_room(size)))
        mapped = self._map(fd, size, length)
        if mapped is None:
            self._copies_left = _COPIES_BEFORE_RETRY
            return False
        self._mapped = memoryview(mapped).cast("B").toreadonly()
        self._map_bytes = len(mapped)
        return True

    def _map(self, fd: int, size: int, length: int) -> Map | None:
        pool = FilePool() if self._pool is None else self._pool
        if not pool.has_room(length):
            length = size
            if not pool.has_room(size):
                return None
        for is_last_try in (False, True):
            try:
                return pool.counted(_mapped(fd, size, length))
            except (OSError, ValueError, MemoryError) as error:
                if is_last_try and self._pool is not None:
                    pool.tell_once(f"{self._path()} cannot be mapped ({error}): records are read by copies")
            pool.unmap()
        return None

    def _copy(self, start: int, end: int) -> memoryview:
        """Read a range into memory. This is the only place where the bytes of records are copied into an object."""
        size = end - start
        try:
            content = files.pread(self.fd, size, start)
            while len(content) < size:
                more = files.pread(self.fd, size - len(content), start + len(content))
                if not more:
                    raise OSError(errno.EIO, f"{self._path()} ends before position {end}")
                content += more
        except MemoryError:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)) from None
        return memoryview(content)

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
        """Have the file mapped anew when it is read next. Views that are still being sent keep the old map."""
        self._mapped = memoryview(b"")
        self._map_bytes = 0

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
        self.forget_map()  # the pool counts the maps that it is told of
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
        self.forget_map()
        self._copies_left = 0


def _with_room(size: int) -> int:
    room = min(max(size, _AHEAD_BYTES_MIN), _AHEAD_BYTES_MAX)
    return -(-(size + room) // _AHEAD_BYTES_MIN) * _AHEAD_BYTES_MIN


def _mapped(fd: int, size: int, length: int) -> Map:
    if length > size:
        with suppress(ImportError):  # a Python without ctypes maps a growing file more often
            from .map_ahead import map_ahead  # takes 5 ms, and is not needed to start

            return map_ahead(fd, length)
    if sys.version_info >= (3, 13):
        return mmap.mmap(fd, size, access=mmap.ACCESS_READ, trackfd=False)
    return mmap.mmap(fd, size, access=mmap.ACCESS_READ)
