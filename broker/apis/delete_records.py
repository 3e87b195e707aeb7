"""DeleteRecords: drop the beginning of partitions (KIP-107)."""

from __future__ import annotations

from ...protocol.errors import ErrorCode
from ...protocol.messages.delete_records import (
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)
from ..context import Context
from ..errors import code_for
from ..registry import handles

_NONE = -1


def _refused(request: DeleteRecordsRequest, code: ErrorCode) -> DeleteRecordsResponse:
    return DeleteRecordsResponse(
        topics=[
            DeleteRecordsTopicResult(
                name=topic.name,
                partitions=[
                    DeleteRecordsPartitionResult(
                        partition_index=asked.partition_index, low_watermark=_NONE, error_code=code
                    )
                    for asked in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


@handles(DeleteRecordsRequest, refuse=_refused)
async def delete_records(request: DeleteRecordsRequest, context: Context) -> DeleteRecordsResponse:
    """Move each log start offset; it survives the death of the machine from the answer on.

    Records go from the disk when their whole segment is before the log start offset.
    """
    topics = []
    for topic in request.topics:
        results = []
        for asked in topic.partitions:
            result = DeleteRecordsPartitionResult(partition_index=asked.partition_index, low_watermark=_NONE)
            try:
                partition = context.broker.topics.named_partition(topic.name, asked.partition_index)
                result.low_watermark = partition.delete_records(asked.offset)
            except Exception as error:
                result.error_code = code_for(error)
            results.append(result)
        topics.append(DeleteRecordsTopicResult(name=topic.name, partitions=results))
    if any(result.low_watermark > 0 for topic in topics for result in topic.partitions):
        await context.broker.request_sync(context.broker.data_dir.note_log_starts())
    return DeleteRecordsResponse(topics=topics)
