"""``barnabas dump`` of segments: the batches and records that were written, and those that were asked for."""

import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.dumps import batches, dumped, filled, only, packed, reasons, records, segment
from support.logs import START_MS, LogFolder, batch

from barnabas.protocol.records import (
    BatchHeader,
    Codec,
    Record,
    TimestampType,
    build_batch,
    end_transaction_marker,
    headers,
)
from barnabas.storage.dump import Preallocated, Problem

FIRST = f"{0:020d}"


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    return filled(tmp_path / "data")


def expected_batches(folder: LogFolder) -> Iterator[tuple[int, BatchHeader]]:
    for path in sorted(folder.partition.glob("*.log")):
        yield from headers(path.read_bytes())


def test_every_batch_of_the_log_is_shown_with_what_its_header_says(folder):
    entries = dumped(folder.partition)

    assert reasons(entries) == []
    found = batches(entries)
    assert len(found) == 20
    for shown, (position, header) in zip(found, expected_batches(folder), strict=True):
        assert shown == (
            position,
            header.size_bytes,
            header.base_offset,
            header.last_offset,
            2,
            0,
            1,
            0,
            header.base_sequence,
            header.base_sequence + 1,
            "CreateTime",
            header.base_timestamp,
            header.max_timestamp,
            "none",
            False,
            False,
            None,
            header.crc,
            True,
        )


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("timestamp_type", list(TimestampType))
def test_the_records_are_those_that_were_written(tmp_path, codec, timestamp_type):
    written = [
        Record(0, START_MS, b"key", b"value" * 50, [("a", b"\xff"), ("\udc80", None), ("a", b"")]),
        Record(1, START_MS - 5, None, b""),
        Record(4, START_MS + 5, b"", None),
    ]
    content = build_batch(
        written, codec=codec, timestamp_type=timestamp_type, base_sequence=2**31 - 2, producer_id=5, producer_epoch=1
    )
    path = segment(tmp_path / f"{FIRST}.log", content)

    entries = dumped(path, records=True)

    assert reasons(entries) == []
    append_time = timestamp_type is TimestampType.LOG_APPEND_TIME
    (found,) = batches(entries)
    assert (found.codec, found.timestamp_type) == (codec.name.lower(), ("CreateTime", "LogAppendTime")[append_time])
    assert (found.base_sequence, found.last_sequence) == (2**31 - 2, 2)
    times = [START_MS + 5] * 3 if append_time else [record.timestamp for record in written]
    assert [(one.offset, one.timestamp, one.sequence, one.key, one.value) for one in records(entries)] == [
        (0, times[0], 2**31 - 2, b"key", b"value" * 50),
        (1, times[1], 2**31 - 1, None, b""),
        (4, times[2], 2, b"", None),
    ]
    assert [(one.key_size_bytes, one.value_size_bytes) for one in records(entries)] == [(3, 250), (-1, 0), (0, -1)]
    assert records(entries)[0].headers == [(b"a", b"\xff"), (b"\x80", None), (b"a", b"")]


def test_without_being_asked_no_batch_is_opened(tmp_path):
    assert records(dumped(segment(tmp_path / f"{FIRST}.log", batch(3)))) == []
    assert reasons(dumped(segment(tmp_path / f"{FIRST}.log", packed(b"no record")))) == []


def test_control_records_say_how_a_transaction_ended(tmp_path):
    markers = [
        end_transaction_marker(commit=commit, producer_id=7, producer_epoch=2, coordinator_epoch=3, timestamp=1)
        for commit in (True, False)
    ]
    leader_change = build_batch([Record(0, 1, struct.pack(">hh", 0, 2), b"?")], is_control=True)
    of_the_future = build_batch([Record(0, 1, struct.pack(">hh", 1, 99), b"?")], is_control=True)
    entries = dumped(segment(tmp_path / f"{FIRST}.log", *markers, leader_change, of_the_future), records=True)

    assert reasons(entries) == []
    assert [(record.control_type, record.coordinator_epoch) for record in records(entries)] == [
        ("COMMIT", 3),
        ("ABORT", 3),
        ("LEADER_CHANGE", None),
        ("UNKNOWN", None),
    ]
    assert [(one.is_control, one.is_transactional) for one in batches(entries)] == [(True, True)] * 2 + [
        (True, False)
    ] * 2


