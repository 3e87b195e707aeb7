"""kafka-python's KafkaAdminClient: topics.

Partitions, settings, groups and the cluster are in the files beside this one. Left out, as later issues:
KIP-848, share and streams groups, SASL, ACLs with an authorizer, altering quotas and SCRAM credentials.
"""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaAdminClient, errors
from kafka.admin import NewPartitions

NOWHERE = uuid.UUID(int=7)


def _partitions(kafka_python: KafkaAdminClient, topic: str) -> list[int]:
    (described,) = kafka_python.describe_topics([topic])
    return sorted(partition["partition_index"] for partition in described["partitions"])


def test_a_topic_is_created_with_what_was_asked_for(
    kafka_python: KafkaAdminClient, name: str, soon: Callable[..., None]
) -> None:
    wanted = {"num_partitions": 2, "replication_factor": 1, "configs": {"retention.ms": "60000"}}

    (created,) = kafka_python.create_topics({name: wanted})["topics"]

    assert (created["name"], created["error_code"], created["error_message"]) == (name, 0, None)
    assert (created["num_partitions"], created["replication_factor"]) == (2, 1)
    assert created["topic_config_error_code"] == 0
    assert created["configs"]["retention.ms"] == {
        "value": "60000",
        "read_only": False,
        "config_source": "DYNAMIC_TOPIC_CONFIG",
        "is_sensitive": False,
    }
    assert created["configs"]["cleanup.policy"]["config_source"] == "DEFAULT_CONFIG"
    kafka_python.wait_for_topics([name])
    (described,) = kafka_python.describe_topics([name])
    assert described["topic_id"] == created["topic_id"]
    soon(lambda: name in kafka_python.list_topics(), True)


def test_a_topic_that_is_only_named_gets_the_defaults(kafka_python: KafkaAdminClient, name: str) -> None:
    (created,) = kafka_python.create_topics([name], wait_for_metadata=True)["topics"]

    assert (created["num_partitions"], created["replication_factor"]) == (1, 1)
    assert _partitions(kafka_python, name) == [0]


def test_a_topic_is_created_with_assignments(kafka_python: KafkaAdminClient, name: str) -> None:
    (created,) = kafka_python.create_topics({name: {"assignments": {0: [1], 1: [1]}}}, wait_for_metadata=True)[
        "topics"
    ]

    assert (created["num_partitions"], created["replication_factor"]) == (2, 1)
    assert _partitions(kafka_python, name) == [0, 1]


def test_a_topic_that_is_only_validated_is_not_created(kafka_python: KafkaAdminClient, name: str) -> None:
    (created,) = kafka_python.create_topics({name: {"num_partitions": 3}}, validate_only=True)["topics"]

    assert (created["error_code"], created["num_partitions"]) == (0, 3)
    assert name not in kafka_python.list_topics()


def test_waiting_for_a_topic_that_does_not_exist_times_out(kafka_python: KafkaAdminClient, name: str) -> None:
    with pytest.raises(errors.KafkaTimeoutError, match="UnknownTopicOrPartitionError"):
        kafka_python.wait_for_topics([name], timeout_ms=100)


@pytest.mark.parametrize("validate_only", [False, True])
def test_a_topic_that_exists_is_refused(kafka_python: KafkaAdminClient, topic: str, validate_only: bool) -> None:
    with pytest.raises(errors.TopicAlreadyExistsError):
        kafka_python.create_topics([topic], validate_only=validate_only)

    (refused,) = kafka_python.create_topics([topic], validate_only=validate_only, raise_errors=False)["topics"]
    assert refused == {
        "name": topic,
        "topic_id": None,
        "error_code": errors.TopicAlreadyExistsError.errno,
        "error_message": f"Topic '{topic}' already exists.",
        "topic_config_error_code": 0,
        "num_partitions": -1,
        "replication_factor": -1,
    }


def _refused(kafka_python: KafkaAdminClient, topic: str, **wanted: Any) -> tuple[int, str]:
    (refused,) = kafka_python.create_topics({topic: wanted}, raise_errors=False)["topics"]
    assert topic not in kafka_python.list_topics()
    return refused["error_code"], refused["error_message"]


def test_a_name_that_collides_is_refused(kafka_python: KafkaAdminClient, make_topic: Callable[..., str]) -> None:
    there = make_topic(".a")
    colliding = there.removesuffix(".a") + "_a"

    code, message = _refused(kafka_python, colliding)

    assert code == errors.InvalidTopicError.errno
    assert f"Topic '{colliding}' collides with existing topic: {there}" in message


@pytest.mark.parametrize("topic", ["", ".", "..", "a b", "a/b", "ä", "x" * 250], ids="name {:.3}".format)
def test_a_name_that_is_invalid_is_refused(kafka_python: KafkaAdminClient, topic: str) -> None:
    code, message = _refused(kafka_python, topic)

    assert code == errors.InvalidTopicError.errno
    assert message


