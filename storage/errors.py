"""What storage raises. It knows nothing of Kafka's error codes; the broker has the table that maps them."""

import errno

# Errors of the operating system that pass by themselves: nothing that was written is lost.
NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, *NO_DESCRIPTORS)


class StorageError(Exception):
    """Anything that went wrong below the broker."""


class DataDirLocked(StorageError):
    """Another process has the data directory open."""


class CatalogError(StorageError):
    """The catalog could not do what was asked: the disk is full, the file is damaged, it is too new."""


class LogOffline(StorageError):
    """The partition's files cannot be used (I/O error, no space, damage); other partitions are not affected.

    ``may_pass``: it is worth trying again, because all that is missing is space or file descriptors.
    """

    def __init__(self, message: str, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


class LogCorrupt(StorageError):
    """Bytes in the middle of a log are not the batches that were written there."""


class OffsetNotInLog(StorageError):
    """The offset lies before the log start offset or beyond the log end offset."""


class BatchTooLarge(StorageError):
    """A batch is larger than a whole segment may be."""


class ProducerEpochStale(StorageError):
    """The batch carries an older producer epoch than the partition has seen."""


class TransactionStateInvalid(StorageError):
    """A batch outside of a transaction from a producer that has one open in this partition."""


class CoordinatorEpochStale(StorageError):
    """A marker from a transaction coordinator that has been replaced. ``known_epoch``: the coordinator epoch of the
    last marker in the partition."""

    def __init__(self, message: str, known_epoch: int) -> None:
        super().__init__(message)
        self.known_epoch = known_epoch


class SequenceOutOfOrder(StorageError):
    """The batch neither follows the producer's last one nor repeats a remembered one."""
