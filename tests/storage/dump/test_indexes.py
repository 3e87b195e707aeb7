"""``barnabas dump`` of indexes: each entry, and what does not agree with the segment beside it."""

import struct
from pathlib import Path

import pytest
from support.dumps import dumped, filled, only, preallocated, reasons
from support.logs import START_MS, LogFolder

from barnabas.storage.aborted import AbortedTransaction
from barnabas.storage.dump import OffsetEntry, Preallocated, Problem, TimeEntry
from barnabas.storage.index import OffsetIndex, TimeIndex

BASE = 12  # of the second segment; its timestamps begin with START_MS + 6


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    return filled(tmp_path / "data")


@pytest.fixture
def offsets(folder: LogFolder) -> Path:
    return folder.partition / f"{BASE:020d}.index"


@pytest.fixture
def times(folder: LogFolder) -> Path:
    return folder.partition / f"{BASE:020d}.timeindex"


def write_offsets(path: Path, *entries: tuple[int, int], tail: bytes = b"") -> None:
    path.write_bytes(b"".join(struct.pack(">ii", *entry) for entry in entries) + tail)


def write_times(path: Path, *entries: tuple[int, int], tail: bytes = b"") -> None:
    path.write_bytes(b"".join(struct.pack(">qi", START_MS + more, offset) for more, offset in entries) + tail)


def test_all_entries_are_shown(offsets, times):
    index, time_index = OffsetIndex.load(offsets, 690), TimeIndex.load(times)

    found = only(OffsetEntry, dumped(offsets))
    assert len(found) == 5
    assert found == [(at, BASE + at, position) for at, position in zip(index.offsets, index.positions, strict=True)]
    found_times = only(TimeEntry, dumped(times))
    assert len(found_times) == 5
    assert found_times == [
        (timestamp, at, BASE + at) for timestamp, at in zip(time_index.timestamps, time_index.offsets, strict=True)
    ]


def test_indexes_that_the_log_wrote_agree_with_it(folder):
    assert reasons(dumped(folder.partition, verify=True)) == []


def test_room_for_more_entries_is_no_damage(offsets, times):
    for path, layout in ((offsets, 8), (times, 12)):
        with path.open("ab") as file:
            file.write(bytes(layout * 100 + 4))
        entries = dumped(path, verify=True)
        assert reasons(entries) == []
        assert preallocated(entries) == [Preallocated(5 * layout, layout * 100 + 4)]
        path.write_bytes(bytes(layout * 100))
        assert preallocated(dumped(path)) == [Preallocated(0, layout * 100)]


def test_zeros_in_the_middle_are_entries_that_do_not_rise(offsets):
    write_offsets(offsets, (3, 115), (0, 0), (0, 0), (5, 230))
    entries = dumped(offsets, verify=True)
    assert [one.relative_offset for one in only(OffsetEntry, entries)] == [3, 0, 0, 5]
    assert reasons(entries) == ["the entries do not rise above 3 at position 115"] * 2


def test_the_only_entry_of_a_time_index_may_be_about_the_year_1970(times):
    times.write_bytes(bytes(12))
    assert only(TimeEntry, dumped(times)) == [(0, 0, BASE)]


@pytest.mark.parametrize("entry", [(3, 115), (2, 230), (-1, -1), (-5, 400)])
def test_offset_entries_that_do_not_rise_are_damage_without_a_look_at_the_log(offsets, entry):
    write_offsets(offsets, (3, 115), entry, (7, 345))
    (problem,) = only(Problem, dumped(offsets))
    assert (problem.position, problem.bytes_left) == (8, None)


@pytest.mark.parametrize("entry", [(7, 3), (8, 2), (-(2**40), 5), (8, -1)])
def test_time_entries_that_do_not_rise_are_damage_without_a_look_at_the_log(times, entry):
    write_times(times, (7, 3), entry, (9, 7))
    (problem,) = only(Problem, dumped(times))
    assert problem.position == 12


def test_an_offset_entry_that_names_another_batch_or_none_is_found(offsets):
    write_offsets(offsets, (3, 115), (4, 230), (7, 346), (9, 460), (11, 690))
    entries = dumped(offsets)
    assert reasons(entries) == []
    entries = dumped(offsets, verify=True)
    assert [(one.position, one.reason) for one in only(Problem, entries)] == [
        (8, f"the batch at position 230 ends with offset {BASE + 5}"),
        (16, "no batch begins at position 346 of the segment"),
        (32, "no batch begins at position 690 of the segment"),
    ]


