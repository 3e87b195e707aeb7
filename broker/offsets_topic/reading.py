"""Reading ``__consumer_offsets``: Kafka's records, ours, and whatever else stands there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ...protocol.records import BatchCorrupt, BatchHeader, headers, records

if TYPE_CHECKING:
    from ...storage.log import PartitionLog, Slice

# About a thousand commits: some milliseconds of work.
READ_BYTES = 64 * 2**10

# How far a batch may expand. Those of coordinators are of a MiB or less, and not compressed by default.
BATCH_BYTES_MAX = 64 * 2**20

logger = logging.getLogger(__name__)


class KeyedRecord(NamedTuple):
    """A record with a key. ``value``: None is a tombstone."""

    offset: int
    key: bytes
    value: bytes | None


def slices(log: PartitionLog) -> Iterator[Slice]:
    """Yield all batches of a log, some at a time, with those that are appended meanwhile. Raises StorageError."""
    offset, last = log.log_start_offset, -1
    while last < offset < log.log_end_offset:
        found = log.read(offset, READ_BYTES, at_least_one=True)
        yield found
        last = offset
        for _, header in headers(found.batches):
            offset = header.next_offset


def keyed_records(batch: memoryview, header: BatchHeader) -> Iterator[KeyedRecord]:
    """Yield the records of the batch at the beginning of ``batch``, none of a control batch.

    A batch that cannot be read is left out, and the log says so.
    """
    if header.is_control:
        return
    try:
        for record in records(batch, BATCH_BYTES_MAX):
            if record.key is not None:
                yield KeyedRecord(record.offset, record.key, record.value)
    except BatchCorrupt as error:
        logger.warning("the batch at offset %d of __consumer_offsets is left out: %s", header.base_offset, error)
