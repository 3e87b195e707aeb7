"""Space that a log allocates ahead: a whole segment (preallocate), or room for the next batches of a durable log."""

import errno
from pathlib import Path

import pytest
from support.logs import START_MS, LogFolder, Settings, append, batch, read_all

from barnabas.storage import files
from barnabas.storage.clock import ManualClock
from barnabas.storage.segments import SegmentedLog


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    return LogFolder(tmp_path / "data", Settings(segment_bytes=2**22), ManualClock(START_MS))


def length(log: SegmentedLog) -> int:
    """Of the growing segment's file."""
    return log.segments[-1].path(".log").stat().st_size


def test_a_segment_is_allocated_as_a_whole_and_trimmed_when_it_is_full(folder):
    folder.settings.preallocate = True
    folder.settings.segment_bytes = 100_000
    log = folder.open()
    append(log, batch(size=60_000))
    append(log, batch(size=60_000))
    sizes = [segment.path(".log").stat().st_size for segment in log.segments]
    assert sizes == [log.segments[0].size, 100_000]
    assert len(read_all(log)) == 2
    folder.close(log)
    assert log.segments[1].path(".log").stat().st_size == log.segments[1].size
    assert folder.problems() == []


def test_the_first_segment_is_allocated_too(folder):
    folder.settings.preallocate = True
    folder.settings.segment_bytes = 100_000
    for _ in range(2):
        log = folder.open()
        assert log.segments[0].path(".log").stat().st_size == 100_000
        folder.close(log)
        assert log.segments[0].path(".log").stat().st_size == 0
    log = folder.open()
    log.let_go()  # the process dies
    again = folder.open(0)
    append(again, batch())
    assert len(read_all(again)) == 1
    folder.close(again)
    assert folder.problems() == []


def test_allocated_space_is_no_damage_after_a_crash(folder, caplog):
    folder.settings.preallocate = True
    folder.settings.segment_bytes = 100_000
    log = folder.open()
    contents = [batch(size=60_000), batch(size=60_000), batch(size=10)]
    for content in contents:
        append(log, content)
    log.let_go()
    again = folder.open(0)
    assert read_all(again) == contents
    assert caplog.text == ""
    again.let_go()


def test_a_durable_log_has_room_for_the_next_batches(folder):
    folder.settings.is_durable = True
    log = folder.open()
    for _ in range(3000):
        append(log, batch(size=100))
        size = log.segments[0].size
        assert size <= length(log) <= min(2 * size + 4096, size + 2**18)
    assert length(log) > size
    assert len(read_all(log)) == 3000
    folder.close(log)
    assert length(log) == size
    assert folder.problems() == []


def test_there_is_no_room_for_batches_that_would_soon_have_filled_it(folder):
    folder.settings.is_durable = True
    log = folder.open()
    for _ in range(3):
        append(log, batch(size=100_000))
    assert length(log) == log.segments[0].size


def test_room_ends_with_the_segment(folder):
    folder.settings.is_durable = True
    folder.settings.segment_bytes = 5000
    log = folder.open()
    for _ in range(100):
        append(log, batch(size=100))
        assert length(log) <= 5000
    assert [one.path(".log").stat().st_size for one in log.segments[:-1]] == [one.size for one in log.segments[:-1]]
    folder.close(log)
    assert folder.problems() == []


@pytest.mark.parametrize("torn", [b"", b"\1" * 50])
def test_room_is_no_damage_after_a_crash(folder, caplog, torn):
    """``torn``: a batch of which a part was written."""
    folder.settings.is_durable = True
    log = folder.open()
    contents = [batch(size=10), batch(size=100)]
    for content in contents:
        append(log, content)
    log.let_go()
    path, size = log.segments[0].path(".log"), log.segments[0].size
    with path.open("r+b") as file:
        file.seek(size)
        file.write(torn)
    again = folder.open(0)
    assert read_all(again) == contents
    assert length(again) == size
    assert [record.levelname for record in caplog.records] == ["WARNING"] * bool(torn)
    append(again, batch())
    assert len(read_all(again)) == 3
    folder.close(again)
    assert folder.problems() == []


def test_without_space_there_is_no_room(folder, monkeypatch):
    folder.settings.is_durable = True
    log = folder.open()
    pwrite = files.pwrite

    def full(descriptor, content, position):
        if not any(content[:1000]):
            raise OSError(errno.ENOSPC, "full")
        return pwrite(descriptor, content, position)

    monkeypatch.setattr(files, "pwrite", full)
    append(log, batch())
    assert length(log) == log.segments[0].size
    monkeypatch.undo()
    append(log, batch())
    assert length(log) > log.segments[0].size
    assert log.offline is None
