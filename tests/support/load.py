"""Clients that keep a broker busy while it is killed, and remember what it acknowledged."""

import random
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.group_offsets import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from barnabas.protocol.messages.produce import ProduceRequest
from barnabas.protocol.messages.producer_ids import InitProducerIdRequest
from barnabas.protocol.records import headers, records, verify

from .calls import Topic, batch, fetch_request, fetched, now_ms, produce_request
from .wire import Wire

RECONNECT_S = 0.02
GIVE_UP_S = 60
PAUSE_S = 0.003  # so that there is not too much to be read again after each kill
IN_FLIGHT = 5
PRODUCE_VERSION = 13


class Acknowledged(NamedTuple):
    """A record that is in the log, because the broker said so. ``label``: who sent it, and its number."""

    partition: int
    offset: int
    label: bytes


def label_of(value: bytes) -> bytes:
    """What tells one record from all others; the rest of a value is filling."""
    return value[: value.index(b" ", value.index(b" ") + 1)]


class Worker(threading.Thread, ABC):
    """One client. ``stop`` lets it finish what it has begun, with a broker that is there again."""

    def __init__(self, name: str, port: int, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self.port = port
        self.random = random.Random(f"{seed} {name}")
        self.acknowledged: list[Acknowledged] = []
        self.failure: BaseException | None = None
        self._stopping = threading.Event()
        self._may_go_on = threading.Event()
        self._may_go_on.set()

    @abstractmethod
    def work(self, wire: Wire) -> None:
        """Use a connection until it breaks, or until ``is_stopping`` and nothing is left to be done."""

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def run(self) -> None:
        try:
            gives_up = time.monotonic() + GIVE_UP_S
            while time.monotonic() < gives_up:
                try:
                    with Wire(self.port) as wire:
                        gives_up = time.monotonic() + GIVE_UP_S
                        self.work(wire)
                        return
                except OSError:
                    time.sleep(RECONNECT_S)
            raise AssertionError(f"{self.name}: the broker did not come back")
        except BaseException as error:
            self.failure = error

    def pause(self) -> None:
        self._may_go_on.clear()

    def go_on(self) -> None:
        self._may_go_on.set()

    def take_a_breath(self) -> None:
        """To be called after each piece of work."""
        time.sleep(PAUSE_S)
        self._may_go_on.wait(GIVE_UP_S)

    def ask_to_stop(self) -> None:
        self._stopping.set()

    def stop(self) -> None:
        """Raises what went wrong in the thread."""
        self.ask_to_stop()
        self.join(2 * GIVE_UP_S)
        assert not self.is_alive(), f"{self.name} does not end"
        if self.failure is not None:
            raise self.failure

    def value(self, number: int) -> bytes:
        return b"%s %d " % (self.name.encode(), number) + bytes(self.random.choice((0, 100, 5000, 30_000)))


class PlainProducer(Worker):
    """One batch at a time, never sent again: a batch whose answer did not come may be there or not."""

    def __init__(self, name: str, port: int, seed: int, topic: Topic, partitions: int) -> None:
        super().__init__(name, port, seed)
        self._topic = topic
        self._partitions = partitions
        self._number = 0

    def work(self, wire: Wire) -> None:
        while not self.is_stopping:
            partition = self._number % self._partitions
            values = [self.value(self._number + n) for n in range(self.random.randint(1, 3))]
            self._number += len(values)
            request = produce_request(self._topic, (partition, batch(*values, timestamp=now_ms())))
            (answered,) = wire.call(request, PRODUCE_VERSION).responses
            (result,) = answered.partition_responses
            assert result.error_code == 0, result
            offsets = range(result.base_offset, result.base_offset + len(values))
            self.acknowledged += map(Acknowledged, [partition] * len(values), offsets, map(label_of, values))
            self.take_a_breath()


class Sent(NamedTuple):
    """A batch of an idempotent producer that waits for its answer."""

    values: list[bytes]
    content: bytes


class IdempotentProducer(Worker):
    """Five batches in flight to one partition; all that are not answered are sent again, which must go well."""

    def __init__(self, name: str, port: int, seed: int, topic: Topic, partition: int) -> None:
        super().__init__(name, port, seed)
        self._topic = topic
        self._partition = partition
        self._producer_id = -1
        self._number = 0
        self._unanswered: deque[Sent] = deque()

    def work(self, wire: Wire) -> None:
        if self._producer_id < 0:
            answer = wire.call(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1), 4)
            assert answer.error_code == 0, answer
            self._producer_id = answer.producer_id
        for sent in self._unanswered:
            wire.send(self._request(sent), PRODUCE_VERSION)
        while self._unanswered or not self.is_stopping:
            while len(self._unanswered) < IN_FLIGHT and not self.is_stopping:
                self._unanswered.append(self._next())
                wire.send(self._request(self._unanswered[-1]), PRODUCE_VERSION)
            if self._unanswered:
                self._take_answer(wire)
                self.take_a_breath()

    def _next(self) -> Sent:
        values = [self.value(self._number + n) for n in range(self.random.randint(1, 3))]
        content = batch(
            *values,
            timestamp=now_ms(),
            producer_id=self._producer_id,
            producer_epoch=0,
            base_sequence=self._number,
        )
        self._number += len(values)
        return Sent(values, content)

    def _request(self, sent: Sent) -> ProduceRequest:
        return produce_request(self._topic, (self._partition, sent.content))

    def _take_answer(self, wire: Wire) -> None:
        (answered,) = wire.receive(ProduceRequest, PRODUCE_VERSION).responses
        (result,) = answered.partition_responses
        assert result.error_code == 0, result
        values = self._unanswered.popleft().values
        offsets = range(result.base_offset, result.base_offset + len(values))
        labels = map(label_of, values)
        self.acknowledged += map(Acknowledged, [self._partition] * len(values), offsets, labels)


class Committer(Worker):
    """Commits one offset after the other for a group; none that was acknowledged may ever be lost."""

    def __init__(self, name: str, port: int, seed: int, topic: Topic) -> None:
        super().__init__(name, port, seed)
        self._topic = topic
        self.committed = -1
        self._tried = -1

    def work(self, wire: Wire) -> None:
        self.check(wire)
        while not self.is_stopping:
            self._tried += 1
            partition = OffsetCommitRequestPartition(
                partition_index=0, committed_offset=self._tried, committed_metadata=""
            )
            topic = OffsetCommitRequestTopic(name=self._topic.name, partitions=[partition])
            request = OffsetCommitRequest(
                group_id=self.name, generation_id_or_member_epoch=-1, member_id="", topics=[topic]
            )
            (answered,) = wire.call(request, 8).topics
            error_code = answered.partitions[0].error_code
            if error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE:
                raise ConnectionError("the broker is about to stop, and says that another may be asked")
            assert error_code == 0, answered
            self.committed = self._tried
            self.take_a_breath()

    def check(self, wire: Wire) -> None:
        """Raises AssertionError when a commit that was acknowledged is not there."""
        topic = OffsetFetchRequestTopics(name=self._topic.name, partition_indexes=[0])
        request = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=self.name, topics=[topic])])
        (group,) = wire.call(request, 8).groups
        found = group.topics[0].partitions[0].committed_offset
        assert self.committed <= found <= self._tried, (self.committed, found, self._tried)


def read_partition(wire: Wire, topic: Topic, partition: int, end_offset: int = 0) -> list[bytes]:
    """The labels of all records of a partition, by offset; every batch must be sound.

    ``end_offset``: up to where there are records at least. After a crash a durable broker shows the last of them when
    they are on the disk again.
    """
    labels: list[bytes] = []
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline, f"partition {partition} ends at {len(labels)} and not at {end_offset}"
        request = fetch_request((topic, partition, len(labels)), max_bytes=2**22, partition_max_bytes=2**22)
        (data,) = fetched(wire.call(request, PRODUCE_VERSION))
        assert data.error_code == 0, data
        for offset, value in _records(bytes(data.records)):
            if offset >= len(labels):
                assert offset == len(labels), "an offset is missing"
                labels.append(label_of(value))
        if len(labels) == data.high_watermark and len(labels) >= end_offset:
            return labels


def _records(content: bytes) -> Iterator[tuple[int, bytes]]:
    for position, header in headers(content):
        whole = memoryview(content)[position : position + header.size_bytes]
        verify(whole)
        for record in records(whole):
            assert record.value is not None
            yield record.offset, record.value


def numbers_by_producer(labels: list[bytes]) -> dict[str, list[int]]:
    """The numbers of the records of each producer, in the order of the log."""
    numbers: dict[str, list[int]] = {}
    for label in labels:
        name, number = label.split(b" ")
        numbers.setdefault(name.decode(), []).append(int(number))
    return numbers
