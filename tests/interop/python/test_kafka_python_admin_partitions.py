"""kafka-python's KafkaAdminClient: records, offsets, leaders, reassignments and log directories of partitions."""

from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition, errors
from kafka.admin import ConfigResource, OffsetSpec, OffsetTimestamp
from kafka.protocol.consumer import IsolationLevel
from kafka.structs import TopicPartitionReplica

ELECTION_NOT_NEEDED = errors.ElectionNotNeededError.errno
PREFERRED, UNCLEAN = 0, 1


@pytest.fixture
def written(topic: str, write: Callable[..., None], an_hour_ago_ms: int) -> TopicPartition:
    """A partition with five records, one ms apart, the first of an hour ago."""
    write(topic, *[b"value"] * 5, first_ms=an_hour_ago_ms)
    return TopicPartition(topic, 0)


def _offset(kafka_python: KafkaAdminClient, at: TopicPartition, what: int) -> tuple[int, int]:
    found = kafka_python.list_partition_offsets({at: what})[at]
    return found.offset, found.timestamp


def test_records_before_an_offset_are_deleted(
    kafka_python: KafkaAdminClient, written: TopicPartition, an_hour_ago_ms: int
) -> None:
    deleted = kafka_python.delete_records({written: 3})
    again = kafka_python.delete_records({written: 2})

    assert deleted == {written: {"partition_index": 0, "low_watermark": 3, "error_code": 0}}
    assert again == deleted
    assert _offset(kafka_python, written, OffsetSpec.EARLIEST) == (3, -1)
    assert _offset(kafka_python, written, OffsetSpec.LATEST) == (5, -1)
    assert _offset(kafka_python, written, an_hour_ago_ms) == (3, an_hour_ago_ms + 3)


def test_all_records_are_deleted_by_minus_one(kafka_python: KafkaAdminClient, written: TopicPartition) -> None:
    deleted = kafka_python.delete_records({written: -1}, partition_leader_id=1)

    assert deleted[written]["low_watermark"] == 5
    assert _offset(kafka_python, written, OffsetSpec.EARLIEST) == (5, -1)
    assert _offset(kafka_python, written, 0) == (-1, -1)


def test_a_partition_takes_records_after_all_were_deleted(
    kafka_python: KafkaAdminClient, written: TopicPartition, write: Callable[..., None], an_hour_ago_ms: int
) -> None:
    kafka_python.delete_records({written: -1})

    write(written.topic, b"after", first_ms=an_hour_ago_ms + 9)

    assert _offset(kafka_python, written, OffsetSpec.LATEST) == (6, -1)
    assert _offset(kafka_python, written, 0) == (5, an_hour_ago_ms + 9)


@pytest.mark.parametrize("offset", [6, -2])
def test_records_beyond_the_end_cannot_be_deleted(
    kafka_python: KafkaAdminClient, written: TopicPartition, offset: int
) -> None:
    with pytest.raises(errors.OffsetOutOfRangeError):
        kafka_python.delete_records({written: offset})

    assert _offset(kafka_python, written, OffsetSpec.EARLIEST) == (0, -1)


def test_records_of_a_partition_that_is_not_there_cannot_be_deleted(
    kafka_python: KafkaAdminClient, topic: str, name: str
) -> None:
    for at in (TopicPartition(topic, 9), TopicPartition(name + "-unknown", 0), TopicPartition("a b", 0)):
        with pytest.raises(errors.UnknownTopicOrPartitionError):
            kafka_python.delete_records({at: 0})
        with pytest.raises(errors.UnknownTopicOrPartitionError):
            kafka_python.delete_records({at: 0}, partition_leader_id=1)


