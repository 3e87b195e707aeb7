"""A member of a chain in a process of its own: it consumes, produces, and commits both in one transaction.

Its journal says what it is about to do before it does it; see transaction_histories.py. Each batch is a transaction.
"""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from .counting import DEBUG, FileJournal

BATCH_MAX = 30
POLL_S = 0.2
WORK_S = 0.1
ABORTS = 0.15
CALL_TIMEOUT_S = 30.0
TRANSACTION_TIMEOUT_MS = 10_000
# A member that cannot go on says so with this status, and is started anew under the same transactional id.
CANNOT_GO_ON = 3

_T = TypeVar("_T")


def _error_of(error: KafkaException) -> KafkaError:
    found = error.args[0]
    assert isinstance(found, KafkaError)
    return found


class Member:
    """confluent-kafka, whose producer speaks version 1 of transactions."""

    def __init__(
        self, consumer: Consumer, producer: Producer, topic: str, journal: FileJournal, name: str, seed: str
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._topic = topic
        self._journal = journal
        self._name = name
        self._chance = random.Random(seed)
        self._number = 0
        self._batch: list[Message] = []

    def assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._journal.note(assigned=[at.partition for at in partitions])

    def revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """What was not processed yet is for somebody else."""
        gone = {at.partition for at in partitions}
        self._batch = [message for message in self._batch if message.partition() not in gone]

    def step(self) -> None:
        """Do one transaction, if there is anything to do. Raises KafkaException when it is over with this member."""
        self._collect()
        if not self._batch:
            return
        self._number += 1
        name = f"{self._name}/{self._number}"
        self._journal.note(begins=name, polled=[_polled(message) for message in self._batch])
        try:
            self._transact(name)
        except KafkaException as error:
            self._journal.note(refused=repr(error))
            if not _error_of(error).txn_requires_abort():
                raise
            self._abort()

    def patiently(self, call: Callable[..., _T], *arguments: Any) -> _T:
        """Call again as long as the error says that it may."""
        while True:
            try:
                return call(*arguments)
            except KafkaException as error:
                self._journal.note(error=f"{call.__name__}: {error!r}")
                if not _error_of(error).retriable():
                    raise

    def _collect(self) -> None:
        self._batch = []
        deadline = time.monotonic() + POLL_S
        while len(self._batch) < BATCH_MAX and (rest_s := deadline - time.monotonic()) > 0:
            message = self._consumer.poll(rest_s)
            if message is None:
                continue
            if error := message.error():
                self._journal.note(error=f"poll: {error}")
                if error.fatal():
                    raise KafkaException(error)
            else:
                self._batch.append(message)

    def _transact(self, name: str) -> None:
        fails_at = self._chance.choice(("produce", "offsets")) if self._chance.random() < ABORTS else ""
        self._producer.begin_transaction()
        offsets: dict[int, int] = {}
        for message in self._batch:
            partition, offset, value = message.partition(), message.offset(), message.value()
            assert partition is not None
            assert offset is not None
            self._producer.produce(self._topic, value, name, partition)
            offsets[partition] = offset + 1
        self._work()
        if fails_at == "produce":
            self._abort()
            return
        source = self._batch[0].topic()
        behind = [TopicPartition(source, partition, offset) for partition, offset in offsets.items()]
        metadata = self._consumer.consumer_group_metadata()
        self.patiently(self._producer.send_offsets_to_transaction, behind, metadata, CALL_TIMEOUT_S)
        self._work()
        if fails_at == "offsets":
            self._abort()
            return
        self._journal.note(commits=offsets)
        self.patiently(self._producer.commit_transaction, CALL_TIMEOUT_S)
        self._journal.note(committed=True)

    def _work(self) -> None:
        self._producer.poll(0)
        time.sleep(self._chance.uniform(0, WORK_S))

    def _abort(self) -> None:
        """Abort, and go back to what is committed. What was revoked meanwhile is positioned when it is assigned."""
        self.patiently(self._producer.abort_transaction, CALL_TIMEOUT_S)
        self._journal.note(aborted=True)
        source, read = self._batch[0].topic(), {message.partition() for message in self._batch}
        still = [at for at in self._consumer.assignment() if at.topic == source and at.partition in read]
        for at in self.patiently(self._consumer.committed, still, CALL_TIMEOUT_S):
            if at.error is not None:
                raise KafkaException(at.error)
            position = at.offset if at.offset >= 0 else OFFSET_BEGINNING
            self._consumer.seek(TopicPartition(at.topic, at.partition, position))


def _polled(message: Message) -> tuple[int | None, int | None, str, str]:
    value, key = message.value() or b"", message.key() or b""
    assert isinstance(value, bytes)
    assert isinstance(key, bytes)
    return message.partition(), message.offset(), value.decode(), key.decode()


def main(
    protocol: str,
    bootstrap: str,
    source: str,
    topic: str,
    group: str,
    transactional_id: str,
    path: str,
    session_timeout_ms: str,
    seed: str,
) -> int:
    is_over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: is_over.set())
    journal = FileJournal(path)
    both: dict[str, Any] = {
        "bootstrap.servers": bootstrap,
        "reconnect.backoff.max.ms": 500,
        "log_level": 2,
        # When all brokers are away librdkafka 2.16 forgets them, but not the group's coordinator, and
        # send_offsets_to_transaction waits for that one without an end (its issues 5511 and 5456).
        "metadata.recovery.strategy": "none",
    }
    if DEBUG in os.environ:
        both |= {"debug": os.environ[DEBUG], "log_level": 7}
    sessions: dict[str, Any] = {"group.protocol": protocol}
    if protocol == "classic":
        sessions |= {"session.timeout.ms": int(session_timeout_ms), "heartbeat.interval.ms": 500}
        sessions |= {"partition.assignment.strategy": "range"}
    consumer = Consumer(
        {
            **both,
            **sessions,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    producer = Producer(
        {
            **both,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
            "linger.ms": 1,
        }
    )
    member = Member(consumer, producer, topic, journal, Path(path).stem, seed)
    try:
        member.patiently(producer.init_transactions, CALL_TIMEOUT_S)
        consumer.subscribe([source], on_assign=member.assigned, on_revoke=member.revoked)
        journal.note(opened=transactional_id)
        while not is_over.is_set():
            member.step()
    except KafkaException as error:
        journal.note(error=f"cannot go on: {error!r}")
        return CANNOT_GO_ON
    finally:
        consumer.close()
    journal.note(closed=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