def test_the_topic_of_the_metadata_cannot_be_created(kafka_python: KafkaAdminClient) -> None:
    assert _refused(kafka_python, "__cluster_metadata") == (
        errors.InvalidRequestError.errno,
        "Creation of internal topic __cluster_metadata is prohibited.",
    )


@pytest.mark.parametrize("count", [0, -2])
def test_a_count_of_partitions_below_one_is_refused(kafka_python: KafkaAdminClient, name: str, count: int) -> None:
    assert _refused(kafka_python, name, num_partitions=count) == (
        errors.InvalidPartitionsError.errno,
        "Number of partitions was set to an invalid non-positive value.",
    )


@pytest.mark.parametrize("factor", [0, -2, 2])
def test_a_replication_factor_that_cannot_be_is_refused(
    kafka_python: KafkaAdminClient, name: str, factor: int
) -> None:
    code, _ = _refused(kafka_python, name, replication_factor=factor)

    assert code == errors.InvalidReplicationFactorError.errno


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        ({0: [2]}, "The manual partition assignment includes broker 2, but no such broker is registered."),
        ({1: [1]}, "partitions should be a consecutive 0-based integer sequence"),
        ({0: [1, 1]}, "The manual partition assignment includes the broker 1 more than once."),
        ({0: []}, "The manual partition assignment includes an empty replica list."),
    ],
    ids=["unknown broker", "gap", "twice", "nobody"],
)
def test_an_assignment_that_cannot_be_is_refused(
    kafka_python: KafkaAdminClient, name: str, assignments: dict[int, list[int]], message: str
) -> None:
    wanted = (errors.InvalidReplicationAssignmentError.errno, message)

    assert _refused(kafka_python, name, assignments=assignments) == wanted


