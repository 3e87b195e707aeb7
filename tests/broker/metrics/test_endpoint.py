"""Metrics over HTTP: what Prometheus gets, and what becomes of a wrong address."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.calls import batch, delete_records, make_topic, produce
from support.process import BrokerProcess, running
from support.wire import Wire

Metrics = dict[tuple[str, str, str], float]
LISTENER = "barnabas.metrics.listener"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with running(tmp_path_factory.mktemp("serving") / "data", "-c", f"{LISTENER}=127.0.0.1:0") as broker:
        yield broker


def url(broker: BrokerProcess) -> str:
    found = re.search(r"metrics on (http://\S+)", broker.log.read_text())
    assert found is not None
    return found[1]


def scrape(broker: BrokerProcess) -> Metrics:
    """By name, topic and partition."""
    with urlopen(url(broker), timeout=20) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        text = answer.read().decode()
    return {
        (sample.name, sample.labels.get("topic", ""), sample.labels.get("partition", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_log_that_is_open_tells_its_size_and_offsets(serving: BrokerProcess) -> None:
    before = scrape(serving)
    with Wire(serving.port) as wire:
        topic = make_topic(wire, partitions=3)
        for _ in range(4):
            produce(wire, topic, batch())
        delete_records(wire, topic, 5)
    found = scrape(serving)
    of_topic = {(name, partition): value for (name, of, partition), value in found.items() if of == topic.name}
    size = (serving.data_dir / f"{topic.name}-0" / f"{0:020d}.log").stat().st_size
    assert of_topic == {
        ("kafka_log_log_size", "0"): size,
        ("kafka_log_log_numlogsegments", "0"): 1,
        ("kafka_log_log_logstartoffset", "0"): 5,
        ("kafka_log_log_logendoffset", "0"): 12,
    }
    for name, more in (
        ("kafka_server_replicamanager_partitioncount", 3),
        ("kafka_server_replicamanager_leadercount", 3),
        ("kafka_controller_kafkacontroller_globaltopiccount", 1),
        ("kafka_controller_kafkacontroller_globalpartitioncount", 3),
        ("kafka_controller_kafkacontroller_offlinepartitionscount", 0),
    ):
        assert found[name, "", ""] == before[name, "", ""] + more, name
    assert found["kafka_controller_kafkacontroller_activecontrollercount", "", ""] == 1
    assert found["process_resident_memory_bytes", "", ""] > 10e6


def test_a_partition_whose_files_cannot_be_used_is_counted_and_named(serving: BrokerProcess) -> None:
    before = scrape(serving)
    with Wire(serving.port) as wire:
        topic = make_topic(wire)
        (serving.data_dir / f"{topic.name}-0").write_bytes(b"")
        produce(wire, topic, batch())
    found = scrape(serving)
    assert found["barnabas_partition_offline", topic.name, "0"] == 1
    for name, more in (
        ("kafka_server_replicamanager_offlinereplicacount", 1),
        ("kafka_controller_kafkacontroller_offlinepartitionscount", 1),
        ("kafka_server_replicamanager_leadercount", 0),
        ("kafka_server_replicamanager_partitioncount", 1),
    ):
        assert found[name, "", ""] == before[name, "", ""] + more, name


def test_many_may_ask_while_topics_come_and_go(serving: BrokerProcess) -> None:
    with ThreadPoolExecutor(8) as pool, Wire(serving.port) as wire:
        asked = [pool.submit(scrape, serving) for _ in range(40)]
        for _ in range(20):
            produce(wire, make_topic(wire, partitions=50), batch())
        assert all(one.result()["kafka_server_replicamanager_partitioncount", "", ""] for one in asked)


def test_without_an_address_nobody_is_served(broker: BrokerProcess) -> None:
    assert "metrics" not in broker.log.read_text()


def start(tmp_path: Path, address: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "barnabas", "--port", "0", "--data-dir", str(tmp_path / "data")]
    return subprocess.run(
        [*command, "-c", f"{LISTENER}={address}"], capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize(
    "address", ["9404", "localhost", "localhost:", "::1:http", ":65536", "http://localhost:9404"]
)
def test_what_is_no_address_is_refused(tmp_path: Path, address: str) -> None:
    ended = start(tmp_path, address)
    assert ended.returncode == 2
    assert f"{LISTENER}={address} (from -c) must be text, host:port or :port, or none" in ended.stderr


def test_an_address_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = start(tmp_path, f"127.0.0.1:{port}")
    assert ended.returncode == 1
    assert f"barnabas: cannot serve metrics on 127.0.0.1:{port}: Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr
