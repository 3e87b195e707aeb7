"""CreatePartitions, DescribeTopicPartitions, leader elections and reassignments."""

from ..primitives import boolean, int8, int16, int32, string, uuid
from ..schema import Request, Response, Struct, since


class CreatePartitionsAssignment(Struct):
    """The brokers that hold one new partition, the preferred leader first."""

    broker_ids: list[int32] = since("0+")


class CreatePartitionsTopic(Struct):
    """A topic and how many partitions it shall have altogether."""

    name: string = since("0+")
    count: int32 = since("0+")
    assignments: list[CreatePartitionsAssignment] | None = since("0+")


class CreatePartitionsRequest(Request, api_key=37, versions="0-3", flexible="2+"):
    """Give topics more partitions. ``timeout_ms`` milliseconds."""

    topics: list[CreatePartitionsTopic] = since("0+")
    timeout_ms: int32 = since("0+")
    validate_only: boolean = since("0+")


class CreatePartitionsTopicResult(Struct):
    """The result for one topic."""

    name: string = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+", None)


class CreatePartitionsResponse(Response, answers=CreatePartitionsRequest):
    """One result per topic."""

    throttle_time_ms: int32 = since("0+")
    results: list[CreatePartitionsTopicResult] = since("0+")


class TopicRequest(Struct):
    """Partitions of one topic."""

    name: string = since("0+")


class Cursor(Struct):
    """Where the next page begins."""

    topic_name: string = since("0+")
    partition_index: int32 = since("0+")


class DescribeTopicPartitionsRequest(Request, api_key=75, versions="0", flexible="0+"):
    """Describe topics page by page (KIP-966); no topics: all."""

    topics: list[TopicRequest] = since("0+")
    response_partition_limit: int32 = since("0+", 2000)
    cursor: Cursor | None = since("0+", None)


class DescribeTopicPartitionsResponsePartition(Struct):
    """A partition, its leader and its replicas."""

    error_code: int16 = since("0+")
    partition_index: int32 = since("0+")
    leader_id: int32 = since("0+")
    leader_epoch: int32 = since("0+", -1)
    replica_nodes: list[int32] = since("0+")
    isr_nodes: list[int32] = since("0+")
    eligible_leader_replicas: list[int32] | None = since("0+", None)
    last_known_elr: list[int32] | None = since("0+", None)
    offline_replicas: list[int32] = since("0+")


class DescribeTopicPartitionsResponseTopic(Struct):
    """A topic and its partitions on this page."""

    error_code: int16 = since("0+")
    name: string | None = since("0+")
    topic_id: uuid = since("0+")
    is_internal: boolean = since("0+")
    partitions: list[DescribeTopicPartitionsResponsePartition] = since("0+")
    topic_authorized_operations: int32 = since("0+", -2147483648)


class DescribeTopicPartitionsResponse(Response, answers=DescribeTopicPartitionsRequest):
    """A page, and where the next one begins."""

    throttle_time_ms: int32 = since("0+")
    topics: list[DescribeTopicPartitionsResponseTopic] = since("0+")
    next_cursor: Cursor | None = since("0+", None)


class TopicPartitions(Struct):
    """Partitions of one topic."""

    topic: string = since("0+")
    partitions: list[int32] = since("0+")


class ElectLeadersRequest(Request, api_key=43, versions="0-2", flexible="2+"):
    """Elect leaders; ``election_type`` 0 preferred, 1 unclean. ``topic_partitions`` null: all."""

    election_type: int8 = since("1+")
    topic_partitions: list[TopicPartitions] | None = since("0+")
    timeout_ms: int32 = since("0+", 60000)


class PartitionResult(Struct):
    """The result for one partition."""

    partition_id: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+")


class ReplicaElectionResult(Struct):
    """The partitions of one topic."""

    topic: string = since("0+")
    partition_result: list[PartitionResult] = since("0+")


class ElectLeadersResponse(Response, answers=ElectLeadersRequest):
    """One result per partition."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("1+")
    replica_election_results: list[ReplicaElectionResult] = since("0+")


class ReassignablePartition(Struct):
    """The replicas that a partition shall have; null cancels what is under way."""

    partition_index: int32 = since("0+")
    replicas: list[int32] | None = since("0+", None)


class ReassignableTopic(Struct):
    """Partitions of one topic."""

    name: string = since("0+")
    partitions: list[ReassignablePartition] = since("0+")


class AlterPartitionReassignmentsRequest(Request, api_key=45, versions="0-1", flexible="0+"):
    """Move partitions to other brokers (KIP-455). ``timeout_ms`` milliseconds."""

    timeout_ms: int32 = since("0+", 60000)
    allow_replication_factor_change: boolean = since("1+", True)
    topics: list[ReassignableTopic] = since("0+")


class ReassignablePartitionResponse(Struct):
    """The result for one partition."""

    partition_index: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+")


class ReassignableTopicResponse(Struct):
    """The partitions of one topic."""

    name: string = since("0+")
    partitions: list[ReassignablePartitionResponse] = since("0+")


class AlterPartitionReassignmentsResponse(Response, answers=AlterPartitionReassignmentsRequest):
    """One result per partition."""

    throttle_time_ms: int32 = since("0+")
    allow_replication_factor_change: boolean = since("1+", True)
    error_code: int16 = since("0+")
    error_message: string | None = since("0+")
    responses: list[ReassignableTopicResponse] = since("0+")


class ListPartitionReassignmentsTopics(Struct):
    """Partitions of one topic."""

    name: string = since("0+")
    partition_indexes: list[int32] = since("0+")


class ListPartitionReassignmentsRequest(Request, api_key=46, versions="0", flexible="0+"):
    """Ask which partitions are being moved; ``topics`` null: all."""

    timeout_ms: int32 = since("0+", 60000)
    topics: list[ListPartitionReassignmentsTopics] | None = since("0+")


class OngoingPartitionReassignment(Struct):
    """A partition that is being moved."""

    partition_index: int32 = since("0+")
    replicas: list[int32] = since("0+")
    adding_replicas: list[int32] = since("0+")
    removing_replicas: list[int32] = since("0+")


class OngoingTopicReassignment(Struct):
    """The partitions of one topic."""

    name: string = since("0+")
    partitions: list[OngoingPartitionReassignment] = since("0+")


class ListPartitionReassignmentsResponse(Response, answers=ListPartitionReassignmentsRequest):
    """The partitions that are being moved."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+")
    topics: list[OngoingTopicReassignment] = since("0+")
