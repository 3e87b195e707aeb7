"""DescribeTransactions, ListTransactions, DescribeProducers: transactions as an operator sees them (KIP-664)."""

from ..primitives import int16, int32, int64, string
from ..schema import Request, Response, Struct, since


class DescribeTransactionsRequest(Request, api_key=65, versions="0", flexible="0+"):
    """Describe transactions by their transactional ids."""

    transactional_ids: list[string] = since("0+")


class TopicData(Struct):
    """Partitions of one topic."""

    topic: string = since("0+")
    partitions: list[int32] = since("0+")


class TransactionState(Struct):
    """A transaction; ``transaction_start_time_ms`` -1 when none is under way, ``transaction_timeout_ms`` in ms."""

    error_code: int16 = since("0+")
    transactional_id: string = since("0+")
    transaction_state: string = since("0+")
    transaction_timeout_ms: int32 = since("0+")
    transaction_start_time_ms: int64 = since("0+")
    producer_id: int64 = since("0+")
    producer_epoch: int16 = since("0+")
    topics: list[TopicData] = since("0+")


class DescribeTransactionsResponse(Response, answers=DescribeTransactionsRequest):
    """One description per id."""

    throttle_time_ms: int32 = since("0+")
    transaction_states: list[TransactionState] = since("0+")


class ListTransactionsRequest(Request, api_key=66, versions="0-2", flexible="0+"):
    """List transactions; empty filters let all pass, ``duration_filter`` in ms, -1: any."""

    state_filters: list[string] = since("0+")
    producer_id_filters: list[int64] = since("0+")
    duration_filter: int64 = since("1+", -1)
    transactional_id_pattern: string | None = since("2+", None)


class ListTransactionsResponseTransactionState(Struct):
    """A transaction; ``transaction_start_time_ms`` -1 when none is under way, ``transaction_timeout_ms`` in ms."""

    transactional_id: string = since("0+")
    producer_id: int64 = since("0+")
    transaction_state: string = since("0+")


class ListTransactionsResponse(Response, answers=ListTransactionsRequest):
    """The transactions that this broker coordinates."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")
    unknown_state_filters: list[string] = since("0+")
    transaction_states: list[ListTransactionsResponseTransactionState] = since("0+")


class TopicRequest(Struct):
    """Partitions of one topic."""

    name: string = since("0+")
    partition_indexes: list[int32] = since("0+")


class DescribeProducersRequest(Request, api_key=61, versions="0", flexible="0+"):
    """Ask which producers write to partitions."""

    topics: list[TopicRequest] = since("0+")


class ProducerState(Struct):
    """A producer as a partition remembers it; ``last_timestamp`` in ms, -1 where something is unknown."""

    producer_id: int64 = since("0+")
    producer_epoch: int32 = since("0+")
    last_sequence: int32 = since("0+", -1)
    last_timestamp: int64 = since("0+", -1)
    coordinator_epoch: int32 = since("0+")
    current_txn_start_offset: int64 = since("0+", -1)


class PartitionResponse(Struct):
    """The result for one partition."""

    partition_index: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+", None)
    active_producers: list[ProducerState] = since("0+")


class TopicResponse(Struct):
    """The partitions of one topic."""

    name: string = since("0+")
    partitions: list[PartitionResponse] = since("0+")


class DescribeProducersResponse(Response, answers=DescribeProducersRequest):
    """The producers per partition."""

    throttle_time_ms: int32 = since("0+")
    topics: list[TopicResponse] = since("0+")
