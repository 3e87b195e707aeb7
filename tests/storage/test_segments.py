"""Rolling, and what a disk does that is full or broken."""

import errno
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support.logs import START_MS, LogFolder, Settings, append, batch, read_all, sync

from barnabas.protocol.records import read_header
from barnabas.storage import files
from barnabas.storage.aborted import AbortedTransaction
from barnabas.storage.clock import ManualClock
from barnabas.storage.errors import BatchTooLarge, LogCorrupt, LogOffline, OffsetNotInLog
from barnabas.storage.mapped_file import MappedFile
from barnabas.storage.segment import Segment
from barnabas.storage.segments import SegmentedLog


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START_MS)


@pytest.fixture
def folder(tmp_path: Path, clock: ManualClock) -> LogFolder:
    return LogFolder(tmp_path / "data", Settings(segment_bytes=1000), clock)


@pytest.fixture
def log(folder: LogFolder) -> Iterator[SegmentedLog]:
    log = folder.open()
    yield log
    log.let_go()


def bases(log: SegmentedLog) -> list[int]:
    return [segment.base_offset for segment in log.segments]


def test_a_segment_rolls_when_a_batch_does_not_fit(log):
    size = len(batch())
    log.settings.segment_bytes = 2 * size
    for _ in range(5):
        append(log, batch())
    assert bases(log) == [0, 2, 4]


def test_a_batch_larger_than_a_segment_is_refused(log):
    with pytest.raises(BatchTooLarge):
        append(log, batch(size=2000))
    assert append(log, batch()).base_offset == 0


@pytest.mark.parametrize(("waited_ms", "rolls"), [(1000, False), (1001, True)])
def test_a_segment_rolls_when_timestamps_have_moved_on_by_segment_ms(log, waited_ms, rolls):
    log.settings.segment_ms = 1000
    append(log, batch(timestamp=START_MS))
    append(log, batch(timestamp=START_MS + 500))
    append(log, batch(timestamp=START_MS + waited_ms))
    assert bases(log) == ([0, 2] if rolls else [0])


@pytest.mark.parametrize(("seconds", "rolls"), [(1.0, False), (1.001, True)])
def test_without_timestamps_a_segment_rolls_by_the_clock(log, clock, seconds, rolls):
    log.settings.segment_ms = 1000
    append(log, batch(timestamp=-1))
    clock.advance(seconds)
    append(log, batch(timestamp=-1))
    assert bases(log) == ([0, 1] if rolls else [0])


def test_an_empty_segment_does_not_roll(log, clock):
    log.settings.segment_ms = 1000
    clock.advance(10)
    append(log, batch(timestamp=START_MS + 10**6))
    assert bases(log) == [0]


def test_jitter_makes_a_segment_roll_earlier(folder):
    folder.settings.segment_ms, folder.settings.segment_jitter_ms = 1000, 900
    log = folder.open()
    early = 1000 - log._jitter_ms
    assert 100 < early < 1000
    append(log, batch(timestamp=START_MS))
    append(log, batch(timestamp=START_MS + early))
    append(log, batch(timestamp=START_MS + early + 1))
    assert bases(log) == [0, 2]
    log.let_go()


def test_a_segment_rolls_when_its_index_is_full(log):
    log.settings.index_interval_bytes = 0
    log.settings.segment_index_bytes = 16
    for _ in range(4):
        append(log, batch())
    assert bases(log) == [0, 3]


def test_a_segment_rolls_before_a_relative_offset_overflows(log):
    content = batch()
    header = read_header(content)._replace(last_offset_delta=2**31 - 1)
    log.append(memoryview(content), header, 0)
    append(log, batch())
    assert bases(log) == [0, 2**31]


def test_a_roll_writes_the_producers_and_hands_the_log_over(folder):
    rolled: list[SegmentedLog] = []
    folder.on_roll = rolled.append
    log = folder.open()
    folder.settings.segment_bytes = 100
    append(log, batch(producer_id=1, producer_epoch=0, base_sequence=0))
    append(log, batch())
    assert rolled == [log]
    assert (folder.partition / f"{1:020d}.snapshot").exists()
    log.let_go()


def test_reading_does_not_go_beyond_the_end_of_a_segment(log):
    size = len(batch())
    log.settings.segment_bytes = 2 * size
    for _ in range(4):
        append(log, batch())
    assert len(log.read(1, 10_000, True).batches) == size
    assert len(log.read(2, 10_000, True).batches) == 2 * size


def test_what_was_appended_a_moment_ago_is_not_read_from_the_disk(log):
    append(log, batch())
    assert log.read(0, 100, True).warm is None


def test_a_slice_that_is_not_in_memory_can_be_warmed(log, monkeypatch):
    append(log, batch(size=500))
    append(log, batch(size=500))
    monkeypatch.setattr(MappedFile, "is_resident", lambda *_: False)
    slice_ = log.read(0, 1000, True)
    assert slice_.warm is not None
    slice_.warm()


