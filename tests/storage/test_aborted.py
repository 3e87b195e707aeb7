"""Open and aborted transactions in the log: the last stable offset, the index, and both after restarts."""

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.logs import LogFolder, Settings, append, batch, batches_of, sync
from support.transactional import data, end

from barnabas.storage.aborted import AbortedTransaction, TransactionIndex, read_entries
from barnabas.storage.errors import (
    CoordinatorEpochStale,
    LogOffline,
    ProducerEpochStale,
    TransactionStateInvalid,
)
from barnabas.storage.index import IndexCorrupt

TIME = 1_700_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    return LogFolder(tmp_path / "data")


@pytest.fixture
def log(folder: LogFolder) -> Any:
    return folder.open()


def test_the_last_stable_offset_is_where_the_oldest_open_transaction_begins(log):
    append(log, data(1, 0))
    append(log, data(2, 0))
    assert log.last_stable_offset == 0
    end(log, 1, True)
    assert log.last_stable_offset == 1
    end(log, 2, False)
    assert log.last_stable_offset == log.log_end_offset == 4


def test_an_open_transaction_whose_beginning_is_deleted_holds_back_what_is_left(log):
    append(log, data(1, 0))
    append(log, data(1, 1))
    log.delete_before(1)
    assert log.last_stable_offset == 1
    end(log, 1, False)
    assert log.last_stable_offset == 3
    assert log.aborted(1, len(log.read(1, 2**20, True).batches)) == [AbortedTransaction(1, 0, 2, 3)]


def test_what_was_aborted_is_told_as_far_as_it_was_read(log):
    for number in range(3):
        append(log, data(number, 0))
    for number in (2, 0, 1):
        end(log, number, number == 1)
    assert log.aborted(0, len(log.read(0, 2**20, True).batches)) == [
        AbortedTransaction(2, 2, 3, 0),
        AbortedTransaction(0, 0, 4, 1),
    ]
    first = log.read(0, 1, True).batches
    assert log.aborted(0, len(first)) == [AbortedTransaction(0, 0, 4, 1)]
    assert log.aborted(4, len(log.read(4, 2**20, True).batches)) == [AbortedTransaction(0, 0, 4, 1)]
    assert log.aborted(5, len(log.read(5, 2**20, True).batches)) == []


def test_how_far_was_read_is_found_among_many_batches(log):
    """Each transaction is one record and its marker; a read tells of those that it reached into."""
    for number in range(200):
        append(log, data(number, 0, size=500))
        end(log, number, number % 2 == 0)
    for offset, max_bytes in ((0, 600), (0, 5_000), (37, 20_000), (38, 20_000), (150, 2**20), (399, 10)):
        batches = log.read(offset, max_bytes, True).batches
        stop = max(header.next_offset for header, _ in batches_of(batches))
        told = [entry.producer_id for entry in log.aborted(offset, len(batches))]
        assert told == [n for n in range(200) if n % 2 and 2 * n + 1 >= offset and 2 * n < stop]


def test_a_marker_of_who_has_nothing_open_aborts_nothing(log):
    end(log, 7, False)
    assert log.aborted(0, len(log.read(0, 2**20, True).batches)) == []
    assert (log.last_stable_offset, log.log_end_offset) == (1, 1)


def test_a_marker_fences_who_comes_with_an_older_epoch(log):
    append(log, data(1, 0))
    end(log, 1, False, epoch=1, coordinator_epoch=3)
    with pytest.raises(ProducerEpochStale):
        append(log, data(1, 1))
    with pytest.raises(ProducerEpochStale):
        end(log, 1, False, epoch=0)
    with pytest.raises(ProducerEpochStale):
        end(log, 1, False, epoch=1, must_bump=True)
    with pytest.raises(CoordinatorEpochStale):
        end(log, 1, False, epoch=1, coordinator_epoch=2)
    append(log, data(1, 0, epoch=1))


def test_a_producer_writes_nothing_beside_its_open_transaction(log):
    append(log, data(1, 0))
    with pytest.raises(TransactionStateInvalid):
        append(log, data(1, 1, is_transactional=False))


