"""Listeners that come and go while the broker runs, and what it says of where it can be reached."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.calls import (
    BROKER,
    SET,
    batch,
    both_ends,
    configure,
    described,
    fetch,
    increment,
    make_topic,
    overrides,
    produce,
)
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.alter_configs import IncrementalAlterConfigsRequest
from barnabas.protocol.messages.find_coordinator import FindCoordinatorRequest
from barnabas.protocol.messages.metadata import DescribeClusterRequest, MetadataRequest

ENDS = both_ends(IncrementalAlterConfigsRequest)
PROTOCOLS = "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,OTHER:PLAINTEXT"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def wire(broker: BrokerProcess) -> Iterator[Wire]:
    with Wire(broker.port) as connection:
        change(connection, listener_security_protocol_map=PROTOCOLS)
        yield connection


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    with running(tmp_path / "data") as process:
        yield process
    assert "Traceback" not in process.log.read_text()


def refused(wire: Wire, version: int, setting: str, value: str) -> bool:
    """Say whether a new value for this broker is refused as it should be, and not kept."""
    before = overrides(wire, BROKER, "1")
    code = increment(wire, BROKER, "1", (setting, SET, value), version=version).error_code
    return code == ErrorCode.INVALID_REQUEST and overrides(wire, BROKER, "1") == before


def change(wire: Wire, **configs: str | None) -> None:
    configure(wire, BROKER, "1", **configs)


def endpoint(wire: Wire) -> tuple[str, int]:
    """Return where the client is told to find the broker; all three APIs say the same."""
    (node,) = wire.call(MetadataRequest(topics=[]), 13).brokers
    (member,) = wire.call(DescribeClusterRequest(), 2).brokers
    coordinator = wire.call(FindCoordinatorRequest(key="group"), 3)
    told = {(one.host, one.port) for one in (node, member, coordinator)}
    assert len(told) == 1
    return told.pop()


def plain(broker: BrokerProcess) -> str:
    return f"PLAINTEXT://127.0.0.1:{broker.port}"


def internal(port: int, name: str = "INTERNAL") -> str:
    return f"{name}://127.0.0.1:{port}"


def is_refused(port: int) -> bool:
    try:
        Wire(port).socket.close()
    except ConnectionRefusedError:
        return True
    return False


def test_what_is_advertised_changes_for_old_and_new_connections(broker: BrokerProcess, wire: Wire) -> None:
    assert endpoint(wire) == ("127.0.0.1", broker.port)
    for host in ("kafka.example.com", "other.example.com"):
        change(wire, advertised_listeners=f"PLAINTEXT://{host}:1234")
        with Wire(broker.port) as new:
            assert endpoint(wire) == endpoint(new) == (host, 1234)
    change(wire, advertised_listeners=None)
    assert endpoint(wire) == ("127.0.0.1", broker.port)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_what_is_advertised_survives_the_end_of_the_process(broker: BrokerProcess, wire: Wire, how: str) -> None:
    change(wire, advertised_listeners="PLAINTEXT://kafka.example.com:1234")
    getattr(broker, how)()
    broker.start()
    with Wire(broker.port) as again:
        assert endpoint(again) == ("kafka.example.com", 1234)


def test_a_listener_that_is_added_serves_and_one_that_is_removed_is_closed(broker: BrokerProcess, wire: Wire) -> None:
    port = free_port()
    assert is_refused(port)
    topic = make_topic(wire)
    change(wire, listeners=f"{plain(broker)},{internal(port)}")
    with Wire(port) as added:
        assert endpoint(added) == ("127.0.0.1", port)
        assert produce(added, topic, batch()).error_code == ErrorCode.NONE
        assert fetch(wire, topic).high_watermark == 3
        change(wire, listeners=plain(broker))
        with pytest.raises(ConnectionError):
            added.receive_frame()
    assert is_refused(port)
    assert fetch(wire, topic).high_watermark == 3
    change(wire, listeners=f"{plain(broker)},{internal(port)}")
    with Wire(port) as again:
        assert fetch(again, topic).high_watermark == 3


def test_each_listener_advertises_its_own_address(broker: BrokerProcess, wire: Wire) -> None:
    port = free_port()
    change(
        wire,
        listeners=f"{plain(broker)},{internal(port)}",
        advertised_listeners="PLAINTEXT://outside.example.com:1,INTERNAL://inside.example.com:2",
    )
    with Wire(port) as inside:
        assert endpoint(wire) == ("outside.example.com", 1)
        assert endpoint(inside) == ("inside.example.com", 2)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_listeners_survive_the_end_of_the_process(broker: BrokerProcess, wire: Wire, how: str) -> None:
    first, second = free_port(), free_port()
    change(wire, listeners=f"{plain(broker)},{internal(first)},{internal(second, 'OTHER')}")
    change(wire, listeners=f"{plain(broker)},{internal(first)}")
    getattr(broker, how)()
    broker.start()
    assert is_refused(second)
    with Wire(first) as inside, Wire(broker.port) as outside:
        assert endpoint(inside) == ("127.0.0.1", first)
        assert endpoint(outside) == ("127.0.0.1", broker.port)


def test_the_listener_that_asks_may_be_the_one_that_goes(broker: BrokerProcess, wire: Wire) -> None:
    port = free_port()
    with suppress(ConnectionError):  # the answer may come or not
        change(wire, listeners=internal(port))
    with pytest.raises(ConnectionError):
        wire.receive_frame()
    assert is_refused(broker.port)
    with Wire(port) as inside:
        assert endpoint(inside) == ("127.0.0.1", port)
        change(inside, listeners=f"{plain(broker)},{internal(port)}")
        with Wire(broker.port) as again:
            assert endpoint(again) == ("127.0.0.1", broker.port)


@ENDS
def test_an_address_that_is_in_use_is_refused_and_nothing_changes(
    broker: BrokerProcess, wire: Wire, version: int
) -> None:
    free = free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listeners = f"{plain(broker)},{internal(free)},{internal(port, 'OTHER')}"
        assert refused(wire, version, "listeners", listeners)
    assert is_refused(free)
    assert endpoint(wire) == ("127.0.0.1", broker.port)


@ENDS
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("listeners", "INTERNAL://127.0.0.1:0,INTERNAL://127.0.0.1:0"),
        ("listeners", "UNKNOWN://127.0.0.1:0"),
        ("listeners", "nonsense"),
        ("listeners", ""),
        ("advertised.listeners", "OTHER://kafka.example.com:1"),
        ("advertised.listeners", "PLAINTEXT://0.0.0.0:1"),
        ("advertised.listeners", "PLAINTEXT://kafka.example.com:0"),
        ("advertised.listeners", "nonsense"),
        ("listener.security.protocol.map", "OTHER:PLAINTEXT"),
        ("listener.security.protocol.map", "PLAINTEXT:NONSENSE"),
    ],
)
def test_listeners_that_cannot_be_are_refused(
    module_broker: BrokerProcess, version: int, setting: str, value: str
) -> None:
    with Wire(module_broker.port) as wire:
        assert refused(wire, version, setting, value)
        assert endpoint(wire) == ("127.0.0.1", module_broker.port)


@pytest.fixture(scope="module")
def module_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with running(tmp_path_factory.mktemp("broker") / "data") as process:
        yield process


@ENDS
def test_a_listener_that_is_advertised_cannot_be_removed(broker: BrokerProcess, wire: Wire, version: int) -> None:
    port = free_port()
    change(
        wire,
        listeners=f"{plain(broker)},{internal(port)}",
        advertised_listeners=f"{plain(broker)},INTERNAL://inside.example.com:2",
    )
    assert refused(wire, version, "listeners", plain(broker))
    with Wire(port) as inside:
        assert endpoint(inside) == ("inside.example.com", 2)


def test_a_listener_that_moves_stays_where_it_is_until_the_next_start(broker: BrokerProcess, wire: Wire) -> None:
    """As in Kafka, whose DynamicListenerConfig looks at names."""
    port, before = free_port(), broker.port
    change(wire, listeners=f"PLAINTEXT://127.0.0.1:{port}")
    assert described(wire, BROKER, "1")["listeners"].value == f"PLAINTEXT://127.0.0.1:{port}"
    assert endpoint(wire) == ("127.0.0.1", before)
    assert is_refused(port)
    broker.stop()
    broker.start()
    assert broker.port == port
    with Wire(port) as again:
        assert endpoint(again) == ("127.0.0.1", port)
    assert is_refused(before)


def test_other_changes_are_taken_while_the_next_address_of_a_listener_is_in_use(
    broker: BrokerProcess, wire: Wire
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        busy = other.getsockname()[1]
    moved = f"PLAINTEXT://127.0.0.1:{busy}"
    change(wire, listeners=moved)
    with socket.create_server(("127.0.0.1", busy)):
        change(wire, log_retention_ms="5000")
        added = free_port()
        change(wire, listeners=f"{moved},{internal(added)}")
        with Wire(added) as inside:
            assert endpoint(inside) == ("127.0.0.1", added)
        assert refused(wire, 1, "listeners", f"{moved},{internal(added)},{internal(busy, 'OTHER')}")
