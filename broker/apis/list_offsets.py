"""ListOffsets and OffsetForLeaderEpoch: offsets by timestamp and by leader epoch."""

from __future__ import annotations

import asyncio
from collections import Counter

from ...protocol.errors import ErrorCode
from ...protocol.messages.list_offsets import (
    EpochEndOffset,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
)
from ...protocol.records import max_timestamp_record, offset_of_timestamp, read_header
from ..context import Context
from ..errors import ApiError, code_for
from ..partitions.partition import READ_COMMITTED, Partition
from ..registry import handles

LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED, EARLIEST_PENDING_UPLOAD = -1, -2, -3, -4, -5, -6
# Since which version of the request each special timestamp may be asked for.
_SINCE = {LATEST: 0, EARLIEST: 0, MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9, EARLIEST_PENDING_UPLOAD: 11}
_NOT_FOUND = (-1, -1, -1)


def _refused(request: ListOffsetsRequest, code: ErrorCode) -> ListOffsetsResponse:
    return ListOffsetsResponse(
        topics=[
            ListOffsetsTopicResponse(
                name=topic.name,
                partitions=[
                    ListOffsetsPartitionResponse(partition_index=asked.partition_index, error_code=code)
                    for asked in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


@handles(
    ListOffsetsRequest,
    refuse=_refused,
    leaves_out="nothing is tiered, so offsets of tiered records are not found",
)
async def list_offsets(request: ListOffsetsRequest, context: Context) -> ListOffsetsResponse:
    """Find an offset per partition (ReplicaManager.fetchOffset)."""
    times_named = Counter(
        (topic.name, asked.partition_index) for topic in request.topics for asked in topic.partitions
    )
    topics = []
    for topic in request.topics:
        results = []
        for asked in topic.partitions:
            result = ListOffsetsPartitionResponse(partition_index=asked.partition_index)
            try:
                if times_named[topic.name, asked.partition_index] > 1:
                    raise ApiError(ErrorCode.INVALID_REQUEST, "the partition is named twice")
                if asked.timestamp < 0 and context.api_version < _SINCE.get(asked.timestamp, 2**15):
                    raise ApiError(ErrorCode.UNSUPPORTED_VERSION)
                partition = context.broker.topics.named_partition(topic.name, asked.partition_index)
                partition.check_leader_epoch(asked.current_leader_epoch)
                is_committed = request.isolation_level == READ_COMMITTED
                found = await _find(partition, asked.timestamp, is_committed)
                result.timestamp, result.offset, result.leader_epoch = found
            except Exception as error:
                result.error_code = code_for(error)
            results.append(result)
        topics.append(ListOffsetsTopicResponse(name=topic.name, partitions=results))
    return ListOffsetsResponse(topics=topics)


async def _find(partition: Partition, timestamp: int, is_committed: bool) -> tuple[int, int, int]:
    """Return timestamp, offset and the offset's leader epoch, -1 for all of them when there is none."""
    log = partition.log
    end = partition.last_stable_offset if is_committed else partition.high_watermark
    if timestamp == LATEST:
        return -1, end, partition.leader_epoch
    if timestamp in (EARLIEST, EARLIEST_LOCAL):
        start = log.log_start_offset
        return -1, start, log.epochs.epoch_at(start) if start < log.log_end_offset else partition.leader_epoch
    if timestamp in (LATEST_TIERED, EARLIEST_PENDING_UPLOAD):
        return _NOT_FOUND  # nothing is tiered
    found = None
    if timestamp == MAX_TIMESTAMP:
        batch = log.batch_of_max_timestamp()
        if batch is not None:
            found = await asyncio.to_thread(max_timestamp_record, batch)
    else:
        next_offset = log.log_start_offset
        while found is None and (batch := log.batch_at_or_after(timestamp, next_offset)) is not None:
            found = await asyncio.to_thread(offset_of_timestamp, batch, timestamp, next_offset)
            next_offset = read_header(batch).next_offset  # its max timestamp may be that of a deleted record
    if batch is None or found is None or found[0] >= end:
        return _NOT_FOUND
    return found[1], found[0], read_header(batch).partition_leader_epoch


def _epochs_refused(request: OffsetForLeaderEpochRequest, code: ErrorCode) -> OffsetForLeaderEpochResponse:
    return OffsetForLeaderEpochResponse(
        topics=[
            OffsetForLeaderTopicResult(
                topic=topic.topic,
                partitions=[EpochEndOffset(partition=asked.partition, error_code=code) for asked in topic.partitions],
            )
            for topic in request.topics
        ]
    )


@handles(OffsetForLeaderEpochRequest, refuse=_epochs_refused)
def offset_for_leader_epoch(request: OffsetForLeaderEpochRequest, context: Context) -> OffsetForLeaderEpochResponse:
    """Say where a leader epoch ends, so that a consumer notices a log that was cut (KIP-320)."""
    return OffsetForLeaderEpochResponse(
        topics=[
            OffsetForLeaderTopicResult(
                topic=topic.topic,
                partitions=[_end_of_epoch(topic.topic, asked, context) for asked in topic.partitions],
            )
            for topic in request.topics
        ]
    )


def _end_of_epoch(topic: str, asked: OffsetForLeaderPartition, context: Context) -> EpochEndOffset:
    result = EpochEndOffset(partition=asked.partition)
    try:
        partition = context.broker.topics.named_partition(topic, asked.partition)
        partition.check_leader_epoch(asked.current_leader_epoch)
        log = partition.log
        result.leader_epoch, result.end_offset = log.epochs.end_of(
            asked.leader_epoch, partition.leader_epoch, log.log_end_offset
        )
    except Exception as error:
        result.error_code = code_for(error)
    return result
