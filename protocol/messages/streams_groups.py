"""StreamsGroupHeartbeat and StreamsGroupDescribe: groups of Kafka Streams (KIP-1071)."""

from ..primitives import boolean, int8, int16, int32, int64, string, uint16
from ..schema import Request, Response, Struct, since


class KeyValue(Struct):
    """A setting, or a tag of a client."""

    key: string = since("0+")
    value: string = since("0+")


class TopicInfo(Struct):
    """A topic that the application makes for itself."""

    name: string = since("0+")
    partitions: int32 = since("0+")
    replication_factor: int16 = since("0+")
    topic_configs: list[KeyValue] = since("0+")


class CopartitionGroup(Struct):
    """Topics whose partitions belong together, by their index in the sub-topology."""

    source_topics: list[int16] = since("0+")
    source_topic_regex: list[int16] = since("0+")
    repartition_source_topics: list[int16] = since("0+")


class Subtopology(Struct):
    """A part of the topology that can run by itself."""

    subtopology_id: string = since("0+")
    source_topics: list[string] = since("0+")
    source_topic_regex: list[string] = since("0+")
    state_changelog_topics: list[TopicInfo] = since("0+")
    repartition_sink_topics: list[string] = since("0+")
    repartition_source_topics: list[TopicInfo] = since("0+")
    copartition_groups: list[CopartitionGroup] = since("0+")


class Topology(Struct):
    """The whole of what the application does, with an epoch."""

    epoch: int32 = since("0+")
    subtopologies: list[Subtopology] = since("0+")


class TaskIds(Struct):
    """Tasks of one sub-topology."""

    subtopology_id: string = since("0+")
    partitions: list[int32] = since("0+")


class Endpoint(Struct):
    """Where a member can be asked for its state."""

    host: string = since("0+")
    port: uint16 = since("0+")


class TaskOffset(Struct):
    """How far a task has come."""

    subtopology_id: string = since("0+")
    partition: int32 = since("0+")
    offset: int64 = since("0+")


class StreamsGroupHeartbeatRequest(Request, api_key=88, versions="0", flexible="0+"):
    """Join (epoch 0), live, leave (-1, static -2). Null: as the last time."""

    group_id: string = since("0+")
    member_id: string = since("0+")
    member_epoch: int32 = since("0+")
    endpoint_information_epoch: int32 = since("0+")
    instance_id: string | None = since("0+", None)
    rack_id: string | None = since("0+", None)
    rebalance_timeout_ms: int32 = since("0+", -1)
    topology: Topology | None = since("0+", None)
    active_tasks: list[TaskIds] | None = since("0+")
    standby_tasks: list[TaskIds] | None = since("0+")
    warmup_tasks: list[TaskIds] | None = since("0+")
    process_id: string | None = since("0+", None)
    user_endpoint: Endpoint | None = since("0+", None)
    client_tags: list[KeyValue] | None = since("0+")
    task_offsets: list[TaskOffset] | None = since("0+")
    task_end_offsets: list[TaskOffset] | None = since("0+")
    shutdown_application: boolean = since("0+")


class Status(Struct):
    """A condition of the group, with a text for people."""

    status_code: int8 = since("0+")
    status_detail: string = since("0+")


class TopicPartition(Struct):
    """Partitions of one topic."""

    topic: string = since("0+")
    partitions: list[int32] = since("0+")


class EndpointToPartitions(Struct):
    """A member's endpoint and what it holds."""

    user_endpoint: Endpoint = since("0+")
    active_partitions: list[TopicPartition] = since("0+")
    standby_partitions: list[TopicPartition] = since("0+")


class StreamsGroupHeartbeatResponse(Response, answers=StreamsGroupHeartbeatRequest):
    """The member's epoch and, when they changed, its tasks. Times in ms."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+", None)
    member_id: string = since("0+")
    member_epoch: int32 = since("0+")
    heartbeat_interval_ms: int32 = since("0+")
    acceptable_recovery_lag: int32 = since("0+")
    task_offset_interval_ms: int32 = since("0+")
    status: list[Status] | None = since("0+")
    active_tasks: list[TaskIds] | None = since("0+")
    standby_tasks: list[TaskIds] | None = since("0+")
    warmup_tasks: list[TaskIds] | None = since("0+")
    endpoint_information_epoch: int32 = since("0+")
    partitions_by_user_endpoint: list[EndpointToPartitions] | None = since("0+")


class StreamsGroupDescribeRequest(Request, api_key=89, versions="0", flexible="0+"):
    """Describe groups of Kafka Streams."""

    group_ids: list[string] = since("0+")
    include_authorized_operations: boolean = since("0+")


class StreamsGroupDescribeResponseSubtopology(Struct):
    """A part of the topology that can run by itself."""

    subtopology_id: string = since("0+")
    source_topics: list[string] = since("0+")
    repartition_sink_topics: list[string] = since("0+")
    state_changelog_topics: list[TopicInfo] = since("0+")
    repartition_source_topics: list[TopicInfo] = since("0+")


class StreamsGroupDescribeResponseTopology(Struct):
    """The whole of what the application does, with an epoch."""

    epoch: int32 = since("0+")
    subtopologies: list[StreamsGroupDescribeResponseSubtopology] | None = since("0+")


class Assignment(Struct):
    """The partitions, or tasks, of a member."""

    active_tasks: list[TaskIds] = since("0+")
    standby_tasks: list[TaskIds] = since("0+")
    warmup_tasks: list[TaskIds] = since("0+")


class Member(Struct):
    """A member of the group."""

    member_id: string = since("0+")
    member_epoch: int32 = since("0+")
    instance_id: string | None = since("0+", None)
    rack_id: string | None = since("0+", None)
    client_id: string = since("0+")
    client_host: string = since("0+")
    topology_epoch: int32 = since("0+")
    process_id: string = since("0+")
    user_endpoint: Endpoint | None = since("0+", None)
    client_tags: list[KeyValue] = since("0+")
    task_offsets: list[TaskOffset] = since("0+")
    task_end_offsets: list[TaskOffset] = since("0+")
    assignment: Assignment = since("0+")
    target_assignment: Assignment = since("0+")
    is_classic: boolean = since("0+")


class DescribedGroup(Struct):
    """A group and its members."""

    error_code: int16 = since("0+")
    error_message: string | None = since("0+", None)
    group_id: string = since("0+")
    group_state: string = since("0+")
    group_epoch: int32 = since("0+")
    assignment_epoch: int32 = since("0+")
    topology: StreamsGroupDescribeResponseTopology | None = since("0+", None)
    members: list[Member] = since("0+")
    authorized_operations: int32 = since("0+", -2147483648)


class StreamsGroupDescribeResponse(Response, answers=StreamsGroupDescribeRequest):
    """One description per group."""

    throttle_time_ms: int32 = since("0+")
    groups: list[DescribedGroup] = since("0+")
