from pathlib import Path
from typing import Any

import pytest
from support.calls import Topic, as_of, batch, both_ends, every_version, fetch, fresh, make_topic, produce
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from barnabas.protocol.messages.topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)

CREATE_ENDS = both_ends(CreateTopicsRequest)
DELETE_ENDS = both_ends(DeleteTopicsRequest)
TOPIC, STATIC, DEFAULT = 1, 4, 5


def creatable(name: str, partitions: int = 1, replicas: int = 1, **values: Any) -> CreatableTopic:
    return CreatableTopic(name=name, num_partitions=partitions, replication_factor=replicas, **values)


def create(wire: Wire, version: int, *topics: CreatableTopic, validate_only: bool = False) -> Any:
    return wire.call(
        CreateTopicsRequest(topics=list(topics), timeout_ms=1000, validate_only=validate_only), version
    ).topics


def partitions_of(wire: Wire, name: str) -> int | None:
    request = MetadataRequest(topics=[MetadataRequestTopic(name=name)], allow_auto_topic_creation=False)
    (topic,) = wire.call(request, 13).topics
    return None if topic.error_code else len(topic.partitions)


def assert_refused(wire: Wire, version: int, topic: CreatableTopic, code: ErrorCode) -> CreatableTopicResult:
    (result,) = create(wire, version, topic)
    expected = CreatableTopicResult(name=topic.name, error_code=code, error_message=result.error_message)
    assert result == as_of(CreateTopicsResponse(topics=[expected]), version).topics[0]
    assert result.error_message
    return expected


@every_version(CreateTopicsRequest)
@pytest.mark.parametrize("validate_only", [False, True])
def test_a_topic_is_made(wire: Wire, version: int, validate_only: bool) -> None:
    name = fresh("made")
    configs = [CreatableTopicConfig(name="retention.ms", value="5000")]

    (result,) = create(wire, version, creatable(name, 3, configs=configs), validate_only=validate_only)

    assert (result.name, result.error_code, result.error_message) == (name, ErrorCode.NONE, None)
    if version >= 7:
        assert result.topic_id != bytes(16)
    if version >= 5:
        assert (result.num_partitions, result.replication_factor, result.topic_config_error_code) == (3, 1, 0)
        names = [config.name for config in result.configs]
        assert names == sorted(names)
        assert len(names) == 33
        by_name = {config.name: config for config in result.configs}
        retention, size = by_name["retention.ms"], by_name["max.message.bytes"]
        assert (retention.value, retention.config_source) == ("5000", TOPIC)
        assert (size.value, size.config_source) == ("1048588", DEFAULT)
        assert not any(config.read_only or config.is_sensitive for config in result.configs)
    assert partitions_of(wire, name) == (None if validate_only else 3)


@every_version(CreateTopicsRequest)
def test_the_broker_decides_about_counts_of_minus_1(wire: Wire, version: int) -> None:
    name = fresh("made")
    (result,) = create(wire, version, creatable(name, -1, -1))
    assert result.error_code == ErrorCode.NONE
    if version >= 5:
        assert (result.num_partitions, result.replication_factor) == (2, 1)
    assert partitions_of(wire, name) == 2


@CREATE_ENDS
def test_partitions_can_be_assigned_by_hand(wire: Wire, version: int) -> None:
    name = fresh("made")
    assignments = [CreatableReplicaAssignment(partition_index=index, broker_ids=[1]) for index in (1, 0, 2)]
    (result,) = create(wire, version, creatable(name, -1, -1, assignments=assignments))
    assert result.error_code == ErrorCode.NONE
    assert partitions_of(wire, name) == 3


@CREATE_ENDS
@pytest.mark.parametrize("name", ["", ".", "..", "a b", "a/b", "ä", "a" * 250, "a\n"])
def test_a_name_that_no_topic_can_have_is_refused(wire: Wire, version: int, name: str) -> None:
    assert_refused(wire, version, creatable(name), ErrorCode.INVALID_TOPIC_EXCEPTION)


@CREATE_ENDS
def test_a_name_of_249_characters_is_not_too_long(wire: Wire, version: int) -> None:
    name = f"{version}" + "a" * 248
    assert create(wire, version, creatable(name))[0].error_code == ErrorCode.NONE


@CREATE_ENDS
def test_names_that_differ_in_dots_and_underscores_only_collide(wire: Wire, version: int) -> None:
    stem = fresh("collides")
    make_topic(wire, name=f"{stem}.a_b")
    for near in (f"{stem}_a_b", f"{stem}.a.b", f"{stem}_a.b"):
        assert_refused(wire, version, creatable(near), ErrorCode.INVALID_TOPIC_EXCEPTION)
    assert create(wire, version, creatable(f"{stem}-a_b"))[0].error_code == ErrorCode.NONE


@CREATE_ENDS
def test_two_names_of_one_request_collide_too(wire: Wire, version: int) -> None:
    stem = fresh("collides")
    results = create(wire, version, creatable(f"{stem}.a"), creatable(f"{stem}_a"))
    assert [result.error_code for result in results] == [ErrorCode.NONE, ErrorCode.INVALID_TOPIC_EXCEPTION]


@CREATE_ENDS
def test_a_deleted_topic_collides_with_nobody(wire: Wire, version: int) -> None:
    stem = fresh("collides")
    make_topic(wire, name=f"{stem}.a")
    delete_named(wire, 1, f"{stem}.a")
    assert create(wire, version, creatable(f"{stem}_a"))[0].error_code == ErrorCode.NONE


@CREATE_ENDS
def test_a_topic_is_not_made_again(wire: Wire, topic: Topic, version: int) -> None:
    assert_refused(wire, version, creatable(topic.name, 5), ErrorCode.TOPIC_ALREADY_EXISTS)
    (result,) = create(wire, version, creatable(topic.name), validate_only=True)
    assert result.error_code == ErrorCode.TOPIC_ALREADY_EXISTS
    assert partitions_of(wire, topic.name) == 1


@CREATE_ENDS
def test_a_topic_that_is_named_twice_is_not_made(wire: Wire, version: int) -> None:
    name, other = fresh("twice"), fresh("once")
    results = create(wire, version, creatable(name), creatable(other), creatable(name, 2))
    assert {(result.name, result.error_code) for result in results} == {
        (name, ErrorCode.INVALID_REQUEST),
        (other, ErrorCode.NONE),
    }
    assert len(results) == 2
    assert partitions_of(wire, name) is None


@CREATE_ENDS
def test_the_topic_of_the_controllers_is_not_made(wire: Wire, version: int) -> None:
    assert_refused(wire, version, creatable("__cluster_metadata"), ErrorCode.INVALID_REQUEST)


@CREATE_ENDS
@pytest.mark.parametrize("count", [0, -2, -(2**31)])
def test_a_number_of_partitions_that_cannot_be_is_refused(wire: Wire, version: int, count: int) -> None:
    assert_refused(wire, version, creatable(fresh("bad"), count), ErrorCode.INVALID_PARTITIONS)


@CREATE_ENDS
@pytest.mark.parametrize("replicas", [0, -2, 2, 32767, -32768])
def test_a_replication_factor_that_cannot_be_is_refused(wire: Wire, version: int, replicas: int) -> None:
    assert_refused(wire, version, creatable(fresh("bad"), 1, replicas), ErrorCode.INVALID_REPLICATION_FACTOR)


@CREATE_ENDS
@pytest.mark.parametrize("counts", [(1, -1), (-1, 1), (1, 1)])
def test_assignments_and_counts_exclude_each_other(wire: Wire, version: int, counts: tuple[int, int]) -> None:
    assignments = [CreatableReplicaAssignment(partition_index=0, broker_ids=[1])]
    topic = creatable(fresh("bad"), *counts, assignments=assignments)
    assert_refused(wire, version, topic, ErrorCode.INVALID_REQUEST)


@CREATE_ENDS
@pytest.mark.parametrize(
    "assignments",
    [
        pytest.param([(0, [2])], id="another broker"),
        pytest.param([(0, [])], id="no broker"),
        pytest.param([(0, [1, 1])], id="a broker twice"),
        pytest.param([(1, [1])], id="does not begin at 0"),
        pytest.param([(0, [1]), (2, [1])], id="a gap"),
        pytest.param([(0, [1]), (0, [1])], id="a partition twice"),
        pytest.param([(-1, [1])], id="negative"),
    ],
)
def test_a_bad_assignment_is_refused(wire: Wire, version: int, assignments: list[tuple[int, list[int]]]) -> None:
    given = [CreatableReplicaAssignment(partition_index=index, broker_ids=ids) for index, ids in assignments]
    topic = creatable(fresh("bad"), -1, -1, assignments=given)
    assert_refused(wire, version, topic, ErrorCode.INVALID_REPLICA_ASSIGNMENT)


@CREATE_ENDS
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("no.such.setting", "1"),
        ("", "1"),
        ("retention.ms", None),
        ("retention.ms", "soon"),
        ("retention.ms", ""),
        ("segment.bytes", "1"),
        ("cleanup.policy", "keep"),
        ("compression.type", "rar"),
        ("min.insync.replicas", "0"),
        ("preallocate", "maybe"),
        ("max.message.bytes", "9999999999"),
    ],
)
def test_a_bad_setting_is_refused(wire: Wire, version: int, name: str, value: str | None) -> None:
    topic = creatable(fresh("bad"), configs=[CreatableTopicConfig(name=name, value=value)])
    assert_refused(wire, version, topic, ErrorCode.INVALID_CONFIG)


@CREATE_ENDS
def test_a_request_makes_10_000_partitions_at_most(wire: Wire, version: int) -> None:
    assert_refused(wire, version, creatable(fresh("bad"), 10_001), ErrorCode.POLICY_VIOLATION)
    assert_refused(wire, version, creatable(fresh("bad"), 2**31 - 1), ErrorCode.POLICY_VIOLATION)
    (result,) = create(wire, version, creatable(fresh("good"), 10_000), validate_only=True)
    assert result.error_code == ErrorCode.NONE


@CREATE_ENDS
def test_topics_fail_independently(wire: Wire, version: int) -> None:
    names = [fresh("each") for _ in range(3)]
    results = create(wire, version, creatable(names[0]), creatable(names[1], 0), creatable(names[2]))
    assert [(result.name, result.error_code) for result in results] == [
        (names[0], ErrorCode.NONE),
        (names[1], ErrorCode.INVALID_PARTITIONS),
        (names[2], ErrorCode.NONE),
    ]


@CREATE_ENDS
def test_no_topics_to_make_is_no_error(wire: Wire, version: int) -> None:
    assert create(wire, version) == []


# DeleteTopics


def delete_named(wire: Wire, version: int, *names: str) -> list[DeletableTopicResult]:
    return wire.call(  # type: ignore[no-any-return]
        DeleteTopicsRequest(topic_names=list(names), topics=[DeleteTopicState(name=name) for name in names]), version
    ).responses


def delete(wire: Wire, *states: DeleteTopicState) -> list[DeletableTopicResult]:
    return wire.call(DeleteTopicsRequest(topics=list(states)), 6).responses  # type: ignore[no-any-return]


@every_version(DeleteTopicsRequest)
def test_a_topic_is_deleted_by_its_name(wire: Wire, topic: Topic, version: int) -> None:
    produce(wire, topic, batch())
    expected = DeletableTopicResult(name=topic.name, topic_id=topic.topic_id)
    assert (
        delete_named(wire, version, topic.name)
        == as_of(DeleteTopicsResponse(responses=[expected]), version).responses
    )
    assert partitions_of(wire, topic.name) is None
    again = make_topic(wire, name=topic.name)
    assert again.topic_id != topic.topic_id
    assert fetch(wire, again).high_watermark == 0
    assert fetch(wire, topic).error_code == ErrorCode.UNKNOWN_TOPIC_ID


