"""Kafka's own consumer reads a topic that was compacted."""

import time

from confluent_kafka import Producer
from support.apache_kafka import ApacheKafka
from support.kafka_tools import Tools
from support.log_files import TIMEOUT_S, create, read
from support.process import BrokerProcess

KEYS = 13
COMPACTED = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "segment.ms": "50"}
SHOWN = " ".join(f"--formatter-property print.{field}=true" for field in ("key", "offset"))


def test_the_console_consumer_reads_the_last_values_of_a_compacted_topic(
    server: BrokerProcess | ApacheKafka, run: Tools, name: str
) -> None:
    create(server.bootstrap, name, COMPACTED)
    producer = Producer({"bootstrap.servers": server.bootstrap})
    for round in range(10):
        for number in range(40):
            value = f"{round}.{number}" if number % 5 else None
            producer.produce(name, value, f"key-{number % KEYS}", partition=0)
        assert producer.flush(TIMEOUT_S) == 0
        time.sleep(0.06)  # the next round goes into another segment
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        producer.produce(name, "end", "end", partition=0)
        assert producer.flush(TIMEOUT_S) == 0
        there = read(server.bootstrap, name)
        keys = [record.key for record in there if record.key != b"end"]
        if len(set(keys)) == len(keys):
            break
        assert time.monotonic() < deadline, f"{len(keys)} records are left"
        time.sleep(0.2)

    consumed = run(f"kafka-console-consumer --topic {name} --from-beginning --timeout-ms 3000 {SHOWN}")

    shown = [
        f"Offset:{record.offset} {(record.key or b'').decode()} {(record.value or b'null').decode()}"
        for record in there
    ]
    assert consumed.lines[: len(shown)] == shown
    wanted = {f"key-{number % KEYS}": f"9.{number}" if number % 5 else "null" for number in range(40)}
    found = {key: value for _, key, value in map(str.split, consumed.lines) if key != "end"}
    assert {**wanted, **found} == wanted
    assert {key for key, value in wanted.items() if value != "null"} <= found.keys()
