"""Listeners and advertised listeners, in Kafka's syntax."""

import pytest

from barnabas.broker.config import Advertised, BrokerConfig, ConfigError, Listener

MAP = "listener.security.protocol.map"
TWO = {MAP: "INTERNAL:PLAINTEXT,EXTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"}


def listeners(text: str, **more: str) -> tuple[Listener, ...]:
    return BrokerConfig.of({"listeners": text, **more}).listeners


def refusal(**settings: str) -> str:
    with pytest.raises(ConfigError) as caught:
        BrokerConfig.of({name.replace("_", "."): value for name, value in settings.items()})
    return str(caught.value)


def test_without_settings_all_interfaces_are_listened_on_and_nothing_is_advertised():
    config = BrokerConfig()
    assert config.listeners == (Listener("PLAINTEXT", "", 9092, "PLAINTEXT"),)
    assert config.advertised_listeners == ()


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("PLAINTEXT://:9092", "", 9092),
        ("PLAINTEXT://0.0.0.0:9092", "", 9092),
        ("PLAINTEXT://[::]:9092", "", 9092),
        ("PLAINTEXT://localhost:0", "localhost", 0),
        ("PLAINTEXT://127.0.0.1:1", "127.0.0.1", 1),
        ("PLAINTEXT://[::1]:65535", "::1", 65535),
        ("PLAINTEXT://::1:9092", "::1", 9092),
        ("PLAINTEXT://[fe80::1%eth0]:9092", "fe80::1%eth0", 9092),
        ("plaintext://my_host-1.example:9092", "my_host-1.example", 9092),
        ("  PLAINTEXT://:9092 , ,", "", 9092),
    ],
)
def test_a_listener_is_read(text, host, port):
    assert listeners(text) == (Listener("PLAINTEXT", host, port, "PLAINTEXT"),)


def test_listeners_have_names_of_their_own_by_the_protocol_map():
    given = "INTERNAL://:29092, external://0.0.0.0:9092"
    assert listeners(given, **TWO) == (
        Listener("INTERNAL", "", 29092, "PLAINTEXT"),
        Listener("EXTERNAL", "", 9092, "PLAINTEXT"),
    )


def test_listeners_of_controllers_are_left_out_in_silence():
    config = BrokerConfig.of(
        {
            "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093,KRAFT://:9094",
            "advertised.listeners": "PLAINTEXT://localhost:9092,KRAFT://localhost:9094,CONTROLLER://x:1",
            "controller.listener.names": "kraft",
            MAP: "PLAINTEXT:PLAINTEXT,CONTROLLER:SSL,KRAFT:SASL_SSL",
        }
    )
    assert [listener.name for listener in config.listeners] == ["PLAINTEXT"]
    assert config.advertised_listeners == (Advertised("PLAINTEXT", "localhost", 9092),)


def test_two_listeners_may_each_ask_for_a_free_port():
    assert [listener.port for listener in listeners("INTERNAL://:0,EXTERNAL://:0", **TWO)] == [0, 0]


def test_an_ipv4_and_an_ipv6_listener_may_share_a_port():
    given = "INTERNAL://127.0.0.1:9092,EXTERNAL://[::1]:9092"
    assert [listener.host for listener in listeners(given, **TWO)] == ["127.0.0.1", "::1"]


@pytest.mark.parametrize("empty", [{}, {"listeners": ""}, {"listeners": " , "}])
def test_listeners_follow_from_what_is_advertised_when_they_are_not_given(empty):
    config = BrokerConfig.of(
        {**empty, **TWO, "advertised.listeners": "INTERNAL://kafka:29092,EXTERNAL://localhost:9092,"}
    )
    assert config.advertised_listeners == (
        Advertised("INTERNAL", "kafka", 29092),
        Advertised("EXTERNAL", "localhost", 9092),
    )
    assert config.listeners == (
        Listener("INTERNAL", "", 29092, "PLAINTEXT"),
        Listener("EXTERNAL", "", 9092, "PLAINTEXT"),
    )


