"""Settings that are stored in a data directory, over those that a broker is started with."""

import pytest

from barnabas.broker.config import BrokerConfig, Dynamics, check_dynamic, with_stored

OWN, ALL = "(from the dynamic settings of this broker)", "(from the dynamic settings of all brokers)"
LAGS = [f"log.cleaner.{which}.compaction.lag.ms" for which in ("min", "max")]


def stored(cluster: dict[str, str] | None = None, own: dict[str, str] | None = None) -> Dynamics:
    return Dynamics(cluster or {}, own or {})


def test_what_fits_is_taken():
    config, left_out = with_stored(BrokerConfig(), stored({"message.max.bytes": "3000"}, {"num.io.threads": "9"}))
    assert (config.int("message.max.bytes"), config.int("num.io.threads"), left_out) == (3000, 9, [])


def test_one_that_does_not_fit_is_left_out_and_the_others_stay():
    given = BrokerConfig.of({LAGS[1]: "49"}, "the file")
    config, left_out = with_stored(given, stored({"message.max.bytes": "3000"}, {LAGS[0]: "50"}))
    assert config.dynamic == stored({"message.max.bytes": "3000"})
    assert left_out == [(LAGS[0], f"{LAGS[0]}=50 {OWN} must be at most {LAGS[1]} (49)")]


def test_settings_that_only_fit_together_stay_beside_one_that_does_not_fit():
    own = {
        "advertised.listeners": "INSIDE://kafka.example.com:1",
        "listeners": "INSIDE://:1",
        "listener.security.protocol.map": "INSIDE:PLAINTEXT",
        "message.max.bytes": "none",
    }
    config, left_out = with_stored(BrokerConfig(), stored(own=own))
    assert [listener.name for listener in config.listeners] == ["INSIDE"]
    assert [name for name, _ in left_out] == ["message.max.bytes"]


def test_of_two_layers_that_are_wrong_both_are_left_out():
    values = {"message.max.bytes": "none"}
    config, left_out = with_stored(BrokerConfig(), stored(values, values))
    assert config.dynamic == stored()
    reason = "must be a 32-bit whole number, at least 0"
    assert [fault for _, fault in left_out] == [f"message.max.bytes=none {layer} {reason}" for layer in (ALL, OWN)]


def test_a_value_for_all_brokers_holds_when_that_of_this_broker_does_not_fit():
    given = BrokerConfig.of({LAGS[1]: "49"})
    config, left_out = with_stored(given, stored({LAGS[0]: "40"}, {LAGS[0]: "50"}))
    assert (config.int(LAGS[0]), len(left_out)) == (40, 1)


def test_a_stored_map_that_leaves_out_the_listeners_of_the_file_is_left_out():
    given = BrokerConfig.of({"listeners": "INSIDE://:1", "listener.security.protocol.map": "INSIDE:PLAINTEXT"})
    own = {"listener.security.protocol.map": "OTHER:PLAINTEXT", "message.max.bytes": "3000"}
    config, left_out = with_stored(given, stored(own=own))
    assert [listener.name for listener in config.listeners] == ["INSIDE"]
    assert ([name for name, _ in left_out], config.int("message.max.bytes")) == (
        ["listener.security.protocol.map"],
        3000,
    )


def test_a_secret_is_not_told():
    config = BrokerConfig().changed(stored(own={"ssl.key.password": "secret"}))
    assert config.shown("ssl.key.password") == "(hidden)"


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("max.connections", "0", "Invalid max.connections 0: nobody could connect any more"),
        ("max.connections", " +0 ", "Invalid max.connections 0: nobody could connect any more"),
        (
            "max.connection.creation.rate",
            "0",
            "Invalid max.connection.creation.rate 0: nobody could connect any more",
        ),
        (
            "listener.name.plaintext.max.connections",
            "0",
            "Invalid max.connections 0: nobody could connect any more",
        ),
        (
            "metric.reporters",
            "org.apache.kafka.common.metrics.JmxReporter,no.Class",
            "Invalid value no.Class for configuration metric.reporters: Class no.Class could not be found.",
        ),
        (
            "listener.name.plaintext.principal.builder.class",
            "no.Class",
            "Invalid value no.Class for configuration principal.builder.class: Class no.Class could not be found.",
        ),
    ],
)
def test_what_would_lock_everybody_out_or_is_not_here_is_refused_and_left_out(name, value, fault):
    assert list(check_dynamic({name: value})) == [(name, fault)]
    config, left_out = with_stored(BrokerConfig(), stored({name: value}))
    assert config.dynamic == stored()
    assert left_out == [(name, f"{name}={value} {ALL} is refused: {fault}")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max.connections", "1"),
        ("max.connections.per.ip", "0"),
        ("metric.reporters", ""),
        ("metric.reporters", "org.apache.kafka.common.metrics.JmxReporter"),
        ("listener.name.plaintext.unheard.of", "0"),
        ("max.connections", "none"),
        (
            "principal.builder.class",
            "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder",
        ),
    ],
)
def test_other_changes_are_not_refused_for_that(name, value):
    assert list(check_dynamic({name: value})) == []
