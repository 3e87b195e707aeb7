"""Group commit: who asks during a sync is covered by the next one."""

import errno
import threading
from collections.abc import Callable, Iterator
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from barnabas.storage import files
from barnabas.storage.errors import CatalogError, StorageError
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


@pytest.fixture
def flusher() -> Iterator[Flusher]:
    flusher = Flusher(lambda work: work())
    yield flusher
    flusher.stop()


@pytest.fixture
def target() -> Target:
    return Target()


def test_a_request_during_a_sync_is_covered_by_the_next_one_only(flusher, target):
    first, second = Waiter(), Waiter()
    target.written = 1
    flusher.request(target, first.for_(target))
    target.wait_until_begun()
    target.written = 2
    flusher.request(target, second.for_(target))
    target.let_through()
    assert first.wait().synced_then == 1
    assert not second.is_done
    target.wait_until_begun()
    target.let_through()
    assert second.wait().synced_then == 2


def test_all_who_ask_during_a_sync_share_the_next_one(flusher, target):
    flusher.request(target)
    target.wait_until_begun()
    waiters = [Waiter() for _ in range(100)]
    for waiter in waiters:
        target.written += 1
        flusher.request(target, waiter.for_(target))
    target.let_through(2)
    assert {waiter.wait().synced_then for waiter in waiters} == {100}
    assert target.jobs == 2


def test_an_error_of_the_disk_is_translated_and_delivered_to_all_who_wait(flusher, target):
    target.error = OSError(errno.EIO, "broken")
    waiters = [Waiter(), Waiter()]
    flusher.request(target)
    target.wait_until_begun()
    for waiter in waiters:
        flusher.request(target, waiter.for_(target))
    target.let_through(2)
    for waiter in waiters:
        assert str(waiter.wait().outcome) == "failed: [Errno 5] broken"


@pytest.mark.parametrize("error", [CatalogError("no checkpoint"), ValueError("nobody foresaw this")])
def test_any_other_error_is_delivered_and_the_flusher_goes_on(flusher, target, error):
    target.error = error
    first, second = Waiter(), Waiter()
    target.let_through(2)
    flusher.request(target, first.for_(target))
    assert first.wait().outcome is error
    target.error = None
    flusher.request(target, second.for_(target))
    assert second.wait().outcome is None


def test_after_a_failed_sync_the_next_one_can_succeed(flusher, target):
    target.error = OSError(errno.ENOSPC, "full")
    first, second = Waiter(), Waiter()
    target.let_through(2)
    flusher.request(target, first.for_(target))
    assert first.wait().outcome is not None
    assert first.synced_then == 0
    target.error = None
    target.written = 5
    flusher.request(target, second.for_(target))
    assert second.wait().synced_then == 5


def test_who_fails_when_told_does_not_keep_the_others_from_being_told(flusher, target):
    def fail(_: Exception | None) -> None:
        raise ValueError("nobody foresaw this")

    waiter = Waiter()
    flusher.request_all({target: [fail, waiter.for_(target)]})
    target.let_through()
    assert waiter.wait().outcome is None


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


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(files, "async_syncs", lambda: kernel)
    return kernel


@pytest.fixture
def loop(flusher: Flusher) -> Loop:
    loop = Loop()
    flusher.attach(loop)
    return loop


def request(flusher: Flusher, *targets: Target) -> list[Waiter]:
    """Have some synced at once."""
    waiters = [Waiter() for _ in targets]
    for target in targets:
        target.written += 1
    flusher.request_all({target: [waiter.for_(target)] for target, waiter in zip(targets, waiters, strict=True)})
    return waiters


def test_the_kernel_syncs_single_files_and_the_thread_the_others(kernel, loop, flusher):
    first, other, second = FileTarget(7), Target(), FileTarget(8)
    other.let_through()
    waiters = request(flusher, first, other, second)
    assert list(kernel.under_way.values()) == [7, 8]
    assert waiters[1].wait().synced_then == 1
    assert [waiter.is_done for waiter in waiters] == [False, True, False]
    loop.turn()
    assert [waiter.wait().outcome for waiter in waiters] == [None] * 3
    assert [(target.works, target.synced) for target in (first, second)] == [(0, 1)] * 2


