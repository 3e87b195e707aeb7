"""The owner of all transactional ids: what the API handlers talk to (Kafka's TransactionCoordinator).

A request is decided from the state as it is; the state that follows is committed to the catalog, then taken in. The
end of a transaction is decided by one commit, with the offsets that belong to it. Then the markers are written, and
when they are where they have to be, that is committed too; what a crash leaves in between is taken up at the start.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple, Protocol

from ...protocol.errors import ErrorCode
from ...storage.catalog import (
    Catalog,
    Change,
    OffsetsDecided,
    StoredTransaction,
    TransactionRemoved,
    TransactionStored,
)
from ...storage.clock import Clock
from ...storage.errors import CatalogError
from ..errors import ApiError
from ..repeats import RepeatedErrors
from ..timers import Timers
from . import state
from .state import EPOCH_MAX, NO_EPOCH, NO_PRODUCER_ID, PREPARED, TransactionState

TRANSACTIONS_MAX = 100_000  # some 100 MB of state; every client can make transactional ids
# How long to wait before markers are tried again that could not be written, a disk being full, say.
RETRY_MS = 1_000
# Of how many partitions the log tells why they refuse the end of a transaction.
REFUSALS_LOGGED_MAX = 3

_log = logging.getLogger(__name__)


class TransactionCoordinatorConfig(NamedTuple):
    """Settings under Kafka's names, in ms."""

    transaction_max_timeout_ms: int = 900_000
    transactional_id_expiration_ms: int = 604_800_000


class Producer(NamedTuple):
    """A producer id and the epoch under which it writes."""

    producer_id: int
    epoch: int


class Markers(Protocol):
    """Writes what ends a transaction into partitions."""

    def write(self, transaction: StoredTransaction, topic: str, index: int, is_first_try: bool) -> str:
        """Write the marker, unless its topic is gone or it was written before. Return why not, "" when it is done."""
        ...

    def when_decided(self, then: Callable[[], None]) -> None:
        """Call ``then`` once what was committed to the catalog counts; at once, or when the disk has it."""
        ...

    def when_written(self, partitions: Iterable[tuple[str, int]], then: Callable[[], None]) -> None:
        """Call ``then`` once the markers in these partitions count; at once, or when the disk has them."""
        ...


