"""kafka-python's KafkaAdminClient: settings described, and those of topics altered.

Those of brokers, groups and the like are in test_kafka_python_admin_broker_configs.py.
"""

from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaAdminClient, errors
from kafka.admin import AlterConfigOp, ConfigResource
from kafka.protocol.admin import DescribeConfigsRequest

SET, DELETE, APPEND, SUBTRACT = AlterConfigOp
TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
OK = "OK"


def _described(
    kafka_python: KafkaAdminClient, kind: str, name: str, setting: str, synonyms: bool = True
) -> dict[str, Any]:
    """What is said of one setting, its synonyms as tuples of name, value and source."""
    resource = ConfigResource(kind, name, [setting])
    found = kafka_python.describe_configs([resource], include_synonyms=synonyms, config_filter="all")
    entry: dict[str, Any] = found[kind.lower()][name][setting]
    entry["synonyms"] = [(synonym["name"], synonym["value"], synonym["source"]) for synonym in entry["synonyms"]]
    return entry


def _value(kafka_python: KafkaAdminClient, kind: str, name: str, setting: str) -> tuple[str, str]:
    entry = _described(kafka_python, kind, name, setting)
    return entry["value"], entry["config_source"]


def _altered(kafka_python: KafkaAdminClient, kind: str, name: str, **options: Any) -> str:
    """What ``alter_configs`` says of a resource; ``configs`` and whatever else it takes are ``options``."""
    resource = ConfigResource(kind, name, options.pop("configs"))
    said = kafka_python.alter_configs([resource], raise_on_unknown=False, **options)
    return said[kind.lower()][name]


