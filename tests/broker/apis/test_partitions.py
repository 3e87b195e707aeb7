"""More partitions, their description page by page, and what moves leaders and replicas where there is one broker."""

from collections.abc import Callable

import pytest
from support.calls import (
    Topic,
    as_of,
    batch,
    both_ends,
    every_version,
    fetch_request,
    fetched,
    make_topic,
    produce_request,
)
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from barnabas.protocol.messages.partitions import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
    CreatePartitionsTopicResult,
    ElectLeadersRequest,
    ElectLeadersResponse,
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
    ListPartitionReassignmentsTopics,
    PartitionResult,
    ReassignablePartition,
    ReassignablePartitionResponse,
    ReassignableTopic,
    ReassignableTopicResponse,
    ReplicaElectionResult,
    TopicPartitions,
)

CREATE_ENDS = both_ends(CreatePartitionsRequest)
ELECT_ENDS = both_ends(ElectLeadersRequest)
REASSIGN_ENDS = both_ends(AlterPartitionReassignmentsRequest)
PREFERRED, UNCLEAN = 0, 1


def more(name: str, count: int, *brokers: list[int], validate_only: bool = False) -> CreatePartitionsRequest:
    """Ask for ``count`` partitions, the new ones with ``brokers`` when there are any."""
    assignments = [CreatePartitionsAssignment(broker_ids=ids) for ids in brokers] or None
    topic = CreatePartitionsTopic(name=name, count=count, assignments=assignments)
    return CreatePartitionsRequest(topics=[topic], timeout_ms=1000, validate_only=validate_only)


def partitions_of(wire: Wire, topic: Topic) -> int:
    request = MetadataRequest(topics=[MetadataRequestTopic(name=topic.name)], allow_auto_topic_creation=False)
    (answered,) = wire.call(request, 13).topics
    assert [one.partition_index for one in answered.partitions] == list(range(len(answered.partitions)))
    return len(answered.partitions)


# CreatePartitions


@every_version(CreatePartitionsRequest)
@pytest.mark.parametrize("brokers", [[], [[1], [1]]], ids=["free", "assigned"])
def test_partitions_are_added_and_usable_at_once(
    wire: Wire, topic: Topic, version: int, brokers: list[list[int]]
) -> None:
    response = wire.call(more(topic.name, 3, *brokers), version)
    expected = CreatePartitionsResponse(results=[CreatePartitionsTopicResult(name=topic.name)])
    assert response == as_of(expected, version)
    assert partitions_of(wire, topic) == 3
    wire.call(produce_request(topic, (1, batch(b"one")), (2, batch(b"one", b"two"))), 13)
    asked = [(topic, index, 0) for index in range(3)]
    assert [result.high_watermark for result in fetched(wire.call(fetch_request(*asked), 18))] == [0, 1, 2]


@CREATE_ENDS
def test_new_partitions_can_be_tried_out(wire: Wire, topic: Topic, version: int) -> None:
    (result,) = wire.call(more(topic.name, 3, validate_only=True), version).results
    assert (result.error_code, result.error_message) == (ErrorCode.NONE, None)
    assert partitions_of(wire, topic) == 1


def assert_not_added(
    wire: Wire, topic: Topic, version: int, request: CreatePartitionsRequest, code: ErrorCode
) -> None:
    before = partitions_of(wire, topic)
    for validate_only in (True, False):
        request.validate_only = validate_only
        (result,) = wire.call(request, version).results
        assert (result.name, result.error_code) == (topic.name, code)
        assert result.error_message
    assert partitions_of(wire, topic) == before


@CREATE_ENDS
@pytest.mark.parametrize("count", [2, 1, 0, -1, -(2**31)])
def test_partitions_never_become_fewer(wire: Wire, version: int, count: int) -> None:
    topic = make_topic(wire, partitions=2)
    assert_not_added(wire, topic, version, more(topic.name, count), ErrorCode.INVALID_PARTITIONS)


@CREATE_ENDS
def test_a_request_adds_10_000_partitions_at_most(wire: Wire, topic: Topic, version: int) -> None:
    for count in (10_002, 2**31 - 1):
        assert_not_added(wire, topic, version, more(topic.name, count), ErrorCode.POLICY_VIOLATION)
    (result,) = wire.call(more(topic.name, 10_001, validate_only=True), version).results
    assert result.error_code == ErrorCode.NONE


