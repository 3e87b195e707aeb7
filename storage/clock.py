"""Time and randomness: the one module that asks the machine for either, so that a test can stand in for both."""

import random
import secrets
import time
from typing import Protocol


class Clock(Protocol):
    """Where everything in Barnabas gets its time and its random bytes from."""

    def now_ms(self) -> int:
        """Return milliseconds since the epoch, the unit of every Kafka timestamp."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, for deadlines; the zero point means nothing."""
        ...

    def random_bytes(self, count: int) -> bytes:
        """Return ``count`` bytes that nobody can guess (topic ids, member ids)."""
        ...

    def random(self) -> float:
        """Return a number in [0, 1), for jitter only."""
        ...


class SystemClock:
    """The machine's own clock and entropy."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    def random_bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)

    def random(self) -> float:
        return random.random()


class ManualClock:
    """A clock that moves only when it is told to, and draws from a seed; for tests and simulation."""

    def __init__(self, start_ms: int = 1_700_000_000_000, seed: int = 0) -> None:
        self._ms = start_ms
        self._seconds = 0.0
        self._random = random.Random(seed)

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass on both scales."""
        self._seconds += seconds
        self._ms += round(seconds * 1000)

    def now_ms(self) -> int:
        return self._ms

    def monotonic(self) -> float:
        return self._seconds

    def random_bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def random(self) -> float:
        return self._random.random()
