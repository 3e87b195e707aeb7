"""Group commit: who asks during a sync is covered by the next one."""

import errno
import threading
from collections.abc import Callable, Iterator

import pytest

from barnabas.storage.errors import CatalogError, StorageError
from barnabas.storage.flusher import SYNCS_MAX, Flusher, SyncJob

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


def test_several_are_synced_at_a_time_and_each_by_one_thread(flusher):
    targets = [Target() for _ in range(SYNCS_MAX)]
    first, second = [[Waiter() for _ in targets] for _ in range(2)]
    for waiters in (first, second):
        flusher.request_all({target: [waiter.for_(target)] for target, waiter in zip(targets, waiters, strict=True)})
        for target in targets if waiters is first else ():
            target.wait_until_begun()
    targets[0].let_through()
    first[0].wait()
    assert [target.jobs for target in targets] == [1] * SYNCS_MAX  # the next turn begins when all are through
    for target in targets[1:]:
        target.let_through()
    for target in targets:
        target.wait_until_begun()
        target.let_through()
    for waiter in (*first, *second):
        assert waiter.wait().outcome is None


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
