"""Apache Kafka's DumpLogSegments over partitions with transactions: it finds in them what it finds in Kafka's own."""

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from support.apache_kafka import ApacheKafka
from support.calls import wait_until
from support.kafka_tools import Tools
from support.log_files import ABORTED, TIMEOUT_S, Aborted, Dumped, create, dump, read
from support.process import BrokerProcess, running

TOPIC = "mixed"
FOLDER = f"{TOPIC}-0"
SMALL = {"segment.bytes": str(2**20), "index.interval.bytes": "1000"}
VALUE_BYTES = 20_000
STEPS = 200
PLAIN = "plain"  # the producer that has no transactions
PATIENT = {"transaction.timeout.ms": 600_000}
NAMES = ("a", "b", "c", PLAIN)
STATES = ("kafka", "running", "stopped", "killed", "recovered")


class Ended(NamedTuple):
    """An aborted transaction as ``Aborted`` has it, its producer by name."""

    name: str
    first_offset: int
    last_offset: int
    last_stable_offset: int


@dataclass
class Expected:
    """What is to be in the partition. ``batches``: (name of the producer, base offset, marker)."""

    batches: list[tuple[str, int, str]] = field(default_factory=list)
    aborted: list[Ended] = field(default_factory=list)
    committed: list[int] = field(default_factory=list)
    open: dict[str, list[int]] = field(default_factory=dict)

    @property
    def end(self) -> int:
        return len(self.batches)

    @property
    def last_stable_offset(self) -> int:
        return min((offsets[0] for offsets in self.open.values()), default=self.end)

    def produced(self, name: str) -> None:
        if name == PLAIN:
            self.committed.append(self.end)
        else:
            self.open.setdefault(name, []).append(self.end)
        self.batches.append((name, self.end, ""))

    def ended(self, name: str, marker: str) -> None:
        offsets, last_offset = self.open.pop(name), self.end
        self.batches.append((name, last_offset, marker))
        if marker == "COMMIT":
            self.committed += offsets
        else:
            self.aborted.append(Ended(name, offsets[0], last_offset, self.last_stable_offset))


class Work:
    """Producers whose transactions cross, and what they have written; each record is a batch of its own."""

    def __init__(self, server: BrokerProcess | ApacheKafka) -> None:
        self.expected = Expected()
        self._chance = random.Random(22)
        create(server.bootstrap, TOPIC, SMALL)
        common = {"bootstrap.servers": server.bootstrap}
        self._producers = {
            name: Producer(common if name == PLAIN else {**common, "transactional.id": name, **PATIENT})
            for name in NAMES
        }
        for name in NAMES[:-1]:
            self._producers[name].init_transactions(TIMEOUT_S)
        self._consumer = Consumer({**common, "group.id": "any", "isolation.level": "read_uncommitted"})

    def go_on(self) -> None:
        """Take some steps; after the last one a transaction is open."""
        for _ in range(STEPS):
            name = self._chance.choice(NAMES)
            if name not in self.expected.open or self._chance.random() < 0.7:
                self._produce(name)
            else:
                self._end(name, self._chance.choice(("COMMIT", "ABORT")))
        self._produce("a")

    def _produce(self, name: str) -> None:
        producer = self._producers[name]
        if name != PLAIN and name not in self.expected.open:
            producer.begin_transaction()
        offsets: list[int] = []
        value = self._chance.randbytes(VALUE_BYTES // 2).hex().encode()
        producer.produce(TOPIC, value, partition=0, on_delivery=lambda _, message: offsets.append(message.offset()))
        producer.flush(TIMEOUT_S)
        assert offsets == [self.expected.end]
        self.expected.produced(name)

    def _end(self, name: str, marker: str) -> None:
        producer = self._producers[name]
        (producer.commit_transaction if marker == "COMMIT" else producer.abort_transaction)(TIMEOUT_S)
        self.expected.ended(name, marker)
        # Kafka answers before the marker is in the log.
        wait_until(lambda: self._end_offset() == self.expected.end, TIMEOUT_S)

    def _end_offset(self) -> int:
        return int(self._consumer.get_watermark_offsets(TopicPartition(TOPIC, 0), TIMEOUT_S)[1])


class State(NamedTuple):
    """What the tool found, what it should find, and the offsets that a read_committed consumer was given last."""

    dumped: Dumped
    expected: Expected
    read: list[int]


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, State]]:
    """A data directory of Kafka, and one of Barnabas at several times of its life."""
    folder = tmp_path_factory.mktemp("transaction-files")
    with ApacheKafka.running(folder / "kafka") as kafka, running(folder / "ours") as broker:
        yield {"kafka": of_kafka(kafka), **dict(life_of(broker))}
    shutil.rmtree(folder)


