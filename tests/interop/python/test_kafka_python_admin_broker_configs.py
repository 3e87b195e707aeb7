"""kafka-python's KafkaAdminClient: settings of brokers, loggers, groups and client metrics, altered and listed."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaAdminClient, errors
from kafka.admin import AlterConfigOp, ConfigResource
from kafka.protocol.admin import DescribeConfigsRequest, IncrementalAlterConfigsRequest

SET, DELETE, APPEND, SUBTRACT = AlterConfigOp
BROKER = 4
EVERY_BROKER = ""
DYNAMIC_BROKER, DYNAMIC_DEFAULT_BROKER, DEFAULT = 2, 3, 5
FLUSH, FOREVER = "log.flush.interval.messages", str(2**63 - 1)


def _altered(
    kafka_python: KafkaAdminClient, broker: str, setting: str, operation: AlterConfigOp, value: str | None = None
) -> tuple[int, str | None]:
    """Alter as KafkaAdminClient does, which has no way to name every broker."""
    configs = [(setting, operation, value)]
    request = IncrementalAlterConfigsRequest(resources=[(BROKER, broker, configs)], validate_only=False)
    (result,) = kafka_python._manager.run(kafka_python._manager.send, request).responses
    return result.error_code, result.error_message


def _described(kafka_python: KafkaAdminClient, broker: str, setting: str) -> Any:
    """Its value, source, and synonyms."""
    request = DescribeConfigsRequest(resources=[(BROKER, broker, [setting])], include_synonyms=True)
    (result,) = kafka_python._manager.run(kafka_python._manager.send, request).results
    return [
        (
            found.value,
            found.config_source,
            [(synonym.name, synonym.value, synonym.source) for synonym in found.synonyms],
        )
        for found in result.configs
    ]


@pytest.mark.usefixtures("broker_is_reset")
def test_a_broker_goes_before_every_broker_and_a_topic_before_both(
    kafka_python: KafkaAdminClient, make_topic: Callable[..., str], soon: Callable[..., None]
) -> None:
    topic, other = make_topic("-1", flush_messages="66666"), make_topic("-2")
    default, every = (FLUSH, FOREVER, DEFAULT), (FLUSH, "77777", DYNAMIC_DEFAULT_BROKER)
    own = (FLUSH, "88888", DYNAMIC_BROKER)

    assert _altered(kafka_python, EVERY_BROKER, FLUSH, SET, "77777") == (0, None)
    soon(
        lambda: _described(kafka_python, "1", FLUSH),
        [("77777", DYNAMIC_DEFAULT_BROKER, [every, default])],
    )
    assert _described(kafka_python, EVERY_BROKER, FLUSH) == [("77777", DYNAMIC_DEFAULT_BROKER, [every])]

    assert _altered(kafka_python, "1", FLUSH, SET, "88888") == (0, None)
    soon(lambda: _described(kafka_python, "1", FLUSH), [("88888", DYNAMIC_BROKER, [own, every, default])])

    resources = [ConfigResource("TOPIC", name, ["flush.messages"]) for name in (topic, other)]
    found = kafka_python.describe_configs(resources, include_synonyms=True, config_filter="all")["topic"]
    assert found[topic]["flush.messages"]["synonyms"] == [
        {"name": "flush.messages", "value": "66666", "source": "DYNAMIC_TOPIC_CONFIG"},
        {"name": FLUSH, "value": "88888", "source": "DYNAMIC_BROKER_CONFIG"},
        {"name": FLUSH, "value": "77777", "source": "DYNAMIC_DEFAULT_BROKER_CONFIG"},
        {"name": FLUSH, "value": FOREVER, "source": "DEFAULT_CONFIG"},
    ]
    assert found[other]["flush.messages"]["value"] == "88888"
    assert found[other]["flush.messages"]["config_source"] == "DYNAMIC_BROKER_CONFIG"

    assert _altered(kafka_python, "1", FLUSH, DELETE) == (0, None)
    soon(lambda: _described(kafka_python, "1", FLUSH), [("77777", DYNAMIC_DEFAULT_BROKER, [every, default])])
    assert _altered(kafka_python, EVERY_BROKER, FLUSH, DELETE) == (0, None)
    soon(lambda: _described(kafka_python, "1", FLUSH), [(FOREVER, DEFAULT, [default])])
    assert _described(kafka_python, EVERY_BROKER, FLUSH) == []


@pytest.mark.usefixtures("broker_is_reset")
@pytest.mark.parametrize("incremental", [True, False])
def test_a_broker_is_altered_and_reset(
    kafka_python: KafkaAdminClient, soon: Callable[..., None], incremental: bool
) -> None:
    altered = kafka_python.alter_configs([ConfigResource("BROKER", "1", {FLUSH: "5"})], incremental=incremental)
    assert altered == {"broker": {"1": "OK"}}
    soon(lambda: [entry[:2] for entry in _described(kafka_python, "1", FLUSH)], [("5", DYNAMIC_BROKER)])

    reset = kafka_python.reset_configs([ConfigResource("BROKER", "1", [FLUSH])], incremental=incremental)
    assert reset == {"broker": {"1": "OK"}}
    soon(lambda: [entry[:2] for entry in _described(kafka_python, "1", FLUSH)], [(FOREVER, DEFAULT)])


@pytest.mark.parametrize(
    ("broker", "setting", "value", "word"),
    [
        ("7", FLUSH, "5", "received 7"),
        ("x", FLUSH, "5", "must be an integer, but it is: x"),
        ("1", FLUSH, None, FLUSH),
        ("1", FLUSH, "x", FLUSH),
        (EVERY_BROKER, FLUSH, "x", FLUSH),
        ("1", "num.partitions", "3", "num.partitions"),
        ("1", "node.id", "3", "node.id"),
        ("1", "log.dirs", "/tmp", "log.dirs"),
        ("1", "log.cleaner.threads", "100", "log cleaner threads"),
        (EVERY_BROKER, "listeners", "PLAINTEXT://:9092", "broker id must be specified"),
        (EVERY_BROKER, "ssl.keystore.password", "secret", "using the listener prefix"),
    ],
)
def test_a_setting_of_a_broker_that_cannot_be_is_refused(
    kafka_python: KafkaAdminClient, broker: str, setting: str, value: str | None, word: str
) -> None:
    code, message = _altered(kafka_python, broker, setting, SET, value)

    assert code == errors.InvalidRequestError.errno
    assert word.lower() in str(message).lower()


@pytest.mark.usefixtures("broker_is_reset")
def test_a_broker_takes_a_setting_that_it_does_not_know(
    kafka_python: KafkaAdminClient, soon: Callable[..., None]
) -> None:
    unknown = "no.such.setting"

    assert _altered(kafka_python, "1", unknown, SET, "secret") == (0, None)
    soon(lambda: _described(kafka_python, "1", unknown), [(None, DYNAMIC_BROKER, [(unknown, None, DYNAMIC_BROKER)])])

    assert _altered(kafka_python, "1", unknown, DELETE) == (0, None)
    soon(lambda: _described(kafka_python, "1", unknown), [])


@pytest.mark.usefixtures("broker_is_reset")
def test_a_synonym_of_a_setting_is_set_for_every_broker(
    kafka_python: KafkaAdminClient, topic: str, soon: Callable[..., None]
) -> None:
    def seen() -> tuple[str, str, list[tuple[str, str]]]:
        entry = _entry(kafka_python, "TOPIC", topic, "retention.ms")
        synonyms = [(synonym["name"], synonym["value"]) for synonym in entry["synonyms"]]
        return entry["value"], entry["config_source"], synonyms

    assert _altered(kafka_python, EVERY_BROKER, "log.retention.ms", SET, "864000000") == (0, None)
    synonyms = [("log.retention.ms", "864000000"), ("log.retention.hours", "168")]
    soon(seen, ("864000000", "DYNAMIC_DEFAULT_BROKER_CONFIG", synonyms))

    assert _altered(kafka_python, EVERY_BROKER, "log.retention.ms", DELETE) == (0, None)
    soon(seen, ("604800000", "DEFAULT_CONFIG", []))


def test_a_broker_that_is_only_validated_stays(kafka_python: KafkaAdminClient) -> None:
    resource = ConfigResource("BROKER", "1", {FLUSH: "5"})

    assert kafka_python.alter_configs([resource], validate_only=True) == {"broker": {"1": "OK"}}

    assert _described(kafka_python, "1", FLUSH)[0][1] == DEFAULT


def _said(kafka_python: KafkaAdminClient, kind: str, name: str, configs: dict[str, Any]) -> str:
    resource = ConfigResource(kind, name, configs)
    said: str = kafka_python.alter_configs([resource], raise_on_unknown=False)[kind.lower()][name]
    return said


def _entry(kafka_python: KafkaAdminClient, kind: str, name: str, setting: str) -> Any:
    resource = ConfigResource(kind, name, [setting])
    found = kafka_python.describe_configs([resource], include_synonyms=True, config_filter="all")
    return found[kind.lower()][name][setting]


def test_the_level_of_a_logger_is_altered(kafka_python: KafkaAdminClient, soon: Callable[..., None]) -> None:
    def level() -> str:
        return str(_entry(kafka_python, "BROKER_LOGGER", "1", "root")["value"])

    before = level()
    with contextlib.ExitStack() as after:
        after.callback(_said, kafka_python, "BROKER_LOGGER", "1", {"root": before})

        assert _said(kafka_python, "BROKER_LOGGER", "1", {"root": "ERROR"}) == "OK"

        soon(level, "ERROR")
        assert _entry(kafka_python, "BROKER_LOGGER", "1", "root") == {
            "value": "ERROR",
            "read_only": False,
            "config_source": "DYNAMIC_BROKER_LOGGER_CONFIG",
            "is_sensitive": False,
            "synonyms": [],
            "config_type": "UNKNOWN",
            "documentation": "",
        }
    soon(level, before)


@pytest.mark.parametrize(
    ("logger", "change", "error", "word"),
    [
        ("root", "LOUD", errors.InvalidConfigurationError, "root to LOUD"),
        ("no.such", "INFO", errors.InvalidConfigurationError, "Logger no.such does not exist!"),
        ("root", (DELETE, None), errors.InvalidRequestError, "root logger"),
        ("root", (APPEND, "INFO"), errors.InvalidRequestError, "APPEND"),
        ("root", (SUBTRACT, "INFO"), errors.InvalidRequestError, "SUBTRACT"),
    ],
    ids=["unknown level", "unknown logger", "delete", "append", "subtract"],
)
def test_a_level_that_cannot_be_is_refused(
    kafka_python: KafkaAdminClient, logger: str, change: Any, error: Any, word: str
) -> None:
    said = _said(kafka_python, "BROKER_LOGGER", "1", {logger: change})

    assert said.startswith(str(error()))
    assert word in said


def test_a_logger_is_not_altered_by_replacing_all(kafka_python: KafkaAdminClient) -> None:
    resource = ConfigResource("BROKER_LOGGER", "1", {"root": "INFO"})

    said = kafka_python.alter_configs([resource], raise_on_unknown=False, incremental=False)

    assert said == {"broker_logger": {"1": str(errors.InvalidRequestError("Unknown resource type 8"))}}


@pytest.mark.parametrize(
    ("kind", "setting", "value", "default", "source", "synonyms"),
    [
        (
            "GROUP",
            "consumer.session.timeout.ms",
            "50000",
            "45000",
            "DYNAMIC_GROUP_CONFIG",
            [{"name": "group.consumer.session.timeout.ms", "value": "45000", "source": "DEFAULT_CONFIG"}],
        ),
        ("CLIENT_METRICS", "interval.ms", "60000", "300000", "DYNAMIC_CLIENT_METRICS_CONFIG", []),
    ],
    ids=["group", "client metrics"],
)
def test_a_resource_exists_by_being_altered(
    kafka_python: KafkaAdminClient,
    name: str,
    soon: Callable[..., None],
    kind: str,
    setting: str,
    value: str,
    default: str,
    source: str,
    synonyms: list[Any],
) -> None:
    def seen() -> tuple[str, str, bool]:
        entry = _entry(kafka_python, kind, name, setting)
        listed = kafka_python.list_config_resources([kind]).get(kind.lower(), [])
        return entry["value"], entry["config_source"], name in listed

    assert seen() == (default, "DEFAULT_CONFIG", False)

    assert _said(kafka_python, kind, name, {setting: value}) == "OK"
    soon(seen, (value, source, True))
    own = {"name": setting, "value": value, "source": source}
    assert _entry(kafka_python, kind, name, setting)["synonyms"] == [own, *synonyms]

    assert kafka_python.reset_configs([ConfigResource(kind, name, [setting])]) == {kind.lower(): {name: "OK"}}
    soon(seen, (default, "DEFAULT_CONFIG", False))


TIMEOUT = "consumer.session.timeout.ms"


@pytest.mark.parametrize(
    ("kind", "name", "configs", "error"),
    [
        ("GROUP", "group", {"no.such": "1"}, errors.InvalidConfigurationError),
        ("GROUP", "group", {TIMEOUT: "x"}, errors.InvalidConfigurationError),
        ("GROUP", "group", {TIMEOUT: "44999"}, errors.InvalidConfigurationError),
        ("GROUP", "group", {TIMEOUT: "60001"}, errors.InvalidConfigurationError),
        ("GROUP", "", {TIMEOUT: "50000"}, errors.InvalidRequestError),
        ("CLIENT_METRICS", "metrics", {"no.such": "1"}, errors.InvalidRequestError),
        ("CLIENT_METRICS", "metrics", {"interval.ms": "1"}, errors.InvalidRequestError),
        ("CLIENT_METRICS", "", {"interval.ms": "60000"}, errors.InvalidRequestError),
        ("TOPIC", "", {"flush.ms": "5"}, errors.InvalidRequestError),
        ("UNKNOWN", "x", {"flush.ms": "5"}, errors.InvalidRequestError),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_setting_of_a_resource_that_cannot_be_is_refused(
    kafka_python: KafkaAdminClient, kind: str, name: str, configs: dict[str, str], error: Any
) -> None:
    assert _said(kafka_python, kind, name, configs).startswith(str(error()))


def test_resources_with_settings_are_listed(kafka_python: KafkaAdminClient, topic: str) -> None:
    every = kafka_python.list_config_resources()

    assert (every["broker"], every["broker_logger"]) == (["1"], ["1"])
    assert topic in every["topic"]
    assert topic in kafka_python.list_config_resources(["TOPIC"])["topic"]
    assert kafka_python.list_config_resources(["BROKER", "BROKER_LOGGER"]) == {
        "broker": ["1"],
        "broker_logger": ["1"],
    }
    with pytest.raises(errors.UnsupportedVersionError):
        kafka_python.list_config_resources(["UNKNOWN"])
