"""kill -9 under load: what was acknowledged is there after the restart, once and in order."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Message, Producer
from support.calls import Topic, batch, fetch_request, make_topic, produce_request
from support.load import (
    Acknowledged,
    Committer,
    IdempotentProducer,
    PlainProducer,
    Worker,
    label_of,
    numbers_by_producer,
    read_partition,
)
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.storage.catalog.sqlite import SqliteCatalog
from barnabas.storage.checkpoints import read_offsets
from barnabas.storage.clock import SystemClock
from barnabas.storage.journal import left_in
from barnabas.storage.layout import CATALOG_FILE, RECOVERY_POINTS_FILE

PARTITIONS = 3
DURABLE = ("-c", "barnabas.acknowledge.durable=true")
FLUSH_EACH = ("-c", "log.flush.interval.messages=1")
CHECKPOINT_OFTEN = ("-c", "log.flush.offset.checkpoint.interval.ms=150")

slow = pytest.mark.slow


class ConfluentProducer:
    """librdkafka with enable.idempotence, which retries by itself."""

    name = "confluent"

    def __init__(self, broker: BrokerProcess, topic: Topic, seed: int) -> None:
        self.acknowledged: list[Acknowledged] = []
        self._topic = topic.name
        self._random = random.Random(f"{seed} confluent")
        self._number = 0
        self._failures: list[KafkaError] = []
        self._producer = Producer(
            {
                "bootstrap.servers": broker.bootstrap,
                "enable.idempotence": True,
                "linger.ms": 1,
                "retry.backoff.ms": 20,
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 100,
                "log_level": 0,
            },
            error_cb=self._on_error,
        )

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._failures.append(error)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failures.append(error)
        else:
            value, partition, offset = message.value(), message.partition(), message.offset()
            assert isinstance(value, bytes)
            assert partition is not None
            assert offset is not None
            self.acknowledged.append(Acknowledged(partition, offset, label_of(value)))

    def send(self) -> None:
        """Send a little, unless too much is waiting."""
        while len(self._producer) < 50:
            value = b"confluent %d " % self._number + bytes(self._random.choice((0, 100, 5000)))
            self._producer.produce(
                self._topic, value, partition=self._number % PARTITIONS, on_delivery=self._delivered
            )
            self._number += 1
        self._producer.poll(0.005)

    def finish(self) -> None:
        """Have everything delivered."""
        assert self._producer.flush(60) == 0
        assert self._failures == []


class Load:
    """A broker, its clients, and what they know."""

    def __init__(self, path: Path, seed: int, *arguments: str) -> None:
        self.path = path
        self.random = random.Random(seed)
        self.broker = BrokerProcess(path / "data", *CHECKPOINT_OFTEN, *arguments).start()
        with Wire(self.broker.port) as wire:
            self.topic = make_topic(wire, PARTITIONS, segment_bytes=str(2**20))
        port, topic = self.broker.port, self.topic
        self.committers = [Committer(f"group{n}", port, seed, topic) for n in range(2)]
        self.idempotent = [IdempotentProducer(f"idempotent{p}", port, seed, topic, p) for p in range(PARTITIONS)]
        self.plain = [PlainProducer(f"plain{n}", port, seed, topic, PARTITIONS) for n in range(2)]
        self.workers: list[Worker] = [*self.committers, *self.idempotent, *self.plain]
        self.confluent = ConfluentProducer(self.broker, self.topic, seed)
        for worker in self.workers:
            worker.start()

    def run(self, low_s: float = 0.05, high_s: float = 0.7) -> None:
        """Have the clients work for some random time; they go on until the next comparison."""
        for worker in self.workers:
            worker.go_on()
        started = time.monotonic()
        until = started + self.random.uniform(low_s, high_s)
        while time.monotonic() < until or (not self.is_under_way() and time.monotonic() < started + 20):
            self.confluent.send()

    def is_under_way(self) -> bool:
        """Say whether every client has got something done, which takes longer on a busy machine."""
        producers = [*self.idempotent, *self.plain, self.confluent]
        return all(producer.acknowledged for producer in producers) and all(
            committer.committed >= 0 for committer in self.committers
        )

    def finish(self) -> None:
        """Have all clients finish, and compare what they know with what is there."""
        for worker in self.workers:
            worker.ask_to_stop()
            worker.go_on()
        self.confluent.finish()
        for worker in self.workers:
            worker.stop()
        self.compare()

    def compare(self) -> None:
        """Raises AssertionError when a record or a commit that was acknowledged is not where it was said to be."""
        for worker in self.workers:
            worker.pause()
        producers = [*self.idempotent, *self.plain, self.confluent]
        acknowledged = {producer.name: list(producer.acknowledged) for producer in producers}
        with Wire(self.broker.port) as wire:
            ends = [0] * PARTITIONS
            for partition, offset, _ in (entry for entries in acknowledged.values() for entry in entries):
                ends[partition] = max(ends[partition], offset + 1)
            labels = [read_partition(wire, self.topic, partition, ends[partition]) for partition in range(PARTITIONS)]
            for committer in self.committers:
                assert committer.committed >= 0, f"{committer.name} did nothing"
                if not committer.is_alive():
                    committer.check(wire)
        for name, entries in acknowledged.items():
            assert entries, f"{name} did nothing"
            for partition, offset, label in entries:
                assert labels[partition][offset] == label, f"{name}: offset {offset} of partition {partition}"
        for partition in labels:
            for name, numbers in numbers_by_producer(partition).items():
                assert numbers == sorted(set(numbers)), f"{name} is out of order, or has records twice"

    def check_a_copy(self, number: int) -> None:
        """See that ``barnabas check`` finds no problem in what a kill left; in a copy, so as to change nothing."""
        copy = self.path / f"copy{number}"
        shutil.copytree(self.broker.data_dir, copy)
        check(copy)
        shutil.rmtree(copy)

    def lose_what_the_journal_has(self) -> int:
        """Take from the logs what they may lose with the power, and return how many bytes that is."""
        data_dir = self.broker.data_dir
        synced = read_offsets(data_dir / RECOVERY_POINTS_FILE)
        lost = 0
        for (_, partition), redo in left_in(data_dir).items():
            for path in (data_dir / f"{self.topic.name}-{partition}").glob("*.log"):
                content = bytearray(path.read_bytes())
                for tail in redo.tails():
                    position = content.find(tail.batches)
                    if position >= 0 and tail.base_offset >= synced.get((self.topic.name, partition), 0):
                        content[position : position + len(tail.batches)] = bytes(len(tail.batches))
                        lost += len(tail.batches)
                path.write_bytes(content)
        return lost

    def check_that_nothing_was_recovered(self) -> None:
        """Raises AssertionError when any start was not clean; each of those begins new leader epochs."""
        lines = self.broker.log.read_text().splitlines()
        assert [line for line in lines if " WARNING " in line or " ERROR " in line or "Traceback" in line] == []
        catalog = SqliteCatalog(self.broker.data_dir / CATALOG_FILE, SystemClock())
        assert [topic.leader_epoch for topic in catalog.topics()] == [0]
        catalog.close()

    def end(self) -> None:
        for worker in self.workers:
            worker.ask_to_stop()
            worker.go_on()
        if self.broker.is_running():
            self.broker.kill()


@pytest.fixture
def load(tmp_path: Path, seed: int, request: pytest.FixtureRequest) -> Iterator[Load]:
    load = Load(tmp_path, seed, *getattr(request, "param", ()))
    yield load
    load.end()


def check(data_dir: Path) -> None:
    """Raises AssertionError when there is a problem."""
    command = [sys.executable, "-m", "barnabas", "check", str(data_dir)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("load", "kills"),
    [
        pytest.param((), 3, id="as-it-comes-3"),
        pytest.param((), 20, id="as-it-comes-20", marks=slow),
        pytest.param(DURABLE, 1, id="durable-1"),
        pytest.param(DURABLE, 20, id="durable-20", marks=slow),
        pytest.param(FLUSH_EACH, 1, id="flush-each-1"),
        pytest.param(FLUSH_EACH, 20, id="flush-each-20", marks=slow),
    ],
    indirect=["load"],
)
def test_what_was_acknowledged_survives_a_kill_once_and_in_order(load: Load, kills):
    load.run(0.5, 0.7)
    for number in range(kills):
        load.run()
        load.broker.kill()
        load.check_a_copy(number)
        load.broker.start()
        load.compare()
    load.run()
    load.finish()
    assert load.broker.stop() == 0
    check(load.broker.data_dir)


@pytest.mark.parametrize(("load", "kills"), [(DURABLE, 2), pytest.param(DURABLE, 20, marks=slow)], indirect=["load"])
def test_what_the_journal_has_need_not_be_in_the_logs(load: Load, kills):
    load.run(0.5, 0.7)
    lost = 0
    for _ in range(kills):
        load.run()
        load.broker.kill()
        lost += load.lose_what_the_journal_has()
        load.broker.start()
        load.compare()
    assert lost > 1000
    load.finish()
    assert load.broker.stop() == 0
    check(load.broker.data_dir)


@pytest.mark.parametrize("stops", [2, pytest.param(20, marks=slow)])
def test_a_graceful_stop_under_load_loses_nothing_and_leaves_nothing_to_recover(load: Load, stops):
    load.run(0.3, 0.5)
    for _ in range(stops):
        load.run()
        assert load.broker.stop() == 0
        check(load.broker.data_dir)
        load.broker.start()
        load.compare()
    load.finish()
    assert load.broker.stop() == 0
    check(load.broker.data_dir)
    load.check_that_nothing_was_recovered()


def test_a_second_signal_ends_the_broker_at_once_and_loses_nothing(load: Load):
    load.run(0.5, 0.6)
    with Wire(load.broker.port) as deaf:
        # Answers that nobody takes keep the first signal waiting.
        content = b"\0" * 500_000
        for number in range(4):
            deaf.call(produce_request(load.topic, (0, batch(b"deaf %d " % number + content))), 13)
        for _ in range(100):
            deaf.send(fetch_request((load.topic, 0, 0), max_bytes=2**24, partition_max_bytes=2**24), 13)
        os.kill(load.broker.pid, signal.SIGTERM)
        time.sleep(0.5)
        assert load.broker.is_running()
        began = time.monotonic()
        assert load.broker.stop() == 1
        assert time.monotonic() - began < 1
    load.check_a_copy(0)
    load.broker.start()
    load.finish()
    assert load.broker.stop() == 0
    check(load.broker.data_dir)


def test_a_restart_after_a_clean_stop_is_quick_and_changes_nothing(load: Load):
    load.run(0.5, 0.6)
    load.finish()
    assert load.broker.stop() == 0
    folders = sorted(load.broker.data_dir.glob(f"{load.topic.name}-*"))
    before = {path: path.read_bytes() for folder in folders for path in folder.iterdir()}
    began = time.monotonic()
    load.broker.start()
    assert time.monotonic() - began < 5
    load.compare()
    assert load.broker.stop() == 0
    after = {path: path.read_bytes() for folder in folders for path in folder.iterdir()}
    assert {path.name for path in before} >= {path.name for path in after}
    assert all(after[path] == before[path] for path in after if path.suffix == ".log")
    load.check_that_nothing_was_recovered()
