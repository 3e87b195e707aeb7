"""kafka-python's KafkaAdminClient: the cluster, its features, and what is refused without an authorizer or users."""

import re
from typing import Any

import pytest
from confluent_kafka import Producer
from kafka import KafkaAdminClient, TopicPartition, errors
from kafka.admin import (
    ACL,
    AbortTransactionSpec,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    TransactionState,
    UpdateFeatureType,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from kafka.protocol.admin import DescribeClientQuotasRequest
from support.clients.confluent import Confluent
from support.clients.contract import Record

# The versions of Kafka 4.3 of what an admin client sends.
VERSIONS = {
    "Metadata": (0, 13),
    "OffsetCommit": (2, 10),
    "OffsetFetch": (1, 10),
    "FindCoordinator": (0, 6),
    "LeaveGroup": (0, 5),
    "DescribeGroups": (0, 6),
    "ListGroups": (0, 5),
    "CreateTopics": (2, 7),
    "DeleteTopics": (1, 6),
    "DeleteRecords": (0, 2),
    "DescribeAcls": (1, 3),
    "CreateAcls": (1, 3),
    "DeleteAcls": (1, 3),
    "DescribeConfigs": (1, 4),
    "AlterConfigs": (0, 2),
    "AlterReplicaLogDirs": (1, 2),
    "DescribeLogDirs": (1, 5),
    "CreatePartitions": (0, 3),
    "DeleteGroups": (0, 2),
    "ElectLeaders": (0, 2),
    "IncrementalAlterConfigs": (0, 1),
    "AlterPartitionReassignments": (0, 1),
    "ListPartitionReassignments": (0, 0),
    "OffsetDelete": (0, 0),
    "DescribeClientQuotas": (0, 1),
    "DescribeUserScramCredentials": (0, 0),
    "AlterUserScramCredentials": (0, 0),
    "DescribeQuorum": (0, 2),
    "UpdateFeatures": (0, 2),
    "DescribeCluster": (0, 2),
    "DescribeProducers": (0, 0),
    "ListTransactions": (0, 2),
    "ListConfigResources": (0, 1),
    "DescribeTopicPartitions": (0, 0),
}


def test_the_cluster_is_one_broker_that_is_its_controller(kafka_python: KafkaAdminClient, bootstrap: str) -> None:
    host, _, port = bootstrap.rpartition(":")

    cluster = kafka_python.describe_cluster()

    assert cluster["controller_id"] == 1
    assert cluster["brokers"] == [{"broker_id": 1, "host": host, "port": int(port), "rack": None, "is_fenced": False}]
    assert len(cluster["cluster_id"]) == 22
    operations = ["CREATE", "ALTER", "DESCRIBE", "CLUSTER_ACTION", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"]
    assert sorted(cluster["authorized_operations"]) == sorted([*operations, "IDEMPOTENT_WRITE"])


def test_the_quorum_is_one_voter(kafka_python: KafkaAdminClient) -> None:
    described = kafka_python.describe_metadata_quorum()

    (topic,) = described["topics"]
    (partition,) = topic["partitions"]
    (voter,) = partition["current_voters"]
    assert (topic["topic_name"], partition["partition_index"]) == ("__cluster_metadata", 0)
    assert (partition["leader_id"], partition["error"], partition["observers"]) == (1, None, [])
    assert partition["leader_epoch"] >= 1
    assert voter["replica_id"] == 1
    assert voter["log_end_offset"] >= partition["high_watermark"] > 0
    assert [node["node_id"] for node in described["nodes"]] == [1]


def test_the_broker_looks_like_kafka_4_3(kafka_python: KafkaAdminClient) -> None:
    assert kafka_python.get_broker_version_data(1).broker_version == (4, 3)


@pytest.mark.parametrize("api", VERSIONS)
def test_an_api_of_admin_clients_has_the_versions_of_kafka(kafka_python: KafkaAdminClient, api: str) -> None:
    versions = {key.name: found for key, found in kafka_python.api_versions().items()}

    assert versions.get(api) == VERSIONS[api]


@pytest.mark.parametrize("is_sent_to_controller", [False, True])
def test_features_are_supported_and_finalized(kafka_python: KafkaAdminClient, is_sent_to_controller: bool) -> None:
    features = kafka_python.describe_features(is_sent_to_controller)

    metadata = features["metadata.version"]
    lowest, highest = metadata["supported"]
    assert (lowest, highest) == (7, 30)
    assert metadata["finalized"] == (30, 30)
    assert metadata["finalized_epoch"] >= 0


def test_a_feature_may_be_updated_to_its_level(kafka_python: KafkaAdminClient) -> None:
    before = kafka_python.describe_features()["metadata.version"]["finalized"]

    assert kafka_python.update_features({"metadata.version": 30}, validate_only=True) == {"metadata.version": "OK"}
    assert kafka_python.update_features({"metadata.version": 30}) == {"metadata.version": "OK"}
    assert kafka_python.update_features({}) == {}

    assert kafka_python.describe_features()["metadata.version"]["finalized"] == before


@pytest.mark.parametrize(
    ("feature", "update"),
    [
        ("no.such", 1),
        ("metadata.version", 200),
        ("metadata.version", 0),
        ("metadata.version", 29),
        ("metadata.version", (UpdateFeatureType.SAFE_DOWNGRADE, 7)),
        ("metadata.version", (UpdateFeatureType.UNKNOWN, 29)),
    ],
    ids=["unknown", "beyond", "none", "implicit downgrade", "downgrade", "unknown type"],
)
def test_a_feature_that_cannot_be_updated_is_refused(
    kafka_python: KafkaAdminClient, feature: str, update: Any
) -> None:
    with pytest.raises(errors.InvalidUpdateVersionError, match=f"error_message=.*{re.escape(feature)}"):
        kafka_python.update_features({feature: update}, validate_only=True)


def test_acls_are_refused_without_an_authorizer(kafka_python: KafkaAdminClient, name: str) -> None:
    acl = ACL("User:x", "*", ACLOperation.READ, ACLPermissionType.ALLOW, ResourcePattern(ResourceType.TOPIC, name))
    every = ACLFilter(
        None,
        None,
        ACLOperation.ANY,
        ACLPermissionType.ANY,
        ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
    )

    with pytest.raises(errors.SecurityDisabledError, match="No Authorizer is configured"):
        kafka_python.describe_acls(every)
    assert kafka_python.create_acls([acl]) == {"succeeded": [], "failed": [errors.SecurityDisabledError]}
    assert kafka_python.delete_acls([every]) == [(every, [], errors.SecurityDisabledError)]


def test_nobody_has_scram_credentials(kafka_python: KafkaAdminClient, name: str) -> None:
    described = kafka_python.describe_user_scram_credentials([name])

    assert name not in kafka_python.describe_user_scram_credentials()
    message = f"Attempt to describe a user credential that does not exist: {name}"
    assert described == {name: {"error": message, "credential_infos": []}}


def test_a_user_described_twice_is_refused(kafka_python: KafkaAdminClient, name: str) -> None:
    described = kafka_python.describe_user_scram_credentials([name, name])

    message = f"Cannot describe SCRAM credentials for the same user twice in a single request: {name}"
    assert described[name]["error"] == message


@pytest.mark.parametrize(
    ("alteration", "message"),
    [
        (
            UserScramCredentialDeletion("nobody", "SCRAM-SHA-256"),
            "Attempt to delete a user credential that does not exist",
        ),
        (UserScramCredentialDeletion("", "SCRAM-SHA-256"), "Username must not be empty"),
        (UserScramCredentialDeletion("nobody", 0), "Unknown SCRAM mechanism"),
        (UserScramCredentialUpsertion("", "SCRAM-SHA-256", "secret"), "Username must not be empty"),
        (UserScramCredentialUpsertion("nobody", "SCRAM-SHA-512", "secret", iterations=10), "Too few iterations"),
        (UserScramCredentialUpsertion("nobody", "SCRAM-SHA-512", "secret", iterations=16385), "Too many iterations"),
    ],
    ids=["nobody", "no name", "unknown mechanism", "upsertion without a name", "few iterations", "many iterations"],
)
def test_a_scram_alteration_that_cannot_be_is_refused(
    kafka_python: KafkaAdminClient, alteration: Any, message: str
) -> None:
    assert kafka_python.alter_user_scram_credentials([alteration]) == {alteration.user: message}


def _quotas(kafka_python: KafkaAdminClient, *components: tuple[str, int, str | None], strict: bool = False) -> Any:
    """kafka-python has the request and no call for it."""
    request = DescribeClientQuotasRequest(components=list(components), strict=strict)
    return kafka_python._manager.run(kafka_python._manager.send, request)


EXACT, DEFAULT, ANY = 0, 1, 2


@pytest.mark.parametrize("strict", [False, True])
def test_nobody_has_a_quota(kafka_python: KafkaAdminClient, name: str, strict: bool) -> None:
    for component in [("user", EXACT, name), ("client-id", DEFAULT, None), ("ip", ANY, None)]:
        described = _quotas(kafka_python, component, strict=strict)

        assert (described.error_code, described.entries) == (0, [])


@pytest.mark.parametrize(
    ("components", "error", "message"),
    [
        ([("x", EXACT, "y")], errors.UnsupportedVersionError, "Unsupported entity type x"),
        ([("", EXACT, "y")], errors.InvalidRequestError, "Invalid empty entity type."),
        ([("user", 9, None)], errors.InvalidRequestError, "Unknown match type 9"),
        (
            [("user", EXACT, None)],
            errors.InvalidRequestError,
            "Request specified MATCH_TYPE_EXACT, but set match string to null.",
        ),
        (
            [("user", EXACT, "x"), ("user", EXACT, "y")],
            errors.InvalidRequestError,
            "Entity type user cannot appear more than once in the filter.",
        ),
        (
            [("user", EXACT, "x"), ("ip", EXACT, "127.0.0.1")],
            errors.InvalidRequestError,
            "Invalid entity filter component combination. "
            "IP filter component should not be used with user or clientId filter component.",
        ),
    ],
    ids=["unknown type", "no type", "unknown match", "null", "twice", "user and ip"],
)
def test_a_filter_of_quotas_that_cannot_be_is_refused(
    kafka_python: KafkaAdminClient, components: Any, error: Any, message: str
) -> None:
    refused = _quotas(kafka_python, *components)

    assert (refused.error_code, refused.error_message) == (error.errno, message)
    assert refused.entries is None


def test_the_producers_of_a_partition_are_described(
    kafka_python: KafkaAdminClient, topic: str, bootstrap: str, an_hour_ago_ms: int
) -> None:
    at = TopicPartition(topic, 0)
    nobody = kafka_python.describe_producers([at])[at]
    records = [Record(b"value", timestamp_ms=an_hour_ago_ms + number) for number in range(3)]
    Confluent().produce(bootstrap, topic, records)

    (producer,) = kafka_python.describe_producers([at])[at].active_producers

    assert nobody.active_producers == []
    assert producer.producer_id >= 0
    assert (producer.producer_epoch, producer.last_sequence) == (0, 2)
    assert producer.last_timestamp == an_hour_ago_ms + 2
    assert (producer.coordinator_epoch, producer.current_transaction_start_offset) == (-1, -1)
    assert kafka_python.describe_producers([at], broker_id=1)[at].active_producers == [producer]


@pytest.mark.parametrize("broker_id", [None, 1])
def test_producers_of_a_partition_that_is_not_there_are_not_described(
    kafka_python: KafkaAdminClient, topic: str, broker_id: int | None
) -> None:
    for at in (TopicPartition(topic, 9), TopicPartition("no.such.topic", 0)):
        with pytest.raises(errors.UnknownTopicOrPartitionError):
            kafka_python.describe_producers([at], broker_id=broker_id)


def test_no_transaction_is_listed(kafka_python: KafkaAdminClient, name: str) -> None:
    listed = kafka_python.list_transactions(
        broker_ids=[1],
        state_filters=["Ongoing"],
        producer_id_filters=[10**6],
        duration_filter_ms=1,
        transactional_id_pattern=f"{name}.*",
    )

    assert listed == {1: []}
    assert kafka_python.find_hanging_transactions() == []


def test_a_pattern_of_transactional_ids_that_is_no_expression_is_refused(kafka_python: KafkaAdminClient) -> None:
    with pytest.raises(errors.BrokerResponseError, match="error_code=128"):
        kafka_python.list_transactions(transactional_id_pattern="(")


def test_an_open_transaction_is_described_and_aborted(
    kafka_python: KafkaAdminClient, topic: str, name: str, bootstrap: str
) -> None:
    """Aborting it writes a marker; its coordinator does not know."""
    at = TopicPartition(topic, 0)
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"value", partition=0)
    producer.flush(30)

    described = kafka_python.describe_transactions([name])[name]
    (writer,) = kafka_python.describe_producers([at])[at].active_producers
    kafka_python.abort_transaction(AbortTransactionSpec(at, writer.producer_id, writer.producer_epoch))
    (after,) = kafka_python.describe_producers([at])[at].active_producers

    assert (described.state, described.producer_id) == (TransactionState.ONGOING, writer.producer_id)
    assert list(described.topic_partitions) == [at]
    assert (writer.current_transaction_start_offset, after.current_transaction_start_offset) == (0, -1)
    producer.abort_transaction(30)


def test_an_unknown_transactional_id_is_not_described(kafka_python: KafkaAdminClient, name: str) -> None:
    with pytest.raises(errors.TransactionalIdNotFoundError):
        kafka_python.describe_transactions([name])
