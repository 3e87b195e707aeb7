"""A transaction coordinator without a broker: logs that are lists, and a catalog that can be full."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from barnabas.broker.transactions import Producer, TransactionCoordinator, TransactionCoordinatorConfig
from barnabas.protocol.errors import ErrorCode
from barnabas.storage.catalog import StoredTransaction, TransactionStored
from barnabas.storage.catalog.sqlite import SqliteCatalog
from barnabas.storage.clock import ManualClock
from barnabas.storage.errors import CatalogError

Partition = tuple[str, int]
A, B, C = ("a", 0), ("a", 1), ("b", 0)


class Crash(BaseException):
    """The process ends here: nothing after it happens."""


class Steps:
    """Every durable step by its name. ``crash_at``: where the process ends, when that is reached so many times."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.crash_at: tuple[str, int] | None = None

    def __call__(self, name: str) -> None:
        self.seen.append(name)
        if self.crash_at == (name, self.seen.count(name)):
            raise Crash(name)

    def forget(self, crash_at: tuple[str, int] | None = None) -> None:
        self.seen.clear()
        self.crash_at = crash_at


class FlakyCatalog(SqliteCatalog):
    """``is_full``: it refuses every commit. ``step`` is told of every commit before and after."""

    is_full = False
    step: Callable[[str], None]

    def commit(self, *changes: Any) -> None:
        if self.is_full:
            raise CatalogError("disk full")
        what = next((each.transaction.state for each in changes if isinstance(each, TransactionStored)), "offsets")
        self.step(f"before {what} is stored")
        super().commit(*changes)
        self.step(f"after {what} is stored")


class Logs:
    """What ends of transactions were written where, as Partition.end_transaction and PartitionMarkers do it.

    ``epochs``: the epoch a partition knows of each producer; ``open``: where a producer has something undecided;
    ``offline``: which partitions cannot be written to.
    """

    def __init__(self, step: Callable[[str], None]) -> None:
        self.markers: list[tuple[Partition, int, int, bool]] = []
        self.epochs: dict[tuple[Partition, int], int] = {}
        self.open: set[tuple[Partition, int]] = set()
        self.offline: set[Partition] = set()
        self.step = step

    def produce(self, partition: Partition, producer: Producer) -> None:
        self.epochs[partition, producer.producer_id] = producer.epoch
        self.open.add((partition, producer.producer_id))

    def write(self, transaction: StoredTransaction, topic: str, index: int, is_first_try: bool) -> str:
        place = (topic, index), transaction.producer_id
        if place[0] in self.offline:
            return "offline"
        known = self.epochs.get(place)
        if not is_first_try and known is not None and place not in self.open and known >= transaction.epoch:
            return ""
        self.step("before a marker is written")
        self.markers.append((*place, transaction.epoch, transaction.state == "PrepareCommit"))
        self.epochs[place] = transaction.epoch
        self.open.discard(place)
        self.step("after a marker is written")
        return ""

    def when_decided(self, then: Callable[[], None]) -> None:
        then()

    def when_written(self, partitions: Iterable[Partition], then: Callable[[], None]) -> None:
        del partitions
        then()


class Transactions:
    """One broker's transactions, and what is done under the transactional id "t" unless another is named."""

    def __init__(self, folder: Path, **config: int) -> None:
        self.path = folder / "catalog.db"
        self.clock = ManualClock()
        self.config = TransactionCoordinatorConfig(**config)
        self.steps = Steps()
        self.logs = Logs(self.steps)
        self.given_out = 1000
        self.open()

    def open(self) -> None:
        self.catalog = FlakyCatalog(self.path, self.clock)
        self.catalog.step = self.steps
        self.coordinator = TransactionCoordinator(self.catalog, self.clock, self.config, self.logs)
        self.coordinator.take_up()

    def crash(self) -> None:
        """Lose what is in memory and start again over the same catalog and logs."""
        self.catalog.close()
        self.steps.forget()
        self.open()

    def wait(self, seconds: float) -> None:
        """Let time pass, with the event loop awake at every deadline."""
        timers = self.coordinator.timers
        end = self.clock.monotonic() + seconds
        while (deadline := timers.next_deadline()) is not None and deadline <= end:
            self.clock.advance(max(deadline - self.clock.monotonic(), 0) + 1e-6)
            timers.advance()
        self.clock.advance(max(end - self.clock.monotonic(), 0))

    def spare(self) -> int:
        self.given_out += 1
        return self.given_out

    def init(self, given: Producer | None = None, timeout_ms: int = 60_000, transactional_id: str = "t") -> Producer:
        return self.coordinator.init_producer(transactional_id, timeout_ms, given, self.spare())

    def add(self, producer: Producer, *partitions: Partition, version: int = 2) -> None:
        self.coordinator.add_partitions("t", producer, frozenset(partitions), version)
        for partition in partitions:
            self.logs.produce(partition, producer)

    def end(self, producer: Producer, is_commit: bool, version: int = 2) -> Producer:
        return self.coordinator.end("t", producer, is_commit, version, self.spare())

    def state(self) -> str:
        return self.coordinator.describe("t").state

    def set_epoch(self, epoch: int) -> Producer:
        """Give "t" a history that is long."""
        stored = self.coordinator._transactions["t"]
        self.coordinator._store(stored._replace(epoch=epoch))
        return Producer(stored.producer_id, epoch)


def refusal(error: object) -> ErrorCode:
    return error.value.code  # type: ignore[attr-defined, no-any-return]
