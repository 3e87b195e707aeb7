"""``barnabas adopt``: partition folders that belong to no topic are served."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.calls import (
    Topic,
    batch,
    configure,
    described,
    fetch,
    make_topic,
    produce,
    produce_request,
    wait_until,
)
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.messages.metadata import MetadataRequest
from barnabas.protocol.messages.producer_ids import InitProducerIdRequest


def run(data_dir: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "barnabas", "adopt", str(data_dir)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Topic, Path]:
    """A topic with three partitions, all with records, and the data directory in which it lies."""
    data_dir = tmp_path / "elsewhere"
    with running(data_dir) as broker, Wire(broker.port) as wire:
        topic = make_topic(wire, partitions=3, name="orders")
        wire.call(produce_request(topic, (0, batch()), (1, batch()), (2, batch())), 13)
        wire.call(produce_request(topic, (0, batch())), 13)
    return topic, data_dir


def copy(source: Path, target: Path, *names: str) -> None:
    target.mkdir(exist_ok=True)
    for name in names:
        shutil.copytree(source / name, target / name)


def partition_counts(broker: BrokerProcess) -> dict[str, tuple[bytes, int]]:
    with Wire(broker.port) as wire:
        topics = wire.call(MetadataRequest(topics=None), 12).topics
        return {topic.name: (topic.topic_id, len(topic.partitions)) for topic in topics}


def test_a_topic_is_made_of_its_folders_and_keeps_its_id(tmp_path: Path, folders: tuple[Topic, Path]) -> None:
    topic, source = folders
    copy(source, tmp_path / "data", "orders-0", "orders-1")
    adopted = run(tmp_path / "data")
    assert (adopted.returncode, adopted.stdout) == (0, "orders: 2 partitions, 9 records\n")
    with running(tmp_path / "data") as broker, Wire(broker.port) as wire:
        assert partition_counts(broker) == {"orders": (topic.topic_id, 2)}
        assert fetch(wire, topic).high_watermark == 6
        assert produce(wire, topic, batch()).base_offset == 6
        assert "belong to no topic" not in broker.log.read_text()


def test_the_topic_grows_by_folders_that_come_later(tmp_path: Path, folders: tuple[Topic, Path]) -> None:
    topic, source = folders
    copy(source, tmp_path / "data", "orders-0")
    run(tmp_path / "data")
    copy(source, tmp_path / "data", "orders-2")
    assert run(tmp_path / "data").stdout == "orders: 1 partition, 3 records\n"
    with running(tmp_path / "data") as broker:
        assert partition_counts(broker) == {"orders": (topic.topic_id, 3)}


def test_a_lost_catalog_is_made_again(tmp_path: Path, folders: tuple[Topic, Path]) -> None:
    topic, source = folders
    for path in source.glob("catalog.sqlite*"):
        path.unlink()
    with running(source) as broker:
        assert partition_counts(broker) == {}
        assert "barnabas adopt" in broker.log.read_text()
    assert run(source).returncode == 0
    with running(source) as broker:
        assert partition_counts(broker) == {"orders": (topic.topic_id, 3)}


def test_a_new_catalog_takes_the_cluster_id_of_the_directory(tmp_path: Path, folders: tuple[Topic, Path]) -> None:
    _, source = folders
    known = (source / "meta.properties").read_text()
    for path in source.glob("catalog.sqlite*"):
        path.unlink()
    run(source)
    with running(source) as broker, Wire(broker.port) as wire:
        assert f"cluster.id={wire.call(MetadataRequest(topics=[]), 12).cluster_id}" in known


@pytest.mark.parametrize("has_snapshot", [True, False])
def test_nobody_gets_the_producer_id_of_an_old_producer(
    tmp_path: Path, folders: tuple[Topic, Path], has_snapshot: bool
) -> None:
    topic, source = folders
    with running(source) as broker, Wire(broker.port) as wire:
        numbers = {"producer_epoch": 0, "base_sequence": 0}
        assert not produce(wire, topic, batch(b"old", producer_id=7, **numbers)).error_code
        assert not produce(wire, topic, batch(b"odd", producer_id=2**63 - 1, **numbers)).error_code
    copy(source, tmp_path / "data", "orders-0")
    if not has_snapshot:
        for path in (tmp_path / "data" / "orders-0").glob("*.snapshot"):
            path.unlink()
    assert run(tmp_path / "data").returncode == 0
    with running(tmp_path / "data") as broker, Wire(broker.port) as wire:
        assert wire.call(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1), 4).producer_id == 8


def test_damage_is_cut_off_as_after_a_crash(tmp_path: Path, folders: tuple[Topic, Path]) -> None:
    _, source = folders
    copy(source, tmp_path / "data", "orders-0")
    log = tmp_path / "data" / "orders-0" / f"{0:020}.log"
    log.write_bytes(log.read_bytes()[:-1])
    assert run(tmp_path / "data").stdout == "orders: 1 partition, 3 records\n"


def test_what_cannot_be_a_topic_is_left(tmp_path: Path, folders: tuple[Topic, Path]) -> None:
    _, source = folders
    data_dir = tmp_path / "data"
    copy(source, data_dir, "orders-0")
    (data_dir / "orders-0").rename(data_dir / "__transaction_state-0")
    adopted = run(data_dir)
    assert (adopted.returncode, adopted.stdout.count(": left: ")) == (0, 1)
    copy(source, data_dir, "orders-0")
    (data_dir / "orders-0").rename(data_dir / "a b-0")
    adopted = run(data_dir)
    assert adopted.returncode == 1
    assert len(adopted.stdout.splitlines()) == 2
    assert all(": left: " in line for line in adopted.stdout.splitlines())


def test_folders_of_two_topics_of_one_name_are_left(tmp_path: Path, folders: tuple[Topic, Path]) -> None:
    _, source = folders
    copy(source, tmp_path / "data", "orders-0", "orders-1")
    (tmp_path / "data" / "orders-1" / "partition.metadata").write_text(
        "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\n"
    )
    adopted = run(tmp_path / "data")
    assert (adopted.returncode, adopted.stdout.count("different topics")) == (1, 1)


def test_nothing_is_done_where_there_is_nothing_to_do(tmp_path: Path, folders: tuple[Topic, Path]) -> None:
    adopted = run(folders[1])
    assert (adopted.returncode, adopted.stdout) == (0, "every partition folder belongs to a topic already\n")


def test_a_directory_in_use_and_no_directory_are_refused(tmp_path: Path) -> None:
    with running(tmp_path / "data"):
        adopted = run(tmp_path / "data")
        assert (adopted.returncode, "in use" in adopted.stderr) == (2, True)
    assert run(tmp_path / "nowhere").returncode == 2
    assert not (tmp_path / "nowhere").exists()


def test_nothing_goes_of_what_was_adopted_until_somebody_says_so(tmp_path: Path) -> None:
    source = tmp_path / "elsewhere"
    with running(source) as broker, Wire(broker.port) as wire:
        topic = make_topic(wire, name="old", segment_bytes=str(2**20))
        for _ in range(4):
            produce(wire, topic, batch(b"x" * 600_000, timestamp=1000))
    copy(source, tmp_path / "data", "old-0")
    adopted = run(tmp_path / "data")
    assert "retention.ms=-1" in adopted.stderr
    often = ("-c", "log.retention.check.interval.ms=50", "-c", "log.segment.delete.delay.ms=0")
    with running(tmp_path / "data", *often, "-c", "log.retention.bytes=1000") as broker, Wire(broker.port) as wire:
        kept = described(wire, 2, "old")
        assert [kept[name].value for name in ("cleanup.policy", "retention.ms", "retention.bytes")] == [
            "delete",
            "-1",
            "-1",
        ]
        assert fetch(wire, topic).log_start_offset == 0
        configure(wire, 2, "old", retention_ms="1000")
        wait_until(lambda: fetch(wire, topic, 4).log_start_offset == 4)
