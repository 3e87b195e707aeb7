"""Batches of transactions, and the markers that end them, for the tests of storage."""

from barnabas.protocol.records import Record, build_batch, end_transaction_marker
from barnabas.storage.segments import SegmentedLog

from .logs import START_MS


def data(producer_id: int, sequence: int, epoch: int = 0, is_transactional: bool = True, size: int = 10) -> bytearray:
    return bytearray(
        build_batch(
            [Record(0, START_MS, None, bytes(size))],
            producer_id=producer_id,
            producer_epoch=epoch,
            base_sequence=sequence,
            is_transactional=is_transactional,
        )
    )


def end(
    log: SegmentedLog, producer_id: int, is_commit: bool, epoch: int = 0, coordinator_epoch: int = 0, **how: bool
) -> int:
    marker = end_transaction_marker(
        commit=is_commit,
        producer_id=producer_id,
        producer_epoch=epoch,
        coordinator_epoch=coordinator_epoch,
        timestamp=START_MS,
    )
    return log.end_transaction(memoryview(bytearray(marker)), 0, how.get("must_bump", False)).base_offset
