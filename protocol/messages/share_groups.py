"""Share groups: membership, fetching, acknowledging, offsets (KIP-932)."""

from ..primitives import batches, boolean, int8, int16, int32, int64, string, uuid
from ..schema import Request, Response, Struct, since


class ShareGroupHeartbeatRequest(Request, api_key=76, versions="1", flexible="1+"):
    """Join (epoch 0), live, leave (-1)."""

    group_id: string = since("1+")
    member_id: string = since("1+")
    member_epoch: int32 = since("1+")
    rack_id: string | None = since("1+", None)
    subscribed_topic_names: list[string] | None = since("1+", None)


class TopicPartitions(Struct):
    """Partitions of one topic."""

    topic_id: uuid = since("1+")
    partitions: list[int32] = since("1+")


class Assignment(Struct):
    """The partitions, or tasks, of a member."""

    topic_partitions: list[TopicPartitions] = since("1+")


class ShareGroupHeartbeatResponse(Response, answers=ShareGroupHeartbeatRequest):
    """The member's epoch and, when it changed, its assignment. Interval in ms."""

    throttle_time_ms: int32 = since("1+")
    error_code: int16 = since("1+")
    error_message: string | None = since("1+", None)
    member_id: string | None = since("1+", None)
    member_epoch: int32 = since("1+")
    heartbeat_interval_ms: int32 = since("1+")
    assignment: Assignment | None = since("1+", None)


class ShareGroupDescribeRequest(Request, api_key=77, versions="1", flexible="1+"):
    """Describe share groups."""

    group_ids: list[string] = since("1+")
    include_authorized_operations: boolean = since("1+")


class ShareGroupDescribeResponseTopicPartitions(Struct):
    """Partitions of one topic."""

    topic_id: uuid = since("1+")
    topic_name: string = since("1+")
    partitions: list[int32] = since("1+")


class ShareGroupDescribeResponseAssignment(Struct):
    """The partitions, or tasks, of a member."""

    topic_partitions: list[ShareGroupDescribeResponseTopicPartitions] = since("1+")


class Member(Struct):
    """A member of the group."""

    member_id: string = since("1+")
    rack_id: string | None = since("1+", None)
    member_epoch: int32 = since("1+")
    client_id: string = since("1+")
    client_host: string = since("1+")
    subscribed_topic_names: list[string] = since("1+")
    assignment: ShareGroupDescribeResponseAssignment = since("1+")


class DescribedGroup(Struct):
    """A group and its members."""

    error_code: int16 = since("1+")
    error_message: string | None = since("1+", None)
    group_id: string = since("1+")
    group_state: string = since("1+")
    group_epoch: int32 = since("1+")
    assignment_epoch: int32 = since("1+")
    assignor_name: string = since("1+")
    members: list[Member] = since("1+")
    authorized_operations: int32 = since("1+", -2147483648)


class ShareGroupDescribeResponse(Response, answers=ShareGroupDescribeRequest):
    """One description per group."""

    throttle_time_ms: int32 = since("1+")
    groups: list[DescribedGroup] = since("1+")


class AcknowledgementBatch(Struct):
    """What became of records: 0 gap, 1 accept, 2 release, 3 reject, 4 renew; one for all, or one each."""

    first_offset: int64 = since("1+")
    last_offset: int64 = since("1+")
    acknowledge_types: list[int8] = since("1+")


class FetchPartition(Struct):
    """A partition to fetch from, and acknowledgements for it."""

    partition_index: int32 = since("1+")
    acknowledgement_batches: list[AcknowledgementBatch] = since("1+")


class FetchTopic(Struct):
    """Partitions of one topic."""

    topic_id: uuid = since("1+")
    partitions: list[FetchPartition] = since("1+")


class ForgottenTopic(Struct):
    """Partitions to drop from the session."""

    topic_id: uuid = since("1+")
    partitions: list[int32] = since("1+")