def test_who_asks_while_the_kernel_syncs_is_covered_by_the_next_one_only(kernel, loop, flusher):
    target = FileTarget(7)
    (first,) = request(flusher, target)
    others = request(flusher, target) + request(flusher, target)
    loop.turn()
    assert first.wait().synced_then == 1
    assert not any(waiter.is_done for waiter in others)
    loop.turn()
    assert [waiter.wait().synced_then for waiter in others] == [3, 3]
    assert (target.jobs, target.works, kernel.under_way) == (2, 0, {})


def test_what_nobody_waits_for_is_for_the_thread(kernel, loop, flusher):
    target = FileTarget(7)
    flusher.request(target)
    target.wait_until_begun()
    assert not kernel.under_way


def test_a_file_is_not_synced_by_the_kernel_while_the_thread_may_do_it(kernel, loop, flusher):
    """An error of the disk would be told to one of them only."""
    target = FileTarget(7)
    assert all(target.gate.acquire() for _ in range(10))
    flusher.request(target)
    target.wait_until_begun()
    (waiter,) = request(flusher, target)
    assert not kernel.under_way
    target.let_through(2)
    assert waiter.wait().outcome is None
    (waiter,) = request(flusher, target)
    assert kernel.under_way
    loop.turn()
    assert waiter.wait().outcome is None


def test_nor_one_that_was_requested_before_there_was_a_loop(kernel, flusher):
    target, loop = FileTarget(7), Loop()
    assert all(target.gate.acquire() for _ in range(10))
    flusher.request(target)
    target.wait_until_begun()
    flusher.attach(loop)
    (waiter,) = request(flusher, target)
    assert not kernel.under_way
    target.let_through(2)
    assert waiter.wait().outcome is None


def test_nor_by_the_thread_while_the_kernel_does(kernel, loop, flusher):
    target = FileTarget(7)
    request(flusher, target)
    flusher.request(target)
    assert (target.jobs, target.works) == (1, 0)
    loop.turn()
    target.wait_until_begun()


def test_a_file_that_is_closed_is_for_the_thread(kernel, loop, flusher):
    target = FileTarget(-1)
    (waiter,) = request(flusher, target)
    assert waiter.wait().synced_then == 1
    assert target.works == 1


def test_what_the_kernel_does_not_take_waits_until_it_has_ended_others(kernel, loop, flusher):
    targets = [FileTarget(number) for number in range(10)]
    waiters = request(flusher, *targets)
    loop.turn()
    assert [waiter.is_done for waiter in waiters] == [True] * 8 + [False] * 2
    loop.turn()
    assert [waiter.wait().synced_then for waiter in waiters] == [1] * 10
    assert not any(target.works for target in targets)


def test_when_the_kernel_takes_nothing_the_thread_does_it(kernel, loop, flusher):
    kernel.takes = 0
    targets = [FileTarget(number) for number in range(3)]
    waiters = request(flusher, *targets)
    assert [waiter.wait().outcome for waiter in waiters] == [None] * 3
    assert [target.works for target in targets] == [1] * 3


def test_a_failed_sync_of_the_kernels_fails_its_target_before_it_is_synced_again(kernel, loop, flusher):
    bad, good = FileTarget(7), FileTarget(8)
    kernel.errors[7] = OSError(errno.EIO, "broken")
    waiters = request(flusher, bad, good)
    flusher.request(bad)
    assert bad.jobs == 1
    loop.turn()
    assert [str(waiter.wait().outcome) for waiter in waiters] == ["failed: [Errno 5] broken", "None"]
    assert (bad.failed, bad.jobs_before_failure, good.synced) == (kernel.errors[7], 1, 1)
    bad.wait_until_begun()


def test_where_the_kernel_cannot_the_thread_does_it(flusher, loop, monkeypatch):
    def refuse() -> None:
        raise OSError(errno.ENOSYS, "no asynchronous syncs here")

    monkeypatch.setattr(files, "async_syncs", refuse)
    for turn in (1, 2):
        targets = [FileTarget(number) for number in range(3)]
        waiters = request(flusher, *targets)
        assert [waiter.wait().outcome for waiter in waiters] == [None] * 3, turn
        assert [target.works for target in targets] == [1] * 3
    assert not loop.readers


