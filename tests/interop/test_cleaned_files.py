"""Compaction beside that of Apache Kafka: the same records stay, and each serves and cleans what the other has."""

import re
import shutil
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from support.apache_kafka import ApacheKafka
from support.compacted import (
    COMPACTED,
    KAFKA_CLEANS,
    PLAIN,
    WE_CLEAN,
    Server,
    configure,
    connected,
    end_segments,
    produce,
    wait_until_clean,
)
from support.log_files import TIMEOUT_S, Dumped, Written, create, dump, read
from support.moved_folders import adopt, check, copy, replace
from support.process import BrokerProcess, running

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
AT_ONCE = {"delete.retention.ms": "0"}  # go tombstones and markers
APPEND_TIME = {"message.timestamp.type": "LogAppendTime"}
TOPICS: dict[str, dict[str, str]] = {
    **dict.fromkeys(CODECS, AT_ONCE),
    "tombstones": {},
    "plain": AT_ONCE,
    "append-time": APPEND_TIME | AT_ONCE,
    "transactional": {},
    "transactional-at-once": AT_ONCE,
}
FILLINGS = 4  # enough for what is cleaned with a delay of nothing to go
# Compacted logs have gaps.
GAP = re.compile(r"\s*(\d+) is followed by (\d+)")
TIME_MISMATCH = re.compile(r"Found timestamp mismatch in :(.*)")


def write(server: Server, topic: str, seed: str) -> None:
    if topic.startswith("transactional") and seed == "first":
        write_in_transactions(server, topic)
        return
    codec = topic if topic in CODECS else "lz4"
    # Later, Kafka does not know which producer ids Barnabas has given out.
    plain = PLAIN if topic == "plain" or seed != "first" else {"enable.idempotence": True}
    produce(connected(server, **{"compression.type": codec}, **plain), topic, seed)


def write_in_transactions(server: Server, topic: str) -> None:
    """Two producers whose transactions cross; every third is aborted, and all of the last."""
    producers = [connected(server, **{"transactional.id": f"{topic}-{name}"}) for name in "ab"]
    for producer in producers:
        producer.init_transactions(TIMEOUT_S)
    ends = 0
    for number in range(12):
        for producer in producers:
            producer.begin_transaction()
        for part in range(2):
            for name, producer in zip("ab", producers, strict=True):
                produce(producer, topic, f"{number} {part} {name}", 2)
        for producer in producers:
            ends += 1
            is_aborted = ends % 3 == 0 or number == 11
            (producer.abort_transaction if is_aborted else producer.commit_transaction)(TIMEOUT_S)
            # Kafka answers before the marker is in the log.
            time.sleep(0.1)


class Known(NamedTuple):
    """What a broker answers of each topic, its data directory, and what Kafka's tool finds there."""

    records: dict[str, list[Written]]
    committed: dict[str, list[Written]]
    data_dir: Path
    dumped: Dumped


def cleaned(server: Server, seed: str) -> tuple[dict[str, list[Written]], dict[str, list[Written]]]:
    """Write to all topics and have them cleaned; return what they have then, all of it and what is committed."""
    for topic in TOPICS:
        write(server, topic, seed)
    for _ in range(FILLINGS):
        for topic in TOPICS:
            end_segments(server, topic)
        wait_until_clean(server, TOPICS)
    at = server.bootstrap
    return {topic: read(at, topic) for topic in TOPICS}, {t: read(at, t, "read_committed") for t in TOPICS}


def stopped(server: Server, answers: tuple[dict[str, list[Written]], dict[str, list[Written]]]) -> Known:
    server.stop()
    return Known(*answers, server.data_dir, dump(server.data_dir))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    """What Barnabas has cleaned."""
    with running(tmp_path_factory.mktemp("ours") / "data", *WE_CLEAN) as broker:
        for topic, config in TOPICS.items():
            create(broker.bootstrap, topic, COMPACTED | config)
        yield stopped(broker, cleaned(broker, "first"))
    shutil.rmtree(broker.data_dir)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    """What Apache Kafka has cleaned."""
    with ApacheKafka.running(tmp_path_factory.mktemp("theirs") / "data", *KAFKA_CLEANS) as kafka:
        for topic, config in TOPICS.items():
            create(kafka.bootstrap, topic, COMPACTED | config)
        yield stopped(kafka, cleaned(kafka, "first"))
    shutil.rmtree(kafka.data_dir)


def complaints(known: Known) -> list[str]:
    gaps = (GAP.fullmatch(line) for line in known.dumped.complaints)
    return [
        line
        for line, gap in zip(known.dumped.complaints, gaps, strict=True)
        if gap is None or int(gap[1]) >= int(gap[2])
    ]


def folders_with_mismatches(known: Known) -> set[str]:
    found = [TIME_MISMATCH.fullmatch(line) for line in complaints(known)]
    assert None not in found, complaints(known)
    return {Path(match[1]).parent.name for match in found if match is not None}


def without_times(records: list[Written]) -> list[Written]:
    return [record._replace(timestamp_ms=0) for record in records]


