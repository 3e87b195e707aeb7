"""Syncs by the kernel, many at a time, while the thread that wants them goes on (Linux's io_submit(2) with
IOCB_CMD_FDSYNC, since 4.18). To hand them to threads would cost more than the syncs, as Python's threads take turns.
"""

import ctypes
import errno
import os
import sys
from contextlib import suppress
from typing import NamedTuple

_DATA_SYNC = 3  # IOCB_CMD_FDSYNC
_TELLS = 1  # IOCB_FLAG_RESFD: it adds to an eventfd when it has ended


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
    """For one thread at a time: ``begin`` some syncs, and hear of them from ``ended`` when ``told`` can be read."""

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
        self.told = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        if self._call(calls.setup, self.SYNCS_MAX, ctypes.byref(self._context)) < 0:
            os.close(self.told)
            raise _error(ctypes.get_errno())
        self._blocks = (_ControlBlock * self.SYNCS_MAX)(
            *(
                _ControlBlock(data=number, operation=_DATA_SYNC, flags=_TELLS, told_descriptor=self.told)
                for number in range(self.SYNCS_MAX)
            )
        )
        start, size = ctypes.addressof(self._blocks), ctypes.sizeof(_ControlBlock)
        # For each the list of one that the kernel is handed.
        self._places = [(ctypes.c_void_p * 1)(start + number * size) for number in range(self.SYNCS_MAX)]
        self._events = (_Event * self.SYNCS_MAX)()
        self._free = list(range(self.SYNCS_MAX))
        self._has_lost_track = False

    def begin(self, descriptor: int) -> int | None:
        """Begin to sync a file as it is now, and return a number for that, None when it cannot. It may be closed."""
        if self._has_lost_track or not self._free:
            return None
        number = self._free[-1]
        self._blocks[number].descriptor = descriptor
        if self._call(self._calls.submit, self._context, 1, self._places[number]) < 1:
            return None
        return self._free.pop()

    def ended(self, must_wait: bool = False) -> list[tuple[int, OSError | None]]:
        """Return the numbers of those that have ended since, and what went wrong with them.

        ``must_wait``: block until there is one. If the kernel does not tell, none of those under way counts as
        synced, and no others are begun.
        """
        with suppress(BlockingIOError):
            os.eventfd_read(self.told)
        if self._has_lost_track:
            return []
        call, least = (self._wait, 1) if must_wait else (self._call, 0)
        count = call(self._calls.getevents, self._context, least, self.SYNCS_MAX, self._events, None)
        if count < 0 and (number := ctypes.get_errno()) != errno.EINTR:
            # What becomes of these would be taken for what becomes of the next.
            self._has_lost_track = True
            under_way = set(range(self.SYNCS_MAX)).difference(self._free)
            self._free = list(range(self.SYNCS_MAX))
            return [(left, _error(number)) for left in under_way]
        ended: list[tuple[int, OSError | None]] = [
            (event.data, _error(-event.result) if event.result < 0 else None)
            for event in self._events[: max(0, count)]
        ]
        self._free += [number for number, _ in ended]
        return ended

    def close(self) -> None:
        """Let go of everything, when nothing is under way."""
        self._call(self._calls.destroy, self._context)
        os.close(self.told)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