def test_an_entry_whose_marker_could_not_be_written_is_taken_back(log, monkeypatch):
    append(log, data(1, 0))
    segment = log.segments[-1]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(type(segment), "append", full)
        with pytest.raises(LogOffline):
            end(log, 1, False)
    assert (read_entries(segment.aborted.path), log.last_stable_offset) == ([], 0)
    append(log, data(1, 1))
    end(log, 1, False)
    assert read_entries(segment.aborted.path) == [AbortedTransaction(1, 0, 2, 3)]


@pytest.mark.parametrize("number", [1, 2])
def test_what_began_before_the_log_does_is_indexed_once_after_a_crash(tmp_path, number):
    """Of a transaction that another one was inside of the beginning is deleted; its entry stays in its place."""
    folder = LogFolder(tmp_path / "data")
    log = folder.open()
    append(log, data(1, 0))
    log.roll()
    append(log, data(1, 1))
    append(log, data(2, 0))
    end(log, 2, False)
    end(log, number, False)
    before = log.segments[-1].aborted.entries[:]
    log.roll()
    log.delete_before(1)
    log.let_go()
    again = folder.open(0, 1)
    found = read_entries(again.segments[0].aborted.path)
    assert [entry[:3] for entry in found] == [entry[:3] for entry in before]
    folder.close(again)
    assert folder.problems() == []


def test_what_began_before_the_log_does_is_not_aborted_by_a_marker_that_is_lost(tmp_path):
    folder = LogFolder(tmp_path / "data")
    log = folder.open()
    append(log, data(1, 0))
    log.roll()
    append(log, data(1, 1))
    log.roll()
    end(log, 1, False)
    log.delete_before(1)
    log.let_go()
    active = log.segments[-1].path(".log")
    active.write_bytes(active.read_bytes()[:-1])
    again = folder.open(0, 1)
    assert read_entries(again.segments[-1].aborted.path) == []
    end(again, 1, True)
    assert again.aborted(1, len(again.read(1, 2**20, True).batches)) == []


@pytest.mark.parametrize("commits", [False, True])
def test_an_entry_is_not_taken_for_that_of_another_marker_in_the_place_of_its_own(tmp_path, commits):
    folder = LogFolder(tmp_path / "data")
    log = folder.open()
    append(log, data(1, 0))
    log.roll()
    append(log, data(1, 1))
    log.delete_before(1)
    size = log.segments[-1].size
    end(log, 1, False)
    log.let_go()
    index, content = log.segments[-1].aborted.path, log.segments[-1].aborted.path.read_bytes()
    os.truncate(log.segments[-1].path(".log"), size)
    again = folder.open(0, 1)
    end(again, 1 if commits else 2, commits)
    again.let_go()
    index.write_bytes(content)
    assert read_entries(index) != []
    folder.close(folder.open(0, 1))
    assert read_entries(index) == []
    assert folder.problems() == []


def spoil(path: Path, how: str) -> None:
    content = path.read_bytes()
    path.write_bytes(
        {"cut": content[:-1], "missing": content[:-34], "other": b"\0\0" + b"\7" * 8 + content[10:]}[how]
    )


@pytest.mark.parametrize("how", ["cut", "missing", "other"])
def test_damage_to_the_index_is_found_by_the_check(folder, log, how):
    append(log, data(1, 0))
    end(log, 1, False)
    folder.close(log)
    assert folder.problems() == []
    spoil(log.segments[-1].aborted.path, how)
    assert {problem.path.suffix for problem in folder.problems()} == {".txnindex"}


@pytest.mark.parametrize("recovery_point", [None, 2])
def test_an_index_that_cannot_be_read_is_made_anew(folder, log, recovery_point):
    append(log, data(1, 0))
    end(log, 1, False)
    log.close()
    spoil(log.segments[-1].aborted.path, "cut")
    again = folder.open(recovery_point)
    assert again.aborted(0, len(again.read(0, 100, True).batches)) == [AbortedTransaction(1, 0, 1, 2)]


def test_the_index_is_not_needed_where_everything_is_checked(folder, log):
    append(log, data(1, 0))
    end(log, 1, False)
    log.close()
    log.segments[-1].aborted.path.unlink()
    again = folder.open(0)
    assert again.aborted(0, len(again.read(0, 100, True).batches)) == [AbortedTransaction(1, 0, 1, 2)]


