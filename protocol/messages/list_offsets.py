"""ListOffsets and OffsetForLeaderEpoch: offsets by timestamp and by leader epoch."""

from ..primitives import int8, int16, int32, int64, string
from ..schema import Request, Response, Struct, since


class ListOffsetsPartition(Struct):
    """``timestamp``: ms, or -1 latest, -2 earliest, -3 largest timestamp, -4 to -6 for tiered logs."""

    partition_index: int32 = since("0+")
    current_leader_epoch: int32 = since("4+", -1)
    timestamp: int64 = since("0+")
    max_num_offsets: int32 = since("0", 1)


class ListOffsetsTopic(Struct):
    """The partitions of one topic."""

    name: string = since("0+")
    partitions: list[ListOffsetsPartition] = since("0+")


class ListOffsetsRequest(Request, api_key=2, versions="1-11", flexible="6+"):
    """Find offsets by timestamp. ``isolation_level`` 1: nothing beyond the last stable offset."""

    replica_id: int32 = since("0+")
    isolation_level: int8 = since("2+")
    topics: list[ListOffsetsTopic] = since("0+")
    timeout_ms: int32 = since("10+")


class ListOffsetsPartitionResponse(Struct):
    """The first offset at or after the timestamp; -1 and -1 where there is none."""

    partition_index: int32 = since("0+")
    error_code: int16 = since("0+")
    old_style_offsets: list[int64] = since("0")
    timestamp: int64 = since("1+", -1)
    offset: int64 = since("1+", -1)
    leader_epoch: int32 = since("4+", -1)


class ListOffsetsTopicResponse(Struct):
    """The partitions of one topic."""

    name: string = since("0+")
    partitions: list[ListOffsetsPartitionResponse] = since("0+")


class ListOffsetsResponse(Response, answers=ListOffsetsRequest):
    """One result per partition."""

    throttle_time_ms: int32 = since("2+")
    topics: list[ListOffsetsTopicResponse] = since("0+")


class OffsetForLeaderPartition(Struct):
    """Ask where ``leader_epoch`` ends."""

    partition: int32 = since("0+")
    current_leader_epoch: int32 = since("2+", -1)
    leader_epoch: int32 = since("0+")


class OffsetForLeaderTopic(Struct):
    """The partitions of one topic."""

    topic: string = since("0+")
    partitions: list[OffsetForLeaderPartition] = since("0+")


class OffsetForLeaderEpochRequest(Request, api_key=23, versions="2-4", flexible="4+"):
    """Find where leader epochs end, to detect a truncated log (KIP-101, KIP-320)."""

    replica_id: int32 = since("3+", -2)
    topics: list[OffsetForLeaderTopic] = since("0+")


class EpochEndOffset(Struct):
    """A leader epoch and the offset at which it ends."""

    error_code: int16 = since("0+")
    partition: int32 = since("0+")
    leader_epoch: int32 = since("1+", -1)
    end_offset: int64 = since("0+", -1)


class OffsetForLeaderTopicResult(Struct):
    """The partitions of one topic."""

    topic: string = since("0+")
    partitions: list[EpochEndOffset] = since("0+")


class OffsetForLeaderEpochResponse(Response, answers=OffsetForLeaderEpochRequest):
    """One result per partition."""

    throttle_time_ms: int32 = since("2+")
    topics: list[OffsetForLeaderTopicResult] = since("0+")
