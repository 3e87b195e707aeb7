"""DeleteRecords: drop what lies before an offset (KIP-107)."""

from ..primitives import int16, int32, int64, string
from ..schema import Request, Response, Struct, since


class DeleteRecordsPartition(Struct):
    """Delete what lies before ``offset``; -1 stands for the high watermark."""

    partition_index: int32 = since("0+")
    offset: int64 = since("0+")


class DeleteRecordsTopic(Struct):
    """Partitions of one topic."""

    name: string = since("0+")
    partitions: list[DeleteRecordsPartition] = since("0+")


class DeleteRecordsRequest(Request, api_key=21, versions="0-2", flexible="2+"):
    """Move log start offsets. ``timeout_ms`` milliseconds."""

    topics: list[DeleteRecordsTopic] = since("0+")
    timeout_ms: int32 = since("0+")


class DeleteRecordsPartitionResult(Struct):
    """The new log start offset, -1 with an error."""

    partition_index: int32 = since("0+")
    low_watermark: int64 = since("0+")
    error_code: int16 = since("0+")


class DeleteRecordsTopicResult(Struct):
    """The partitions of one topic."""

    name: string = since("0+")
    partitions: list[DeleteRecordsPartitionResult] = since("0+")


class DeleteRecordsResponse(Response, answers=DeleteRecordsRequest):
    """One result per partition."""

    throttle_time_ms: int32 = since("0+")
    topics: list[DeleteRecordsTopicResult] = since("0+")
