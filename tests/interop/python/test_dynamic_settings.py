"""What settings do that are altered while the broker runs, seen by producers and consumers.

Retention and compaction are not here: what they delete is a test of the log.
"""

import time
from collections.abc import Callable

import pytest
from kafka import KafkaAdminClient
from kafka.admin import AlterConfigOp, ConfigResource
from kafka.protocol.admin import IncrementalAlterConfigsRequest
from support.clients.confluent import Confluent
from support.clients.contract import Received, Refused

MESSAGE_TOO_LARGE, INVALID_TIMESTAMP, INVALID_RECORD = 10, 32, 87
BROKER = 4

Alter = Callable[..., None]


@pytest.fixture
def alter(kafka_python: KafkaAdminClient, topic: str, soon: Callable[..., None]) -> Alter:
    """``alter(setting, value)`` of the topic, and wait until it is described so."""

    def value(setting: str) -> str:
        found = kafka_python.describe_configs([ConfigResource("TOPIC", topic, [setting])], config_filter="all")
        return str(found["topic"][topic][setting]["value"])

    def alter(setting: str, wanted: str) -> None:
        altered = kafka_python.alter_configs([ConfigResource("TOPIC", topic, {setting: wanted})])
        assert altered == {"topic": {topic: "OK"}}
        soon(lambda: value(setting), wanted)

    return alter


@pytest.fixture
def alter_every_broker(kafka_python: KafkaAdminClient, broker_is_reset: None) -> Alter:
    """``alter_every_broker(setting, value)`` until the end of the test; kafka-python has no call for it."""

    def alter(setting: str, value: str) -> None:
        resources = [(BROKER, "", [(setting, AlterConfigOp.SET, value)])]
        request = IncrementalAlterConfigsRequest(resources=resources, validate_only=False)
        (result,) = kafka_python._manager.run(kafka_python._manager.send, request).responses
        assert (result.error_code, result.error_message) == (0, None)

    return alter


@pytest.fixture
def read(bootstrap: str, topic: str) -> Callable[[int], list[Received]]:
    """``read(count)``: records of the topic."""
    return lambda count: Confluent().read(bootstrap, topic, count)


@pytest.fixture
def code(topic: str, write: Callable[..., None]) -> Callable[..., int | None]:
    """``code(value)``: with what writing it is refused, or 0."""

    def code(value: bytes, first_ms: int | None = None) -> int | None:
        try:
            write(topic, value, first_ms=first_ms)
        except Refused as refused:
            return refused.code
        return 0

    return code


def test_a_topic_takes_smaller_and_larger_batches(alter: Alter, code: Callable[..., int | None]) -> None:
    assert code(b"x" * 5000) == 0
    assert code(b"x" * 2_000_000) == MESSAGE_TOO_LARGE

    alter("max.message.bytes", "2000")
    assert code(b"x" * 5000) == MESSAGE_TOO_LARGE
    assert code(b"x" * 1000) == 0

    alter("max.message.bytes", "3000000")
    assert code(b"x" * 2_000_000) == 0


def test_every_broker_takes_smaller_batches_where_no_topic_says_otherwise(
    topic: str,
    make_topic: Callable[..., str],
    write: Callable[..., None],
    alter_every_broker: Alter,
    code: Callable[..., int | None],
    soon: Callable[..., None],
) -> None:
    other = make_topic("-other", max_message_bytes="10000")

    alter_every_broker("message.max.bytes", "2000")

    soon(lambda: code(b"x" * 5000), MESSAGE_TOO_LARGE)
    write(other, b"x" * 5000)


def test_a_topic_stamps_records_when_they_come(
    topic: str, alter: Alter, write: Callable[..., None], read: Callable[[int], list[Received]], an_hour_ago_ms: int
) -> None:
    write(topic, b"created", first_ms=an_hour_ago_ms)
    alter("message.timestamp.type", "LogAppendTime")
    before_ms = int(time.time() * 1000)
    write(topic, b"appended", first_ms=an_hour_ago_ms)
    after_ms = int(time.time() * 1000)
    alter("message.timestamp.type", "CreateTime")
    write(topic, b"created", first_ms=an_hour_ago_ms)

    first, appended, last = read(3)

    assert first.timestamp_ms == last.timestamp_ms == an_hour_ago_ms
    assert before_ms <= appended.timestamp_ms <= after_ms


def test_every_broker_stamps_records_when_they_come(
    topic: str,
    alter_every_broker: Alter,
    write: Callable[..., None],
    read: Callable[[int], list[Received]],
    an_hour_ago_ms: int,
    soon: Callable[..., None],
) -> None:
    alter_every_broker("log.message.timestamp.type", "LogAppendTime")
    written = 0

    def is_stamped() -> bool:
        nonlocal written
        write(topic, b"value", first_ms=an_hour_ago_ms)
        written += 1
        return read(written)[-1].timestamp_ms > an_hour_ago_ms

    soon(is_stamped, True)


def test_a_topic_refuses_records_that_are_too_old(
    alter: Alter, code: Callable[..., int | None], an_hour_ago_ms: int
) -> None:
    alter("message.timestamp.before.max.ms", "1000")
    assert code(b"old", an_hour_ago_ms) == INVALID_TIMESTAMP

    alter("message.timestamp.before.max.ms", "7200000")
    assert code(b"old", an_hour_ago_ms) == 0


def test_a_topic_refuses_records_of_the_future(
    alter: Alter, code: Callable[..., int | None], an_hour_ago_ms: int
) -> None:
    in_two_hours_ms = an_hour_ago_ms + 3 * 3_600_000
    assert code(b"early", in_two_hours_ms) == INVALID_TIMESTAMP

    alter("message.timestamp.after.max.ms", "10800000")
    assert code(b"early", in_two_hours_ms) == 0


def test_a_topic_that_is_compacted_refuses_records_without_a_key(
    topic: str, alter: Alter, write: Callable[..., None], code: Callable[..., int | None]
) -> None:
    alter("cleanup.policy", "compact")
    assert code(b"value") == INVALID_RECORD
    write(topic, b"value", key=b"key")

    alter("cleanup.policy", "delete")
    assert code(b"value") == 0


def test_a_topic_that_wants_more_replicas_than_there_are_is_written(
    alter: Alter, code: Callable[..., int | None]
) -> None:
    alter("min.insync.replicas", "2")

    assert code(b"value") == 0  # KIP-966: as many as the topic has are enough


def test_a_topic_compresses_records_as_it_says(
    kafka_python: KafkaAdminClient,
    topic: str,
    alter: Alter,
    write: Callable[..., None],
    read: Callable[[int], list[Received]],
) -> None:
    def size() -> int:
        ((directory,),) = [found["log_dirs"] for found in kafka_python.describe_log_dirs({topic: [0]})]
        return int(directory["topics"][0]["partitions"][0]["partition_size"])

    alter("compression.type", "gzip")
    write(topic, b"x" * 100_000)
    compressed = size()
    alter("compression.type", "producer")
    write(topic, b"x" * 100_000)

    assert compressed < 2000
    assert size() > 100_000
    assert [record.value for record in read(2)] == [b"x" * 100_000] * 2
