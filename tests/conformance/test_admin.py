"""Topics, settings and groups as an operator handles them, with the admin client of each library."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin import NewTopic as AioNewTopic
from aiokafka.admin.config_resource import ConfigResource as AioConfigResource
from aiokafka.admin.config_resource import ConfigResourceType as AioConfigResourceType
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource as KafkaPythonConfigResource
from kafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError
from support.clients.contract import TIMEOUT_S, Library, Record
from support.clients.every import LIBRARIES
from support.process import BrokerProcess

pytestmark = pytest.mark.conform

KAFKA_PYTHON, AIOKAFKA, CONFLUENT = LIBRARIES
TOPIC_ALREADY_EXISTS, UNKNOWN_TOPIC_OR_PARTITION, INVALID_CONFIG, NON_EMPTY_GROUP = 36, 3, 40, 68


def _leave_a_group_behind(library: Library, broker: BrokerProcess, topic: str, group: str) -> None:
    """Make a group that read a topic, committed, and is empty now."""
    library.produce(broker.bootstrap, topic, [Record(b"value")])
    consumer = library.open_consumer(broker.bootstrap, topic, group)
    try:
        while not consumer.poll(1):
            continue
        consumer.commit()
    finally:
        consumer.close()


@pytest.fixture
def kafka_python(shared_broker: BrokerProcess) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(bootstrap_servers=shared_broker.bootstrap)
    yield admin
    admin.close()


def test_kafka_python_creates_describes_and_deletes_a_topic(kafka_python: KafkaAdminClient, topic: str) -> None:
    wanted = {topic: {"num_partitions": 3, "replication_factor": 1, "configs": {"retention.ms": "60000"}}}
    resource = KafkaPythonConfigResource("TOPIC", topic)

    kafka_python.create_topics(wanted)
    with pytest.raises(TopicAlreadyExistsError):
        kafka_python.create_topics(wanted)

    assert topic in kafka_python.list_topics()
    (described,) = kafka_python.describe_topics([topic])
    assert [partition["partition_index"] for partition in described["partitions"]] == [0, 1, 2]
    assert {partition["error_code"] for partition in described["partitions"]} == {0}
    changed = kafka_python.describe_configs([resource])["topic"][topic]
    assert {name: entry["value"] for name, entry in changed.items()} == {"retention.ms": "60000"}
    every = kafka_python.describe_configs([resource], config_filter="all")["topic"][topic]
    assert every["cleanup.policy"]["value"] == "delete"
    assert every["cleanup.policy"]["config_source"] == "DEFAULT_CONFIG"

    kafka_python.delete_topics([topic])
    assert topic not in kafka_python.list_topics()
    with pytest.raises(UnknownTopicOrPartitionError):
        kafka_python.delete_topics([topic])


def test_kafka_python_describes_the_broker(kafka_python: KafkaAdminClient) -> None:
    cluster = kafka_python.describe_cluster()
    (node,) = cluster["brokers"]
    name = str(node["broker_id"])

    settings = kafka_python.describe_configs([KafkaPythonConfigResource("BROKER", name)], config_filter="all")

    assert cluster["controller_id"] == node["broker_id"]
    assert settings["broker"][name]["message.max.bytes"]["value"] == "1048588"


def test_kafka_python_lists_describes_and_deletes_a_group(
    kafka_python: KafkaAdminClient, shared_broker: BrokerProcess, topic: str
) -> None:
    _leave_a_group_behind(KAFKA_PYTHON, shared_broker, topic, topic)

    listed = {group["group_id"]: group["group_state"] for group in kafka_python.list_groups()}
    described = kafka_python.describe_groups([topic])[topic]
    offsets = kafka_python.list_group_offsets(topic)[topic]
    deleted = kafka_python.delete_groups([topic])

    assert listed[topic] == described["group_state"] == "Empty"
    assert [offset.offset for offset in offsets.values()] == [1]
    assert deleted == {topic: "OK"}
    assert topic not in {group["group_id"] for group in kafka_python.list_groups()}
    assert kafka_python.delete_groups([topic]) == {topic: "GroupIdNotFoundError"}


def test_kafka_python_sees_the_members_of_a_group_and_cannot_delete_it(
    kafka_python: KafkaAdminClient, shared_broker: BrokerProcess, topic: str
) -> None:
    KAFKA_PYTHON.produce(shared_broker.bootstrap, topic, [Record(b"value")])
    consumer = CONFLUENT.open_consumer(shared_broker.bootstrap, topic, topic)
    try:
        while not consumer.poll(1):
            continue
        described = kafka_python.describe_groups([topic])[topic]
        deleted = kafka_python.delete_groups([topic])
    finally:
        consumer.close()

    assert (described["group_state"], described["protocol_data"]) == ("Stable", "range")
    (member,) = described["members"]
    assert member["client_id"] == "rdkafka"
    assert member["client_host"] == "/127.0.0.1"
    assert deleted == {topic: "NonEmptyGroupError"}


def _with_aiokafka(broker: BrokerProcess, use: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
        try:
            await admin.start()
            await use(admin)
        finally:
            await admin.close()

    asyncio.run(run())


def test_aiokafka_creates_describes_and_deletes_a_topic(shared_broker: BrokerProcess, topic: str) -> None:
    async def use(admin: Any) -> None:
        wanted = AioNewTopic(topic, num_partitions=3, replication_factor=1, topic_configs={"retention.ms": "60000"})
        resource = AioConfigResource(AioConfigResourceType.TOPIC, topic)

        created = await admin.create_topics([wanted])
        again = await admin.create_topics([wanted])
        assert [(name, code) for name, code, _ in created.topic_errors] == [(topic, 0)]
        assert [(name, code) for name, code, _ in again.topic_errors] == [(topic, TOPIC_ALREADY_EXISTS)]

        assert topic in await admin.list_topics()
        (described,) = await admin.describe_topics([topic])
        assert sorted(partition["partition"] for partition in described["partitions"]) == [0, 1, 2]
        (configs,) = await admin.describe_configs([resource])
        entries = {entry[0]: entry[1] for entry in configs.resources[0][4]}
        assert (entries["retention.ms"], entries["cleanup.policy"]) == ("60000", "delete")

        deleted = await admin.delete_topics([topic])
        assert deleted.topic_error_codes == [(topic, 0)]
        assert topic not in await admin.list_topics()

    _with_aiokafka(shared_broker, use)


def test_aiokafka_lists_and_describes_a_group(shared_broker: BrokerProcess, topic: str) -> None:
    _leave_a_group_behind(AIOKAFKA, shared_broker, topic, topic)

    async def use(admin: Any) -> None:
        (described,) = await admin.describe_consumer_groups([topic])
        offsets = await admin.list_consumer_group_offsets(topic)

        assert (topic, "consumer") in [tuple(group[:2]) for group in await admin.list_consumer_groups()]
        assert described.groups[0][:3] == (0, topic, "Empty")
        assert [offset.offset for offset in offsets.values()] == [1]

    _with_aiokafka(shared_broker, use)


@pytest.fixture
def confluent(shared_broker: BrokerProcess) -> AdminClient:
    return AdminClient({"bootstrap.servers": shared_broker.bootstrap, "log_level": 2})


def _code(error: pytest.ExceptionInfo[KafkaException]) -> int:
    code: int = error.value.args[0].code()
    return code


def test_confluent_creates_describes_and_deletes_a_topic(confluent: AdminClient, topic: str) -> None:
    wanted = NewTopic(topic, num_partitions=3, replication_factor=1, config={"retention.ms": "60000"})
    resource = ConfigResource(ResourceType.TOPIC, topic)

    confluent.create_topics([wanted])[topic].result(TIMEOUT_S)
    with pytest.raises(KafkaException) as again:
        confluent.create_topics([wanted])[topic].result(TIMEOUT_S)
    assert _code(again) == TOPIC_ALREADY_EXISTS

    assert sorted(confluent.list_topics(timeout=TIMEOUT_S).topics[topic].partitions) == [0, 1, 2]
    configs = confluent.describe_configs([resource])[resource].result(TIMEOUT_S)
    assert configs["retention.ms"].value == "60000"
    assert not configs["retention.ms"].is_default
    assert configs["cleanup.policy"].value == "delete"
    assert configs["cleanup.policy"].is_default

    confluent.delete_topics([topic])[topic].result(TIMEOUT_S)
    assert topic not in confluent.list_topics(timeout=TIMEOUT_S).topics
    with pytest.raises(KafkaException) as gone:
        confluent.delete_topics([topic])[topic].result(TIMEOUT_S)
    assert _code(gone) == UNKNOWN_TOPIC_OR_PARTITION


def test_confluent_is_told_of_a_setting_that_does_not_exist(confluent: AdminClient, topic: str) -> None:
    wanted = NewTopic(topic, num_partitions=1, replication_factor=1, config={"no.such.setting": "1"})

    with pytest.raises(KafkaException) as refused:
        confluent.create_topics([wanted])[topic].result(TIMEOUT_S)

    assert _code(refused) == INVALID_CONFIG


def test_confluent_lists_describes_and_deletes_a_group(
    confluent: AdminClient, shared_broker: BrokerProcess, topic: str
) -> None:
    CONFLUENT.produce(shared_broker.bootstrap, topic, [Record(b"value")])
    consumer = CONFLUENT.open_consumer(shared_broker.bootstrap, topic, topic)
    try:
        while not consumer.poll(1):
            continue
        consumer.commit()
        described = confluent.describe_consumer_groups([topic])[topic].result(TIMEOUT_S)
        with pytest.raises(KafkaException) as in_use:
            confluent.delete_consumer_groups([topic])[topic].result(TIMEOUT_S)
    finally:
        consumer.close()

    assert described.state.name == "STABLE"
    (member,) = described.members
    assert [(at.topic, at.partition) for at in member.assignment.topic_partitions] == [(topic, 0)]
    assert _code(in_use) == NON_EMPTY_GROUP
    listed = confluent.list_consumer_groups().result(TIMEOUT_S).valid
    assert {group.group_id: group.state.name for group in listed}[topic] == "EMPTY"
    confluent.delete_consumer_groups([topic])[topic].result(TIMEOUT_S)
    assert topic not in {group.group_id for group in confluent.list_consumer_groups().result(TIMEOUT_S).valid}
