"""What the members of a group did, in one place, and something to wait on."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping

from .contract import TIMEOUT_S, Received


class Journal:
    """Filled by members in their threads. ``repeated``: records that came although a commit had covered them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.received: list[tuple[str, Received]] = []
        self.assignments: dict[str, frozenset[int]] = {}
        self.committed: dict[int, int] = {}
        self.repeated: list[tuple[str, Received]] = []
        self.failures: list[tuple[str, BaseException | str]] = []

    def got(self, member: str, records: list[Received]) -> None:
        with self._changed:
            for record in records:
                self.received.append((member, record))
                if record.offset < self.committed.get(record.partition, 0):
                    self.repeated.append((member, record))
            self._changed.notify_all()

    def commits(self, offsets: Mapping[int, int]) -> None:
        """Note that these positions, by partition, are committed."""
        with self._changed:
            for partition, offset in offsets.items():
                self.committed[partition] = max(offset, self.committed.get(partition, 0))
            self._changed.notify_all()

    def assigned(self, member: str, partitions: frozenset[int]) -> None:
        with self._changed:
            if self.assignments.get(member) != partitions:
                self.assignments[member] = partitions
                self._changed.notify_all()

    def gone(self, member: str) -> None:
        with self._changed:
            self.assignments.pop(member, None)
            self._changed.notify_all()

    def failed(self, member: str, error: BaseException | str) -> None:
        with self._changed:
            self.failures.append((member, error))
            self._changed.notify_all()

    def until(self, what: str, condition: Callable[["Journal"], bool], timeout_s: float = TIMEOUT_S) -> None:
        """Wait for the condition. Fails when it does not come about, and at once when a member has failed."""
        with self._changed:
            came = self._changed.wait_for(lambda: self.failures or condition(self), timeout_s)
            assert not self.failures, self.failures
            assert came, f"not in {timeout_s} s: {what}; {self.assignments}, {len(self.values())} values received"

    def until_shared(self, partitions: int, *members: str) -> None:
        """Wait until just these members have all the partitions among them, each of them some."""
        self.until(
            f"{partitions} partitions shared by {members}", lambda journal: journal._is_shared(partitions, members)
        )

    def until_received(self, values: set[bytes]) -> None:
        self.until(f"{len(values)} values received", lambda journal: values <= journal.values().keys())

    def until_committed(self, ends: Mapping[int, int]) -> None:
        """Wait until the commits have come to these positions."""
        self.until(f"commits up to {ends}", lambda journal: ends.items() <= journal.committed.items())

    def values(self) -> Counter[bytes | None]:
        return Counter(record.value for _, record in self.received)

    def ends(self) -> dict[int, int]:
        """Return the position behind the last record of every partition that was received."""
        ends: dict[int, int] = {}
        for _, record in self.received:
            ends[record.partition] = max(ends.get(record.partition, 0), record.offset + 1)
        return ends

    def _is_shared(self, partitions: int, members: tuple[str, ...]) -> bool:
        given = [partition for assignment in self.assignments.values() for partition in assignment]
        everybody = self.assignments.keys() == set(members) and all(self.assignments.values())
        return everybody and sorted(given) == list(range(partitions))
