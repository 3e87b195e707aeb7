"""The log against a Python list, through restarts, crashes, rolls and deletions."""

import itertools
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.logs import START_MS, LogFolder, Settings, append, batch, batches_of, read_all, sync

from barnabas.protocol.records import read_header
from barnabas.storage.clock import ManualClock
from barnabas.storage.errors import OffsetNotInLog, SequenceOutOfOrder
from barnabas.storage.log import Appended
from barnabas.storage.recovery import unlink_all
from barnabas.storage.retention import new_start
from barnabas.storage.segment import Segment

INDEX_INTERVAL = 300
SIZES = st.one_of(st.integers(0, 40), st.integers(40, 1000), st.just(2500))
PRODUCERS = st.integers(0, 2)


class LogAgainstList(RuleBasedStateMachine):
    """``batches``: what was appended, offset and leader epoch patched in. ``sent``: by producer, to be repeated.

    ``start``: what lies before it was deleted. ``retired``: segments that are still on the disk.
    """

    @initialize(
        segment_ms=st.sampled_from([5_000, 10**9]),
        index_bytes=st.sampled_from([16, 10**6]),
        preallocate=st.booleans(),
        is_durable=st.booleans(),
    )
    def start(self, segment_ms: int, index_bytes: int, preallocate: bool, is_durable: bool) -> None:
        self.temporary = Path(tempfile.mkdtemp())
        self.clock = ManualClock(START_MS)
        self.folder = LogFolder(
            self.temporary / "data",
            Settings(
                segment_bytes=4000,
                segment_ms=segment_ms,
                segment_jitter_ms=500,
                segment_index_bytes=index_bytes,
                index_interval_bytes=INDEX_INTERVAL,
                preallocate=preallocate,
                is_durable=is_durable,
            ),
            self.clock,
        )
        self.retired: list[Segment] = []
        self.folder.on_retire = lambda _, segments: self.retired.extend(segments)
        self.log = self.folder.open()
        self.batches: list[bytes] = []
        self.start_offset = 0
        self.sent: dict[int, list[tuple[bytes, int]]] = {}
        self.unsure_before = 0
        self.leader_epoch = 0

    def teardown(self) -> None:
        if hasattr(self, "log"):
            try:
                self.unlink_retired()
                self.folder.close(self.log)
                assert self.folder.problems() == []
            finally:
                shutil.rmtree(self.temporary)

    @property
    def end(self) -> int:
        return read_header(self.batches[-1]).next_offset if self.batches else 0

    @property
    def kept(self) -> list[bytes]:
        """The batches that have a record which was not deleted."""
        return [content for content in self.batches if read_header(content).last_offset >= self.start_offset]

    def take(self, content: bytearray) -> None:
        base_offset = self.end
        assert append(self.log, content, self.leader_epoch) == Appended(base_offset, -1)
        header = read_header(content)
        assert (header.base_offset, header.partition_leader_epoch) == (base_offset, self.leader_epoch)
        self.batches.append(bytes(content))

    @rule(count=st.integers(1, 5), size=SIZES, shift_ms=st.integers(-9000, 9000), fill=st.integers(0, 255))
    def append(self, count: int, size: int, shift_ms: int, fill: int) -> None:
        self.take(batch(count, size // count, self.clock.now_ms() + shift_ms, fill=fill))

    @rule(size=SIZES)
    def append_without_timestamp(self, size: int) -> None:
        self.take(batch(1, size, -1))

    @rule(producer=PRODUCERS, count=st.integers(1, 3), size=SIZES)
    def append_as_idempotent_producer(self, producer: int, count: int, size: int) -> None:
        sent = self.sent.setdefault(producer, [])
        sequence = read_header(sent[-1][0]).last_sequence + 1 if sent else 0
        content = batch(count, size // count, self.clock.now_ms(), producer, 0, sequence)
        sent.append((bytes(content), self.end))
        self.take(content)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def repeat_a_batch(self, data: st.DataObject) -> None:
        producer = data.draw(st.sampled_from(sorted(self.sent)))
        sent = self.sent[producer]
        back = data.draw(st.integers(1, min(len(sent), 7)))
        content, base_offset = sent[-back]
        if base_offset < self.start_offset and (back > 1 or base_offset < self.unsure_before):
            return  # it was deleted: a restart finds the last batch of each producer only, if it knows what to trust
        if back <= 5:
            again = append(self.log, bytearray(content), self.leader_epoch)
            assert again == Appended(base_offset, read_header(content).max_timestamp)
        else:
            with pytest.raises(SequenceOutOfOrder):
                append(self.log, bytearray(content), self.leader_epoch)

    @rule(seconds=st.integers(1, 10))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(data=st.data(), max_bytes=st.integers(0, 9000), at_least_one=st.booleans())
    def read(self, data: st.DataObject, max_bytes: int, at_least_one: bool) -> None:
        offset = data.draw(st.integers(self.start_offset, self.end))
        got = [content for _, content in batches_of(self.log.read(offset, max_bytes, at_least_one).batches)]
        if offset == self.end:
            assert got == []
            return
        first = next(i for i, content in enumerate(self.batches) if read_header(content).last_offset >= offset)
        assert got == self.batches[first : first + len(got)]
        size = sum(map(len, got))
        following = self.batches[first + len(got) : first + len(got) + 1]
        if size > max_bytes:
            assert at_least_one
            assert len(got) == 1
        elif not got:
            assert not at_least_one
            assert len(self.batches[first]) > max_bytes
        elif following and size + len(following[0]) <= max_bytes:
            assert read_header(following[0]).base_offset in {segment.base_offset for segment in self.log.segments}

    @rule(beyond=st.integers(1, 10))
    def read_outside(self, beyond: int) -> None:
        for offset in (self.start_offset - beyond, self.end + beyond):
            with pytest.raises(OffsetNotInLog):
                self.log.read(offset, 100, True)

    @rule(data=st.data(), shift=st.integers(-1, 1))
    def find_by_timestamp(self, data: st.DataObject, shift: int) -> None:
        known = {read_header(content).max_timestamp for content in self.batches} | {START_MS}
        timestamp = data.draw(st.sampled_from(sorted(known))) + shift
        offset = data.draw(st.just(0) | st.integers(0, self.end + 1))
        found = self.log.batch_at_or_after(max(timestamp, 0), offset)
        headers = [(content, read_header(content)) for content in self.kept]
        wanted = [
            content
            for content, header in headers
            if header.max_timestamp >= max(timestamp, 0) and header.last_offset >= offset
        ]
        assert found == (wanted[0] if wanted else None)

    @rule()
    def find_the_max_timestamp(self) -> None:
        start = self.log.segments[0].base_offset
        there = [content for content in self.batches if read_header(content).base_offset >= start]
        newest = max((read_header(content).max_timestamp for content in there), default=-1)
        wanted = [content for content in there if read_header(content).max_timestamp == newest]
        assert self.log.batch_of_max_timestamp() == (wanted[0] if wanted else None)

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        bases = [read_header(content).base_offset for content in self.batches]
        offset = data.draw(st.sampled_from([0, self.start_offset, self.end, *bases]) | st.integers(0, self.end))
        self.start_offset = max(self.start_offset, offset)
        assert self.log.delete_before(offset) == self.start_offset
        assert all(segment.base_offset > self.start_offset for segment in self.log.segments[1:])

    @rule(retention_ms=st.integers(0, 20_000), retention_bytes=st.integers(-1, 20_000))
    def expire(self, retention_ms: int, retention_bytes: int) -> None:
        """Whatever goes, it is whole segments from the beginning, each too old or more than is to be kept."""
        settings, now_ms = self.folder.settings, self.clock.now_ms()
        settings.retention_ms, settings.retention_bytes = retention_ms, retention_bytes
        bases = [segment.base_offset for segment in self.log.segments] + [self.end]
        size = self.log.size_bytes
        start = new_start(self.log.extents(), settings, now_ms, self.end)
        if start is None:
            return
        gone = [content for content in self.batches if bases[0] <= read_header(content).base_offset < start]
        assert start in bases[1:]
        headers = [read_header(content) for content in gone]
        newest = [
            max(header.max_timestamp for header in headers if base <= header.base_offset < end)
            for base, end in itertools.pairwise(bases)
            if base < start
        ]
        is_surplus = retention_bytes >= 0 and size - sum(map(len, gone)) >= retention_bytes
        assert is_surplus or retention_bytes >= 0 or all(age < now_ms - retention_ms for age in newest if age >= 0)
        self.start_offset = max(self.start_offset, start)
        assert self.log.expire(start) == self.start_offset

    @rule(beyond=st.integers(1, 10))
    def delete_outside(self, beyond: int) -> None:
        with pytest.raises(OffsetNotInLog):
            self.log.delete_before(self.end + beyond)

    @rule()
    def unlink_retired(self) -> None:
        unlink_all(self.log, self.retired)
        self.retired.clear()

    @rule()
    def sync(self) -> None:
        sync(self.log)
        assert self.log.recovery_point == self.end
        assert not self.log.is_dirty

    @rule()
    def checkpoint(self) -> None:
        self.log.checkpoint()

    @rule()
    def restart(self) -> None:
        self.unlink_retired()
        self.folder.close(self.log)
        assert self.folder.problems() == []
        self.log = self.folder.open(None, self.start_offset)
        assert not self.log.is_dirty

    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        bases = [read_header(content).base_offset for content in self.batches]
        points = st.sampled_from([0, self.log.recovery_point, self.end, self.end + 10, *bases])
        recovery_point = data.draw(points | st.integers(0, self.end))
        self.log.let_go()
        for segment in self.retired:
            segment.close()
        self.retired.clear()
        assert self.folder.problems() == []
        if recovery_point < self.log.recovery_point:  # as if the file that says so had been lost
            self.unsure_before = self.end
        self.log = self.folder.open(recovery_point, self.start_offset)
        assert self.log.recovery_point == min(recovery_point, self.end)
        self.leader_epoch += 1

    @invariant()
    def the_log_is_what_was_appended(self) -> None:
        if hasattr(self, "log"):
            assert self.log.log_start_offset == self.start_offset
            assert self.log.log_end_offset == self.end
            first = self.log.segments[0].base_offset
            on_disk = [content for content in self.batches if read_header(content).base_offset >= first]
            assert self.log.size_bytes == sum(map(len, on_disk))
            assert first <= self.start_offset
            assert all(segment.size <= 4000 for segment in self.log.segments)

    @invariant()
    def the_leader_epochs_begin_where_they_were_first_used(self) -> None:
        if hasattr(self, "log"):
            headers = [read_header(content) for content in self.kept]
            groups = itertools.groupby(headers, key=lambda header: header.partition_leader_epoch)
            starts = [(epoch, max(next(group).base_offset, self.start_offset)) for epoch, group in groups]
            known = self.log.epochs.starts
            if len(known) > len(
                starts
            ):  # an epoch that has no records any more may be remembered until there are new ones
                assert known[0][1] == self.start_offset
                known = known[1:]
            assert known == starts

    @precondition(lambda self: self.kept)
    @rule(max_bytes=st.sampled_from([1, 500, 100_000]))
    def consume_everything(self, max_bytes: int) -> None:
        assert read_all(self.log, max_bytes) == self.kept


TestLogAgainstList = LogAgainstList.TestCase
TestLogAgainstList.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.slow
class TestLogAgainstListForLong(LogAgainstList.TestCase):
    settings = settings(
        max_examples=1500, stateful_step_count=80, deadline=None, suppress_health_check=list(HealthCheck)
    )
