"""The ends of transactions, written into the partitions of this broker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from ...protocol.records import end_transaction_marker
from ...storage.errors import LogOffline, ProducerEpochStale, StorageError
from ..errors import ApiError
from ..transactions.state import TransactionState

if TYPE_CHECKING:
    from ...storage.catalog import StoredTransaction
    from ..broker import Broker
    from .partition import Partition

# There is one coordinator, and it is never replaced.
COORDINATOR_EPOCH = 0

_log = logging.getLogger(__name__)


class PartitionMarkers:
    """See ``transactions.Markers``."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def write(self, transaction: StoredTransaction, topic: str, index: int, is_first_try: bool) -> bool:
        partition = self._find(topic, index)
        if partition is None:
            return True
        try:
            if not is_first_try and _is_written(partition, transaction):
                return True
            marker = end_transaction_marker(
                commit=transaction.state == TransactionState.PREPARE_COMMIT,
                producer_id=transaction.producer_id,
                producer_epoch=transaction.epoch,
                coordinator_epoch=COORDINATOR_EPOCH,
                timestamp=self._broker.clock.now_ms(),
            )
            partition.end_transaction(marker, must_bump=transaction.version >= 2)
        except ProducerEpochStale as error:
            _log.info("%s-%d knows a later end of %r: %s", topic, index, transaction.transactional_id, error)
        except StorageError as error:
            if not isinstance(error, LogOffline):
                _log.error("%s-%d does not take the end of %r: %s", topic, index, transaction.transactional_id, error)
            return False
        return True

    def _find(self, topic: str, index: int) -> Partition | None:
        try:
            return self._broker.topics.named_partition(topic, index)
        except ApiError:
            return None

    def when_decided(self, then: Callable[[], None]) -> None:
        self._broker.after_commit(then)

    def when_written(self, partitions: Iterable[tuple[str, int]], then: Callable[[], None]) -> None:
        found = [self._find(*name) for name in partitions]
        unsynced = {partition for partition in found if partition is not None and partition.is_durable}

        def done(partition: Partition, synced: asyncio.Future[None]) -> None:
            if synced.exception():
                return  # it is offline now; the next start finds out whether the marker is there
            partition.grew(0)
            unsynced.discard(partition)
            if not unsynced:
                then()

        if not unsynced:
            then()
        for partition in tuple(unsynced):
            self._broker.request_sync(partition.log).add_done_callback(partial(done, partition))


def _is_written(partition: Partition, transaction: StoredTransaction) -> bool:
    """Say whether the producer has no transaction open here, and has had the epoch of its end."""
    entry = partition.log.producers.entries.get(transaction.producer_id)
    return entry is not None and entry.current_txn_first_offset < 0 and entry.epoch >= transaction.epoch
