"""DescribeProducers: who writes to a partition (KIP-664)."""

from __future__ import annotations

from ...protocol.errors import ErrorCode
from ...protocol.messages.transaction_admin import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    PartitionResponse,
    ProducerState,
    TopicResponse,
)
from ...protocol.primitives import ZERO_UUID
from ..context import Context
from ..errors import code_for, message_for
from ..registry import handles


def _refused(request: DescribeProducersRequest, code: ErrorCode) -> DescribeProducersResponse:
    return DescribeProducersResponse(
        topics=[
            TopicResponse(
                name=topic.name,
                partitions=[
                    PartitionResponse(partition_index=index, error_code=code) for index in topic.partition_indexes
                ],
            )
            for topic in request.topics
        ]
    )


@handles(DescribeProducersRequest, refuse=_refused)
def describe_producers(request: DescribeProducersRequest, context: Context) -> DescribeProducersResponse:
    """Describe the idempotent producers that a partition remembers (ReplicaManager.activeProducerState)."""
    return DescribeProducersResponse(
        topics=[
            TopicResponse(
                name=topic.name,
                partitions=[_describe(topic.name, index, context) for index in topic.partition_indexes],
            )
            for topic in request.topics
        ]
    )


def _describe(topic: str, index: int, context: Context) -> PartitionResponse:
    result = PartitionResponse(partition_index=index)
    try:
        context.broker.topics.check_name_form(topic)
        entries = context.broker.topics.partition(topic, ZERO_UUID, index).log.producers.entries
        result.active_producers = [
            ProducerState(
                producer_id=producer_id,
                producer_epoch=entry.epoch,
                last_sequence=entry.batches[-1].last_sequence if entry.batches else -1,
                last_timestamp=entry.last_timestamp,
                coordinator_epoch=entry.coordinator_epoch,
                current_txn_start_offset=entry.current_txn_first_offset,
            )
            for producer_id, entry in entries.items()
        ]
    except Exception as error:
        result.error_code, result.error_message = code_for(error), message_for(error)
    return result
