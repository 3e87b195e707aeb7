"""Reading a file in small pieces while somebody else may be writing, cutting or replacing it.

Not by way of ``storage.files``, through which a log goes: this is about files that may be anybody's and anything.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..errors import StorageError

CHUNK_BYTES = 2**20
# Small things are read together: several entries of an index, the header of a batch with the rest of it.
_READ_AHEAD_BYTES = 16 * 1024
_SEEK_DATA = getattr(os, "SEEK_DATA", None)


class Reader:
    """An open file, as a context manager. ``size_bytes``: how large it was when last looked at."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, StorageError when it is a device, a pipe or a directory."""
        # A pipe of that name would else be waited for.
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            os.close(self._fd)
            raise StorageError("is no regular file")
        self._read_ahead = b""
        self._read_ahead_at = 0
        self.size_bytes = self.look()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def look(self) -> int:
        """Return how large the file is now."""
        self.size_bytes = os.fstat(self._fd).st_size
        return self.size_bytes

    def read(self, position: int, size: int) -> bytes:
        """Return ``size`` bytes; fewer only where the file ends. Raises OSError."""
        start = position - self._read_ahead_at
        if start >= 0 and start + size <= len(self._read_ahead):
            return self._read_ahead[start : start + size]
        if size >= _READ_AHEAD_BYTES:
            return self._read(position, size)
        self._read_ahead_at, self._read_ahead = position, self._read(position, _READ_AHEAD_BYTES)
        return self._read_ahead[:size]

    def _read(self, position: int, size: int) -> bytes:
        pieces: list[bytes] = []
        while size and (piece := os.pread(self._fd, size, position)):
            pieces.append(piece)
            position += len(piece)
            size -= len(piece)
        return b"".join(pieces)

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """Yield what lies from ``start`` to ``end``, or to the end of the file. Raises OSError."""
        while start < end and (chunk := self.read(start, min(CHUNK_BYTES, end - start))):
            yield chunk
            start += len(chunk)

    def nonzero_from(self, position: int) -> int | None:
        """Return where the first byte that is not zero lies, None if there is none. Raises OSError."""
        size = 256  # it is mostly near; and whoever asks after each zero must not read a lot each time
        while True:
            position = self._data_from(position)
            chunk = self._read(position, size)
            zeros = len(chunk) - len(chunk.lstrip(b"\0"))
            if zeros < len(chunk):
                return position + zeros
            if not chunk:
                return None
            position += zeros
            size = min(2 * size, CHUNK_BYTES)

    def _data_from(self, position: int) -> int:
        """Step over the hole at ``position``, so that no time goes into the zeros of a sparse file."""
        if _SEEK_DATA is None:
            return position
        try:
            return os.lseek(self._fd, position, _SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # there is no data any more
                with suppress(OSError):
                    return max(position, os.fstat(self._fd).st_size)
            return position  # the file system cannot say