def test_listeners_that_are_given_may_have_other_ports_than_what_is_advertised():
    config = BrokerConfig.of(
        {"listeners": "PLAINTEXT://:9092", "advertised.listeners": "PLAINTEXT://example.org:19092"}
    )
    assert config.listeners[0].port == 9092
    assert config.advertised_listeners == (Advertised("PLAINTEXT", "example.org", 19092),)


def test_an_advertised_port_without_a_host_leaves_the_host_open():
    config = BrokerConfig.of({"advertised.listeners": "PLAINTEXT://:19092"})
    assert config.advertised_listeners == (Advertised("PLAINTEXT", "", 19092),)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "must have at least one listener for clients, NAME://host:port"),
        ("CONTROLLER://:9093", "must have at least one listener for clients, NAME://host:port"),
        ("localhost:9092", "has localhost:9092, which is not of the form NAME://host:port"),
        ("PLAINTEXT://localhost", "has PLAINTEXT://localhost, which is not of the form NAME://host:port"),
        ("PLAINTEXT://:-1", "has PLAINTEXT://:-1, which is not of the form NAME://host:port"),
        ("PLAINTEXT://a b:1", "has PLAINTEXT://a b:1, which is not of the form NAME://host:port"),
        ("PLAINTEXT://:65536", "has port 65536; ports end at 65535"),
        ("HERE://:9092", f"has the listener HERE, which {MAP} does not name"),
        ("SSL://:9092", "has SSL speak SSL; only PLAINTEXT is supported so far"),
        ("SASL_PLAINTEXT://:9092", "has SASL_PLAINTEXT speak SASL_PLAINTEXT; only PLAINTEXT is supported so far"),
        (
            "PLAINTEXT://:9092,plaintext://:9093",
            "has two listeners named PLAINTEXT; each name may be there once",
        ),
    ],
)
def test_a_wrong_listener_is_refused_in_words(given, reason):
    assert refusal(listeners=given) == f"listeners={given} {reason}"


@pytest.mark.parametrize(
    "given",
    [
        "INTERNAL://:9092,EXTERNAL://:9092",
        "INTERNAL://127.0.0.1:9092,EXTERNAL://10.0.0.1:9092",
        "INTERNAL://0.0.0.0:9092,EXTERNAL://[::1]:9092",
    ],
)
def test_two_listeners_on_one_port_are_refused(given):
    with pytest.raises(ConfigError, match="has two listeners on port 9092; each port may be there once"):
        listeners(given, **TWO)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            "PLAINTEXT://0.0.0.0:9092",
            "must not have the address 0.0.0.0, which no client can connect to; name a host",
        ),
        ("PLAINTEXT://[::]:9092", "must not have the address ::, which no client can connect to; name a host"),
        ("PLAINTEXT://h:0", "must have a port other than 0 for PLAINTEXT: clients have to know it"),
        ("SSL://h:1", "has the name SSL, which is not a listener; those are PLAINTEXT"),
        ("PLAINTEXT://h:1,PLAINTEXT://h:2", "has two addresses for PLAINTEXT; each name may be there once"),
        ("h:1", "has h:1, which is not of the form NAME://host:port"),
    ],
)
def test_what_cannot_be_advertised_is_refused_in_words(given, reason):
    message = refusal(listeners="PLAINTEXT://:9092", advertised_listeners=given)
    assert message == f"advertised.listeners={given} {reason}"


def test_listeners_that_follow_from_what_is_advertised_are_refused_there():
    message = refusal(advertised_listeners="SSL://h:9092")
    assert message == "advertised.listeners=SSL://h:9092 has SSL speak SSL; only PLAINTEXT is supported so far"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("PLAINTEXT", "must be a list of NAME:PROTOCOL"),
        (":PLAINTEXT", "must be a list of NAME:PROTOCOL"),
        ("A:TLS", "has the protocol TLS; known are PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
    ],
)
def test_a_wrong_protocol_map_is_refused_in_words(given, reason):
    assert refusal(listener_security_protocol_map=given) == f"{MAP}={given} {reason}"
