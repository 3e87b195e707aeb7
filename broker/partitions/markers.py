"""The ends of transactions, written into the partitions of this broker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from ...protocol.records import end_transaction_marker
from ...storage.catalog import CoordinatorEpochRaised
from ...storage.errors import CoordinatorEpochStale, ProducerEpochStale, StorageError
from ..errors import ApiError
from ..transactions.state import TransactionState

if TYPE_CHECKING:
    from ...storage.catalog import StoredTransaction
    from ..broker import Broker
    from .partition import Partition

EPOCH_MAX = 2**31 - 1  # it is an int32 on the wire

_log = logging.getLogger(__name__)


class PartitionMarkers:
    """See ``transactions.Markers``.

    There is one coordinator, and it is never replaced, so its epoch stays the same. An operator may have written a
    marker with a higher one (WriteTxnMarkers); then the epoch rises above that, for good.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._coordinator_epoch = broker.catalog.coordinator_epoch()

    def write(self, transaction: StoredTransaction, topic: str, index: int, is_first_try: bool) -> str:
        partition = self._find(topic, index)
        if partition is None:
            return ""
        try:
            if not is_first_try and _is_written(partition, transaction):
                return ""
            try:
                self._write(partition, transaction)
            except CoordinatorEpochStale as error:
                self._raise_epoch(error.known_epoch)
                self._write(partition, transaction)
        except ProducerEpochStale as error:
            _log.info("%s-%d knows a later end of %r: %s", topic, index, transaction.transactional_id, error)
        except StorageError as error:
            return str(error) or type(error).__name__
        return ""

    def _write(self, partition: Partition, transaction: StoredTransaction) -> None:
        marker = end_transaction_marker(
            commit=transaction.state == TransactionState.PREPARE_COMMIT,
            producer_id=transaction.producer_id,
            producer_epoch=transaction.epoch,
            coordinator_epoch=self._coordinator_epoch,
            timestamp=self._broker.clock.now_ms(),
        )
        partition.end_transaction(marker, must_bump=transaction.version >= 2)

    def _raise_epoch(self, known_epoch: int) -> None:
        """Raises CatalogError; the epoch is the same then."""
        epoch = min(known_epoch + 1, EPOCH_MAX)  # an equal one is not refused
        self._broker.catalog.commit(CoordinatorEpochRaised(epoch))
        _log.info("the epoch of the transaction coordinator is %d: a marker with %d was found", epoch, known_epoch)
        self._coordinator_epoch = epoch

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
