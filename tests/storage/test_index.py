"""The index files, byte for byte as Kafka's OffsetIndex and TimeIndex have them."""

import struct
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.logs import LogFolder, Settings, append, batch, sync

from barnabas.protocol.records import headers
from barnabas.storage.index import IndexCorrupt, OffsetIndex, TimeEntry, TimeIndex

RISING = st.lists(st.integers(1, 2**31 - 1), max_size=20, unique=True).map(sorted)


@given(offsets=RISING, positions=RISING)
def test_an_offset_entry_is_two_int32(tmp_path_factory, offsets, positions):
    index = OffsetIndex()
    pairs = list(zip(offsets, positions, strict=False))
    for offset, position in pairs:
        index.append(offset, position)
    assert index.encode() == b"".join(struct.pack(">ii", *pair) for pair in pairs)
    path = tmp_path_factory.getbasetemp() / "an.index"
    path.write_bytes(index.encode())
    again = OffsetIndex.load(path, 2**31)
    assert (again.offsets, again.positions) == (index.offsets, index.positions)


@given(timestamps=st.lists(st.integers(0, 2**63 - 1), max_size=20), offsets=RISING)
def test_a_time_entry_is_an_int64_and_an_int32_and_later_than_the_one_before(tmp_path_factory, timestamps, offsets):
    index = TimeIndex()
    wanted: list[tuple[int, int]] = []
    for timestamp, offset in zip(timestamps, offsets, strict=False):
        index.append(timestamp, offset)
        if not wanted or timestamp > wanted[-1][0]:
            wanted.append((timestamp, offset))
    assert index.encode() == b"".join(struct.pack(">qi", *entry) for entry in wanted)
    path = tmp_path_factory.getbasetemp() / "a.timeindex"
    path.write_bytes(index.encode())
    again = TimeIndex.load(path)
    assert (again.timestamps, again.offsets) == (index.timestamps, index.offsets)
    assert index.last() == (wanted[-1] if wanted else None)


def test_no_timestamp_is_not_indexed():
    index = TimeIndex()
    index.append(-1, 5)
    assert index.encode() == b""


def segment_files(folder: LogFolder, base_offset: int) -> tuple[bytes, bytes, bytes]:
    paths = [folder.partition / f"{base_offset:020d}.{kind}" for kind in ("log", "index", "timeindex")]
    return paths[0].read_bytes(), paths[1].read_bytes(), paths[2].read_bytes()


def kafkas_indexes(log: bytes, base_offset: int, interval: int) -> tuple[bytes, bytes]:
    """What LogSegment.append and onBecomeInactiveSegment write, in the words of Kafka's source."""
    index, times = b"", b""
    bytes_since_last_index_entry = 0
    max_timestamp_so_far, offset_of_max_timestamp = -1, -1
    last_timestamp = -1
    for physical_position, header in headers(log):
        if header.max_timestamp > max_timestamp_so_far:
            max_timestamp_so_far, offset_of_max_timestamp = header.max_timestamp, header.last_offset
        if bytes_since_last_index_entry > interval:
            index += struct.pack(">ii", header.last_offset - base_offset, physical_position)
            if max_timestamp_so_far > last_timestamp:
                times += struct.pack(">qi", max_timestamp_so_far, offset_of_max_timestamp - base_offset)
                last_timestamp = max_timestamp_so_far
            bytes_since_last_index_entry = 0
        bytes_since_last_index_entry += header.size_bytes
    if max_timestamp_so_far > last_timestamp:
        times += struct.pack(">qi", max_timestamp_so_far, offset_of_max_timestamp - base_offset)
    return index, times


@pytest.mark.parametrize("interval", [0, 100, 4096])
def test_a_segment_gets_the_entries_that_kafka_gives_it_and_a_last_time_entry_when_it_rolls(tmp_path, interval):
    folder = LogFolder(tmp_path / "data", Settings(segment_bytes=20_000, index_interval_bytes=interval))
    log = folder.open()
    for number in range(120):
        append(log, batch(1 + number % 3, 10 + number * 7, 10_000 + (number * 37) % 100))
    sync(log)
    bases = [segment.base_offset for segment in log.segments]
    assert len(bases) > 2
    for base in bases[:-1]:
        content, index, times = segment_files(folder, base)
        assert (index, times) == kafkas_indexes(content, base, interval)
    folder.close(log)
    content, index, times = segment_files(folder, bases[-1])
    assert (index, times) == kafkas_indexes(content, bases[-1], interval)


def test_zeros_that_kafka_preallocates_are_tolerated(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(struct.pack(">iiii", 5, 100, 9, 200) + bytes(8 * 100))
    index = OffsetIndex.load(path, 300)
    assert (list(index.offsets), list(index.positions)) == ([5, 9], [100, 200])
    path.write_bytes(struct.pack(">qiqi", 1000, 5, 2000, 9) + bytes(12 * 100))
    assert TimeIndex.load(path).last() == TimeEntry(2000, 9)


def test_a_segment_whose_indexes_have_zero_tails_is_opened_after_a_clean_stop_and_after_a_crash(tmp_path):
    folder = LogFolder(tmp_path / "data", Settings(index_interval_bytes=100))
    log = folder.open()
    for number in range(20):
        append(log, batch(1, 50, 1000 + number))
    folder.close(log)
    for kind, entry in (("index", 8), ("timeindex", 12)):
        path = folder.partition / f"{0:020d}.{kind}"
        path.write_bytes(path.read_bytes() + bytes(entry * 50))
    for recovery_point in (None, 0, 10, 20):
        log = folder.open(recovery_point)
        assert log.log_end_offset == 20
        found = log.batch_at_or_after(1011)
        assert found is not None
        assert dict(headers(found))[0].base_offset == 11
        log.let_go()


@pytest.mark.parametrize(
    "entries",
    [[(5, 100), (5, 200)], [(5, 100), (4, 200)], [(5, 100), (6, 100)], [(-1, 100)], [(5, -100)], [(5, 1000)]],
)
def test_an_offset_index_that_makes_no_sense_is_refused(tmp_path: Path, entries):
    path = tmp_path / "file"
    path.write_bytes(b"".join(struct.pack(">ii", *entry) for entry in entries))
    with pytest.raises(IndexCorrupt):
        OffsetIndex.load(path, 1000)


@pytest.mark.parametrize("entries", [[(5, 1), (5, 2)], [(5, 1), (4, 2)], [(5, 3), (6, 2)], [(-5, 1)]])
def test_a_time_index_that_makes_no_sense_is_refused(tmp_path: Path, entries):
    path = tmp_path / "file"
    path.write_bytes(b"".join(struct.pack(">qi", *entry) for entry in entries))
    with pytest.raises(IndexCorrupt):
        TimeIndex.load(path)


@given(offsets=RISING, asked=st.integers(0, 2**31 - 1))
def test_truncating_and_counting_agree_with_a_list(offsets, asked):
    index = OffsetIndex()
    for offset in offsets:
        index.append(offset, offset)
    assert index.count_up_to_offset(asked) == index.count_up_to_position(asked) == sum(o <= asked for o in offsets)
    index.truncate(asked)
    assert list(index.offsets) == [offset for offset in offsets if offset < asked]
    assert all(a < b for a, b in pairwise(index.offsets))
