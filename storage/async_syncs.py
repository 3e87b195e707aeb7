"""Many syncs at a time by one thread: the kernel does them side by side (Linux's io_submit(2) with IOCB_CMD_FDSYNC,
since 4.18). Each with a thread of its own would cost more than the syncs, as Python's threads take turns.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

_DATA_SYNC = 3  # IOCB_CMD_FDSYNC


class _Calls(NamedTuple):
    """The numbers of the system calls, for which the C library has no functions."""

    setup: int
    destroy: int
    submit: int
    getevents: int


_GENERIC = _Calls(0, 1, 2, 4)
_CALLS = {"x86_64": _Calls(206, 207, 209, 208), "aarch64": _GENERIC, "riscv64": _GENERIC}


class _ControlBlock(ctypes.Structure):
    """What to do (linux/aio_abi.h, struct iocb, of a little-endian machine)."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("key", ctypes.c_uint32),
        ("read_write_flags", ctypes.c_int32),
        ("operation", ctypes.c_uint16),
        ("priority", ctypes.c_int16),
        ("descriptor", ctypes.c_uint32),
        ("buffer", ctypes.c_uint64),
        ("bytes", ctypes.c_uint64),
        ("offset", ctypes.c_int64),
        ("reserved", ctypes.c_uint64),
        ("flags", ctypes.c_uint32),
        ("told_descriptor", ctypes.c_uint32),
    )


class _Event(ctypes.Structure):
    """What was done (struct io_event). ``result``: 0, or an error's number below it."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("block", ctypes.c_uint64),
        ("result", ctypes.c_int64),
        ("result2", ctypes.c_int64),
    )


class AsyncSyncs:
    """For one thread: ``begin`` some syncs, SYNCS_MAX at most, then ``wait`` for all of them."""

    SYNCS_MAX = 64

    def __init__(self) -> None:
        """Raises OSError where the system has no such thing, or none left."""
        calls = _CALLS.get(os.uname().machine)
        if sys.platform != "linux" or calls is None or sys.maxsize < 2**32:
            raise OSError(errno.ENOSYS, "no asynchronous syncs here")
        self._calls = calls
        self._call = ctypes.PyDLL(None, use_errno=True).syscall  # for what is done at once
        self._wait = ctypes.CDLL(None, use_errno=True).syscall  # without Python's lock
        self._context = ctypes.c_ulong(0)
        if self._call(calls.setup, self.SYNCS_MAX, ctypes.byref(self._context)) < 0:
            raise _error(ctypes.get_errno())
        self._blocks = (_ControlBlock * self.SYNCS_MAX)(
            *(_ControlBlock(data=number, operation=_DATA_SYNC) for number in range(self.SYNCS_MAX))
        )
        start, size = ctypes.addressof(self._blocks), ctypes.sizeof(_ControlBlock)
        self._places = (ctypes.c_void_p * self.SYNCS_MAX)(*(start + at * size for at in range(self.SYNCS_MAX)))
        self._events = (_Event * self.SYNCS_MAX)()
        self._has_lost_track = False

    def begin(self, descriptors: Sequence[int]) -> int:
        """Return how many of the files are being synced as they are now, the first of them; they may be closed."""
        if self._has_lost_track:
            return 0
        for block, descriptor in zip(self._blocks, descriptors, strict=False):
            block.descriptor = descriptor
        wanted = min(len(descriptors), self.SYNCS_MAX)
        begun: int = self._call(self._calls.submit, self._context, wanted, self._places)
        return max(0, begun)

    def wait(self, count: int) -> list[OSError | None]:
        """Block until all that were begun have ended, and return what went wrong with each.

        If the kernel does not tell, none counts as synced, and no others are begun.
        """
        outcomes: list[OSError | None] = [None] * count
        left = count
        while left:
            ended = self._wait(self._calls.getevents, self._context, left, left, self._events, None)
            if ended < 0 and (number := ctypes.get_errno()) != errno.EINTR:
                # What becomes of these would be taken for what becomes of the next.
                self._has_lost_track = True
                return [_error(number)] * count
            for event in self._events[: max(0, ended)]:
                left -= 1
                if event.result < 0:
                    outcomes[event.data] = _error(-event.result)
        return outcomes

    def close(self) -> None:
        """Let go of everything, when nothing is under way."""
        self._call(self._calls.destroy, self._context)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
