"""Produce: append record batches."""

from ..primitives import batches, int16, int32, int64, string, uuid
from ..schema import Request, Response, Struct, since
from .leadership import LeaderIdAndEpoch, NodeEndpoint


class PartitionProduceData(Struct):
    """What to append to one partition: exactly one batch of magic 2."""

    index: int32 = since("0+")
    records: batches | None = since("0+")


class TopicProduceData(Struct):
    """A topic by name up to v12, then by id."""

    name: string = since("0-12")
    topic_id: uuid = since("13+")
    partition_data: list[PartitionProduceData] = since("0+")


class ProduceRequest(Request, api_key=0, versions="3-13", flexible="9+", advertised="0-13"):
    """Append batches. ``acks``: 0 no answer, 1 leader, -1 all in-sync replicas. ``timeout_ms`` milliseconds."""

    transactional_id: string | None = since("3+", None)
    acks: int16 = since("0+")
    timeout_ms: int32 = since("0+")
    topic_data: list[TopicProduceData] = since("0+")


class BatchIndexAndErrorMessage(Struct):
    """A record of the batch that made the whole batch be refused."""

    batch_index: int32 = since("8+")
    batch_index_error_message: string | None = since("8+", None)


class PartitionProduceResponse(Struct):
    """Where the batch went. ``base_offset`` and ``log_append_time_ms`` are -1 when it did not, or is CreateTime."""

    index: int32 = since("0+")
    error_code: int16 = since("0+")
    base_offset: int64 = since("0+")
    log_append_time_ms: int64 = since("2+", -1)
    log_start_offset: int64 = since("5+", -1)
    record_errors: list[BatchIndexAndErrorMessage] = since("8+")
    error_message: string | None = since("8+", None)
    current_leader: LeaderIdAndEpoch = since("10+", tag=0)


class TopicProduceResponse(Struct):
    """The partitions of one topic, named as in the request."""

    name: string = since("0-12")
    topic_id: uuid = since("13+")
    partition_responses: list[PartitionProduceResponse] = since("0+")


class ProduceResponse(Response, answers=ProduceRequest):
    """One result per partition; partitions fail independently."""

    responses: list[TopicProduceResponse] = since("0+")
    throttle_time_ms: int32 = since("1+")
    node_endpoints: list[NodeEndpoint] = since("10+", tag=0)
