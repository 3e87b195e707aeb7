"""Deadlines in one heap; nothing is polled."""

import heapq
import logging
from collections.abc import Callable, Hashable

from ..storage.clock import Clock

HEAP_SLACK = 64  # dead entries a small heap may hold before it is rebuilt

_log = logging.getLogger(__name__)


class Timers:
    """Deadlines by key. A key has one deadline; arming it again replaces the old one.

    Moving a deadline back, which every heartbeat does, touches a dict only: the heap keeps the entry it has, and
    finds out when that entry comes up.
    """

    def __init__(self, clock: Clock) -> None:
        self.on_deadline_changed: Callable[[], None] = lambda: None
        self._clock = clock
        self._armed: dict[Hashable, tuple[float, Callable[[], object]]] = {}
        self._heap: list[tuple[float, int, Hashable]] = []
        self._queued: dict[Hashable, tuple[float, int]] = {}  # the heap entry that stands for a key
        self._sequence = 0
        self._announced: float | None = None
        self._advancing = False

    def arm(self, key: Hashable, delay_ms: int, fire: Callable[[], object]) -> None:
        """Call ``fire`` once ``delay_ms`` from now, unless ``key`` is armed again or cancelled before."""
        deadline = self._clock.monotonic() + delay_ms / 1000
        self._armed[key] = (deadline, fire)
        queued = self._queued.get(key)
        if queued is None or deadline < queued[0]:
            self._push(key, deadline)
        if not self._advancing and (self._announced is None or deadline < self._announced):
            self._announced = deadline
            self.on_deadline_changed()

    def is_armed(self, key: Hashable) -> bool:
        return key in self._armed

    def cancel(self, key: Hashable) -> None:
        """Forget ``key``; harmless when it is not armed."""
        self._armed.pop(key, None)

    def next_deadline(self) -> float | None:
        """Return when ``advance`` has something to do, in seconds of ``Clock.monotonic``; None when never."""
        self._settle()
        return self._heap[0][0] if self._heap else None

    def advance(self) -> None:
        """Fire what is due by now, earliest first. What firing arms waits for the next call."""
        now, last = self._clock.monotonic(), self._sequence
        postponed = []
        self._advancing = True
        try:
            while (deadline := self.next_deadline()) is not None and deadline <= now:
                _, sequence, key = heapq.heappop(self._heap)
                if sequence > last:
                    postponed.append((deadline, sequence, key))
                    continue
                del self._queued[key]
                self._fire(key)
        finally:
            self._advancing = False
            for entry in postponed:
                heapq.heappush(self._heap, entry)
        self._announced = self.next_deadline()
        if self._announced is not None:
            self.on_deadline_changed()

    def _fire(self, key: Hashable) -> None:
        _, fire = self._armed.pop(key)
        try:
            fire()
        except Exception:  # one group's bug must not stop the clocks of all others
            _log.exception("the timer %s failed", key)

    def _settle(self) -> None:
        """Make the top of the heap a true deadline: drop what is dead, requeue what was moved back."""
        while self._heap:
            deadline, sequence, key = self._heap[0]
            armed = self._armed.get(key)
            if armed is not None and armed[0] == deadline and self._queued.get(key) == (deadline, sequence):
                return
            heapq.heappop(self._heap)
            if self._queued.get(key) != (deadline, sequence):
                continue
            del self._queued[key]
            if armed is not None:
                self._push(key, armed[0], sequence)

    def _push(self, key: Hashable, deadline: float, sequence: int | None = None) -> None:
        if sequence is None:
            self._sequence += 1
            sequence = self._sequence
        heapq.heappush(self._heap, (deadline, sequence, key))
        self._queued[key] = (deadline, sequence)
        if len(self._heap) > 2 * len(self._armed) + HEAP_SLACK:
            self._rebuild()

    def _rebuild(self) -> None:
        """Leave the dead behind. Every armed key is queued, and keeps its sequence."""
        self._queued = {key: (deadline, self._queued[key][1]) for key, (deadline, _) in self._armed.items()}
        self._heap = [(deadline, sequence, key) for key, (deadline, sequence) in self._queued.items()]
        heapq.heapify(self._heap)
