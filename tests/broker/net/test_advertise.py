"""Which address a client is told (ecosystem: one port for the host and for sibling containers)."""

import pytest

from barnabas.broker.config import Advertised
from barnabas.broker.net import advertise as module
from barnabas.broker.net.advertise import Endpoint, advertiser, container_gateways

GATEWAY = "172.17.0.1"


def nowhere() -> frozenset[str]:
    return frozenset()


def test_a_client_is_told_the_address_by_which_it_came() -> None:
    advertise = advertiser((), nowhere)
    assert advertise("PLAINTEXT", "127.0.0.1", "127.0.0.1", 9092) == Endpoint("127.0.0.1", 9092)
    assert advertise("PLAINTEXT", "172.17.0.9", "172.17.0.2", 9092) == Endpoint("172.17.0.2", 9092)
    assert advertise("PLAINTEXT", "::1", "::1", 9092) == Endpoint("::1", 9092)


def test_an_ipv4_client_of_a_socket_for_both_is_told_an_ipv4_address() -> None:
    assert advertiser((), nowhere)("PLAINTEXT", "10.0.0.5", "::ffff:10.0.0.2", 9092) == Endpoint("10.0.0.2", 9092)


def test_a_link_local_address_is_told_without_its_zone() -> None:
    assert advertiser((), nowhere)("PLAINTEXT", "fe80::9%eth0", "fe80::2%eth0", 1) == Endpoint("fe80::2", 1)


def test_a_client_of_a_published_port_is_told_localhost_and_a_sibling_is_not() -> None:
    advertise = advertiser((), lambda: {GATEWAY})
    assert advertise("PLAINTEXT", GATEWAY, "172.17.0.2", 9092) == Endpoint("localhost", 9092)
    assert advertise("PLAINTEXT", "172.17.0.3", "172.17.0.2", 9092) == Endpoint("172.17.0.2", 9092)


def test_what_is_configured_is_obeyed_for_its_listener_only() -> None:
    advertise = advertiser([Advertised("OUTSIDE", "kafka.example", 19092)], lambda: {GATEWAY})
    assert advertise("OUTSIDE", GATEWAY, "172.17.0.2", 9094) == Endpoint("kafka.example", 19092)
    assert advertise("INSIDE", "172.17.0.3", "172.17.0.2", 9092) == Endpoint("172.17.0.2", 9092)


def test_a_configured_port_without_a_host_keeps_the_port() -> None:
    advertise = advertiser([Advertised("PLAINTEXT", "", 19092)], nowhere)
    assert advertise("PLAINTEXT", "10.0.0.5", "10.0.0.2", 9092) == Endpoint("10.0.0.2", 19092)


ROUTES = "Iface\tDestination\tGateway\tFlags\neth0\t00000000\t010011AC\t0003\neth0\t000011AC\t00000000\t0001\n"


def test_the_gateway_is_read_in_a_container_only(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    routes, mark = tmp_path / "route", tmp_path / "mark"
    routes.write_text(ROUTES)
    monkeypatch.setattr(module, "_ROUTES", routes)
    monkeypatch.setattr(module, "_CONTAINER_MARKS", (mark,))
    monkeypatch.setattr(module, "_ROUTES_6", tmp_path / "none")
    assert container_gateways() == frozenset()
    mark.touch()
    assert container_gateways() == {GATEWAY}
    routes.unlink()
    assert container_gateways() == frozenset()


ZERO = "0" * 32
GATEWAY_6 = "fd770000000000000000000000000001"


def test_an_ipv6_gateway_is_read_too(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    routes = tmp_path / "ipv6_route"
    routes.write_text(
        f"fd770000000000000000000000000000 40 {ZERO} 00 {ZERO} 00000100 00000002 00000000 00000001 eth0\n"
        f"{ZERO} 00 {ZERO} 00 {GATEWAY_6} 00000400 00000001 00000000 00000003 eth0\n"
        f"{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 00000001 00000000 00200200 lo\n"
    )
    monkeypatch.setattr(module, "_ROUTES", tmp_path / "none")
    monkeypatch.setattr(module, "_ROUTES_6", routes)
    monkeypatch.setattr(module, "_CONTAINER_MARKS", (tmp_path,))
    assert container_gateways() == {"fd77::1"}
