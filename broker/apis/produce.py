"""Produce: append record batches. The hot path: nothing here copies or opens them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ...protocol.errors import ErrorCode
from ...protocol.messages.produce import (
    BatchIndexAndErrorMessage,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from ...protocol.records import BatchHeader, Codec
from ...protocol.records.batch import ATTRIBUTES_OFFSET, CODEC_MASK
from ...storage.errors import ProducerEpochStale, SequenceOutOfOrder, StorageError, TransactionStateInvalid
from ...storage.sync_job import Done, Syncable
from ..context import Context
from ..errors import ApiError, CloseConnection, code_for, message_for
from ..partitions.partition import INTERNAL_TOPICS, Partition, RecordsRefused
from ..pending import Pending
from ..registry import Answer, handles
from ..transactions import Producer

# Kafka's own admin client may write to internal topics.
_ADMIN_CLIENT_ID = "__admin_client"
_REFUSED_BY_THE_LOG = (RecordsRefused, SequenceOutOfOrder, ProducerEpochStale, TransactionStateInvalid)
_ZSTD_SINCE_VERSION = 7
_ABORTABLE_SINCE_VERSION, _ADDS_PARTITIONS_SINCE_VERSION = 11, 12


def _refused(request: ProduceRequest, code: ErrorCode) -> ProduceResponse:
    if request.acks == 0:
        raise CloseConnection(f"a Produce request without an answer failed: {code.name}")
    return ProduceResponse(
        responses=[
            TopicProduceResponse(
                name=topic.name,
                topic_id=topic.topic_id,
                partition_responses=[_failed(data.index, code) for data in topic.partition_data],
            )
            for topic in request.topic_data
        ]
    )


@handles(
    ProduceRequest,
    refuse=_refused,
    pipelined=True,
    leaves_out=(
        "the records in a batch are looked at only where a rule needs it (compacted topics, timestamp bounds of the"
        " past, a codec of the topic's own) or its max timestamp cannot be, else its header is trusted"
    ),
)
def produce(request: ProduceRequest, context: Context) -> Answer:
    """Append to every partition that is named, each for itself (KafkaApis.handleProduceRequest).

    acks 0: no answer, and after any error the connection is closed. Where the disk is to be waited for, the appends
    have happened when this returns, and the answer comes when the disk has them.
    """
    if request.acks not in (-1, 0, 1):
        return _refused(request, ErrorCode.INVALID_REQUIRED_ACKS)
    broker = context.broker
    now_ms = broker.clock.now_ms()
    guard = None if request.transactional_id is None else _Guard(request.transactional_id, context)
    response = ProduceResponse()
    synced: _Synced | None = None
    failed = False
    for topic in request.topic_data:
        results = []
        for data in topic.partition_data:
            try:
                partition, result = _append(topic, data, context, now_ms, guard)
            except Exception as error:
                result = _failure(data.index, error, _log_start_offset(topic, data.index, context, error))
                failed = True
            else:
                if partition.must_sync:
                    synced = synced or _Synced(response, broker.sync_soon)
                    synced.wait_for(partition, len(data.records or ()), result)
                if guard is not None and guard.has_added and broker.acknowledge_durable:
                    synced = synced or _Synced(response, broker.sync_soon)
                    synced.wait_for_catalog(broker.catalog, result)
            results.append(result)
        response.responses.append(
            TopicProduceResponse(name=topic.name, topic_id=topic.topic_id, partition_responses=results)
        )
    if request.acks == 0:
        if failed:
            raise CloseConnection("a Produce request without an answer failed")
        return None
    return synced or response


class _Synced(Pending):
    """An answer that waits for the disk."""

    __slots__ = ("_count", "_response", "_sync_soon")

    def __init__(self, response: ProduceResponse, sync_soon: Callable[[Syncable, Done], None]) -> None:
        super().__init__()
        self._response = response
        self._sync_soon = sync_soon
        self._count = 0

    def wait_for(self, partition: Partition, size_bytes: int, result: PartitionProduceResponse) -> None:
        """Have the partition brought to the disk first; where that fails ``result`` says so. Those who wait for a
        durable partition to grow are told then."""
        self._count += 1
        growing = partition if partition.is_durable else None
        self._sync_soon(partition.log, partial(self._done, result, growing, size_bytes))

    def wait_for_catalog(self, catalog: Syncable, result: PartitionProduceResponse) -> None:
        """As ``wait_for``."""
        self._count += 1
        self._sync_soon(catalog, partial(self._done, result, None, 0))

    def _done(
        self, result: PartitionProduceResponse, growing: Partition | None, size_bytes: int, error: Exception | None
    ) -> None:
        if error is not None:
            result.error_code = code_for(error)
            result.error_message = message_for(error)
            result.base_offset = result.log_append_time_ms = result.log_start_offset = -1
        self._count -= 1
        if not self._count:
            self.answer(self._response)
        if growing is not None and growing.watchers:
            growing.grew(size_bytes)


class _Guard:
    """Asks the coordinator about the first batch of a transaction in each partition (AddPartitionsToTxnManager)."""

    def __init__(self, transactional_id: str, context: Context) -> None:
        self._transactional_id = transactional_id
        self._context = context
        self._producer_id: int | None = None
        self.has_added = False

    def check(self, topic: str, index: int, header: BatchHeader, is_known: bool) -> None:
        """Add the partition for who speaks version 2 of transactions, else see that it was added. Raises ApiError."""
        broker, version = self._context.broker, self._context.api_version
        if self._producer_id not in (None, header.producer_id):
            raise ApiError(ErrorCode.INVALID_PRODUCER_ID_MAPPING, "there is more than one producer id in the request")
        self._producer_id = header.producer_id
        producer = Producer(header.producer_id, header.producer_epoch)
        try:
            if version >= _ADDS_PARTITIONS_SINCE_VERSION:
                if not is_known and header.base_sequence:
                    raise SequenceOutOfOrder(f"producer {header.producer_id} begins with {header.base_sequence}")
                partitions = frozenset(((topic, index),))
                broker.transactions.add_partitions(self._transactional_id, producer, partitions, 2)
                self.has_added = True
            elif broker.config.bool("transaction.partition.verification.enable"):
                broker.transactions.verify(self._transactional_id, producer, (topic, index))
        except ApiError as error:
            raise ApiError(self._code(error.code), error.message) from error

    def _code(self, code: ErrorCode) -> ErrorCode:
        version = self._context.api_version
        if code is ErrorCode.PRODUCER_FENCED:
            return ErrorCode.INVALID_PRODUCER_EPOCH
        if code is ErrorCode.TRANSACTION_ABORTABLE and version < _ABORTABLE_SINCE_VERSION:
            return ErrorCode.INVALID_TXN_STATE
        if code is ErrorCode.COORDINATOR_NOT_AVAILABLE or (
            code is ErrorCode.CONCURRENT_TRANSACTIONS and version < _ADDS_PARTITIONS_SINCE_VERSION
        ):
            return ErrorCode.NOT_ENOUGH_REPLICAS
        return code


def _append(
    topic: TopicProduceData, data: PartitionProduceData, context: Context, now_ms: int, guard: _Guard | None
) -> tuple[Partition, PartitionProduceResponse]:
    partition = context.broker.topics.partition(topic.name, topic.topic_id, data.index)
    batch: Any = data.records
    if not batch:
        raise ApiError(ErrorCode.INVALID_RECORD, "a partition takes exactly one record batch per request")
    if context.api_version < _ZSTD_SINCE_VERSION and _codec(batch) == Codec.ZSTD:
        raise ApiError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, "zstd needs Produce version 7 or newer")
    if partition.topic in INTERNAL_TOPICS and context.client_id != _ADMIN_CLIENT_ID:
        raise ApiError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"{partition.topic} is internal")
    written = partition.append(batch, now_ms, guard)
    return partition, PartitionProduceResponse(
        index=data.index,
        base_offset=written.base_offset,
        log_append_time_ms=written.append_time_ms,
        log_start_offset=partition.log.log_start_offset,
    )


def _codec(batch: memoryview) -> int:
    return batch[ATTRIBUTES_OFFSET + 1] & CODEC_MASK if len(batch) > ATTRIBUTES_OFFSET + 1 else Codec.NONE


def _failed(index: int, code: ErrorCode) -> PartitionProduceResponse:
    return PartitionProduceResponse(index=index, error_code=code, base_offset=-1)


def _log_start_offset(topic: TopicProduceData, index: int, context: Context, error: Exception) -> int:
    """Return where the log begins if the log refuses the batch, else -1 (Kafka: ReplicaManager.appendRecords)."""
    if not isinstance(error, _REFUSED_BY_THE_LOG):
        return -1
    try:
        return context.broker.topics.partition(topic.name, topic.topic_id, index).log.log_start_offset
    except StorageError:  # the broker refuses some batches before it opens the log
        return -1


def _failure(index: int, error: Exception, log_start_offset: int) -> PartitionProduceResponse:
    result = _failed(index, code_for(error))
    result.error_message = message_for(error)
    result.log_start_offset = log_start_offset
    if isinstance(error, RecordsRefused):
        result.record_errors = [
            BatchIndexAndErrorMessage(batch_index=at, batch_index_error_message=text) for at, text in error.records
        ]
    return result
