"""A compacted log against a list: appends, transactions, compaction, retention, deletion, restarts, and deaths
between any two file operations."""

import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.compacting import (
    Died,
    Mortal,
    carry_out,
    committed_in,
    end,
    keyed_batch,
    outcome_of,
    plan_for,
    remove_cleaned,
    take_over,
)
from support.logs import START_MS, LogFolder, Settings, append, read_all, sync

from barnabas.protocol.records import Codec, Record, offset_of_timestamp, read_header, records
from barnabas.storage.clock import ManualClock
from barnabas.storage.log import Appended
from barnabas.storage.recovery import unlink_all
from barnabas.storage.retention import new_start
from barnabas.storage.segment import Segment

KEYS = [b"a", b"b", b"c", b"d", b"k" * 40]
IDEMPOTENT, TRANSACTIONAL = [0, 1], [10, 11, 12]
PAIRS = st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from([20, 20, 120, None])), min_size=1, max_size=4)
CODECS = st.sampled_from(Codec)
DELETE_RETENTION_MS = 5000


@dataclass
class Written:
    """A record that was appended. ``is_committed``: None while its transaction is open."""

    record: Record
    producer_id: int
    is_committed: bool | None
    horizon_ms: int | None = None
    may_be_gone: bool = False


@dataclass
class Producer:
    """``last``: its last batch and where that lies; ``open_from``: where its transaction begins."""

    epoch: int = 0
    sequence: int = 0
    last: tuple[bytes, int] | None = None
    open_from: int | None = None