@pytest.mark.parametrize(("key", "value"), [(None, b""), (b"\0", b""), (struct.pack(">hh", 0, 1), b"\0")])
def test_a_malformed_control_record_is_a_problem(tmp_path, key, value):
    content = build_batch([Record(0, 1, key, value)], is_control=True)

    entries = dumped(segment(tmp_path / f"{FIRST}.log", content), records=True)

    assert [record.value for record in records(entries)] == [value]
    assert "the control record at offset 0" in reasons(entries)[0]


def test_the_delete_horizon_of_a_compacted_batch_is_shown(tmp_path):
    content = build_batch([], last_offset=3, delete_horizon_ms=START_MS + 7)

    (found,) = batches(dumped(segment(tmp_path / f"{FIRST}.log", content), records=True))

    assert (found.delete_horizon_ms, found.records_count, found.last_offset) == (START_MS + 7, 0, 3)


@pytest.mark.parametrize("is_indexed", [True, False])
def test_the_offsets_that_are_asked_for_select_the_batches_that_hold_them(folder, is_indexed):
    if not is_indexed:
        for path in folder.partition.glob("*.index"):
            path.unlink()
    bases = range(0, 40, 2)
    for first in range(41):
        assert found(folder, from_offset=first) == [base for base in bases if base + 1 >= first]
        assert found(folder, to_offset=first) == [base for base in bases if base <= first]
        assert found(folder, from_offset=first, to_offset=first + 5) == [
            base for base in bases if base + 1 >= first and base <= first + 5
        ]


def found(folder: LogFolder, **selection: int) -> list[int]:
    entries = dumped(folder.partition, **selection)
    assert reasons(entries) == []
    return [shown.base_offset for shown in batches(entries)]


def test_what_lies_far_before_the_first_offset_is_not_even_looked_at(folder):
    path = folder.partition / f"{12:020d}.log"
    with path.open("r+b") as file:
        file.write(b"\xff" * 20)

    assert [one.base_offset for one in batches(dumped(path, from_offset=20))] == [20, 22]
    assert batches(dumped(path, from_offset=12)) == []
    assert len(reasons(dumped(path, from_offset=12))) == 1