def test_every_other_value_of_an_offset_entry_is_found(offsets):
    for relative_offset in range(1, 12):
        for position in range(0, 690, 5):
            write_offsets(offsets, (relative_offset, position))
            is_right = position == 115 * (relative_offset // 2) and relative_offset % 2 == 1
            assert bool(reasons(dumped(offsets, verify=True))) is not is_right


def test_a_time_entry_that_no_batch_has_is_found(times):
    write_times(times, (7, 3), (9, 4), (10, 8), (11, 12))
    assert reasons(dumped(times)) == []
    assert reasons(dumped(times, verify=True)) == [
        f"the max timestamp of the batch with offset {BASE + 4} is {START_MS + 8}",
        f"no batch of the segment has offset {BASE + 12}",
    ]


def test_an_index_without_its_segment_cannot_be_compared(offsets, times):
    offsets.with_suffix(".log").unlink()
    for path in (offsets, times):
        entries = dumped(path, verify=True)
        assert reasons(entries) == [f"cannot be compared with {BASE:020d}.log: No such file or directory"]
        assert len(only(OffsetEntry, entries)) + len(only(TimeEntry, entries)) == 5


def test_an_index_whose_name_says_no_offset_is_shown_but_not_compared(offsets):
    path = offsets.rename(offsets.with_name("copy.index"))
    assert [one.offset for one in only(OffsetEntry, dumped(path))] == [None] * 5
    assert "cannot be compared" in reasons(dumped(path, verify=True))[0]


@pytest.mark.parametrize("ending", [".deleted", ".swap", ".cleaned"])
def test_an_index_is_compared_with_the_segment_in_the_same_state(offsets, ending):
    log = offsets.with_suffix(".log")
    renamed = offsets.rename(f"{offsets}{ending}")
    assert "cannot be compared" in reasons(dumped(renamed, verify=True))[0]
    log.rename(f"{log}{ending}")
    assert reasons(dumped(renamed, verify=True)) == []
    assert len(only(OffsetEntry, dumped(renamed))) == 5


def test_what_is_no_whole_entry_is_damage(offsets, times):
    for path, layout in ((offsets, 8), (times, 12)):
        path.write_bytes(path.read_bytes() + b"\1" * (layout - 1))
        (problem,) = only(Problem, dumped(path, verify=True))
        assert (problem.position, problem.bytes_left) == (5 * layout, layout - 1)


def test_aborted_transactions_are_shown(offsets):
    path = offsets.with_suffix(".txnindex")
    path.write_bytes(struct.pack(">hqqqq", 0, 7, 1, 5, 2) + struct.pack(">hqqqq", 0, 8, 2, 9, 10))
    entries = dumped(path)
    assert only(AbortedTransaction, entries) == [(7, 1, 5, 2), (8, 2, 9, 10)]
    assert reasons(entries) == []


def test_aborted_transactions_that_make_no_sense_are_damage(offsets):
    path = offsets.with_suffix(".txnindex")
    rows = [(0, 7, 1, 5, 2), (1, 7, 6, 7, 8), (0, 7, 9, 8, 9), (0, 7, 3, 8, 9)]
    path.write_bytes(b"".join(struct.pack(">hqqqq", *row) for row in rows) + b"?")
    entries = dumped(path)
    assert len(only(AbortedTransaction, entries)) == 4
    assert [(one.position // 34, one.reason) for one in only(Problem, entries)] == [
        (1, "the entry has version 1, only 0 is known"),
        (2, "the transaction ends before it begins"),
        (3, "the entries do not rise above last offset 8"),
        (4, "the last 1 bytes are no whole entry"),
    ]


def test_an_index_full_of_zeros_and_ones_takes_no_longer_than_its_size(tmp_path):
    # Each zero could be the beginning of the unused room; so it is looked for again and again.
    path = tmp_path / f"{0:020d}.index"
    path.write_bytes((bytes(8) + b"\1" * 8) * 10_000 + bytes(8 * 20_000) + b"\1" * 8)
    assert len(only(OffsetEntry, dumped(path))) == 40_001