def test_a_slice_outlives_the_log(log):
    content = batch()
    append(log, content)
    batches = log.read(0, 100, True).batches
    log.let_go()
    assert batches == content


def test_the_batches_before_a_damaged_one_can_be_read(log):
    for _ in range(4):
        append(log, batch(size=60))
    size = len(batch(size=60))
    os.pwrite(log.segments[0].file.fd, bytes(4), 2 * size + 8)
    assert len(log.read(0, 3 * size, True).batches) == 2 * size
    with pytest.raises(LogCorrupt):
        log.read(2, 3 * size, True)


class Disk:
    """Stands between the log and ``os``; ``room`` bytes are left, and ``error`` is what the disk says then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 2**60
        self.error = errno.ENOSPC
        self._pwrite = files.pwrite
        self._fdatasync = files.sync
        self.sync_error: int | None = None
        monkeypatch.setattr(files, "pwrite", self._limited)
        monkeypatch.setattr(files, "sync", self._sync)

    def _limited(self, fd: int, content: Any, position: int) -> int:
        count = min(len(content), self.room)
        if not count:
            raise OSError(self.error, os.strerror(self.error))
        self.room -= count
        return self._pwrite(fd, content[:count], position)

    def _sync(self, fd: int) -> None:
        if self.sync_error is not None:
            raise OSError(self.sync_error, os.strerror(self.sync_error))
        self._fdatasync(fd)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.mark.parametrize("room", [0, 1, 61, 70])
def test_a_full_disk_refuses_the_batch_and_keeps_the_others(folder, log, disk, room):
    contents = [batch(fill=number) for number in range(3)]
    append(log, contents[0])
    disk.room = room
    with pytest.raises(LogOffline, match="No space left"):
        append(log, contents[1])
    assert log.segments[0].path(".log").stat().st_size == len(contents[0])
    assert read_all(log) == contents[:1]
    disk.room = 2**60
    assert append(log, contents[2]).base_offset == 1
    folder.close(log)
    assert read_all(folder.open()) == [contents[0], contents[2]]


def test_space_on_a_disk_that_was_full_is_told_once(log, disk, caplog):
    caplog.set_level(logging.INFO)
    log.tell_recovery()
    disk.room = 0
    for _ in range(3):
        with pytest.raises(LogOffline):
            append(log, batch())
        log.tell_recovery()
    disk.room = 2**60
    for _ in range(3):
        append(log, batch())
        log.tell_recovery()
    told = [record.message for record in caplog.records]
    assert len(told) == 2
    assert told[0] == f"{log.directory.name}: disk full; producers get KAFKA_STORAGE_ERROR until this is over"
    assert told[1] == f"{log.directory.name} takes records again"


def test_a_producer_whose_batch_met_a_full_disk_sends_it_again(log, disk):
    content = batch(producer_id=1, producer_epoch=0, base_sequence=0)
    disk.room = 10
    with pytest.raises(LogOffline):
        append(log, content)
    disk.room = 2**60
    assert append(log, content).base_offset == 0
    assert log.log_end_offset == 1


def test_any_other_error_takes_the_partition_offline_for_good(log, disk):
    append(log, batch())
    disk.room, disk.error = 0, errno.EIO
    with pytest.raises(LogOffline, match="Input/output error"):
        append(log, batch())
    disk.room = 2**60
    for use in (
        lambda: append(log, batch()),
        lambda: log.read(0, 100, True),
        lambda: log.batch_at_or_after(0),
        log.batch_of_max_timestamp,
    ):
        with pytest.raises(LogOffline, match="Input/output error"):
            use()


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_after_a_failed_sync_no_later_one_says_that_all_is_well(log, disk, error):
    append(log, batch())
    disk.sync_error = error
    first, second = log.sync_job(), log.sync_job()
    with pytest.raises(OSError):
        first.work()
    disk.sync_error = None  # Linux reports a lost page once
    with pytest.raises(OSError):
        second.work()
    assert isinstance(first.fail(OSError(error, "")), LogOffline)
    assert log.recovery_point == 0
    with pytest.raises(LogOffline):
        append(log, batch())


def full(path: Path) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    return refuse


def test_a_roll_that_met_a_full_disk_happens_later(log, monkeypatch):
    content = batch(size=600)
    append(log, content)
    with monkeypatch.context() as patch:
        patch.setattr(files, "pwrite", full(log.directory))
        for _ in range(2):
            with pytest.raises(LogOffline, match="No space left"):
                append(log, batch(size=600))
    assert bases(log) == [0]
    assert append(log, batch(size=600)).base_offset == 1
    assert bases(log) == [0, 1]


def test_a_leader_epoch_that_met_a_full_disk_is_written_later(folder, log, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(files, "open_file", full(log.directory))
        with pytest.raises(LogOffline):
            append(log, batch(), leader_epoch=4)
    append(log, batch(), leader_epoch=4)
    log.let_go()
    again = folder.open(recovery_point=0)
    assert again.epochs.starts == [(4, 0)]
    again.let_go()


def test_a_full_tmpfs_is_survived(tmp_path):
    """The real thing: appends until the file system is full, then makes room."""
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=512k none {tmp_path} 2>/dev/null"):
        pytest.skip("needs to mount a tmpfs")
    try:
        (tmp_path / "ballast").write_bytes(bytes(256 * 1024))
        folder = LogFolder(tmp_path / "data", Settings(segment_bytes=20_000))
        log = folder.open()
        contents = []
        with pytest.raises(LogOffline, match="No space left"):
            for number in range(1000):
                content = batch(size=3000, fill=number % 256)
                append(log, content)
                contents.append(bytes(content))
        assert read_all(log) == contents
        (tmp_path / "ballast").unlink()
        content = batch(size=3000)
        assert append(log, content).base_offset == len(contents)
        sync(log)
        folder.close(log)
        assert folder.problems() == []
        log = folder.open()
        assert read_all(log) == [*contents, bytes(content)]
        log.let_go()
    finally:
        os.system(f"umount -l {tmp_path}")


def test_offsets_outside_the_log_are_refused(log):
    append(log, batch())
    for offset in (-1, 2):
        with pytest.raises(OffsetNotInLog):
            log.read(offset, 100, True)
    assert log.read(1, 100, True).batches == b""


def test_rolling_during_a_sync_leaves_the_new_part_to_the_next(log):
    append(log, batch(size=600))
    job = log.sync_job()
    append(log, batch(size=600))
    job.work()
    job.finish()
    assert (log.recovery_point, log.log_end_offset) == (1, 2)
    assert bases(log) == [0, 1]
    assert log.is_dirty
    sync(log)
    assert (log.recovery_point, log.unsynced) == (2, [])


def test_the_kernel_may_sync_the_file_where_that_is_all(log):
    append(log, batch())
    assert log.sync_job().file is None  # its name is not on the disk yet
    sync(log)
    append(log, batch())
    assert log.sync_job().file is log.segments[0].file
    log.roll()
    assert log.sync_job().file is None
    sync(log)
    append(log, batch())
    assert log.sync_job().file is log.segments[1].file
    log.epochs.assign(log.epochs.latest + 1, log.log_end_offset)
    assert log.sync_job().file is None
    sync(log)
    log.segments[1].aborted.append(AbortedTransaction(1, 1, 2, 3))
    assert log.sync_job().file is None


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.ENOMEM])
def test_what_the_kernel_could_not_sync_is_never_taken_for_synced(log, error):
    append(log, batch())
    sync(log)
    append(log, batch())
    job = log.sync_job()
    assert job.file is not None
    assert isinstance(job.fail(OSError(error, "broken")), LogOffline)
    assert log.recovery_point == 1
    with pytest.raises(LogOffline):
        sync(log)


def test_a_sync_that_begins_in_the_middle_of_a_roll_covers_the_old_segment(log, monkeypatch):
    """The flusher takes its job in a thread of its own, so at any step of a roll."""
    append(log, batch(size=600))
    old = log.segments[0]
    synced: list[Segment] = []
    monkeypatch.setattr(Segment, "sync", lambda segment: synced.append(segment))
    monkeypatch.setattr(Segment, "write_indexes", lambda _: None)

    def take_job(frame: FrameType, *_: object) -> Any:
        if frame.f_code is SegmentedLog.roll.__code__:
            synced.clear()
            log.sync_job().work()
            assert old in synced
        return take_job

    sys.settrace(take_job)
    try:
        append(log, batch(size=600))
    finally:
        sys.settrace(None)
    assert synced != []


def test_every_file_is_let_go(log):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        append(log, batch(size=600))
    read_all(log)
    assert len(os.listdir("/proc/self/fd")) > before
    log.let_go()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_roll_that_failed_is_tried_again(tmp_path, monkeypatch):
    log = LogFolder(tmp_path / "data", Settings(segment_bytes=200)).open()
    append(log, batch())
    unlink = files.unlink

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(files, "unlink", full)
    with pytest.raises(LogOffline):
        append(log, batch(size=100))
    monkeypatch.setattr(files, "unlink", unlink)
    assert append(log, batch(size=100)).base_offset == 1
    log.let_go()


def test_a_full_segment_is_read_anew_without_making_its_file_longer(tmp_path, monkeypatch):
    """Whoever dies, or looks at it, in that moment would find zeros behind its batches."""
    folder = LogFolder(tmp_path / "data")
    log = folder.open()
    sent = batch(size=100)
    append(log, sent)
    log.roll()
    log.segments[0].close()

    def refuse(descriptor: int, size: int) -> None:
        raise AssertionError("the file is made longer")

    monkeypatch.setattr("barnabas.storage.files.truncate", refuse)
    assert log.read(0, 2**20, True).batches == sent
    log.let_go()
