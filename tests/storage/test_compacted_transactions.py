"""What compaction keeps of producers and their transactions (KIP-98, KIP-534)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.compacting import Pair, committed_in, compacted, end, keyed_batch, pairs_in
from support.logs import START_MS, LogFolder, Settings, append, batches_of, read_all, sync

from barnabas.protocol.records import BatchHeader, Codec, read_end_transaction_marker
from barnabas.storage.aborted import AbortedTransaction, read_entries
from barnabas.storage.clock import ManualClock
from barnabas.storage.log import Appended
from barnabas.storage.recovery import unlink_all
from barnabas.storage.segment import Segment
from barnabas.storage.segments import SegmentedLog

A, B = b"a", b"b"
NOW = START_MS + 10_000


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    return LogFolder(tmp_path / "data", Settings(is_compacted=True), ManualClock(START_MS))


@pytest.fixture
def log(folder: LogFolder) -> Iterator[SegmentedLog]:
    log = folder.open()
    yield log
    folder.close(log)
    assert folder.problems() == []


def write(log: SegmentedLog, *pairs: Pair, **options: Any) -> int:
    return append(log, keyed_batch(*pairs, timestamp=START_MS, **options)).base_offset


def transact(log: SegmentedLog, producer_id: int, sequence: int, *pairs: Pair, epoch: int = 0) -> int:
    producer = {"producer_id": producer_id, "producer_epoch": epoch, "base_sequence": sequence}
    return write(log, *pairs, **producer, is_transactional=True)


def others(log: SegmentedLog) -> None:
    """Have the producers 1 and 2 write something more, so that what is compacted is not their last."""
    log.roll()
    for producer_id in (1, 2):
        state = log.producers.entries.get(producer_id)
        if state is not None:
            sequence = state.batches[-1].last_sequence + 1 if state.batches else 0
            transact(log, producer_id, sequence, (b"last-%d" % producer_id, b"x"), epoch=state.epoch)
            end(log, producer_id, True, START_MS, state.epoch)
    sync(log)


def batches(log: SegmentedLog, end_offset: int = 2**62) -> list[BatchHeader]:
    found = [header for content in read_all(log) for header, _ in batches_of(content)]
    return [header for header in found if header.base_offset < end_offset]


def markers(log: SegmentedLog, end_offset: int) -> list[int]:
    return [header.base_offset for header in batches(log, end_offset) if header.is_control and header.records_count]


def entries(log: SegmentedLog) -> list[AbortedTransaction]:
    """What is in the file of the first segment, which is what the log knows."""
    found = read_entries(log.segments[0].aborted.path)
    assert log.segments[0].aborted.entries == found
    return found


def test_what_was_aborted_goes_at_once_and_does_not_count(log):
    write(log, (A, b"1"), (B, b"1"))
    transact(log, 1, 0, (A, b"2"), (B, None))
    end(log, 1, False, START_MS)
    write(log, (B, b"3"))
    others(log)
    compacted(log, NOW)
    assert [offset for offset, _, _ in pairs_in(log) if offset < 6] == [0, 5]
    assert committed_in(log)[:2] == [0, 5]


def test_what_was_committed_counts(log):
    write(log, (A, b"1"))
    transact(log, 1, 0, (A, b"2"))
    end(log, 1, True, START_MS)
    others(log)
    compacted(log, NOW)
    assert committed_in(log)[0] == 1


@pytest.mark.parametrize("is_commit", [True, False])
def test_a_marker_goes_when_its_data_is_gone_and_its_time_has_come(log, is_commit):
    """The first compaction removes the data, the second gives the marker a horizon, one behind that removes it."""
    transact(log, 1, 0, (A, b"1"), (B, b"1"))
    end(log, 1, is_commit, START_MS)
    write(log, (A, b"2"), (B, b"2"))
    others(log)
    steps = []
    for now_ms in (NOW, NOW + 500, NOW + 1499, NOW + 1500):
        compacted(log, now_ms, delete_retention_ms=1000)
        marker = next((header for header in batches(log, 4) if header.is_control), None)
        steps.append((len(entries(log)), marker and (marker.base_offset, marker.delete_horizon_ms)))
    had = 0 if is_commit else 1
    assert steps == [(had, (2, None)), (0, (2, NOW + 1500)), (0, (2, NOW + 1500)), (0, None)]


@pytest.mark.parametrize("is_commit", [True, False])
def test_a_marker_stays_as_long_as_there_is_data(log, is_commit):
    """Of an aborted transaction that may be the empty batch that stands for the end of a segment."""
    transact(log, 1, 0, (A, b"1"))
    log.roll()
    end(log, 1, is_commit, START_MS)
    others(log)
    log.settings.segment_bytes = 10
    for now_ms in range(NOW, NOW + 5000, 1000):
        compacted(log, now_ms, delete_retention_ms=0)
    assert [(h.base_offset, h.records_count) for h in batches(log, 2)] == [(0, int(is_commit)), (1, 1)]
    assert committed_in(log)[:1] == ([0] if is_commit else [2])


def test_the_index_has_the_transactions_of_which_there_was_something_left(log):
    transact(log, 1, 0, (A, b"1"))
    transact(log, 2, 0, (A, b"2"))
    end(log, 2, False, START_MS)
    end(log, 1, False, START_MS)
    transact(log, 1, 1, (A, b"3"))
    end(log, 1, True, START_MS)
    others(log)
    before = log.segments[0].aborted.entries[:]
    assert [entry.producer_id for entry in before] == [2, 1]
    compacted(log, NOW)
    assert entries(log) == before
    compacted(log, NOW)
    assert entries(log) == []
    assert markers(log, 6) == [2, 3, 5]


def test_a_transaction_may_end_behind_what_is_compacted(log):
    transact(log, 1, 0, (A, b"1"))
    transact(log, 2, 0, (B, b"1"))
    log.roll()
    end(log, 1, False, START_MS)
    end(log, 2, True, START_MS)
    sync(log)
    compacted(log, NOW)
    assert [offset for offset, _, _ in pairs_in(log)] == [1]
    assert committed_in(log) == [1]
    assert log.aborted(0, len(log.read(0, 2**20, True).batches)) == [AbortedTransaction(1, 0, 2, 1)]


def test_what_is_undecided_stays(log):
    write(log, (A, b"1"))
    log.roll()
    transact(log, 1, 0, (A, b"2"))
    log.roll()
    write(log, (A, b"3"))
    log.roll()
    sync(log)
    assert compacted(log, NOW).clean_offset == 1
    assert [offset for offset, _, _ in pairs_in(log)] == [0, 1, 2]


def test_transactions_that_ended_before_the_log_begins_do_not_count(folder, log):
    """Their segments may still be on the disk, with their indexes: retention has parted with them a moment ago."""
    retired: list[Segment] = []
    folder.on_retire = lambda _, segments: retired.extend(segments)
    transact(log, 1, 0, (A, b"1"))
    log.roll()
    end(log, 1, False, START_MS)
    log.roll()
    base = transact(log, 1, 1, (A, b"2"))
    end(log, 1, True, START_MS)
    others(log)
    log.delete_before(1)
    (first,) = retired
    first.aborted.append(AbortedTransaction(1, 0, 1, 1))
    log.delete_before(base)
    compacted(log, NOW)
    assert committed_in(log)[0] == base
    unlink_all(log, retired)


# Producers


@pytest.mark.parametrize("codec", list(Codec))
def test_the_last_batch_of_a_producer_stays_empty_for_its_sequence(folder, log, codec):
    sent = []
    for sequence in (0, 2):
        producer = {"producer_id": 7, "producer_epoch": 3, "base_sequence": sequence}
        sent.append(keyed_batch((A, b"1"), (B, b"1"), timestamp=START_MS, codec=codec, **producer))
        append(log, bytearray(sent[-1]))
    write(log, (A, b"2"), (B, b"2"))
    log.roll()
    sync(log)
    compacted(log, NOW)
    first = batches(log)[0]
    assert (first.base_offset, first.last_offset, first.records_count) == (2, 3, 0)
    assert (first.producer_id, first.producer_epoch, first.base_sequence, first.last_sequence) == (7, 3, 2, 3)
    log.let_go()
    for path in folder.partition.glob("*.snapshot"):
        path.unlink()
    again = folder.open(0)
    assert append(again, bytearray(sent[-1])) == Appended(2, START_MS + 1)
    again.let_go()


def test_a_batch_that_stood_for_a_sequence_goes_with_the_next(log):
    for sequence in range(2):
        write(log, (A, b"1"), producer_id=7, producer_epoch=3, base_sequence=sequence)
        write(log, (A, b"2"))
    log.roll()
    sync(log)
    compacted(log, NOW)
    assert [(h.base_offset, h.records_count) for h in batches(log)] == [(2, 0), (3, 1)]
    write(log, (B, b"1"), producer_id=7, producer_epoch=3, base_sequence=2)
    compacted(log, NOW)
    assert [(h.base_offset, h.records_count) for h in batches(log)] == [(3, 1), (4, 1)]


def test_the_last_marker_of_a_producer_that_has_written_nothing_since_stays_empty(log):
    transact(log, 9, 0, (A, b"1"))
    end(log, 9, True, START_MS, epoch=1)
    write(log, (A, b"2"))
    log.roll()
    sync(log)
    for now_ms in (NOW, NOW + 1, NOW + 2):
        compacted(log, now_ms, delete_retention_ms=0)
    marker, last = batches(log)
    assert (marker.base_offset, marker.is_control, marker.records_count, last.base_offset) == (1, True, 0, 2)
    assert marker.producer_epoch == 1
    content = read_all(log)[0]
    assert read_end_transaction_marker(content) is None
