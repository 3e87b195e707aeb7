"""DescribeLogDirs and AlterReplicaLogDirs (KIP-113)."""

from ..primitives import boolean, int16, int32, int64, string
from ..schema import Request, Response, Struct, since


class DescribableLogDirTopic(Struct):
    """Partitions of one topic."""

    topic: string = since("1+")
    partitions: list[int32] = since("1+")


class DescribeLogDirsRequest(Request, api_key=35, versions="1-5", flexible="2+"):
    """Describe log directories; ``topics`` null: all."""

    topics: list[DescribableLogDirTopic] | None = since("1+")


class DescribeLogDirsPartition(Struct):
    """A partition's size in bytes and its lag in records."""

    partition_index: int32 = since("1+")
    partition_size: int64 = since("1+")
    offset_lag: int64 = since("1+")
    is_future_key: boolean = since("1+")


class DescribeLogDirsTopic(Struct):
    """The partitions of one topic."""

    name: string = since("1+")
    partitions: list[DescribeLogDirsPartition] = since("1+")


class DescribeLogDirsResult(Struct):
    """A log directory; bytes, -1 where they are not known."""

    error_code: int16 = since("1+")
    log_dir: string = since("1+")
    topics: list[DescribeLogDirsTopic] = since("1+")
    total_bytes: int64 = since("4+", -1)
    usable_bytes: int64 = since("4+", -1)
    is_cordoned: boolean = since("5+")


class DescribeLogDirsResponse(Response, answers=DescribeLogDirsRequest):
    """One result per directory."""

    throttle_time_ms: int32 = since("1+")
    error_code: int16 = since("3+")
    results: list[DescribeLogDirsResult] = since("1+")


class AlterReplicaLogDirTopic(Struct):
    """Partitions of one topic."""

    name: string = since("1+")
    partitions: list[int32] = since("1+")


class AlterReplicaLogDir(Struct):
    """A directory and what shall move to it."""

    path: string = since("1+")
    topics: list[AlterReplicaLogDirTopic] = since("1+")


class AlterReplicaLogDirsRequest(Request, api_key=34, versions="1-2", flexible="2+"):
    """Move partitions between the log directories of a broker."""

    dirs: list[AlterReplicaLogDir] = since("1+")


class AlterReplicaLogDirPartitionResult(Struct):
    """The result for one partition."""

    partition_index: int32 = since("1+")
    error_code: int16 = since("1+")


class AlterReplicaLogDirTopicResult(Struct):
    """The partitions of one topic."""

    topic_name: string = since("1+")
    partitions: list[AlterReplicaLogDirPartitionResult] = since("1+")


class AlterReplicaLogDirsResponse(Response, answers=AlterReplicaLogDirsRequest):
    """One result per partition."""

    throttle_time_ms: int32 = since("1+")
    results: list[AlterReplicaLogDirTopicResult] = since("1+")
