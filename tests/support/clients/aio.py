"""aiokafka, as the conformance tests use it: each client in an event loop of its own, which runs while it is used."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError

from .contract import SESSION_TIMEOUT_MS, TIMEOUT_MS, TIMEOUT_S, Received, Record, Refused


def _received(records: Iterable[Any]) -> list[Received]:
    return [Received(r.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in records]


class AioProducer:
    def __init__(self, bootstrap: str, codec: str, idempotent: bool, request_bytes_max: int, block_ms: int) -> None:
        self._runner = asyncio.Runner()
        self._pending: list[asyncio.Future[Any]] = []

        async def start() -> AIOKafkaProducer:
            producer = AIOKafkaProducer(
                bootstrap_servers=bootstrap,
                acks="all",
                compression_type=None if codec == "none" else codec,
                enable_idempotence=idempotent,
                max_request_size=request_bytes_max,
                request_timeout_ms=block_ms,
                linger_ms=5,
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            return producer

        try:
            self._producer = self._runner.run(start())
        except BaseException:
            self._runner.close()
            raise

    def send(self, topic: str, record: Record) -> None:
        sending = self._producer.send(
            topic,
            record.value,
            key=record.key,
            headers=list(record.headers),
            partition=record.partition,
            timestamp_ms=record.timestamp_ms,
        )
        try:
            self._pending.append(self._runner.run(sending))
        except KafkaError as error:
            raise Refused(getattr(error, "errno", None), repr(error)) from error

    def flush(self) -> None:
        pending, self._pending = self._pending, []

        async def acknowledged() -> None:
            async with asyncio.timeout(TIMEOUT_S):
                await asyncio.gather(*pending)

        try:
            self._runner.run(acknowledged())
        except KafkaError as error:
            raise Refused(getattr(error, "errno", None), repr(error)) from error

    def close(self) -> None:
        try:
            self._runner.run(self._producer.stop())
        finally:
            self._runner.close()


class _Listener(ConsumerRebalanceListener):
    """Lets a rebalance wait for the records that were handed out, as aiokafka's documentation advises."""

    def __init__(self, consumer: "AioConsumer") -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: object) -> None:
        await self._consumer.is_done.wait()

    async def on_partitions_assigned(self, assigned: object) -> None:
        self._consumer.rebalances += 1


class AioConsumer:
    def __init__(self, topic: str, **settings: Any) -> None:
        self.rebalances = 0
        self.is_done = asyncio.Event()
        self._topic = topic
        self._runner = asyncio.Runner()

        async def start() -> AIOKafkaConsumer:
            consumer = AIOKafkaConsumer(**settings)
            consumer.subscribe([topic], listener=_Listener(self))
            self.is_done.set()
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            return consumer

        try:
            self._consumer = self._runner.run(start())
        except BaseException:
            self._runner.close()
            raise

    def poll(self, timeout_s: float) -> list[Received]:
        async def poll() -> list[Received]:
            self.is_done.set()
            polled = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000))
            received = [record for records in polled.values() for record in _received(records)]
            if received:
                self.is_done.clear()
            return received

        return self._runner.run(poll())

    def assignment(self) -> frozenset[int]:
        return frozenset(at.partition for at in self._consumer.assignment())

    def commit(self) -> None:
        async def commit() -> None:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await self._consumer.commit()
            finally:
                self.is_done.set()

        self._runner.run(commit())

    def committed(self, partition: int) -> int | None:
        return self._runner.run(self._consumer.committed(TopicPartition(self._topic, partition)))

    def seek(self, partition: int, offset: int) -> None:
        async def seek() -> None:
            self._consumer.seek(TopicPartition(self._topic, partition), offset)

        self._runner.run(seek())

    def seek_to_beginning(self) -> None:
        self._runner.run(self._consumer.seek_to_beginning())

    def offset_for_time(self, partition: int, timestamp_ms: int) -> int | None:
        at = TopicPartition(self._topic, partition)
        found = self._runner.run(self._consumer.offsets_for_times({at: timestamp_ms}))[at]
        return found and found.offset

    def close(self) -> None:
        async def close() -> None:
            self.is_done.set()
            await self._consumer.stop()

        try:
            self._runner.run(close())
        finally:
            self._runner.close()


class Aiokafka:
    name = "aiokafka"

    def missing(self, codec: str = "none") -> str:
        return ""

    def can_write(self, record: Record) -> bool:
        return record.key is not None or record.value is not None

    def open_producer(
        self,
        bootstrap: str,
        *,
        codec: str = "none",
        idempotent: bool = True,
        request_bytes_max: int = 1_000_000,
        murmur2: bool = False,
        block_ms: int = TIMEOUT_MS,
    ) -> AioProducer:
        return AioProducer(bootstrap, codec, idempotent, request_bytes_max, block_ms)

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
    ) -> AioConsumer:
        return AioConsumer(
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
        async def read() -> list[Received]:
            consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await consumer.start()
                    return _received([await consumer.getone() for _ in range(count)])
            finally:
                await consumer.stop()

        return asyncio.run(read())

    def read_all(self, bootstrap: str, topic: str, isolation_level: str = "read_uncommitted") -> list[Received]:
        async def read() -> list[Received]:
            consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level=isolation_level, check_crcs=True)
            received: list[Received] = []
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await consumer.start()
                    partition = TopicPartition(topic, 0)
                    consumer.assign([partition])
                    await consumer.seek_to_beginning(partition)
                    end = (await consumer.end_offsets([partition]))[partition]
                    while await consumer.position(partition) < end:
                        received += _received((await consumer.getmany(timeout_ms=200)).get(partition, []))
            finally:
                await consumer.stop()
            return received

        return asyncio.run(read())

    def brokers(self, bootstrap: str) -> list[tuple[str, int]]:
        async def describe() -> list[tuple[str, int]]:
            admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
            try:
                await admin.start()
                cluster = await admin.describe_cluster()
            finally:
                await admin.close()
            return [(broker["host"], broker["port"]) for broker in cluster["brokers"]]

        return asyncio.run(describe())
