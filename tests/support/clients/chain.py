"""Members that carry values from topic to topic in transactions, and are killed, replaced and sent home by a seed."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from support.apache_kafka import java
from support.process import BrokerProcess

from . import histories, transaction_histories
from .churn import END_TIMEOUT_S, PARTITIONS, Counter, Life, Sampler
from .histories import History, Value
from .transacting import CANNOT_GO_ON, TRANSACTION_TIMEOUT_MS
from .transaction_histories import Member, Outcome, Poll, Read, Reader, Transaction

READ_TIMEOUT_S = 60
_TESTS = Path(__file__).parents[2]


@dataclass(frozen=True)
class Stage:
    """One group that reads ``source`` and writes ``topic``. ``kinds``: one for each member."""

    number: int
    protocol: str
    kinds: Sequence[str]

    @property
    def source(self) -> str:
        return f"stage{self.number}"

    @property
    def topic(self) -> str:
        return f"stage{self.number + 1}"

    @property
    def group(self) -> str:
        return f"{self.source}-{self.protocol}"


@dataclass
class Place:
    """Where one member of a stage is after the other, all with the same transactional id."""

    stage: Stage
    kind: str
    transactional_id: str
    life: Life | None = None
    zombies: list[Life] = field(default_factory=list)


def _read(message: object) -> Read:
    partition, offset = message.partition(), message.offset()  # type: ignore[attr-defined]
    value, key = message.value() or b"", message.key() or b""  # type: ignore[attr-defined]
    return Read(partition, offset, value.decode(), key.decode())


def open_reader(bootstrap: str, topics: Sequence[str], isolation_level: str) -> Consumer:
    """A consumer of all there is in the topics, outside of any group; it tells where a partition ends."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "none",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": isolation_level,
            "reconnect.backoff.max.ms": 500,
            "log_level": 0,
        }
    )
    consumer.assign(
        [TopicPartition(topic, index, OFFSET_BEGINNING) for topic in topics for index in range(PARTITIONS)]
    )
    return consumer


def read_all(bootstrap: str, topic: str, isolation_level: str) -> tuple[list[Read], dict[int, int]]:
    """Everything that can be read in a topic now, and where each partition ends for such a reader."""
    consumer = open_reader(bootstrap, [topic], isolation_level)
    found: list[Read] = []
    ends: dict[int, int] = {}
    deadline = time.monotonic() + READ_TIMEOUT_S
    try:
        while len(ends) < PARTITIONS:
            assert time.monotonic() < deadline, f"{topic} has no end in {READ_TIMEOUT_S} s: {ends}"
            for message in consumer.consume(1000, 0.5):
                error = message.error()
                if error is None:
                    found.append(_read(message))
                elif error.code() == KafkaError._PARTITION_EOF:
                    partition, offset = message.partition(), message.offset()
                    assert partition is not None
                    assert offset is not None
                    ends[partition] = offset
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()
    return found, ends


class Auditor(threading.Thread):
    """Reads all topics at read_committed while the members work, and remembers every poll."""

    def __init__(self, bootstrap: str, topics: Sequence[str]) -> None:
        super().__init__(name="auditor", daemon=True)
        self.readers = {topic: Reader("auditor", topic) for topic in topics}
        self.seen: dict[str, set[Value]] = {topic: set() for topic in topics}
        self._server = bootstrap
        self._is_over = threading.Event()

    def run(self) -> None:
        consumer = open_reader(self._server, list(self.readers), "read_committed")
        while not self._is_over.is_set():
            reads: dict[str, list[Read]] = {}
            for message in consumer.consume(100, 0.2):
                if message.error() is None:
                    reads.setdefault(str(message.topic()), []).append(_read(message))
            for topic, each in reads.items():
                self.readers[topic].polls.append(Poll(time.time(), each))
                self.seen[topic].update(read.value for read in each)
        consumer.close()

    def finish(self) -> None:
        self._is_over.set()
        self.join()


