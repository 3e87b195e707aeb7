"""The transaction APIs that producers use, and the markers that end a transaction (KIP-98, KIP-890)."""

from ..primitives import boolean, int8, int16, int32, int64, string
from ..schema import Request, Response, Struct, since


class AddPartitionsToTxnTopic(Struct):
    """Partitions of one topic."""

    name: string = since("0-3")
    partitions: list[int32] = since("0-3")


class AddPartitionsToTxnRequestAddPartitionsToTxnTopic(Struct):
    """Partitions of one topic."""

    name: string = since("4+")
    partitions: list[int32] = since("4+")


class AddPartitionsToTxnTransaction(Struct):
    """One transaction in a batched request (v4+, from brokers). ``verify_only``: add nothing."""

    transactional_id: string = since("4+")
    producer_id: int64 = since("4+")
    producer_epoch: int16 = since("4+")
    verify_only: boolean = since("4+")
    topics: list[AddPartitionsToTxnRequestAddPartitionsToTxnTopic] = since("4+")


class AddPartitionsToTxnRequest(Request, api_key=24, versions="0-5", flexible="3+"):
    """Add partitions to a transaction; from v4 several transactions, from brokers only."""

    v3_and_below_transactional_id: string = since("0-3")
    v3_and_below_producer_id: int64 = since("0-3")
    v3_and_below_producer_epoch: int16 = since("0-3")
    v3_and_below_topics: list[AddPartitionsToTxnTopic] = since("0-3")
    transactions: list[AddPartitionsToTxnTransaction] = since("4+")


class AddPartitionsToTxnPartitionResult(Struct):
    """The result for one partition."""

    partition_index: int32 = since("0-3")
    partition_error_code: int16 = since("0-3")


class AddPartitionsToTxnTopicResult(Struct):
    """The partitions of one topic."""

    name: string = since("0-3")
    results_by_partition: list[AddPartitionsToTxnPartitionResult] = since("0-3")


class AddPartitionsToTxnResponseAddPartitionsToTxnPartitionResult(Struct):
    """The result for one partition."""

    partition_index: int32 = since("4+")
    partition_error_code: int16 = since("4+")


class AddPartitionsToTxnResponseAddPartitionsToTxnTopicResult(Struct):
    """The partitions of one topic."""

    name: string = since("4+")
    results_by_partition: list[AddPartitionsToTxnResponseAddPartitionsToTxnPartitionResult] = since("4+")


class AddPartitionsToTxnResult(Struct):
    """The result for one transaction."""

    transactional_id: string = since("4+")
    topic_results: list[AddPartitionsToTxnResponseAddPartitionsToTxnTopicResult] = since("4+")


class AddPartitionsToTxnResponse(Response, answers=AddPartitionsToTxnRequest):
    """One result per partition; from v4 by transaction."""

    throttle_time_ms: int32 = since("0+")
    results_by_topic_v3_and_below: list[AddPartitionsToTxnTopicResult] = since("0-3")
    error_code: int16 = since("4+")
    results_by_transaction: list[AddPartitionsToTxnResult] = since("4+")


class AddOffsetsToTxnRequest(Request, api_key=25, versions="0-4", flexible="3+"):
    """Add the offsets of a group to a transaction."""

    transactional_id: string = since("0+")
    producer_id: int64 = since("0+")
    producer_epoch: int16 = since("0+")
    group_id: string = since("0+")


class AddOffsetsToTxnResponse(Response, answers=AddOffsetsToTxnRequest):
    """Whether the group was added."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")


class EndTxnRequest(Request, api_key=26, versions="0-5", flexible="3+"):
    """Commit the transaction, or abort it."""

    transactional_id: string = since("0+")
    producer_id: int64 = since("0+")
    producer_epoch: int16 = since("0+")
    committed: boolean = since("0+")


class EndTxnResponse(Response, answers=EndTxnRequest):
    """From v5 with the producer id and epoch to go on with (KIP-890)."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")
    producer_id: int64 = since("5+", -1)
    producer_epoch: int16 = since("5+", -1)


class WritableTxnMarkerTopic(Struct):
    """Partitions of one topic."""

    name: string = since("1+")
    partition_indexes: list[int32] = since("1+")


class WritableTxnMarker(Struct):
    """The end of one transaction, for the partitions of one broker."""

    producer_id: int64 = since("1+")
    producer_epoch: int16 = since("1+")
    transaction_result: boolean = since("1+")
    topics: list[WritableTxnMarkerTopic] = since("1+")
    coordinator_epoch: int32 = since("1+")
    transaction_version: int8 = since("2+")


class WriteTxnMarkersRequest(Request, api_key=27, versions="1-2", flexible="1+"):
    """Write the markers that end transactions; sent by coordinators."""

    markers: list[WritableTxnMarker] = since("1+")


class WritableTxnMarkerPartitionResult(Struct):
    """The result for one partition."""

    partition_index: int32 = since("1+")
    error_code: int16 = since("1+")


class WritableTxnMarkerTopicResult(Struct):
    """The partitions of one topic."""

    name: string = since("1+")
    partitions: list[WritableTxnMarkerPartitionResult] = since("1+")


class WritableTxnMarkerResult(Struct):
    """The result for one producer."""

    producer_id: int64 = since("1+")
    topics: list[WritableTxnMarkerTopicResult] = since("1+")


class WriteTxnMarkersResponse(Response, answers=WriteTxnMarkersRequest):
    """One result per marker."""

    markers: list[WritableTxnMarkerResult] = since("1+")
