"""TxnOffsetCommit: offsets that are committed with the end of a transaction (KIP-98, KIP-447)."""

from ..primitives import int16, int32, int64, string
from ..schema import Request, Response, Struct, since


class TxnOffsetCommitRequestPartition(Struct):
    """The next offset to read, with the client's own note."""

    partition_index: int32 = since("0+")
    committed_offset: int64 = since("0+")
    committed_leader_epoch: int32 = since("2+", -1)
    committed_metadata: string | None = since("0+")


class TxnOffsetCommitRequestTopic(Struct):
    """Partitions of one topic."""

    name: string = since("0+")
    partitions: list[TxnOffsetCommitRequestPartition] = since("0+")


class TxnOffsetCommitRequest(Request, api_key=28, versions="0-5", flexible="3+"):
    """Commit offsets with the end of the transaction."""

    transactional_id: string = since("0+")
    group_id: string = since("0+")
    producer_id: int64 = since("0+")
    producer_epoch: int16 = since("0+")
    generation_id: int32 = since("3+", -1)
    member_id: string = since("3+")
    group_instance_id: string | None = since("3+", None)
    topics: list[TxnOffsetCommitRequestTopic] = since("0+")


class TxnOffsetCommitResponsePartition(Struct):
    """The result for one partition."""

    partition_index: int32 = since("0+")
    error_code: int16 = since("0+")


class TxnOffsetCommitResponseTopic(Struct):
    """The partitions of one topic."""

    name: string = since("0+")
    partitions: list[TxnOffsetCommitResponsePartition] = since("0+")


class TxnOffsetCommitResponse(Response, answers=TxnOffsetCommitRequest):
    """One result per partition."""

    throttle_time_ms: int32 = since("0+")
    topics: list[TxnOffsetCommitResponseTopic] = since("0+")
