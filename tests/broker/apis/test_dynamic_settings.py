"""Settings of all brokers and of one, changed while it runs (KIP-226)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.calls import (
    BROKER,
    DELETE,
    GROUP,
    SET,
    TOPIC,
    Topic,
    batch,
    both_ends,
    configure,
    described,
    increment,
    make_topic,
    overrides,
    produce,
)
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.alter_configs import IncrementalAlterConfigsRequest
from barnabas.protocol.messages.configs import DescribeConfigsRequest, DescribeConfigsResourceResult

ENDS = both_ends(IncrementalAlterConfigsRequest)
EVERY, OWN = "", "1"
FROM_TOPIC, FROM_OWN, FROM_EVERY, FROM_FILE, DEFAULT = range(1, 6)
STATIC = ("-c", "message.max.bytes=4000", "-c", "log.retention.hours=2")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with running(tmp_path_factory.mktemp("broker") / "data", *STATIC) as process:
        yield process
    assert "Traceback" not in process.log.read_text()


@contextmanager
def having(wire: Wire, name: str, **configs: str) -> Iterator[None]:
    """Broker settings for the length of a ``with`` block."""
    configure(wire, BROKER, name, **configs)
    yield
    configure(wire, BROKER, name, **dict.fromkeys(configs))


def sources(config: DescribeConfigsResourceResult) -> list[tuple[str, str | None, int]]:
    """Return where a setting has values; the first of them counts."""
    synonyms = [(synonym.name, synonym.value, synonym.source) for synonym in config.synonyms]
    assert (config.value, config.config_source) == synonyms[0][1:]
    return synonyms


def size_of(wire: Wire, topic: Topic) -> list[tuple[str, str | None, int]]:
    return sources(described(wire, TOPIC, topic.name)["max.message.bytes"])


def takes(wire: Wire, topic: Topic, size: int) -> bool:
    code = produce(wire, topic, batch(b"x" * size)).error_code
    assert code in (ErrorCode.NONE, ErrorCode.MESSAGE_TOO_LARGE)
    return code == ErrorCode.NONE


def test_this_broker_comes_before_all_brokers_before_the_file_before_the_default(wire: Wire, topic: Topic) -> None:
    own, every = ("message.max.bytes", "2000", FROM_OWN), ("message.max.bytes", "3000", FROM_EVERY)
    static = [("message.max.bytes", "4000", FROM_FILE), ("message.max.bytes", "1048588", DEFAULT)]

    def expect(*dynamic: tuple[str, str, int]) -> None:
        assert sources(described(wire, BROKER, OWN)["message.max.bytes"]) == [*dynamic, *static]
        assert size_of(wire, topic) == [*dynamic, *static]
        limit = int(dynamic[0][1]) if dynamic else 4000
        assert (takes(wire, topic, limit - 200), takes(wire, topic, limit)) == (True, False)

    expect()
    with having(wire, EVERY, message_max_bytes="3000"):
        expect(every)
        with having(wire, OWN, message_max_bytes="2000"):
            expect(own, every)
        expect(every)
    with having(wire, OWN, message_max_bytes="2000"):
        expect(own)
    expect()


def test_a_topics_own_setting_comes_before_the_brokers(wire: Wire) -> None:
    topic = make_topic(wire, max_message_bytes="1000")
    with having(wire, OWN, message_max_bytes="2000"):
        assert size_of(wire, topic)[:2] == [
            ("max.message.bytes", "1000", FROM_TOPIC),
            ("message.max.bytes", "2000", FROM_OWN),
        ]
        assert not takes(wire, topic, 1000)
        configure(wire, TOPIC, topic.name, max_message_bytes=None)
        assert takes(wire, topic, 1000)
    assert size_of(wire, topic)[0] == ("message.max.bytes", "4000", FROM_FILE)


def test_milliseconds_set_while_it_runs_come_before_hours_in_the_file(wire: Wire, topic: Topic) -> None:
    static = [("log.retention.hours", "2", FROM_FILE), ("log.retention.hours", "168", DEFAULT)]
    assert described(wire, TOPIC, topic.name)["retention.ms"].value == "7200000"
    with having(wire, EVERY, log_retention_ms="5000"):
        entry = described(wire, TOPIC, topic.name)["retention.ms"]
        assert sources(entry) == [("log.retention.ms", "5000", FROM_EVERY), *static]
        assert sources(described(wire, BROKER, OWN)["log.retention.ms"])[0] == (
            "log.retention.ms",
            "5000",
            FROM_EVERY,
        )
    assert described(wire, TOPIC, topic.name)["retention.ms"].value == "7200000"


def test_a_topic_is_made_with_what_holds_then(wire: Wire) -> None:
    with having(wire, EVERY, message_max_bytes="1000"):
        topic = make_topic(wire)
        assert not takes(wire, topic, 1000)
    assert takes(wire, topic, 1000)


@both_ends(DescribeConfigsRequest)
def test_the_settings_of_all_brokers_are_described_without_a_name(wire: Wire, version: int) -> None:
    with having(wire, EVERY, message_max_bytes="3000", log_retention_ms="5000"):
        configs = described(wire, BROKER, EVERY, version)
        assert {name: sources(config) for name, config in configs.items()} == {
            "log.retention.ms": [("log.retention.ms", "5000", FROM_EVERY)],
            "message.max.bytes": [("message.max.bytes", "3000", FROM_EVERY)],
            "min.insync.replicas": [("min.insync.replicas", "1", FROM_EVERY)],
        }
        assert not any(config.read_only or config.is_sensitive for config in configs.values())
    assert list(described(wire, BROKER, EVERY, version)) == ["min.insync.replicas"]


@ENDS
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("listeners", "PLAINTEXT://:0"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT"),
        ("sasl.enabled.mechanisms", "PLAIN"),
        ("num.partitions", "5"),
        ("node.id", "5"),
        ("log.dirs", "/elsewhere"),
    ],
)
def test_what_differs_from_broker_to_broker_or_never_changes_is_refused(
    wire: Wire, version: int, setting: str, value: str
) -> None:
    result = increment(wire, BROKER, EVERY, (setting, SET, value), version=version)
    assert (result.error_code, result.resource_name) == (ErrorCode.INVALID_REQUEST, EVERY)
    assert overrides(wire, BROKER, EVERY) == {}


@ENDS
def test_what_belongs_to_a_listener_is_refused_for_all_brokers(wire: Wire, version: int) -> None:
    setting = "listener.name.internal.ssl.keystore.location"
    result = increment(wire, BROKER, EVERY, (setting, SET, "/key"), version=version)
    increment(wire, BROKER, EVERY, (setting, DELETE, None))
    assert result.error_code == ErrorCode.INVALID_REQUEST


@ENDS
def test_what_the_layers_come_to_must_make_sense(wire: Wire, version: int) -> None:
    with having(wire, OWN, log_cleaner_min_compaction_lag_ms="50"):
        step = ("log.cleaner.max.compaction.lag.ms", SET, "49")
        assert increment(wire, BROKER, EVERY, step, version=version).error_code == ErrorCode.INVALID_REQUEST
        assert overrides(wire, BROKER, EVERY) == {}
    with having(wire, EVERY, log_cleaner_max_compaction_lag_ms="49"):
        step = ("log.cleaner.min.compaction.lag.ms", SET, "50")
        assert increment(wire, BROKER, OWN, step, version=version).error_code == ErrorCode.INVALID_REQUEST


@ENDS
@pytest.mark.parametrize(("threads", "code"), [("17", 42), ("3", 42), ("16", 0), ("4", 0)])
def test_a_pool_of_threads_doubles_or_halves_at_most(wire: Wire, version: int, threads: str, code: int) -> None:
    for name in (OWN, EVERY):
        result = increment(wire, BROKER, name, ("num.io.threads", SET, threads), version=version)
        assert result.error_code == code
        assert increment(wire, BROKER, name, ("num.io.threads", DELETE, None)).error_code == ErrorCode.NONE


def test_a_group_falls_back_on_the_broker(wire: Wire) -> None:
    configure(wire, GROUP, "group", consumer_session_timeout_ms="50000")
    configs = described(wire, GROUP, "group")
    own, other = configs["consumer.session.timeout.ms"], configs["share.session.timeout.ms"]
    assert (own.value, own.config_source) == ("50000", 8)
    assert (other.value, other.config_source) == ("45000", DEFAULT)


def test_connections_are_limited_at_once(broker: BrokerProcess, wire: Wire) -> None:
    limited = having(wire, OWN, max_connections_per_ip="1")
    with limited, Wire(broker.port) as refused, pytest.raises(ConnectionError):
        refused.receive_frame()
    with Wire(broker.port) as again:
        assert described(again, BROKER, OWN)["max.connections.per.ip"].config_source == DEFAULT


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_settings_survive_the_end_of_the_process(tmp_path: Path, how: str) -> None:
    with running(tmp_path / "data") as broker:
        with Wire(broker.port) as wire:
            topic = make_topic(wire)
            configure(wire, BROKER, EVERY, message_max_bytes="3000", log_retention_ms="5000")
            configure(wire, BROKER, OWN, message_max_bytes="2000")
            configure(wire, GROUP, "group", consumer_session_timeout_ms="50000")
            configure(wire, BROKER, EVERY, log_retention_ms=None)
        getattr(broker, how)()
        broker.start()
        with Wire(broker.port) as wire:
            assert overrides(wire, BROKER, EVERY) == {"message.max.bytes": "3000"}
            assert overrides(wire, BROKER, OWN) == {"message.max.bytes": "2000"}
            assert overrides(wire, GROUP, "group") == {"consumer.session.timeout.ms": "50000"}
            assert [source for _, _, source in size_of(wire, topic)] == [FROM_OWN, FROM_EVERY, DEFAULT]
            assert (takes(wire, topic, 1800), takes(wire, topic, 2000)) == (True, False)


def test_a_broker_starts_when_what_was_set_does_not_fit_its_file_any_more(tmp_path: Path) -> None:
    lags = {name: f"log.cleaner.{name}.compaction.lag.ms" for name in ("min", "max")}
    with running(tmp_path / "data") as broker, Wire(broker.port) as wire:
        configure(wire, BROKER, EVERY, message_max_bytes="3000")
        assert increment(wire, BROKER, OWN, (lags["min"], SET, "50")).error_code == ErrorCode.NONE
    with running(tmp_path / "data", "-c", f"{lags['max']}=49") as broker, Wire(broker.port) as wire:
        (line,) = [line for line in broker.log.read_text().splitlines() if "ignoring a stored setting" in line]
        assert f"{lags['min']}=50 (from the dynamic settings of this broker) must be at most" in line
        assert line.endswith(f"barnabas settings {tmp_path / 'data'} --forget {lags['min']})")
        assert described(wire, BROKER, OWN)[lags["min"]].value == "0"
        assert increment(wire, BROKER, OWN, (lags["min"], DELETE, None)).error_code == ErrorCode.NONE
        assert overrides(wire, BROKER, EVERY) == {"message.max.bytes": "3000"}
