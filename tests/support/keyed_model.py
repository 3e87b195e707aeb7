"""What a compacted log should be: of each key the last committed record, and nothing that was never written."""

from dataclasses import dataclass

from barnabas.protocol.records import Record, read_header, records
from barnabas.storage.compaction import Outcome, Plan
from barnabas.storage.segments import SegmentedLog

from .compacting import committed_in
from .log_model import LogModel
from .logs import append, read_all


@dataclass
class Written:
    """A record that was appended. ``is_committed``: None while its transaction is open."""

    record: Record
    is_committed: bool | None


class KeyedModel(LogModel):
    """``learned``: the keys of what lies before it were known to a compaction; ``cleaned``: what lies before it was
    written anew. ``horizons_ms``: of tombstones, by offset; ``doomed``: those of which one has passed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.learned = self.cleaned = 0
        self.horizons_ms: dict[int, int] = {}
        self.doomed: set[int] = set()

    def note_compaction(self, plan: Plan, outcome: Outcome) -> None:
        """Take note of what is about to be swapped in."""
        ends = [*plan.bases[1:], plan.end_offset]
        end = next(end for end in ends if end >= outcome.clean_offset)
        self.learned = max(self.learned, outcome.clean_offset)
        self.cleaned = max(self.cleaned, end)
        for offset, written in self.records().items():
            if offset < end and written.record.value is None:
                horizon_ms = self.horizons_ms.setdefault(offset, plan.now_ms + plan.delete_retention_ms)
                if horizon_ms <= plan.now_ms:
                    self.doomed.add(offset)

    def records(self) -> dict[int, Written]:
        """All records of data that were appended, by their offsets, oldest first."""
        found: dict[int, Written] = {}
        undecided: dict[int, list[Written]] = {}
        for entry in self.history:
            header = entry.header
            if header.is_control:
                for written in undecided.pop(header.producer_id, ()):
                    written.is_committed = entry.is_commit
                continue
            for record in records(entry.content):
                written = found[record.offset] = Written(record, None if header.is_transactional else True)
                if header.is_transactional:
                    undecided.setdefault(header.producer_id, []).append(written)
        return found

    def _check_found(self, log: SegmentedLog, end: int) -> None:
        ends = {log.log_start_offset, *(entry.header.next_offset for entry in self.history)}
        assert end in ends, f"ends at {end}, within a batch"
        assert self.cleaned <= max(end, log.log_start_offset), f"{end}, {self.cleaned} was compacted"
        self._seen(log)

    def _check_content(self, log: SegmentedLog) -> None:
        seen = self._seen(log)
        all_written = self.records()
        self._check_nothing_is_lost(all_written, set(seen))
        stable = log.last_stable_offset
        wanted = [offset for offset in seen if all_written[offset].is_committed and offset < stable]
        for max_bytes in (700, 100_000):
            assert committed_in(log, max_bytes) == wanted

    def _seen(self, log: SegmentedLog) -> list[int]:
        """Offsets of the records in the log, after a look at each."""
        all_written = self.records()
        found, offset = [], -1
        for content in read_all(log):
            header = read_header(content)
            assert header.base_offset > offset, "offsets go back"
            offset = header.last_offset
            for record in () if header.is_control else records(content):
                assert record == all_written[record.offset].record
                if record.offset >= log.log_start_offset:
                    found.append(record.offset)
        assert found == sorted(set(found))
        return found

    def _check_nothing_is_lost(self, all_written: dict[int, Written], seen: set[int]) -> None:
        later: set[bytes | None] = set()  # keys of those committed before ``learned``
        gone: set[bytes | None] = set()
        for offset in sorted(all_written, reverse=True):
            if offset < self.start:
                break
            written = all_written[offset]
            key = written.record.key
            if offset in seen:
                assert not written.is_committed or key not in gone, f"{offset} has come back"
            elif written.is_committed:
                assert offset < self.learned, f"{offset} is lost"
                assert key in later or offset in self.doomed, f"{offset} is lost: {written}"
                if key not in later:
                    gone.add(key)
            else:
                assert written.is_committed is False, f"{offset} is lost, of a transaction that is open"
                assert offset < self.cleaned, f"{offset} is lost, of a transaction that was aborted"
            if written.is_committed and offset < self.learned:
                later.add(key)

    def _check_leader_epochs(self, log: SegmentedLog) -> None:
        """The first records of an epoch may be compacted before a recovery looks at them; nobody else has them."""
        known = log.epochs.starts
        assert known == sorted(set(known))
        wanted = dict(self.leader_epochs())
        for epoch, start in known:
            assert epoch not in wanted or wanted[epoch] <= start, "leader epochs"

    def _check_transactions(self, log: SegmentedLog) -> None:
        stable = log.last_stable_offset
        assert self.last_stable_offset() <= stable <= self.last_stable_offset(log.segments[0].base_offset)

    def _check_producers(self, log: SegmentedLog) -> None:
        for producer in self.producers().values():
            for entry in producer.batches[-1:]:
                header = entry.header
                if header.base_offset >= self.start and header.producer_epoch == producer.epoch:
                    again = append(log, bytearray(entry.content))
                    assert again.base_offset == header.base_offset, "a repetition is not known"
