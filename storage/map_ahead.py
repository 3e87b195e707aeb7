"""Maps that are longer than their file, so that a file which grows need not be mapped anew for each read.

The operating system allows them, Python's ``mmap`` does not: the file would have to be made longer for a moment. That
fails where the length of files is limited, and takes time and space where a file system has no holes.
"""

import ctypes
import mmap
import os
import weakref

_libc = ctypes.CDLL(None, use_errno=True)  # without Python's lock: to unmap a large file takes milliseconds
# In glibc the offset of the other one has 32 bits on a 32-bit machine.
_mmap = getattr(_libc, "mmap64", _libc.mmap)
_mmap.restype = ctypes.c_void_p
_mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_FAILED = ctypes.c_void_p(-1).value


def map_ahead(fd: int, length: int) -> "ctypes.Array[ctypes.c_char]":
    """Map the first ``length`` bytes of a file, and return a buffer that keeps the map for as long as it is there.

    What lies beyond the end of the file may not be looked at: that is a signal which ends the process. Nothing may be
    stored in the buffer. Raises OSError.
    """
    address = _mmap(None, length, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
    if address == _FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    held = (ctypes.c_char * length).from_address(address)
    # At the exit of the process the system unmaps all, and some may still be in use.
    weakref.finalize(held, _libc.munmap, address, length).atexit = False
    return held
