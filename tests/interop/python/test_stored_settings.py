"""Settings that a running broker takes and refuses to store, by the same requests to Barnabas and to Apache Kafka."""

from collections.abc import Callable, Iterator

import pytest
from support.apache_kafka import ApacheKafka
from support.calls import APPEND, BROKER, DELETE, SET, SUBTRACT, TOPIC, described, increment
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode

JMX = "org.apache.kafka.common.metrics.JmxReporter"
NONE, REQUEST, CONFIG = ErrorCode.NONE, ErrorCode.INVALID_REQUEST, ErrorCode.INVALID_CONFIG
EVERY, OWN = "", "1"
Steps = list[tuple[int, str, ErrorCode, str | None]]


@pytest.fixture
def wire(server: BrokerProcess | ApacheKafka) -> Iterator[Wire]:
    with Wire(server.port) as connection:
        yield connection


@pytest.mark.parametrize(
    ("name", "setting", "value", "code", "text"),
    [
        (OWN, "max.connections", "0", REQUEST, "Invalid max.connections 0"),
        (EVERY, "max.connections", "0", REQUEST, "Invalid max.connections 0"),
        (OWN, "max.connections", "-1", REQUEST, "Invalid value -1 for configuration max.connections"),
        (OWN, "max.connection.creation.rate", "0", REQUEST, "Invalid max.connection.creation.rate 0"),
        (OWN, "listener.name.plaintext.max.connections", "0", REQUEST, "Invalid max.connections 0"),
        (OWN, "max.connections.per.ip", "0", REQUEST, "max.connections.per.ip"),
        (OWN, "max.connections.per.ip.overrides", "192.0.2.77:0", NONE, ""),
        (OWN, "max.connections.per.ip.overrides", "192.0.2.77:-5,no.such.host.invalid:5", NONE, ""),
        (OWN, "max.connections.per.ip.overrides", "garbage", REQUEST, ""),
        (OWN, "max.connections.per.ip.overrides", "192.0.2.77:x", REQUEST, ""),
        (OWN, "message.max.bytes", "0", NONE, ""),
        (OWN, "connections.max.idle.ms", "1", REQUEST, "Cannot update these configs dynamically"),
        (OWN, "socket.request.max.bytes", "1", REQUEST, "Cannot update these configs dynamically"),
        (OWN, "log.initial.task.delay.ms", "1", REQUEST, "Cannot update these configs dynamically"),
        (OWN, "group.consumer.assignors", "no.Class", REQUEST, "Cannot update these configs dynamically"),
        (OWN, "listeners", "nonsense", REQUEST, ""),
        (OWN, "listeners", "PLAINTEXT://192.0.2.77:0", REQUEST, ""),
        (OWN, "log.cleaner.dedupe.buffer.size", "1", REQUEST, "must be at least 1MB per cleaner thread"),
        (EVERY, "log.cleaner.dedupe.buffer.size", "1", REQUEST, "must be at least 1MB per cleaner thread"),
        (EVERY, "log.cleaner.dedupe.buffer.size", "-1", REQUEST, "must be at least 1MB per cleaner thread"),
        (EVERY, "log.cleaner.dedupe.buffer.size", "1048576", REQUEST, "must be at least 1MB per cleaner thread"),
        (EVERY, "log.cleaner.dedupe.buffer.size", "2097152", NONE, ""),
        (OWN, "log.cleaner.threads", "0", REQUEST, ""),
        (EVERY, "metric.reporters", "no.such.Class", REQUEST, ""),
        (OWN, "metric.reporters", f"{JMX},no.such.Class", REQUEST, ""),
        (EVERY, "metric.reporters", f"{JMX},{JMX}", NONE, ""),
        (EVERY, "metric.reporters", "", NONE, ""),
        (OWN, "principal.builder.class", "no.such.Class", REQUEST, "Class no.such.Class could not be found."),
        (
            OWN,
            "listener.name.plaintext.principal.builder.class",
            "no.such.Class",
            REQUEST,
            "Class no.such.Class could not be found.",
        ),
        (EVERY, "cordoned.log.dirs", "*", REQUEST, "Cannot update these configs at default cluster level"),
        (OWN, "cordoned.log.dirs", "/nowhere", REQUEST, "cordoned.log.dirs"),
        (OWN, "cordoned.log.dirs", "*", NONE, ""),
        (OWN, "log.cleanup.policy", "compact,compact", NONE, ""),
        (OWN, "log.cleanup.policy", "delete,", REQUEST, ""),
    ],
)
def test_a_setting_of_brokers_is_taken_or_refused(
    wire: Wire, name: str, setting: str, value: str, code: ErrorCode, text: str
) -> None:
    result = increment(wire, BROKER, name, (setting, SET, value))
    if result.error_code == ErrorCode.NONE:
        increment(wire, BROKER, name, (setting, DELETE, None))
    assert result.error_code == code, result
    assert text in (result.error_message or "")


@pytest.mark.parametrize(
    ("setting", "steps"),
    [
        ("cleanup.policy", [(APPEND, "", CONFIG, "delete")]),
        ("cleanup.policy", [(APPEND, ",compact", CONFIG, "delete"), (APPEND, "compact,", NONE, "delete,compact")]),
        ("cleanup.policy", [(APPEND, " compact ", NONE, "delete,compact")]),
        ("cleanup.policy", [(SET, "compact,compact", NONE, "compact"), (APPEND, "compact,compact", NONE, "compact")]),
        ("cleanup.policy", [(SET, "", NONE, ""), (APPEND, "", NONE, ""), (SUBTRACT, "", NONE, "")]),
        ("cleanup.policy", [(SET, "compact,,delete", CONFIG, "delete"), (SET, "x,compact", CONFIG, "delete")]),
        ("leader.replication.throttled.replicas", [(APPEND, "", NONE, ""), (APPEND, "0:1", NONE, "0:1")]),
        ("leader.replication.throttled.replicas", [(SET, "*", NONE, "*"), (APPEND, "0:1", CONFIG, "*")]),
        ("internal.segment.bytes", [(SET, "-1", NONE, "-1"), (SET, "100", NONE, "100"), (SET, "x", CONFIG, "100")]),
    ],
)
def test_a_setting_of_a_topic_is_changed_step_by_step(
    wire: Wire, topic: str, soon: Callable[..., None], setting: str, steps: Steps
) -> None:
    def shown() -> str | None:
        found = described(wire, TOPIC, topic).get(setting)
        return None if found is None else found.value  # type: ignore[no-any-return]

    for operation, value, code, after in steps:
        result = increment(wire, TOPIC, topic, (setting, operation, value))
        assert result.error_code == code, (value, result)
        soon(shown, after)


def test_what_kafka_has_for_its_own_tests_is_shown_only_where_it_is_set(wire: Wire, topic: str) -> None:
    assert "internal.segment.bytes" not in described(wire, TOPIC, topic)
    assert "log.initial.task.delay.ms" not in described(wire, BROKER, OWN)
