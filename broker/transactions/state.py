"""The states of a transactional id and the steps between them: pure functions (Kafka's TransactionMetadata)."""

from enum import StrEnum

from ...storage.catalog import StoredTransaction

NO_PRODUCER_ID = NO_EPOCH = -1
# The last epoch that a producer may have: one more is left, so that it can always be fenced.
EPOCH_MAX = 2**15 - 2


class TransactionState(StrEnum):
    """Kafka's states, spelled as they stand on the wire. The last two never come to rest in the catalog."""

    EMPTY = "Empty"
    ONGOING = "Ongoing"
    PREPARE_COMMIT = "PrepareCommit"
    PREPARE_ABORT = "PrepareAbort"
    COMPLETE_COMMIT = "CompleteCommit"
    COMPLETE_ABORT = "CompleteAbort"
    DEAD = "Dead"
    PREPARE_EPOCH_FENCE = "PrepareEpochFence"


PREPARED = frozenset((TransactionState.PREPARE_COMMIT, TransactionState.PREPARE_ABORT))


def new(transactional_id: str, producer_id: int, timeout_ms: int, now_ms: int) -> StoredTransaction:
    """Return a transactional id that no producer has been given yet."""
    return StoredTransaction(
        transactional_id,
        producer_id,
        NO_PRODUCER_ID,
        NO_PRODUCER_ID,
        NO_EPOCH,
        NO_EPOCH,
        timeout_ms,
        TransactionState.EMPTY,
        1,
        frozenset(),
        frozenset(),
        -1,
        now_ms,
    )


def is_exhausted(transaction: StoredTransaction) -> bool:
    return transaction.epoch >= EPOCH_MAX


def begun(
    transaction: StoredTransaction, producer_id: int, epoch: int, last_epoch: int, timeout_ms: int, now_ms: int
) -> StoredTransaction:
    """Return it without a transaction, for a producer that begins anew."""
    return transaction._replace(
        producer_id=producer_id,
        previous_producer_id=transaction.producer_id,
        epoch=epoch,
        last_epoch=last_epoch,
        state=TransactionState.EMPTY,
        timeout_ms=timeout_ms,
        partitions=frozenset(),
        groups=frozenset(),
        start_ms=-1,
        updated_ms=now_ms,
    )


def extended(
    transaction: StoredTransaction,
    partitions: frozenset[tuple[str, int]],
    groups: frozenset[str],
    version: int,
    now_ms: int,
) -> StoredTransaction:
    """Return it with more partitions and groups, begun now if it was not."""
    is_ongoing = transaction.state == TransactionState.ONGOING
    return transaction._replace(
        previous_producer_id=transaction.producer_id,
        state=TransactionState.ONGOING,
        partitions=transaction.partitions | partitions,
        groups=transaction.groups | groups,
        version=version,
        start_ms=transaction.start_ms if is_ongoing else now_ms,
        updated_ms=now_ms,
    )


def prepared(
    transaction: StoredTransaction, is_commit: bool, version: int, next_producer_id: int, now_ms: int
) -> StoredTransaction:
    """Return it with its end decided; with version 2 the epoch is the next one from here on."""
    bumps = version >= 2
    is_ongoing = transaction.state == TransactionState.ONGOING
    return transaction._replace(
        previous_producer_id=transaction.producer_id,
        next_producer_id=next_producer_id,
        epoch=transaction.epoch + bumps,
        last_epoch=transaction.epoch if bumps else transaction.last_epoch,
        state=TransactionState.PREPARE_COMMIT if is_commit else TransactionState.PREPARE_ABORT,
        version=version,
        start_ms=transaction.start_ms if is_ongoing else now_ms,
        updated_ms=now_ms,
    )


def completed(transaction: StoredTransaction, now_ms: int) -> StoredTransaction:
    """Return it with its end written everywhere."""
    is_commit = transaction.state == TransactionState.PREPARE_COMMIT
    rotates = transaction.next_producer_id != NO_PRODUCER_ID
    return transaction._replace(
        producer_id=transaction.next_producer_id if rotates else transaction.producer_id,
        previous_producer_id=transaction.producer_id,
        next_producer_id=NO_PRODUCER_ID,
        epoch=0 if rotates else transaction.epoch,
        state=TransactionState.COMPLETE_COMMIT if is_commit else TransactionState.COMPLETE_ABORT,
        partitions=frozenset(),
        groups=frozenset(),
        updated_ms=now_ms,
    )
