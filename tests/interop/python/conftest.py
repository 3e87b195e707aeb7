"""What the suites of Python's admin clients share: the clients, and topics and groups for them to work on."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from confluent_kafka.admin import AdminClient
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import AlterConfigOp, OffsetSpec
from kafka.errors import KafkaError
from kafka.protocol.admin import IncrementalAlterConfigsRequest
from support.apache_kafka import ApacheKafka
from support.clients.confluent import Confluent
from support.clients.contract import TIMEOUT_S, Consumer, Record
from support.process import BrokerProcess

_SOON_S = 15
_BROKER = 4
# What any test here alters of the broker.
_ALTERED = [
    "log.flush.interval.messages",
    "log.message.timestamp.type",
    "log.retention.ms",
    "message.max.bytes",
    "no.such.setting",
]


@pytest.fixture(scope="session")
def bootstrap(server: BrokerProcess | ApacheKafka) -> str:
    return server.bootstrap


@pytest.fixture(scope="session")
def _setup(bootstrap: str) -> Iterator[KafkaAdminClient]:
    """The client that makes what a test needs, which is not the one under test."""
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            # Kafka makes its topic of offsets when a group is first asked for, and kafka-python does not wait for it.
            try:
                admin.describe_groups(["first"])
                break
            except KafkaError:
                assert time.monotonic() < deadline, "there is no coordinator"
                time.sleep(0.1)
        yield admin


@pytest.fixture(scope="session")
def kafka_python(bootstrap: str, _setup: KafkaAdminClient) -> Iterator[KafkaAdminClient]:
    with KafkaAdminClient(bootstrap_servers=bootstrap) as client:
        yield client


@pytest.fixture
async def aiokafka(bootstrap: str, _setup: KafkaAdminClient) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await client.start()
        yield client
    finally:
        await client.close()


@pytest.fixture(scope="session")
def confluent(bootstrap: str, _setup: KafkaAdminClient) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})


@pytest.fixture
def name(request: pytest.FixtureRequest, _setup: KafkaAdminClient) -> str:
    """A name that no other test has, good for a topic, a group, a user."""
    return "".join(c if c.isalnum() or c in "-." else "-" for c in f"{request.path.stem}.{request.node.name}")[-200:]


@pytest.fixture
def make_topic(name: str, _setup: KafkaAdminClient) -> Callable[..., str]:
    """``make_topic(suffix="", partitions=1, **configs)``: its name; underscores in ``configs`` stand for dots."""

    def make(suffix: str = "", partitions: int = 1, **configs: str) -> str:
        settings = {setting.replace("_", "."): value for setting, value in configs.items()}
        topic = name + suffix
        _setup.create_topics({topic: {"num_partitions": partitions, "configs": settings}}, wait_for_metadata=True)
        # The leader has its logs a little later than the metadata says; this call waits for that.
        _setup.list_partition_offsets({TopicPartition(topic, at): OffsetSpec.LATEST for at in range(partitions)})
        return topic

    return make


@pytest.fixture
def topic(make_topic: Callable[..., str]) -> str:
    """A topic with one partition and no settings."""
    return make_topic()


@pytest.fixture
def write(bootstrap: str) -> Callable[..., None]:
    """``write(topic, *values)`` to partition 0, one ms apart from ``first_ms`` on. Raises Refused."""

    def write(topic: str, *values: bytes, key: bytes | None = None, first_ms: int | None = None) -> None:
        times = [None if first_ms is None else first_ms + number for number in range(len(values))]
        records = [Record(value, key, timestamp_ms=at, partition=0) for value, at in zip(values, times, strict=True)]
        Confluent().produce(bootstrap, topic, records, idempotent=False, request_bytes_max=5_000_000)

    return write


@pytest.fixture
def broker_is_reset(_setup: KafkaAdminClient) -> Iterator[None]:
    """The broker is shared by all tests: what one alters of it gets its default back."""
    yield
    for broker in ("1", ""):
        request = IncrementalAlterConfigsRequest(
            resources=[(_BROKER, broker, [(setting, AlterConfigOp.DELETE, None) for setting in _ALTERED])],
            validate_only=False,
        )
        (result,) = _setup._manager.run(_setup._manager.send, request).responses
        assert (result.error_code, result.error_message) == (0, None)


@pytest.fixture
def an_hour_ago_ms() -> int:
    """Recent enough that retention leaves it alone."""
    return int(time.time() * 1000) - 3_600_000


@pytest.fixture
def join(bootstrap: str) -> Iterator[Callable[..., Consumer]]:
    """``join(topic, group)``: a consumer that has its partitions; it leaves after the test."""
    with contextlib.ExitStack() as members:

        def join(topic: str, group: str, instance_id: str | None = None) -> Consumer:
            consumer = Confluent().open_consumer(bootstrap, topic, group, instance_id=instance_id)
            members.callback(consumer.close)
            deadline = time.monotonic() + TIMEOUT_S
            while not consumer.assignment():
                assert time.monotonic() < deadline, "the group gave it nothing"
                consumer.poll(0.05)
            return consumer

        yield join


@pytest.fixture
def soon() -> Callable[..., None]:
    """``soon(look, wanted)``: Kafka answers an alteration before its brokers have heard of it."""

    def soon(look: Callable[[], Any], wanted: Any) -> None:
        deadline = time.monotonic() + _SOON_S
        while (seen := look()) != wanted and time.monotonic() < deadline:
            time.sleep(0.05)
        assert seen == wanted

    return soon
