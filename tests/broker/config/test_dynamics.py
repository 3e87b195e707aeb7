"""Settings of the broker that changed while it ran, over what it was started with (KIP-226)."""

import pytest

from barnabas.broker.config import BrokerConfig, ConfigEntry, ConfigError, ConfigSource, ConfigType, Dynamics
from barnabas.broker.config.listeners import Advertised, Listener

SIZE = "message.max.bytes"
NOTHING = Dynamics({}, {})


def config(static: dict[str, str] | None = None, cluster: dict[str, str] | None = None, **own: str) -> BrokerConfig:
    """``own`` is given with underscores instead of dots."""
    dynamics = Dynamics(cluster or {}, {name.replace("_", "."): value for name, value in own.items()})
    return BrokerConfig.of(static or {}).changed(dynamics)


def entry(made: BrokerConfig, name: str) -> ConfigEntry:
    return next(found for found in made.entries() if found.name == name)


@pytest.mark.parametrize(
    ("made", "size"),
    [
        (config(), 1048588),
        (config({SIZE: "4"}), 4),
        (config({SIZE: "4"}, {SIZE: "3"}), 3),
        (config({SIZE: "4"}, {SIZE: "3"}, message_max_bytes="2"), 2),
        (config({SIZE: "4"}, message_max_bytes="2"), 2),
    ],
)
def test_this_broker_comes_before_all_brokers_before_the_file(made, size):
    assert made.int(SIZE) == size
    assert made.topic_values["max.message.bytes"] == size


def test_every_layer_is_told_strongest_first():
    made = config({SIZE: "4"}, {SIZE: "3"}, message_max_bytes="2")
    assert [(synonym.value, synonym.source) for synonym in entry(made, SIZE).synonyms] == [
        ("2", ConfigSource.DYNAMIC_BROKER),
        ("3", ConfigSource.DYNAMIC_DEFAULT_BROKER),
        ("4", ConfigSource.STATIC_BROKER),
        ("1048588", ConfigSource.DEFAULT),
    ]
    assert (entry(made, SIZE).value, entry(made, SIZE).source) == ("2", ConfigSource.DYNAMIC_BROKER)


def test_a_change_leaves_the_settings_before_it_as_they_were():
    before = config({SIZE: "4"})
    after = before.changed(Dynamics({}, {SIZE: "2"}))
    assert (before.int(SIZE), after.int(SIZE), after.changed(NOTHING).int(SIZE)) == (4, 2, 4)
    assert (before.dynamic, after.dynamic) == (NOTHING, Dynamics({}, {SIZE: "2"}))


def test_milliseconds_set_later_come_before_hours_in_the_file():
    made = config({"log.retention.hours": "2"}, {"log.retention.ms": "5000"})
    assert made.topic_values["retention.ms"] == 5000


@pytest.mark.parametrize(
    ("cluster", "own", "blamed"),
    [
        ({SIZE: "many"}, {}, "message.max.bytes=many (from the dynamic settings of all brokers) must be"),
        ({}, {SIZE: "-1"}, "message.max.bytes=-1 (from the dynamic settings of this broker) must be"),
        (
            {"log.cleaner.min.compaction.lag.ms": "6"},
            {"log.cleaner.max.compaction.lag.ms": "5"},
            "log.cleaner.min.compaction.lag.ms=6 (from the dynamic settings of all brokers) must be at most",
        ),
        ({}, {"listeners": "nonsense"}, "listeners=nonsense (from the dynamic settings of this broker) has nonsense"),
        (
            {},
            {"log.retention.ms": "0"},
            "log.retention.ms=0 (from the dynamic settings of this broker) must be at least 1",
        ),
    ],
)
def test_what_is_wrong_is_refused(cluster, own, blamed):
    with pytest.raises(ConfigError) as caught:
        BrokerConfig().changed(Dynamics(cluster, own))
    assert str(caught.value).startswith(blamed)