def test_a_topic_is_deleted_by_its_id(wire: Wire, topic: Topic) -> None:
    expected = DeletableTopicResult(name=topic.name, topic_id=topic.topic_id)
    assert delete(wire, DeleteTopicState(topic_id=topic.topic_id)) == [expected]
    assert partitions_of(wire, topic.name) is None


@DELETE_ENDS
@pytest.mark.parametrize("name", ["nowhere", "", "a b"])
def test_an_unknown_name_is_told(wire: Wire, topic: Topic, version: int, name: str) -> None:
    missing, gone = delete_named(wire, version, name, topic.name)
    assert (missing.name, missing.error_code) == (name, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert (gone.name, gone.error_code) == (topic.name, ErrorCode.NONE)


def test_an_unknown_id_is_told(wire: Wire) -> None:
    (result,) = delete(wire, DeleteTopicState(topic_id=b"nowhere_________"))
    assert (result.name, result.topic_id) == (None, b"nowhere_________")
    assert result.error_code == ErrorCode.UNKNOWN_TOPIC_ID


def test_a_topic_is_named_in_one_way(wire: Wire, topic: Topic) -> None:
    both, neither = delete(wire, DeleteTopicState(name=topic.name, topic_id=topic.topic_id), DeleteTopicState())
    assert (both.name, both.topic_id, both.error_code) == (topic.name, topic.topic_id, ErrorCode.INVALID_REQUEST)
    assert (neither.name, neither.topic_id, neither.error_code) == (None, bytes(16), ErrorCode.INVALID_REQUEST)
    assert partitions_of(wire, topic.name) == 1


@DELETE_ENDS
def test_a_topic_that_is_named_twice_is_not_deleted(wire: Wire, topic: Topic, version: int) -> None:
    results = delete_named(wire, version, topic.name, topic.name)
    assert [(result.name, result.error_code) for result in results] == [(topic.name, ErrorCode.INVALID_REQUEST)]
    assert partitions_of(wire, topic.name) == 1


def test_a_topic_that_is_identified_twice_is_not_deleted(wire: Wire, topic: Topic) -> None:
    by_id = DeleteTopicState(topic_id=topic.topic_id)
    assert [result.error_code for result in delete(wire, by_id, by_id)] == [ErrorCode.INVALID_REQUEST]
    results = delete(wire, by_id, DeleteTopicState(name=topic.name))
    assert {result.error_code for result in results} == {ErrorCode.INVALID_REQUEST}
    assert partitions_of(wire, topic.name) == 1


@DELETE_ENDS
def test_no_topics_to_delete_is_no_error(wire: Wire, version: int) -> None:
    assert delete_named(wire, version) == []


def test_deletion_can_be_forbidden(tmp_path: Path) -> None:
    with running(tmp_path / "data", "-c", "delete.topic.enable=false") as broker, Wire(broker.port) as wire:
        topic = make_topic(wire)
        for version in range(1, 7):
            (result,) = delete_named(wire, version, topic.name)
            expected = ErrorCode.INVALID_REQUEST if version < 3 else ErrorCode.TOPIC_DELETION_DISABLED
            assert (result.name, result.error_code) == (topic.name, expected)
        (result,) = delete(wire, DeleteTopicState(topic_id=topic.topic_id))
        assert (result.topic_id, result.error_code) == (topic.topic_id, ErrorCode.TOPIC_DELETION_DISABLED)
        assert partitions_of(wire, topic.name) == 1


def test_what_was_made_and_deleted_stays_so_after_a_crash(broker: BrokerProcess, wire: Wire) -> None:
    kept, gone = make_topic(wire, partitions=2), make_topic(wire)
    delete_named(wire, 6, gone.name)
    wire.socket.close()
    broker.kill()
    broker.start()
    with Wire(broker.port) as again:
        assert partitions_of(again, kept.name) == 2
        assert partitions_of(again, gone.name) is None
