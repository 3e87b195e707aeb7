"""How brokers keep the state of share partitions, from broker to broker (KIP-932)."""

from ..primitives import int8, int16, int32, int64, string, uuid
from ..schema import Request, Response, Struct, since


class PartitionData(Struct):
    """What there is of one partition."""

    partition: int32 = since("0+")
    state_epoch: int32 = since("0+")
    start_offset: int64 = since("0+")


class InitializeStateData(Struct):
    """Partitions of one topic."""

    topic_id: uuid = since("0+")
    partitions: list[PartitionData] = since("0+")


class InitializeShareGroupStateRequest(Request, api_key=83, versions="0", flexible="0+"):
    """Begin the state of share partitions."""

    group_id: string = since("0+")
    topics: list[InitializeStateData] = since("0+")


class PartitionResult(Struct):
    """The result for one partition."""

    partition: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+", None)


class InitializeStateResult(Struct):
    """The partitions of one topic."""

    topic_id: uuid = since("0+")
    partitions: list[PartitionResult] = since("0+")


class InitializeShareGroupStateResponse(Response, answers=InitializeShareGroupStateRequest):
    """One result per partition."""

    results: list[InitializeStateResult] = since("0+")


class ReadShareGroupStateRequestPartitionData(Struct):
    """What there is of one partition."""

    partition: int32 = since("0+")
    leader_epoch: int32 = since("0+")


class ReadStateData(Struct):
    """Partitions of one topic."""

    topic_id: uuid = since("0+")
    partitions: list[ReadShareGroupStateRequestPartitionData] = since("0+")


class ReadShareGroupStateRequest(Request, api_key=84, versions="0", flexible="0+"):
    """Read the state of share partitions."""

    group_id: string = since("0+")
    topics: list[ReadStateData] = since("0+")


class StateBatch(Struct):
    """A range of records, its delivery state and how often it was delivered."""

    first_offset: int64 = since("0+")
    last_offset: int64 = since("0+")
    delivery_state: int8 = since("0+")
    delivery_count: int16 = since("0+")


class ReadShareGroupStateResponsePartitionResult(Struct):
    """The result for one partition."""

    partition: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+", None)
    state_epoch: int32 = since("0+")
    start_offset: int64 = since("0+")
    state_batches: list[StateBatch] = since("0+")


class ReadStateResult(Struct):
    """The partitions of one topic."""

    topic_id: uuid = since("0+")
    partitions: list[ReadShareGroupStateResponsePartitionResult] = since("0+")


class ReadShareGroupStateResponse(Response, answers=ReadShareGroupStateRequest):
    """One state per partition."""

    results: list[ReadStateResult] = since("0+")


class WriteShareGroupStateRequestStateBatch(Struct):
    """A range of records, its delivery state and how often it was delivered."""

    first_offset: int64 = since("0+")
    last_offset: int64 = since("0+")
    delivery_state: int8 = since("0+")
    delivery_count: int16 = since("0+")


class WriteShareGroupStateRequestPartitionData(Struct):
    """What there is of one partition."""

    partition: int32 = since("0+")
    state_epoch: int32 = since("0+")
    leader_epoch: int32 = since("0+")
    start_offset: int64 = since("0+")
    delivery_complete_count: int32 = since("1+", -1)
    state_batches: list[WriteShareGroupStateRequestStateBatch] = since("0+")


class WriteStateData(Struct):
    """Partitions of one topic."""

    topic_id: uuid = since("0+")
    partitions: list[WriteShareGroupStateRequestPartitionData] = since("0+")


class WriteShareGroupStateRequest(Request, api_key=85, versions="0-1", flexible="0+"):
    """Write the state of share partitions."""

    group_id: string = since("0+")
    topics: list[WriteStateData] = since("0+")


class WriteShareGroupStateResponsePartitionResult(Struct):
    """The result for one partition."""

    partition: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+", None)


class WriteStateResult(Struct):
    """The partitions of one topic."""

    topic_id: uuid = since("0+")
    partitions: list[WriteShareGroupStateResponsePartitionResult] = since("0+")


class WriteShareGroupStateResponse(Response, answers=WriteShareGroupStateRequest):
    """One result per partition."""

    results: list[WriteStateResult] = since("0+")


class DeleteShareGroupStateRequestPartitionData(Struct):
    """What there is of one partition."""

    partition: int32 = since("0+")


class DeleteStateData(Struct):
    """Partitions of one topic."""

    topic_id: uuid = since("0+")
    partitions: list[DeleteShareGroupStateRequestPartitionData] = since("0+")


class DeleteShareGroupStateRequest(Request, api_key=86, versions="0", flexible="0+"):
    """End the state of share partitions."""

    group_id: string = since("0+")
    topics: list[DeleteStateData] = since("0+")


class DeleteStateResult(Struct):
    """The partitions of one topic."""

    topic_id: uuid = since("0+")
    partitions: list[PartitionResult] = since("0+")


class DeleteShareGroupStateResponse(Response, answers=DeleteShareGroupStateRequest):
    """One result per partition."""

    results: list[DeleteStateResult] = since("0+")


class ReadShareGroupStateSummaryRequestPartitionData(Struct):
    """What there is of one partition."""

    partition: int32 = since("0+")
    leader_epoch: int32 = since("0+")


class ReadStateSummaryData(Struct):
    """Partitions of one topic."""

    topic_id: uuid = since("0+")
    partitions: list[ReadShareGroupStateSummaryRequestPartitionData] = since("0+")


class ReadShareGroupStateSummaryRequest(Request, api_key=87, versions="0-1", flexible="0+"):
    """Read where share partitions stand."""

    group_id: string = since("0+")
    topics: list[ReadStateSummaryData] = since("0+")


class ReadShareGroupStateSummaryResponsePartitionResult(Struct):
    """The result for one partition."""

    partition: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+", None)
    state_epoch: int32 = since("0+")
    leader_epoch: int32 = since("0+")
    start_offset: int64 = since("0+")
    delivery_complete_count: int32 = since("1+", -1)


class ReadStateSummaryResult(Struct):
    """The partitions of one topic."""

    topic_id: uuid = since("0+")
    partitions: list[ReadShareGroupStateSummaryResponsePartitionResult] = since("0+")


class ReadShareGroupStateSummaryResponse(Response, answers=ReadShareGroupStateSummaryRequest):
    """One summary per partition."""

    results: list[ReadStateSummaryResult] = since("0+")