class Chain:
    """``path``: where the journals are, Java classes in ``classes``, and franz-go's program in ``franz-go``.

    What happens to the members follows from ``seed``, but for the times it takes."""

    def __init__(
        self, path: Path, broker: BrokerProcess, stages: Sequence[Stage], seed: int, session_timeout_ms: int
    ) -> None:
        self.lives: list[tuple[Life, Place]] = []
        self.problems: list[str] = []
        self.done: Tally[str] = Tally()
        self._path = path
        self._broker = broker
        self._stages = stages
        self._chance = random.Random(seed)
        self._seed = seed
        self._session_timeout_ms = session_timeout_ms
        self._events: list[str] = []
        self._places = [
            Place(stage, kind, f"{stage.source}-{number}")
            for stage in stages
            for number, kind in enumerate(stage.kinds)
        ]
        self.topics = [stages[0].source, *(stage.topic for stage in stages)]
        self.counter = Counter(broker.bootstrap, self.topics[0])
        self.sampler = Sampler(broker.port, [stage.group for stage in stages], require_stable=False)
        self.auditor = Auditor(broker.bootstrap, self.topics)

    def run(self, duration_s: float, broker_kills: int, broker_stops: int, pace_s: float) -> None:
        """Do something every ``pace_s`` on the average; end the broker at times that are spread evenly."""
        for place in self._places:
            self._start(place)
        for thread in (self.sampler, self.auditor, self.counter):
            thread.start()
        began = time.time()
        ends: list[Callable[[], object]] = [*broker_kills * [self._broker.kill], *broker_stops * [self._broker.stop]]
        self._chance.shuffle(ends)
        part = duration_s / max(len(ends), 1)
        times = [began + part * (n + self._chance.uniform(0.3, 0.9)) for n in range(len(ends))]
        while time.time() < began + duration_s:
            time.sleep(self._chance.uniform(0, 2 * pace_s))
            if times and time.time() >= times[0]:
                times.pop(0)
                self._restart_the_broker(ends.pop())
            self._look_after()
            self._act()

    def finish(self) -> None:
        """Let everybody work on until every value is at the end of the chain, then have them leave."""
        self.counter.finish()
        wanted = set(self.counter.acknowledged.values())
        deadline = time.time() + END_TIMEOUT_S
        while not wanted <= self.auditor.seen[self.topics[-1]]:
            if time.time() > deadline:
                arrived = ", ".join(f"{len(seen & wanted)} in {topic}" for topic, seen in self.auditor.seen.items())
                self.problems.append(f"{len(wanted)} values were sent; {END_TIMEOUT_S} s later there are {arrived}")
                break
            for place in self._places:
                if place.life is None:
                    self._start(place)
            time.sleep(0.3)
            self._look_after()
        for life, _ in self.lives:
            if life.is_paused:
                life.resume()
            if life.is_running:
                life.leave()
        while any(life.is_running for life, _ in self.lives):
            time.sleep(0.1)
            self._look_after()
        self._look_after()
        self.sampler.finish()
        self.auditor.finish()

    def end(self) -> None:
        """Leave no process behind, whatever happened."""
        for life, _ in self.lives:
            if life.is_running:
                life.kill()

    def check(self) -> list[str]:
        """All that should not be."""
        inputs: dict[int, list[Value]] = {}
        for (partition, _), value in sorted(self.counter.acknowledged.items()):
            inputs.setdefault(partition, []).append(value)
        members = self.members()
        complaints = list(self.problems)
        for topic in self.topics:
            log, ends = read_all(self._broker.bootstrap, topic, "read_committed")
            everything, all_ends = read_all(self._broker.bootstrap, topic, "read_uncommitted")
            self.done["records that are not committed"] += len(everything) - len(log)
            if ends != all_ends:
                complaints.append(f"{topic}: a transaction is open: read_committed ends at {ends} of {all_ends}")
            transactions = [each for member in members if member.topic == topic for each in member.transactions]
            readers = [self.auditor.readers[topic], Reader("last reader", topic, [Poll(time.time(), log)])]
            readers += [member.reader for member in members if member.reader.topic == topic]
            found = [
                *transaction_histories.lost_writes(inputs, transactions, log),
                *transaction_histories.duplicates(log),
                *transaction_histories.misplaced(inputs, log),
                *transaction_histories.aborted_reads(transactions, readers),
                *transaction_histories.intermediate_reads(transactions, log),
            ]
            for reader in readers:
                found += transaction_histories.reordered_polls(reader)
                found += transaction_histories.skipping_polls(reader, log)
            complaints += [f"{topic}: {complaint}" for complaint in found]
        went_back = histories.commits_that_went_back(self._histories(members), self.sampler.samples)
        return [*complaints, *transaction_histories.unfenced(members), *(str(each) for each in went_back)]

    def members(self) -> list[Member]:
        return [
            transaction_histories.read(
                life.name, place.stage.source, place.stage.topic, place.transactional_id, life.journal
            )
            for life, place in self.lives
        ]

    def summary(self) -> str:
        """What happened, and how the transactions of each kind of member ended."""
        done = ", ".join(f"{count} {what}" for what, count in sorted(self.done.items()))
        lines = [f"seed {self._seed}: {done}; {len(self.counter.acknowledged)} values"]
        transactions: dict[str, list[Transaction]] = {}
        for member in self.members():
            _, kind = member.reader.name.split("-", 1)
            transactions.setdefault(kind, []).extend(member.transactions)
        for kind, each in sorted(transactions.items()):
            counts = transaction_histories.outcomes(each)
            lines.append(f"{kind}: " + ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome))
        return "\n".join(lines)

    def _histories(self, members: Sequence[Member]) -> list[History]:
        """The commits of offsets, as those of members without transactions."""
        return [
            History(
                member.reader.name,
                place.stage.group,
                commits=[each.commit for each in member.transactions if each.commit is not None],
            )
            for member, (_, place) in zip(members, self.lives, strict=True)
        ]

    def _act(self) -> None:
        place = self._chance.choice(self._places)
        if place.life is None:
            self._start(place)
            return
        what = self._next_event()
        self.done[what] += 1
        if what == "leave":
            place.life.leave()
        elif what == "zombie":
            # It sleeps longer than its session, and finds its transactional id taken.
            place.life.pause(self._session_timeout_ms / 1000 + self._chance.uniform(0, 3))
            place.zombies.append(place.life)
            self._start(place)
        else:
            place.life.kill()
            place.life = None
            if what == "kill":
                self._start(place)

    def _next_event(self) -> str:
        """Each kind in its turn, shuffled. Whoever dies is not replaced before its place has its turn again."""
        if not self._events:
            self._events = ["kill", "kill", "zombie", "die", "leave"]
            self._chance.shuffle(self._events)
        return self._events.pop()

    def _look_after(self) -> None:
        """Resume zombies, and see who ended and why; who could not go on begins anew."""
        now = time.time()
        for place in self._places:
            for life in [*place.zombies, *([place.life] if place.life else [])]:
                if life.is_running and now > life.ends_by:
                    self.problems.append(f"{life.name} does not leave")
                    life.kill()
                    life.died = now
                if life.is_running:
                    if now > life.resumes:
                        life.resume()
                    continue
                self._bury(place, life)

    def _bury(self, place: Place, life: Life) -> None:
        status = life.process.returncode
        was_zombie = life in place.zombies
        if life.died > time.time():
            life.died = time.time()
            if status == CANNOT_GO_ON:
                self.done["fenced zombie" if was_zombie else "cannot go on"] += 1
            elif life.ends_by == inf or status not in (0, 143, -signal.SIGTERM):
                told = life.journal.with_suffix(".err").read_text()[-2000:]
                self.problems.append(f"{life.name} ended by itself with {status}: {told}")
        if was_zombie:
            place.zombies.remove(life)
            return
        place.life = None
        if status == CANNOT_GO_ON and life.ends_by == inf:
            self._start(place)

    def _start(self, place: Place) -> None:
        stage = place.stage
        name = f"{len(self.lives):03d}-{place.kind}"
        journal = self._path / f"{name}.jsonl"
        about = [
            stage.protocol,
            self._broker.bootstrap,
            stage.source,
            stage.topic,
            stage.group,
            place.transactional_id,
            str(journal),
            str(self._session_timeout_ms),
            f"{self._seed} {name}",
        ]
        if place.kind == "java":
            limit = str(TRANSACTION_TIMEOUT_MS)
            command = java("TransactingMember", *about, limit, classes=self._path / "classes", heap="96m")
        elif place.kind == "franz-go":
            command = [str(self._path / "franz-go"), *about, str(TRANSACTION_TIMEOUT_MS)]
        else:
            command = [sys.executable, "-m", "support.clients.transacting", *about]
        with journal.with_suffix(".err").open("wb") as stderr:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                env=os.environ | {"PYTHONPATH": str(_TESTS)},
            )
        place.life = Life(name, stage.group, journal, process)
        self.lives.append((place.life, place))
        self.done["start"] += 1

    def _restart_the_broker(self, end: Callable[[], object]) -> None:
        end()
        time.sleep(self._chance.uniform(0, 2))
        self._broker.start()
        self.done[f"broker {end.__name__}"] += 1


@contextlib.contextmanager
def linking(
    path: Path, broker: BrokerProcess, stages: Sequence[Stage], seed: int, session_timeout_ms: int
) -> Iterator[Chain]:
    """A chain that leaves no process behind."""
    chain = Chain(path, broker, stages, seed, session_timeout_ms)
    try:
        yield chain
    finally:
        chain.end()