def test_a_setting_of_a_topic_has_its_type_source_and_synonyms(
    kafka_python: KafkaAdminClient, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(max_message_bytes="2000")

    altered = _described(kafka_python, "TOPIC", topic, "max.message.bytes")
    default = _described(kafka_python, "TOPIC", topic, "cleanup.policy")

    assert altered == {
        "value": "2000",
        "read_only": False,
        "config_source": "DYNAMIC_TOPIC_CONFIG",
        "is_sensitive": False,
        "synonyms": [
            ("max.message.bytes", "2000", "DYNAMIC_TOPIC_CONFIG"),
            ("message.max.bytes", "1048588", "DEFAULT_CONFIG"),
        ],
        "config_type": "INT",
        "documentation": None,
    }
    assert default == altered | {
        "value": "delete",
        "config_source": "DEFAULT_CONFIG",
        "synonyms": [("log.cleanup.policy", "delete", "DEFAULT_CONFIG")],
        "config_type": "LIST",
    }
    assert _described(kafka_python, "TOPIC", topic, "max.message.bytes", synonyms=False)["synonyms"] == []


FOREVER = str(2**63 - 1)
# What Kafka 4.3 says of a topic without settings: value, type and synonym.
DEFAULTS = {
    "cleanup.policy": ("delete", "LIST", "log.cleanup.policy"),
    "compression.gzip.level": ("-1", "INT", "compression.gzip.level"),
    "compression.lz4.level": ("9", "INT", "compression.lz4.level"),
    "compression.type": ("producer", "STRING", "compression.type"),
    "compression.zstd.level": ("3", "INT", "compression.zstd.level"),
    "delete.retention.ms": ("86400000", "LONG", "log.cleaner.delete.retention.ms"),
    "file.delete.delay.ms": ("60000", "LONG", "log.segment.delete.delay.ms"),
    "flush.messages": (FOREVER, "LONG", "log.flush.interval.messages"),
    "flush.ms": (FOREVER, "LONG", None),
    "follower.replication.throttled.replicas": ("", "LIST", None),
    "index.interval.bytes": ("4096", "INT", "log.index.interval.bytes"),
    "leader.replication.throttled.replicas": ("", "LIST", None),
    "local.retention.bytes": ("-2", "LONG", "log.local.retention.bytes"),
    "local.retention.ms": ("-2", "LONG", "log.local.retention.ms"),
    "max.compaction.lag.ms": (FOREVER, "LONG", "log.cleaner.max.compaction.lag.ms"),
    "max.message.bytes": ("1048588", "INT", "message.max.bytes"),
    "message.timestamp.after.max.ms": ("3600000", "LONG", "log.message.timestamp.after.max.ms"),
    "message.timestamp.before.max.ms": (FOREVER, "LONG", "log.message.timestamp.before.max.ms"),
    "message.timestamp.type": ("CreateTime", "STRING", "log.message.timestamp.type"),
    "min.cleanable.dirty.ratio": ("0.5", "DOUBLE", "log.cleaner.min.cleanable.ratio"),
    "min.compaction.lag.ms": ("0", "LONG", "log.cleaner.min.compaction.lag.ms"),
    "preallocate": ("false", "BOOLEAN", "log.preallocate"),
    "remote.log.copy.disable": ("false", "BOOLEAN", None),
    "remote.log.delete.on.disable": ("false", "BOOLEAN", None),
    "remote.storage.enable": ("false", "BOOLEAN", None),
    "retention.bytes": ("-1", "LONG", "log.retention.bytes"),
    "retention.ms": ("604800000", "LONG", None),
    "segment.bytes": ("1073741824", "INT", "log.segment.bytes"),
    "segment.index.bytes": ("10485760", "INT", "log.index.size.max.bytes"),
    "segment.jitter.ms": ("0", "LONG", None),
    "segment.ms": ("604800000", "LONG", None),
    "unclean.leader.election.enable": ("false", "BOOLEAN", "unclean.leader.election.enable"),
}


def test_every_setting_of_a_topic_is_described(kafka_python: KafkaAdminClient, topic: str) -> None:
    resource = ConfigResource("TOPIC", topic)

    found = kafka_python.describe_configs([resource], include_synonyms=True, config_filter="all")["topic"][topic]

    # Whose source depends on the features of the cluster: with KIP-966 Kafka sets it for all brokers.
    minimum = found.pop("min.insync.replicas")
    assert (minimum["value"], minimum["config_type"]) == ("1", "INT")
    assert {entry["config_source"] for entry in found.values()} == {"DEFAULT_CONFIG"}
    seen = {
        setting: (entry["value"], entry["config_type"], *[synonym["name"] for synonym in entry["synonyms"]])
        for setting, entry in found.items()
    }
    assert seen == {
        setting: (value, kind, synonym) if synonym else (value, kind)
        for setting, (value, kind, synonym) in DEFAULTS.items()
    }


def test_settings_of_a_broker_have_their_sources(kafka_python: KafkaAdminClient) -> None:
    names = ["message.max.bytes", "listeners", "log.dirs", "node.id", "ssl.keystore.password", "num.partitions"]

    found = kafka_python.describe_configs([ConfigResource("BROKER", "1", names)], config_filter="all")["broker"]["1"]

    seen = {name: (entry["config_source"], entry["read_only"], entry["config_type"]) for name, entry in found.items()}
    assert seen == {
        "message.max.bytes": ("DEFAULT_CONFIG", False, "INT"),
        "listeners": ("STATIC_BROKER_CONFIG", False, "LIST"),
        "log.dirs": ("STATIC_BROKER_CONFIG", True, "LIST"),
        "node.id": (found["node.id"]["config_source"], True, "INT"),
        "ssl.keystore.password": ("DEFAULT_CONFIG", False, "PASSWORD"),
        "num.partitions": ("DEFAULT_CONFIG", True, "INT"),
    }
    assert (found["node.id"]["value"], found["message.max.bytes"]["value"]) == ("1", "1048588")
    assert found["listeners"]["value"].startswith("PLAINTEXT://127.0.0.1:")
    assert (found["ssl.keystore.password"]["value"], found["ssl.keystore.password"]["is_sensitive"]) == (None, True)


def test_settings_are_filtered_by_source(kafka_python: KafkaAdminClient, make_topic: Callable[..., str]) -> None:
    topic = make_topic(retention_ms="60000")

    def names(kind: str, name: str, config_filter: str) -> set[str]:
        found = kafka_python.describe_configs([ConfigResource(kind, name)], config_filter=config_filter)
        return set(found[kind.lower()][name])

    assert names("TOPIC", topic, "modified") == {"retention.ms"}
    assert names("TOPIC", topic, "default") == (set(DEFAULTS) | {"min.insync.replicas"}) - {"retention.ms"}
    assert {"listeners", "log.dirs"} <= names("BROKER", "1", "static")
    assert "log.dirs" not in names("BROKER", "1", "dynamic")
    assert "message.max.bytes" in names("BROKER", "1", "dynamic")


def test_a_resource_that_is_not_there_has_no_settings(kafka_python: KafkaAdminClient, name: str) -> None:
    nowhere = [ConfigResource("TOPIC", name), ConfigResource("TOPIC", "a b"), ConfigResource("GROUP", "")]

    described = kafka_python.describe_configs(nowhere, config_filter="all")

    assert described == {"topic": {name: {}, "a b": {}}, "group": {"": {}}}


def _results(kafka_python: KafkaAdminClient, *resources: tuple[int, str, list[str] | None]) -> dict[Any, Any]:
    """What the broker says of resources, which kafka-python hides when it is an error."""
    request = DescribeConfigsRequest(resources=list(resources), include_synonyms=False, include_documentation=True)
    results = kafka_python._manager.run(kafka_python._manager.send, request).results
    return {(result.resource_type, result.resource_name): result for result in results}


def test_settings_are_described_with_their_documentation(kafka_python: KafkaAdminClient, topic: str) -> None:
    ((_, result),) = _results(kafka_python, (TOPIC, topic, ["retention.ms"])).items()

    assert result.configs[0].documentation


def test_each_resource_is_refused_for_itself(kafka_python: KafkaAdminClient, topic: str) -> None:
    invalid = errors.InvalidRequestError.errno
    codes = {
        (TOPIC, topic): 0,
        (TOPIC, "no.such.topic"): errors.UnknownTopicOrPartitionError.errno,
        (TOPIC, ""): errors.InvalidTopicError.errno,
        (BROKER, "7"): invalid,
        (BROKER, "x"): invalid,
        (LOGGER, "7"): invalid,
        (LOGGER, ""): invalid,
        (GROUP, ""): invalid,
        (METRICS, ""): invalid,
    }

    results = _results(kafka_python, *[(kind, name, None) for kind, name in codes])

    assert {who: result.error_code for who, result in results.items()} == codes
    silent = {who for who, result in results.items() if not result.error_message}
    assert silent == {(TOPIC, topic), (TOPIC, "no.such.topic")}
    assert {results[who].error_message for who in silent} == {""}


def test_a_resource_of_an_unknown_type_is_refused(kafka_python: KafkaAdminClient) -> None:
    (result,) = _results(kafka_python, (3, "x", None)).values()

    assert result.error_code == errors.InvalidRequestError.errno


def test_a_setting_that_is_not_there_is_not_described(kafka_python: KafkaAdminClient, topic: str) -> None:
    (result,) = _results(kafka_python, (TOPIC, topic, ["no.such", "flush.ms"])).values()

    assert [entry.name for entry in result.configs] == ["flush.ms"]


@pytest.mark.parametrize("incremental", [True, False])
def test_a_setting_is_altered_and_the_others_stay(
    kafka_python: KafkaAdminClient, make_topic: Callable[..., str], soon: Callable[..., None], incremental: bool
) -> None:
    topic = make_topic(retention_ms="60000")

    assert _altered(kafka_python, "TOPIC", topic, configs={"flush.ms": "5"}, incremental=incremental) == OK

    soon(lambda: _value(kafka_python, "TOPIC", topic, "flush.ms"), ("5", "DYNAMIC_TOPIC_CONFIG"))
    assert _value(kafka_python, "TOPIC", topic, "retention.ms") == ("60000", "DYNAMIC_TOPIC_CONFIG")


@pytest.mark.parametrize("incremental", [True, False])
@pytest.mark.parametrize("configs", [["flush.ms"], []], ids=["one", "all"])
def test_settings_are_reset(
    kafka_python: KafkaAdminClient,
    make_topic: Callable[..., str],
    soon: Callable[..., None],
    incremental: bool,
    configs: list[str],
) -> None:
    topic = make_topic(flush_ms="5", retention_ms="60000")

    reset = kafka_python.reset_configs([ConfigResource("TOPIC", topic, configs)], incremental=incremental)

    assert reset == {"topic": {topic: OK}}
    soon(lambda: _value(kafka_python, "TOPIC", topic, "flush.ms"), (FOREVER, "DEFAULT_CONFIG"))
    retention = ("60000", "DYNAMIC_TOPIC_CONFIG") if configs else ("604800000", "DEFAULT_CONFIG")
    assert _value(kafka_python, "TOPIC", topic, "retention.ms") == retention


def test_values_are_appended_to_a_list_and_subtracted(
    kafka_python: KafkaAdminClient, topic: str, soon: Callable[..., None]
) -> None:
    def alter(operation: AlterConfigOp, value: str | None, after: str) -> None:
        configs = {"cleanup.policy": (operation, value)}
        assert _altered(kafka_python, "TOPIC", topic, configs=configs) == OK
        soon(lambda: _value(kafka_python, "TOPIC", topic, "cleanup.policy")[0], after)

    alter(APPEND, "compact", "delete,compact")
    alter(APPEND, "compact", "delete,compact")
    alter(SUBTRACT, "delete", "compact")
    alter(SUBTRACT, "nonsense", "compact")
    alter(SUBTRACT, "compact", "")
    alter(SET, "compact,delete", "compact,delete")
    alter(DELETE, None, "delete")
    assert _value(kafka_python, "TOPIC", topic, "cleanup.policy") == ("delete", "DEFAULT_CONFIG")


def test_settings_that_are_only_validated_stay(kafka_python: KafkaAdminClient, topic: str) -> None:
    configs = {"flush.ms": "5"}

    for incremental in (True, False):
        said = _altered(kafka_python, "TOPIC", topic, configs=configs, validate_only=True, incremental=incremental)
        assert said == OK

    assert _value(kafka_python, "TOPIC", topic, "flush.ms") == (FOREVER, "DEFAULT_CONFIG")


@pytest.mark.parametrize("validate_only", [False, True])
@pytest.mark.parametrize(
    ("configs", "error", "word"),
    [
        ({"no.such": "1"}, errors.InvalidConfigurationError, "no.such"),
        ({"flush.ms": "x"}, errors.InvalidConfigurationError, "flush.ms"),
        ({"retention.ms": "5", "flush.ms": "x"}, errors.InvalidConfigurationError, "flush.ms"),
        ({"flush.ms": None}, errors.InvalidRequestError, "flush.ms"),
        ({"segment.bytes": "1"}, errors.InvalidConfigurationError, "at least 1048576"),
        ({"flush.ms": (APPEND, "5")}, errors.InvalidConfigurationError, "APPEND"),
        ({"flush.ms": (SUBTRACT, "5")}, errors.InvalidConfigurationError, "SUBTRACT"),
        ({"cleanup.policy": (APPEND, "x")}, errors.InvalidConfigurationError, "compact, delete"),
        ({"cleanup.policy": (APPEND, None)}, errors.InvalidRequestError, "cleanup.policy"),
    ],
    ids=[
        "unknown",
        "no number",
        "one of two",
        "null",
        "too small",
        "append",
        "subtract",
        "unknown in list",
        "null in list",
    ],
)
def test_a_setting_of_a_topic_that_cannot_be_is_refused(
    kafka_python: KafkaAdminClient,
    topic: str,
    configs: dict[str, Any],
    error: type[errors.BrokerResponseError],
    word: str,
    validate_only: bool,
) -> None:
    said = _altered(kafka_python, "TOPIC", topic, configs=configs, validate_only=validate_only)

    assert said.startswith(str(error()))
    assert word in said
    found = kafka_python.describe_configs([ConfigResource("TOPIC", topic)])["topic"][topic]
    assert set(found) <= {"min.insync.replicas"}


def test_a_setting_that_does_not_exist_may_be_deleted(kafka_python: KafkaAdminClient, topic: str) -> None:
    assert _altered(kafka_python, "TOPIC", topic, configs={"no.such": (DELETE, None)}) == OK


def test_a_resource_that_is_altered_twice_is_refused(kafka_python: KafkaAdminClient, topic: str) -> None:
    resources = [ConfigResource("TOPIC", topic, {setting: "5"}) for setting in ("flush.ms", "flush.messages")]

    said = kafka_python.alter_configs(resources)

    assert said == {"topic": {topic: str(errors.InvalidRequestError("Each resource must appear at most once."))}}
    assert _value(kafka_python, "TOPIC", topic, "flush.ms") == (FOREVER, "DEFAULT_CONFIG")


def test_the_client_refuses_a_setting_that_it_was_not_told_of(kafka_python: KafkaAdminClient, topic: str) -> None:
    with pytest.raises(ValueError, match=r"no\.such"):
        kafka_python.alter_configs([ConfigResource("TOPIC", topic, {"no.such": "1"})])


@pytest.mark.parametrize("incremental", [True, False])
def test_a_topic_that_is_not_there_is_not_altered(
    kafka_python: KafkaAdminClient, name: str, incremental: bool
) -> None:
    said = _altered(kafka_python, "TOPIC", name, configs={"flush.ms": "5"}, incremental=incremental)

    assert said == str(errors.UnknownTopicOrPartitionError(f"The topic '{name}' does not exist."))


def test_resources_are_altered_each_for_itself(
    kafka_python: KafkaAdminClient, topic: str, name: str, soon: Callable[..., None]
) -> None:
    resources = [ConfigResource("TOPIC", where, {"flush.ms": "5"}) for where in (name + "-unknown", topic)]

    altered = kafka_python.alter_configs(resources, raise_on_unknown=False)["topic"]

    assert altered[topic] == OK
    assert altered[name + "-unknown"].startswith("[Error 3]")
    soon(lambda: _value(kafka_python, "TOPIC", topic, "flush.ms"), ("5", "DYNAMIC_TOPIC_CONFIG"))