@CREATE_ENDS
@pytest.mark.parametrize("brokers", [[[1]], [[1], [1], [1]], [[1], [2]], [[1], []], [[1], [1, 1]], [[1], [1, 2]]])
def test_a_bad_assignment_is_refused(wire: Wire, topic: Topic, version: int, brokers: list[list[int]]) -> None:
    request = more(topic.name, 3, *brokers)
    assert_not_added(wire, topic, version, request, ErrorCode.INVALID_REPLICA_ASSIGNMENT)


@CREATE_ENDS
def test_an_empty_assignment_is_no_assignment(wire: Wire, topic: Topic, version: int) -> None:
    request = more(topic.name, 2)
    request.topics[0].assignments = []
    assert_not_added(wire, topic, version, request, ErrorCode.INVALID_REPLICA_ASSIGNMENT)


@CREATE_ENDS
@pytest.mark.parametrize("name", ["nowhere", "", "a b"])
def test_an_unknown_topic_gets_no_partitions(wire: Wire, version: int, name: str) -> None:
    expected = CreatePartitionsTopicResult(name=name, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert wire.call(more(name, 3), version) == as_of(CreatePartitionsResponse(results=[expected]), version)


@CREATE_ENDS
def test_a_topic_that_is_named_twice_gets_no_partitions(wire: Wire, topic: Topic, version: int) -> None:
    request, other = more(topic.name, 2), make_topic(wire)
    request.topics += more(topic.name, 3).topics + more(other.name, 2).topics
    results = {result.name: result.error_code for result in wire.call(request, version).results}
    assert results == {topic.name: ErrorCode.INVALID_REQUEST, other.name: ErrorCode.NONE}
    assert (partitions_of(wire, topic), partitions_of(wire, other)) == (1, 2)


@CREATE_ENDS
def test_no_topics_are_answered_with_none(wire: Wire, version: int) -> None:
    assert wire.call(CreatePartitionsRequest(timeout_ms=1000), version) == CreatePartitionsResponse()


@pytest.mark.parametrize("end", [BrokerProcess.stop, BrokerProcess.kill], ids=["stop", "kill"])
def test_new_partitions_and_their_records_survive_the_end_of_the_process(
    broker: BrokerProcess, end: Callable[[BrokerProcess], object]
) -> None:
    with Wire(broker.port) as wire:
        topic = make_topic(wire)
        wire.call(produce_request(topic, (0, batch())), 13)
        wire.call(more(topic.name, 3), 3)
        wire.call(produce_request(topic, (2, batch())), 13)
    end(broker)
    broker.start()
    with Wire(broker.port) as wire:
        assert partitions_of(wire, topic) == 3
        asked = [(topic, index, 0) for index in range(3)]
        assert [result.high_watermark for result in fetched(wire.call(fetch_request(*asked), 18))] == [3, 0, 3]


# ElectLeaders


def election(topics: dict[str, list[int]] | None, election_type: int = PREFERRED) -> ElectLeadersRequest:
    asked = topics and [TopicPartitions(topic=name, partitions=indexes) for name, indexes in topics.items()]
    return ElectLeadersRequest(election_type=election_type, topic_partitions=asked, timeout_ms=1000)


@every_version(ElectLeadersRequest)
@pytest.mark.parametrize("election_type", [PREFERRED, UNCLEAN])
def test_a_leader_that_leads_needs_no_election(wire: Wire, version: int, election_type: int) -> None:
    topic = make_topic(wire, partitions=2)
    response = wire.call(election({topic.name: [0, 1]}, election_type if version else PREFERRED), version)
    message = "Leader election not needed for topic partition."
    results = [
        PartitionResult(partition_id=index, error_code=ErrorCode.ELECTION_NOT_NEEDED, error_message=message)
        for index in (0, 1)
    ]
    expected = ElectLeadersResponse(
        replica_election_results=[ReplicaElectionResult(topic=topic.name, partition_result=results)]
    )
    assert response == as_of(expected, version)


@every_version(ElectLeadersRequest)
def test_of_all_partitions_those_that_need_no_election_are_left_out(wire: Wire, topic: Topic, version: int) -> None:
    response = wire.call(election(None), version)
    assert response.error_code == ErrorCode.NONE
    assert topic.name in [result.topic for result in response.replica_election_results]
    assert not any(result.partition_result for result in response.replica_election_results)


@ELECT_ENDS
def test_what_does_not_exist_elects_nobody(wire: Wire, topic: Topic, version: int) -> None:
    response = wire.call(election({"nowhere": [0], topic.name: [1, -1]}), version)
    assert response.error_code == ErrorCode.NONE
    assert [
        (result.topic, partition.partition_id, partition.error_code)
        for result in response.replica_election_results
        for partition in result.partition_result
    ] == [
        (name, index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        for name, index in (("nowhere", 0), (topic.name, 1), (topic.name, -1))
    ]


@both_ends(ElectLeadersRequest, since=1)
@pytest.mark.parametrize("election_type", [2, -1, 127])
def test_an_unknown_type_of_election_is_refused(wire: Wire, topic: Topic, version: int, election_type: int) -> None:
    response = wire.call(election({topic.name: [0]}, election_type), version)
    assert response.error_code == ErrorCode.INVALID_REQUEST


# Reassignments


def reassignment(name: str, index: int, replicas: list[int] | None) -> AlterPartitionReassignmentsRequest:
    partition = ReassignablePartition(partition_index=index, replicas=replicas)
    return AlterPartitionReassignmentsRequest(
        timeout_ms=1000, topics=[ReassignableTopic(name=name, partitions=[partition])]
    )


def reassigned(name: str, index: int, code: ErrorCode, message: str | None) -> AlterPartitionReassignmentsResponse:
    result = ReassignablePartitionResponse(partition_index=index, error_code=code, error_message=message)
    return AlterPartitionReassignmentsResponse(
        error_message=None, responses=[ReassignableTopicResponse(name=name, partitions=[result])]
    )


@every_version(AlterPartitionReassignmentsRequest)
@pytest.mark.parametrize("change_allowed", [True, False])
def test_a_partition_may_move_to_where_it_is(wire: Wire, topic: Topic, version: int, change_allowed: bool) -> None:
    request, expected = reassignment(topic.name, 0, [1]), reassigned(topic.name, 0, ErrorCode.NONE, None)
    if version:
        request.allow_replication_factor_change = expected.allow_replication_factor_change = change_allowed
    assert wire.call(request, version) == as_of(expected, version)


@REASSIGN_ENDS
def test_what_is_not_under_way_cannot_be_cancelled(wire: Wire, topic: Topic, version: int) -> None:
    code = ErrorCode.NO_REASSIGNMENT_IN_PROGRESS
    expected = reassigned(topic.name, 0, code, "No partition reassignment is in progress.")
    assert wire.call(reassignment(topic.name, 0, None), version) == as_of(expected, version)


@REASSIGN_ENDS
@pytest.mark.parametrize("replicas", [[], [2], [1, 2], [1, 1], [-1]])
def test_a_partition_cannot_move_elsewhere(wire: Wire, topic: Topic, version: int, replicas: list[int]) -> None:
    response = wire.call(reassignment(topic.name, 0, replicas), version)
    message = response.responses[0].partitions[0].error_message
    assert message
    expected = reassigned(topic.name, 0, ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)
    assert response == as_of(expected, version)


@REASSIGN_ENDS
@pytest.mark.parametrize("replicas", [[1], None])
def test_what_does_not_exist_does_not_move(
    wire: Wire, topic: Topic, version: int, replicas: list[int] | None
) -> None:
    for name, index in (("nowhere", 0), (topic.name, 1), (topic.name, -1)):
        response = wire.call(reassignment(name, index, replicas), version)
        (result,) = response.responses[0].partitions
        assert result.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert result.error_message


@pytest.mark.parametrize("topics", [None, [], ["nowhere", ""]])
def test_nothing_is_being_moved(wire: Wire, topic: Topic, topics: list[str] | None) -> None:
    asked = topics and [
        ListPartitionReassignmentsTopics(name=name or topic.name, partition_indexes=[0]) for name in topics
    ]
    response = wire.call(ListPartitionReassignmentsRequest(topics=asked), 0)
    assert response == ListPartitionReassignmentsResponse(error_message=None)
