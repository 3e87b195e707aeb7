"""Transactions of the Python clients, and what consumers at read_committed see of them."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition as AioPartition
from confluent_kafka import Consumer, Producer, TopicPartition
from kafka import KafkaConsumer, KafkaProducer
from kafka.structs import TopicPartition as PythonPartition
from support.calls import fresh
from support.clients.confluent import create_topic
from support.clients.contract import TIMEOUT_MS, TIMEOUT_S
from support.process import BrokerProcess

PARTITIONS = 3
Transactions = list[tuple[bool, list[bytes]]]  # whether it is committed, and its values
# One after the other, on all partitions; the last values are committed, so that a reader knows when it has them all.
TRANSACTIONS: Transactions = [
    (number % 3 != 1, [b"%d:%d" % (number, i) for i in range(4 * PARTITIONS)]) for number in range(7)
]
COMMITTED = sorted(value for is_committed, values in TRANSACTIONS if is_committed for value in values)


def confluent_writes(bootstrap: str, topic: str, transactions: Transactions) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": topic})
    producer.init_transactions(30)
    for is_committed, values in transactions:
        producer.begin_transaction()
        for number, value in enumerate(values):
            producer.produce(topic, value, partition=number % PARTITIONS)
        producer.flush(30)
        (producer.commit_transaction if is_committed else producer.abort_transaction)(30)


def kafka_python_writes(bootstrap: str, topic: str, transactions: Transactions) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=topic)
    producer.init_transactions()
    for is_committed, values in transactions:
        producer.begin_transaction()
        for number, value in enumerate(values):
            producer.send(topic, value, partition=number % PARTITIONS)
        producer.flush()
        (producer.commit_transaction if is_committed else producer.abort_transaction)()
    producer.close()


def aiokafka_writes(bootstrap: str, topic: str, transactions: Transactions) -> None:
    async def write() -> None:
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=topic) as producer:
            for is_committed, values in transactions:
                await producer.begin_transaction()
                for number, value in enumerate(values):
                    await producer.send(topic, value, partition=number % PARTITIONS)
                await producer.flush()
                await (producer.commit_transaction() if is_committed else producer.abort_transaction())

    asyncio.run(write())


def confluent_reads(bootstrap: str, topic: str, count: int) -> Iterable[bytes]:
    settings = {"bootstrap.servers": bootstrap, "group.id": topic, "isolation.level": "read_committed"}
    consumer = Consumer(settings)
    try:
        consumer.assign([TopicPartition(topic, index, 0) for index in range(PARTITIONS)])
        messages = consumer.consume(count, timeout=TIMEOUT_S)
        return [message.value() or b"" for message in messages]
    finally:
        consumer.close()


def kafka_python_reads(bootstrap: str, topic: str, count: int) -> Iterable[bytes]:
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", consumer_timeout_ms=TIMEOUT_MS
    )
    try:
        partitions = [PythonPartition(topic, index) for index in range(PARTITIONS)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        return [next(consumer).value for _ in range(count)]
    finally:
        consumer.close()


def aiokafka_reads(bootstrap: str, topic: str, count: int) -> Iterable[bytes]:
    async def read() -> list[bytes]:
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed") as consumer:
            partitions = [AioPartition(topic, index) for index in range(PARTITIONS)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            return [(await asyncio.wait_for(consumer.getone(), TIMEOUT_S)).value for _ in range(count)]

    return asyncio.run(read())


WRITERS = [confluent_writes, kafka_python_writes, aiokafka_writes]
READERS = [confluent_reads, kafka_python_reads, aiokafka_reads]


@pytest.mark.parametrize("write", WRITERS, ids=["confluent", "kafka-python", "aiokafka"])
def test_what_is_aborted_is_read_by_nobody(broker: BrokerProcess, write: Callable[..., Any]) -> None:
    """Also after the broker was killed and has read its logs again."""
    topic = fresh("transactions")
    create_topic(broker.bootstrap, topic, PARTITIONS)
    write(broker.bootstrap, topic, TRANSACTIONS)
    for read in READERS:
        assert sorted(read(broker.bootstrap, topic, len(COMMITTED))) == COMMITTED
    broker.kill()
    broker.start()
    assert sorted(confluent_reads(broker.bootstrap, topic, len(COMMITTED))) == COMMITTED