def assert_same(topic: str, found: list[Written], wanted: list[Written]) -> None:
    """Records that two brokers were given; the time at which each took them is its own."""
    if topic == "append-time":
        found, wanted = without_times(found), without_times(wanted)
    assert [record.offset for record in found] == [record.offset for record in wanted]
    assert found == wanted


def test_there_is_something_to_compare(ours: Known) -> None:
    for topic in TOPICS:
        assert len(list((ours.data_dir / f"{topic}-0").glob("*.log"))) > 1
        assert any(after.offset > before.offset + 1 for before, after in pairwise(ours.records[topic]))
    assert any(record.value is None for record in ours.records["tombstones"])
    assert not any(record.value is None for record in ours.records["none"])


def test_kafka_has_no_complaint_about_any_cleaned_file(ours: Known) -> None:
    assert complaints(ours) == []


@pytest.mark.parametrize("topic", TOPICS)
def test_barnabas_keeps_the_records_that_kafka_keeps(ours: Known, theirs: Known, topic: str) -> None:
    assert_same(topic, ours.records[topic], theirs.records[topic])
    assert_same(topic, ours.committed[topic], theirs.committed[topic])


@pytest.mark.parametrize("topic", TOPICS)
def test_barnabas_keeps_the_batches_that_kafka_keeps(ours: Known, theirs: Known, topic: str) -> None:
    """Of those without records, too, which stand for the sequence of a producer."""
    folder = f"{topic}-0"
    kept, wanted = (
        [(batch.base_offset, batch.producer_epoch, batch.marker) for batch in known.dumped.batches[folder]]
        for known in (ours, theirs)
    )
    aborted, wanted_aborted = (
        [entry[1:] for entry in known.dumped.aborted.get(folder, [])] for known in (ours, theirs)
    )

    assert [batch for batch in wanted if batch not in kept] == []
    # Besides, a segment that we have cleaned has its last batch.
    segments = list((ours.data_dir / folder).glob("*.log"))
    more = [batch for batch in kept if batch not in wanted]
    assert {record.offset for record in ours.records[topic]}.isdisjoint(offset for offset, _, _ in more)
    assert len(more) < len(segments)
    assert aborted == wanted_aborted


@pytest.fixture(scope="module")
def ours_with_kafka(ours: Known, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """Apache Kafka with the partitions that Barnabas has cleaned in place of its own."""
    with ApacheKafka.running(tmp_path_factory.mktemp("with-kafka") / "data", *KAFKA_CLEANS) as kafka:
        for topic, config in TOPICS.items():
            create(kafka.bootstrap, topic, COMPACTED | config)
        kafka.stop()
        for topic in TOPICS:
            replace(ours.data_dir / f"{topic}-0", kafka.data_dir / f"{topic}-0")
        yield kafka.start()
    shutil.rmtree(kafka.data_dir)


@pytest.fixture(scope="module")
def theirs_with_us(theirs: Known, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """Barnabas, which has adopted what Kafka has cleaned."""
    data_dir = tmp_path_factory.mktemp("with-us") / "data"
    copy(theirs.data_dir, data_dir)
    adopted = adopt(data_dir)
    print(adopted.stdout, adopted.stderr)
    assert adopted.returncode == 0
    with running(data_dir, *WE_CLEAN, "-c", "node.id=1") as broker:
        for topic, config in TOPICS.items():
            configure(broker, topic, COMPACTED | config)  # which Kafka has in a log of its own
        yield broker
    shutil.rmtree(data_dir)


@pytest.mark.parametrize("topic", TOPICS)
def test_kafka_serves_what_barnabas_has_cleaned(ours: Known, ours_with_kafka: ApacheKafka, topic: str) -> None:
    assert read(ours_with_kafka.bootstrap, topic) == ours.records[topic]
    assert read(ours_with_kafka.bootstrap, topic, "read_committed") == ours.committed[topic]


@pytest.mark.parametrize("topic", TOPICS)
def test_barnabas_serves_what_kafka_has_cleaned(theirs: Known, theirs_with_us: BrokerProcess, topic: str) -> None:
    assert read(theirs_with_us.bootstrap, topic) == theirs.records[topic]
    assert read(theirs_with_us.bootstrap, topic, "read_committed") == theirs.committed[topic]


def test_each_cleans_again_what_the_other_has_cleaned(
    ours_with_kafka: ApacheKafka, theirs_with_us: BrokerProcess
) -> None:
    by_kafka = stopped(ours_with_kafka, cleaned(ours_with_kafka, "second"))
    by_us = stopped(theirs_with_us, cleaned(theirs_with_us, "second"))

    for topic in TOPICS:
        assert_same(topic, by_us.records[topic], by_kafka.records[topic])
        assert_same(topic, by_us.committed[topic], by_kafka.committed[topic])
    # The tool does not know that a batch without records may have a time, as the last of a producer has.
    assert folders_with_mismatches(by_us) <= folders_with_mismatches(by_kafka)
    said = ours_with_kafka.log.read_text()
    assert [line for line in said.splitlines() if "ERROR" in line or "uncleanable" in line] == []
    assert [line for line in check(by_us.data_dir).splitlines() if line.startswith("problem: ")] == []
