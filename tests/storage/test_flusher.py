"""Group commit: who asks during a sync is covered by the next one."""

import errno
import threading
from collections.abc import Callable, Iterator

import pytest
from support.syncs import FileTarget, Kernel, Loop, Target, Waiter, request

from barnabas.storage import files
from barnabas.storage.errors import CatalogError
from barnabas.storage.flusher import Flusher


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
