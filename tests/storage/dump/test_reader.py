"""Reading in small pieces gives what is in the file."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from barnabas.storage.dump import reader as reader_module
from barnabas.storage.dump.reader import Reader

RUNS = st.lists(st.tuples(st.sampled_from([b"\0", b"x", b"\0y"]), st.sampled_from([0, 1, 100, 255, 256, 40_000])))


@given(runs=RUNS, places=st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 40_000)), max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_part_is_what_the_file_has_there(tmp_path, runs, places):
    content = b"".join(piece * count for piece, count in runs)
    (tmp_path / "file").write_bytes(content)
    with Reader(tmp_path / "file") as reader:
        for position, size in places:
            assert reader.read(position, size) == content[position : position + size]
            assert b"".join(reader.chunks(position, position + size)) == content[position : position + size]
            zeros = len(content[position:]) - len(content[position:].lstrip(b"\0"))
            expected = position + zeros if content[position + zeros :] else None
            assert reader.nonzero_from(position) == expected


@pytest.mark.parametrize("can_skip_holes", [True, False])
def test_what_lies_behind_a_hole_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_skip_holes: bool
) -> None:
    if not can_skip_holes:
        monkeypatch.setattr(reader_module, "_SEEK_DATA", None)
    path = tmp_path / "file"
    path.write_bytes(b"x")
    os.truncate(path, 20_000_000)
    with Reader(path) as reader:
        assert reader.nonzero_from(1) is None
        with path.open("ab") as file:
            file.write(b"y")
        assert reader.nonzero_from(1) == 20_000_000
        assert (reader.size_bytes, reader.look(), reader.size_bytes) == (20_000_000, 20_000_001, 20_000_001)
