"""``barnabas dump``: it finds what was written, names what is damaged, and no file is too strange for it."""

import os
import struct
import tracemalloc
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.dumps import batches, dumped, filled, only, packed, preallocated, reasons, segment
from support.logs import START_MS, LogFolder, append, batch

from barnabas.protocol.records import (
    BATCH_OVERHEAD,
    HEADER,
    BatchHeader,
    Codec,
    Record,
    build_batch,
)
from barnabas.storage.dump import Entry, File, Preallocated, Problem, Selection, Unreadable, dump

FIRST = f"{0:020d}"
NAMES = [
    *(f"{FIRST}.{suffix}" for suffix in ("log", "index", "timeindex", "txnindex", "snapshot", "log.1.damaged")),
    *("leader-epoch-checkpoint", "recovery-point-offset-checkpoint", "partition.metadata", "meta.properties"),
]


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    return filled(tmp_path / "data")


def test_the_files_of_a_folder_come_in_the_order_of_their_names(folder):
    files = only(File, dumped(folder.partition, verify=True))

    assert [file.path.name for file in files] == sorted(folder.files())
    assert [file.size_bytes for file in files] == [len(content) for _, content in sorted(folder.files().items())]
    assert {file.base_offset for file in files if file.kind == "segment"} == {0, 12, 24, 36}


def test_nothing_is_changed(folder):
    def state() -> list[tuple[str, int, int]]:
        paths = sorted(folder.path.rglob("*"))
        return [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths]

    before = state()
    dumped(folder.path, records=True, verify=True)

    assert state() == before


def test_a_file_cut_at_any_byte_is_shown_up_to_there(folder):
    path = folder.partition / f"{FIRST}.log"
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        entries = dumped(path, records=True)
        whole, rest = divmod(size, 115)
        assert [one.base_offset for one in batches(entries)] == [2 * number for number in range(whole)]
        assert accounted_for(entries) == size
        # The first bytes of the first batch are zeros, as if nobody had written there yet.
        ends = preallocated(entries) if not any(content[115 * whole : size]) else only(Problem, entries)
        assert [one.position for one in ends] == [115 * whole] * bool(rest)
    assert "no sound batch begins: the batch says 115 bytes, 114 are left" in reasons(entries)


def test_any_byte_that_is_flipped_is_no_reason_to_fail(folder):
    for path in sorted(folder.partition.iterdir()):
        content = path.read_bytes()
        for position in range(len(content)):
            for mask in (0x01, 0x80, 0xFF):
                changed = bytearray(content)
                changed[position] ^= mask
                path.write_bytes(changed)
                entries = dumped(path, records=True, verify=True)
                assert only(Unreadable, entries) == []
                # The CRC of a batch leaves out where it lies: later offsets could be right, any leader epoch is.
                if path.suffix == ".snapshot" or (path.suffix == ".log" and position % 115 >= 16):
                    assert reasons(entries)
        path.write_bytes(content)


@pytest.mark.parametrize("name", NAMES)
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=300).map(packed),
        st.builds(packed, st.binary(max_size=100), st.sampled_from(Codec), st.integers(-1, 9), st.integers(-1, 9)),
        st.text("0123456789 \n-:=#a\xff", max_size=100).map(str.encode),
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 200))).map(
            lambda pairs: b"".join(struct.pack(">ii", *pair) for pair in pairs)
        ),
    ),
    beside=st.one_of(st.none(), st.binary(max_size=200), st.just(bytes(batch(3)))),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_any_bytes_in_any_file_are_dumped(tmp_path, name, content, beside):
    path = tmp_path / name
    path.write_bytes(content)
    other = tmp_path / (f"{FIRST}.log" if "index" in name else f"{FIRST}.index")
    other.unlink(missing_ok=True)
    if beside is not None:
        other.write_bytes(beside)

    entries = dumped(path, records=True, verify=True, from_offset=1 if beside else None)

    assert (entries[0].path, entries[0].size_bytes) == (path, len(content))
    assert len(entries) <= len(content) + 10
    if name.endswith("log") and beside is None:
        assert accounted_for(entries) == len(content)


def accounted_for(entries: list[Entry]) -> int:
    ends = [one.bytes_left or 0 for one in only(Problem, entries)]
    return sum(one.size_bytes for one in (*batches(entries), *preallocated(entries))) + sum(ends)


def hostile_batches() -> dict[str, bytes]:
    """Small files, large promises."""
    compressed = {
        codec: build_batch([Record(0, 1, None, bytes(60 * 2**20))], codec=codec)[BATCH_OVERHEAD:]
        for codec in (Codec.GZIP, Codec.LZ4, Codec.ZSTD)
    }
    # A record of 24 MiB, which is all headers without name or value.
    headers = bytes(24 * 2**20)
    body = b"\0\0\0\1\1" + varint(len(headers) // 2) + headers
    return {
        **{f"bomb-{codec.name}": packed(content, codec) for codec, content in compressed.items()},
        "headers": packed(zstandard.compress(varint(len(body)) + body), Codec.ZSTD),
        "count": packed(b"", count=2**31 - 1),
        "length": HEADER.pack(*BatchHeader(0, 2**31 - 1, 0, 2, 0, 0, 0, 0, 0, -1, -1, -1, 1)),
    }


def varint(value: int) -> bytes:
    out = bytearray()
    value <<= 1
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def test_small_files_with_large_promises_take_no_more_memory_than_is_allowed(tmp_path):
    for name, content in hostile_batches().items():
        path = tmp_path / f"{FIRST}.log"
        path.write_bytes(content)
        tracemalloc.start()
        try:
            entries = dumped(path, records=True)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert len(reasons(entries)) == 1, name
        assert peak < 150 * 2**20, name


def test_a_sparse_file_of_100_gigabytes_is_dumped_at_once(tmp_path):
    path = segment(tmp_path / f"{FIRST}.log", batch(2), batch(2))
    size = path.stat().st_size
    os.truncate(path, 100 * 2**30)
    for suffix in ("index", "timeindex"):
        index = tmp_path / f"{FIRST}.{suffix}"
        index.touch()
        os.truncate(index, 100 * 2**30)

    entries = dumped(tmp_path, verify=True)

    assert [one.base_offset for one in batches(entries)] == [0, 2]
    assert preallocated(entries)[1] == Preallocated(size, 100 * 2**30 - size)
    assert len(preallocated(entries)) == 3


def test_it_goes_on_while_the_file_grows(folder):
    path = folder.partition / f"{36:020d}.log"
    entries = dump([path], Selection())
    first = next(entries)
    assert isinstance(first, File)
    log = folder.open()
    for number in range(3):
        append(log, batch(2, 20, START_MS + number))

    assert [one.base_offset for one in batches(entries)] == [36, 38, 40, 42, 44]
    folder.close(log)


def test_it_ends_where_the_file_was_cut_meanwhile(folder):
    path = segment(folder.partition / f"{FIRST}.log", *[batch(2, 20_000)] * 10)
    for kept in range(0, path.stat().st_size, 10_007):
        segment(path, *[batch(2, 20_000)] * 10)
        entries = dump([path], Selection(records=True))
        seen = [next(entries), next(entries)]
        os.truncate(path, kept)
        assert len(batches(seen + list(entries))) <= 10
