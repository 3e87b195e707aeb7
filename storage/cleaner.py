"""The process that compacts logs. It is one of its own so that the broker is not held up while it works: two threads
of Python take turns, and what it needs of memory is given back when it ends. It only writes ``*.cleaned`` files.

Plans come in, cleaned segments and outcomes go out, as lines of JSON. It ends when there are no more plans, or when
its parent has died.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

from .clock import Clock, SystemClock
from .compaction import Cleaned, Outcome, Plan, compact
from .errors import StorageError

# Whoever serves clients goes first where there are not enough processors for all: so much nicer is this process, and
# after each batch it lets others have its processor. Else they would wait for milliseconds, until its time is up.
NICENESS = 5
_let_others_go = getattr(os, "sched_yield", lambda: None)
# For how long to be faster than allowed before there is a rest, and how much to do before looking whether it is over.
_REST_S = 0.05
_STEP_BYTES = 8 * 2**20


class CleaningFailed(StorageError):
    """A log could not be compacted. ``number``: of the operating system's error, None when it was none."""

    def __init__(self, message: str, number: int | None = None) -> None:
        super().__init__(message)
        self.number = number


class CleanerEnded(CleaningFailed):
    """The process is gone, and nobody knows why: the system may have had no memory for it."""


class CleanerProcess:
    """Compacts by a process that is started when it is needed. For one thread at a time, but for ``stop``."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._is_stopped = False
        self._in_use = threading.Lock()
        # Held for a moment: either no process is started any more, or ``stop`` sees it.
        self._starting = threading.Lock()

    def clean(self, plan: Plan) -> Generator[Cleaned | Outcome]:
        """Have a plan carried out, as by ``compact``; each step blocks. To be closed by who does not want the rest.

        Raises CleaningFailed, CleanerEnded.
        """
        is_over = False
        try:
            self._ask(plan)
            while not is_over:
                answer = self._answer()
                is_over = "bases" not in answer
                if "error" in answer:
                    raise CleaningFailed(answer["error"], answer["number"])
                yield Outcome(**answer) if is_over else Cleaned(**answer)
        finally:
            if not is_over:
                self._end()

    def _ask(self, plan: Plan) -> None:
        with self._in_use:
            try:
                process = self._running()
                assert process.stdin is not None
                process.stdin.write(json.dumps(plan._asdict()) + "\n")
                process.stdin.flush()
            except OSError as error:
                raise CleaningFailed(f"the cleaner cannot be used: {error}", error.errno) from error

    def _answer(self) -> dict[str, Any]:
        with self._in_use:
            if self._process is None:
                raise CleaningFailed("the cleaner was stopped")
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            if not line:
                raise CleanerEnded(f"the cleaner ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _running(self) -> "subprocess.Popen[str]":
        with self._starting:
            if self._is_stopped:
                raise CleaningFailed("the cleaner was stopped")
            if self._process is not None and self._process.poll() is not None:
                _close(self._process)
                self._process = None
            if self._process is None:
                self._process = subprocess.Popen(
                    # Not with the modules of whatever directory the broker was started in.
                    [sys.executable, "-P", "-m", __name__, str(os.getpid())],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    # A signal from the terminal is for the broker, which stops the cleaner then.
                    start_new_session=True,
                )
                with suppress(OSError):  # it may have ended already
                    os.setpriority(os.PRIO_PROCESS, self._process.pid, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
            return self._process

    def stop(self) -> None:
        """End the process for good, whatever it does; what it was asked fails. From any thread."""
        with self._starting:
            self._is_stopped = True
        self._end()

    def _end(self) -> None:
        """End the process; another is started when it is needed."""
        with self._starting:
            process = self._process
        if process is not None:
            process.kill()
            with self._in_use:
                process.wait()
                _close(process)
                self._process = None


def _close(process: "subprocess.Popen[str]") -> None:
    """Close the pipes of a process that has ended."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # it has not read all that was meant for it
                pipe.close()


def limited(
    bytes_per_second: float,
    is_over: Callable[[], bool],
    clock: Clock,
    rest: Callable[[float], object],
) -> Callable[[int], None]:
    """Return what keeps to a speed, as a ``Pace``; it raises SystemExit once ``is_over``. ``rest`` takes seconds."""
    bytes_per_second = max(bytes_per_second, 1.0)  # Kafka takes 0 and less, too, and hardly goes on then
    began = clock.monotonic()
    total = checked = 0

    def pace(size_bytes: int) -> None:
        nonlocal total, checked
        _let_others_go()
        total += size_bytes
        rest_s = total / bytes_per_second - (clock.monotonic() - began)
        while rest_s > _REST_S or total - checked > _STEP_BYTES:
            if is_over():
                raise SystemExit(1)
            checked = total
            rest(max(0.0, min(rest_s, 1.0)))
            rest_s = total / bytes_per_second - (clock.monotonic() - began)

    return pace


def main() -> None:
    """Carry out plans from the standard input. The argument is the process that they come from."""
    parent = int(sys.argv[1])
    for line in sys.stdin:
        plan = Plan(**json.loads(line))
        try:
            pace = limited(
                plan.bytes_per_second, lambda: os.getppid() != parent, SystemClock(), threading.Event().wait
            )
            for done in compact(plan, pace):
                print(json.dumps(done._asdict()), flush=True)
        except Exception as error:
            number = error.errno if isinstance(error, OSError) else None
            print(json.dumps({"error": f"{type(error).__name__}: {error}", "number": number}), flush=True)


if __name__ == "__main__":
    main()