def test_an_index_that_is_made_anew_has_each_transaction_once(tmp_path):
    """One began before the log and went on in it."""
    folder = LogFolder(tmp_path / "data", Settings(segment_bytes=400))
    log = folder.open()
    for number in range(6):
        append(log, data(1, number, size=100))
    end(log, 1, False)
    append(log, data(2, 0))
    end(log, 2, False)
    log.delete_before(2)
    size = len(log.read(2, 10_000, True).batches)
    told = log.aborted(2, size)
    assert len(told) == 1
    folder.close(log)
    for recovery_point in (0, 4, log.log_end_offset):
        again = folder.open(recovery_point, 2)
        assert again.aborted(2, size) == told
        folder.close(again)
        assert folder.problems() == []


def test_an_entry_whose_marker_was_lost_goes_though_there_is_nothing_else_to_recover(folder, log):
    append(log, data(1, 0))
    folder.close(log)
    log = folder.open()
    size = log.size_bytes
    end(log, 1, False)
    log.let_go()
    os.truncate(log.segments[-1].path(".log"), size)
    again = folder.open(1)
    assert (again.log_end_offset, read_entries(again.segments[-1].aborted.path)) == (1, [])
    folder.close(again)
    assert folder.problems() == []


def test_the_index_of_what_was_synced_is_left_alone_when_a_snapshot_is_lost(folder, log):
    append(log, data(1, 0))
    end(log, 1, False)
    folder.close(log)
    index = log.segments[-1].aborted.path
    before = index.stat()
    for snapshot in folder.partition.glob("*.snapshot"):
        snapshot.unlink()
    again = folder.open()
    again.let_go()
    assert (index.stat().st_ino, index.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_snapshot_from_before_the_log_opens_no_transaction(tmp_path):
    """Its segment was deleted with the marker; its own name came back with the power, newer snapshots did not."""
    folder = LogFolder(tmp_path / "data", Settings(segment_bytes=400))
    log = folder.open()
    append(log, data(1, 0, size=300))
    append(log, data(2, 0, size=300))
    kept = {name: content for name, content in folder.files().items() if name.endswith(".snapshot")}
    end(log, 1, False)
    for number in range(1, 6):
        append(log, data(2, number, size=300))
    end(log, 2, True)
    log.delete_before(6)
    log.let_go()
    left = {name: content for name, content in folder.files().items() if not name.endswith(".snapshot")}
    folder.restore(left | kept)
    again = folder.open(6, 6)
    assert again.last_stable_offset == again.log_end_offset
    again.let_go()


def test_a_log_that_lost_all_behind_what_was_deleted_knows_no_producers(tmp_path):
    """Their transactions may have been ended by what was lost (Kafka's LogLoader)."""
    folder = LogFolder(tmp_path / "data", Settings(segment_bytes=400))
    log = folder.open()
    append(log, data(1, 0))
    log.let_go()
    again = folder.open(0, 5)
    assert (again.log_start_offset, again.log_end_offset, again.last_stable_offset) == (5, 5, 5)
    assert not again.producers.entries
    again.let_go()


def test_a_snapshot_that_is_written_again_knows_nothing_of_what_is_behind_it(tmp_path):
    folder = LogFolder(tmp_path / "data", Settings(segment_bytes=400))
    log = folder.open()
    append(log, batch(size=300))
    for number in range(2):
        append(log, data(1, number, size=100))
    log.let_go()
    assert [segment.base_offset for segment in log.segments] == [0, 1]
    folder.open(0).let_go()
    assert [path.stem for path in log.directory.glob("*.snapshot")] == [f"{3:020d}"]


@pytest.mark.parametrize("is_synced", [True, False])
def test_what_is_open_is_remembered_when_its_beginning_is_deleted_between_two_crashes(tmp_path, is_synced):
    """The snapshots of what was not synced at the first are not trusted, and there must be another at the second."""
    folder = LogFolder(tmp_path / "data", Settings(segment_bytes=400))
    log = folder.open()
    append(log, data(1, 0, size=100))
    for number in range(6):
        append(log, data(2, number, size=300))
    log.let_go()
    log = folder.open(1)
    if is_synced:
        sync(log)
    log.delete_before(3)
    log.let_go()
    again = folder.open(log.recovery_point, 3)
    assert (again.last_stable_offset, set(again.producers.open)) == (3, {1, 2})
    again.let_go()


def test_a_segment_does_not_take_over_the_index_of_one_that_was_put_aside(tmp_path):
    folder = LogFolder(tmp_path / "data", Settings(segment_bytes=400))
    log = folder.open()
    for number in range(6):
        append(log, data(1, number, size=100))
        end(log, 1, False)
    log.let_go()
    damaged = log.segments[1].path(".log")
    content = bytearray(damaged.read_bytes())
    content[70] ^= 1
    damaged.write_bytes(content)
    again = folder.open(0)
    for number in range(8):
        append(again, data(2, number, size=100))
        end(again, 2, True)
    for offset in range(again.segments[1].base_offset, again.log_end_offset):
        assert again.aborted(offset, len(again.read(offset, 2**20, True).batches)) == []


@pytest.mark.parametrize(
    "content",
    [b"x", b"\0" * 35, b"\xff" * 34, (b"\0\0" + b"\0" * 32) * 2, bytes(34)],
    ids=["short", "long", "version", "order", "zeros"],
)
def test_a_file_that_is_no_transaction_index(tmp_path, content):
    path = tmp_path / "0.txnindex"
    path.write_bytes(content)
    with pytest.raises(IndexCorrupt):
        _ = TransactionIndex(path).entries


PRODUCERS = st.integers(0, 3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("data"), PRODUCERS),
        st.tuples(st.just("commit"), PRODUCERS),
        st.tuples(st.just("abort"), PRODUCERS),
        st.tuples(st.sampled_from(["reopen", "crash", "flush", "read"]), st.just(0)),
    ),
    max_size=60,
)


