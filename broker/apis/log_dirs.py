"""DescribeLogDirs and AlterReplicaLogDirs: what lies where on the disk (KIP-113, KIP-827)."""

from __future__ import annotations

import asyncio
import os
from itertools import groupby

from ...protocol.errors import ErrorCode
from ...protocol.messages.log_dirs import (
    AlterReplicaLogDirPartitionResult,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopicResult,
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)
from ...storage.datadir import DataDir
from ..context import Context
from ..registry import handles

# While it moves, a partition's folder has a name with ".", 32 hexadecimal digits and "-future" behind.
_MOVABLE_LENGTH_MAX = 255 - 40


@handles(DescribeLogDirsRequest)
async def describe_log_dirs(request: DescribeLogDirsRequest, context: Context) -> DescribeLogDirsResponse:
    """Describe the one directory there is, and the partitions that are asked for and exist.

    A partition whose files cannot be used is described with KAFKA_STORAGE_ERROR, as if it had a directory of its own.
    """
    topics = context.broker.topics
    if request.topics is None:
        wanted = [(topic.name, index) for topic in topics for index in range(len(topic.partitions))]
    else:
        asked = {(topic.topic, index) for topic in request.topics for index in topic.partitions}
        wanted = sorted(
            (name, index)
            for name, index in asked
            if (topic := topics.get(name)) is not None and 0 <= index < len(topic.partitions)
        )
    offline = [
        (name, index) for name, index in wanted if topics.named_partition(name, index).offline_reason is not None
    ]
    sound = sorted(set(wanted).difference(offline)) if offline else wanted
    data_dir = context.broker.data_dir
    result = await asyncio.to_thread(_describe, data_dir, sound)
    return DescribeLogDirsResponse(results=[result, *(_broken(data_dir, *partition) for partition in offline)])


def _broken(data_dir: DataDir, name: str, index: int) -> DescribeLogDirsResult:
    return DescribeLogDirsResult(
        error_code=ErrorCode.KAFKA_STORAGE_ERROR,
        log_dir=str(data_dir.path.absolute() / f"{name}-{index}"),
        topics=[DescribeLogDirsTopic(name=name, partitions=[DescribeLogDirsPartition(partition_index=index)])],
    )


def _describe(data_dir: DataDir, wanted: list[tuple[str, int]]) -> DescribeLogDirsResult:
    path = str(data_dir.path.absolute())
    try:
        space = os.statvfs(path)
        topics = [
            DescribeLogDirsTopic(
                name=name,
                partitions=[
                    DescribeLogDirsPartition(partition_index=index, partition_size=data_dir.size_bytes(name, index))
                    for _, index in partitions
                ],
            )
            for name, partitions in groupby(wanted, key=lambda partition: partition[0])
        ]
    except OSError:
        return DescribeLogDirsResult(error_code=ErrorCode.KAFKA_STORAGE_ERROR, log_dir=path)
    return DescribeLogDirsResult(
        log_dir=path,
        topics=topics,
        total_bytes=space.f_blocks * space.f_frsize,
        usable_bytes=space.f_bavail * space.f_frsize,
    )


def _alter_refused(request: AlterReplicaLogDirsRequest, code: ErrorCode) -> AlterReplicaLogDirsResponse:
    return AlterReplicaLogDirsResponse(
        results=[
            AlterReplicaLogDirTopicResult(
                topic_name=topic.name,
                partitions=[
                    AlterReplicaLogDirPartitionResult(partition_index=index, error_code=code)
                    for index in topic.partitions
                ],
            )
            for asked in request.dirs
            for topic in asked.topics
        ]
    )


@handles(
    AlterReplicaLogDirsRequest,
    refuse=_alter_refused,
    leaves_out="there is one directory, in which every partition stays",
)
def alter_replica_log_dirs(request: AlterReplicaLogDirsRequest, context: Context) -> AlterReplicaLogDirsResponse:
    """Move partitions to where they are; there is no other directory (ReplicaManager.alterReplicaLogDirs)."""
    broker = context.broker
    here = str(broker.data_dir.path.absolute())
    codes: dict[str, dict[int, ErrorCode]] = {}
    for asked in request.dirs:
        for topic in asked.topics:
            known = broker.topics.get(topic.name)
            for index in topic.partitions:
                code = ErrorCode.NONE
                if len(f"{topic.name}-{index}") > _MOVABLE_LENGTH_MAX:
                    code = ErrorCode.INVALID_TOPIC_EXCEPTION
                elif asked.path != here:
                    code = ErrorCode.LOG_DIR_NOT_FOUND
                elif known is None or not 0 <= index < len(known.partitions):
                    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                codes.setdefault(topic.name, {})[index] = code
    return AlterReplicaLogDirsResponse(
        results=[
            AlterReplicaLogDirTopicResult(
                topic_name=name,
                partitions=[
                    AlterReplicaLogDirPartitionResult(partition_index=index, error_code=code)
                    for index, code in partitions.items()
                ],
            )
            for name, partitions in codes.items()
        ]
    )
