"""What compaction keeps of a log, rule by rule. ``test_compacted_log`` has all of them at once."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from support.compacting import Pair, carry_out, compacted, end, keyed_batch, pairs_in, plan_for, take_over
from support.logs import START_MS, LogFolder, Settings, append, batches_of, read_all, sync

from barnabas.protocol.records import BatchCorrupt, Codec, read_header
from barnabas.storage.aborted import AbortedTransaction, read_entries
from barnabas.storage.clock import ManualClock
from barnabas.storage.compaction import KEY_BYTES_MAX, KEY_OVERHEAD_BYTES, Cleaned
from barnabas.storage.errors import LogCorrupt
from barnabas.storage.segments import SegmentedLog

A, B, C = b"a", b"b", b"c"
NOW = START_MS + 10_000


@pytest.fixture
def folder(tmp_path: Any) -> LogFolder:
    return LogFolder(tmp_path / "data", Settings(is_compacted=True), ManualClock(START_MS))


@pytest.fixture
def log(folder: LogFolder) -> Iterator[SegmentedLog]:
    """Closed and checked at the end, so that whatever was done to it, its files are in order."""
    log = folder.open()
    yield log
    if log.offline is None:
        folder.close(log)
        assert folder.problems() == []
    log.let_go()


def write(log: SegmentedLog, *pairs: Pair, **options: Any) -> int:
    return append(log, keyed_batch(*pairs, timestamp=options.pop("timestamp", START_MS), **options)).base_offset


def transact(log: SegmentedLog, producer_id: int, sequence: int, *pairs: Pair) -> int:
    return write(
        log, *pairs, producer_id=producer_id, producer_epoch=0, base_sequence=sequence, is_transactional=True
    )


def roll(log: SegmentedLog) -> None:
    """Begin a new segment; what was written before may be compacted."""
    log.roll()
    sync(log)


def kept(log: SegmentedLog) -> list[int]:
    return [offset for offset, _, _ in pairs_in(log)]


def batches(log: SegmentedLog) -> list[tuple[int, int, int]]:
    """First and last offset of each batch, and how many records it has."""
    found = [header for content in read_all(log) for header, _ in batches_of(content)]
    return [(header.base_offset, header.last_offset, header.records_count) for header in found]


def entries(log: SegmentedLog, number: int = 0) -> list[AbortedTransaction]:
    """What is in the file of aborted transactions of a segment, which must be what the log knows."""
    segment = log.segments[number]
    found = read_entries(segment.aborted.path)
    assert segment.aborted.entries == found
    return found


# Records


@pytest.mark.parametrize(
    ("written", "stays"),
    [
        ([(A, b"1"), (A, b"2"), (A, b"3")], [2]),
        ([(A, b"1"), (B, b"2"), (A, b"3"), (C, b"4"), (B, b"5")], [2, 3, 4]),
        ([(A, b"1"), (None, b"2"), (B, b"3")], [0, 2]),
        ([(b"", b"1"), (b"", b"2")], [1]),
        ([(A, b"1"), (A, None)], [1]),
        ([(A, None), (A, b"1")], [1]),
        ([(b"x" * 100, b"1"), (b"x" * 100 + b"y", b"2"), (b"x" * 100, b"3")], [1, 2]),
        ([(A, b"")], [0]),
    ],
)
@pytest.mark.parametrize("batch_records", [1, 2, 10])
def test_of_each_key_the_last_record_stays(log, written, stays, batch_records):
    for at in range(0, len(written), batch_records):
        write(log, *written[at : at + batch_records])
    roll(log)
    assert compacted(log, NOW).clean_offset == len(written)
    assert kept(log) == stays


def test_keys_that_are_longer_than_their_digests_are_told_apart(log):
    for size in (KEY_BYTES_MAX, KEY_BYTES_MAX + 1, KEY_BYTES_MAX + 2):
        write(log, (b"k" * size, b"1"), (b"k" * size, b"2"))
    roll(log)
    compacted(log, NOW)
    assert kept(log) == [1, 3, 5]


@pytest.mark.parametrize("codec", list(Codec))
def test_a_batch_keeps_its_codec_and_its_offsets(log, codec):
    write(log, (A, b"1" * 100), (B, b"2" * 100), (C, b"3" * 100), codec=codec)
    write(log, (A, b"4"), (C, b"5"), codec=codec)
    roll(log)
    compacted(log, NOW)
    assert batches(log) == [(0, 2, 1), (3, 4, 2)]
    assert {read_header(content).codec for content in read_all(log)} == {codec}


def test_the_growing_segment_stays_and_does_not_count(log):
    write(log, (A, b"1"))
    roll(log)
    write(log, (A, b"2"))
    compacted(log, NOW)
    assert kept(log) == [0, 1]


def test_what_was_compacted_gives_way_to_what_comes_later(log):
    write(log, (A, b"1"), (B, b"1"))
    roll(log)
    clean = compacted(log, NOW).clean_offset
    write(log, (A, b"2"))
    roll(log)
    assert compacted(log, NOW, dirty_offset=clean).clean_offset == 3
    assert kept(log) == [1, 2]


# Tombstones (KIP-534)


def test_tombstones_stay_for_delete_retention_ms_after_they_were_first_compacted(log):
    write(log, (A, b"1"), (B, b"1"))
    write(log, (A, None), (B, b"2"))
    roll(log)
    for now_ms, stays in ((NOW, [2, 3]), (NOW + 999, [2, 3]), (NOW + 1000, [3])):
        compacted(log, now_ms, dirty_offset=4 if now_ms > NOW else 0, delete_retention_ms=1000)
        assert kept(log) == stays
        (batch,) = read_all(log)
        assert read_header(batch).delete_horizon_ms == NOW + 1000


def test_a_tombstone_of_a_batch_that_has_a_horizon_keeps_it_whatever_the_setting_becomes(log):
    write(log, (A, None), (B, b"1"))
    roll(log)
    compacted(log, NOW, delete_retention_ms=1000)
    compacted(log, NOW + 10, delete_retention_ms=10**9)
    assert read_header(read_all(log)[0]).delete_horizon_ms == NOW + 1000
    compacted(log, NOW + 1000, delete_retention_ms=10**9)
    assert kept(log) == [1]


def test_without_delete_retention_a_tombstone_goes_the_second_time(log):
    write(log, (A, None), (B, b"1"))
    roll(log)
    compacted(log, NOW, delete_retention_ms=0)
    assert kept(log) == [0, 1]
    compacted(log, NOW, delete_retention_ms=0)
    assert kept(log) == [1]


# Memory


def test_without_memory_one_batch_is_compacted_at_a_time(log):
    for number in range(4):
        write(log, (A, b"%d" % number), (B, b"x"))
    roll(log)
    dirty, seen = 0, []
    while dirty < 8:
        dirty = compacted(log, NOW, dirty_offset=dirty, memory_bytes=0).clean_offset
        seen.append((dirty, kept(log)))
    assert seen == [
        (2, list(range(8))),
        (4, list(range(2, 8))),
        (6, list(range(4, 8))),
        (8, [6, 7]),
    ]


def test_keys_are_learned_as_far_as_memory_goes_and_what_lies_behind_stays(log):
    for number in range(10):
        write(log, (b"%08d" % (number % 5), b"x"))
        if number == 6:
            roll(log)
    roll(log)
    cleaned, outcome = steps = [*carry_out(plan_for(log, NOW, memory_bytes=3 * (KEY_OVERHEAD_BYTES + 8)))]
    assert (cleaned, outcome.clean_offset) == (Cleaned([0]), 3)
    assert take_over(log, steps)
    assert kept(log) == list(range(10))
    assert compacted(log, NOW, dirty_offset=3).clean_offset == 10
    assert kept(log) == [5, 6, 7, 8, 9]


# Segments


def segments(log: SegmentedLog) -> list[int]:
    return [segment.base_offset for segment in log.segments]


def test_neighbours_become_one_segment_as_long_as_they_would_fit_if_nothing_went(log):
    for number in range(6):
        write(log, (b"%d" % number, b"x" * 300))
        roll(log)
    size = log.segments[0].size
    log.settings.segment_bytes = 3 * size - 1
    compacted(log, NOW)
    assert segments(log) == [0, 2, 4, 6]
    log.settings.segment_bytes = 10 * size
    compacted(log, NOW)
    assert segments(log) == [0, 6]
    assert kept(log) == list(range(6))


def test_segments_become_one_as_long_as_their_indexes_fit(log):
    log.settings.index_interval_bytes = 1
    for number in range(12):
        write(log, (b"%d" % number, b"x" * 300), timestamp=START_MS + number)
        if number % 3 == 2:
            roll(log)
    assert len(log.segments[0].index.offsets) == 2
    log.settings.segment_index_bytes = 8 * 4
    compacted(log, NOW)
    assert segments(log) == [0, 6, 12]


def test_segments_become_one_as_long_as_their_offsets_fit_into_an_index(log):
    far = 2**31 - 1
    for base in (0, 10, far, far + 1):
        log.log_end_offset = base
        log.roll() if base else None
        write(log, (b"%d" % base, b"x"))
    log.roll()
    sync(log)
    compacted(log, NOW)
    assert segments(log) == [0, far + 1, far + 2]
    assert kept(log) == [0, 10, far, far + 1]


def test_the_end_of_a_segment_is_there_though_its_records_are_not(folder, log):
    write(log, (A, b"1"))
    write(log, (A, b"2"))
    roll(log)
    write(log, (A, b"3"))
    roll(log)
    log.settings.segment_bytes = 10
    compacted(log, NOW)
    assert batches(log) == [(1, 1, 0), (2, 2, 1)]
    log.settings.segment_bytes = 2**20
    compacted(log, NOW)
    assert batches(log) == [(2, 2, 1)]
    assert (log.log_start_offset, segments(log)) == (0, [0, 3])
    folder.close(log)
    assert folder.open().log_end_offset == 3


def test_a_cleaned_segment_is_as_old_as_the_last_of_those_it_stands_for(log):
    for number in range(3):
        write(log, (A, b"%d" % number))
        roll(log)
        os.utime(log.segments[number].path(".log"), (1000 + number, 1000 + number))
    compacted(log, NOW)
    assert os.stat(log.segments[0].path(".log")).st_mtime == 1002


def test_the_files_that_are_left_are_those_of_the_log(folder, log):
    for number in range(3):
        transact(log, 1, number, (A, b"%d" % number))
        end(log, 1, False, START_MS)
        roll(log)
    compacted(log, NOW)
    names = {path.name for path in folder.partition.iterdir()}
    base = f"{0:020d}"
    assert {name for name in names if name.startswith(base)} == {
        f"{base}{suffix}" for suffix in (".log", ".index", ".timeindex", ".txnindex")
    }
    assert not [name for name in names if name.endswith((".cleaned", ".swap", ".deleted"))]


def test_the_indexes_of_a_cleaned_segment_find_what_is_in_it(folder, log):
    log.settings.index_interval_bytes = 100
    for number in range(60):
        write(log, (b"%d" % (number % 37), b"x" * 90), timestamp=START_MS + number)
    roll(log)
    compacted(log, NOW)
    stays = list(range(23, 60))
    for offset in range(60):
        header = read_header(log.read(offset, 1, True).batches)
        assert header.base_offset == next(o for o in stays if o >= offset)
        found = log.batch_at_or_after(START_MS + offset)
        assert found is not None
        assert read_header(found).base_offset == header.base_offset
    folder.close(log)
    assert len(log.segments[0].index.offsets) > 10
    again = folder.open()
    assert [read_header(content).base_offset for content in read_all(again)] == stays
    again.let_go()


def test_a_batch_that_was_emptied_is_not_what_a_timestamp_stands_for(log):
    write(log, (A, b"1"), timestamp=START_MS + 50, producer_id=1, producer_epoch=0, base_sequence=0)
    write(log, (A, b"2"), timestamp=START_MS + 40)
    roll(log)
    write(log, (A, b"3"), timestamp=START_MS + 60)
    compacted(log, NOW)
    assert batches(log) == [(0, 0, 0), (1, 1, 1), (2, 2, 1)]
    found = log.batch_at_or_after(START_MS + 45)
    assert found is not None
    assert read_header(found).base_offset == 2


# Damage


def test_what_was_damaged_on_the_disk_does_not_get_a_new_checksum(log):
    write(log, (A, b"1"), (B, b"unharmed"))
    write(log, (A, b"2"))
    roll(log)
    path = log.segments[0].path(".log")
    sound = path.read_bytes()
    path.write_bytes(sound.replace(b"unharmed", b"un!armed"))
    with pytest.raises(BatchCorrupt, match="CRC"):
        compacted(log, NOW)
    path.write_bytes(sound)


def test_a_segment_that_ends_in_a_mess_is_not_compacted(log):
    write(log, (A, b"1"))
    roll(log)
    path = log.segments[0].path(".log")
    sound = path.read_bytes()
    path.write_bytes(sound + b"rest")
    with pytest.raises(LogCorrupt, match="no batch at position"):
        compacted(log, NOW)
    path.write_bytes(sound)