class ShareFetchRequest(Request, api_key=78, versions="1-2", flexible="1+"):
    """Acquire records for a member, and acknowledge others."""

    group_id: string | None = since("1+", None)
    member_id: string | None = since("1+")
    share_session_epoch: int32 = since("1+")
    max_wait_ms: int32 = since("1+")
    min_bytes: int32 = since("1+")
    max_bytes: int32 = since("1+", 2147483647)
    max_records: int32 = since("1+")
    batch_size: int32 = since("1+")
    share_acquire_mode: int8 = since("2+")
    is_renew_ack: boolean = since("2+")
    topics: list[FetchTopic] = since("1+")
    forgotten_topics_data: list[ForgottenTopic] = since("1+")


class LeaderIdAndEpoch(Struct):
    """The present leader of a partition; -1 where it is not known."""

    leader_id: int32 = since("1+")
    leader_epoch: int32 = since("1+")


class AcquiredRecords(Struct):
    """A range of records and how often it was delivered."""

    first_offset: int64 = since("1+")
    last_offset: int64 = since("1+")
    delivery_count: int16 = since("1+")


class PartitionData(Struct):
    """What there is of one partition."""

    partition_index: int32 = since("1+")
    error_code: int16 = since("1+")
    error_message: string | None = since("1+", None)
    acknowledge_error_code: int16 = since("1+")
    acknowledge_error_message: string | None = since("1+", None)
    current_leader: LeaderIdAndEpoch = since("1+")
    records: batches = since("1+")
    acquired_records: list[AcquiredRecords] = since("1+")


class ShareFetchableTopicResponse(Struct):
    """The partitions of one topic."""

    topic_id: uuid = since("1+")
    partitions: list[PartitionData] = since("1+")


class NodeEndpoint(Struct):
    """Where this client can reach a broker."""

    node_id: int32 = since("1+")
    host: string = since("1+")
    port: int32 = since("1+")
    rack: string | None = since("1+", None)


class ShareFetchResponse(Response, answers=ShareFetchRequest):
    """The records that were acquired. The lock's length in ms."""

    throttle_time_ms: int32 = since("1+")
    error_code: int16 = since("1+")
    error_message: string | None = since("1+", None)
    acquisition_lock_timeout_ms: int32 = since("1+")
    responses: list[ShareFetchableTopicResponse] = since("1+")
    node_endpoints: list[NodeEndpoint] = since("1+")


class AcknowledgePartition(Struct):
    """Acknowledgements for one partition."""

    partition_index: int32 = since("1+")
    acknowledgement_batches: list[AcknowledgementBatch] = since("1+")


class AcknowledgeTopic(Struct):
    """Partitions of one topic."""

    topic_id: uuid = since("1+")
    partitions: list[AcknowledgePartition] = since("1+")


class ShareAcknowledgeRequest(Request, api_key=79, versions="1-2", flexible="1+"):
    """Acknowledge records."""

    group_id: string | None = since("1+", None)
    member_id: string | None = since("1+")
    share_session_epoch: int32 = since("1+")
    is_renew_ack: boolean = since("2+")
    topics: list[AcknowledgeTopic] = since("1+")


class ShareAcknowledgeResponsePartitionData(Struct):
    """What there is of one partition."""

    partition_index: int32 = since("1+")
    error_code: int16 = since("1+")
    error_message: string | None = since("1+", None)
    current_leader: LeaderIdAndEpoch = since("1+")


class ShareAcknowledgeTopicResponse(Struct):
    """The partitions of one topic."""

    topic_id: uuid = since("1+")
    partitions: list[ShareAcknowledgeResponsePartitionData] = since("1+")


class ShareAcknowledgeResponse(Response, answers=ShareAcknowledgeRequest):
    """One result per partition."""

    throttle_time_ms: int32 = since("1+")
    error_code: int16 = since("1+")
    error_message: string | None = since("1+", None)
    acquisition_lock_timeout_ms: int32 = since("2+")
    responses: list[ShareAcknowledgeTopicResponse] = since("1+")
    node_endpoints: list[NodeEndpoint] = since("1+")


