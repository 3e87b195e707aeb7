"""Runs a program for which no file can be mapped shared, as on file systems without that (FUSE with direct_io).

``python no_shared_maps.py PROGRAM ARGUMENT ...``: the kernel answers mmap(2) as such a file system does (seccomp).
"""

import ctypes
import errno
import mmap
import os
import sys

MMAP = {"x86_64": 9, "aarch64": 222, "riscv64": 222}
# linux/filter.h: load a word of the call, compare it with the constant, test its bits, answer.
LOAD, EQUALS, HAS, ANSWER = 0x20, 0x15, 0x45, 0x06
# Where struct seccomp_data has the number of the call and the flags of mmap.
NUMBER, FLAGS = 0, 16 + 3 * 8
ALLOW, FAIL = 0x7FFF0000, 0x00050000
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2


class Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("then", ctypes.c_ubyte), ("other", ctypes.c_ubyte), ("k", ctypes.c_uint))


class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("first", ctypes.POINTER(Instruction)))


def is_possible() -> bool:
    return sys.platform == "linux" and os.uname().machine in MMAP


def forbid() -> None:
    """Let every shared map of a file fail with ENODEV from now on, also in what is executed."""
    code = (
        (LOAD, 0, 0, NUMBER),
        (EQUALS, 0, 4, MMAP[os.uname().machine]),
        (LOAD, 0, 0, FLAGS),
        (HAS, 2, 0, mmap.MAP_ANONYMOUS),
        (HAS, 0, 1, mmap.MAP_SHARED),
        (ANSWER, 0, 0, FAIL | errno.ENODEV),
        (ANSWER, 0, 0, ALLOW),
    )
    instructions = (Instruction * len(code))(*(Instruction(*one) for one in code))
    program = Program(len(code), instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if libc.prctl(SECCOMP, FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "cannot filter system calls")


if __name__ == "__main__":
    forbid()
    os.execvp(sys.argv[1], sys.argv[1:])
