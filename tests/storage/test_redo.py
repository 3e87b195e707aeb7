"""Recovery with a journal: what a log has lost is written again where it was."""

import os
from pathlib import Path

import pytest
from support.logs import TOPIC_ID, LogFolder, Settings, append, batch, batches_of, read_all

from barnabas.storage.journal import Redo
from barnabas.storage.segments import SegmentedLog
from barnabas.storage.sync_job import Tail


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    return LogFolder(tmp_path / "data", Settings(segment_bytes=2000, index_interval_bytes=200))


def redo_of(log: SegmentedLog, *bases: int) -> Redo:
    """What a journal has of a log, in tails that begin at ``bases``, and with each segment; the last has the end."""
    redo = Redo()
    found = [*batches_of(b"".join(read_all(log)))]
    starts = sorted({*bases, *(segment.base_offset for segment in log.segments if segment.base_offset > bases[0])})
    for base, end in zip(starts, (*starts[1:], log.log_end_offset), strict=True):
        content = b"".join(content for header, content in found if base <= header.base_offset < end)
        redo.add(Tail((TOPIC_ID, 0), base, end, memoryview(content)))
    return redo


@pytest.mark.parametrize("bases", [(0,), (3,), (0, 1, 2, 3, 4, 5, 6, 7), (0, 4)], ids=str)
@pytest.mark.parametrize("segment_bytes", [2**20, 250], ids=["one segment", "several"])
def test_what_the_journal_has_is_written_again_where_it_was(folder, bases, segment_bytes, caplog):
    folder.settings.segment_bytes = segment_bytes
    log = folder.open()
    for number in range(8):
        append(log, batch(fill=number))
    expected, redo = read_all(log), redo_of(log, *bases)
    log.let_go()
    before = folder.files()
    for lost, keeps in ((3, True), (4, True), (3, False), (7, False)):
        folder.restore(before)
        # What the power may take: the content of batches, and in the last segment the length.
        for segment in log.segments:
            path = segment.path(".log")
            content = bytearray(path.read_bytes())
            for header, _ in batches_of(bytes(content)):
                if header.base_offset == lost or (header.base_offset > lost and not keeps):
                    at = sum(len(one) for one in expected[segment.base_offset : header.base_offset])
                    content[at : at + header.size_bytes] = bytes(header.size_bytes)
            path.write_bytes(content)
        again = folder.open(recovery_point=0, redo=redo)
        assert (again.log_end_offset, read_all(again)) == (8, expected)
        assert not list(folder.partition.glob("*.damaged"))
        again.let_go()
        assert {name: content for name, content in folder.files().items() if name.endswith(".log")} == {
            name: content for name, content in before.items() if name.endswith(".log")
        }
        assert folder.open(recovery_point=0).log_end_offset == 8


def test_what_the_journal_has_of_a_damaged_log_does_not_make_a_gap(folder):
    log = folder.open()
    for number in range(4):
        append(log, batch(fill=number))
    redo = redo_of(log, 2)
    log.let_go()
    path = folder.partition / f"{0:020d}.log"
    os.truncate(path, path.stat().st_size // 4)
    assert folder.open(recovery_point=0, redo=redo).log_end_offset == 1


def test_after_a_clean_stop_nothing_is_written_again(folder):
    log = folder.open()
    for number in range(4):
        append(log, batch(fill=number))
    redo = redo_of(log, 0)
    folder.close(log)
    path = folder.partition / f"{0:020d}.log"
    os.truncate(path, path.stat().st_size // 2)
    assert folder.open(redo=redo).log_end_offset == 2
