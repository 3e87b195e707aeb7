"""kafka-python, as the conformance tests use it."""

import importlib.util
import itertools
import time
from collections.abc import Iterable, Sequence
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import KafkaError

from .contract import SESSION_TIMEOUT_MS, TIMEOUT_MS, TIMEOUT_S, Received, Record, Refused


def _received(records: Iterable[Any]) -> list[Received]:
    return [
        Received(r.partition, r.offset, r.timestamp, r.key, r.value, tuple((k, v) for k, v in r.headers))
        for r in records
    ]


class KafkaPythonProducer:
    def __init__(self, bootstrap: str, codec: str, idempotent: bool, request_bytes_max: int, block_ms: int) -> None:
        self._producer = KafkaProducer(
            bootstrap_servers=bootstrap,
            acks="all",
            compression_type=None if codec == "none" else codec,
            enable_idempotence=idempotent,
            max_request_size=request_bytes_max,
            max_block_ms=block_ms,
            request_timeout_ms=TIMEOUT_MS,
            delivery_timeout_ms=2 * TIMEOUT_MS,
            linger_ms=5,
            reconnect_backoff_max_ms=500,
        )
        self._futures: list[Any] = []

    def send(self, topic: str, record: Record) -> None:
        try:
            self._futures.append(
                self._producer.send(
                    topic,
                    record.value,
                    key=record.key,
                    headers=list(record.headers),
                    partition=record.partition,
                    timestamp_ms=record.timestamp_ms,
                )
            )
        except KafkaError as error:
            raise Refused(getattr(error, "errno", None), repr(error)) from error

    def flush(self) -> None:
        futures, self._futures = self._futures, []
        try:
            for future in futures:
                future.get(timeout=TIMEOUT_S)
        except KafkaError as error:
            raise Refused(getattr(error, "errno", None), repr(error)) from error

    def close(self) -> None:
        self._producer.close(timeout=TIMEOUT_S)


class _Count(ConsumerRebalanceListener):
    def __init__(self, consumer: "KafkaPythonConsumer") -> None:
        self._consumer = consumer

    def on_partitions_revoked(self, revoked: object) -> None:
        pass

    def on_partitions_assigned(self, assigned: object) -> None:
        self._consumer.rebalances += 1


class KafkaPythonConsumer:
    def __init__(self, topic: str, **settings: Any) -> None:
        self.rebalances = 0
        self._topic = topic
        self._consumer = KafkaConsumer(reconnect_backoff_max_ms=500, **settings)
        self._consumer.subscribe([topic], listener=_Count(self))

    def poll(self, timeout_s: float) -> list[Received]:
        polled = self._consumer.poll(timeout_ms=int(timeout_s * 1000))
        return [record for records in polled.values() for record in _received(records)]

    def assignment(self) -> frozenset[int]:
        return frozenset(at.partition for at in self._consumer.assignment())

    def commit(self) -> None:
        self._consumer.commit(timeout_ms=TIMEOUT_MS)

    def committed(self, partition: int) -> int | None:
        offset: int | None = self._consumer.committed(TopicPartition(self._topic, partition))
        return offset

    def seek(self, partition: int, offset: int) -> None:
        self._consumer.seek(TopicPartition(self._topic, partition), offset)

    def seek_to_beginning(self) -> None:
        self._consumer.seek_to_beginning()

    def offset_for_time(self, partition: int, timestamp_ms: int) -> int | None:
        at = TopicPartition(self._topic, partition)
        found = self._consumer.offsets_for_times({at: timestamp_ms})[at]
        return found and found.offset

    def close(self) -> None:
        self._consumer.close()


class KafkaPython:
    name = "kafka-python"

    def missing(self, codec: str = "none") -> str:
        if codec == "snappy" and importlib.util.find_spec("snappy") is None:
            return "kafka-python needs python-snappy for snappy"
        return ""

    def can_write(self, record: Record) -> bool:
        has_something = record.key is not None or record.value is not None
        return has_something and all(value is not None for _, value in record.headers)

    def open_producer(
        self,
        bootstrap: str,
        *,
        codec: str = "none",
        idempotent: bool = True,
        request_bytes_max: int = 1_000_000,
        murmur2: bool = False,
        block_ms: int = TIMEOUT_MS,
    ) -> KafkaPythonProducer:
        return KafkaPythonProducer(bootstrap, codec, idempotent, request_bytes_max, block_ms)

    def open_consumer(
        self,
        bootstrap: str,
        topic: str,
        group: str,
        *,
        auto_commit: bool = False,
        instance_id: str | None = None,
        session_timeout_ms: int = SESSION_TIMEOUT_MS,
        fetch_wait_ms: int = 500,
    ) -> KafkaPythonConsumer:
        return KafkaPythonConsumer(
            topic,
            bootstrap_servers=bootstrap,
            group_id=group,
            group_instance_id=instance_id,
            enable_auto_commit=auto_commit,
            auto_offset_reset="earliest",
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=500,
            fetch_max_wait_ms=fetch_wait_ms,
            partition_assignment_strategy=(RangePartitionAssignor,),
        )

    def produce(
        self,
        bootstrap: str,
        topic: str,
        records: Sequence[Record],
        *,
        codec: str = "none",
        idempotent: bool = True,
        request_bytes_max: int = 1_000_000,
    ) -> None:
        producer = self.open_producer(
            bootstrap, codec=codec, idempotent=idempotent, request_bytes_max=request_bytes_max
        )
        try:
            for record in records:
                producer.send(topic, record)
            producer.flush()
        finally:
            producer.close()

    def read(self, bootstrap: str, topic: str, count: int) -> list[Received]:
        consumer = KafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            auto_offset_reset="earliest",
            request_timeout_ms=TIMEOUT_MS,
            consumer_timeout_ms=TIMEOUT_MS,
        )
        try:
            return _received(itertools.islice(consumer, count))
        finally:
            consumer.close()

    def read_all(self, bootstrap: str, topic: str, isolation_level: str = "read_uncommitted") -> list[Received]:
        consumer = KafkaConsumer(bootstrap_servers=bootstrap, isolation_level=isolation_level, check_crcs=True)
        try:
            partition = TopicPartition(topic, 0)
            consumer.assign([partition])
            consumer.seek_to_beginning(partition)
            end = consumer.end_offsets([partition])[partition]
            received: list[Received] = []
            deadline = time.monotonic() + TIMEOUT_S
            while consumer.position(partition) < end:
                assert time.monotonic() < deadline, f"nothing came after {received[-1:]}, before {end}"
                received += _received(consumer.poll(timeout_ms=200).get(partition, []))
            return received
        finally:
            consumer.close()

    def brokers(self, bootstrap: str) -> list[tuple[str, int]]:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        try:
            return [(broker["host"], broker["port"]) for broker in admin.describe_cluster()["brokers"]]
        finally:
            admin.close()