class TransactionCoordinator:
    """All transactional ids of this broker. Not for more than one thread.

    The owner of the event loop calls ``timers.advance`` when its next deadline is reached. When a method raises
    ApiError, nothing has changed.
    """

    def __init__(
        self, catalog: Catalog, clock: Clock, config: TransactionCoordinatorConfig, markers: Markers
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._config = config
        self._markers = markers
        self.timers = Timers(clock)
        self._transactions = {stored.transactional_id: stored for stored in catalog.transactions()}
        self._waiting: dict[str, list[Callable[[], object]]] = {}
        self._repeated = RepeatedErrors(_log, clock)
        self._closed = False

    def take_up(self) -> None:
        """Go on where the last process stopped: end what was decided, and give the others the rest of their time."""
        now_ms = self._clock.now_ms()
        for transaction in list(self._transactions.values()):
            if transaction.state in PREPARED:
                self._write_markers(transaction, is_first_try=False)
            elif transaction.state == TransactionState.ONGOING:
                rest_ms = transaction.start_ms + transaction.timeout_ms - now_ms
                self._limit(transaction.transactional_id, max(0, rest_ms))

    def close(self) -> None:
        """Decide nothing any more. The catalog stays open."""
        self._closed = True

    def expire(self) -> None:
        """Forget transactional ids that nobody has used for long; to be called regularly."""
        unused_since = self._clock.now_ms() - self._config.transactional_id_expiration_ms
        try:
            for transaction in list(self._transactions.values()):
                is_at_rest = transaction.state != TransactionState.ONGOING and transaction.state not in PREPARED
                if is_at_rest and transaction.updated_ms <= unused_since:
                    self._catalog.commit(TransactionRemoved(transaction.transactional_id))
                    del self._transactions[transaction.transactional_id]
        except CatalogError as refusal:
            _log.warning("cannot expire transactional ids: %s", refusal)

    # Producers

    def needs_producer_id(self, transactional_id: str) -> bool:
        """Say whether the next step of this transactional id may take a new producer id."""
        transaction = self._transactions.get(transactional_id)
        return transaction is None or transaction.epoch >= EPOCH_MAX - 1

    def init_producer(
        self, transactional_id: str, timeout_ms: int, given: Producer | None, new_producer_id: int
    ) -> Producer:
        """Give a producer its id and epoch and fence its predecessor (KIP-98, KIP-360).

        ``given``: what it had. ``new_producer_id``: one that nobody has had, NO_PRODUCER_ID when none is needed.
        Raises ApiError: INVALID_REQUEST, INVALID_TRANSACTION_TIMEOUT, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS,
        COORDINATOR_NOT_AVAILABLE.
        """
        if not transactional_id:
            raise ApiError(ErrorCode.INVALID_REQUEST)
        if not 0 < timeout_ms <= self._config.transaction_max_timeout_ms:
            raise ApiError(ErrorCode.INVALID_TRANSACTION_TIMEOUT)
        now_ms = self._clock.now_ms()
        transaction = self._transactions.get(transactional_id)
        if transaction is None:
            if self._closed or len(self._transactions) >= TRANSACTIONS_MAX or new_producer_id == NO_PRODUCER_ID:
                raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
            transaction = state.new(transactional_id, new_producer_id, timeout_ms, now_ms)
        if given is not None and not _may_begin_anew(transaction, given):
            raise ApiError(ErrorCode.PRODUCER_FENCED)
        if transaction.state == TransactionState.ONGOING:
            self._abort(transaction, "another producer has its transactional id")
            transaction = self._transactions[transactional_id]
        if transaction.state in PREPARED:
            raise ApiError(ErrorCode.CONCURRENT_TRANSACTIONS)
        transaction = _with_next_epoch(transaction, timeout_ms, given, new_producer_id, now_ms)
        self._store(transaction)
        return Producer(transaction.producer_id, transaction.epoch)

    # What belongs to a transaction

    def add_partitions(
        self, transactional_id: str, producer: Producer, partitions: frozenset[tuple[str, int]], version: int
    ) -> None:
        """Make partitions part of the transaction, which begins if need be; ``version``: 2 where KIP-890 is spoken.

        Raises ApiError: INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS,
        COORDINATOR_NOT_AVAILABLE.
        """
        transaction = self._check(transactional_id, producer)
        if transaction.state != TransactionState.ONGOING or not partitions <= transaction.partitions:
            self._extend(transaction, partitions, frozenset(), version)

    def add_group(self, transactional_id: str, producer: Producer, group_id: str, version: int) -> None:
        """Make the offsets of a group part of the transaction; see ``add_partitions``."""
        transaction = self._check(transactional_id, producer)
        if transaction.state != TransactionState.ONGOING or group_id not in transaction.groups:
            self._extend(transaction, frozenset(), frozenset((group_id,)), version)

    def verify(self, transactional_id: str, producer: Producer, part: tuple[str, int] | str) -> None:
        """Make sure that the partition, or the group, is part of the transaction.

        Raises ApiError: TRANSACTION_ABORTABLE when it is not, and what ``add_partitions`` raises.
        """
        transaction = self._check(transactional_id, producer)
        if part not in transaction.groups and part not in transaction.partitions:
            raise ApiError(ErrorCode.TRANSACTION_ABORTABLE, "it is not part of the transaction")

    def _check(self, transactional_id: str, producer: Producer) -> StoredTransaction:
        if not transactional_id:
            raise ApiError(ErrorCode.INVALID_REQUEST)
        transaction = self._transactions.get(transactional_id)
        if transaction is None or transaction.producer_id != producer.producer_id:
            raise ApiError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
        if transaction.epoch != producer.epoch:
            raise ApiError(ErrorCode.PRODUCER_FENCED)
        if transaction.state in PREPARED:
            raise ApiError(ErrorCode.CONCURRENT_TRANSACTIONS)
        return transaction

    def _extend(
        self,
        transaction: StoredTransaction,
        partitions: frozenset[tuple[str, int]],
        groups: frozenset[str],
        version: int,
    ) -> None:
        extended = state.extended(transaction, partitions, groups, version, self._clock.now_ms())
        self._store(extended)
        if transaction.state != TransactionState.ONGOING:
            self._limit(transaction.transactional_id, transaction.timeout_ms)

    # The end

    def end(
        self, transactional_id: str, producer: Producer, is_commit: bool, version: int, new_producer_id: int
    ) -> Producer:
        """Commit or abort; return the identity to go on with. ``version``: 2 for EndTxn v5, whose table KIP-890 has.

        Raises ApiError: INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS,
        INVALID_TXN_STATE, COORDINATOR_NOT_AVAILABLE.
        """
        if not transactional_id:
            raise ApiError(ErrorCode.INVALID_REQUEST)
        transaction = self._transactions.get(transactional_id)
        if transaction is None:
            raise ApiError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
        check = _check_end if version >= 2 else _check_end_version_1
        if check(transaction, producer, is_commit):
            next_producer_id = NO_PRODUCER_ID
            if version >= 2 and state.is_exhausted(transaction):
                next_producer_id = new_producer_id
                if next_producer_id == NO_PRODUCER_ID:
                    raise ApiError(ErrorCode.CONCURRENT_TRANSACTIONS)
            now_ms = self._clock.now_ms()
            self._decide(state.prepared(transaction, is_commit, version, next_producer_id, now_ms))
            if next_producer_id != NO_PRODUCER_ID:
                return Producer(next_producer_id, 0)
            transaction = self._transactions[transactional_id]
        return Producer(transaction.producer_id, transaction.epoch)

    def _abort(self, transaction: StoredTransaction, reason: str) -> None:
        """Abort a transaction that its producer did not end, and fence that. Raises ApiError."""
        self._decide(state.prepared(transaction, False, 2, NO_PRODUCER_ID, self._clock.now_ms()))
        _log.info("the transaction of %r is aborted: %s", transaction.transactional_id, reason)

    def _decide(self, prepared: StoredTransaction) -> None:
        is_commit = prepared.state == TransactionState.PREPARE_COMMIT
        offsets = [OffsetsDecided(prepared.producer_id, is_commit)] if prepared.groups else []
        self._store(prepared, *offsets)
        self.timers.cancel(prepared.transactional_id)
        self._markers.when_decided(lambda: self._write_markers(prepared, is_first_try=True))

    def _write_markers(self, prepared: StoredTransaction, is_first_try: bool) -> None:
        """Write the markers that are missing; what cannot be written is tried again."""
        if self._closed or self._transactions.get(prepared.transactional_id) is not prepared:
            return
        refusals = {
            f"{topic}-{index}": reason
            for topic, index in sorted(prepared.partitions)
            if (reason := self._markers.write(prepared, topic, index, is_first_try))
        }
        if refusals:
            self._repeated.warn(prepared.transactional_id, _not_written(prepared, refusals))
            self._try_again(prepared)
        else:
            self._markers.when_written(prepared.partitions, lambda: self._complete(prepared))

    def _try_again(self, prepared: StoredTransaction) -> None:
        self.timers.arm(
            prepared.transactional_id, RETRY_MS, lambda: self._write_markers(prepared, is_first_try=False)
        )

    def _complete(self, prepared: StoredTransaction) -> None:
        if self._closed or self._transactions.get(prepared.transactional_id) is not prepared:
            return
        try:
            self._store(state.completed(prepared, self._clock.now_ms()))
        except ApiError:
            self._try_again(prepared)
            return
        for then in self._waiting.pop(prepared.transactional_id, ()):
            then()

    def is_complete(self, transactional_id: str) -> bool:
        """Say whether the end of a transaction that was decided is written everywhere."""
        return self._transactions[transactional_id].state not in PREPARED

    def when_complete(self, transactional_id: str, then: Callable[[], object]) -> None:
        """Call ``then`` once the end that was decided is written everywhere."""
        self._waiting.setdefault(transactional_id, []).append(then)

    def _limit(self, transactional_id: str, delay_ms: int) -> None:
        self.timers.arm(transactional_id, delay_ms, lambda: self._time_out(transactional_id))

    def _time_out(self, transactional_id: str) -> None:
        transaction = self._transactions.get(transactional_id)
        if self._closed or transaction is None or transaction.state != TransactionState.ONGOING:
            return
        try:
            self._abort(transaction, f"it is open for more than {transaction.timeout_ms} ms")
        except ApiError:
            self._limit(transactional_id, RETRY_MS)

    def _store(self, transaction: StoredTransaction, *others: Change) -> None:
        if self._closed:
            raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        try:
            self._catalog.commit(TransactionStored(transaction), *others)
        except CatalogError as refusal:
            name = transaction.transactional_id
            self._repeated.warn(name, f"transaction {name!r} could not become {transaction.state}: {refusal}")
            raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE) from refusal
        self._repeated.forget(transaction.transactional_id)
        self._transactions[transaction.transactional_id] = transaction

    # Administration

    def check_marker_epoch(self, producer_id: int, epoch: int, must_bump: bool) -> None:
        """See that a marker, written by hand, is not of an earlier transaction of the producer than the present one.

        ``must_bump``: see ``ProducerStates.check_marker``. Raises ApiError: INVALID_PRODUCER_EPOCH.
        """
        for transaction in self._transactions.values():
            if transaction.producer_id != producer_id or transaction.state != TransactionState.ONGOING:
                continue
            if epoch < transaction.epoch or (must_bump and epoch == transaction.epoch):
                raise ApiError(
                    ErrorCode.INVALID_PRODUCER_EPOCH, f"the epoch is {transaction.epoch}, the marker has {epoch}"
                )

    def describe(self, transactional_id: str) -> StoredTransaction:
        """Raises ApiError: INVALID_REQUEST, TRANSACTIONAL_ID_NOT_FOUND."""
        if not transactional_id:
            raise ApiError(ErrorCode.INVALID_REQUEST)
        transaction = self._transactions.get(transactional_id)
        if transaction is None:
            raise ApiError(ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
        return transaction

    def __iter__(self) -> Iterator[StoredTransaction]:
        return iter(self._transactions.values())


def _not_written(prepared: StoredTransaction, refusals: Mapping[str, str]) -> str:
    some = "; ".join(f"{partition}: {reason}" for partition, reason in islice(refusals.items(), REFUSALS_LOGGED_MAX))
    name, more = prepared.transactional_id, "" if len(refusals) <= REFUSALS_LOGGED_MAX else "; ..."
    return f"the end of transaction {name!r} cannot be written yet and is tried every second: {some}{more}"


def _may_begin_anew(transaction: StoredTransaction, given: Producer) -> bool:
    """Say whether a producer with this identity is the present one, or may not have heard of its last new one."""
    return (
        transaction.epoch == NO_EPOCH
        or given.producer_id == transaction.producer_id
        or (given.producer_id == transaction.previous_producer_id and given.epoch >= EPOCH_MAX)
    )


def _with_next_epoch(
    transaction: StoredTransaction, timeout_ms: int, given: Producer | None, new_producer_id: int, now_ms: int
) -> StoredTransaction:
    """Raises ApiError: PRODUCER_FENCED, CONCURRENT_TRANSACTIONS when there is no producer id to go on with."""
    producer_id, epoch = transaction.producer_id, transaction.epoch
    if given is not None and given.epoch not in (epoch, NO_EPOCH) and epoch != NO_EPOCH:
        if given.epoch != transaction.last_epoch:
            raise ApiError(ErrorCode.PRODUCER_FENCED)
        # The answer to its last request was lost.
        return state.begun(transaction, producer_id, epoch, given.epoch, timeout_ms, now_ms)
    last_epoch = NO_EPOCH if given is None else epoch
    if not state.is_exhausted(transaction):
        return state.begun(transaction, producer_id, epoch + 1, last_epoch, timeout_ms, now_ms)
    if new_producer_id == NO_PRODUCER_ID:
        raise ApiError(ErrorCode.CONCURRENT_TRANSACTIONS)
    return state.begun(transaction, new_producer_id, 0, last_epoch, timeout_ms, now_ms)


def _check_end_version_1(transaction: StoredTransaction, producer: Producer, is_commit: bool) -> bool:
    """Say whether there is something to do, or it has been done. Raises ApiError."""
    if transaction.producer_id != producer.producer_id:
        raise ApiError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
    if transaction.epoch != producer.epoch:
        raise ApiError(ErrorCode.PRODUCER_FENCED)
    if transaction.state == TransactionState.ONGOING:
        return True
    if transaction.state == (TransactionState.COMPLETE_COMMIT if is_commit else TransactionState.COMPLETE_ABORT):
        return False
    if transaction.state == (TransactionState.PREPARE_COMMIT if is_commit else TransactionState.PREPARE_ABORT):
        raise ApiError(ErrorCode.CONCURRENT_TRANSACTIONS)
    raise ApiError(ErrorCode.INVALID_TXN_STATE)


def _check_end(transaction: StoredTransaction, producer: Producer, is_commit: bool) -> bool:
    """Say whether there is something to do, or it has been done and its answer was lost. Raises ApiError."""
    present, epoch = transaction.epoch, producer.epoch
    is_overflow = producer.producer_id == transaction.previous_producer_id and (epoch, present) == (EPOCH_MAX, 0)
    if transaction.producer_id != producer.producer_id and not is_overflow:
        raise ApiError(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
    is_retry = present == epoch + 1 or is_overflow
    if transaction.state in PREPARED:
        is_valid = present == epoch + 1
    elif transaction.state in (TransactionState.ONGOING, TransactionState.EMPTY):
        is_valid = present == epoch
    else:
        is_valid = is_retry or present == epoch
    if not is_valid:
        raise ApiError(ErrorCode.PRODUCER_FENCED)
    wanted = "Commit" if is_commit else "Abort"
    if transaction.state == TransactionState.ONGOING:
        return True
    if transaction.state == f"Prepare{wanted}":
        raise ApiError(ErrorCode.CONCURRENT_TRANSACTIONS)
    if transaction.state == f"Complete{wanted}" and is_retry:
        return False
    if transaction.state not in PREPARED and not is_retry and not is_commit:
        return True  # an abort of nothing brings a new epoch all the same
    raise ApiError(ErrorCode.INVALID_TXN_STATE)
