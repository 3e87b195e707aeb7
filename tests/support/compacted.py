"""The same batches for every broker into topics that are compacted, such that all but the last is cleaned."""

import random
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from support.apache_kafka import ApacheKafka
from support.log_files import HOUR_MS, TIMEOUT_S, read
from support.process import BrokerProcess

Server = BrokerProcess | ApacheKafka

COMPACTED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.01",
    "segment.bytes": str(2**20),
    "index.interval.bytes": "1000",
}
KAFKA_CLEANS = ("log.cleaner.backoff.ms=200", "log.initial.task.delay.ms=200", "log.segment.delete.delay.ms=0")
WE_CLEAN = ("-c", "log.cleaner.backoff.ms=200", "-c", "log.segment.delete.delay.ms=0")
PLAIN = {"enable.idempotence": False, "acks": 1, "max.in.flight": 1}
KEYS, BATCHES, BATCH = 60, 40, 20
FILLER, FILLER_BYTES = b"filler", 600_000  # a segment has room for one
START_MS = int(time.time() * 1000) - HOUR_MS


def connected(server: Server, **settings: Any) -> Producer:
    """A producer that makes one batch of what it has when it is flushed."""
    slow = {"linger.ms": 1000, "batch.num.messages": BATCH}
    return Producer({"bootstrap.servers": server.bootstrap, **slow, **settings})


def produce(producer: Producer, topic: str, seed: str, batches: int = BATCHES) -> None:
    """Write the same batches for the same seed, each acknowledged before the next; a tenth are tombstones."""
    chance = random.Random(f"{topic} {seed}")
    for number in range(batches):
        for _ in range(BATCH):
            value = chance.randbytes(chance.randint(1000, 3000)).hex().encode()
            producer.produce(
                topic,
                None if chance.random() < 0.1 else value,
                b"key %d" % chance.randrange(KEYS),
                partition=0,
                timestamp=START_MS + number * 1000 + chance.randint(0, 5000),
                headers=[("a", chance.randbytes(3)), ("b", None)][: chance.randint(0, 2)],
            )
        assert producer.flush(TIMEOUT_S) == 0


def end_segments(server: Server, topic: str) -> None:
    """Write what the records before it do not share a segment with."""
    producer = connected(server, **PLAIN)
    chance = random.Random(topic)
    for _ in range(2):
        value = chance.randbytes(FILLER_BYTES)
        producer.produce(topic, value, FILLER, partition=0, timestamp=START_MS + HOUR_MS // 2)
        assert producer.flush(TIMEOUT_S) == 0


def wait_until_clean(server: Server, topics: Iterable[str]) -> None:
    """Until each key is there once, and of the filler the one that is not to be cleaned, too."""
    deadline = time.monotonic() + TIMEOUT_S
    for topic in topics:
        while True:
            keys = Counter(record.key for record in read(server.bootstrap, topic))
            if keys.pop(FILLER) == 2 and set(keys.values()) == {1}:
                break
            assert time.monotonic() < deadline, f"{topic}: {keys.total()} records of {len(keys)} keys are left"
            time.sleep(0.2)


def configure(server: Server, topic: str, config: dict[str, str]) -> None:
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in config.items()
    ]
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
    (changed,) = admin.incremental_alter_configs([resource]).values()
    changed.result(TIMEOUT_S)
