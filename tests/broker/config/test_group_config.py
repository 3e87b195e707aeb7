"""The settings of a group and of a client metrics subscription."""

import pytest

from barnabas.broker.config import (
    CLIENT_METRICS_SETTINGS,
    GROUP_SETTINGS,
    BrokerConfig,
    ClientMetricsConfig,
    ConfigEntry,
    ConfigError,
    ConfigSource,
    Dynamics,
    GroupConfig,
)

BROKER = BrokerConfig()


def entry(config: GroupConfig | ClientMetricsConfig, name: str) -> ConfigEntry:
    return next(found for found in config.entries() if found.name == name)


def test_a_groups_own_setting_beats_the_brokers_beats_the_default():
    broker = BrokerConfig.of({"group.share.session.timeout.ms": "50000"})
    assert GroupConfig({}, BROKER).int("share.session.timeout.ms") == 45000
    assert GroupConfig({}, broker).int("share.session.timeout.ms") == 50000
    assert GroupConfig({"share.session.timeout.ms": "55000"}, broker).int("share.session.timeout.ms") == 55000


def test_a_group_follows_when_the_broker_changes():
    changed = BrokerConfig().changed(Dynamics({}, {"group.share.session.timeout.ms": "50000"}))
    assert GroupConfig({}, changed).int("share.session.timeout.ms") == 50000


def test_a_groups_own_setting_is_told_as_such():
    found = entry(GroupConfig({"consumer.session.timeout.ms": "50000"}, BROKER), "consumer.session.timeout.ms")
    assert (found.value, found.source) == ("50000", ConfigSource.GROUP)
    assert found.synonyms[0] == ("consumer.session.timeout.ms", "50000", ConfigSource.GROUP)
    other = entry(GroupConfig({}, BROKER), "consumer.session.timeout.ms")
    assert (other.value, other.source) == ("45000", ConfigSource.DEFAULT)


def test_every_setting_has_one_entry_that_can_be_written():
    entries = list(GroupConfig({}, BROKER).entries())
    assert [found.name for found in entries] == sorted(GROUP_SETTINGS)
    assert not any(found.is_read_only or found.is_sensitive for found in entries)
    assert all(found.documentation for found in entries)


@pytest.mark.parametrize(
    ("overrides", "blamed"),
    [
        ({"no.such": "1"}, "Unknown group config name: no.such"),
        ({"consumer.session.timeout": "1"}, "Unknown group config name: consumer.session.timeout; did you mean"),
        (
            {"consumer.session.timeout.ms": "soon"},
            "Invalid value soon for configuration consumer.session.timeout.ms: Not a number",
        ),
        ({"consumer.session.timeout.ms": "44999"}, "consumer.session.timeout.ms must be greater than or equal to"),
        ({"consumer.session.timeout.ms": "60001"}, "consumer.session.timeout.ms must be less than or equal to"),
        (
            {"consumer.heartbeat.interval.ms": "4999"},
            "consumer.heartbeat.interval.ms must be greater than or equal to",
        ),
        (
            {"share.record.lock.duration.ms": "999"},
            "Invalid value 999 for configuration share.record.lock.duration.ms: ",
        ),
        ({"streams.num.standby.replicas": "3"}, "streams.num.standby.replicas must be less than or equal to"),
        ({"share.isolation.level": "none"}, "Invalid value none for configuration share.isolation.level: "),
        ({"share.auto.offset.reset": "never"}, "Invalid value never for configuration share.auto.offset.reset: "),
        (
            {"share.auto.offset.reset": "by_duration:P"},
            "Invalid value by_duration:P for configuration share.auto.offset.reset: ",
        ),
        (
            {"share.auto.offset.reset": "by_duration:-PT1H"},
            "Invalid value by_duration:-PT1H for configuration share.auto.offset.reset: ",
        ),
        (
            {"share.auto.offset.reset": "by_duration:1h"},
            "Invalid value by_duration:1h for configuration share.auto.offset.reset: ",
        ),
    ],
)
def test_a_wrong_setting_of_a_group_is_refused(overrides, blamed):
    with pytest.raises(ConfigError) as caught:
        GroupConfig(overrides, BROKER)
    assert str(caught.value).startswith(blamed)


@pytest.mark.parametrize(
    "reset", ["earliest", "latest", "by_duration:P1D", "by_duration:PT1H30M", "by_duration:P2DT3.5S"]
)
def test_a_share_group_may_begin_at_either_end_or_at_a_time(reset):
    config = GroupConfig({"share.auto.offset.reset": reset}, BROKER)
    assert config.string("share.auto.offset.reset") == reset


def test_a_session_must_be_longer_than_a_heartbeat():
    broker = BrokerConfig.of(
        {
            "group.consumer.max.heartbeat.interval.ms": "45000",
            "group.consumer.heartbeat.interval.ms": "5000",
        }
    )
    with pytest.raises(ConfigError, match="must be greater than"):
        GroupConfig({"consumer.heartbeat.interval.ms": "45000"}, broker)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        GroupConfig({"no.such": "1", "share.isolation.level": "none"}, BROKER)
    assert len(caught.value.problems) == 2


# Client metrics


def test_a_subscription_has_what_was_set_and_defaults():
    config = ClientMetricsConfig({"interval.ms": "1000", "metrics": "a.,b."})
    assert (config.int("interval.ms"), config.list("metrics"), config.list("match")) == (1000, ("a.", "b."), ())
    found = {one.name: (one.value, one.source) for one in config.entries()}
    assert found == {
        "interval.ms": ("1000", ConfigSource.CLIENT_METRICS),
        "match": ("", ConfigSource.DEFAULT),
        "metrics": ("a.,b.", ConfigSource.CLIENT_METRICS),
    }
    assert sorted(CLIENT_METRICS_SETTINGS) == sorted(found)


@pytest.mark.parametrize(
    "match", ["client_id=a", "client_software_name=apache.*,client_source_port=[0-9]+", " client_id = b "]
)
def test_clients_are_chosen_by_patterns(match):
    assert ClientMetricsConfig({"match": match}).list("match")


@pytest.mark.parametrize("match", ["client_id", "client_id=", "who=me", "client_id=(", "client_id=a=b", "=a"])
def test_what_is_no_pattern_is_refused(match):
    with pytest.raises(ConfigError, match="for configuration match: "):
        ClientMetricsConfig({"match": match})