class CompactedLogAgainstList(RuleBasedStateMachine):
    """``clean``: up to where the log was compacted; ``learned``: up to where a compaction may have got that died."""

    @initialize(
        segment_bytes=st.sampled_from([700, 2000]),
        index_bytes=st.sampled_from([16, 10**6]),
        is_compacted=st.booleans(),
        is_durable=st.booleans(),
    )
    def start(self, segment_bytes: int, index_bytes: int, is_compacted: bool, is_durable: bool) -> None:
        self.temporary = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.clock = ManualClock(START_MS)
        self.settings = Settings(
            segment_bytes=segment_bytes,
            segment_index_bytes=index_bytes,
            index_interval_bytes=200,
            is_compacted=is_compacted,
            is_durable=is_durable,
        )
        self.folder = LogFolder(self.temporary / "data", self.settings, self.clock)
        self.retired: list[Segment] = []
        self.folder.on_retire = lambda _, segments: self.retired.extend(segments)
        self.log = self.folder.open()
        self.written: dict[int, Written] = {}
        self.producers: dict[int, Producer] = {}
        self.end = self.start_offset = self.noted = self.clean = self.learned = self.cleaned_end = 0
        self.count = 0

    def teardown(self) -> None:
        if hasattr(self, "log"):
            try:
                self.check()
                self.restart()
            finally:
                self.log.let_go()
                shutil.rmtree(self.temporary)

    # What is written

    def take(self, pairs: list[tuple[bytes | None, int | None]], codec: Codec, producer_id: int = -1) -> None:
        self.count += 1
        now_ms = self.clock.now_ms()
        value = b"%06d" % self.count
        content = [(key, None if size is None else value + bytes(size)) for key, size in pairs]
        is_transactional = producer_id in TRANSACTIONAL
        options: dict[str, int | bool] = {}
        producer = self.producers.setdefault(producer_id, Producer()) if producer_id >= 0 else None
        if producer is not None:
            options = {
                "producer_id": producer_id,
                "producer_epoch": producer.epoch,
                "base_sequence": producer.sequence,
                "is_transactional": is_transactional,
            }
        batch = keyed_batch(*content, timestamp=now_ms, codec=codec, **options)
        if producer is not None:
            producer.last = bytes(batch), self.end
            producer.sequence += len(pairs)
            if is_transactional and producer.open_from is None:
                producer.open_from = self.end
        assert append(self.log, batch) == Appended(self.end, -1)
        for record in records(batch):
            self.written[record.offset] = Written(record, producer_id, None if is_transactional else True)
        self.end += len(pairs)

    @rule(pairs=PAIRS, codec=CODECS)
    def append(self, pairs: list[tuple[bytes, int | None]], codec: Codec) -> None:
        self.take(pairs, codec)

    @rule(pairs=PAIRS, codec=CODECS, producer_id=st.sampled_from(IDEMPOTENT + 2 * TRANSACTIONAL))
    def append_as_a_producer(self, pairs: list[tuple[bytes, int | None]], codec: Codec, producer_id: int) -> None:
        self.take(pairs, codec, producer_id)

    @rule(seed=st.integers(0, 2**32), count=st.integers(10, 40))
    def write_a_lot(self, seed: int, count: int) -> None:
        chance = random.Random(seed)
        for _ in range(count):
            what = chance.random()
            producer_id = chance.choice([-1, *IDEMPOTENT, *TRANSACTIONAL])
            if what < 0.2 and producer_id in TRANSACTIONAL:
                self.end_a_transaction(producer_id, chance.random() < 0.5, chance.random() < 0.2)
            elif what < 0.25:
                self.roll()
            else:
                pairs = [(chance.choice(KEYS), chance.choice([20, 120, None])) for _ in range(chance.randint(1, 3))]
                self.take(pairs, chance.choice(list(Codec)), producer_id)
            if what > 0.8:
                self.clock.advance(chance.randint(1, 3))

    @precondition(lambda self: not self.settings.is_compacted)
    @rule(count=st.integers(1, 3), codec=CODECS)
    def append_without_keys(self, count: int, codec: Codec) -> None:
        self.take([(None, 20)] * count, codec)

    @precondition(lambda self: not self.settings.is_compacted)
    @rule()
    def become_compacted(self) -> None:
        self.settings.is_compacted = True

    @rule(producer_id=st.sampled_from(TRANSACTIONAL), is_commit=st.booleans(), is_bumped=st.booleans())
    def end_a_transaction(self, producer_id: int, is_commit: bool, is_bumped: bool) -> None:
        """``is_bumped``: the marker brings an epoch of its own (KIP-890), and sequences begin anew."""
        producer = self.producers.setdefault(producer_id, Producer())
        if is_bumped:
            producer.epoch, producer.sequence, producer.last = producer.epoch + 1, 0, None
        assert end(self.log, producer_id, is_commit, self.clock.now_ms(), producer.epoch) == self.end
        self.end += 1
        producer.open_from = None
        for written in self.written.values():
            if written.is_committed is None and written.producer_id == producer_id:
                written.is_committed = is_commit

    @rule()
    def roll(self) -> None:
        if self.log.segments[-1].size:
            self.log.roll()

    # What goes

    def delete_before(self, offset: int) -> None:
        self.start_offset = max(self.start_offset, offset)
        assert self.log.delete_before(offset) == self.start_offset

    @rule(data=st.data())
    def delete_records(self, data: st.DataObject) -> None:
        near = min(self.start_offset + 15, self.log.last_stable_offset)
        self.delete_before(data.draw(st.integers(self.start_offset, near), "offset"))

    @rule(retention_bytes=st.integers(500, 20_000))
    def expire(self, retention_bytes: int) -> None:
        self.settings.retention_ms, self.settings.retention_bytes = -1, retention_bytes
        found = new_start(self.log.extents(), self.settings, self.clock.now_ms(), self.log.last_stable_offset)
        if found is not None:
            self.start_offset = max(self.start_offset, self.log.expire(found))

    @rule()
    def unlink_retired(self) -> None:
        unlink_all(self.log, self.retired)
        self.retired.clear()

    # What a broker does at times

    @rule(seconds=st.integers(1, 10))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def sync(self) -> None:
        sync(self.log)
        self.log.checkpoint()

    @rule(back=st.integers(0, 30))
    def crash(self, back: int) -> None:
        """``back``: by how much less is known to be on the disk than could be, but no less than at the last start."""
        recovery_point = max(self.noted, self.log.recovery_point - back)
        self.log.let_go()
        for segment in self.retired:
            segment.close()
        self.retired.clear()
        for producer in self.producers.values():
            if producer.last is not None and producer.last[1] < self.start_offset:
                producer.last = None  # only a snapshot may know of it, which may not be trusted
        self.log = self.folder.open(recovery_point, self.start_offset, self.settings.is_compacted)
        self.noted = self.log.recovery_point
        self.check()

    @rule()
    def restart(self) -> None:
        self.unlink_retired()
        self.folder.close(self.log)
        assert self.folder.problems() == []
        self.log = self.folder.open(None, self.start_offset)
        self.noted = self.log.recovery_point
        self.check()

    @precondition(lambda self: self.settings.is_compacted)
    @rule(data=st.data(), memory_bytes=st.sampled_from([0, 500, 2**20, 2**20]), back=st.sampled_from([0, 0, 20]))
    def compact(self, data: st.DataObject, memory_bytes: int, back: int) -> None:
        self.compact_until(data, memory_bytes, back, None)

    @precondition(lambda self: self.settings.is_compacted)
    @rule(
        data=st.data(),
        memory_bytes=st.sampled_from([500, 2**20]),
        dies_after=st.integers(0, 60) | st.integers(0, 300),
        share=st.sampled_from([0, 0.5, 1]),
    )
    def compact_and_die(self, data: st.DataObject, memory_bytes: int, dies_after: int, share: float) -> None:
        self.compact_until(data, memory_bytes, 0, dies_after, share)

    def compact_until(
        self, data: st.DataObject, memory_bytes: int, back: int, dies_after: int | None, share: float = 0
    ) -> None:
        """``back``: of what could be compacted, how much is not."""
        self.roll()
        sync(self.log)
        dirty = self.clean if self.start_offset <= self.clean <= self.end else self.start_offset
        now_ms = self.clock.now_ms()
        plan = plan_for(self.log, now_ms, dirty, self.end - back, memory_bytes, DELETE_RETENTION_MS)
        if plan.end_offset <= dirty:
            return
        mortal = Mortal(dies_after, share)
        try:
            outcome = outcome_of(plan)
            assert dirty < outcome.clean_offset <= plan.end_offset
            ends = [*plan.bases[1:], plan.end_offset]
            end = next(end for end in ends if end >= outcome.clean_offset)
            self.learned = max(self.learned, outcome.clean_offset)
            self.cleaned_end = max(self.cleaned_end, end)
            self.note_horizons(end, now_ms)
            is_whole = take_over(self.log, carry_out(plan), mortal, self.meanwhile(data))
        except Died:
            self.crash(0)
            return
        except FileNotFoundError:  # a segment has gone meanwhile
            remove_cleaned(self.log.directory)
            is_whole = None
        if is_whole:
            self.clean = outcome.clean_offset
            self.check_is_compacted(end)
        self.check()

    def note_horizons(self, end: int, now_ms: int) -> None:
        for offset, written in self.written.items():
            if offset < end and written.record.value is None:
                if written.horizon_ms is None:
                    written.horizon_ms = now_ms + DELETE_RETENTION_MS
                elif written.horizon_ms <= now_ms:
                    written.may_be_gone = True

    def meanwhile(self, data: st.DataObject) -> Callable[[], None]:
        def work() -> None:
            match data.draw(st.sampled_from(["", "", "", "", "append", "delete", "put aside", "read"]), "meanwhile"):
                case "append":
                    self.take([(b"a", 20), (b"b", None)], Codec.NONE)
                case "delete":
                    self.delete_records(data)
                case "put aside":
                    self.log.put_aside(self.retired)
                case "read":
                    self.check()

        return work

    # What must hold

    def check_is_compacted(self, end: int) -> None:
        seen: set[bytes] = set()
        for offset in self.seen():
            written = self.written[offset]
            assert written.is_committed is not False or offset >= end, f"aborted record {offset} is still there"
            key = written.record.key
            if offset < self.clean:
                assert key is not None
                if written.is_committed:
                    assert key not in seen, f"{key!r} is there twice before {self.clean}"
                    seen.add(key)

    def seen(self) -> list[int]:
        """Offsets of the records in the log, after a look at each."""
        found = []
        for content in read_all(self.log):
            header = read_header(content)
            for record in () if header.is_control else records(content):
                assert record == self.written[record.offset].record
                if record.offset >= self.start_offset:
                    found.append(record.offset)
        assert found == sorted(set(found))
        return found

    def check(self) -> None:
        assert self.log.log_start_offset == self.start_offset
        assert self.log.log_end_offset == self.end
        opened = [p.open_from for p in self.producers.values() if p.open_from is not None]
        stable = min(opened, default=self.end)
        assert self.log.last_stable_offset == max(stable, self.start_offset)
        for segment, following in pairwise(self.log.segments):
            assert max(header.next_offset for _, header in segment.headers(0)) == following.base_offset
        seen = self.seen()
        self.check_nothing_is_lost(set(seen))
        wanted = [o for o in seen if self.written[o].is_committed and o < self.log.last_stable_offset]
        assert committed_in(self.log) == wanted
        self.check_producers()

    def check_nothing_is_lost(self, seen: set[int]) -> None:
        later: set[bytes | None] = {None}  # of those before ``learned``
        resurrected: set[bytes | None] = set()
        for offset in sorted(self.written, reverse=True):
            written = self.written[offset]
            key = written.record.key
            if offset < self.start_offset:
                break
            if written.is_committed is False:
                assert offset in seen or offset < self.cleaned_end
            elif offset in seen:
                assert not written.is_committed or key not in resurrected, f"{offset} has come back"
            else:
                assert offset < self.learned, f"{offset} is lost"
                assert key in later or written.may_be_gone, f"{offset} is lost: {written}"
                if key not in later:
                    resurrected.add(key)
            if written.is_committed and offset < self.learned:
                later.add(key)

    def check_producers(self) -> None:
        for producer in self.producers.values():
            if producer.last is not None:
                content, base_offset = producer.last
                again = append(self.log, bytearray(content))
                assert (again.base_offset, again.append_time_ms >= 0) == (base_offset, True)

    @rule(shift_ms=st.integers(-30_000, 10))
    def find_by_timestamp(self, shift_ms: int) -> None:
        timestamp = self.clock.now_ms() + shift_ms
        found = self.log.batch_at_or_after(timestamp)
        got = None if found is None else offset_of_timestamp(found, timestamp)
        wanted = (offset_of_timestamp(content, timestamp) for content in read_all(self.log))
        assert got == next(filter(None, wanted), None)

    @invariant()
    def the_log_has_its_ends(self) -> None:
        if hasattr(self, "log"):
            assert (self.log.log_start_offset, self.log.log_end_offset) == (self.start_offset, self.end)
            assert self.log._bases == [segment.base_offset for segment in self.log.segments]


def machine(max_examples: int, steps: int) -> settings:
    return settings(
        max_examples=max_examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )


TestCompactedLogAgainstList = CompactedLogAgainstList.TestCase
TestCompactedLogAgainstList.settings = machine(60, 40)


@pytest.mark.slow
class TestCompactedLogAgainstListForLong(CompactedLogAgainstList.TestCase):
    settings = machine(2000, 80)
