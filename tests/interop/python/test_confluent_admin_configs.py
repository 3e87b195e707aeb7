"""confluent-kafka's AdminClient: settings."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    ResourceType,
)
from support.clients.contract import TIMEOUT_S

SET, DELETE, APPEND, SUBTRACT = AlterConfigOpType
TOPIC, BROKER, GROUP = ResourceType.TOPIC, ResourceType.BROKER, ResourceType.GROUP
FOREVER = str(2**63 - 1)


def _entry(confluent: AdminClient, kind: ResourceType, name: str, setting: str) -> Any:
    resource = ConfigResource(kind, name)
    return confluent.describe_configs([resource])[resource].result(TIMEOUT_S)[setting]


def _value(confluent: AdminClient, kind: ResourceType, name: str, setting: str) -> tuple[str, ConfigSource]:
    entry = _entry(confluent, kind, name, setting)
    return entry.value, ConfigSource(entry.source)


def _code(alter: Callable[..., Any], resource: ConfigResource, **options: Any) -> int:
    """With what an alteration is refused, or 0."""
    try:
        alter([resource], **options)[resource].result(TIMEOUT_S)
    except KafkaException as refused:
        return int(refused.args[0].code())
    return 0


def _change(
    kind: ResourceType, name: str, setting: str, operation: AlterConfigOpType, value: str | None = None
) -> ConfigResource:
    return ConfigResource(
        kind, name, incremental_configs=[ConfigEntry(setting, value, incremental_operation=operation)]
    )


def _alter(confluent: AdminClient, *change: Any, **options: Any) -> int:
    return _code(confluent.incremental_alter_configs, _change(*change), **options)


def test_a_setting_has_its_source_and_synonyms(confluent: AdminClient, make_topic: Callable[..., str]) -> None:
    topic = make_topic(max_message_bytes="2000")

    altered = _entry(confluent, TOPIC, topic, "max.message.bytes")
    default = _entry(confluent, TOPIC, topic, "cleanup.policy")

    assert (altered.value, altered.is_default, altered.is_read_only, altered.is_sensitive) == (
        "2000",
        False,
        False,
        False,
    )
    assert ConfigSource(altered.source) == ConfigSource.DYNAMIC_TOPIC_CONFIG
    synonym = altered.synonyms["message.max.bytes"]
    assert (synonym.value, ConfigSource(synonym.source)) == ("1048588", ConfigSource.DEFAULT_CONFIG)
    assert (default.value, default.is_default) == ("delete", True)


def test_settings_of_a_broker_are_described(confluent: AdminClient) -> None:
    assert _value(confluent, BROKER, "1", "message.max.bytes") == ("1048588", ConfigSource.DEFAULT_CONFIG)
    assert _entry(confluent, BROKER, "1", "log.dirs").is_read_only
    assert _entry(confluent, BROKER, "1", "ssl.keystore.password").is_sensitive


def test_a_topic_that_is_not_there_has_no_settings(confluent: AdminClient, name: str) -> None:
    assert _code(confluent.describe_configs, ConfigResource(TOPIC, name)) == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert _code(confluent.describe_configs, ConfigResource(TOPIC, "a b")) == KafkaError.TOPIC_EXCEPTION


def test_settings_are_altered_one_by_one(
    confluent: AdminClient, make_topic: Callable[..., str], soon: Callable[..., None]
) -> None:
    topic = make_topic(retention_ms="60000")

    assert _alter(confluent, TOPIC, topic, "flush.ms", SET, "5") == 0
    soon(lambda: _value(confluent, TOPIC, topic, "flush.ms"), ("5", ConfigSource.DYNAMIC_TOPIC_CONFIG))
    assert _alter(confluent, TOPIC, topic, "flush.ms", DELETE) == 0
    soon(lambda: _value(confluent, TOPIC, topic, "flush.ms"), (FOREVER, ConfigSource.DEFAULT_CONFIG))
    assert _alter(confluent, TOPIC, topic, "cleanup.policy", APPEND, "compact") == 0
    soon(lambda: _value(confluent, TOPIC, topic, "cleanup.policy")[0], "delete,compact")
    assert _alter(confluent, TOPIC, topic, "cleanup.policy", SUBTRACT, "delete") == 0
    soon(lambda: _value(confluent, TOPIC, topic, "cleanup.policy")[0], "compact")

    assert _value(confluent, TOPIC, topic, "retention.ms") == ("60000", ConfigSource.DYNAMIC_TOPIC_CONFIG)


@pytest.mark.filterwarnings("ignore:alter_configs has been deprecated")
def test_altered_settings_replace_all_others(
    confluent: AdminClient, make_topic: Callable[..., str], soon: Callable[..., None]
) -> None:
    topic = make_topic(retention_ms="60000")

    def values() -> list[str]:
        return [_value(confluent, TOPIC, topic, setting)[0] for setting in ("flush.ms", "retention.ms")]

    wanted = ConfigResource(TOPIC, topic, set_config={"flush.ms": "5"})
    assert _code(confluent.alter_configs, wanted, validate_only=True) == 0
    assert values() == [FOREVER, "60000"]
    assert _code(confluent.alter_configs, wanted) == 0
    soon(values, ["5", "604800000"])
    assert (
        _code(confluent.alter_configs, ConfigResource(TOPIC, topic, set_config={"flush.ms": "x"}))
        == KafkaError.INVALID_CONFIG
    )
    assert _code(confluent.alter_configs, ConfigResource(TOPIC, topic)) == 0
    soon(values, [FOREVER, "604800000"])


def test_settings_that_are_only_validated_stay(confluent: AdminClient, topic: str) -> None:
    assert _alter(confluent, TOPIC, topic, "flush.ms", SET, "5", validate_only=True) == 0
    assert _alter(confluent, TOPIC, topic, "flush.ms", SET, "x", validate_only=True) == KafkaError.INVALID_CONFIG

    assert _value(confluent, TOPIC, topic, "flush.ms") == (FOREVER, ConfigSource.DEFAULT_CONFIG)


def test_settings_that_cannot_be_are_refused(confluent: AdminClient, topic: str, name: str) -> None:
    assert _alter(confluent, TOPIC, topic, "no.such", SET, "1") == KafkaError.INVALID_CONFIG
    assert _alter(confluent, TOPIC, topic, "flush.ms", SET, "x") == KafkaError.INVALID_CONFIG
    assert _alter(confluent, TOPIC, topic, "flush.ms", APPEND, "1") == KafkaError.INVALID_CONFIG
    assert _alter(confluent, TOPIC, topic, "flush.ms", SUBTRACT, "1") == KafkaError.INVALID_CONFIG
    assert _alter(confluent, TOPIC, name + "-unknown", "flush.ms", SET, "1") == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert _alter(confluent, TOPIC, "a b", "flush.ms", SET, "1") == KafkaError.TOPIC_EXCEPTION
    assert _alter(confluent, BROKER, "1", "num.partitions", SET, "3") == KafkaError.INVALID_REQUEST


@pytest.mark.usefixtures("broker_is_reset")
def test_a_broker_is_altered_and_reset(confluent: AdminClient, soon: Callable[..., None]) -> None:
    flush = "log.flush.interval.messages"

    assert _alter(confluent, BROKER, "1", flush, SET, "5") == 0
    soon(lambda: _value(confluent, BROKER, "1", flush), ("5", ConfigSource.DYNAMIC_BROKER_CONFIG))
    assert _alter(confluent, BROKER, "1", flush, DELETE) == 0
    soon(lambda: _value(confluent, BROKER, "1", flush), (FOREVER, ConfigSource.DEFAULT_CONFIG))


def test_a_request_may_name_its_broker(confluent: AdminClient, topic: str, soon: Callable[..., None]) -> None:
    assert _alter(confluent, TOPIC, topic, "flush.ms", SET, "5", broker=1) == 0

    soon(lambda: _value(confluent, TOPIC, topic, "flush.ms")[0], "5")


def test_a_group_is_altered(confluent: AdminClient, name: str, soon: Callable[..., None]) -> None:
    timeout = "consumer.session.timeout.ms"
    assert _value(confluent, GROUP, name, timeout) == ("45000", ConfigSource.DEFAULT_CONFIG)

    assert _alter(confluent, GROUP, name, timeout, SET, "50000") == 0

    soon(lambda: _value(confluent, GROUP, name, timeout), ("50000", ConfigSource.GROUP_CONFIG))
    assert _alter(confluent, GROUP, name, timeout, SET, "1") == KafkaError.INVALID_CONFIG
    assert _alter(confluent, GROUP, name, "no.such", SET, "1") == KafkaError.INVALID_CONFIG
