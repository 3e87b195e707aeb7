"""kafka-python's KafkaAdminClient: groups, their members and their offsets."""

from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition, errors
from kafka.admin import GroupState, MemberToRemove, OffsetSpec, OffsetTimestamp
from kafka.structs import OffsetAndMetadata

OPERATIONS = ["ALTER_CONFIGS", "DELETE", "DESCRIBE", "DESCRIBE_CONFIGS", "READ"]


def _at(offset: int, metadata: str = "") -> OffsetAndMetadata:
    return OffsetAndMetadata(offset, metadata, None)


def _committed(kafka_python: KafkaAdminClient, group: str) -> dict[TopicPartition, int]:
    return {at: found.offset for at, found in kafka_python.list_group_offsets(group)[group].items()}


@pytest.fixture
def empty_group(kafka_python: KafkaAdminClient, topic: str) -> str:
    """A group without members, named like ``topic``, that has committed offset 3 there."""
    altered = kafka_python.alter_group_offsets(topic, {TopicPartition(topic, 0): _at(3, "note")})
    assert set(altered.values()) == {errors.NoError}
    return topic


@pytest.fixture
def stable_group(topic: str, join: Callable[..., Any]) -> str:
    """A group with a static member, named like ``topic``, to which it has subscribed."""
    join(topic, topic, instance_id="instance")
    return topic


def test_a_group_of_offsets_only_is_empty(kafka_python: KafkaAdminClient, empty_group: str) -> None:
    described = kafka_python.describe_groups([empty_group])[empty_group]

    assert sorted(described.pop("authorized_operations")) == OPERATIONS
    assert described == {
        "group_id": empty_group,
        "group_state": "Empty",
        "protocol_type": "",
        "protocol_data": "",
        "members": [],
        "error": None,
    }


def test_a_group_with_a_member_is_stable(kafka_python: KafkaAdminClient, stable_group: str) -> None:
    described = kafka_python.describe_groups([stable_group], group_coordinator_id=1)[stable_group]

    assert (described["group_state"], described["error"]) == ("Stable", None)
    assert (described["protocol_type"], described["protocol_data"]) == ("consumer", "range")
    (member,) = described["members"]
    assert member["member_id"].startswith("instance-")
    assert member["group_instance_id"] == "instance"
    assert (member["client_id"], member["client_host"]) == ("rdkafka", "/127.0.0.1")
    assert member["member_metadata"]["topics"] == [stable_group]
    assert member["member_assignment"]["assigned_partitions"] == [{"topic": stable_group, "partitions": [0]}]


def test_a_group_that_is_not_there_is_dead(kafka_python: KafkaAdminClient, name: str) -> None:
    described = kafka_python.describe_groups([name])[name]

    assert described["group_state"] == "Dead"
    assert described["error"] == f"[Error 69] GroupIdNotFoundError: Group {name} not found."
    assert described["authorized_operations"] is None


def _listed(kafka_python: KafkaAdminClient, group: str, **filters: Any) -> list[dict[str, str]]:
    return [found for found in kafka_python.list_groups(**filters) if found["group_id"] == group]


def test_groups_are_listed_by_state_and_type(kafka_python: KafkaAdminClient, empty_group: str) -> None:
    listed = {"group_id": empty_group, "protocol_type": "", "group_state": "Empty", "group_type": "classic"}

    assert _listed(kafka_python, empty_group) == [listed]
    assert _listed(kafka_python, empty_group, broker_ids=[1]) == [listed]
    assert _listed(kafka_python, empty_group, states_filter=["Stable", GroupState.EMPTY]) == [listed]
    assert _listed(kafka_python, empty_group, states_filter=["Stable"]) == []
    assert _listed(kafka_python, empty_group, types_filter=["classic"]) == [listed]
    assert _listed(kafka_python, empty_group, types_filter=["consumer", "share"]) == []


def test_a_group_with_a_member_is_listed_as_stable(kafka_python: KafkaAdminClient, stable_group: str) -> None:
    (listed,) = _listed(kafka_python, stable_group, states_filter=["Stable"])

    assert (listed["protocol_type"], listed["group_type"]) == ("consumer", "classic")