def test_a_change_can_put_right_what_another_layer_got_wrong():
    lags = {"log.cleaner.min.compaction.lag.ms": "6"}
    assert config(None, lags).changed(Dynamics(lags, {"log.cleaner.max.compaction.lag.ms": "7"}))


def test_listeners_and_what_is_advertised_follow():
    made = config(
        {"listeners": "PLAINTEXT://127.0.0.1:1"},
        listeners="PLAINTEXT://127.0.0.1:1,INTERNAL://127.0.0.1:2",
        listener_security_protocol_map="PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT",
        advertised_listeners="INTERNAL://kafka.example.com:3",
    )
    assert made.listeners == (
        Listener("PLAINTEXT", "127.0.0.1", 1, "PLAINTEXT"),
        Listener("INTERNAL", "127.0.0.1", 2, "PLAINTEXT"),
    )
    assert made.advertised_listeners == (Advertised("INTERNAL", "kafka.example.com", 3),)


def test_a_name_that_nobody_knows_is_kept_and_its_value_never_told():
    made = config(None, {"my.plugin": "secret"})
    found = entry(made, "my.plugin")
    assert (found.value, found.is_sensitive, found.source) == (None, True, ConfigSource.DYNAMIC_DEFAULT_BROKER)
    assert [(synonym.name, synonym.value) for synonym in found.synonyms] == [("my.plugin", None)]
    assert [found.name for found in made.cluster_entries()] == ["min.insync.replicas", "my.plugin"]


def test_the_settings_of_all_brokers_are_those_that_were_set_for_all_and_one_that_always_is():
    made = config({"log.retention.hours": "2"}, {SIZE: "3", "log.retention.ms": "7"}, message_max_bytes="2")
    found = [(one.name, one.value, one.source, len(one.synonyms)) for one in made.cluster_entries()]
    source = ConfigSource.DYNAMIC_DEFAULT_BROKER
    assert found == [
        ("log.retention.ms", "7", source, 1),
        (SIZE, "3", source, 1),
        ("min.insync.replicas", "1", source, 1),
    ]


@pytest.mark.parametrize(
    ("given", "cluster", "synonyms"),
    [
        (None, {}, [("1", 3), ("1", 5)]),
        ({"min.insync.replicas": "2"}, {}, [("2", 3), ("2", 4), ("1", 5)]),
        ({"min.insync.replicas": "2"}, {"min.insync.replicas": "3"}, [("3", 3), ("2", 4), ("1", 5)]),
    ],
)
def test_min_insync_replicas_is_a_setting_of_all_brokers(given, cluster, synonyms):
    """As in a new cluster of Apache Kafka 4.3.1 (KIP-966)."""
    found = entry(config(given, cluster), "min.insync.replicas")
    assert [(synonym.value, synonym.source) for synonym in found.synonyms] == synonyms
    assert (found.value, found.source) == synonyms[0]


@pytest.mark.parametrize(
    ("name", "text", "value", "kind", "base"),
    [
        ("listener.name.x.max.connections", "7", "7", ConfigType.INT, [("max.connections", "2147483647", 5)]),
        ("listener.name.x.ssl.keystore.password", "secret", None, ConfigType.PASSWORD, []),
        ("listener.name.x.plain.sasl.jaas.config", "secret", None, ConfigType.PASSWORD, []),
        ("listener.name.x.no.such", "secret", None, ConfigType.UNKNOWN, []),
    ],
)
def test_a_setting_of_one_listener_is_one_of_its_kind(name, text, value, kind, base):
    found = entry(config(None, {}, **{name.replace(".", "_"): text}), name)
    assert (found.value, found.type, found.is_read_only, found.is_sensitive) == (value, kind, True, value is None)
    assert found.synonyms == ((name, value, ConfigSource.DYNAMIC_BROKER), *base)


@pytest.mark.parametrize("name", ["leader.replication.throttled.rate", "super.users", "unstable.api.versions.enable"])
def test_what_kafka_lists_only_where_it_is_set_is_not_listed(name):
    assert name not in {found.name for found in config().entries()}
