"""Where clients find the broker: each is told an address that works for it, or the one that is configured."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clients.contract import Client, Record
from support.clients.every import CLIENTS
from support.process import BrokerProcess, running
from support.relay import relaying

pytestmark = pytest.mark.conform


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """A broker that listens as it does by default: on all addresses, through one listener without a host."""
    broker = BrokerProcess(tmp_path_factory.mktemp("everywhere") / "data", host="").start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", pytest.param("localhost", marks=pytest.mark.slow)])
@pytest.mark.parametrize("client", CLIENTS)
def test_one_listener_serves_both_families_and_says_the_address_that_was_used(
    client: Client, host: str, everywhere: BrokerProcess, topic: str
) -> None:
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    bootstrap = f"[{host}]:{everywhere.port}" if ":" in host else f"{host}:{everywhere.port}"

    told = client.brokers(bootstrap)
    client.produce(bootstrap, topic, [Record(b"value")])
    (received,) = client.read(bootstrap, topic, 1)

    assert received.value == b"value"
    expected = {host} if host != "localhost" else {"127.0.0.1", "::1"}
    assert [port for _, port in told] == [everywhere.port]
    assert {name for name, _ in told} <= expected


@pytest.mark.parametrize("client", CLIENTS)
def test_the_advertised_address_is_the_one_that_clients_go_to(client: Client, tmp_path: Path) -> None:
    with relaying() as relay:
        advertised = f"PLAINTEXT://localhost:{relay.port}"
        with running(tmp_path / "data", "--advertised-listeners", advertised) as broker:
            relay.target_port = broker.port

            told = client.brokers(broker.bootstrap)
            client.produce(broker.bootstrap, "topic", [Record(b"value")])
            (received,) = client.read(broker.bootstrap, "topic", 1)

    assert told == [("localhost", relay.port)]
    assert received.value == b"value"
    assert relay.connections >= 2
