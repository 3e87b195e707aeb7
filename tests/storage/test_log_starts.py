"""Where a log begins: what was deleted stays so, whatever becomes of the process and its files (KIP-107)."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from threading import Event

import pytest
from support.logs import (
    START_MS,
    TOPIC_ID,
    DataDirProcess,
    LogFolder,
    Settings,
    append,
    batch,
    note_log_starts,
    read_all,
    sync,
)
from support.power import Disk

from barnabas.protocol.records import read_header
from barnabas.storage import files as storage_files
from barnabas.storage.checkpoints import read_offsets
from barnabas.storage.clock import ManualClock
from barnabas.storage.errors import LogOffline, OffsetNotInLog, StorageError
from barnabas.storage.layout import LOG_STARTS_FILE
from barnabas.storage.mapped_file import MappedFile
from barnabas.storage.segment import LOG_SUFFIX, Segment
from barnabas.storage.segments import SegmentedLog


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    return LogFolder(tmp_path / "data", Settings(segment_bytes=1000), ManualClock(START_MS))


@pytest.fixture
def log(folder: LogFolder) -> Iterator[SegmentedLog]:
    """Segments that begin at 0, 2, 4 and 6, two batches in each."""
    log = folder.open()
    for number in range(8):
        append(log, batch(size=400, timestamp=START_MS + number))
    yield log
    log.let_go()


def bases(log: SegmentedLog) -> list[int]:
    return [segment.base_offset for segment in log.segments]


def files(log: SegmentedLog, suffix: str) -> list[int]:
    return sorted(int(path.stem) for path in log.directory.glob(f"*{suffix}"))


def offsets(log: SegmentedLog) -> list[int]:
    return [read_header(content).base_offset for content in read_all(log)]


def test_where_the_other_logs_begin_is_not_forgotten_when_the_power_fails(tmp_path: Path) -> None:
    process = DataDirProcess(tmp_path / "data")
    process.path.mkdir()
    disk = Disk(process.path)
    with disk.installed():
        data_dir = process.start()
        for partition in range(2):
            append(process.open(partition=partition), batch(5))
            data_dir.logs["t", partition].delete_before(3 + partition)
            note_log_starts(data_dir)
        for seed in range(30):
            disk.fail(tmp_path / str(seed), Random(seed))
        process.stop()
    for seed in range(30):
        assert read_offsets(tmp_path / str(seed) / LOG_STARTS_FILE) == {("t", 0): 3, ("t", 1): 4}


# One log


@pytest.mark.parametrize(
    ("offset", "kept"),
    [(0, [0, 2, 4, 6]), (1, [0, 2, 4, 6]), (2, [2, 4, 6]), (3, [2, 4, 6]), (6, [6]), (7, [6]), (8, [6])],
)
def test_segments_that_lie_before_the_start_go(log: SegmentedLog, offset: int, kept: list[int]) -> None:
    size = log.size_bytes // 8
    assert log.delete_before(offset) == offset
    assert (bases(log), files(log, LOG_SUFFIX)) == (kept, kept)
    assert log.size_bytes == size * 2 * len(kept)
    assert offsets(log) == list(range(offset, 8))


def test_their_indexes_and_producer_snapshots_go_too(log: SegmentedLog) -> None:
    sync(log)
    log.delete_before(5)
    for suffix in (".index", ".timeindex", ".snapshot"):
        assert files(log, suffix) in ([4], [4, 6])


def test_the_start_never_goes_back(log: SegmentedLog) -> None:
    assert [log.delete_before(offset) for offset in (5, 3, 0, 6)] == [5, 5, 5, 6]
    assert bases(log) == [6]


def test_nothing_beyond_the_end_can_be_deleted(log: SegmentedLog) -> None:
    with pytest.raises(OffsetNotInLog):
        log.delete_before(9)
    assert (log.log_start_offset, bases(log)) == (0, [0, 2, 4, 6])


def test_an_offline_log_deletes_nothing(log: SegmentedLog) -> None:
    log.offline = "broken"
    with pytest.raises(LogOffline):
        log.delete_before(1)


def test_deleted_records_count_for_the_largest_timestamp_while_their_segment_is_there(folder: LogFolder) -> None:
    log = folder.open()
    for timestamp in (START_MS + 9, START_MS + 1, START_MS + 2):
        append(log, batch(timestamp=timestamp))
    log.delete_before(1)
    found = log.batch_of_max_timestamp()
    log.let_go()
    assert found is not None
    assert read_header(found).base_offset == 0


def test_segments_that_have_not_been_unlinked_are_none_after_a_crash(folder: LogFolder, log: SegmentedLog) -> None:
    retired: list[Segment] = []

    def retire(log: SegmentedLog, segments: list[Segment]) -> None:
        log.put_aside(segments)
        retired.extend(segments)

    folder.on_retire = retire
    log.delete_before(5)
    assert [segment.base_offset for segment in retired] == [0, 2]
    assert files(log, LOG_SUFFIX) == [4, 6]
    assert len(list(log.directory.glob("*.log.deleted"))) == 2
    again = folder.open(0, 5)
    assert (bases(again), offsets(again)) == ([4, 6], [5, 6, 7])
    assert not list(log.directory.glob("*.deleted"))
    again.let_go()


def test_a_log_that_lost_its_end_begins_where_it_was_told_to(folder: LogFolder, log: SegmentedLog) -> None:
    """After a power failure: the deletion was noted, the records were not on the disk yet."""
    log.let_go()
    folder.restore({name: content for name, content in folder.files().items() if not name.startswith("0" * 19)})
    (folder.partition / "00000000000000000000.log").write_bytes(b"")
    again = folder.open(0, 6)
    assert (again.log_start_offset, again.log_end_offset, bases(again)) == (6, 6, [6])
    assert append(again, batch()).base_offset == 6
    assert folder.problems() == []
    again.let_go()


def test_a_sync_that_began_before_a_deletion_ends_well(folder: LogFolder, log: SegmentedLog) -> None:
    folder.on_retire = lambda *_: None  # the files go when the flusher has come to it
    job = log.sync_job()
    log.delete_before(5)
    job.work()
    job.finish()
    assert (log.recovery_point, log.unsynced, log.is_dirty) == (8, [], False)


@pytest.mark.parametrize("when", ["before", "after"])
def test_records_that_are_being_sent_stay_readable(log: SegmentedLog, when: str) -> None:
    view = log.read(0, 2000, True).batches
    before = bytes(view)
    if when == "after":
        log.delete_before(8)
    assert bytes(view) == before


def test_a_consumer_that_waits_for_the_disk_does_no_harm_to_a_log_that_is_cut(
    log: SegmentedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MappedFile, "is_resident", lambda *_: False)
    found = log.read(0, 2000, True)
    log.delete_before(8)
    assert found.warm is not None
    with suppress(LogOffline):  # it may be refused
        found.warm()
    assert log.offline is None
    assert append(log, batch()).base_offset == 8


# The data directory


@pytest.fixture
def process(tmp_path: Path) -> Iterator[DataDirProcess]:
    process = DataDirProcess(tmp_path / "data")
    process.settings.segment_bytes = 1000
    yield process
    process.stop()


def fill(process: DataDirProcess, topic: str = "t", topic_id: bytes = TOPIC_ID) -> SegmentedLog:
    log = process.open(topic, 0, topic_id)
    for _ in range(8):
        append(log, batch(size=400))
    return log


@pytest.mark.parametrize("how", ["stop", "crash"])
@pytest.mark.parametrize("offset", [1, 2, 3, 4, 8])
def test_a_start_that_was_noted_is_known_to_the_next_process(process: DataDirProcess, how: str, offset: int) -> None:
    data_dir = process.start()
    fill(process).delete_before(offset)
    note_log_starts(data_dir)
    getattr(process, how)()
    process.start()
    assert offsets(process.open()) == list(range(offset, 8))


@pytest.mark.parametrize("offset", range(1, 9))
def test_a_start_that_was_noted_counts_though_no_file_was_deleted(
    process: DataDirProcess, monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    """The process was killed before the files of the segments went."""
    monkeypatch.setattr(Segment, "rename", lambda *_: None)
    monkeypatch.setattr(Segment, "unlink", Segment.close)
    data_dir = process.start()
    fill(process).delete_before(offset)
    note_log_starts(data_dir)
    process.crash()
    monkeypatch.undo()
    process.start()
    log = process.open()
    assert (log.log_start_offset, offsets(log)) == (offset, list(range(offset, 8)))


def test_logs_that_are_not_open_keep_their_start(process: DataDirProcess) -> None:
    for name in ("t", "u"):
        process.start()
        fill(process, name).delete_before(3)
        assert process.data_dir is not None
        note_log_starts(process.data_dir)
        process.stop()
    process.start()
    assert [process.open(name).log_start_offset for name in ("t", "u")] == [3, 3]


def test_the_start_of_a_deleted_topic_is_forgotten(process: DataDirProcess) -> None:
    data_dir = process.start()
    fill(process).delete_before(1)
    note_log_starts(data_dir)
    data_dir.remove_log("t", 0)
    assert fill(process, topic_id=bytes(16)).log_start_offset == 0
    process.crash()
    process.start()
    assert process.open(topic_id=bytes(16)).log_start_offset == 0


def test_a_new_topic_keeps_its_files_when_those_of_an_old_one_of_that_name_go(process: DataDirProcess) -> None:
    data_dir = process.start()
    is_made = Event()
    data_dir.disposal.remove(is_made.wait, 0)
    fill(process).delete_before(5)
    data_dir.remove_log("t", 0)
    log = fill(process, topic_id=bytes(16))
    data_dir.flusher.stop()
    is_made.set()
    data_dir.disposal.stop()
    assert files(log, LOG_SUFFIX) == [0, 2, 4, 6]


def test_the_start_of_a_deleted_topic_is_not_that_of_a_new_one_of_its_name(
    process: DataDirProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nothing brings to the disk that it was forgotten."""
    data_dir = process.start()
    fill(process).delete_before(5)
    note_log_starts(data_dir)
    monkeypatch.setattr(data_dir.flusher, "request", lambda *_: None)
    data_dir.remove_log("t", 0)
    append(process.open(topic_id=bytes(16)), batch())
    process.crash()
    process.start()
    assert offsets(process.open(topic_id=bytes(16))) == [0]


def test_the_file_is_kafkas(process: DataDirProcess) -> None:
    data_dir = process.start()
    fill(process).delete_before(3)
    note_log_starts(data_dir)
    assert (process.path / LOG_STARTS_FILE).read_text() == "0\n1\nt 0 3\n"
    assert read_offsets(process.path / LOG_STARTS_FILE) == {("t", 0): 3}


def test_a_file_that_makes_no_sense_costs_nothing_but_deletions(
    process: DataDirProcess, caplog: pytest.LogCaptureFixture
) -> None:
    data_dir = process.start()
    fill(process).delete_before(3)
    note_log_starts(data_dir)
    process.stop()
    (process.path / LOG_STARTS_FILE).write_text("nonsense")
    process.start()
    assert offsets(process.open()) == list(range(2, 8))
    assert "records that were deleted may come back" in caplog.text


def test_a_start_that_cannot_be_noted_is_told(process: DataDirProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    data_dir = process.start()
    fill(process).delete_before(3)

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(storage_files, "rename", full)
    with pytest.raises(StorageError, match="No space left"):
        note_log_starts(data_dir)
    monkeypatch.undo()
