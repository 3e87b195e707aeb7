"""What a partition's log should be, as a list of batches; and whether a log is that, or a prefix of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from barnabas.protocol.records import BatchHeader, ControlType, read_end_transaction_marker, read_header
from barnabas.storage.producers import BATCHES_REMEMBERED
from barnabas.storage.segments import SegmentedLog

from .logs import append, batches_of, read_all


class Entry(NamedTuple):
    """A batch as it lies in the log."""

    header: BatchHeader
    content: bytes

    @property
    def is_commit(self) -> bool:
        marker = read_end_transaction_marker(self.content)
        return marker is not None and marker.type is ControlType.COMMIT


class BeginningLost(Exception):
    """The name of the first segment is gone and that of a later one is there; nothing acknowledged was in it.

    No file system that keeps the order of names does that. The log then begins later, and nobody can tell.
    """


@dataclass
class Producer:
    """``batches``: of its epoch, oldest first. ``began``: first offset of its open transaction."""

    epoch: int = 0
    batches: list[Entry] = field(default_factory=list)
    began: int | None = None

    @property
    def next_sequence(self) -> int:
        return self.batches[-1].header.last_sequence + 1 if self.batches else 0


class LogModel:
    """``history``: all that was appended and not lost. ``start``: what lies before it was deleted.

    ``synced``: what lies before it was acknowledged by a sync, ``written``: by a write. ``start_asked``,
    ``start_noted``, ``start_synced``: where the log was told to begin; where it begins if the process dies; where it
    begins at the latest if the power fails. ``in_flight``: what is being appended. ``epoch_min``: of each producer,
    those below it may have been used. ``has_lost_power``: and not been compared with what was left; ``is_current``:
    compared since the process began. ``has_hidden``: there may be transactions of which no batch is left.
    """

    def __init__(self) -> None:
        self.history: list[Entry] = []
        self.synced = self.written = 0
        self.start = self.start_asked = self.start_noted = self.start_synced = 0
        self.in_flight: bytearray | None = None
        self.epoch_min: dict[int, int] = {}
        self.has_lost_power = False
        self.has_hidden = False
        self.is_current = False

    @property
    def end(self) -> int:
        return max(self.start, self.history[-1].header.next_offset if self.history else 0)

    def take(self, content: bytearray | bytes) -> None:
        self.history.append(Entry(read_header(content), bytes(content)))

    def stop(self, is_clean: bool) -> None:
        """The process has ended. What it was appending may be there, if it had got its offset."""
        if self.is_current:
            self.written, self.is_current = self.end, False
        if is_clean:
            self.synced, self.start_noted, self.start_synced = self.end, self.start, self.start
        elif self.in_flight is not None:
            header = read_header(self.in_flight)
            if header.partition_leader_epoch >= 0 and header.base_offset == self.end:
                self.take(self.in_flight)
        self.in_flight = None

    def producers(self, from_offset: int = 0) -> dict[int, Producer]:
        """``from_offset``: as far as what begins there or later tells."""
        found: dict[int, Producer] = {}
        for entry in self.history:
            header = entry.header
            if header.producer_id < 0 or header.base_offset < from_offset:
                continue
            producer = found.setdefault(header.producer_id, Producer())
            if header.producer_epoch > producer.epoch:
                producer.epoch, producer.batches = header.producer_epoch, []
            if header.is_control:
                producer.began = None
                continue
            producer.batches.append(entry)
            if header.is_transactional and producer.began is None:
                producer.began = header.base_offset
        return found

    def producer(self, producer_id: int) -> Producer:
        producer = self.producers().get(producer_id, Producer())
        least = self.epoch_min.get(producer_id, 0)
        return producer if producer.epoch >= least else Producer(least, began=producer.began)

    def last_stable_offset(self, from_offset: int = 0) -> int:
        began = [producer.began for producer in self.producers(from_offset).values() if producer.began is not None]
        return max(min(began, default=self.end), self.start)

    def committed(self) -> list[int]:
        """Base offsets of the batches of data that are neither aborted nor undecided."""
        fates: dict[int, bool] = {}
        undecided: dict[int, list[int]] = {}
        for entry in self.history:
            header = entry.header
            if header.is_control:
                for offset in undecided.pop(header.producer_id, ()):
                    fates[offset] = entry.is_commit
            elif header.is_transactional:
                undecided.setdefault(header.producer_id, []).append(header.base_offset)
            else:
                fates[header.base_offset] = True
        return sorted(offset for offset, is_committed in fates.items() if is_committed)

    def leader_epochs(self) -> list[tuple[int, int]]:
        left = [header for header, _ in self.history if header.next_offset > self.start]
        groups = groupby(left, key=lambda header: header.partition_leader_epoch)
        return [(epoch, max(next(group).base_offset, self.start)) for epoch, group in groups]

    def recover(self, log: SegmentedLog) -> None:
        """Take what a start has found for what there is, once it is sure that it may be that."""
        start, end = log.log_start_offset, log.log_end_offset
        least_start, least_end = self.start_noted, self.written
        if self.has_lost_power:
            least_start, least_end = self.start_synced, self.synced
            if start > self.start_asked >= self.synced:
                raise BeginningLost(f"begins at {start}, not at {self.start_asked}")
        assert least_start <= start <= self.start_asked, f"begins at {start}, not {least_start} to {self.start_asked}"
        self._check_found(log, end)
        assert end >= least_end, f"the log ends at {end}, {least_end} was acknowledged"
        if end > start or end == self.end:
            self.history = [entry for entry in self.history if entry.header.next_offset <= end]
        else:
            # All that is left had been deleted. How much more was lost cannot be seen: producers begin anew.
            for producer_id, producer in self.producers().items():
                self.epoch_min[producer_id] = max(producer.epoch + 1, self.epoch_min.get(producer_id, 0))
            self.history, self.has_hidden = [], True
        self.is_current = True
        self.start = self.start_asked = self.start_noted = start
        for producer_id, producer in self.producers().items():
            if producer.batches and producer.batches[-1].header.base_offset < log.segments[0].base_offset:
                # It may be that only a marker is known, as in Kafka; then the producer has to begin anew.
                self.epoch_min[producer_id] = producer.epoch + 1
        if self.has_lost_power:  # what was found was on the disk
            self.synced, self.start_synced, self.has_lost_power = end, start, False

    def _check_found(self, log: SegmentedLog, end: int) -> None:
        start = log.log_start_offset
        found = read_all(log)
        wanted = [entry for entry in self.history if entry.header.next_offset > start]
        assert found == [content for _, content in wanted[: len(found)]], "what was found is no prefix"
        assert end == (wanted[len(found) - 1].header.next_offset if found else start)

    def check(self, log: SegmentedLog) -> None:
        """Whether the log is what the model says."""
        assert (log.log_start_offset, log.log_end_offset) == (self.start, self.end)
        self._check_content(log)
        self._check_leader_epochs(log)
        self._check_transactions(log)
        self._check_producers(log)

    def _check_content(self, log: SegmentedLog) -> None:
        kept = [entry for entry in self.history if entry.header.next_offset > self.start]
        assert read_all(log) == [content for _, content in kept]

    def _check_leader_epochs(self, log: SegmentedLog) -> None:
        wanted, known = self.leader_epochs(), log.epochs.starts
        if len(known) > len(wanted) and known[-1][1] == self.end:
            known = known[:-1]  # one whose first record could not be written
        if len(known) > len(wanted) and known[0][1] == self.start:
            known = known[1:]  # one that has no records any more is remembered until there are new ones
        assert known == wanted, "leader epochs"

    def _check_transactions(self, log: SegmentedLog) -> None:
        stable = log.last_stable_offset
        # What was deleted may be forgotten.
        assert self.last_stable_offset() <= stable <= self.last_stable_offset(log.segments[0].base_offset)
        committed = self.committed()
        for offset in {self.start, (self.start + stable) // 2, max(self.start, stable - 3)}:
            for max_bytes in (300, 100_000):
                wanted = [base for base in committed if offset <= base < stable]
                assert list(committed_from(log, offset, stable, max_bytes)) == wanted, f"committed from {offset}"

    def _check_producers(self, log: SegmentedLog) -> None:
        for producer in self.producers().values():
            for entry in producer.batches[-BATCHES_REMEMBERED:]:
                header = entry.header
                if header.base_offset >= self.start and header.producer_epoch == producer.epoch:
                    # Its timestamp may be that of the marker behind it: a snapshot has one per producer, as in Kafka.
                    again = append(log, bytearray(entry.content))
                    assert again.base_offset == header.base_offset, "a repetition is not known"


def committed_from(log: SegmentedLog, offset: int, end_offset: int, max_bytes: int) -> Iterator[int]:
    """Read as a consumer at read_committed does: drop batches of aborted producers until their markers."""
    start = offset
    while offset < end_offset:
        batches = log.read(offset, max_bytes, True, end_offset).batches
        aborted = sorted(log.aborted(offset, len(batches)), key=lambda entry: entry.first_offset)
        dropped: set[int] = set()
        for header, _ in batches_of(batches):
            while aborted and aborted[0].first_offset <= header.last_offset:
                dropped.add(aborted.pop(0).producer_id)
            if header.is_control:
                dropped.discard(header.producer_id)
            elif header.producer_id not in dropped and header.base_offset >= start:
                yield header.base_offset
            offset = max(offset, header.next_offset)
