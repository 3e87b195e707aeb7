"""Transactions of 100 records over 4 partitions, as one client commits them here and against Apache Kafka."""

import statistics
import tempfile
import time
from pathlib import Path

from bench import load
from bench.servers import ROUNDS, SECONDS, broker
from confluent_kafka import Producer
from support.apache_kafka import ApacheKafka, is_installed

RECORDS, PARTITIONS = 100, 4
WARM_UP_S = 10.0  # until Java has compiled what is used
FAST = ["-XX:TieredStopAtLevel=4", "-Xmx1g"]


def rate(bootstrap: str, warm_up_s: float) -> float:
    """Return how many transactions a producer commits in a second."""
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "bench", "linger.ms": 0})
    producer.init_transactions(60)
    run(producer, warm_up_s)
    return run(producer, SECONDS)


def run(producer: Producer, seconds: float) -> float:
    done, begin = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < seconds:
        producer.begin_transaction()
        for number in range(RECORDS):
            producer.produce("t", b"value", partition=number % PARTITIONS)
        producer.commit_transaction(60)
        done += 1
    return done / elapsed


def transactions() -> None:
    ours, theirs = [], []
    for number in range(ROUNDS):
        with broker() as process:
            load.create_topic(process.port, "t", PARTITIONS)
            ours.append(rate(process.bootstrap, 0.5))
        if is_installed():
            with tempfile.TemporaryDirectory() as folder:
                data_dir = Path(folder) / f"kafka-{number}"
                with ApacheKafka.running(data_dir, "transaction.state.log.num.partitions=1", jvm=FAST) as kafka:
                    load.create_topic(kafka.port, "t", PARTITIONS)
                    theirs.append(rate(kafka.bootstrap, WARM_UP_S))
    beside = "(make kafka fetches Apache Kafka to compare with)"
    if theirs:
        ratio = statistics.median(ours) / statistics.median(theirs)
        beside = f"ratio {ratio:5.2f} to Apache Kafka's {max(theirs):.0f}/s (target 0.5)"
    print(f"{'transactions of 100 records over 4':34} {max(ours):9.0f}/s   {beside}")
