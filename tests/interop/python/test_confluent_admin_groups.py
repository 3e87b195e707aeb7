"""confluent-kafka's AdminClient: groups and their offsets."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import (
    OFFSET_INVALID,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    ConsumerGroupType,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from support.clients.contract import TIMEOUT_S


def _code(answer: Any) -> int:
    with pytest.raises(KafkaException) as refused:
        answer.result(TIMEOUT_S)
    code: int = refused.value.args[0].code()
    return code


def _commit(confluent: AdminClient, group: str, *offsets: TopicPartition) -> dict[tuple[str, int], KafkaError | None]:
    request = ConsumerGroupTopicPartitions(group, list(offsets))
    altered = confluent.alter_consumer_group_offsets([request])[group].result(TIMEOUT_S)
    return {(at.topic, at.partition): at.error for at in altered.topic_partitions}


def _committed(
    confluent: AdminClient, group: str, *where: TopicPartition, **options: Any
) -> dict[tuple[str, int], int]:
    request = ConsumerGroupTopicPartitions(group, list(where) or None)
    listed = confluent.list_consumer_group_offsets([request], **options)[group].result(TIMEOUT_S)
    return {(at.topic, at.partition): at.offset for at in listed.topic_partitions}


def test_offsets_are_altered_and_listed(confluent: AdminClient, topic: str) -> None:
    assert _commit(confluent, topic, TopicPartition(topic, 0, 3)) == {(topic, 0): None}

    assert _committed(confluent, topic) == {(topic, 0): 3}
    some = [TopicPartition(topic, 0), TopicPartition(topic, 9)]
    wanted = {(topic, 0): 3, (topic, 9): OFFSET_INVALID}
    assert _committed(confluent, topic, *some, require_stable=True) == wanted


def test_a_group_that_is_not_there_has_no_offsets(confluent: AdminClient, name: str) -> None:
    assert _committed(confluent, name) == {}


def test_an_offset_of_an_unknown_partition_is_not_altered(confluent: AdminClient, topic: str) -> None:
    refused = _commit(confluent, topic, TopicPartition(topic, 9, 3))

    error = refused[(topic, 9)]
    assert error is not None
    assert error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_offsets_of_a_group_with_members_are_not_altered(
    confluent: AdminClient, topic: str, join: Callable[..., Any]
) -> None:
    join(topic, topic)

    refused = _commit(confluent, topic, TopicPartition(topic, 0, 3))

    error = refused[(topic, 0)]
    assert error is not None
    assert error.code() == KafkaError.UNKNOWN_MEMBER_ID


def test_a_group_of_offsets_only_is_empty(confluent: AdminClient, topic: str) -> None:
    _commit(confluent, topic, TopicPartition(topic, 0, 3))

    described = confluent.describe_consumer_groups([topic], include_authorized_operations=True)[topic].result()

    assert (described.group_id, described.state) == (topic, ConsumerGroupState.EMPTY)
    assert (described.type, described.is_simple_consumer_group) == (ConsumerGroupType.CLASSIC, True)
    assert (described.members, described.partition_assignor, described.coordinator.id) == ([], "", 1)
    operations = "READ DELETE DESCRIBE DESCRIBE_CONFIGS ALTER_CONFIGS"
    assert {operation.name for operation in described.authorized_operations} == set(operations.split())


def test_a_group_with_a_member_is_stable(confluent: AdminClient, topic: str, join: Callable[..., Any]) -> None:
    join(topic, topic, instance_id="instance")

    described = confluent.describe_consumer_groups([topic])[topic].result(TIMEOUT_S)

    assert (described.state, described.partition_assignor) == (ConsumerGroupState.STABLE, "range")
    assert not described.is_simple_consumer_group
    (member,) = described.members
    assert (member.group_instance_id, member.client_id, member.host) == ("instance", "rdkafka", "/127.0.0.1")
    assert [(at.topic, at.partition) for at in member.assignment.topic_partitions] == [(topic, 0)]


def test_a_group_that_is_not_there_is_dead(confluent: AdminClient, name: str) -> None:
    described = confluent.describe_consumer_groups([name])[name].result(TIMEOUT_S)

    assert (described.state, described.members) == (ConsumerGroupState.DEAD, [])


def test_groups_are_listed_by_state_and_type(
    confluent: AdminClient, topic: str, name: str, join: Callable[..., Any]
) -> None:
    empty, stable = name + "-empty", name + "-stable"
    _commit(confluent, empty, TopicPartition(topic, 0, 3))
    join(topic, stable)

    def listed(**filters: Any) -> dict[str, tuple[ConsumerGroupState, bool]]:
        result = confluent.list_consumer_groups(**filters).result(TIMEOUT_S)
        assert result.errors == []
        ours = [group for group in result.valid if group.group_id in (empty, stable)]
        assert {group.type for group in ours} <= {ConsumerGroupType.CLASSIC}
        return {group.group_id: (group.state, group.is_simple_consumer_group) for group in ours}

    of_empty, of_stable = (ConsumerGroupState.EMPTY, True), (ConsumerGroupState.STABLE, False)
    assert listed() == {empty: of_empty, stable: of_stable}
    assert listed(states={ConsumerGroupState.STABLE}) == {stable: of_stable}
    assert listed(types={ConsumerGroupType.CLASSIC}) == {empty: of_empty, stable: of_stable}
    assert listed(types={ConsumerGroupType.CONSUMER}) == {}


@pytest.mark.filterwarnings("ignore:list_groups")
def test_groups_are_listed_in_the_old_way(
    confluent: AdminClient, topic: str, name: str, join: Callable[..., Any]
) -> None:
    join(topic, name)

    (group,) = confluent.list_groups(name, timeout=TIMEOUT_S)

    assert (group.id, group.error, group.state) == (name, None, "Stable")
    assert (group.protocol_type, group.protocol, group.broker.id) == ("consumer", "range", 1)
    (member,) = group.members
    assert (member.client_id, member.client_host) == ("rdkafka", "/127.0.0.1")
    assert name in [listed.id for listed in confluent.list_groups(timeout=TIMEOUT_S)]


def test_groups_are_deleted_each_for_itself(
    confluent: AdminClient, topic: str, name: str, join: Callable[..., Any]
) -> None:
    empty, unknown, stable = name + "-empty", name + "-unknown", name + "-stable"
    _commit(confluent, empty, TopicPartition(topic, 0, 3))
    join(topic, stable)

    deleted = confluent.delete_consumer_groups([empty, unknown, stable])

    assert deleted[empty].result(TIMEOUT_S) is None
    assert _code(deleted[unknown]) == KafkaError.GROUP_ID_NOT_FOUND
    assert _code(deleted[stable]) == KafkaError.NON_EMPTY_GROUP
    assert _committed(confluent, empty) == {}
