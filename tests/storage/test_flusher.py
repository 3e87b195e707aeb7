"""Group commit: who asks during a sync is covered by the next one."""

import errno
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from barnabas.storage import files
from barnabas.storage.errors import CatalogError, StorageError
from barnabas.storage.flusher import Flusher, SyncJob

TIMEOUT_S = 10


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
        self.file: Any = SimpleNamespace(_fd=descriptor)
        self.let_through(10)

    def sync_job(self) -> SyncJob:
        return super().sync_job()._replace(file=self.file)

    @property
    def works(self) -> int:
        return 10 - self.gate._value  # type: ignore[attr-defined,no-any-return]


class Kernel:
    """Begins as many syncs as it ``takes``, and has an error for some descriptors."""

    SYNCS_MAX = 8

    def __init__(self) -> None:
        self.takes = self.SYNCS_MAX
        self.errors: dict[int, OSError] = {}
        self.begun: list[list[int]] = []

    def begin(self, descriptors: list[int]) -> int:
        self.begun.append(descriptors[: self.takes])
        return len(self.begun[-1])

    def wait(self, count: int) -> list[OSError | None]:
        assert count == len(self.begun[-1])
        return [self.errors.get(descriptor) for descriptor in self.begun[-1]]

    def close(self) -> None:
        pass


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(files, "async_syncs", lambda: kernel)
    return kernel


def sync_all(flusher: Flusher, *targets: Target) -> list[Exception | None]:
    """Sync some in one turn of the flusher."""
    waiters = [Waiter() for _ in targets]
    for target in targets:
        target.written += 1
    flusher.request_all({target: [waiter.for_(target)] for target, waiter in zip(targets, waiters, strict=True)})
    return [waiter.wait().outcome for waiter in waiters]


def test_the_kernel_syncs_several_files_at_a_time_and_the_flusher_what_is_more_than_that(kernel, flusher):
    first, other, second = FileTarget(7), Target(), FileTarget(8)
    other.let_through()
    assert sync_all(flusher, first, other, second) == [None] * 3
    assert kernel.begun == [[7, 8]]
    assert [target.works for target in (first, second)] == [0, 0]
    assert [target.synced for target in (first, other, second)] == [1, 1, 1]


def test_more_files_than_the_kernel_takes_at_a_time_are_synced_one_lot_after_the_other(kernel, flusher):
    targets = [FileTarget(number) for number in range(10)]
    assert sync_all(flusher, *targets) == [None] * len(targets)
    assert kernel.begun == [[*range(8)], [8, 9]]
    assert not any(target.works for target in targets)


def test_what_the_kernel_does_not_take_is_done_all_the_same(kernel, flusher):
    targets = [FileTarget(number) for number in range(4)]
    kernel.takes = 2
    assert sync_all(flusher, *targets) == [None] * 4
    assert [target.works for target in targets] == [0, 0, 1, 1]
    kernel.takes = 0
    assert sync_all(flusher, *targets) == [None] * 4
    assert [target.synced for target in targets] == [2] * 4


def test_a_failed_sync_of_the_kernels_fails_its_target_before_anything_else_is_synced(kernel, flusher):
    failed: list[OSError] = []

    class Bad(FileTarget):
        def sync_job(self) -> SyncJob:
            job = super().sync_job()
            return job._replace(fail=lambda error: failed.append(error) or job.fail(error))  # type: ignore[func-returns-value]

    class Other(Target):
        def sync_job(self) -> SyncJob:
            assert failed or not kernel.begun
            return super().sync_job()

    bad, good, other = Bad(7), FileTarget(8), Other()
    kernel.errors[7] = OSError(errno.EIO, "broken")
    other.let_through()
    outcomes = sync_all(flusher, bad, good, other)
    assert [str(outcome) for outcome in outcomes] == ["failed: [Errno 5] broken", "None", "None"]
    assert (bad.works, bad.synced, good.synced, len(failed)) == (0, 0, 1, 1)


def test_one_file_alone_needs_no_help(kernel, flusher):
    target = FileTarget(7)
    assert sync_all(flusher, target) == [None]
    assert (kernel.begun, target.works) == ([], 1)


def test_where_the_kernel_cannot_each_is_synced_alone(flusher, monkeypatch):
    def refuse() -> None:
        raise OSError(errno.ENOSYS, "no asynchronous syncs here")

    monkeypatch.setattr(files, "async_syncs", refuse)
    targets = [FileTarget(number) for number in range(3)]
    assert sync_all(flusher, *targets) == [None] * 3
    assert [target.works for target in targets] == [1] * 3


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