def test_a_stop_waits_for_the_kernel_and_for_what_waited_for_it(kernel):
    flusher, loop = Flusher(lambda work: work()), Loop()
    flusher.attach(loop)
    good, bad, complex_one = FileTarget(7), FileTarget(8), Target()
    kernel.errors[8] = OSError(errno.EIO, "broken")
    complex_one.let_through()
    waiters = request(flusher, good, bad) + request(flusher, good) + request(flusher, complex_one)
    flusher.detach()
    flusher.stop()
    assert [str(waiter.wait().outcome) for waiter in waiters] == ["None", "failed: [Errno 5] broken", "None", "None"]
    assert (good.works, good.synced, bad.failed) == (1, 2, kernel.errors[8])
    assert (kernel.is_closed, loop.readers) == (True, {})


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


Shared = tuple[FakeJournal, Flusher, Loop]


@pytest.fixture
def shared(kernel: Kernel) -> Iterator[Shared]:
    made: Any = FakeJournal()
    flusher, loop = Flusher(lambda work: work(), made), Loop()
    flusher.attach(loop)
    yield made, flusher, loop
    kernel.errors.clear()
    flusher.detach()
    flusher.stop()


def test_several_logs_are_committed_by_one_sync_of_the_journal(kernel, shared):
    made, flusher, loop = shared
    logs = [LogTarget(number) for number in range(3)]
    waiters = request(flusher, *logs)
    assert (list(kernel.under_way.values()), made.groups) == ([99], [[1, 1, 1]])
    assert not any(waiter.is_done for waiter in waiters)
    loop.turn()
    assert [waiter.wait().synced_then for waiter in waiters] == [1, 1, 1]
    assert [(log.jobs, log.works) for log in logs] == [(0, 0)] * 3


def test_one_log_is_synced_where_it_is_and_others_gather_behind_it(kernel, shared):
    made, flusher, loop = shared
    first, *logs = (LogTarget(number) for number in range(3))
    waiters = request(flusher, first)
    assert (list(kernel.under_way.values()), made.groups) == ([0], [])
    for log in logs:
        waiters += request(flusher, log)
    waiter = Waiter()
    assert flusher.share(logs[0], waiter.for_(logs[0]))
    assert (list(kernel.under_way.values()), made.groups) == ([0], [])
    loop.turn()
    assert (list(kernel.under_way.values()), made.groups) == ([99], [[1, 1]])
    loop.turn()
    assert [each.wait().outcome for each in (*waiters, waiter)] == [None] * 4


def test_nothing_is_shared_when_nothing_is_under_way(shared):
    _, flusher, _ = shared
    assert not flusher.share(LogTarget(1), lambda outcome: None)


def test_what_was_committed_for_others_needs_no_sync(kernel, shared):
    made, flusher, _ = shared
    log = LogTarget(1)
    log.written = log.synced = 5
    kept: list[Tail] = []
    log.keep = kept.append  # type: ignore[method-assign]
    waiter = Waiter()
    flusher.request(log, waiter.for_(log))
    assert waiter.is_done
    assert [tail.end_offset for tail in kept] == [5]
    assert (kernel.under_way, made.groups) == ({}, [])


def test_what_is_too_much_for_the_journal_is_synced_where_it_is(kernel, shared):
    made, flusher, loop = shared
    large, *logs = (LogTarget(number) for number in range(3))
    large.has_tail = False
    waiters = request(flusher, large, *logs)
    assert (sorted(kernel.under_way.values()), made.groups) == ([0, 99], [[1, 1]])
    loop.turn()
    assert [waiter.wait().outcome for waiter in waiters] == [None] * 3


def test_what_the_journal_does_not_take_comes_next(kernel, shared):
    made, flusher, loop = shared
    made.takes = 2
    waiters = request(flusher, *(LogTarget(number) for number in range(5)))
    for _ in range(3):
        loop.turn()
    assert [waiter.wait().outcome for waiter in waiters] == [None] * 5
    assert made.groups == [[1, 1], [1, 1]]


def test_when_the_journal_takes_nothing_each_is_synced_where_it_is(kernel, shared):
    made, flusher, loop = shared
    made.takes = 0
    waiters = request(flusher, *(LogTarget(number) for number in range(3)))
    assert sorted(kernel.under_way.values()) == [0, 1, 2]
    loop.turn()
    assert [waiter.wait().outcome for waiter in waiters] == [None] * 3


