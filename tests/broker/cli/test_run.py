"""``barnabas`` as it is started from a shell: what it says when it is ready, and why it is not."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.messages.metadata import MetadataRequest

OURS = "4L6g3nShT-eMCtK--X86sw"


def environment(**variables: str) -> dict[str, str]:
    names = ("KAFKA_", "BARNABAS_", "CLUSTER_ID")
    return {name: value for name, value in os.environ.items() if not name.startswith(names)} | variables


@contextmanager
def started(folder: Path, *arguments: str, **variables: str) -> Iterator[str]:
    """Run it in ``folder`` and yield the line that it prints when it is ready."""
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "barnabas", *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=folder,
            env=environment(**variables),
        )
    assert process.stdout is not None
    try:
        yield process.stdout.readline()
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def failed(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "barnabas", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(**variables),
    )


def cluster_id(line: str) -> str:
    port = int(line.partition("localhost:")[2].split()[0])
    with Wire(port) as wire:
        return wire.call(MetadataRequest(topics=[]), 12).cluster_id  # type: ignore[no-any-return]


def test_the_line_that_says_ready_names_interfaces_and_an_absolute_path(tmp_path: Path) -> None:
    protocols = "listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT"
    with started(tmp_path, "--listeners", "A://:0,B://127.0.0.1:0", "-c", protocols) as line:
        _, _, rest = line.partition(" is ready on localhost:")
        port, _, rest = rest.partition(" (all interfaces), 127.0.0.1:")
        other, _, rest = rest.partition(";")
        assert int(port) != int(other)
        assert rest == f" data in {tmp_path / 'barnabas-data'}; Ctrl-C stops it\n"


def test_a_port_may_stand_in_the_environment(tmp_path: Path) -> None:
    with started(tmp_path, BARNABAS_PORT="0") as line:
        assert "ready on localhost:" in line
    (tmp_path / "log").write_text("")
    with started(tmp_path, "--port", "0", BARNABAS_PORT="tcp://10.96.0.17:9092") as line:
        assert "ready on localhost:" in line
        assert "BARNABAS_PORT" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("variable", ["CLUSTER_ID", "KAFKA_CLUSTER_ID", "KAFKA_KRAFT_CLUSTER_ID"])
def test_a_new_data_directory_gets_the_id_of_its_cluster_from_the_environment(tmp_path: Path, variable: str) -> None:
    meta = tmp_path / "barnabas-data" / "meta.properties"
    with started(tmp_path, "--port", "0", **{variable: OURS}) as line:
        assert cluster_id(line) == OURS
        assert f"cluster.id={OURS}\n" in meta.read_text()
    with started(tmp_path, "--port", "0", **{variable: OURS}) as line:
        assert cluster_id(line) == OURS
        assert "WARNING" not in (tmp_path / "log").read_text()


def test_a_data_directory_of_another_cluster_keeps_its_id_and_says_so(tmp_path: Path) -> None:
    """As with Apache Kafka's image, where the directory counts; kafka-storage --ignore-formatted refuses."""
    with started(tmp_path, "--port", "0") as line:
        drawn = cluster_id(line)
    with started(tmp_path, "--port", "0", CLUSTER_ID="any text") as line:
        assert cluster_id(line) == drawn
        data_dir = tmp_path / "barnabas-data"
        assert (
            f"CLUSTER_ID=any text has no effect: the data directory {data_dir} belongs to the cluster {drawn}"
            in (tmp_path / "log").read_text()
        )


@pytest.fixture
def first(tmp_path: Path) -> Iterator[BrokerProcess]:
    with running(tmp_path / "data") as broker:
        yield broker


def test_a_second_broker_on_the_same_directory_is_told_how_to_choose_another(first: BrokerProcess) -> None:
    ended = failed("--port", "0", "--data-dir", os.path.relpath(first.data_dir))
    assert (ended.returncode, ended.stderr) == (
        1,
        f"barnabas: the data directory {first.data_dir} is in use by another process (pid {first.pid})"
        " (--data-dir chooses another)\n",
    )


@pytest.mark.parametrize("arguments", [[], ["--forget-all"]])
def test_settings_are_neither_shown_nor_forgotten_while_a_broker_runs(
    first: BrokerProcess, arguments: list[str]
) -> None:
    ended = failed("settings", str(first.data_dir), *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"barnabas: the data directory {first.data_dir} is in use by another process (pid {first.pid})\n"
    )


def test_security_that_would_not_hold_keeps_it_from_starting(tmp_path: Path) -> None:
    name = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
    ended = failed("--data-dir", str(tmp_path / "data"), KAFKA_AUTHORIZER_CLASS_NAME=name)
    assert (ended.returncode, ended.stderr) == (
        2,
        f"barnabas: authorizer.class.name={name} (from KAFKA_AUTHORIZER_CLASS_NAME) must be left out: this version"
        " has no authorizer, so anybody who reaches the broker may do everything\n",
    )
    assert not (tmp_path / "data").exists()


def test_security_without_effect_is_a_warning_in_the_log(tmp_path: Path) -> None:
    with started(tmp_path, "--port", "0", KAFKA_SASL_ENABLED_MECHANISMS="PLAIN") as line:
        assert "ready on" in line
        assert "WARNING barnabas: ANYBODY WHO REACHES THIS BROKER MAY" in (tmp_path / "log").read_text()


def test_a_data_directory_that_cannot_be_used_is_told_with_where_it_is_from(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = failed("--port", "0", KAFKA_LOG_DIRS=str(tmp_path / "file" / "data"))
    assert (ended.returncode, ended.stderr) == (
        1,
        f"barnabas: cannot use the data directory {tmp_path / 'file' / 'data'}: Not a directory"
        " (the data directory is from KAFKA_LOG_DIRS)\n",
    )


def test_an_address_for_metrics_that_is_not_here_is_told_with_where_it_is_from(tmp_path: Path) -> None:
    address = "192.0.2.77:9404"
    ended = failed("--port", "0", "--data-dir", str(tmp_path / "data"), BARNABAS_METRICS_LISTENER=address)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        f"barnabas: cannot serve metrics on {address}: Cannot assign requested address"
        " (from BARNABAS_METRICS_LISTENER)"
    )
