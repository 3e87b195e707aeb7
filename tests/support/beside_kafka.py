"""Topics of Apache Kafka and of Barnabas that are given the same, to compare what becomes of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from barnabas.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from barnabas.protocol.messages.produce import PartitionProduceResponse
from barnabas.protocol.records import BatchHeader, Record, headers, records

from .apache_kafka import ApacheKafka
from .calls import Topic, delete_records, fetch, fresh, make_topic, produce, wait_until
from .process import BrokerProcess, running
from .wire import Wire

LATEST, EARLIEST, MAX_TIMESTAMP = -1, -2, -3
SPECIAL = range(-6, 0)
LONG_AGO, FAR_AHEAD = 0, 2**62
# Kafka removes the segments that are wholly deleted when it looks for them, by default after five minutes.
SOON = ("log.retention.check.interval.ms=500", "log.initial.task.delay.ms=100")
# The connections live as long as the test session, and other tests run in between.
PATIENT = "connections.max.idle.ms=86400000"
PATIENCE_S = 30
# Timestamps may be old, and nothing is to go because of that.
KEPT = {"retention_ms": "-1"}


class Batch(NamedTuple):
    """A batch as a consumer is given it."""

    header: BatchHeader
    records: list[Record]


class Found(NamedTuple):
    """An answer of ListOffsets without its timestamp, which depends on the clock of the broker.

    ``is_dated``: the timestamp is that of the record at the offset; None when there is no timestamp.
    """

    error_code: int
    offset: int
    leader_epoch: int
    is_dated: bool | None


class Side:
    """One broker's topic. ``stamps``: the timestamp of every record it has had, by offset."""

    def __init__(self, broker: ApacheKafka | BrokerProcess, wire: Wire, name: str, **configs: str) -> None:
        self.wire = wire
        self.topic: Topic = make_topic(wire, name=name, **KEPT | configs)
        self.stamps: dict[int, int] = {}
        self._folder = broker.data_dir / f"{name}-0"
        # Kafka has made the topic before it leads the partition.
        wait_until(lambda: self.asked(LATEST).error_code == 0, PATIENCE_S)

    @property
    def segments(self) -> list[int]:
        return sorted(int(path.stem) for path in self._folder.glob("*.log"))

    def produce(self, sent: bytes) -> PartitionProduceResponse:
        return produce(self.wire, self.topic, bytes(sent))

    def batches(self) -> list[Batch]:
        """Return all there are, and take note of their timestamps."""
        found: list[Batch] = []
        offset = self.asked(EARLIEST).offset
        while data := bytes(fetch(self.wire, self.topic, offset).records):
            for position, header in headers(data):
                found.append(Batch(header, list(records(data[position : position + header.size_bytes]))))
            offset = found[-1].header.next_offset
        self.stamps |= {record.offset: record.timestamp for batch in found for record in batch.records}
        return found

    def asked(self, timestamp: int, isolation_level: int = 0) -> Found:
        partition = ListOffsetsPartition(partition_index=0, timestamp=timestamp, current_leader_epoch=-1)
        topic = ListOffsetsTopic(name=self.topic.name, partitions=[partition])
        request = ListOffsetsRequest(replica_id=-1, isolation_level=isolation_level, topics=[topic])
        (answered,) = self.wire.call(request, 11).topics
        (result,) = answered.partitions
        is_dated = None if result.timestamp == -1 else self.stamps[result.offset] == result.timestamp
        return Found(result.error_code, result.offset, result.leader_epoch, is_dated)

    def delete(self, offset: int) -> None:
        """Delete what lies before ``offset``, -1 for everything, and wait for the segments to go."""
        result = delete_records(self.wire, self.topic, offset)
        assert result.error_code == 0, (self.topic, result)
        wait_until(lambda: all(base > result.low_watermark for base in self.segments[1:]), PATIENCE_S)


class Pair(NamedTuple):
    """A topic by the same name on both sides."""

    kafka: Side
    ours: Side

    def produce(self, sent: bytes) -> None:
        """Append on both sides, at the same offset."""
        answers = [side.produce(sent) for side in self]
        assert [answer.error_code for answer in answers] == [0, 0], answers
        assert answers[0].base_offset == answers[1].base_offset

    def delete(self, offset: int) -> None:
        for side in self:
            side.delete(offset)

    def batches(self) -> tuple[list[Batch], list[Batch]]:
        return self.kafka.batches(), self.ours.batches()


class Both:
    """Apache Kafka and Barnabas, with a connection to each."""

    def __init__(self, kafka: ApacheKafka, ours: BrokerProcess, kafka_wire: Wire, wire: Wire) -> None:
        self.brokers = (kafka, ours)
        self._wires = (kafka_wire, wire)

    def make(self, **configs: str) -> Pair:
        name = fresh("beside")
        return Pair(
            *(Side(broker, wire, name, **configs) for broker, wire in zip(self.brokers, self._wires, strict=True))
        )

    @staticmethod
    @contextmanager
    def running(folder: Path) -> Iterator["Both"]:
        with (
            ApacheKafka.running(folder / "kafka", *SOON, PATIENT) as kafka,
            running(folder / "ours", "-c", PATIENT) as ours,
            Wire(kafka.port) as kafka_wire,
            Wire(ours.port) as wire,
        ):
            yield Both(kafka, ours, kafka_wire, wire)