def test_offsets_are_altered_and_listed(kafka_python: KafkaAdminClient, empty_group: str) -> None:
    at, other = TopicPartition(empty_group, 0), TopicPartition("no.such.topic", 0)

    every = kafka_python.list_group_offsets(empty_group)
    some = kafka_python.list_group_offsets({empty_group: [at, other]})

    assert every == {empty_group: {at: OffsetAndMetadata(3, "note", -1)}}
    assert some == {empty_group: {**every[empty_group], other: OffsetAndMetadata(-1, "", -1)}}


def test_offsets_of_several_groups_are_listed_at_once(
    kafka_python: KafkaAdminClient, empty_group: str, name: str
) -> None:
    listed = kafka_python.list_group_offsets([empty_group, name + "-unknown"])

    assert {group: len(offsets) for group, offsets in listed.items()} == {empty_group: 1, name + "-unknown": 0}


def test_an_offset_may_lie_outside_of_the_log(kafka_python: KafkaAdminClient, empty_group: str) -> None:
    at = TopicPartition(empty_group, 0)

    assert kafka_python.alter_group_offsets(empty_group, {at: _at(1000)}) == {at: errors.NoError}

    assert _committed(kafka_python, empty_group) == {at: 1000}


def test_an_offset_of_an_unknown_partition_is_not_altered(kafka_python: KafkaAdminClient, empty_group: str) -> None:
    nowhere = [TopicPartition(empty_group, 9), TopicPartition("no.such.topic", 0)]

    altered = kafka_python.alter_group_offsets(empty_group, dict.fromkeys(nowhere, _at(1)))

    assert altered == dict.fromkeys(nowhere, errors.UnknownTopicOrPartitionError)


def test_an_offset_with_long_metadata_is_not_altered(kafka_python: KafkaAdminClient, empty_group: str) -> None:
    at = TopicPartition(empty_group, 0)

    altered = kafka_python.alter_group_offsets(empty_group, {at: _at(1, "x" * 4097)})

    assert altered == {at: errors.OffsetMetadataTooLargeError}
    assert _committed(kafka_python, empty_group) == {at: 3}


@pytest.mark.parametrize(
    ("where", "offset"),
    [
        (OffsetSpec.EARLIEST, 0),
        (OffsetSpec.LATEST, 2),
        (OffsetSpec.MAX_TIMESTAMP, 1),
        (OffsetTimestamp(0), 0),
        (OffsetTimestamp(10**14), 2),
        (1, 1),
        (99, 2),
    ],
    ids=["earliest", "latest", "max timestamp", "timestamp", "late timestamp", "offset", "offset beyond"],
)
def test_offsets_are_reset(
    kafka_python: KafkaAdminClient,
    empty_group: str,
    write: Callable[..., None],
    an_hour_ago_ms: int,
    where: Any,
    offset: int,
) -> None:
    at = TopicPartition(empty_group, 0)
    write(empty_group, b"first", b"second", first_ms=an_hour_ago_ms)

    reset = kafka_python.reset_group_offsets(empty_group, {at: where})

    assert reset == {at: {"error": errors.NoError, "offset": offset}}
    assert kafka_python.list_group_offsets(empty_group)[empty_group] == {at: OffsetAndMetadata(offset, "note", -1)}


def test_offsets_of_a_group_with_members_are_neither_altered_nor_reset(
    kafka_python: KafkaAdminClient, stable_group: str
) -> None:
    at = TopicPartition(stable_group, 0)

    altered = kafka_python.alter_group_offsets(stable_group, {at: _at(0)})
    reset = kafka_python.reset_group_offsets(stable_group, {at: 0})

    assert altered == {at: errors.UnknownMemberIdError}
    assert reset == {at: {"error": errors.UnknownMemberIdError, "offset": 0}}


def test_offsets_are_deleted(kafka_python: KafkaAdminClient, empty_group: str) -> None:
    at = TopicPartition(empty_group, 0)
    nowhere = [TopicPartition(empty_group, 9), TopicPartition("no.such.topic", 0)]

    deleted = kafka_python.delete_group_offsets(empty_group, [at, *nowhere])

    assert deleted == {at: errors.NoError} | dict.fromkeys(nowhere, errors.UnknownTopicOrPartitionError)
    assert _committed(kafka_python, empty_group) == {}
    assert kafka_python.delete_group_offsets(empty_group, [at]) == {at: errors.NoError}
    assert kafka_python.describe_groups([empty_group])[empty_group]["group_state"] == "Empty"


