"""aiokafka's AIOKafkaAdminClient, which sends older versions of the requests and shows the raw answers."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import TopicPartition, errors
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import OffsetAndMetadata
from kafka import KafkaAdminClient
from kafka.structs import OffsetAndMetadata as KafkaPythonOffset
from kafka.structs import TopicPartition as KafkaPythonPartition

TOPIC, BROKER = ConfigResourceType.TOPIC, ConfigResourceType.BROKER
DYNAMIC_TOPIC_CONFIG, DEFAULT_CONFIG = 1, 5
FOREVER = str(2**63 - 1)


async def _soon(look: Callable[[], Any], wanted: Any) -> None:
    """Kafka answers an alteration before its brokers have heard of it."""
    async with asyncio.timeout(15):
        while await look() != wanted:
            await asyncio.sleep(0.05)


async def _created(aiokafka: AIOKafkaAdminClient, topic: NewTopic, **options: Any) -> tuple[int, str | None]:
    ((name, code, message),) = (await aiokafka.create_topics([topic], **options)).topic_errors
    assert name == topic.name
    return code, message


async def test_a_topic_is_created_described_and_deleted(aiokafka: AIOKafkaAdminClient, name: str) -> None:
    async def is_listed() -> bool:
        return name in await aiokafka.list_topics()

    wanted = NewTopic(name, 2, 1, topic_configs={"retention.ms": "60000"})
    assert await _created(aiokafka, wanted) == (0, None)
    await _soon(is_listed, True)

    (described,) = await aiokafka.describe_topics([name])
    partitions = sorted(described["partitions"], key=lambda partition: partition["partition"])
    assert (described["error_code"], described["topic"], described["is_internal"]) == (0, name, False)
    assert [(partition["partition"], partition["leader"]) for partition in partitions] == [(0, 1), (1, 1)]
    assert {(*partition["replicas"], *partition["isr"]) for partition in partitions} == {(1, 1)}
    assert {partition["error_code"] for partition in partitions} == {0}

    assert (await aiokafka.delete_topics([name])).topic_error_codes == [(name, 0)]
    await _soon(is_listed, False)
    again = await aiokafka.delete_topics([name])
    assert again.topic_error_codes == [(name, errors.UnknownTopicOrPartitionError.errno)]


async def test_a_topic_that_is_only_validated_is_not_created(aiokafka: AIOKafkaAdminClient, name: str) -> None:
    assert await _created(aiokafka, NewTopic(name, 2, 1), validate_only=True) == (0, None)

    assert name not in await aiokafka.list_topics()


async def test_a_topic_is_created_with_assignments(aiokafka: AIOKafkaAdminClient, name: str) -> None:
    assert await _created(aiokafka, NewTopic(name, -1, -1, replica_assignments={0: [1], 1: [1]})) == (0, None)


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ({"num_partitions": 0, "replication_factor": 1}, errors.InvalidPartitionsError),
        ({"num_partitions": -2, "replication_factor": 1}, errors.InvalidPartitionsError),
        ({"num_partitions": 1, "replication_factor": 2}, errors.InvalidReplicationFactorError),
        (
            {"num_partitions": -1, "replication_factor": -1, "replica_assignments": {0: [2]}},
            errors.InvalidReplicationAssignmentError,
        ),
        (
            {"num_partitions": 1, "replication_factor": 1, "topic_configs": {"no.such": "1"}},
            errors.InvalidConfigurationError,
        ),
        (
            {"num_partitions": 1, "replication_factor": 1, "topic_configs": {"retention.ms": "x"}},
            errors.InvalidConfigurationError,
        ),
        (
            {"num_partitions": 1, "replication_factor": 1, "topic_configs": {"retention.ms": None}},
            errors.InvalidConfigurationError,
        ),
    ],
    ids=["no partitions", "fewer", "replicas", "unknown broker", "unknown setting", "no number", "null"],
)
async def test_a_topic_that_cannot_be_is_refused(
    aiokafka: AIOKafkaAdminClient, name: str, wanted: dict[str, Any], error: type[errors.BrokerResponseError]
) -> None:
    code, message = await _created(aiokafka, NewTopic(name, **wanted))

    assert code == error.errno
    assert message
    assert name not in await aiokafka.list_topics()


async def test_a_name_that_cannot_be_is_refused(
    aiokafka: AIOKafkaAdminClient, make_topic: Callable[..., str]
) -> None:
    there = make_topic(".a")

    existing, _ = await _created(aiokafka, NewTopic(there, 1, 1))
    colliding, _ = await _created(aiokafka, NewTopic(there.removesuffix(".a") + "_a", 1, 1))
    invalid, _ = await _created(aiokafka, NewTopic("a b", 1, 1))

    assert existing == errors.TopicAlreadyExistsError.errno
    assert colliding == invalid == errors.InvalidTopicError.errno


async def test_a_topic_with_an_invalid_name_is_described_so(aiokafka: AIOKafkaAdminClient) -> None:
    (invalid,) = await aiokafka.describe_topics(["a b"])

    assert (invalid["error_code"], invalid["partitions"]) == (errors.InvalidTopicError.errno, [])


async def test_the_cluster_is_described(aiokafka: AIOKafkaAdminClient, bootstrap: str) -> None:
    host, _, port = bootstrap.rpartition(":")

    cluster = await aiokafka.describe_cluster()

    assert cluster["brokers"] == [{"node_id": 1, "host": host, "port": int(port), "rack": None}]
    assert cluster["controller_id"] == 1
    assert len(cluster["cluster_id"]) == 22


@pytest.mark.parametrize("wanted", [NewPartitions(3), NewPartitions(3, [[1], [1]])], ids=["count", "assignments"])
async def test_a_topic_gets_more_partitions(aiokafka: AIOKafkaAdminClient, topic: str, wanted: NewPartitions) -> None:
    async def count() -> int:
        (described,) = await aiokafka.describe_topics([topic])
        return len(described["partitions"])

    validated = await aiokafka.create_partitions({topic: wanted}, validate_only=True)
    assert validated.topic_errors == [(topic, 0, None)]
    assert await count() == 1

    created = await aiokafka.create_partitions({topic: wanted})
    assert created.topic_errors == [(topic, 0, None)]
    await _soon(count, 3)


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        (NewPartitions(2), errors.InvalidPartitionsError),
        (NewPartitions(1), errors.InvalidPartitionsError),
        (NewPartitions(0), errors.InvalidPartitionsError),
        (NewPartitions(4, [[1]]), errors.InvalidReplicationAssignmentError),
        (NewPartitions(3, [[2]]), errors.InvalidReplicationAssignmentError),
    ],
    ids=["same", "fewer", "none", "too few assignments", "unknown broker"],
)
async def test_partitions_that_cannot_be_are_refused(
    aiokafka: AIOKafkaAdminClient,
    make_topic: Callable[..., str],
    wanted: NewPartitions,
    error: type[Exception],
) -> None:
    topic = make_topic(partitions=2)

    with pytest.raises(error):
        await aiokafka.create_partitions({topic: wanted})


async def test_a_topic_that_is_not_there_gets_no_partitions(aiokafka: AIOKafkaAdminClient, name: str) -> None:
    with pytest.raises(errors.UnknownTopicOrPartitionError):
        await aiokafka.create_partitions({name: NewPartitions(2)})


async def test_records_are_deleted(aiokafka: AIOKafkaAdminClient, topic: str, write: Callable[..., None]) -> None:
    write(topic, *[b"value"] * 5)
    at = TopicPartition(topic, 0)

    assert await aiokafka.delete_records({at: RecordsToDelete(3)}) == {at: 3}
    with pytest.raises(errors.OffsetOutOfRangeError):
        await aiokafka.delete_records({at: RecordsToDelete(6)})
    assert await aiokafka.delete_records({at: RecordsToDelete(-1)}) == {at: 5}


async def test_records_of_a_partition_that_is_not_there_cannot_be_deleted(
    aiokafka: AIOKafkaAdminClient, topic: str
) -> None:
    with pytest.raises(errors.NotLeaderForPartitionError):
        await aiokafka.delete_records({TopicPartition(topic, 9): RecordsToDelete(0)})


async def _described(aiokafka: AIOKafkaAdminClient, resource: ConfigResource, **options: Any) -> tuple[Any, ...]:
    """The error and the entries, by name, of a resource."""
    (response,) = await aiokafka.describe_configs([resource], **options)
    ((code, message, kind, name, entries),) = response.resources
    assert (kind, name) == (resource.resource_type, resource.name)
    return code, message, {entry[0]: tuple(entry[1:]) for entry in entries}


async def test_settings_of_a_topic_are_described(
    aiokafka: AIOKafkaAdminClient, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(max_message_bytes="2000")

    code, message, every = await _described(aiokafka, ConfigResource(TOPIC, topic), include_synonyms=True)
    _, _, one = await _described(aiokafka, ConfigResource(TOPIC, topic, {"cleanup.policy": None}))

    assert (code, message, len(every)) == (0, "", 33)
    synonyms = [("max.message.bytes", "2000", DYNAMIC_TOPIC_CONFIG), ("message.max.bytes", "1048588", DEFAULT_CONFIG)]
    assert every["max.message.bytes"] == ("2000", False, DYNAMIC_TOPIC_CONFIG, False, synonyms)
    assert one == {"cleanup.policy": ("delete", False, DEFAULT_CONFIG, False, [])}


async def test_settings_of_a_broker_are_described(aiokafka: AIOKafkaAdminClient) -> None:
    _, _, one = await _described(aiokafka, ConfigResource(BROKER, "1", {"message.max.bytes": None}))

    assert one == {"message.max.bytes": ("1048588", False, DEFAULT_CONFIG, False, [])}


async def test_settings_of_a_topic_that_is_not_there_are_not_described(
    aiokafka: AIOKafkaAdminClient, name: str
) -> None:
    code, _, entries = await _described(aiokafka, ConfigResource(TOPIC, name))

    assert (code, entries) == (errors.UnknownTopicOrPartitionError.errno, {})


async def test_altered_settings_replace_all_others(
    aiokafka: AIOKafkaAdminClient, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(retention_ms="60000")

    async def values() -> list[str]:
        _, _, found = await _described(aiokafka, ConfigResource(TOPIC, topic))
        return [found["flush.ms"][0], found["retention.ms"][0]]

    (altered,) = await aiokafka.alter_configs([ConfigResource(TOPIC, topic, {"flush.ms": "5"})])

    assert altered.resources == [(0, None, TOPIC, topic)]
    await _soon(values, ["5", "604800000"])


@pytest.mark.parametrize(
    ("configs", "error"),
    [
        ({"no.such": "1"}, errors.InvalidConfigurationError),
        ({"flush.ms": "x"}, errors.InvalidConfigurationError),
        ({"flush.ms": None}, errors.InvalidRequestError),
    ],
    ids=["unknown", "no number", "null"],
)
async def test_settings_that_cannot_be_are_refused(
    aiokafka: AIOKafkaAdminClient,
    make_topic: Callable[..., str],
    configs: dict[str, Any],
    error: type[errors.BrokerResponseError],
) -> None:
    topic = make_topic(flush_ms="5")

    (refused,) = await aiokafka.alter_configs([ConfigResource(TOPIC, topic, configs)])

    ((code, message, _, _),) = refused.resources
    assert code == error.errno
    assert message
    _, _, found = await _described(aiokafka, ConfigResource(TOPIC, topic, {"flush.ms": None}))
    assert found["flush.ms"][0] == "5"


@pytest.mark.usefixtures("broker_is_reset")
async def test_settings_of_a_broker_are_altered(aiokafka: AIOKafkaAdminClient) -> None:
    _, altered = await aiokafka.alter_configs([ConfigResource(BROKER, "1", {"log.flush.interval.messages": "5"})])
    assert altered.resources == [(0, None, BROKER, "1")]

    async def value() -> str:
        _, _, found = await _described(aiokafka, ConfigResource(BROKER, "1", {"log.flush.interval.messages": None}))
        return str(found["log.flush.interval.messages"][0])

    await _soon(value, "5")
    _, reset = await aiokafka.alter_configs([ConfigResource(BROKER, "1", {})])
    assert reset.resources == [(0, None, BROKER, "1")]
    await _soon(value, FOREVER)


async def test_a_group_is_found_listed_and_described(
    aiokafka: AIOKafkaAdminClient, topic: str, join: Callable[..., Any]
) -> None:
    join(topic, topic)

    assert await aiokafka.find_coordinator(topic) == 1
    for brokers in (None, [1]):
        assert (topic, "consumer") in await aiokafka.list_consumer_groups(brokers)
    # Which operations are authorized it asks and does not read: its response to v3 is that to v2.
    (response,) = await aiokafka.describe_consumer_groups([topic], include_authorized_operations=True)
    ((code, group, state, kind, protocol, (member,)),) = response.groups
    assert (code, group, state, kind, protocol) == (0, topic, "Stable", "consumer", "range")
    assert member[1:3] == ("rdkafka", "/127.0.0.1")


async def test_a_group_that_is_not_there_is_dead(aiokafka: AIOKafkaAdminClient, name: str) -> None:
    (response,) = await aiokafka.describe_consumer_groups([name], group_coordinator_id=1)

    ((code, group, state, kind, protocol, members),) = response.groups
    assert (code, group, state, kind, protocol, members) == (0, name, "Dead", "", "", [])


async def test_offsets_of_a_group_are_listed(
    aiokafka: AIOKafkaAdminClient, kafka_python: KafkaAdminClient, topic: str
) -> None:
    kafka_python.alter_group_offsets(topic, {KafkaPythonPartition(topic, 0): KafkaPythonOffset(3, "note", None)})
    at, other = TopicPartition(topic, 0), TopicPartition(topic, 9)

    every = await aiokafka.list_consumer_group_offsets(topic)
    some = await aiokafka.list_consumer_group_offsets(topic, group_coordinator_id=1, partitions=[at, other])

    assert every == {at: OffsetAndMetadata(3, "note")}
    assert some == {at: OffsetAndMetadata(3, "note"), other: OffsetAndMetadata(-1, "")}
