"""OffsetCommit and OffsetFetch: how far a group has come."""

from ..primitives import boolean, int16, int32, int64, string, uuid
from ..schema import Request, Response, Struct, since


class OffsetCommitRequestPartition(Struct):
    """The next offset to read, with the client's own note."""

    partition_index: int32 = since("0+")
    committed_offset: int64 = since("0+")
    committed_leader_epoch: int32 = since("6+", -1)
    commit_timestamp: int64 = since("1", -1)
    committed_metadata: string | None = since("0+")


class OffsetCommitRequestTopic(Struct):
    """A topic by name up to v9, then by id."""

    name: string = since("0-9")
    topic_id: uuid = since("10+")
    partitions: list[OffsetCommitRequestPartition] = since("0+")


class OffsetCommitRequest(Request, api_key=8, versions="2-10", flexible="8+"):
    """Commit offsets. Generation -1 with no member: a consumer that assigns by itself."""

    group_id: string = since("0+")
    generation_id_or_member_epoch: int32 = since("1+", -1)
    member_id: string = since("1+")
    group_instance_id: string | None = since("7+", None)
    retention_time_ms: int64 = since("2-4", -1)
    topics: list[OffsetCommitRequestTopic] = since("0+")


class OffsetCommitResponsePartition(Struct):
    """The result for one partition."""

    partition_index: int32 = since("0+")
    error_code: int16 = since("0+")


class OffsetCommitResponseTopic(Struct):
    """The partitions of one topic, named as in the request."""

    name: string = since("0-9")
    topic_id: uuid = since("10+")
    partitions: list[OffsetCommitResponsePartition] = since("0+")


class OffsetCommitResponse(Response, answers=OffsetCommitRequest):
    """One result per partition."""

    throttle_time_ms: int32 = since("3+")
    topics: list[OffsetCommitResponseTopic] = since("0+")


class OffsetFetchRequestTopic(Struct):
    """Partitions of one topic (to v7)."""

    name: string = since("0-7")
    partition_indexes: list[int32] = since("0-7")


class OffsetFetchRequestTopics(Struct):
    """Partitions of one topic; by name in v8 and v9, then by id."""

    name: string = since("8-9")
    topic_id: uuid = since("10+")
    partition_indexes: list[int32] = since("8+")


class OffsetFetchRequestGroup(Struct):
    """One group (from v8). ``topics`` null: all."""

    group_id: string = since("8+")
    member_id: string | None = since("9+", None)
    member_epoch: int32 = since("9+", -1)
    topics: list[OffsetFetchRequestTopics] | None = since("8+")


class OffsetFetchRequest(Request, api_key=9, versions="1-10", flexible="6+"):
    """Read committed offsets of one group, from v8 of several (KIP-709)."""

    group_id: string = since("0-7")
    topics: list[OffsetFetchRequestTopic] | None = since("0-7", nullable="2-7")
    groups: list[OffsetFetchRequestGroup] = since("8+")
    require_stable: boolean = since("7+")


class OffsetFetchResponsePartition(Struct):
    """A committed offset; -1 where there is none (to v7)."""

    partition_index: int32 = since("0-7")
    committed_offset: int64 = since("0-7")
    committed_leader_epoch: int32 = since("5-7", -1)
    metadata: string | None = since("0-7")
    error_code: int16 = since("0-7")


class OffsetFetchResponseTopic(Struct):
    """Partitions of one topic (to v7)."""

    name: string = since("0-7")
    partitions: list[OffsetFetchResponsePartition] = since("0-7")


class OffsetFetchResponsePartitions(Struct):
    """A committed offset; -1 where there is none."""

    partition_index: int32 = since("8+")
    committed_offset: int64 = since("8+")
    committed_leader_epoch: int32 = since("8+", -1)
    metadata: string | None = since("8+")
    error_code: int16 = since("8+")


class OffsetFetchResponseTopics(Struct):
    """Partitions of one topic, named as in the request."""

    name: string = since("8-9")
    topic_id: uuid = since("10+")
    partitions: list[OffsetFetchResponsePartitions] = since("8+")


class OffsetFetchResponseGroup(Struct):
    """The offsets of one group."""

    group_id: string = since("8+")
    topics: list[OffsetFetchResponseTopics] = since("8+")
    error_code: int16 = since("8+")


class OffsetFetchResponse(Response, answers=OffsetFetchRequest):
    """Committed offsets."""

    throttle_time_ms: int32 = since("3+")
    topics: list[OffsetFetchResponseTopic] = since("0-7")
    error_code: int16 = since("2-7")
    groups: list[OffsetFetchResponseGroup] = since("8+")