def test_offsets_of_a_topic_that_is_subscribed_are_not_deleted(
    kafka_python: KafkaAdminClient, make_topic: Callable[..., str], stable_group: str
) -> None:
    at, other = TopicPartition(stable_group, 0), TopicPartition(make_topic("-other"), 0)

    deleted = kafka_python.delete_group_offsets(stable_group, [at, other])

    assert deleted == {at: errors.GroupSubscribedToTopicError, other: errors.NoError}


@pytest.mark.parametrize(
    ("group", "error"), [("no.such.group", errors.GroupIdNotFoundError), ("", errors.InvalidGroupIdError)]
)
def test_offsets_of_a_group_that_is_not_there_are_not_deleted(
    kafka_python: KafkaAdminClient, topic: str, group: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        kafka_python.delete_group_offsets(group, [TopicPartition(topic, 0)], group_coordinator_id=1)


def test_a_group_without_members_is_deleted_once(kafka_python: KafkaAdminClient, empty_group: str) -> None:
    assert kafka_python.delete_groups([empty_group]) == {empty_group: "OK"}

    assert kafka_python.delete_groups([empty_group], group_coordinator_id=1) == {empty_group: "GroupIdNotFoundError"}
    assert _committed(kafka_python, empty_group) == {}
    assert _listed(kafka_python, empty_group) == []


def test_a_group_with_members_is_not_deleted(kafka_python: KafkaAdminClient, stable_group: str) -> None:
    assert kafka_python.delete_groups([stable_group]) == {stable_group: "NonEmptyGroupError"}

    assert kafka_python.describe_groups([stable_group])[stable_group]["group_state"] == "Stable"


def test_groups_are_deleted_each_for_itself(
    kafka_python: KafkaAdminClient, topic: str, name: str, join: Callable[..., Any]
) -> None:
    empty, unknown, stable = name + "-empty", name + "-unknown", name + "-stable"
    kafka_python.alter_group_offsets(empty, {TopicPartition(topic, 0): _at(0)})
    join(topic, stable)

    deleted = kafka_python.delete_groups([empty, unknown, stable])

    assert deleted == {empty: "OK", unknown: "GroupIdNotFoundError", stable: "NonEmptyGroupError"}


def test_a_static_member_is_removed(kafka_python: KafkaAdminClient, stable_group: str) -> None:
    removed = kafka_python.remove_group_members(
        stable_group, [MemberToRemove(group_instance_id="instance", reason="the test says so")]
    )

    assert removed == {"instance": errors.NoError}
    described = kafka_python.describe_groups([stable_group])[stable_group]
    assert (described["group_state"], described["protocol_type"], described["members"]) == ("Empty", "consumer", [])


def test_a_member_is_removed_by_its_id(
    kafka_python: KafkaAdminClient, topic: str, name: str, join: Callable[..., Any]
) -> None:
    join(topic, name)
    (member,) = kafka_python.describe_groups([name])[name]["members"]

    removed = kafka_python.remove_group_members(name, [MemberToRemove(member_id=member["member_id"])])

    assert removed == {member["member_id"]: errors.NoError}


def test_a_member_that_is_not_there_is_not_removed(kafka_python: KafkaAdminClient, stable_group: str) -> None:
    strangers = [MemberToRemove(member_id="x"), MemberToRemove(group_instance_id="y")]

    removed = kafka_python.remove_group_members(stable_group, strangers)

    assert removed == dict.fromkeys(("x", "y"), errors.UnknownMemberIdError)
    assert kafka_python.describe_groups([stable_group])[stable_group]["group_state"] == "Stable"


def test_a_group_that_is_not_there_has_no_members_to_remove(kafka_python: KafkaAdminClient, name: str) -> None:
    removed = kafka_python.remove_group_members(name, [MemberToRemove(member_id="x")])

    assert removed == {"x": errors.UnknownMemberIdError}