class DescribeShareGroupOffsetsRequestTopic(Struct):
    """Partitions of one topic."""

    topic_name: string = since("0+")
    partitions: list[int32] = since("0+")


class DescribeShareGroupOffsetsRequestGroup(Struct):
    """A group; ``topics`` null: all."""

    group_id: string = since("0+")
    topics: list[DescribeShareGroupOffsetsRequestTopic] | None = since("0+")


class DescribeShareGroupOffsetsRequest(Request, api_key=90, versions="0-1", flexible="0+"):
    """Ask where share groups stand."""

    groups: list[DescribeShareGroupOffsetsRequestGroup] = since("0+")


class DescribeShareGroupOffsetsResponsePartition(Struct):
    """The start offset and the lag of one partition, -1 where it is not known."""

    partition_index: int32 = since("0+")
    start_offset: int64 = since("0+")
    leader_epoch: int32 = since("0+")
    lag: int64 = since("1+", -1)
    error_code: int16 = since("0+")
    error_message: string | None = since("0+", None)


class DescribeShareGroupOffsetsResponseTopic(Struct):
    """The partitions of one topic."""

    topic_name: string = since("0+")
    topic_id: uuid = since("0+")
    partitions: list[DescribeShareGroupOffsetsResponsePartition] = since("0+")


class DescribeShareGroupOffsetsResponseGroup(Struct):
    """The offsets of one group."""

    group_id: string = since("0+")
    topics: list[DescribeShareGroupOffsetsResponseTopic] = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+", None)


class DescribeShareGroupOffsetsResponse(Response, answers=DescribeShareGroupOffsetsRequest):
    """One result per group."""

    throttle_time_ms: int32 = since("0+")
    groups: list[DescribeShareGroupOffsetsResponseGroup] = since("0+")


class AlterShareGroupOffsetsRequestPartition(Struct):
    """A partition and where to start."""

    partition_index: int32 = since("0+")
    start_offset: int64 = since("0+")


class AlterShareGroupOffsetsRequestTopic(Struct):
    """Partitions of one topic."""

    topic_name: string = since("0+")
    partitions: list[AlterShareGroupOffsetsRequestPartition] = since("0+")


class AlterShareGroupOffsetsRequest(Request, api_key=91, versions="0", flexible="0+"):
    """Set where a share group starts."""

    group_id: string = since("0+")
    topics: list[AlterShareGroupOffsetsRequestTopic] = since("0+")


class AlterShareGroupOffsetsResponsePartition(Struct):
    """The result for one partition."""

    partition_index: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+", None)


class AlterShareGroupOffsetsResponseTopic(Struct):
    """The partitions of one topic."""

    topic_name: string = since("0+")
    topic_id: uuid = since("0+")
    partitions: list[AlterShareGroupOffsetsResponsePartition] = since("0+")


class AlterShareGroupOffsetsResponse(Response, answers=AlterShareGroupOffsetsRequest):
    """One result per partition."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+", None)
    responses: list[AlterShareGroupOffsetsResponseTopic] = since("0+")


class DeleteShareGroupOffsetsRequestTopic(Struct):
    """A topic to forget."""

    topic_name: string = since("0+")


class DeleteShareGroupOffsetsRequest(Request, api_key=92, versions="0", flexible="0+"):
    """Forget the offsets of a share group."""

    group_id: string = since("0+")
    topics: list[DeleteShareGroupOffsetsRequestTopic] = since("0+")


class DeleteShareGroupOffsetsResponseTopic(Struct):
    """The result for one topic."""

    topic_name: string = since("0+")
    topic_id: uuid = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+", None)


class DeleteShareGroupOffsetsResponse(Response, answers=DeleteShareGroupOffsetsRequest):
    """One result per topic."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+", None)
    responses: list[DeleteShareGroupOffsetsResponseTopic] = since("0+")
