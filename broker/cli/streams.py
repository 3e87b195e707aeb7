"""Standard input, output and error, which may be closed, full, or a terminal that has gone."""

import contextlib
import os
import sys
from typing import TextIO

CANNOT_PRINT = 2


def open_missing() -> None:
    """Open /dev/null in the place of standard streams that are closed.

    Otherwise the next file that is opened takes the place, and gets what is printed; and libuv ends the process.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest number that is free
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def drop(stream: TextIO) -> None:
    """Send to /dev/null what the stream could not write, so that it does not fail again when the interpreter ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def finish(status: int) -> int:
    """Write what is buffered and return the exit status: CANNOT_PRINT if all else is well and that fails."""
    try:
        sys.stdout.flush()
    except OSError as error:
        drop(sys.stdout)
        if not isinstance(error, BrokenPipeError):  # that one means that nobody wants to see more
            status = status or CANNOT_PRINT
            with contextlib.suppress(OSError):
                print(f"barnabas: cannot print: {error.strerror}", file=sys.stderr)
    try:
        sys.stderr.flush()
    except OSError:
        drop(sys.stderr)
    return status
