"""ListTransactions, DescribeTransactions, DescribeProducers: what operators look for (KIP-664)."""

from __future__ import annotations

import re

from ...protocol.errors import ErrorCode
from ...protocol.messages.transaction_admin import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    ListTransactionsRequest,
    ListTransactionsResponse,
    PartitionResponse,
    ProducerState,
    TopicResponse,
    TransactionState,
)
from ..context import Context
from ..errors import code_for, message_for
from ..registry import handles

# Kafka's TransactionState.
_STATES = frozenset(
    {
        "Empty",
        "Ongoing",
        "PrepareCommit",
        "PrepareAbort",
        "CompleteCommit",
        "CompleteAbort",
        "Dead",
        "PrepareEpochFence",
    }
)


@handles(ListTransactionsRequest, leaves_out="transactions are not built yet: there are none")
def list_transactions(request: ListTransactionsRequest, context: Context) -> ListTransactionsResponse:
    """List none, and say which of the states that are asked for do not exist."""
    del context
    try:
        re.compile(request.transactional_id_pattern or "")
    except re.error:
        return ListTransactionsResponse(error_code=ErrorCode.INVALID_REGULAR_EXPRESSION)
    unknown = [state for state in dict.fromkeys(request.state_filters) if state not in _STATES]
    return ListTransactionsResponse(unknown_state_filters=unknown)


def _states_refused(request: DescribeTransactionsRequest, code: ErrorCode) -> DescribeTransactionsResponse:
    return DescribeTransactionsResponse(
        transaction_states=[
            TransactionState(error_code=code, transactional_id=transactional_id)
            for transactional_id in request.transactional_ids
        ]
    )


@handles(
    DescribeTransactionsRequest,
    refuse=_states_refused,
    leaves_out="transactions are not built yet: TRANSACTIONAL_ID_NOT_FOUND",
)
def describe_transactions(request: DescribeTransactionsRequest, context: Context) -> DescribeTransactionsResponse:
    """Find none of them (TransactionCoordinator.handleDescribeTransactions)."""
    del context
    response = _states_refused(request, ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
    for state in response.transaction_states:
        if not state.transactional_id:
            state.error_code = ErrorCode.INVALID_REQUEST
    return response


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
        entries = context.broker.topics.named_partition(topic, index).log.producers.entries
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
