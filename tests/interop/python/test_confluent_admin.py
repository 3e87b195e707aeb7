"""confluent-kafka's AdminClient, which is librdkafka: topics, partitions, the cluster, refusals without security.

Settings and groups are in the files beside this one. Left out, as later issues: KIP-848 groups, share
groups, SASL, ACLs with an authorizer, SCRAM credentials that are written.
"""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import (
    ElectionType,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from support.clients.contract import TIMEOUT_S


def _done(answers: dict[Any, Future[Any]]) -> Any:
    """The result of the one thing that was asked for."""
    (answer,) = answers.values()
    return answer.result(TIMEOUT_S)


def _code(answers: dict[Any, Future[Any]]) -> int:
    """With what the one thing that was asked for was refused."""
    with pytest.raises(KafkaException) as refused:
        _done(answers)
    code: int = refused.value.args[0].code()
    return code


def _listed(confluent: AdminClient, topic: str) -> bool:
    return topic in confluent.list_topics(timeout=TIMEOUT_S).topics


def test_a_topic_is_created_described_and_deleted(
    confluent: AdminClient, name: str, soon: Callable[..., None]
) -> None:
    assert _done(confluent.create_topics([NewTopic(name, 2, 1, config={"retention.ms": "60000"})])) is None
    soon(lambda: _listed(confluent, name), True)

    described = _done(confluent.describe_topics(TopicCollection([name]), include_authorized_operations=True))
    assert (described.name, described.is_internal) == (name, False)
    assert [(partition.id, partition.leader.id) for partition in described.partitions] == [(0, 1), (1, 1)]
    assert {(*[node.id for node in at.replicas], *[node.id for node in at.isr]) for at in described.partitions} == {
        (1, 1)
    }
    operations = "READ WRITE CREATE DELETE ALTER DESCRIBE DESCRIBE_CONFIGS ALTER_CONFIGS"
    assert {operation.name for operation in described.authorized_operations} == set(operations.split())

    assert _done(confluent.delete_topics([name])) is None
    soon(lambda: _listed(confluent, name), False)
    assert _code(confluent.delete_topics([name])) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_a_topic_gets_the_defaults_and_may_be_assigned(confluent: AdminClient, name: str) -> None:
    created = confluent.create_topics([NewTopic(name), NewTopic(name + "-2", 1, replica_assignment=[[1]])])

    assert [answer.result(TIMEOUT_S) for answer in created.values()] == [None, None]


def test_a_topic_that_is_only_validated_is_not_created(confluent: AdminClient, name: str) -> None:
    assert _done(confluent.create_topics([NewTopic(name, 2, 1)], validate_only=True)) is None

    assert not _listed(confluent, name)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"num_partitions": 0, "replication_factor": 1}, KafkaError.INVALID_PARTITIONS),
        ({"num_partitions": 1, "replication_factor": 2}, KafkaError.INVALID_REPLICATION_FACTOR),
        ({"num_partitions": 1, "replica_assignment": [[2]]}, KafkaError.INVALID_REPLICA_ASSIGNMENT),
        ({"config": {"no.such": "1"}}, KafkaError.INVALID_CONFIG),
        ({"config": {"retention.ms": "x"}}, KafkaError.INVALID_CONFIG),
    ],
    ids=["no partitions", "replicas", "unknown broker", "unknown setting", "no number"],
)
def test_a_topic_that_cannot_be_is_refused(
    confluent: AdminClient, name: str, options: dict[str, Any], code: int
) -> None:
    assert _code(confluent.create_topics([NewTopic(name, **options)])) == code

    assert not _listed(confluent, name)


def test_a_name_that_cannot_be_is_refused(confluent: AdminClient, make_topic: Callable[..., str]) -> None:
    there = make_topic(".a")
    colliding = there.removesuffix(".a") + "_a"

    assert _code(confluent.create_topics([NewTopic(there, 1, 1)])) == KafkaError.TOPIC_ALREADY_EXISTS
    assert _code(confluent.create_topics([NewTopic(colliding, 1, 1)])) == KafkaError.TOPIC_EXCEPTION
    assert _code(confluent.create_topics([NewTopic("a b", 1, 1)])) == KafkaError.TOPIC_EXCEPTION
    assert _code(confluent.create_topics([NewTopic("again", 1, 1)] * 2)) == KafkaError.INVALID_REQUEST