def test_when_the_journal_cannot_be_synced_each_is_synced_where_it_is(kernel, shared):
    made, flusher, loop = shared
    kernel.errors[99] = OSError(errno.EIO, "broken")
    waiters = request(flusher, *(LogTarget(number) for number in range(3)))
    loop.turn()
    assert not any(waiter.is_done for waiter in waiters)
    assert sorted(kernel.under_way.values()) == [0, 1, 2]
    loop.turn()
    assert [waiter.wait().outcome for waiter in waiters] == [None] * 3
    assert not made.is_ready


def test_a_log_that_the_thread_is_at_can_be_committed_by_the_journal(kernel, shared):
    _, flusher, loop = shared
    log = LogTarget(1)
    assert all(log.gate.acquire() for _ in range(10))
    flusher.request(log)
    log.wait_until_begun()
    (waiter,) = request(flusher, log)
    assert list(kernel.under_way.values()) == [99]
    loop.turn()
    assert waiter.wait().outcome is None
    log.let_through(2)


@pytest.mark.parametrize("error", [None, OSError(errno.EIO, "broken")], ids=["synced", "failed"])
def test_a_stop_waits_for_the_journal(kernel, error):
    made: Any = FakeJournal()
    flusher, loop = Flusher(lambda work: work(), made), Loop()
    flusher.attach(loop)
    if error is not None:
        kernel.errors[99] = error
    logs = [LogTarget(number) for number in range(2)]
    waiters = request(flusher, *logs)
    flusher.detach()
    flusher.stop()
    assert [waiter.wait().outcome for waiter in waiters] == [None, None]
    assert [log.works for log in logs] == [0 if error is None else 1] * 2


def test_who_is_told_may_ask_again_at_once(kernel, shared):
    """The kernel gives new ones the numbers of those that have ended."""
    _, flusher, loop = shared
    first, second = FileTarget(1), FileTarget(2)
    kernel.reuses_numbers = True
    order: list[str] = []

    def again(_: Exception | None) -> None:
        order.append("first")
        flusher.request(first, lambda _: order.append("again"))

    flusher.request_all({first: [again], second: [lambda _: order.append("second")]})
    loop.turn()
    assert order == ["first", "second"]
    loop.turn()
    assert order == ["first", "second", "again"]


def test_the_journal_is_made_when_there_are_several_logs_to_commit(kernel, shared):
    made, flusher, loop = shared
    made.is_ready = False
    log, other = LogTarget(1), LogTarget(2)
    request(flusher, log)
    loop.turn()
    assert made.jobs == 0
    request(flusher, log, other)
    assert sorted(kernel.under_way.values()) == [1, 2]
    made.wait_until_begun()
    loop.turn()
    assert made.jobs == 1


def test_one_targets_error_is_not_anothers(flusher):
    bad, good = Target(), Target()
    bad.error = OSError(errno.EIO, "broken")
    bad.let_through()
    good.let_through()
    first, second = Waiter(), Waiter()
    flusher.request(bad, first.for_(bad))
    flusher.request(good, second.for_(good))
    assert first.wait().outcome is not None
    assert second.wait().outcome is None


def test_what_was_requested_before_stop_is_done(target):
    flusher = Flusher(lambda work: work())
    waiter = Waiter()
    flusher.request(target)
    target.wait_until_begun()
    flusher.request(target, waiter.for_(target))
    target.let_through(2)
    flusher.stop()
    assert waiter.is_done


def test_a_flusher_that_nobody_used_has_no_thread_and_stops():
    before = threading.active_count()
    flusher = Flusher(lambda work: work())
    assert threading.active_count() == before
    flusher.stop()


def test_an_event_loop_that_is_gone_does_not_end_the_thread(target):
    calls = 0

    def deliver(work: Callable[[], None]) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("Event loop is closed")
        work()

    flusher = Flusher(deliver)
    waiter = Waiter()
    target.let_through(2)
    flusher.request(target)
    target.wait_until_begun()
    flusher.request(target, waiter.for_(target))
    waiter.wait()
    flusher.stop()
