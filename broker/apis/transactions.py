"""AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, WriteTxnMarkers: how transactions grow and end (KIP-98, KIP-890)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Protocol

from ...protocol.errors import ErrorCode
from ...protocol.messages.transactions import (
    AddOffsetsToTxnRequest,
    AddOffsetsToTxnResponse,
    AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnResponseAddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnResponseAddPartitionsToTxnTopicResult,
    AddPartitionsToTxnResult,
    AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction,
    EndTxnRequest,
    EndTxnResponse,
    WritableTxnMarker,
    WritableTxnMarkerPartitionResult,
    WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)
from ...protocol.records import end_transaction_marker
from ..context import Context
from ..errors import ApiError, code_for
from ..partitions.internal import CONSUMER_OFFSETS, partition_for
from ..registry import Answer, handles
from ..transactions import NO_PRODUCER_ID, Producer

_BATCHED_SINCE = 4
_IMPLICIT_SINCE = 5  # of AddPartitionsToTxn and EndTxn: who speaks it speaks version 2 of transactions
_FENCED_SINCE = 2
# How long an answer waits for markers that have to reach the disk, so that the next transaction need not.
COMPLETION_WAIT_S = 1.0

Partition = tuple[str, int]


class _Topic(Protocol):
    name: str
    partitions: list[int]


def _code(error: Exception, api_version: int) -> ErrorCode:
    code = code_for(error)
    is_old = api_version < _FENCED_SINCE and code is ErrorCode.PRODUCER_FENCED
    return ErrorCode.INVALID_PRODUCER_EPOCH if is_old else code


def _partitions(topics: Iterable[_Topic]) -> dict[Partition, ErrorCode]:
    return dict.fromkeys(((topic.name, index) for topic in topics for index in topic.partitions), ErrorCode.NONE)


def _add_refused(request: AddPartitionsToTxnRequest, code: ErrorCode) -> AddPartitionsToTxnResponse:
    return AddPartitionsToTxnResponse(
        error_code=code,
        results_by_topic_v3_and_below=_old_results(dict.fromkeys(_partitions(request.v3_and_below_topics), code)),
    )


def _by_topic(codes: dict[Partition, ErrorCode]) -> dict[str, dict[int, ErrorCode]]:
    topics: dict[str, dict[int, ErrorCode]] = {}
    for (name, index), code in codes.items():
        topics.setdefault(name, {})[index] = code
    return topics


def _old_results(codes: dict[Partition, ErrorCode]) -> list[AddPartitionsToTxnTopicResult]:
    return [
        AddPartitionsToTxnTopicResult(
            name=name,
            results_by_partition=[
                AddPartitionsToTxnPartitionResult(partition_index=index, partition_error_code=code)
                for index, code in partitions.items()
            ],
        )
        for name, partitions in _by_topic(codes).items()
    ]


@handles(AddPartitionsToTxnRequest, refuse=_add_refused)
def add_partitions_to_txn(request: AddPartitionsToTxnRequest, context: Context) -> Answer:
    """Make partitions part of a transaction; all or none (KafkaApis.handleAddPartitionsToTxnRequest).

    From v4 on it comes from brokers, for several transactions, and may only ask whether they are.
    """
    if context.api_version < _BATCHED_SINCE:
        only = AddPartitionsToTxnTransaction(
            transactional_id=request.v3_and_below_transactional_id,
            producer_id=request.v3_and_below_producer_id,
            producer_epoch=request.v3_and_below_producer_epoch,
        )
        codes = _add(only, _partitions(request.v3_and_below_topics), context)
        return context.broker.when_committed(
            AddPartitionsToTxnResponse(results_by_topic_v3_and_below=_old_results(codes))
        )
    results = [
        AddPartitionsToTxnResult(
            transactional_id=asked.transactional_id,
            topic_results=[
                AddPartitionsToTxnResponseAddPartitionsToTxnTopicResult(
                    name=name,
                    results_by_partition=[
                        AddPartitionsToTxnResponseAddPartitionsToTxnPartitionResult(
                            partition_index=index, partition_error_code=code
                        )
                        for index, code in partitions.items()
                    ],
                )
                for name, partitions in _by_topic(_add(asked, _partitions(asked.topics), context)).items()
            ],
        )
        for asked in request.transactions
    ]
    return context.broker.when_committed(AddPartitionsToTxnResponse(results_by_transaction=results))


def _add(
    asked: AddPartitionsToTxnTransaction, codes: dict[Partition, ErrorCode], context: Context
) -> dict[Partition, ErrorCode]:
    """Return what becomes of each partition."""
    broker, transactional_id = context.broker, asked.transactional_id
    producer = Producer(asked.producer_id, asked.producer_epoch)
    for name, index in codes:
        try:
            broker.topics.named_partition(name, index)
        except ApiError as error:
            codes[name, index] = error.code
    if any(codes.values()):
        return {each: code or ErrorCode.OPERATION_NOT_ATTEMPTED for each, code in codes.items()}
    try:
        if not asked.verify_only:
            version = 2 if context.api_version >= _IMPLICIT_SINCE else 1
            broker.transactions.add_partitions(transactional_id, producer, frozenset(codes), version)
            return codes
    except ApiError as error:
        return dict.fromkeys(codes, _code(error, context.api_version))
    for each in codes:
        try:
            broker.transactions.verify(transactional_id, producer, each)
        except ApiError as error:
            codes[each] = error.code
    return codes


@handles(AddOffsetsToTxnRequest)
def add_offsets_to_txn(request: AddOffsetsToTxnRequest, context: Context) -> Answer:
    """Make the offsets of a group part of a transaction."""
    producer = Producer(request.producer_id, request.producer_epoch)
    try:
        context.broker.transactions.add_group(request.transactional_id, producer, request.group_id, 1)
    except ApiError as error:
        return AddOffsetsToTxnResponse(error_code=_code(error, context.api_version))
    return context.broker.when_committed(AddOffsetsToTxnResponse())


@handles(EndTxnRequest)
async def end_txn(request: EndTxnRequest, context: Context) -> EndTxnResponse:
    """Commit or abort; the answer comes when that is decided for good (TransactionCoordinator.endTransaction)."""
    broker, transactional_id = context.broker, request.transactional_id
    version = 2 if context.api_version >= _IMPLICIT_SINCE else 1
    spare = NO_PRODUCER_ID
    if version >= 2 and transactional_id and broker.transactions.needs_producer_id(transactional_id):
        spare = await broker.producer_ids.take()
    try:
        producer = broker.transactions.end(
            transactional_id,
            Producer(request.producer_id, request.producer_epoch),
            request.committed,
            version,
            spare,
        )
    except ApiError as error:
        return EndTxnResponse(error_code=_code(error, context.api_version))
    await broker.committed()
    if not broker.transactions.is_complete(transactional_id):
        completed = asyncio.Event()
        broker.transactions.when_complete(transactional_id, completed.set)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(completed.wait(), COMPLETION_WAIT_S)
    return EndTxnResponse(producer_id=producer.producer_id, producer_epoch=producer.epoch)


def _markers_refused(request: WriteTxnMarkersRequest, code: ErrorCode) -> WriteTxnMarkersResponse:
    return WriteTxnMarkersResponse(
        markers=[_marked(marker, dict.fromkeys(_marked_partitions(marker), code)) for marker in request.markers]
    )


def _marked_partitions(marker: WritableTxnMarker) -> list[Partition]:
    return [(topic.name, index) for topic in marker.topics for index in topic.partition_indexes]


def _marked(marker: WritableTxnMarker, codes: dict[Partition, ErrorCode]) -> WritableTxnMarkerResult:
    return WritableTxnMarkerResult(
        producer_id=marker.producer_id,
        topics=[
            WritableTxnMarkerTopicResult(
                name=name,
                partitions=[
                    WritableTxnMarkerPartitionResult(partition_index=index, error_code=code)
                    for index, code in partitions.items()
                ],
            )
            for name, partitions in _by_topic(codes).items()
        ],
    )


@handles(WriteTxnMarkersRequest, refuse=_markers_refused)
async def write_txn_markers(request: WriteTxnMarkersRequest, context: Context) -> WriteTxnMarkersResponse:
    """Write markers as they are asked for; operators end hanging transactions so (KIP-664).

    One in __consumer_offsets decides about the offsets that the transaction has for groups of that partition
    (GroupCoordinator.completeTransaction).
    """
    results = []
    for marker in request.markers:
        codes = {}
        for name, index in _marked_partitions(marker):
            try:
                await _write_marker(marker, name, index, context)
                codes[name, index] = ErrorCode.NONE
            except Exception as error:
                codes[name, index] = code_for(error)
            await asyncio.sleep(0)  # there may be many, and others want to be served
        results.append(_marked(marker, codes))
    return WriteTxnMarkersResponse(markers=results)


async def _write_marker(marker: WritableTxnMarker, name: str, index: int, context: Context) -> None:
    """Raises ApiError, StorageError."""
    broker = context.broker
    partition = broker.topics.named_partition(name, index)
    must_bump = marker.transaction_version >= 2
    if name == CONSUMER_OFFSETS:
        broker.transactions.check_marker_epoch(marker.producer_id, marker.producer_epoch, must_bump)
    partition.end_transaction(
        end_transaction_marker(
            commit=marker.transaction_result,
            producer_id=marker.producer_id,
            producer_epoch=marker.producer_epoch,
            coordinator_epoch=marker.coordinator_epoch,
            timestamp=broker.clock.now_ms(),
        ),
        must_bump=must_bump,
    )
    if name == CONSUMER_OFFSETS:
        count = len(broker.topics.find(name).partitions)
        broker.groups.complete_transaction(
            marker.producer_id, marker.transaction_result, lambda group_id: partition_for(group_id, count) == index
        )
        await broker.committed()
    if partition.is_durable:
        await broker.request_sync(partition.log)
        partition.grew(0)