def test_assignments_and_a_replication_factor_exclude_each_other(kafka_python: KafkaAdminClient, name: str) -> None:
    code, _ = _refused(kafka_python, name, assignments={0: [1]}, replication_factor=1)

    assert code == errors.InvalidRequestError.errno


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("no.such", "1"),
        ("retention.ms", "x"),
        ("retention.ms", ""),
        ("retention.ms", None),
        ("cleanup.policy", "x"),
        ("segment.bytes", "1"),
        ("min.insync.replicas", "0"),
        ("message.format.version", "3.0"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(
    kafka_python: KafkaAdminClient, name: str, setting: str, value: str | None
) -> None:
    code, message = _refused(kafka_python, name, configs={setting: value, "retention.bytes": "5"})

    assert code == errors.InvalidConfigurationError.errno
    assert setting in message


def test_topics_are_described_each_for_itself(kafka_python: KafkaAdminClient, topic: str, name: str) -> None:
    found, unknown, invalid = kafka_python.describe_topics([topic, name + "-unknown", "a b"])

    assert (found["error_code"], found["is_internal"]) == (0, False)
    assert found["partitions"] == [
        {
            "error_code": 0,
            "partition_index": 0,
            "leader_id": 1,
            "leader_epoch": 0,
            "replica_nodes": [1],
            "isr_nodes": [1],
            "offline_replicas": [],
        }
    ]
    operations = ["READ", "WRITE", "CREATE", "DELETE", "ALTER", "DESCRIBE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"]
    assert sorted(found["authorized_operations"]) == sorted(operations)
    assert (unknown["error_code"], unknown["partitions"]) == (errors.UnknownTopicOrPartitionError.errno, [])
    assert (invalid["error_code"], invalid["partitions"]) == (errors.InvalidTopicError.errno, [])


def test_topics_are_described_by_id(kafka_python: KafkaAdminClient, topic: str) -> None:
    (by_name,) = kafka_python.describe_topics([topic])

    (by_id,) = kafka_python.describe_topics([uuid.UUID(by_name["topic_id"])])
    (unknown,) = kafka_python.describe_topics([NOWHERE])

    assert by_id == by_name
    assert (unknown["error_code"], unknown["name"]) == (errors.UnknownTopicIdError.errno, None)


def test_partitions_are_described_in_pages(kafka_python: KafkaAdminClient, make_topic: Callable[..., str]) -> None:
    first, second = make_topic("-1", partitions=2), make_topic("-2")
    seen, cursor = [], None

    while True:
        page = kafka_python.describe_topic_partitions([second, first], response_partition_limit=1, cursor=cursor)
        (described,) = page["topics"]
        (partition,) = described["partitions"]
        seen.append((described["error_code"], described["name"], partition["partition_index"]))
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == [(0, first, 0), (0, first, 1), (0, second, 0)]


def test_a_described_partition_has_its_replicas_and_topics_their_errors(
    kafka_python: KafkaAdminClient, topic: str, name: str
) -> None:
    described = kafka_python.describe_topic_partitions([topic, name + "-unknown", "a b"])

    by_name = {found["name"]: found for found in described["topics"]}
    assert [found["name"] for found in described["topics"]] == ["a b", topic, name + "-unknown"]
    assert by_name[topic]["partitions"] == [
        {
            "error_code": 0,
            "partition_index": 0,
            "leader_id": 1,
            "leader_epoch": 0,
            "replica_nodes": [1],
            "isr_nodes": [1],
            "eligible_leader_replicas": None,
            "last_known_elr": None,
            "offline_replicas": [],
        }
    ]
    (same,) = kafka_python.describe_topics([topic])
    assert str(by_name[topic]["topic_id"]) == same["topic_id"]
    assert by_name[name + "-unknown"]["error_code"] == errors.UnknownTopicOrPartitionError.errno
    assert by_name["a b"]["error_code"] == errors.InvalidTopicError.errno
    assert by_name[topic]["topic_authorized_operations"] == 3576
    assert described["next_cursor"] is None


def test_a_cursor_that_is_negative_is_refused(kafka_python: KafkaAdminClient, topic: str) -> None:
    cursor = {"topic_name": topic, "partition_index": -1}

    (refused,) = kafka_python.describe_topic_partitions([topic], cursor=cursor)["topics"]

    assert refused["error_code"] == errors.InvalidRequestError.errno


def test_a_topic_is_deleted_once(kafka_python: KafkaAdminClient, topic: str, soon: Callable[..., None]) -> None:
    (described,) = kafka_python.describe_topics([topic])

    (deleted,) = kafka_python.delete_topics([topic])["topics"]

    assert deleted == {"name": topic, "topic_id": described["topic_id"], "error_code": 0, "error_message": None}
    soon(lambda: topic in kafka_python.list_topics(), False)
    with pytest.raises(errors.UnknownTopicOrPartitionError):
        kafka_python.delete_topics([topic])


def test_a_topic_is_deleted_by_id(kafka_python: KafkaAdminClient, topic: str, soon: Callable[..., None]) -> None:
    (described,) = kafka_python.describe_topics([topic])

    (deleted,) = kafka_python.delete_topics([uuid.UUID(described["topic_id"])])["topics"]

    assert (deleted["name"], deleted["error_code"]) == (topic, 0)
    soon(lambda: topic in kafka_python.list_topics(), False)
    with pytest.raises(errors.UnknownTopicIdError):
        kafka_python.delete_topics([NOWHERE])


def test_a_topic_that_is_named_twice_is_not_deleted(kafka_python: KafkaAdminClient, topic: str) -> None:
    with pytest.raises(errors.InvalidRequestError):
        kafka_python.delete_topics([topic, topic])

    assert topic in kafka_python.list_topics()


@pytest.mark.parametrize(
    "wanted",
    [3, {"count": 3, "assignments": [[1], [1]]}, NewPartitions(3)],
    ids=["count", "assignments", "NewPartitions"],
)
def test_a_topic_gets_more_partitions(
    kafka_python: KafkaAdminClient, topic: str, wanted: Any, soon: Callable[..., None]
) -> None:
    (result,) = kafka_python.create_partitions({topic: wanted}).results

    assert (result.name, result.error_code, result.error_message) == (topic, 0, None)
    soon(lambda: _partitions(kafka_python, topic), [0, 1, 2])


def test_partitions_that_are_only_validated_are_not_created(kafka_python: KafkaAdminClient, topic: str) -> None:
    (result,) = kafka_python.create_partitions({topic: 3}, validate_only=True).results

    assert result.error_code == 0
    assert _partitions(kafka_python, topic) == [0]


@pytest.mark.parametrize(
    ("wanted", "error", "message"),
    [
        (2, errors.InvalidPartitionsError, "Topic already has 2 partition(s)."),
        (
            1,
            errors.InvalidPartitionsError,
            "The topic {} currently has 2 partition(s); 1 would not be an increase.",
        ),
        (
            0,
            errors.InvalidPartitionsError,
            "The topic {} currently has 2 partition(s); 0 would not be an increase.",
        ),
        (
            {"count": 4, "assignments": [[1]]},
            errors.InvalidReplicationAssignmentError,
            "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
        ),
        (
            {"count": 3, "assignments": [[2]]},
            errors.InvalidReplicationAssignmentError,
            "The manual partition assignment includes broker 2, but no such broker is registered.",
        ),
    ],
    ids=["same", "fewer", "none", "too few assignments", "unknown broker"],
)
def test_partitions_that_cannot_be_are_refused(
    kafka_python: KafkaAdminClient, make_topic: Callable[..., str], wanted: Any, error: type[Exception], message: str
) -> None:
    topic = make_topic(partitions=2)

    with pytest.raises(error):
        kafka_python.create_partitions({topic: wanted})

    (result,) = kafka_python.create_partitions({topic: wanted}, raise_errors=False).results
    assert result.error_message == message.format(topic)
    assert _partitions(kafka_python, topic) == [0, 1]