def test_offsets_are_listed_by_position_and_by_time(
    kafka_python: KafkaAdminClient, written: TopicPartition, an_hour_ago_ms: int
) -> None:
    assert _offset(kafka_python, written, OffsetSpec.EARLIEST) == (0, -1)
    assert _offset(kafka_python, written, OffsetSpec.LATEST) == (5, -1)
    assert _offset(kafka_python, written, OffsetSpec.MAX_TIMESTAMP) == (4, an_hour_ago_ms + 4)
    assert _offset(kafka_python, written, OffsetSpec.EARLIEST_LOCAL) == (0, -1)
    assert _offset(kafka_python, written, OffsetSpec.LATEST_TIERED) == (-1, -1)
    assert _offset(kafka_python, written, OffsetTimestamp(0)) == (0, an_hour_ago_ms)
    assert _offset(kafka_python, written, OffsetTimestamp(an_hour_ago_ms + 2)) == (2, an_hour_ago_ms + 2)
    assert _offset(kafka_python, written, OffsetTimestamp(an_hour_ago_ms + 5)) == (-1, -1)


def test_an_offset_has_the_epoch_of_its_leader(kafka_python: KafkaAdminClient, written: TopicPartition) -> None:
    listed = kafka_python.list_partition_offsets({written: OffsetSpec.LATEST}, IsolationLevel.READ_COMMITTED)

    assert (listed[written].offset, listed[written].leader_epoch) == (5, 0)


def test_an_empty_partition_has_no_latest_timestamp(kafka_python: KafkaAdminClient, topic: str) -> None:
    assert _offset(kafka_python, TopicPartition(topic, 0), OffsetSpec.MAX_TIMESTAMP) == (-1, -1)


def test_offsets_of_an_unknown_partition_cannot_be_listed(kafka_python: KafkaAdminClient, topic: str) -> None:
    with pytest.raises(errors.UnknownTopicOrPartitionError):
        kafka_python.list_partition_offsets({TopicPartition(topic, 9): OffsetSpec.LATEST})


def _elected(response: Any) -> dict[tuple[str, int], tuple[int, str]]:
    return {
        (topic.topic, partition.partition_id): (partition.error_code, partition.error_message)
        for topic in response.replica_election_results
        for partition in topic.partition_result
    }


@pytest.mark.parametrize("election", [PREFERRED, UNCLEAN])
def test_no_leader_needs_to_be_elected(kafka_python: KafkaAdminClient, topic: str, name: str, election: int) -> None:
    unknown = name + "-unknown"

    elected = kafka_python.elect_leaders(election, {topic: [0, 9], unknown: [0]}, raise_errors=False)

    assert elected.error_code == 0
    assert _elected(elected) == {
        (topic, 0): (ELECTION_NOT_NEEDED, "Leader election not needed for topic partition."),
        (topic, 9): (errors.UnknownTopicOrPartitionError.errno, f"No such partition as {topic}-9"),
        (unknown, 0): (errors.UnknownTopicOrPartitionError.errno, f"No such topic as {unknown}"),
    }
    with pytest.raises(errors.UnknownTopicOrPartitionError):
        kafka_python.elect_leaders(election, {unknown: [0]})


