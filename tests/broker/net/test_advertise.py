"""Which address a client is told (ecosystem: one port for the host and for sibling containers)."""

import pytest

from barnabas.broker.config import Advertised
from barnabas.broker.net import advertise as module
from barnabas.broker.net.advertise import Endpoint, advertiser, container_gateway

GATEWAY = "172.17.0.1"


def test_a_client_is_told_the_address_by_which_it_came() -> None:
    advertise = advertiser((), gateway=None)
    assert advertise("PLAINTEXT", "127.0.0.1", "127.0.0.1", 9092) == Endpoint("127.0.0.1", 9092)
    assert advertise("PLAINTEXT", "172.17.0.9", "172.17.0.2", 9092) == Endpoint("172.17.0.2", 9092)
    assert advertise("PLAINTEXT", "::1", "::1", 9092) == Endpoint("::1", 9092)


def test_an_ipv4_client_of_a_socket_for_both_is_told_an_ipv4_address() -> None:
    assert advertiser((), None)("PLAINTEXT", "10.0.0.5", "::ffff:10.0.0.2", 9092) == Endpoint("10.0.0.2", 9092)


def test_a_link_local_address_is_told_without_its_zone() -> None:
    assert advertiser((), None)("PLAINTEXT", "fe80::9%eth0", "fe80::2%eth0", 1) == Endpoint("fe80::2", 1)


def test_a_client_of_a_published_port_is_told_localhost_and_a_sibling_is_not() -> None:
    advertise = advertiser((), GATEWAY)
    assert advertise("PLAINTEXT", GATEWAY, "172.17.0.2", 9092) == Endpoint("localhost", 9092)
    assert advertise("PLAINTEXT", "172.17.0.3", "172.17.0.2", 9092) == Endpoint("172.17.0.2", 9092)


def test_what_is_configured_is_obeyed_for_its_listener_only() -> None:
    advertise = advertiser([Advertised("OUTSIDE", "kafka.example", 19092)], GATEWAY)
    assert advertise("OUTSIDE", GATEWAY, "172.17.0.2", 9094) == Endpoint("kafka.example", 19092)
    assert advertise("INSIDE", "172.17.0.3", "172.17.0.2", 9092) == Endpoint("172.17.0.2", 9092)


def test_a_configured_port_without_a_host_keeps_the_port() -> None:
    advertise = advertiser([Advertised("PLAINTEXT", "", 19092)], None)
    assert advertise("PLAINTEXT", "10.0.0.5", "10.0.0.2", 9092) == Endpoint("10.0.0.2", 19092)


ROUTES = "Iface\tDestination\tGateway\tFlags\neth0\t00000000\t010011AC\t0003\neth0\t000011AC\t00000000\t0001\n"


def test_the_gateway_is_read_in_a_container_only(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    routes, mark = tmp_path / "route", tmp_path / "mark"
    routes.write_text(ROUTES)
    monkeypatch.setattr(module, "_ROUTES", routes)
    monkeypatch.setattr(module, "_CONTAINER_MARKS", (mark,))
    assert container_gateway() is None
    mark.touch()
    assert container_gateway() == GATEWAY
    routes.unlink()
    assert container_gateway() is None
