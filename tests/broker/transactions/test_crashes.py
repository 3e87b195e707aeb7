"""Wherever the process ends, a transaction is all there or not at all."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.transactions import A, B, C, Crash, Transactions

from barnabas.broker.errors import ApiError
from barnabas.broker.transactions import Producer
from barnabas.storage.catalog import CommittedOffset, OffsetsPrepared
from barnabas.storage.errors import CatalogError

# All points where a crash can fall, in the order in which a transaction of two partitions passes them.
POINTS = [
    ("before Ongoing is stored", 1),
    ("after Ongoing is stored", 1),
    ("before Ongoing is stored", 2),
    ("after Ongoing is stored", 2),
    ("before offsets is stored", 1),
    ("after offsets is stored", 1),
    ("before Prepare is stored", 1),
    ("after Prepare is stored", 1),
    ("before a marker is written", 1),
    ("after a marker is written", 1),
    ("before a marker is written", 2),
    ("after a marker is written", 2),
    ("before Complete is stored", 1),
    ("after Complete is stored", 1),
]
DECIDED = POINTS.index(("after Prepare is stored", 1))
BEGUN = POINTS.index(("after Ongoing is stored", 1))


def offset(value: int) -> CommittedOffset:
    return CommittedOffset("in", 0, value, -1, "", 0, -1)


def live(transactions: Transactions, producer: Producer, is_commit: bool, version: int) -> None:
    transactions.add(producer, A, B, version=version)
    transactions.coordinator.add_group("t", producer, "g", version)
    transactions.catalog.commit(OffsetsPrepared("g", producer.producer_id, [offset(7)]))
    transactions.end(producer, is_commit, version)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("is_commit", [True, False], ids=["commit", "abort"])
def test_these_are_all_the_points(transactions, is_commit, version):
    producer = transactions.init()
    transactions.steps.forget()
    live(transactions, producer, is_commit, version)
    end = "Commit" if is_commit else "Abort"
    names = [name.replace(f"Prepare{end}", "Prepare").replace(f"Complete{end}", "Complete") for name, _ in POINTS]
    assert [name.replace(end, "") for name in transactions.steps.seen] == names


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("is_commit", [True, False], ids=["commit", "abort"])
@pytest.mark.parametrize("at", range(len(POINTS)), ids=lambda at: f"{POINTS[at][0]} ({POINTS[at][1]})")
def test_a_crash_at_each_point(transactions, at, is_commit, version):
    name, times = POINTS[at]
    end = "Commit" if is_commit else "Abort"
    producer = transactions.init(timeout_ms=10_000)
    name = name.replace("Prepare", f"Prepare{end}").replace("Complete", f"Complete{end}")
    transactions.steps.forget((name, times))
    with pytest.raises(Crash):
        live(transactions, producer, is_commit, version)
    transactions.crash()
    if at >= DECIDED:
        assert transactions.state() == f"Complete{end}"
    transactions.wait(11)
    if at < BEGUN:
        assert transactions.state() == "Empty"
        return
    committed = is_commit and at >= DECIDED
    assert transactions.state() == ("CompleteCommit" if committed else "CompleteAbort")
    assert not transactions.logs.open
    written = [(partition, kind) for partition, _, _, kind in transactions.logs.markers]
    assert written == [(A, committed), (B, committed)]
    assert transactions.catalog.offsets("g") == ([offset(7)] if committed else [])
    assert transactions.catalog.pending_offsets("g") == []
    transactions.add(transactions.init(), A, version=version)


IDS = ["t", "u"]
PARTITIONS = [A, B, C]


class Machine(RuleBasedStateMachine):
    """Producers under two transactional ids that lose answers, stall and are replaced, while the broker crashes.

    ``written``: what each transaction, by producer id and epoch, has written where; ``promised``: how it was said to
    have ended; ``stale``: identities that have been replaced.
    """

    def __init__(self, folder: Any) -> None:
        super().__init__()
        self.transactions = Transactions(folder)
        self.present: dict[str, Producer] = {}
        self.versions: dict[str, int] = {}
        self.open: dict[str, set[Any]] = {name: set() for name in IDS}
        self.offsets: dict[str, list[int]] = {name: [] for name in IDS}
        self.committed: dict[str, int] = {}
        self.possible: dict[str, set[int | None]] = {name: {None} for name in IDS}
        self.stale: set[tuple[str, Producer]] = set()
        self.highest: dict[str, tuple[int, int]] = {}
        self.count = 0

    @property
    def coordinator(self) -> Any:
        return self.transactions.coordinator

    def attempt(self, call: Any) -> Any:
        """Return what came back; None when the process ended or the request was refused."""
        try:
            return call()
        except (ApiError, CatalogError):
            return None
        except Crash:
            self.restart()
            return None

    def restart(self) -> None:
        self.transactions.crash()

    @initialize(versions=st.lists(st.sampled_from([1, 2]), min_size=2, max_size=2))
    def begin(self, versions):
        self.versions = dict(zip(IDS, versions, strict=True))
        for name in IDS:
            self.start(name, is_lost=False)

    @rule(name=st.sampled_from(IDS), is_lost=st.booleans())
    def start(self, name, is_lost):
        """A producer starts, in the place of another if there is one."""
        before = self.present.get(name)
        given = self.attempt(lambda: self.coordinator.init_producer(name, 20_000, None, self.transactions.spare()))
        if before is not None and given is not None:
            self.stale.add((name, before))
            self.offsets[name].clear()
        if given is not None and not is_lost:
            self.present[name] = given

    @precondition(lambda self: self.present)
    @rule(data=st.data(), partition=st.sampled_from(PARTITIONS))
    def write(self, data, partition):
        name = data.draw(st.sampled_from(sorted(self.present)))
        producer, version = self.present[name], self.versions[name]

        def call() -> bool:
            self.coordinator.add_partitions(name, producer, frozenset((partition,)), version)
            self.transactions.logs.produce(partition, producer)
            return True

        self.attempt(call)

    @precondition(lambda self: self.present)
    @rule(data=st.data())
    def send_offsets(self, data):
        name = data.draw(st.sampled_from(sorted(self.present)))
        producer = self.present[name]
        self.count += 1
        number = self.count

        def call() -> bool:
            self.coordinator.add_group(name, producer, name, self.versions[name])
            self.possible[name].add(number)
            self.transactions.catalog.commit(OffsetsPrepared(name, producer.producer_id, [offset(number)]))
            return True

        if self.attempt(call):
            self.offsets[name].append(number)

    @precondition(lambda self: self.present)
    @rule(data=st.data(), is_commit=st.booleans(), is_lost=st.booleans())
    def end(self, data, is_commit, is_lost):
        name = data.draw(st.sampled_from(sorted(self.present)))
        producer = self.present[name]
        ended = self.attempt(
            lambda: self.coordinator.end(name, producer, is_commit, self.versions[name], self.transactions.spare())
        )
        if ended is None:
            self.offsets[name].clear()  # the end may have been decided, and what comes next is another transaction
            return
        if is_commit and self.offsets[name]:
            self.committed[name] = self.offsets[name][-1]
        self.offsets[name].clear()
        if not is_lost:
            self.present[name] = ended

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def a_zombie_writes(self, data):
        name, producer = data.draw(st.sampled_from(sorted(self.stale)))
        if producer in self.present.values():
            return
        with pytest.raises(ApiError):
            self.coordinator.add_partitions(name, producer, frozenset((A,)), self.versions[name])

    @rule(name=st.sampled_from([name for name, _ in POINTS]), times=st.integers(1, 3))
    def crash_before_long(self, name, times):
        names = [name]
        if "Prepare" in name or "Complete" in name:
            names = [name.replace("Prepare", f"Prepare{end}").replace("Complete", f"Complete{end}")
                     for end in ("Commit", "Abort")]  # fmt: skip
        self.transactions.steps.forget((names[times % len(names)], times))

    @rule()
    def crash(self):
        self.restart()

    @rule(partition=st.sampled_from(PARTITIONS))
    def a_disk_fills_or_is_cleared(self, partition):
        self.transactions.logs.offline ^= {partition}

    @rule(is_full=st.booleans())
    def the_catalog_fills_or_is_cleared(self, is_full):
        self.transactions.catalog.is_full = is_full

    @rule(seconds=st.sampled_from([1, 5, 21]))
    def time_passes(self, seconds):
        self.attempt(lambda: self.transactions.wait(seconds))

    @rule()
    def everything_comes_to_rest(self):
        self.transactions.steps.forget()
        self.transactions.catalog.is_full = False
        self.transactions.logs.offline.clear()
        self.transactions.wait(25)
        for transaction in self.coordinator:
            assert transaction.state in ("Empty", "CompleteCommit", "CompleteAbort")
            assert self.transactions.catalog.pending_offsets(transaction.transactional_id) == []
        assert self.transactions.logs.open == set()
        for name in IDS:
            stored = self.transactions.catalog.offsets(name)
            if name in self.committed:
                assert stored[0].offset >= self.committed[name]
            assert not stored or stored[0].offset in self.possible[name]

    @invariant()
    def all_partitions_of_a_transaction_end_alike(self):
        """The epoch of a marker is that of one transaction where each end brings a new one."""
        kinds: dict[tuple[int, int], set[bool]] = {}
        for _, producer_id, epoch, is_commit in self.transactions.logs.markers:
            kinds.setdefault((producer_id, epoch), set()).add(is_commit)
        if set(self.versions.values()) == {2}:
            assert all(len(each) == 1 for each in kinds.values())

    @invariant()
    def identities_only_grow(self):
        for transaction in self.coordinator:
            identity = transaction.producer_id, transaction.epoch
            assert identity >= self.highest.get(transaction.transactional_id, (0, -1))
            self.highest[transaction.transactional_id] = identity

    def teardown(self):
        self.everything_comes_to_rest()
        self.transactions.catalog.close()


@pytest.mark.parametrize(
    ("examples", "steps"),
    [pytest.param(150, 40, id="short"), pytest.param(2_000, 80, id="long", marks=pytest.mark.slow)],
)
def test_no_transaction_ends_by_halves_whatever_happens(tmp_path_factory, examples, steps):
    run_state_machine_as_test(
        lambda: Machine(tmp_path_factory.mktemp("machine")),
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