def test_leaders_of_all_partitions_of_a_topic_are_elected(
    kafka_python: KafkaAdminClient, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(partitions=2)

    of_topic = _elected(kafka_python.elect_leaders(PREFERRED, [topic]))
    of_all = _elected(kafka_python.elect_leaders(PREFERRED))

    assert set(of_topic) == {(topic, 0), (topic, 1)}
    assert set(of_topic) <= set(of_all)
    assert {code for code, _ in of_all.values()} == {ELECTION_NOT_NEEDED}


def test_a_partition_is_reassigned_to_where_it_is(kafka_python: KafkaAdminClient, topic: str) -> None:
    at = TopicPartition(topic, 0)

    assert kafka_python.alter_partition_reassignments({at: [1]}) == {at: None}

    assert kafka_python.list_partition_reassignments() == {}
    assert kafka_python.list_partition_reassignments([at, TopicPartition("no.such.topic", 0)]) == {}
    assert kafka_python.list_partition_reassignments({topic: [0, 9]}) == {}


@pytest.mark.parametrize("replicas", [[2], [1, 2], [1, 1]], ids=str)
def test_a_partition_is_not_reassigned_to_a_broker_that_is_not_there(
    kafka_python: KafkaAdminClient, topic: str, replicas: list[int]
) -> None:
    at = TopicPartition(topic, 0)

    refused = kafka_python.alter_partition_reassignments({at: replicas})

    assert refused == {at: errors.InvalidReplicationAssignmentError}
    (described,) = kafka_python.describe_topics([topic])
    assert described["partitions"][0]["replica_nodes"] == [1]


def test_a_reassignment_that_does_not_happen_cannot_be_cancelled(kafka_python: KafkaAdminClient, topic: str) -> None:
    at = TopicPartition(topic, 0)

    assert kafka_python.alter_partition_reassignments({at: None}) == {at: errors.NoReassignmentInProgressError}


@pytest.mark.parametrize("replicas", [[1], None], ids=["alter", "cancel"])
def test_a_partition_that_is_not_there_cannot_be_reassigned(
    kafka_python: KafkaAdminClient, topic: str, name: str, replicas: list[int] | None
) -> None:
    nowhere = [TopicPartition(topic, 9), TopicPartition(name + "-unknown", 0)]

    refused = kafka_python.alter_partition_reassignments(dict.fromkeys(nowhere, replicas))

    assert refused == dict.fromkeys(nowhere, errors.UnknownTopicOrPartitionError)


def _log_dir(kafka_python: KafkaAdminClient) -> str:
    described = kafka_python.describe_configs([ConfigResource("BROKER", "1")], config_filter="all")
    directory: str = described["broker"]["1"]["log.dirs"]["value"]
    return directory


@pytest.mark.parametrize("is_by_name", [True, False], ids=["topics", "partitions"])
def test_a_log_directory_says_how_large_its_partitions_are(
    kafka_python: KafkaAdminClient, make_topic: Callable[..., str], write: Callable[..., None], is_by_name: bool
) -> None:
    topic = make_topic(partitions=2)
    write(topic, b"v" * 1000)

    (described,) = kafka_python.describe_log_dirs([topic] if is_by_name else {topic: [0, 1]}, brokers=[1])

    assert described["broker"] == 1
    (directory,) = described["log_dirs"]
    assert (directory["error_code"], directory["log_dir"]) == (0, _log_dir(kafka_python))
    assert directory["total_bytes"] > directory["usable_bytes"] > 0
    assert directory["is_cordoned"] is False
    (found,) = directory["topics"]
    partitions = sorted(found["partitions"], key=lambda partition: partition["partition_index"])
    assert found["name"] == topic
    assert [partition["partition_index"] for partition in partitions] == [0, 1]
    assert 1000 < partitions[0]["partition_size"] < 1200
    assert partitions[1]["partition_size"] == 0
    assert {partition["offset_lag"] for partition in partitions} == {0}
    assert not any(partition["is_future_key"] for partition in partitions)


def test_a_log_directory_is_described_with_all_topics_or_none(kafka_python: KafkaAdminClient, topic: str) -> None:
    (every,) = kafka_python.describe_log_dirs()
    (unknown,) = kafka_python.describe_log_dirs({"no.such.topic": [0]})

    assert topic in [found["name"] for directory in every["log_dirs"] for found in directory["topics"]]
    assert [found["topics"] for found in unknown["log_dirs"]] == [[]]


def test_a_replica_moves_to_the_directory_in_which_it_is(kafka_python: KafkaAdminClient, topic: str) -> None:
    replica = TopicPartitionReplica(topic, 0, 1)

    moved = kafka_python.alter_replica_log_dirs({replica: _log_dir(kafka_python)})

    assert moved == {replica: errors.NoError}


def test_a_replica_does_not_move_to_a_directory_that_is_not_there(kafka_python: KafkaAdminClient, topic: str) -> None:
    replica = TopicPartitionReplica(topic, 0, 1)

    assert kafka_python.alter_replica_log_dirs({replica: "/no/such"}) == {replica: errors.LogDirNotFoundError}


def test_a_replica_that_is_not_there_does_not_move(kafka_python: KafkaAdminClient, topic: str) -> None:
    nowhere = [TopicPartitionReplica(topic, 9, 1), TopicPartitionReplica("no.such.topic", 0, 1)]

    moved = kafka_python.alter_replica_log_dirs(dict.fromkeys(nowhere, _log_dir(kafka_python)))

    assert moved == dict.fromkeys(nowhere, errors.UnknownTopicOrPartitionError)
