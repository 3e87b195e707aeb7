"""Group commit of several logs: one sync of the journal does for all."""

import errno
from collections.abc import Iterator
from typing import Any

import pytest
from support.syncs import FakeJournal, FileTarget, Kernel, LogTarget, Loop, Waiter, request

from barnabas.storage import files
from barnabas.storage.flusher import Flusher
from barnabas.storage.sync_job import Tail


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(files, "async_syncs", lambda: kernel)
    return kernel


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
