"""Fetch: read record batches, waiting for them if need be."""

from ..primitives import batches, int8, int16, int32, int64, string, uuid
from ..schema import Request, Response, Struct, since
from .leadership import LeaderIdAndEpoch, NodeEndpoint


class ReplicaState(Struct):
    """The follower that asks; -1 for a consumer."""

    replica_id: int32 = since("15+", -1)
    replica_epoch: int64 = since("15+", -1)


class FetchPartition(Struct):
    """Where to read from and how much. ``current_leader_epoch`` -1: no check."""

    partition: int32 = since("0+")
    current_leader_epoch: int32 = since("9+", -1)
    fetch_offset: int64 = since("0+")
    last_fetched_epoch: int32 = since("12+", -1)
    log_start_offset: int64 = since("5+", -1)
    partition_max_bytes: int32 = since("0+")
    replica_directory_id: uuid = since("17+", tag=0)
    high_watermark: int64 = since("18+", 9223372036854775807, tag=1)


class FetchTopic(Struct):
    """A topic by name up to v12, then by id."""

    topic: string = since("0-12")
    topic_id: uuid = since("13+")
    partitions: list[FetchPartition] = since("0+")


class ForgottenTopic(Struct):
    """Partitions to drop from the fetch session (KIP-227)."""

    topic: string = since("7-12")
    topic_id: uuid = since("13+")
    partitions: list[int32] = since("7+")


class FetchRequest(Request, api_key=1, versions="4-18", flexible="12+"):
    """Read up to ``max_bytes``; wait up to ``max_wait_ms`` until there are ``min_bytes``."""

    cluster_id: string | None = since("12+", None, tag=0)
    replica_id: int32 = since("0-14", -1)
    replica_state: ReplicaState = since("15+", tag=1)
    max_wait_ms: int32 = since("0+")
    min_bytes: int32 = since("0+")
    max_bytes: int32 = since("3+", 2147483647)
    isolation_level: int8 = since("4+")
    session_id: int32 = since("7+")
    session_epoch: int32 = since("7+", -1)
    topics: list[FetchTopic] = since("0+")
    forgotten_topics_data: list[ForgottenTopic] = since("7+")
    rack_id: string = since("11+")


class EpochEndOffset(Struct):
    """A leader epoch and the offset at which it ends."""

    epoch: int32 = since("12+", -1)
    end_offset: int64 = since("12+", -1)


class SnapshotId(Struct):
    """Only controllers fill this in."""

    end_offset: int64 = since("0+", -1)
    epoch: int32 = since("0+", -1)


class AbortedTransaction(Struct):
    """A transaction whose records a read_committed consumer must drop from ``first_offset`` on."""

    producer_id: int64 = since("4+")
    first_offset: int64 = since("4+")


class PartitionData(Struct):
    """Batches of one partition. ``records`` may begin before the offset asked for and is never null here."""

    partition_index: int32 = since("0+")
    error_code: int16 = since("0+")
    high_watermark: int64 = since("0+")
    last_stable_offset: int64 = since("4+", -1)
    log_start_offset: int64 = since("5+", -1)
    diverging_epoch: EpochEndOffset = since("12+", tag=0)
    current_leader: LeaderIdAndEpoch = since("12+", tag=1)
    snapshot_id: SnapshotId = since("12+", tag=2)
    aborted_transactions: list[AbortedTransaction] | None = since("4+")
    preferred_read_replica: int32 = since("11+", -1)
    records: batches | None = since("0+")


class FetchableTopicResponse(Struct):
    """The partitions of one topic, named as in the request."""

    topic: string = since("0-12")
    topic_id: uuid = since("13+")
    partitions: list[PartitionData] = since("0+")


class FetchResponse(Response, answers=FetchRequest):
    """The batches found. ``session_id`` 0: no fetch session."""

    throttle_time_ms: int32 = since("1+")
    error_code: int16 = since("7+")
    session_id: int32 = since("7+")
    responses: list[FetchableTopicResponse] = since("0+")
    node_endpoints: list[NodeEndpoint] = since("16+", tag=0)
