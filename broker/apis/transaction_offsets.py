"""TxnOffsetCommit: offsets that count when the transaction is committed (KIP-98, KIP-447)."""

from __future__ import annotations

from ...protocol.errors import ErrorCode
from ...protocol.messages.transaction_offsets import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)
from ..context import Context
from ..errors import ApiError
from ..groups import OffsetToCommit
from ..registry import Answer, handles
from ..transactions import Producer

_ABORTABLE_SINCE, _IMPLICIT_SINCE = 4, 5


def _refused(request: TxnOffsetCommitRequest, code: ErrorCode) -> TxnOffsetCommitResponse:
    return _answer(request, [code] * sum(len(topic.partitions) for topic in request.topics))


def _answer(request: TxnOffsetCommitRequest, codes: list[ErrorCode]) -> TxnOffsetCommitResponse:
    following = iter(codes)
    return TxnOffsetCommitResponse(
        topics=[
            TxnOffsetCommitResponseTopic(
                name=topic.name,
                partitions=[
                    TxnOffsetCommitResponsePartition(
                        partition_index=asked.partition_index, error_code=next(following)
                    )
                    for asked in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


@handles(TxnOffsetCommitRequest, refuse=_refused)
def txn_offset_commit(request: TxnOffsetCommitRequest, context: Context) -> Answer:
    """Keep the offsets of partitions that exist (KafkaApis.handleTxnOffsetCommitRequest).

    A partition that does not exist is told so first, whatever the state of the transaction.
    """
    broker = context.broker
    codes: list[ErrorCode] = []
    offsets: list[OffsetToCommit] = []
    for topic in request.topics:
        for asked in topic.partitions:
            try:
                broker.topics.named_partition(topic.name, asked.partition_index)
            except ApiError as error:
                codes.append(error.code)
                continue
            codes.append(ErrorCode.NONE)
            offsets.append(
                OffsetToCommit(
                    topic.name,
                    asked.partition_index,
                    asked.committed_offset,
                    asked.committed_leader_epoch,
                    asked.committed_metadata,
                )
            )
    if not offsets:
        return _answer(request, codes)
    try:
        _check(request, context)
    except ApiError as error:
        return _answer(request, [code or error.code for code in codes])
    results = iter(
        broker.groups.commit_offsets(
            request.group_id,
            request.member_id,
            request.group_instance_id,
            request.generation_id,
            offsets,
            producer_id=request.producer_id,
        )
    )
    return broker.when_committed(_answer(request, [code or next(results) for code in codes]))


def _check(request: TxnOffsetCommitRequest, context: Context) -> None:
    """Make sure that the group is part of the transaction; from v5 on this makes it. Raises ApiError."""
    transactions, version = context.broker.transactions, context.api_version
    producer = Producer(request.producer_id, request.producer_epoch)
    try:
        if version >= _IMPLICIT_SINCE:
            transactions.add_group(request.transactional_id, producer, request.group_id, 2)
        else:
            transactions.verify(request.transactional_id, producer, request.group_id)
    except ApiError as error:
        if error.code is ErrorCode.PRODUCER_FENCED:
            raise ApiError(ErrorCode.INVALID_PRODUCER_EPOCH) from error
        if error.code is ErrorCode.TRANSACTION_ABORTABLE and version < _ABORTABLE_SINCE:
            raise ApiError(ErrorCode.INVALID_TXN_STATE) from error
        if error.code is ErrorCode.CONCURRENT_TRANSACTIONS and version < _IMPLICIT_SINCE:
            raise ApiError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS) from error
        raise