def test_topics_are_described_each_for_itself(confluent: AdminClient, topic: str, name: str) -> None:
    unknown = name + "-unknown"

    answers = confluent.describe_topics(TopicCollection([topic, unknown, "a b"]))

    assert answers[topic].result(TIMEOUT_S).name == topic
    assert _code({unknown: answers[unknown]}) == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert _code({"a b": answers["a b"]}) == KafkaError.TOPIC_EXCEPTION


def test_topics_are_deleted_each_for_itself(confluent: AdminClient, topic: str, name: str) -> None:
    unknown = name + "-unknown"

    answers = confluent.delete_topics([topic, unknown])

    assert answers[topic].result(TIMEOUT_S) is None
    assert _code({unknown: answers[unknown]}) == KafkaError.UNKNOWN_TOPIC_OR_PART


@pytest.mark.parametrize("assignment", [[], [[[1], [1]]]], ids=["count", "assignments"])
def test_a_topic_gets_more_partitions(
    confluent: AdminClient, topic: str, soon: Callable[..., None], assignment: list[Any]
) -> None:
    def partitions() -> list[int]:
        return sorted(confluent.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions)

    wanted = [NewPartitions(topic, 3, *assignment)]
    assert _done(confluent.create_partitions(wanted, validate_only=True)) is None
    assert partitions() == [0]

    assert _done(confluent.create_partitions(wanted)) is None
    soon(partitions, [0, 1, 2])


def test_partitions_that_cannot_be_are_refused(
    confluent: AdminClient, make_topic: Callable[..., str], name: str
) -> None:
    topic = make_topic(partitions=2)

    assert _code(confluent.create_partitions([NewPartitions(topic, 2)])) == KafkaError.INVALID_PARTITIONS
    assert _code(confluent.create_partitions([NewPartitions(topic, 1)])) == KafkaError.INVALID_PARTITIONS
    unknown_broker = NewPartitions(topic, 3, [[2]])
    assert _code(confluent.create_partitions([unknown_broker])) == KafkaError.INVALID_REPLICA_ASSIGNMENT
    unknown_topic = NewPartitions(name + "-unknown", 3)
    assert _code(confluent.create_partitions([unknown_topic])) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_the_cluster_is_described(confluent: AdminClient, bootstrap: str, topic: str) -> None:
    described = confluent.describe_cluster(include_authorized_operations=True).result(TIMEOUT_S)
    listed = confluent.list_topics(timeout=TIMEOUT_S)

    (node,) = described.nodes
    assert described.controller.id == node.id == listed.controller_id == 1
    assert f"{node.host}:{node.port}" == bootstrap
    assert described.cluster_id == listed.cluster_id == confluent.cluster_id(timeout=TIMEOUT_S)
    operations = "CREATE ALTER DESCRIBE CLUSTER_ACTION DESCRIBE_CONFIGS ALTER_CONFIGS IDEMPOTENT_WRITE"
    assert {operation.name for operation in described.authorized_operations} == set(operations.split())
    (partition,) = listed.topics[topic].partitions.values()
    assert (partition.id, partition.leader, partition.replicas, partition.isrs) == (0, 1, [1], [1])
    assert confluent.poll(0) == 0


def _offset(confluent: AdminClient, at: TopicPartition, where: Any, **options: Any) -> tuple[int, int, int | None]:
    found = _done(confluent.list_offsets({at: where}, **options))
    return found.offset, found.timestamp, found.leader_epoch


