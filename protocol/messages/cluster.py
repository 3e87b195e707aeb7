"""The quorum, features and brokers of a cluster (KIP-595, KIP-584, KIP-631, KIP-853)."""

from ..primitives import boolean, int8, int16, int32, int64, string, uint16, uuid
from ..schema import Request, Response, Struct, since


class PartitionData(Struct):
    """What there is of one partition."""

    partition_index: int32 = since("0+")


class TopicData(Struct):
    """Partitions of one topic."""

    topic_name: string = since("0+")
    partitions: list[PartitionData] = since("0+")


class DescribeQuorumRequest(Request, api_key=55, versions="0-2", flexible="0+"):
    """Describe the quorum of the metadata log."""

    topics: list[TopicData] = since("0+")


class ReplicaState(Struct):
    """How far a voter or observer is; ms since the epoch, -1 where it is not known."""

    replica_id: int32 = since("0+")
    replica_directory_id: uuid = since("2+")
    log_end_offset: int64 = since("0+")
    last_fetch_timestamp: int64 = since("1+", -1)
    last_caught_up_timestamp: int64 = since("1+", -1)


class DescribeQuorumResponsePartitionData(Struct):
    """What there is of one partition."""

    partition_index: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("2+")
    leader_id: int32 = since("0+")
    leader_epoch: int32 = since("0+")
    high_watermark: int64 = since("0+")
    current_voters: list[ReplicaState] = since("0+")
    observers: list[ReplicaState] = since("0+")


class DescribeQuorumResponseTopicData(Struct):
    """Partitions of one topic."""

    topic_name: string = since("0+")
    partitions: list[DescribeQuorumResponsePartitionData] = since("0+")


class Listener(Struct):
    """Where a voter can be reached."""

    name: string = since("2+")
    host: string = since("2+")
    port: uint16 = since("2+")


class Node(Struct):
    """A voter and its listeners."""

    node_id: int32 = since("2+")
    listeners: list[Listener] = since("2+")


class DescribeQuorumResponse(Response, answers=DescribeQuorumRequest):
    """The quorum: leader, voters, observers."""

    error_code: int16 = since("0+")
    error_message: string | None = since("2+")
    topics: list[DescribeQuorumResponseTopicData] = since("0+")
    nodes: list[Node] = since("2+")


class FeatureUpdateKey(Struct):
    """A feature and the level that it shall have."""

    feature: string = since("0+")
    max_version_level: int16 = since("0+")
    allow_downgrade: boolean = since("0")
    upgrade_type: int8 = since("1+", 1)


class UpdateFeaturesRequest(Request, api_key=57, versions="0-2", flexible="0+"):
    """Change finalized feature levels. ``timeout_ms`` milliseconds."""

    timeout_ms: int32 = since("0+", 60000)
    feature_updates: list[FeatureUpdateKey] = since("0+")
    validate_only: boolean = since("1+")


class UpdatableFeatureResult(Struct):
    """The result for one feature."""

    feature: string = since("0-1")
    error_code: int16 = since("0-1")
    error_message: string | None = since("0-1")


class UpdateFeaturesResponse(Response, answers=UpdateFeaturesRequest):
    """The result, to v1 per feature."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+")
    results: list[UpdatableFeatureResult] = since("0-1")


class UnregisterBrokerRequest(Request, api_key=64, versions="0", flexible="0+"):
    """Forget a broker."""

    broker_id: int32 = since("0+")


class UnregisterBrokerResponse(Response, answers=UnregisterBrokerRequest):
    """Whether it was forgotten."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+")


class AddRaftVoterRequestListener(Struct):
    """Where a voter can be reached."""

    name: string = since("0+")
    host: string = since("0+")
    port: uint16 = since("0+")


class AddRaftVoterRequest(Request, api_key=80, versions="0-1", flexible="0+"):
    """Make a controller a voter."""

    cluster_id: string | None = since("0+")
    timeout_ms: int32 = since("0+")
    voter_id: int32 = since("0+")
    voter_directory_id: uuid = since("0+")
    listeners: list[AddRaftVoterRequestListener] = since("0+")
    ack_when_committed: boolean = since("1+", True)


class AddRaftVoterResponse(Response, answers=AddRaftVoterRequest):
    """Whether it was added."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+")


class RemoveRaftVoterRequest(Request, api_key=81, versions="0", flexible="0+"):
    """Take a controller out of the voters."""

    cluster_id: string | None = since("0+")
    voter_id: int32 = since("0+")
    voter_directory_id: uuid = since("0+")


class RemoveRaftVoterResponse(Response, answers=RemoveRaftVoterRequest):
    """Whether it was removed."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+")
