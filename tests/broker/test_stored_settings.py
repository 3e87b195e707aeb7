"""What admin clients have stored locks nobody out: it is refused in time, left out at the start, or forgotten."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.calls import (
    BROKER,
    CLIENT_METRICS,
    GROUP,
    SET,
    TOPIC,
    batch,
    configure,
    described,
    end_offset,
    increment,
    increments,
    make_topic,
    overrides,
    produce,
)
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.metadata import MetadataRequest
from barnabas.storage.catalog import ResourceConfigured
from barnabas.storage.catalog.sqlite import SqliteCatalog
from barnabas.storage.clock import SystemClock

EVERY, OWN = "", "1"
# An address for documentation (RFC 5737), which no machine has.
ELSEWHERE = "192.0.2.77"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def barnabas(*arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "BARNABAS_"))}
    return subprocess.run(
        [sys.executable, "-m", "barnabas", *arguments], capture_output=True, text=True, env=environ, timeout=60
    )


def store(data_dir: Path, name: str = OWN, kind: int = BROKER, **configs: str) -> None:
    """Store settings as an older version may have done, without asking whether they make sense."""
    stored = {setting.replace("_", "."): value for setting, value in configs.items()}
    catalog = SqliteCatalog(data_dir / "catalog.sqlite", SystemClock())
    catalog.commit(ResourceConfigured(kind, name, stored))
    catalog.close()


@pytest.fixture
def used(data_dir: Path) -> Path:
    """A data directory that a broker has left."""
    with running(data_dir):
        pass
    return data_dir


@contextmanager
def port_in_use() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def is_served(broker: BrokerProcess) -> bool:
    try:
        with Wire(broker.port) as wire:
            wire.call(MetadataRequest(topics=[]), 12)
    except ConnectionError:
        return False
    return True


# Refused in time


@pytest.mark.parametrize("name", [EVERY, OWN])
@pytest.mark.parametrize("setting", ["max.connections", "max.connection.creation.rate"])
def test_a_limit_of_no_connection_is_refused_as_in_kafka(wire: Wire, name: str, setting: str) -> None:
    result = increment(wire, BROKER, name, (setting, SET, "0"))
    assert result.error_code == ErrorCode.INVALID_REQUEST
    assert f"Invalid {setting} 0" in result.error_message
    assert overrides(wire, BROKER, name) == {}


@pytest.mark.parametrize("validate_only", [False, True])
def test_listeners_that_the_next_start_cannot_open_are_refused(data_dir: Path, validate_only: bool) -> None:
    with running(data_dir) as broker, Wire(broker.port) as wire, port_in_use() as taken:
        present = f"PLAINTEXT://127.0.0.1:{broker.port}"
        configure(wire, BROKER, OWN, listener_security_protocol_map="PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT")
        for listeners in (
            f"PLAINTEXT://{ELSEWHERE}:{broker.port}",
            f"PLAINTEXT://no.such.host.invalid:{broker.port}",
            f"PLAINTEXT://127.0.0.1:{taken}",
            f"{present},OTHER://{ELSEWHERE}:0",
            f"{present},OTHER://127.0.0.1:{taken}",
        ):
            request = increments(BROKER, OWN, ("listeners", SET, listeners), validate_only=validate_only)
            (result,) = wire.call(request, 1).responses
            assert result.error_code == ErrorCode.INVALID_REQUEST, listeners
            assert result.error_message.startswith("listeners: cannot listen on ")
        assert "listeners" not in overrides(wire, BROKER, OWN)


def test_a_listener_may_move_to_all_interfaces_on_its_own_port(data_dir: Path) -> None:
    with running(data_dir) as broker:
        with Wire(broker.port) as wire:
            configure(wire, BROKER, OWN, listeners=f"PLAINTEXT://:{broker.port}")
        broker.stop()
        broker.start()
        assert is_served(broker)


def test_a_change_that_is_only_tried_opens_no_listener(data_dir: Path) -> None:
    with running(data_dir) as broker, Wire(broker.port) as wire:
        configure(wire, BROKER, OWN, listener_security_protocol_map="PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT")
        with port_in_use() as port:
            pass
        listeners = f"PLAINTEXT://127.0.0.1:{broker.port},OTHER://127.0.0.1:{port}"
        request = increments(BROKER, OWN, ("listeners", SET, listeners), validate_only=True)
        assert wire.call(request, 1).responses[0].error_code == ErrorCode.NONE
        with pytest.raises(ConnectionRefusedError):
            Wire(port)


# Left out at the start


@pytest.mark.parametrize("host", [ELSEWHERE, "no.such.host.invalid"])
def test_stored_listeners_that_are_not_here_give_way_to_those_that_are_given(used: Path, host: str) -> None:
    store(used, listeners=f"PLAINTEXT://{host}:9092", message_max_bytes="3000")
    with running(used) as broker, Wire(broker.port) as wire:
        assert described(wire, BROKER, OWN)["message.max.bytes"].value == "3000"
        (line,) = [line for line in broker.log.read_text().splitlines() if "ignoring stored listeners" in line]
        assert f"PLAINTEXT://{host}:9092: cannot listen on {host}" in line
        assert line.endswith(f"barnabas settings {used} --forget listeners)")
        # It is still stored. Other changes are refused until it is mended.
        result = increment(wire, BROKER, OWN, ("message.max.bytes", SET, "4000"))
        assert (result.error_code, result.error_message[:10]) == (ErrorCode.INVALID_REQUEST, "listeners:")
        configure(wire, BROKER, OWN, listeners=None)
        configure(wire, BROKER, OWN, message_max_bytes="4000")


def test_what_is_stored_beside_such_listeners_goes_with_them_when_it_does_not_fit(used: Path) -> None:
    store(
        used,
        listeners=f"OTHER://{ELSEWHERE}:9092",
        advertised_listeners="OTHER://kafka.example.com:9092",
        listener_security_protocol_map="PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT",
    )
    with running(used) as broker:
        assert is_served(broker)
        assert (
            "ignoring a stored setting: advertised.listeners=OTHER://kafka.example.com:9092" in broker.log.read_text()
        )


def test_without_other_listeners_the_start_ends_and_names_the_way_back(used: Path) -> None:
    """The default would listen on all interfaces, which may be more than was wanted."""
    store(used, listeners=f"PLAINTEXT://{ELSEWHERE}:9092")
    ended = barnabas("--data-dir", str(used))
    assert ended.returncode == 1
    way = f"barnabas settings {used} --forget listeners"
    assert ended.stderr.splitlines()[-1] == (
        f"barnabas: cannot listen on {ELSEWHERE} port 9092: Cannot assign requested address"
        f" (listeners is stored in the data directory; to forget it: {way})"
    )
    assert barnabas(*way.split()[1:]).returncode == 0
    with running(used) as broker:
        assert is_served(broker)


def test_a_stored_port_that_is_in_use_ends_the_start(used: Path) -> None:
    with port_in_use() as port:
        store(used, listeners=f"PLAINTEXT://127.0.0.1:{port}")
        ended = barnabas("--data-dir", str(used), "--listeners", "PLAINTEXT://127.0.0.1:0")
    assert ended.returncode == 1
    assert f"barnabas settings {used} --forget listeners" in ended.stderr


def test_a_given_address_that_cannot_be_listened_on_is_told_with_where_it_is_from(data_dir: Path) -> None:
    with port_in_use() as port:
        ended = barnabas("--data-dir", str(data_dir), "-c", f"listeners=PLAINTEXT://127.0.0.1:{port}")
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (
        1,
        f"barnabas: cannot listen on 127.0.0.1 port {port}: Address already in use (from -c)",
    )


def test_a_stored_limit_of_no_connection_is_left_out(used: Path) -> None:
    store(used, max_connections="0")
    store(used, EVERY, max_connection_creation_rate="0")
    with running(used) as broker:
        assert is_served(broker)
        assert broker.log.read_text().count("ignoring a stored setting") == 2


def test_a_stored_setting_that_hides_a_given_one_is_told(data_dir: Path) -> None:
    with running(data_dir) as broker, Wire(broker.port) as wire:
        configure(wire, BROKER, OWN, advertised_listeners="PLAINTEXT://kafka.example.com:1")
    mine = "PLAINTEXT://localhost:1"
    with running(data_dir, "--advertised-listeners", mine) as broker:
        (line,) = [line for line in broker.log.read_text().splitlines() if "has no effect" in line]
        assert "advertised.listeners from --advertised-listeners has no effect" in line
        assert "PLAINTEXT://kafka.example.com:1" in line
        assert line.endswith(f"barnabas settings {data_dir} --forget advertised.listeners)")


def test_a_group_whose_stored_settings_do_not_fit_any_more_gets_those_of_the_broker(data_dir: Path) -> None:
    with running(data_dir) as broker, Wire(broker.port) as wire:
        configure(wire, GROUP, "g", consumer_session_timeout_ms="50000", consumer_heartbeat_interval_ms="6000")
    with (
        running(data_dir, "-c", "group.consumer.max.session.timeout.ms=46000") as broker,
        Wire(broker.port) as wire,
    ):
        configs = described(wire, GROUP, "g")
        assert configs["consumer.session.timeout.ms"].value == "45000"
        assert configs["consumer.heartbeat.interval.ms"].value == "6000"
        assert "of group g: consumer.session.timeout.ms must be less than or equal to" in broker.log.read_text()
        configure(wire, GROUP, "g", consumer_heartbeat_interval_ms="7000")
        assert overrides(wire, GROUP, "g") == {"consumer.heartbeat.interval.ms": "7000"}


def test_a_topic_with_settings_of_another_version_is_served_without_them(data_dir: Path) -> None:
    with running(data_dir) as broker, Wire(broker.port) as wire:
        topic = make_topic(wire, retention_ms="5000")
        produce(wire, topic, batch())
    catalog = SqliteCatalog(data_dir / "catalog.sqlite", SystemClock())
    catalog._db.execute("""UPDATE topics SET configs = '{"of.tomorrow": "1", "retention.ms": "5000"}'""")
    catalog.close()
    store(data_dir, "metrics", CLIENT_METRICS, of_tomorrow="1")
    with running(data_dir) as broker, Wire(broker.port) as wire:
        assert overrides(wire, TOPIC, topic.name) == {"retention.ms": "5000"}
        assert end_offset(wire, topic) == 3
        assert f"of topic {topic.name}: Unknown topic config name: of.tomorrow" in broker.log.read_text()
        assert described(wire, CLIENT_METRICS, "metrics")["interval.ms"].value


# Forgotten


@pytest.mark.parametrize(
    "configs",
    [
        {"max_connections_per_ip": "0", "max_connections_per_ip_overrides": f"{ELSEWHERE}:5"},
        {"max_connections_per_ip_overrides": "127.0.0.1:0"},
    ],
    ids=["others only", "all but this one"],
)
def test_limits_that_shut_this_machine_out_can_be_forgotten(data_dir: Path, configs: dict[str, str]) -> None:
    """Kafka takes them, too."""
    with running(data_dir) as broker:
        with Wire(broker.port) as wire:
            configure(wire, BROKER, EVERY, **configs)
        assert not is_served(broker)
        broker.stop()
        broker.start()
        assert not is_served(broker)
        broker.stop()
        assert barnabas("settings", str(data_dir), "--forget-all").returncode == 0
        broker.start()
        assert is_served(broker)


def test_an_address_that_no_client_can_reach_can_be_forgotten(data_dir: Path) -> None:
    with running(data_dir) as broker, Wire(broker.port) as wire:
        configure(wire, BROKER, OWN, advertised_listeners="PLAINTEXT://no.such.host.invalid:1")
    assert barnabas("settings", str(data_dir), "--forget", "advertised.listeners").returncode == 0
    with running(data_dir) as broker, Wire(broker.port) as wire:
        (node,) = wire.call(MetadataRequest(topics=[]), 12).brokers
        assert (node.host, node.port) == ("127.0.0.1", broker.port)
