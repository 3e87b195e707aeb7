"""What a topic runs with: its overrides, then the broker's settings, then the defaults."""

import pytest

from barnabas.broker.config import (
    BrokerConfig,
    ConfigEntry,
    ConfigError,
    ConfigSource,
    TopicConfig,
    validate_topic_overrides,
)
from barnabas.broker.config.table import TOPIC_SETTINGS

BROKER = BrokerConfig()


def entry(config: TopicConfig, name: str) -> ConfigEntry:
    return next(entry for entry in config.entries() if entry.name == name)


def refusal(overrides: dict[str, str | None], broker: BrokerConfig | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        validate_topic_overrides(overrides, broker)
    return str(caught.value)


def test_an_override_beats_the_broker_beats_the_default():
    broker = BrokerConfig.of({"message.max.bytes": "2000"})
    assert TopicConfig({}, BROKER).int("max.message.bytes") == 1048588
    assert TopicConfig({}, broker).int("max.message.bytes") == 2000
    assert TopicConfig({"max.message.bytes": "30"}, broker).int("max.message.bytes") == 30


def test_the_level_is_that_of_the_compression_type():
    assert TopicConfig({"compression.type": "lz4"}, BROKER).compression_level == 9
    assert TopicConfig({"compression.type": "zstd", "compression.zstd.level": "7"}, BROKER).compression_level == 7
    assert TopicConfig({"compression.type": "snappy"}, BROKER).compression_level is None


def test_the_internal_size_of_segments_comes_before_the_other_and_is_shown_only_where_it_is_set():
    small = TopicConfig({"internal.segment.bytes": "100", "segment.bytes": "1048576"}, BROKER)
    assert (small.segment_bytes, TopicConfig({}, BROKER).segment_bytes) == (100, 2**30)
    assert "internal.segment.bytes" in {entry.name for entry in small.entries()}
    assert "internal.segment.bytes" not in {entry.name for entry in TopicConfig({}, BROKER).entries()}


def test_what_produce_fetch_and_the_log_read_stands_as_attributes():
    config = TopicConfig({}, BROKER)
    assert {name: getattr(config, name) for name in config.__slots__ if not name.startswith("_")} == {
        "compression_level": None,
        "compression_type": "producer",
        "delete_retention_ms": 86400000,
        "file_delete_delay_ms": 60000,
        "flush_messages": 9223372036854775807,
        "flush_ms": 9223372036854775807,
        "index_interval_bytes": 4096,
        "is_compacted": False,
        "is_deleting": True,
        "is_durable": False,
        "max_compaction_lag_ms": 9223372036854775807,
        "max_message_bytes": 1048588,
        "message_timestamp_after_max_ms": 3600000,
        "message_timestamp_before_max_ms": 9223372036854775807,
        "message_timestamp_type": "CreateTime",
        "min_cleanable_dirty_ratio": 0.5,
        "min_compaction_lag_ms": 0,
        "preallocate": False,
        "retention_bytes": -1,
        "retention_ms": 604800000,
        "segment_bytes": 1073741824,
        "segment_index_bytes": 10485760,
        "segment_jitter_ms": 0,
        "segment_ms": 604800000,
    }


@pytest.mark.parametrize(
    ("name", "value", "attribute", "expected"),
    [
        ("max.message.bytes", "5", "max_message_bytes", 5),
        ("segment.bytes", "1048576", "segment_bytes", 1048576),
        ("segment.ms", "5", "segment_ms", 5),
        ("segment.jitter.ms", "5", "segment_jitter_ms", 5),
        ("index.interval.bytes", "5", "index_interval_bytes", 5),
        ("segment.index.bytes", "5", "segment_index_bytes", 5),
        ("flush.messages", "5", "flush_messages", 5),
        ("flush.messages", "5", "is_durable", False),
        ("flush.messages", "1", "is_durable", True),
        ("flush.ms", "5", "flush_ms", 5),
        ("cleanup.policy", "compact", "is_compacted", True),
        ("cleanup.policy", "compact,delete", "is_compacted", True),
        ("cleanup.policy", "", "is_compacted", False),
        ("message.timestamp.type", "LogAppendTime", "message_timestamp_type", "LogAppendTime"),
        ("message.timestamp.before.max.ms", "5", "message_timestamp_before_max_ms", 5),
        ("message.timestamp.after.max.ms", "5", "message_timestamp_after_max_ms", 5),
        ("retention.ms", "-1", "retention_ms", -1),
        ("retention.bytes", "5", "retention_bytes", 5),
    ],
)
def test_an_override_reaches_the_attribute(name, value, attribute, expected):
    assert getattr(TopicConfig({name: value}, BROKER), attribute) == expected


@pytest.mark.parametrize(
    ("broker_setting", "value", "topic_setting", "expected"),
    [
        ("log.roll.hours", "1", "segment.ms", 3_600_000),
        ("log.roll.ms", "5", "segment.ms", 5),
        ("log.roll.jitter.hours", "1", "segment.jitter.ms", 3_600_000),
        ("log.retention.minutes", "1", "retention.ms", 60_000),
        ("log.flush.interval.ms", "5", "flush.ms", 5),
        ("log.flush.scheduler.interval.ms", "5", "flush.ms", 5),
    ],
)
def test_a_broker_setting_in_another_unit_is_converted(broker_setting, value, topic_setting, expected):
    assert TopicConfig({}, BrokerConfig.of({broker_setting: value})).int(topic_setting) == expected


def test_an_unknown_name_is_a_key_error():
    with pytest.raises(KeyError):
        TopicConfig({}, BROKER).int("num.partitions")


def test_an_override_that_is_wrong_is_refused_when_the_config_is_made():
    with pytest.raises(ConfigError, match=r"configuration segment\.bytes: Value must be at least"):
        TopicConfig({"segment.bytes": "1"}, BROKER)


def test_every_topic_setting_has_one_entry_that_can_be_written():
    entries = list(TopicConfig({}, BROKER).entries())
    assert [entry.name for entry in entries] == sorted(TOPIC_SETTINGS.keys() - {"internal.segment.bytes"})
    assert not any(entry.is_read_only or entry.is_sensitive for entry in entries)
    sources = {entry.name: entry.source for entry in entries}
    assert sources.pop("min.insync.replicas") is ConfigSource.DYNAMIC_DEFAULT_BROKER
    assert set(sources.values()) == {ConfigSource.DEFAULT}
    assert all(entry.documentation for entry in entries)


def test_synonyms_are_topic_then_static_then_default():
    broker = BrokerConfig.of({"message.max.bytes": "2000"})
    described = entry(TopicConfig({"max.message.bytes": "30"}, broker), "max.message.bytes")
    assert (described.value, described.source) == ("30", ConfigSource.TOPIC)
    assert described.synonyms == (
        ("max.message.bytes", "30", 1),
        ("message.max.bytes", "2000", 4),
        ("message.max.bytes", "1048588", 5),
    )


def test_a_value_from_the_broker_is_static():
    described = entry(TopicConfig({}, BrokerConfig.of({"log.retention.ms": "1"})), "retention.ms")
    assert (described.value, described.source) == ("1", ConfigSource.STATIC_BROKER)
    assert described.synonyms == (("log.retention.ms", "1", 4), ("log.retention.hours", "168", 5))


def test_a_value_under_another_name_counts_but_is_not_told():
    described = entry(TopicConfig({}, BrokerConfig.of({"log.retention.hours": "1"})), "retention.ms")
    assert (described.value, described.source, described.synonyms) == ("3600000", ConfigSource.DEFAULT, ())


def test_a_setting_no_broker_setting_stands_behind_has_no_synonyms_until_it_is_set():
    name = "remote.log.copy.disable"
    assert entry(TopicConfig({}, BROKER), name).synonyms == ()
    assert entry(TopicConfig({name: "true"}, BROKER), name).synonyms == ((name, "true", ConfigSource.TOPIC),)


def test_good_overrides_pass():
    validate_topic_overrides({"cleanup.policy": "compact", "retention.ms": "-1", "segment.bytes": "1048576"})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"segment.bytes": "1"}, "Invalid value 1 for configuration segment.bytes: Value must be at least 1048576"),
        ({"retention.ms": None}, "Null value not supported for topic configs: retention.ms"),
        ({"retention.mss": "1"}, "Unknown topic config name: retention.mss; did you mean retention.ms?"),
        ({"message.format.version": "3.0"}, "Unknown topic config name: message.format.version"),
        (
            {"cleanup.policy": "keep"},
            "Invalid value keep for configuration cleanup.policy: String must be one of: compact, delete",
        ),
        (
            {"min.compaction.lag.ms": "6", "max.compaction.lag.ms": "5"},
            "conflict topic config setting min.compaction.lag.ms (6) > max.compaction.lag.ms (5)",
        ),
        ({"remote.storage.enable": "true"}, "Tiered Storage functionality is disabled in the broker."),
    ],
)
def test_a_wrong_override_is_refused_with_name_value_and_what_is_allowed(overrides, message):
    assert refusal(overrides).startswith(message)


def test_all_wrong_overrides_are_told_at_once():
    assert [line.split()[5] for line in refusal({"segment.bytes": "1", "flush.ms": "x"}).splitlines()] == [
        "flush.ms:",
        "segment.bytes:",
    ]


def test_an_override_is_judged_together_with_what_the_broker_has():
    broker = BrokerConfig.of({"log.cleaner.max.compaction.lag.ms": "5"})
    validate_topic_overrides({"min.compaction.lag.ms": "6"})
    message = refusal({"min.compaction.lag.ms": "6"}, broker)
    assert message == "conflict topic config setting min.compaction.lag.ms (6) > max.compaction.lag.ms (5)"
    broker = BrokerConfig.of({"log.cleaner.min.compaction.lag.ms": "6"})
    message = refusal({"max.compaction.lag.ms": "5"}, broker)
    assert message == "conflict topic config setting min.compaction.lag.ms (6) > max.compaction.lag.ms (5)"