def of_kafka(kafka: ApacheKafka) -> State:
    work = Work(kafka)
    work.go_on()
    commit_with_kafkas_producer(kafka)
    found = committed(kafka)
    kafka.stop()
    return State(dump(kafka.data_dir), work.expected, found)


def life_of(broker: BrokerProcess) -> Iterator[tuple[str, State]]:
    work = Work(broker)
    work.go_on()
    commit_with_kafkas_producer(broker)
    found = committed(broker)
    yield "running", State(dump(broker.data_dir), deepcopy(work.expected), found)

    assert broker.stop() == 0
    yield "stopped", State(dump(broker.data_dir), deepcopy(work.expected), found)

    broker.start()
    work.go_on()
    found = committed(broker)
    broker.kill()
    yield "killed", State(dump(broker.data_dir), deepcopy(work.expected), found)

    broker.start()
    work.go_on()
    found = committed(broker)
    assert broker.stop() == 0
    yield "recovered", State(dump(broker.data_dir), work.expected, found)


def committed(server: BrokerProcess | ApacheKafka) -> list[int]:
    return [record.offset for record in read(server.bootstrap, TOPIC, "read_committed")]


def commit_with_kafkas_producer(server: BrokerProcess | ApacheKafka) -> None:
    create(server.bootstrap, "perf", {})
    sent = Tools(server.bootstrap)(
        "kafka-producer-perf-test --topic perf --num-records 200 --record-size 10 --throughput 200"
        " --transactional-id perf --transaction-duration-ms 100"
    )
    assert sent.status == 0, sent


def test_there_are_aborted_transactions_in_several_segments(states: dict[str, State]) -> None:
    for state in STATES:
        dumped, expected, _ = states[state]
        assert len([file for file in dumped.files if file.endswith(ABORTED)]) > 1
        crossed = [ended for ended in expected.aborted if ended.last_stable_offset <= ended.last_offset]
        assert 0 < len(crossed) < len(expected.aborted)


@pytest.mark.parametrize("state", STATES)
def test_kafka_has_no_complaint_about_any_file(states: dict[str, State], state: str) -> None:
    assert states[state].dumped.complaints == []


@pytest.mark.parametrize("state", STATES)
def test_kafka_sees_who_wrote_each_batch_and_how_transactions_end(states: dict[str, State], state: str) -> None:
    dumped, expected, _ = states[state]
    ids = producer_ids(states[state])

    assert len(set(ids.values())) == len(NAMES)
    assert [
        (batch.producer_id, batch.base_offset, batch.marker, batch.is_transactional)
        for batch in dumped.batches[FOLDER]
    ] == [(ids[name], offset, marker, name != PLAIN) for name, offset, marker in expected.batches]


@pytest.mark.parametrize("state", STATES)
def test_kafka_sees_the_aborted_transactions(states: dict[str, State], state: str) -> None:
    dumped, expected, _ = states[state]
    ids = producer_ids(states[state])

    assert dumped.aborted[FOLDER] == [Aborted(ids[name], *offsets) for name, *offsets in expected.aborted]


@pytest.mark.parametrize("state", STATES)
def test_what_was_committed_before_the_first_open_transaction_is_read(states: dict[str, State], state: str) -> None:
    _, expected, found = states[state]

    assert found == [offset for offset in sorted(expected.committed) if offset < expected.last_stable_offset]


@pytest.mark.parametrize("state", STATES)
def test_the_end_of_a_transaction_of_kafkas_producer_has_the_next_epoch(states: dict[str, State], state: str) -> None:
    # KIP-890, version 2.
    batches = states[state].dumped.batches["perf-0"]
    epochs = []
    for number, marker in enumerate(batch for batch in batches if batch.marker):
        assert (marker.marker, marker.producer_epoch) == ("COMMIT", number + 1)
        epochs.append(number)

    assert len(epochs) > 2
    assert sorted({batch.producer_epoch for batch in batches if not batch.marker}) == epochs


@pytest.mark.parametrize("state", STATES)
def test_nothing_is_aborted_where_everything_was_committed(states: dict[str, State], state: str) -> None:
    assert "perf-0" not in states[state].dumped.aborted


def producer_ids(state: State) -> dict[str, int]:
    """The producer id of each name, as the first of its batches has it."""
    written = {batch.base_offset: batch.producer_id for batch in state.dumped.batches[FOLDER]}
    return {name: written[offset] for name, offset, _ in reversed(state.expected.batches)}


def test_nothing_is_wrong_in_the_end(states: dict[str, State]) -> None:
    file = Path(states["recovered"].dumped.files[0])
    command = [sys.executable, "-m", "barnabas", "check", str(file.parents[1])]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    assert checked.stdout.endswith("all is well\n"), checked
