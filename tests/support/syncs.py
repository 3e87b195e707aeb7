"""What a flusher syncs, whom it tells, and what stands for the kernel, an event loop and a journal."""

import threading
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace
from typing import Any

from barnabas.storage.errors import StorageError
from barnabas.storage.flusher import Flusher
from barnabas.storage.sync_job import Journaled, SyncJob, Tail

TIMEOUT_S = 10
KEY = (bytes(16), 0)


class Target:
    """Counts what is written; a sync takes until it is let through, and covers what was written before it began."""

    def __init__(self) -> None:
        self.written = 0
        self.synced = 0
        self.jobs = 0
        self.begun = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.error: Exception | None = None

    def sync_job(self) -> SyncJob:
        covered = self.written
        self.jobs += 1

        def work() -> None:
            self.begun.release()
            assert self.gate.acquire(timeout=TIMEOUT_S)
            if self.error is not None:
                raise self.error

        def finish() -> None:
            self.synced = covered

        return SyncJob(work, finish, lambda error: StorageError(f"failed: {error}"))

    def wait_until_begun(self) -> None:
        assert self.begun.acquire(timeout=TIMEOUT_S)

    def let_through(self, count: int = 1) -> None:
        self.gate.release(count)


class Waiter:
    """A ``done`` that can be waited for."""

    def __init__(self) -> None:
        self._called = threading.Event()
        self.outcome: Exception | None = None
        self.synced_then = -1

    def for_(self, target: Target) -> Callable[[Exception | None], None]:
        def done(outcome: Exception | None) -> None:
            self.outcome, self.synced_then = outcome, target.synced
            self._called.set()

        return done

    def wait(self) -> "Waiter":
        assert self._called.wait(TIMEOUT_S)
        return self

    @property
    def is_done(self) -> bool:
        return self._called.is_set()


class FileTarget(Target):
    """One that takes the sync of a file, if nobody does it by itself."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.file: Any = SimpleNamespace(descriptor=descriptor)
        self.failed: OSError | None = None
        self.jobs_before_failure = 0
        self.let_through(10)

    def sync_job(self) -> SyncJob:
        def fail(error: OSError) -> Exception:
            self.failed, self.jobs_before_failure = error, self.jobs
            return job.fail(error)

        job = super().sync_job()
        return job._replace(file=self.file, fail=fail)

    @property
    def works(self) -> int:
        """How often it was done without the kernel."""
        return 10 - self.gate._value  # type: ignore[attr-defined,no-any-return]


class Kernel:
    """Begins as many syncs as it ``takes``, ends them when it is told to, and has an error for some descriptors."""

    told = 1000

    def __init__(self) -> None:
        self.takes = 8
        self.errors: dict[int, OSError] = {}
        self.under_way: dict[int, int] = {}
        self.is_closed = False
        self.reuses_numbers = False
        self._numbers = count()

    def begin(self, descriptor: int) -> int | None:
        assert descriptor not in self.under_way.values()
        if len(self.under_way) >= self.takes:
            return None
        free = (number for number in range(100) if number not in self.under_way)
        number = next(free if self.reuses_numbers else self._numbers)
        self.under_way[number] = descriptor
        return number

    def ended(self, must_wait: bool = False) -> list[tuple[int, OSError | None]]:
        ended, self.under_way = self.under_way, {}
        return [(number, self.errors.get(descriptor)) for number, descriptor in ended.items()]

    def close(self) -> None:
        assert not self.under_way
        self.is_closed = True


class Loop:
    """Knows who waits for which descriptor."""

    def __init__(self) -> None:
        self.readers: dict[int, Callable[[], object]] = {}

    def add_reader(self, fd: int, callback: Callable[[], object]) -> None:
        self.readers[fd] = callback

    def remove_reader(self, fd: int) -> None:
        del self.readers[fd]

    def turn(self) -> None:
        """The kernel has ended all that was under way."""
        self.readers[Kernel.told]()


class FakeJournal(Target):
    """Takes all tails when it is made."""

    descriptor = 99

    def __init__(self) -> None:
        super().__init__()
        self.is_ready = True
        self.groups: list[list[int]] = []
        self.takes = 100
        self.let_through(10)

    def begin(self) -> bool:
        return not self.jobs

    def append(self, tails: list[Tail]) -> int:
        taken = tails[: self.takes]
        self.groups.append([tail.end_offset for tail in taken])
        return len(taken)

    def fail(self, error: OSError) -> None:
        self.is_ready = False


class LogTarget(FileTarget, Journaled):
    """A log in a file of its own; what is in the journal counts as synced."""

    has_tail = True

    def tail(self) -> Tail | None:
        content = memoryview(bytes(self.written - self.synced))
        return Tail(KEY, self.synced, self.written, content) if self.has_tail else None

    def keep(self, tail: Tail) -> None:
        self.synced = tail.end_offset


def request(flusher: Flusher, *targets: Target) -> list[Waiter]:
    """Have some synced at once."""
    waiters = [Waiter() for _ in targets]
    for target in targets:
        target.written += 1
    flusher.request_all({target: [waiter.for_(target)] for target, waiter in zip(targets, waiters, strict=True)})
    return waiters
