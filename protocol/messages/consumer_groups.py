"""ConsumerGroupHeartbeat and ConsumerGroupDescribe: groups of the new protocol (KIP-848)."""

from ..primitives import boolean, int8, int16, int32, string, uuid
from ..schema import Request, Response, Struct, since


class TopicPartitions(Struct):
    """Partitions of one topic."""

    topic_id: uuid = since("0+")
    partitions: list[int32] = since("0+")


class ConsumerGroupHeartbeatRequest(Request, api_key=68, versions="0-1", flexible="0+"):
    """Join (epoch 0), live, leave (-1, static -2). Null: as the last time."""

    group_id: string = since("0+")
    member_id: string = since("0+")
    member_epoch: int32 = since("0+")
    instance_id: string | None = since("0+", None)
    rack_id: string | None = since("0+", None)
    rebalance_timeout_ms: int32 = since("0+", -1)
    subscribed_topic_names: list[string] | None = since("0+", None)
    subscribed_topic_regex: string | None = since("1+", None)
    server_assignor: string | None = since("0+", None)
    topic_partitions: list[TopicPartitions] | None = since("0+")


class Assignment(Struct):
    """The partitions, or tasks, of a member."""

    topic_partitions: list[TopicPartitions] = since("0+")


class ConsumerGroupHeartbeatResponse(Response, answers=ConsumerGroupHeartbeatRequest):
    """The member's epoch and, when it changed, its assignment. Interval in ms."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+", None)
    member_id: string | None = since("0+", None)
    member_epoch: int32 = since("0+")
    heartbeat_interval_ms: int32 = since("0+")
    assignment: Assignment | None = since("0+", None)


class ConsumerGroupDescribeRequest(Request, api_key=69, versions="0-1", flexible="0+"):
    """Describe groups of the new protocol."""

    group_ids: list[string] = since("0+")
    include_authorized_operations: boolean = since("0+")


class ConsumerGroupDescribeResponseTopicPartitions(Struct):
    """Partitions of one topic."""

    topic_id: uuid = since("0+")
    topic_name: string = since("0+")
    partitions: list[int32] = since("0+")


class ConsumerGroupDescribeResponseAssignment(Struct):
    """The partitions, or tasks, of a member."""

    topic_partitions: list[ConsumerGroupDescribeResponseTopicPartitions] = since("0+")


class Member(Struct):
    """A member of the group."""

    member_id: string = since("0+")
    instance_id: string | None = since("0+", None)
    rack_id: string | None = since("0+", None)
    member_epoch: int32 = since("0+")
    client_id: string = since("0+")
    client_host: string = since("0+")
    subscribed_topic_names: list[string] = since("0+")
    subscribed_topic_regex: string | None = since("0+", None)
    assignment: ConsumerGroupDescribeResponseAssignment = since("0+")
    target_assignment: ConsumerGroupDescribeResponseAssignment = since("0+")
    member_type: int8 = since("1+", -1)


class DescribedGroup(Struct):
    """A group and its members."""

    error_code: int16 = since("0+")
    error_message: string | None = since("0+", None)
    group_id: string = since("0+")
    group_state: string = since("0+")
    group_epoch: int32 = since("0+")
    assignment_epoch: int32 = since("0+")
    assignor_name: string = since("0+")
    members: list[Member] = since("0+")
    authorized_operations: int32 = since("0+", -2147483648)


class ConsumerGroupDescribeResponse(Response, answers=ConsumerGroupDescribeRequest):
    """One description per group."""

    throttle_time_ms: int32 = since("0+")
    groups: list[DescribedGroup] = since("0+")
