"""OffsetDelete: forget committed offsets (KIP-496)."""

from ..primitives import int16, int32, string
from ..schema import Request, Response, Struct, since


class OffsetDeleteRequestPartition(Struct):
    """A partition to forget."""

    partition_index: int32 = since("0+")


class OffsetDeleteRequestTopic(Struct):
    """Partitions of one topic."""

    name: string = since("0+")
    partitions: list[OffsetDeleteRequestPartition] = since("0+")


class OffsetDeleteRequest(Request, api_key=47, versions="0", flexible="none"):
    """Forget the offsets that a group has committed."""

    group_id: string = since("0+")
    topics: list[OffsetDeleteRequestTopic] = since("0+")


class OffsetDeleteResponsePartition(Struct):
    """The result for one partition."""

    partition_index: int32 = since("0+")
    error_code: int16 = since("0+")


class OffsetDeleteResponseTopic(Struct):
    """The partitions of one topic."""

    name: string = since("0+")
    partitions: list[OffsetDeleteResponsePartition] = since("0+")


class OffsetDeleteResponse(Response, answers=OffsetDeleteRequest):
    """One result per partition."""

    error_code: int16 = since("0+")
    throttle_time_ms: int32 = since("0+")
    topics: list[OffsetDeleteResponseTopic] = since("0+")