@given(steps=STEPS, segment_bytes=st.sampled_from([300, 1000, 10**6]))
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_reader_sees_what_a_list_says_it_should(steps, segment_bytes):
    """``decided``: each record's fate, None while it is open; the reader drops what it is told was aborted."""
    with tempfile.TemporaryDirectory() as name:
        folder = LogFolder(Path(name) / "data", Settings(segment_bytes=segment_bytes))
        log = folder.open()
        sequences = dict.fromkeys(range(4), 0)
        began: dict[int, int] = {}
        decided: dict[int, bool | None] = {}
        owner: dict[int, int] = {}
        for what, producer in [*steps, ("crash", 0), ("read", 0)]:
            match what:
                case "data":
                    offset = append(log, data(producer, sequences[producer], size=30)).base_offset
                    sequences[producer] += 1
                    began.setdefault(producer, offset)
                    decided[offset], owner[offset] = None, producer
                case "commit" | "abort":
                    end(log, producer, what == "commit")
                    if producer in began:
                        for offset in decided:
                            if owner[offset] == producer and decided[offset] is None:
                                decided[offset] = what == "commit"
                        del began[producer]
                case "flush":
                    sync(log)
                    log.checkpoint()
                case "reopen":
                    log.close()
                    log = folder.open()
                case "crash":
                    recovery_point = log.recovery_point
                    log.let_go()
                    log = folder.open(recovery_point)
            stable = min(began.values(), default=log.log_end_offset)
            assert log.last_stable_offset == stable
            for start in {0, stable // 2}:
                seen = committed_from(log, start, stable)
                assert seen == [offset for offset, fate in decided.items() if fate and start <= offset < stable]
        folder.close(log)
        assert folder.problems() == []


def committed_from(log: Any, offset: int, end_offset: int) -> list[int]:
    """Read as a consumer at read_committed does: drop batches of aborted producers until their markers."""
    seen = []
    while offset < end_offset:
        batches = log.read(offset, 200, True, end_offset).batches
        aborted = sorted(log.aborted(offset, len(batches)), key=lambda entry: entry.first_offset)
        dropped: set[int] = set()
        for header, _ in batches_of(batches):
            while aborted and aborted[0].first_offset <= header.last_offset:
                dropped.add(aborted.pop(0).producer_id)
            if header.is_control:
                dropped.discard(header.producer_id)
            elif header.producer_id not in dropped and header.base_offset >= offset:
                seen.append(header.base_offset)
            offset = max(offset, header.next_offset)
    return seen