def test_offsets_are_listed_by_position_and_by_time(
    confluent: AdminClient, topic: str, write: Callable[..., None], an_hour_ago_ms: int
) -> None:
    write(topic, *[b"value"] * 3, first_ms=an_hour_ago_ms)
    at, committed = TopicPartition(topic, 0), IsolationLevel.READ_COMMITTED

    assert _offset(confluent, at, OffsetSpec.earliest()) == (0, -1, 0)
    assert _offset(confluent, at, OffsetSpec.latest()) == (3, -1, 0)
    assert _offset(confluent, at, OffsetSpec.latest(), isolation_level=committed) == (3, -1, 0)
    assert _offset(confluent, at, OffsetSpec.max_timestamp()) == (2, an_hour_ago_ms + 2, 0)
    assert _offset(confluent, at, OffsetSpec.for_timestamp(an_hour_ago_ms + 1)) == (1, an_hour_ago_ms + 1, 0)
    assert _offset(confluent, at, OffsetSpec.for_timestamp(an_hour_ago_ms + 3)) == (-1, -1, None)


def test_records_are_deleted(confluent: AdminClient, topic: str, write: Callable[..., None]) -> None:
    write(topic, *[b"value"] * 5)

    assert _done(confluent.delete_records([TopicPartition(topic, 0, 3)])).low_watermark == 3
    assert _code(confluent.delete_records([TopicPartition(topic, 0, 6)])) == KafkaError.OFFSET_OUT_OF_RANGE
    assert _done(confluent.delete_records([TopicPartition(topic, 0, -1)])).low_watermark == 5
    assert _offset(confluent, TopicPartition(topic, 0), OffsetSpec.earliest())[0] == 5


def test_a_partition_that_is_not_there_has_no_leader(confluent: AdminClient, topic: str) -> None:
    nowhere = TopicPartition(topic, 9, 0)

    assert _code(confluent.list_offsets({nowhere: OffsetSpec.latest()})) == KafkaError._NOENT
    assert _code(confluent.delete_records([nowhere])) == KafkaError._NOENT


@pytest.mark.parametrize("election", list(ElectionType))
def test_no_leader_needs_to_be_elected(confluent: AdminClient, topic: str, name: str, election: ElectionType) -> None:
    wanted = [TopicPartition(topic, 0), TopicPartition(topic, 9), TopicPartition(name + "-unknown", 0)]

    elected = confluent.elect_leaders(election, wanted).result(TIMEOUT_S)

    assert {(at.topic, at.partition): error.code() for at, error in elected.items()} == {
        (topic, 0): KafkaError.ELECTION_NOT_NEEDED,
        (topic, 9): KafkaError.UNKNOWN_TOPIC_OR_PART,
        (name + "-unknown", 0): KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
    assert confluent.elect_leaders(election, None).result(TIMEOUT_S) == {}


def test_acls_are_refused_without_an_authorizer(confluent: AdminClient, name: str) -> None:
    literal, anything = ResourcePatternType.LITERAL, ResourcePatternType.ANY
    acl = AclBinding(ResourceType.TOPIC, name, literal, "User:x", "*", AclOperation.READ, AclPermissionType.ALLOW)
    every = AclBindingFilter(ResourceType.ANY, None, anything, None, None, AclOperation.ANY, AclPermissionType.ANY)

    assert _code(confluent.create_acls([acl])) == KafkaError.SECURITY_DISABLED
    assert _code(confluent.delete_acls([every])) == KafkaError.SECURITY_DISABLED
    assert confluent.describe_acls(every).result(TIMEOUT_S) == []  # librdkafka drops the error


def test_nobody_has_scram_credentials(confluent: AdminClient, name: str) -> None:
    assert name not in confluent.describe_user_scram_credentials().result(TIMEOUT_S)

    assert _code(confluent.describe_user_scram_credentials([name])) == KafkaError.RESOURCE_NOT_FOUND


def test_a_scram_alteration_that_cannot_be_is_refused(confluent: AdminClient, name: str) -> None:
    deletion = UserScramCredentialDeletion(name, ScramMechanism.SCRAM_SHA_256)
    few = UserScramCredentialUpsertion(name, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 10), b"secret")

    assert _code(confluent.alter_user_scram_credentials([deletion])) == KafkaError.RESOURCE_NOT_FOUND
    assert _code(confluent.alter_user_scram_credentials([few])) == KafkaError.UNACCEPTABLE_CREDENTIAL