@given(
    index=st.lists(st.tuples(st.integers(-3, 15), st.one_of(st.integers(-2, 800), st.sampled_from([115, 230, 345])))),
    first=st.integers(0, 15),
    tail=st.sampled_from([b"", b"\0" * 4, b"\0" * 64]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_an_index_that_lies_hides_no_batch(folder, index, first, tail):
    path = folder.partition / f"{FIRST}.log"
    path.with_suffix(".index").write_bytes(b"".join(struct.pack(">ii", *entry) for entry in index) + tail)

    found = batches(dumped(path, from_offset=first))

    assert [one.base_offset for one in found] == [base for base in range(0, 12, 2) if base + 1 >= first]


def test_the_limit_counts_the_batches_of_each_folder(folder):
    other = folder.path / "t-1"
    other.mkdir()
    for path in folder.partition.iterdir():
        (other / path.name).write_bytes(path.read_bytes())

    entries = dumped(folder.path, limit=8)

    assert [one.base_offset for one in batches(entries)] == [*range(0, 16, 2)] * 2
    logs = sorted(folder.partition.glob("*.log"))
    assert [one.base_offset for one in batches(dumped(*logs, limit=7, from_offset=5))] == [*range(4, 18, 2)]


def test_a_batch_with_a_wrong_crc_is_shown_and_the_next_one_too(folder):
    path = folder.partition / f"{FIRST}.log"
    with path.open("r+b") as file:
        file.seek(115 + 100)
        file.write(b"?")

    entries = dumped(path)

    assert [one.is_crc_right for one in batches(entries)] == [True, False, True, True, True, True]
    (problem,) = only(Problem, entries)
    assert (problem.position, problem.bytes_left) == (115, None)
    assert "the CRC of the batch is 0x" in problem.reason


@pytest.mark.parametrize("size", [1, 11, 12, 60, 61, 62, 5000, 3 * 2**20])
def test_zeros_at_the_end_are_no_damage(folder, size):
    path = folder.partition / f"{FIRST}.log"
    with path.open("ab") as file:
        file.write(bytes(size))

    entries = dumped(path)

    assert (len(batches(entries)), reasons(entries)) == (6, [])
    assert entries[-1] == Preallocated(690, size)


@pytest.mark.parametrize("size", [1, 61, 5000, 3 * 2**20])
def test_zeros_with_something_behind_them_are_damage(folder, size):
    path = folder.partition / f"{FIRST}.log"
    with path.open("ab") as file:
        file.write(bytes(size) + b"x")

    (problem,) = only(Problem, dumped(path))

    assert (problem.position, problem.bytes_left) == (690, size + 1)


def test_offsets_that_go_back_are_damage(tmp_path):
    path = tmp_path / f"{5:020d}.log"
    path.write_bytes(
        build_batch([Record(7, 1, None, b"")], base_offset=7) + build_batch([Record(4, 1, None, b"")], base_offset=4)
    )

    entries = dumped(path)

    assert len(batches(entries)) == 2
    assert reasons(entries) == ["offset 4 where 8 or more was expected"]
    assert reasons(dumped(path.rename(tmp_path / f"{8:020d}.log"))) == [
        "offset 7 where 8 or more was expected",
        "offset 4 where 8 or more was expected",
    ]


def test_what_no_batch_can_say_is_damage_although_the_crc_is_right(tmp_path):
    path = segment(tmp_path / f"{FIRST}.log", packed(b"", Codec.NONE, count=-1), packed(b"", 5))  # type: ignore[arg-type]
    assert reasons(dumped(path)) == ["-1 records from offset 0 to 0", "codec 5 does not exist"]

    path.write_bytes(packed(b"", delta=-2) + build_batch([Record(2**40, 1, None, b"")], base_offset=2**40))
    assert reasons(dumped(path)) == [
        "1 records from offset 0 to -2",
        f"offset {2**40} is too far from the segment's first",
    ]


def test_an_older_format_is_named(tmp_path):
    path = tmp_path / f"{FIRST}.log"
    path.write_bytes(struct.pack(">qiIbb", 0, 40, 0, 1, 0) + bytes(50))
    assert reasons(dumped(path)) == ["no sound batch begins: magic 1, only 2 is known"]


def test_what_was_put_aside_by_a_recovery_may_begin_in_the_middle(folder):
    content = (folder.partition / f"{FIRST}.log").read_bytes()
    path = folder.partition / f"{FIRST}.log.1.damaged"
    path.write_bytes(content[230:])

    assert [one.base_offset for one in batches(dumped(path))] == [4, 6, 8, 10]
    # Nothing that is said of positions in the whole segment holds here.
    path.with_name(f"{FIRST}.index.1.damaged").write_bytes(struct.pack(">ii", 9, 230))
    assert [one.base_offset for one in batches(dumped(path, from_offset=6))] == [6, 8, 10]


def test_a_batch_that_is_too_large_to_be_opened_is_shown_without_its_records(tmp_path):
    path = tmp_path / f"{FIRST}.log"
    path.write_bytes(packed(bytes(33 * 2**20)))
    assert reasons(dumped(path)) == []
    assert "its records are not shown" in reasons(dumped(path, records=True))[0]


def test_consecutive_batches_lie_one_behind_the_other(folder):
    for path in folder.partition.glob("*.log"):
        found = batches(dumped(path))
        assert all(one.position + one.size_bytes == other.position for one, other in pairwise(found))
