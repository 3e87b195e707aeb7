"""confluent-kafka, which is librdkafka, as the conformance tests use it."""

import time
from collections.abc import Sequence
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from .contract import SESSION_TIMEOUT_MS, TIMEOUT_MS, TIMEOUT_S, Received, Record, Refused

# Errors that a consumer is told of and gets over by itself.
_PASSING = {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._PARTITION_EOF}


def _received(message: Any) -> Received:
    _, timestamp_ms = message.timestamp()
    return Received(
        message.partition(),
        message.offset(),
        timestamp_ms,
        message.key(),
        message.value(),
        tuple(message.headers() or ()),
    )


class ConfluentProducer:
    def __init__(self, settings: dict[str, Any]) -> None:
        self._producer = confluent_kafka.Producer(settings)
        self._errors: list[Any] = []

    def _delivered(self, error: Any, _: object) -> None:
        if error is not None:
            self._errors.append(error)

    def send(self, topic: str, record: Record) -> None:
        where = {} if record.partition is None else {"partition": record.partition}
        when = {} if record.timestamp_ms is None else {"timestamp": record.timestamp_ms}
        try:
            self._producer.produce(
                topic,
                record.value,
                record.key,
                headers=list(record.headers),
                on_delivery=self._delivered,
                **where,
                **when,
            )
        except KafkaException as error:
            raise Refused(error.args[0].code(), str(error)) from error

    def flush(self) -> None:
        left = self._producer.flush(TIMEOUT_S)
        errors, self._errors = self._errors, []
        for error in errors:
            raise Refused(error.code(), error.str())
        if left:
            raise Refused(None, f"{left} records were not acknowledged")

    def close(self) -> None:
        self._producer.purge()
        self._producer.flush(TIMEOUT_S)


class ConfluentConsumer:
    """One record per poll, so that no rebalance lies between a record and its commit."""

    def __init__(self, topic: str, settings: dict[str, Any]) -> None:
        self.rebalances = 0
        self._topic = topic
        self._consumer = confluent_kafka.Consumer(settings)
        self._consumer.subscribe([topic], on_assign=self._assigned)

    def _assigned(self, *_: object) -> None:
        self.rebalances += 1

    def poll(self, timeout_s: float) -> list[Received]:
        message = self._consumer.poll(timeout_s)
        if message is None:
            return []
        if message.error() is not None:
            if message.error().code() in _PASSING:
                return []
            raise KafkaException(message.error())
        return [_received(message)]

    def assignment(self) -> frozenset[int]:
        return frozenset(at.partition for at in self._consumer.assignment())

    def commit(self) -> None:
        for at in self._consumer.commit(asynchronous=False):
            if at.error is not None:
                raise KafkaException(at.error)

    def committed(self, partition: int) -> int | None:
        (at,) = self._consumer.committed([TopicPartition(self._topic, partition)], TIMEOUT_S)
        return at.offset if at.offset >= 0 else None

    def seek(self, partition: int, offset: int) -> None:
        self._consumer.seek(TopicPartition(self._topic, partition, offset))

    def seek_to_beginning(self) -> None:
        for at in self._consumer.assignment():
            self.seek(at.partition, confluent_kafka.OFFSET_BEGINNING)

    def offset_for_time(self, partition: int, timestamp_ms: int) -> int | None:
        asked = TopicPartition(self._topic, partition, timestamp_ms)
        (at,) = self._consumer.offsets_for_times([asked], TIMEOUT_S)
        return at.offset if at.offset >= 0 else None

    def close(self) -> None:
        self._consumer.close()


class Confluent:
    name = "confluent-kafka"

    def missing(self, codec: str = "none") -> str:
        return ""

    def can_write(self, record: Record) -> bool:
        return record.timestamp_ms != 0  # to librdkafka that is now

    def open_producer(
        self,
        bootstrap: str,
        *,
        codec: str = "none",
        idempotent: bool = True,
        request_bytes_max: int = 1_000_000,
        murmur2: bool = False,
        block_ms: int = TIMEOUT_MS,
    ) -> ConfluentProducer:
        return ConfluentProducer(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "compression.codec": codec,
                "enable.idempotence": idempotent,
                "message.max.bytes": request_bytes_max,
                "partitioner": "murmur2_random" if murmur2 else "consistent_random",
                "topic.metadata.propagation.max.ms": block_ms,
                "reconnect.backoff.max.ms": 500,
                "log_level": 2,
            }
        )

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
    ) -> ConfluentConsumer:
        static = {} if instance_id is None else {"group.instance.id": instance_id}
        return ConfluentConsumer(
            topic,
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "enable.auto.commit": auto_commit,
                "auto.offset.reset": "earliest",
                "session.timeout.ms": session_timeout_ms,
                "heartbeat.interval.ms": 500,
                "fetch.wait.max.ms": fetch_wait_ms,
                "partition.assignment.strategy": "range",
                "reconnect.backoff.max.ms": 500,
                "log_level": 2,
                **static,
            },
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
        consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False, "log_level": 2}
        )
        try:
            partitions = consumer.list_topics(topic, TIMEOUT_S).topics[topic].partitions
            consumer.assign([TopicPartition(topic, p, confluent_kafka.OFFSET_BEGINNING) for p in partitions])
            received: list[Received] = []
            deadline = time.monotonic() + TIMEOUT_S
            while len(received) < count:
                assert time.monotonic() < deadline, f"{len(received)} of {count} records in {TIMEOUT_S} s"
                for message in consumer.consume(count - len(received), 0.2):
                    if message.error() is not None:
                        raise KafkaException(message.error())
                    received.append(_received(message))
            return received
        finally:
            consumer.close()

    def read_all(self, bootstrap: str, topic: str, isolation_level: str = "read_uncommitted") -> list[Received]:
        consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "none",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": isolation_level,
                "check.crcs": True,
                "log_level": 2,
            }
        )
        try:
            _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), TIMEOUT_S)
            consumer.assign([TopicPartition(topic, 0, confluent_kafka.OFFSET_BEGINNING)])
            received: list[Received] = []
            # Nothing comes of the markers of transactions but the news that there is no more.
            while not received or received[-1].offset < end - 1:
                message = consumer.poll(TIMEOUT_S)
                assert message is not None, f"nothing came after {received[-1:]}"
                if message.error() is None:
                    received.append(_received(message))
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    break
                elif message.error().code() not in _PASSING:
                    raise KafkaException(message.error())
            return received
        finally:
            consumer.close()

    def brokers(self, bootstrap: str) -> list[tuple[str, int]]:
        admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
        return [(broker.host, broker.port) for broker in admin.list_topics(timeout=TIMEOUT_S).brokers.values()]


def create_topic(bootstrap: str, topic: str, partitions: int, **configs: str) -> None:
    """``configs``: the topic's settings, with underscores in the place of the dots."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
    settings = {name.replace("_", "."): value for name, value in configs.items()}
    wanted = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=settings)
    admin.create_topics([wanted])[topic].result(TIMEOUT_S)
