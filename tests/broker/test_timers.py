import pytest

from barnabas.broker.timers import HEAP_SLACK, Timers
from barnabas.storage.clock import ManualClock


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def timers(clock):
    return Timers(clock)


@pytest.fixture
def fired():
    return []


def test_timers_fire_in_the_order_of_their_deadlines(timers, clock, fired):
    for name, delay_ms in (("b", 2000), ("a", 1000), ("c", 9000)):
        timers.arm(name, delay_ms, lambda name=name: fired.append(name))
    clock.advance(5)
    timers.advance()
    assert fired == ["a", "b"]
    assert timers.next_deadline() == 9


def test_a_timer_that_is_armed_again_fires_at_its_last_deadline_only(timers, clock, fired):
    timers.arm("a", 1000, lambda: fired.append("first"))
    timers.arm("a", 3000, lambda: fired.append("later"))
    assert timers.next_deadline() == 3
    timers.arm("a", 2000, lambda: fired.append("sooner"))
    assert timers.next_deadline() == 2
    clock.advance(9)
    timers.advance()
    assert fired == ["sooner"]
    assert timers.next_deadline() is None


def test_a_cancelled_timer_does_not_fire(timers, clock, fired):
    timers.arm("a", 1000, lambda: fired.append("a"))
    timers.cancel("a")
    timers.cancel("never armed")
    assert timers.next_deadline() is None
    timers.arm("a", 5000, lambda: fired.append("again"))
    clock.advance(2)
    timers.advance()
    assert fired == []
    clock.advance(3)
    timers.advance()
    assert fired == ["again"]


def test_a_timer_armed_with_no_delay_by_a_timer_waits_for_the_next_call(timers, clock, fired):
    def fire():
        fired.append(len(fired))
        timers.arm("a", 0, fire)

    timers.arm("a", 0, fire)
    timers.advance()
    assert fired == [0]
    assert timers.next_deadline() == 0
    timers.advance()
    assert fired == [0, 1]


def test_the_loop_is_told_only_of_deadlines_sooner_than_it_knows(timers, clock):
    told = []
    timers.on_deadline_changed = lambda: told.append(timers.next_deadline())
    timers.arm("a", 5000, int)
    timers.arm("b", 7000, int)
    timers.arm("a", 9000, int)
    timers.arm("c", 1000, int)
    assert told == [5, 1]
    clock.advance(1)
    timers.advance()
    assert told == [5, 1, 7]


def test_heartbeats_do_not_fill_the_heap(timers, clock):
    for _ in range(1000):
        for member in range(3):
            timers.arm(member, 10_000, int)
            timers.arm(f"{member} pending", 9_000, int)
            timers.arm(f"{member} pending", 5_000, int)
            timers.cancel(f"{member} pending")
        clock.advance(0.01)
    assert len(timers._heap) <= 2 * 6 + HEAP_SLACK + 1
    assert timers.next_deadline() == pytest.approx(clock.monotonic() + 10 - 0.01)


def test_a_timer_that_fails_does_not_stop_the_others(timers, clock, fired, caplog):
    timers.arm("bad", 1000, lambda: 1 // 0)
    timers.arm("good", 2000, lambda: fired.append("good"))
    clock.advance(3)
    timers.advance()
    assert fired == ["good"]
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError]
