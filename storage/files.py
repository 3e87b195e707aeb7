"""Every file that storage opens, writes, syncs, renames or removes goes through here: the place where a test makes it
fail, stop, or be forgotten. (SQLite has its own way to the disk.)

What is written here is a primitive, or made of the primitives above it by their names. All raise OSError.
"""

import errno
import os
import resource
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .async_syncs import AsyncSyncs

# The hot path: these are the system calls themselves.
pwrite = os.pwrite
pread = os.pread
preadv = os.preadv
pwritev = os.pwritev
truncate = os.ftruncate
close = os.close
# On Linux data and length suffice. What macOS calls fsync does not wait for the disk, but it is what Python has.
sync = getattr(os, "fdatasync", os.fsync)

READ = os.O_RDONLY
UPDATE = os.O_RDWR
# A file that must not be there yet.
CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL
# A file that is there or not.
ENSURE = os.O_RDWR | os.O_CREAT
# As a whole: what was in it goes.
OVERWRITE = os.O_RDWR | os.O_CREAT | os.O_TRUNC


def size_max() -> int:
    """Return how large the process may make a file (``ulimit -f``)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def open_file(path: str | Path, mode: int) -> int:
    """Return a descriptor; ``mode`` is one of the constants above."""
    return os.open(path, mode | os.O_CLOEXEC, 0o644)


def rename(old: str | Path, new: str | Path) -> None:
    """Give a file or folder another name; what has that name is replaced."""
    os.replace(old, new)


def unlink(path: str | Path) -> None:
    """Remove a file, if it is there."""
    with suppress(FileNotFoundError):
        os.unlink(path)


def make_directory(path: Path) -> None:
    """Make a directory unless it is there. What it lies in has to be there."""
    path.mkdir(exist_ok=True)


def make_directories(path: Path) -> None:
    """Make a directory and its parents unless they are there. Raises OSError: NotADirectoryError for a file."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None


def remove_tree(path: Path) -> None:
    """Remove a folder with all that is in it, as far as that is possible; never raises."""
    shutil.rmtree(path, ignore_errors=True)


def allocate(descriptor: int, size: int) -> None:
    """Have ``size`` bytes of disk space for a file, which becomes as long; what was not written is zeros."""
    getattr(os, "posix_fallocate", lambda descriptor, _, size: truncate(descriptor, size))(descriptor, 0, size)


def async_syncs() -> "AsyncSyncs":
    """Return what syncs many files at a time; raises OSError where the system cannot do that."""
    from .async_syncs import AsyncSyncs  # takes 5 ms, and is not needed to start

    return AsyncSyncs()


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to the disk; a file that was synced may else be nameless."""
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def read(path: Path) -> bytes:
    """Return the whole content of a (small) file."""
    opened = open_file(path, READ)
    try:
        content = bytearray(os.fstat(opened).st_size)
        done = 0
        while count := preadv(opened, [memoryview(content)[done:]], done):
            done += count
        return bytes(memoryview(content)[:done])
    finally:
        close(opened)


def write_all(descriptor: int, content: bytes | bytearray | memoryview, position: int) -> None:
    """Write all of ``content`` at ``position``; after an error some of it may be there."""
    rest = memoryview(content)
    while rest:
        written = pwrite(descriptor, rest, position)
        position += written
        rest = rest[written:]


def write(path: Path, content: bytes | memoryview, is_synced: bool = False) -> None:
    """Make ``content`` that of a file; after an error there may be some of it."""
    opened = open_file(path, OVERWRITE)
    try:
        write_all(opened, content, 0)
        if is_synced:
            sync(opened)
    finally:
        close(opened)


def replace(path: Path, content: bytes, is_synced: bool = False) -> None:
    """Make ``content`` that of a file, or leave what was there: never half of it.

    Without ``is_synced`` that holds for the death of the process, not of the machine.
    """
    temporary = path.with_name(path.name + ".tmp")
    unlink(temporary)  # with one that was left by a process that ended, the power could bring its content back
    write(temporary, content, is_synced)
    rename(temporary, path)
    if is_synced:
        sync_directory(path.parent)


def sync_path(path: str | Path) -> None:
    """Bring the content of a file to the disk, whoever wrote it; blocks."""
    opened = open_file(path, READ)
    try:
        sync(opened)
    finally:
        close(opened)


def set_modified(path: Path, nanoseconds: int) -> None:
    """Make it look as if a file had been written to last at that time, in ns since 1970."""
    os.utime(path, ns=(nanoseconds, nanoseconds))
