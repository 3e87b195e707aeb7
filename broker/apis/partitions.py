"""CreatePartitions, DescribeTopicPartitions, and what moves partitions and leaders from broker to broker."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from ...protocol.errors import ErrorCode
from ...protocol.messages.partitions import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
    CreatePartitionsTopicResult,
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
    ElectLeadersRequest,
    ElectLeadersResponse,
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
    PartitionResult,
    ReassignablePartition,
    ReassignablePartitionResponse,
    ReassignableTopicResponse,
    ReplicaElectionResult,
)
from ...protocol.primitives import ZERO_UUID
from ..authorized import TOPIC_OPERATIONS
from ..context import Context
from ..errors import ApiError, code_for, message_for
from ..partitions.assignment import check_assignment
from ..partitions.partition import INTERNAL_TOPICS
from ..partitions.topics import PARTITIONS_PER_REQUEST_MAX, Topic
from ..registry import handles

logger = logging.getLogger(__name__)

_PREFERRED, _UNCLEAN = 0, 1


def _create_refused(request: CreatePartitionsRequest, code: ErrorCode) -> CreatePartitionsResponse:
    return CreatePartitionsResponse(
        results=[CreatePartitionsTopicResult(name=topic.name, error_code=code) for topic in request.topics]
    )


@handles(CreatePartitionsRequest, refuse=_create_refused)
async def create_partitions(request: CreatePartitionsRequest, context: Context) -> CreatePartitionsResponse:
    """Give each topic for itself more partitions (ReplicationControlManager.createPartitions)."""
    topics = context.broker.topics
    times_named = Counter(asked.name for asked in request.topics)
    results = []
    for asked in {asked.name: asked for asked in request.topics}.values():
        result = CreatePartitionsTopicResult(name=asked.name)
        try:
            if times_named[asked.name] > 1:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
            topic = topics.find(asked.name)
            _check_increase(topic, asked, context.broker.node_id)
            if not request.validate_only:
                topics.add_partitions(topic, asked.count)
                logger.info("topic %s grown (partitions: %d) by %s", topic.name, asked.count, context.client)
        except Exception as error:
            result.error_code, result.error_message = code_for(error), message_for(error)
        results.append(result)
    await context.broker.synced()
    return CreatePartitionsResponse(results=results)


def _check_increase(topic: Topic, asked: CreatePartitionsTopic, node_id: int) -> None:
    present = len(topic.partitions)
    if asked.count == present:
        raise ApiError(ErrorCode.INVALID_PARTITIONS, f"Topic already has {present} partition(s).")
    if asked.count < present:
        raise ApiError(
            ErrorCode.INVALID_PARTITIONS,
            f"The topic {topic.name} currently has {present} partition(s); {asked.count} would not be an increase.",
        )
    additional = asked.count - present
    if additional > PARTITIONS_PER_REQUEST_MAX:
        raise ApiError(ErrorCode.POLICY_VIOLATION, "Excessively large number of partitions per request.")
    if asked.assignments is None:
        return
    if len(asked.assignments) != additional:
        raise ApiError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"Attempted to add {additional} additional partition(s), but only {len(asked.assignments)}"
            " assignment(s) were specified.",
        )
    for assignment in asked.assignments:
        check_assignment(assignment.broker_ids, node_id, replication_factor=1)


def _describe_refused(request: DescribeTopicPartitionsRequest, code: ErrorCode) -> DescribeTopicPartitionsResponse:
    return DescribeTopicPartitionsResponse(
        topics=[
            DescribeTopicPartitionsResponseTopic(error_code=code, name=topic.name, topic_id=ZERO_UUID)
            for topic in request.topics
        ]
    )


@handles(DescribeTopicPartitionsRequest, refuse=_describe_refused)
def describe_topic_partitions(
    request: DescribeTopicPartitionsRequest, context: Context
) -> DescribeTopicPartitionsResponse:
    """Describe topics by name, so many partitions at a time (DescribeTopicPartitionsRequestHandler)."""
    broker = context.broker
    cursor = request.cursor
    wants_all = not request.topics
    named = {topic.name for topic in (broker.topics if wants_all else request.topics)}
    if cursor is not None:
        if not wants_all and cursor.topic_name not in named:
            raise ApiError(ErrorCode.INVALID_REQUEST, "the topics must contain that of the cursor")
        if cursor.partition_index < 0:
            raise ApiError(ErrorCode.INVALID_REQUEST, "the partition of the cursor must be valid")
        named = {name for name in named if name >= cursor.topic_name}
    limit = broker.config.int("max.request.partition.size.limit")
    room = max(min(request.response_partition_limit, limit), 1)
    response = DescribeTopicPartitionsResponse()
    for name in sorted(named):
        if not room:
            response.next_cursor = Cursor(topic_name=name, partition_index=0)
            break
        topic = broker.topics.get(name)
        if topic is None:
            if not wants_all:
                response.topics.append(_unknown(name, context))
            continue
        first = cursor.partition_index if cursor is not None and cursor.topic_name == name else 0
        page = range(first, min(first + room, len(topic.partitions)))
        response.topics.append(
            DescribeTopicPartitionsResponseTopic(
                name=name,
                topic_id=topic.topic_id,
                is_internal=name in INTERNAL_TOPICS,
                partitions=[_describe(topic, index, broker.node_id) for index in page],
                topic_authorized_operations=TOPIC_OPERATIONS,
            )
        )
        room -= len(page)
        if page.stop < len(topic.partitions):
            response.next_cursor = Cursor(topic_name=name, partition_index=page.stop)
            break
    return response


def _describe(topic: Topic, index: int, node_id: int) -> DescribeTopicPartitionsResponsePartition:
    return DescribeTopicPartitionsResponsePartition(
        partition_index=index,
        leader_id=node_id,
        leader_epoch=topic.partitions[index].leader_epoch,
        replica_nodes=[node_id],
        isr_nodes=[node_id],
        eligible_leader_replicas=[],
        last_known_elr=[],
    )


def _unknown(name: str, context: Context) -> DescribeTopicPartitionsResponseTopic:
    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    try:
        context.broker.topics.check_name_form(name)
    except ApiError as error:
        code = error.code
    return DescribeTopicPartitionsResponseTopic(
        error_code=code,
        name=name,
        topic_id=ZERO_UUID,
        is_internal=name in INTERNAL_TOPICS,
        topic_authorized_operations=TOPIC_OPERATIONS,
    )


def _election_refused(request: ElectLeadersRequest, code: ErrorCode) -> ElectLeadersResponse:
    def elect(topic: str, index: int) -> PartitionResult:
        del topic
        return PartitionResult(partition_id=index, error_code=code, error_message=None)

    return ElectLeadersResponse(error_code=code, replica_election_results=_elect(request, elect))


@handles(ElectLeadersRequest, refuse=_election_refused)
def elect_leaders(request: ElectLeadersRequest, context: Context) -> ElectLeadersResponse:
    """Say of each partition that it has the leader it should have (ReplicationControlManager.electLeaders).

    To ask about all of them is to ask which did not have it: none.
    """
    if request.election_type not in (_PREFERRED, _UNCLEAN):
        refused = _election_refused(request, ErrorCode.INVALID_REQUEST)
        for topic in refused.replica_election_results:
            for partition in topic.partition_result:
                partition.error_message = f"Unknown election type {request.election_type}"
        return refused

    def elect(topic: str, index: int) -> PartitionResult:
        code, message = ErrorCode.ELECTION_NOT_NEEDED, "Leader election not needed for topic partition."
        known = context.broker.topics.get(topic)
        if known is None or not 0 <= index < len(known.partitions):
            what = topic if known is None else f"{topic}-{index}"
            message = f"No such {'topic' if known is None else 'partition'} as {what}"
            code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return PartitionResult(partition_id=index, error_code=code, error_message=message)

    if request.topic_partitions is None:
        everything = [ReplicaElectionResult(topic=topic.name) for topic in context.broker.topics]
        return ElectLeadersResponse(replica_election_results=everything)
    return ElectLeadersResponse(replica_election_results=_elect(request, elect))


def _elect(request: ElectLeadersRequest, elect: Callable[[str, int], PartitionResult]) -> list[ReplicaElectionResult]:
    return [
        ReplicaElectionResult(
            topic=asked.topic, partition_result=[elect(asked.topic, index) for index in asked.partitions]
        )
        for asked in request.topic_partitions or ()
    ]


@handles(
    AlterPartitionReassignmentsRequest,
    leaves_out="there is one broker, on which every partition stays",
)
def alter_partition_reassignments(
    request: AlterPartitionReassignmentsRequest, context: Context
) -> AlterPartitionReassignmentsResponse:
    """Accept that a partition stays where it is; there is nowhere else (KIP-455)."""
    responses = []
    for topic in request.topics:
        results = []
        for asked in topic.partitions:
            result = ReassignablePartitionResponse(partition_index=asked.partition_index, error_message=None)
            try:
                _check_reassignment(topic.name, asked, context)
            except Exception as error:
                result.error_code, result.error_message = code_for(error), message_for(error)
            results.append(result)
        responses.append(ReassignableTopicResponse(name=topic.name, partitions=results))
    return AlterPartitionReassignmentsResponse(
        allow_replication_factor_change=request.allow_replication_factor_change,
        error_message=None,
        responses=responses,
    )


def _check_reassignment(topic: str, asked: ReassignablePartition, context: Context) -> None:
    known = context.broker.topics.get(topic)
    if known is None:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find a topic named {topic}.")
    if not 0 <= asked.partition_index < len(known.partitions):
        raise ApiError(
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find partition {topic}:{asked.partition_index}."
        )
    if asked.replicas is None:
        raise ApiError(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS, "No partition reassignment is in progress.")
    check_assignment(asked.replicas, context.broker.node_id)


@handles(ListPartitionReassignmentsRequest)
def list_partition_reassignments(
    request: ListPartitionReassignmentsRequest, context: Context
) -> ListPartitionReassignmentsResponse:
    """Say that nothing is being moved."""
    del request, context
    return ListPartitionReassignmentsResponse(error_message=None)
