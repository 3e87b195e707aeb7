"""ListTransactions, DescribeTransactions, DescribeProducers: what operators look for (KIP-664)."""

from __future__ import annotations

from ...protocol.errors import ErrorCode
from ...protocol.messages.transaction_admin import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    ListTransactionsRequest,
    ListTransactionsResponse,
    ListTransactionsResponseTransactionState,
    PartitionResponse,
    ProducerState,
    TopicData,
    TopicResponse,
    TransactionState,
)
from ..context import Context
from ..errors import ApiError, code_for, message_for
from ..partitions.internal import CONSUMER_OFFSETS, partition_for
from ..partitions.topics import UNHOSTED
from ..patterns import compiled
from ..registry import handles
from ..transactions import TransactionState as State


@handles(ListTransactionsRequest)
def list_transactions(request: ListTransactionsRequest, context: Context) -> ListTransactionsResponse:
    """List what passes all the filters, and say which of the states that are asked for do not exist."""
    pattern = request.transactional_id_pattern
    try:
        matches = compiled(pattern).fullmatch if pattern else None
    except ApiError as error:
        return ListTransactionsResponse(error_code=error.code)
    states = [state for state in request.state_filters if state in set(State)]
    began_before_ms = context.broker.clock.now_ms() - request.duration_filter
    listed = [
        ListTransactionsResponseTransactionState(
            transactional_id=transaction.transactional_id,
            producer_id=transaction.producer_id,
            transaction_state=transaction.state,
        )
        for transaction in context.broker.transactions
        if (not request.state_filters or transaction.state in states)
        and (not request.producer_id_filters or transaction.producer_id in request.producer_id_filters)
        and (matches is None or matches(transaction.transactional_id))
        and (request.duration_filter < 0 or transaction.start_ms < began_before_ms)  # also when none has begun
    ]
    unknown = [state for state in dict.fromkeys(request.state_filters) if state not in states]
    return ListTransactionsResponse(unknown_state_filters=unknown, transaction_states=listed)


def _states_refused(request: DescribeTransactionsRequest, code: ErrorCode) -> DescribeTransactionsResponse:
    return DescribeTransactionsResponse(
        transaction_states=[
            TransactionState(error_code=code, transactional_id=transactional_id)
            for transactional_id in request.transactional_ids
        ]
    )


@handles(DescribeTransactionsRequest, refuse=_states_refused)
def describe_transactions(request: DescribeTransactionsRequest, context: Context) -> DescribeTransactionsResponse:
    """Describe what each transactional id is doing (TransactionCoordinator.handleDescribeTransactions).

    The offsets of a group stand where Kafka has them, in a partition of __consumer_offsets.
    """
    return DescribeTransactionsResponse(
        transaction_states=[
            _describe_transaction(transactional_id, context) for transactional_id in request.transactional_ids
        ]
    )


def _describe_transaction(transactional_id: str, context: Context) -> TransactionState:
    try:
        found = context.broker.transactions.describe(transactional_id)
    except ApiError as error:
        return TransactionState(error_code=error.code, transactional_id=transactional_id)
    partitions = set(found.partitions)
    if (offsets := context.broker.topics.get(CONSUMER_OFFSETS)) is not None:
        partitions |= {
            (CONSUMER_OFFSETS, partition_for(group_id, offsets.partition_count)) for group_id in found.groups
        }
    topics: dict[str, list[int]] = {}
    for name, index in sorted(partitions):
        topics.setdefault(name, []).append(index)
    return TransactionState(
        transactional_id=transactional_id,
        transaction_state=found.state,
        transaction_timeout_ms=found.timeout_ms,
        transaction_start_time_ms=found.start_ms,
        producer_id=found.producer_id,
        producer_epoch=found.epoch,
        topics=[TopicData(topic=name, partitions=indexes) for name, indexes in topics.items()],
    )


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
    """Describe the producers that a partition remembers (ReplicaManager.activeProducerState)."""
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
        if context.broker.topics.get(topic) is None:
            result.error_message = result.error_message or UNHOSTED.get(code_for(error))
    return result
