"""Partition folders that move: from Apache Kafka into Barnabas (``barnabas adopt``), and from Barnabas into Kafka."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from support.apache_kafka import CLUSTER_ID, ApacheKafka
from support.compacted import KAFKA_CLEANS, WE_CLEAN
from support.kafka_tools import Tools
from support.log_files import LATEST, TIMEOUT_S, Written, create, found_by_time, read, write
from support.moved_folders import adopt, check, copy, replace
from support.process import BrokerProcess, running

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
SMALL = {"segment.bytes": str(2**20), "index.interval.bytes": "1000"}
PLAIN = {"enable.idempotence": False, "acks": 1, "max.in.flight": 1}
APPEND_TIME = {"message.timestamp.type": "LogAppendTime"}
TOPICS = ("short", *CODECS, "plain", "append-time", "compacted", "transactional")
LEFT_OPEN = "left-open"
NOWHERE = (-1, -1)
STATES = ("stopped", "killed")
INTERNAL = ("__cluster_metadata", "__transaction_state")


class Known(NamedTuple):
    """What the first broker answered of each topic, and a copy of its data directory."""

    data_dir: Path
    records: dict[str, list[Written]]
    committed: dict[str, list[Written]]
    by_time: dict[str, dict[int, tuple[int, int]]]


def known(server: BrokerProcess | ApacheKafka, copy: Path) -> Known:
    """Ask for everything; the copy is made when the broker has ended."""
    at = server.bootstrap
    records = {topic: read(at, topic) for topic in TOPICS}
    committed = {topic: read(at, topic, "read_committed") for topic in TOPICS}
    return Known(copy, records, committed, {topic: found_by_time(at, topic, records[topic]) for topic in TOPICS})


def leave_only_the_log(folder: Path) -> None:
    """Without what can be made from the log: indexes, snapshots of producers, leader epochs."""
    for path in [*folder.glob("*index"), *folder.glob("*.snapshot"), folder / "leader-epoch-checkpoint"]:
        path.unlink()


def fill(server: BrokerProcess | ApacheKafka) -> None:
    at = server.bootstrap
    create(at, "short", SMALL)
    write(at, "short", 10)
    for codec in CODECS:
        create(at, codec, SMALL)
        write(at, codec, 2500, codec)
    create(at, "plain", SMALL)
    write(at, "plain", 1500, "lz4", **PLAIN)
    create(at, "append-time", SMALL | APPEND_TIME)
    write(at, "append-time", 1500, "gzip")
    create(at, "compacted", SMALL | {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"})
    write(at, "compacted", 3000, "lz4", keys=100)
    create(at, "transactional", SMALL)


def write_in_transactions(server: BrokerProcess | ApacheKafka, name: str) -> None:
    """One transaction that is committed, one that is not, one that is."""
    producer = Producer({"bootstrap.servers": server.bootstrap, "transactional.id": name})
    producer.init_transactions(TIMEOUT_S)
    for number, end in enumerate(
        (producer.commit_transaction, producer.abort_transaction, producer.commit_transaction)
    ):
        producer.begin_transaction()
        for _ in range(300):
            producer.produce("transactional", b"%d" % number * 1000, b"key", partition=0)
        producer.flush(TIMEOUT_S)
        end(TIMEOUT_S)


def leave_open(kafka: ApacheKafka) -> Producer:
    """A transaction that nobody ends while its producer is there, and a record behind it."""
    create(kafka.bootstrap, LEFT_OPEN, {})
    patient = {"transactional.id": LEFT_OPEN, "transaction.timeout.ms": 900_000}
    producer = Producer({"bootstrap.servers": kafka.bootstrap, **patient})
    producer.init_transactions(TIMEOUT_S)
    producer.begin_transaction()
    producer.produce(LEFT_OPEN, b"undecided", partition=0)
    assert producer.flush(TIMEOUT_S) == 0
    write(kafka.bootstrap, LEFT_OPEN, 1)
    return producer


def wait_until_compacted(server: BrokerProcess | ApacheKafka, written: int) -> None:
    """Until there are fewer records than offsets, and as many as a little before."""
    before = -1
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        left = len(read(server.bootstrap, "compacted"))
        if left == before and left < written:
            return
        assert time.monotonic() < deadline, f"{left} records are left"
        before = left
        time.sleep(1)


@pytest.fixture(scope="module")
def of_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Known]]:
    """What Apache Kafka wrote, from a stop and from a kill -9."""
    folder = tmp_path_factory.mktemp("of-kafka")
    with ApacheKafka.running(folder / "kafka", *KAFKA_CLEANS) as kafka:
        fill(kafka)
        write_in_transactions(kafka, "first")
        undecided = leave_open(kafka)
        read(kafka.bootstrap, "none")
        kafka.stop()
        found: dict[str, Known] = {}
        for state, end in (("stopped", kafka.stop), ("killed", kafka.kill)):
            kafka.start()
            for topic in ("none", "zstd", "append-time", "compacted"):
                write(kafka.bootstrap, topic, 500, "zstd", keys=100 if topic == "compacted" else 10**6)
            write_in_transactions(kafka, "second")
            wait_until_compacted(kafka, 3500)
            found[state] = known(kafka, folder / state)
            end()
            copy(kafka.data_dir, folder / state)
    undecided.purge()
    yield found
    shutil.rmtree(folder)


@pytest.fixture(scope="module", params=STATES)
def moved(
    request: pytest.FixtureRequest, of_kafka: dict[str, Known], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Known, BrokerProcess]]:
    """The partition folders of Apache Kafka, and a broker of ours that adopted a copy of them."""
    there = of_kafka[request.param]
    data_dir = tmp_path_factory.mktemp("adopted") / "data"
    data_dir.mkdir()
    for topic in TOPICS:
        copy(there.data_dir / f"{topic}-0", data_dir)
    adopted = adopt(data_dir)
    print(adopted.stdout, adopted.stderr)
    assert (adopted.returncode, len(adopted.stdout.splitlines())) == (0, len(TOPICS))
    with running(data_dir) as broker:
        yield there, broker
    assert check(data_dir).endswith("all is well\n")


def test_what_kafka_wrote_has_several_segments_and_leader_epochs(of_kafka: dict[str, Known]) -> None:
    for there in of_kafka.values():
        for topic in TOPICS[1:]:
            assert len(list((there.data_dir / f"{topic}-0").glob("*.log"))) > 1, topic
        assert len((there.data_dir / "none-0" / "leader-epoch-checkpoint").read_text().splitlines()) > 3
        assert len(there.committed["transactional"]) < len(there.records["transactional"])


@pytest.mark.parametrize("topic", TOPICS)
def test_every_record_of_kafka_is_consumed_as_kafka_wrote_it(moved: tuple[Known, BrokerProcess], topic: str) -> None:
    there, broker = moved
    assert read(broker.bootstrap, topic) == there.records[topic]


@pytest.mark.parametrize("topic", TOPICS)
def test_offsets_are_found_by_time_as_kafka_finds_them(moved: tuple[Known, BrokerProcess], topic: str) -> None:
    there, broker = moved
    expected = dict(there.by_time[topic])
    if topic == "compacted":  # of which Kafka finds nothing where the cleaner has left empty segments
        known = [(record.offset, record.timestamp_ms) for record in there.records[topic]]
        missed = [time_ms for time_ms, answer in expected.items() if time_ms >= 0 and answer == NOWHERE]
        expected |= {time_ms: next((found for found in known if found[1] >= time_ms), NOWHERE) for time_ms in missed}

    assert found_by_time(broker.bootstrap, topic, there.records[topic]) == expected


@pytest.mark.parametrize("topic", TOPICS)
def test_what_was_aborted_with_kafka_is_not_read(moved: tuple[Known, BrokerProcess], topic: str) -> None:
    there, broker = moved
    assert read(broker.bootstrap, topic, "read_committed") == there.committed[topic]


@pytest.mark.parametrize("topic", TOPICS)
def test_producing_goes_on_in_what_kafka_began(moved: tuple[Known, BrokerProcess], topic: str) -> None:
    there, broker = moved
    more = write(broker.bootstrap, topic, 10 if topic == "short" else 300, "lz4", keys=100)

    assert more[0].offset == there.by_time[topic][LATEST][0]
    assert read(broker.bootstrap, topic) == there.records[topic] + more


@pytest.mark.parametrize("state", STATES)
def test_a_whole_data_directory_of_kafka_is_adopted(of_kafka: dict[str, Known], state: str, tmp_path: Path) -> None:
    there = of_kafka[state]
    copy(there.data_dir, tmp_path / "data")

    adopted = adopt(tmp_path / "data")

    left = {line.split(":")[0] for line in adopted.stdout.splitlines() if ": left: " in line}
    print(adopted.stdout, adopted.stderr)
    assert (adopted.returncode, left) == (0, set(INTERNAL))
    with running(tmp_path / "data", "-c", "node.id=1") as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        assert admin.describe_cluster().result(TIMEOUT_S).cluster_id == CLUSTER_ID
        for topic in TOPICS:
            assert read(broker.bootstrap, topic) == there.records[topic]
    assert [line for line in check(tmp_path / "data").splitlines() if line.startswith("problem: ")] == []


@pytest.mark.parametrize("state", STATES)
def test_what_was_aborted_is_found_in_the_log_alone(of_kafka: dict[str, Known], state: str, tmp_path: Path) -> None:
    there = of_kafka[state]
    (tmp_path / "data").mkdir()
    copy(there.data_dir / "transactional-0", tmp_path / "data")
    leave_only_the_log(tmp_path / "data" / "transactional-0")
    assert adopt(tmp_path / "data").returncode == 0
    with running(tmp_path / "data") as broker:
        assert read(broker.bootstrap, "transactional", "read_committed") == there.committed["transactional"]
        assert read(broker.bootstrap, "transactional") == there.records["transactional"]
    assert check(tmp_path / "data").endswith("all is well\n")


@pytest.mark.parametrize("state", STATES)
def test_a_transaction_that_was_open_in_kafka_is_found_hanging_and_aborted(
    of_kafka: dict[str, Known], state: str, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    copy(of_kafka[state].data_dir / f"{LEFT_OPEN}-0", data_dir)
    assert adopt(data_dir).returncode == 0
    with running(data_dir) as broker:
        run = Tools(broker.bootstrap)
        undecided, behind = read(broker.bootstrap, LEFT_OPEN)
        assert read(broker.bootstrap, LEFT_OPEN, "read_committed") == []
        find = f"kafka-transactions find-hanging --topic {LEFT_OPEN} --max-transaction-timeout 0"
        (hanging,) = run(find).lines[1:]
        assert hanging.split()[:2] == [LEFT_OPEN, "0"]
        assert hanging.split()[5:7] == [str(undecided.offset), str(undecided.timestamp_ms)]

        aborted = run(f"kafka-transactions abort --topic {LEFT_OPEN} --partition 0 --start-offset {undecided.offset}")

        assert (aborted.status, aborted.errors) == (0, [])
        assert run(find).lines[1:] == []
        assert read(broker.bootstrap, LEFT_OPEN, "read_committed") == [behind]
    assert check(data_dir).endswith("all is well\n")


WITHOUT_INDEXES = "-without-indexes"


@pytest.fixture(scope="module")
def served_by_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Known, ApacheKafka]]:
    """Apache Kafka with the partitions of Barnabas in place of its own, twice: with and without indexes."""
    folder = tmp_path_factory.mktemp("of-barnabas")
    with running(folder / "ours", *WE_CLEAN) as broker:
        fill(broker)
        for name in ("first", "second"):
            write_in_transactions(broker, name)
        wait_until_compacted(broker, 3000)
        ours = known(broker, folder / "ours")
    with ApacheKafka.running(folder / "kafka") as kafka:
        for topic in TOPICS:
            config = SMALL | (APPEND_TIME if topic == "append-time" else {})
            create(kafka.bootstrap, topic, config)
            create(kafka.bootstrap, topic + WITHOUT_INDEXES, config)
        assert kafka.stop() == 143
        for topic in TOPICS:
            replace(folder / "ours" / f"{topic}-0", kafka.data_dir / f"{topic}-0")
            bare = kafka.data_dir / f"{topic}{WITHOUT_INDEXES}-0"
            replace(folder / "ours" / f"{topic}-0", bare)
            leave_only_the_log(bare)
        yield ours, kafka.start()
    shutil.rmtree(folder)


@pytest.mark.parametrize("suffix", ["", WITHOUT_INDEXES])
@pytest.mark.parametrize("topic", TOPICS)
def test_kafka_serves_what_barnabas_wrote(
    served_by_kafka: tuple[Known, ApacheKafka], topic: str, suffix: str
) -> None:
    ours, kafka = served_by_kafka
    # First, for a consumer is patient while Kafka, just started, does not know its leader epoch.
    assert read(kafka.bootstrap, topic + suffix) == ours.records[topic]
    assert read(kafka.bootstrap, topic + suffix, "read_committed") == ours.committed[topic]
    found = found_by_time(kafka.bootstrap, topic + suffix, ours.records[topic])
    if (
        topic == "compacted"
    ):  # Kafka finds nothing where a cleaner, its own or ours, has left a segment without records
        found = {time_ms: ours.by_time[topic][time_ms] if at == NOWHERE else at for time_ms, at in found.items()}
    assert found == ours.by_time[topic]

    # Kafka does not know which producer ids Barnabas has given out.
    more = write(kafka.bootstrap, topic + suffix, 300, "zstd", **PLAIN)

    assert more[0].offset == ours.by_time[topic][LATEST][0]
    assert read(kafka.bootstrap, topic + suffix) == ours.records[topic] + more
