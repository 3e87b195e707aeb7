"""Whether the snapshots of the producers agree with the log that they lie beside, as far as the log can tell."""

from collections.abc import Callable
from pathlib import Path

from ..protocol.records import BatchHeader, EndTransactionMarker
from .producers import ProducerEntry, ProducerStates
from .segment import SNAPSHOT_SUFFIX, file_name


class ProducerCheck:
    """Is told of the batches of a log, in their order, and compares each snapshot with those that lie before it.

    The log may know less than a snapshot: what was deleted, and what compaction has found to be of no use any more.
    The snapshot may lack producers that have expired.
    """

    def __init__(
        self, folder: Path, snapshots: dict[int, ProducerStates], report: Callable[[Path, str], None]
    ) -> None:
        """``snapshots``: by their offsets."""
        self._folder = folder
        self._left = sorted(snapshots.items(), reverse=True)
        self._report = report
        self._seen = ProducerStates()

    def is_open(self, producer_id: int) -> bool:
        """Say whether there was something of a transaction that has not ended so far."""
        return producer_id in self._seen.open

    def take(self, header: BatchHeader, marker: EndTransactionMarker | None) -> None:
        self.compare(header.base_offset)
        if marker is not None:
            self._seen.end_transaction(header, marker, header.base_offset)
        elif header.producer_id >= 0 and not header.is_control:
            self._seen.remember(header, header.base_offset)

    def compare(self, offset: int) -> None:
        """Compare the snapshots that are no later than ``offset``, of which everything before it was taken."""
        while self._left and self._left[-1][0] <= offset:
            at, states = self._left.pop()
            for producer_id, known in states.entries.items():
                fault = _fault(known, self._seen.entries.get(producer_id), at)
                if fault is not None:
                    self._report(self._folder / file_name(at, SNAPSHOT_SUFFIX), f"producer {producer_id}: {fault}")


def _fault(known: ProducerEntry, seen: ProducerEntry | None, offset: int) -> str | None:
    """Return what is wrong with what a snapshot at ``offset`` knows, given what was seen before it."""
    last = known.batches[-1] if known.batches else None
    if max(last.last_offset if last else -1, known.current_txn_first_offset) >= offset:
        return "it knows of batches behind its offset"
    if seen is None or not seen.batches:
        return None
    newest = seen.batches[-1]
    if known.epoch < seen.epoch:
        return f"epoch {known.epoch}, offset {newest.first_offset} has {seen.epoch}"
    if known.epoch == seen.epoch:
        if last is None or last.last_offset < newest.last_offset:
            return f"it does not know of the batch at offset {newest.first_offset}"
        if last.last_offset == newest.last_offset and last.last_sequence != newest.last_sequence:
            return f"sequence {last.last_sequence}, offset {newest.last_offset} has {newest.last_sequence}"
    if seen.current_txn_first_offset >= 0 > known.current_txn_first_offset:
        return f"it does not know of the transaction that is open since offset {seen.current_txn_first_offset}"
    return None
