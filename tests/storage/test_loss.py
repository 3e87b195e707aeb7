"""Records that were on the disk and are gone at the next start: files were removed, emptied, cut or damaged."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.logs import DataDirProcess, append, batch, read_all

from barnabas.storage.checkpoints import read_offsets
from barnabas.storage.layout import RECOVERY_POINTS_FILE
from barnabas.storage.recovery import is_plainly_short

COUNT = 20


@pytest.fixture
def process(tmp_path: Path) -> Iterator[DataDirProcess]:
    process = DataDirProcess(tmp_path / "data")
    process.settings.segment_bytes = 600
    yield process
    process.stop()


def fill(process: DataDirProcess, partition: int = 0) -> list[bytes]:
    """Write batches of one record each into several segments."""
    log = process.open(partition=partition)
    for number in range(COUNT):
        append(log, batch(fill=number), leader_epoch=number // 5)
    return read_all(log)


def end(process: DataDirProcess, how: str) -> None:
    """Stop cleanly, or die when everything is on the disk."""
    assert process.data_dir is not None
    if how == "stop":
        process.stop()
    else:
        process.data_dir.checkpoint()
        process.data_dir.flusher.stop()
        process.crash()


def logs(process: DataDirProcess) -> list[Path]:
    return sorted((process.path / "t-0").glob("*.log"))


def remove_folder(process: DataDirProcess) -> None:
    shutil.rmtree(process.path / "t-0")


def remove_logs(process: DataDirProcess) -> None:
    for path in logs(process):
        path.unlink()


def empty_logs(process: DataDirProcess) -> None:
    for path in logs(process):
        os.truncate(path, 0)


def remove_last(process: DataDirProcess) -> None:
    logs(process)[-1].unlink()


def empty_last(process: DataDirProcess) -> None:
    os.truncate(logs(process)[-1], 0)


def remove_last_segment(process: DataDirProcess) -> None:
    for path in (process.path / "t-0").glob(f"{logs(process)[-1].stem}.*"):
        path.unlink()


def cut_last(process: DataDirProcess) -> None:
    """Cut the newest segment where a batch ends."""
    path = logs(process)[-1]
    os.truncate(path, path.stat().st_size - len(batch()))


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("lose", [remove_folder, remove_logs, empty_logs])
def test_a_log_that_has_nothing_left_goes_on_behind_the_records_it_had(
    process: DataDirProcess, caplog: pytest.LogCaptureFixture, how: str, lose: Callable[[DataDirProcess], None]
) -> None:
    process.start()
    fill(process)
    end(process, how)
    lose(process)
    assert is_plainly_short(process.path / "t-0", COUNT)
    process.start()
    log = process.open(is_lossy=True)
    assert (log.log_start_offset, log.log_end_offset) == (COUNT, COUNT)
    assert "t-0: all records before offset 20 are gone (its .log files were removed" in caplog.text
    assert append(log, batch()).base_offset == COUNT
    end(process, how)
    process.start()
    log = process.open()
    assert (log.log_start_offset, log.log_end_offset) == (COUNT, COUNT + 1)


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("lose", [remove_last, empty_last, remove_last_segment, cut_last])
def test_a_log_that_has_lost_its_end_goes_on_where_the_rest_ends(
    process: DataDirProcess, caplog: pytest.LogCaptureFixture, how: str, lose: Callable[[DataDirProcess], None]
) -> None:
    process.start()
    contents = fill(process)
    end(process, how)
    lose(process)
    process.start()
    log = process.open(is_lossy=True)
    left = log.log_end_offset
    assert 0 < left < COUNT
    assert read_all(log) == contents[:left]
    assert f"t-0: the records from offset {left} to 19 are missing; the log goes on at offset {left}" in caplog.text
    assert all(start < left for _, start in log.epochs.starts)
    assert log.epochs.end_of(3, 4, left)[1] == left
    assert append(log, batch(), 4).base_offset == left
    end(process, how)
    process.start()
    assert process.open().log_end_offset == left + 1


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_files_of_a_whole_log_are_not_short(process: DataDirProcess, how: str) -> None:
    process.start()
    fill(process)
    end(process, how)
    assert not is_plainly_short(process.path / "t-0", COUNT)
    data_dir = process.start()
    assert data_dir.known.plainly_short() == []
    log = process.open()
    log.delete_before(COUNT)
    log.roll()
    log.delete_before(COUNT)
    end(process, how)
    assert process.start().known.plainly_short() == []
    process.open()


@pytest.mark.parametrize("lose", [remove_folder, remove_logs, empty_logs, remove_last, empty_last])
def test_names_and_sizes_tell_at_the_start_that_records_are_gone(
    process: DataDirProcess, lose: Callable[[DataDirProcess], None]
) -> None:
    process.start()
    fill(process)
    fill(process, partition=1)
    process.stop()
    lose(process)
    assert process.start().known.plainly_short() == [("t", 0)]


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("number", [0, -1])
def test_a_damaged_batch_that_was_on_the_disk_is_kept_aside(
    process: DataDirProcess, caplog: pytest.LogCaptureFixture, how: str, number: int
) -> None:
    """It was acknowledged, so it is damage, and no batch that a crash has cut short."""
    process.settings.segment_bytes = 2**20
    process.start()
    contents = [append_one(process, fill) for fill in (range(1) if not number else range(5))]
    end(process, how)
    (path,) = logs(process)
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    process.start()
    log = process.open(is_lossy=True)
    assert read_all(log) == contents[:-1]
    assert log.log_end_offset == (len(contents) - 1 or 1)
    (kept,) = path.parent.glob("*.damaged")
    assert kept.read_bytes() == damaged[-len(contents[-1]) :]
    (told,) = [record for record in caplog.records if "is damaged at position" in record.message]
    assert told.levelno == logging.ERROR
    assert str(kept) in told.message


def append_one(process: DataDirProcess, fill: int) -> bytes:
    assert process.data_dir is not None
    log = process.data_dir.logs.get(("t", 0)) or process.open()
    append(log, batch(fill=fill))
    return read_all(log)[-1]


def test_there_are_not_more_lines_than_anybody_reads(
    process: DataDirProcess, caplog: pytest.LogCaptureFixture
) -> None:
    process.start()
    for partition in range(30):
        append(process.open(partition=partition), batch())
    process.stop()
    for partition in range(30):
        shutil.rmtree(process.path / f"t-{partition}")
    data_dir = process.start()
    for partition in range(30):
        process.open(partition=partition, is_lossy=True)
    assert data_dir.lossy_logs == 30
    assert len([record for record in caplog.records if "records before offset 1 are gone" in record.message]) == 20


def test_a_new_topic_has_lost_nothing_of_a_deleted_one_of_its_name(
    process: DataDirProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the process is killed before anything is written about the deletion but the catalog."""
    data_dir = process.start()
    fill(process)
    data_dir.checkpoint()
    data_dir.flusher.stop()
    monkeypatch.setattr(data_dir.flusher, "request", lambda *_: None)
    data_dir.remove_log("t", 0)
    process.crash()
    monkeypatch.undo()
    assert read_offsets(process.path / RECOVERY_POINTS_FILE) == {("t", 0): COUNT}
    data_dir = process.start()
    data_dir.known.forget_former("t", range(1))
    process.crash()
    process.start()
    assert process.open(topic_id=bytes(16)).log_end_offset == 0


def test_a_topic_that_takes_the_place_of_another_at_once_has_lost_nothing(
    process: DataDirProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = process.start()
    fill(process)
    data_dir.checkpoint()
    data_dir.flusher.stop()
    monkeypatch.setattr(data_dir.flusher, "request", lambda *_: None)
    data_dir.remove_log("t", 0)
    append(process.open(topic_id=bytes(16)), batch())
    process.crash()
    process.start()
    assert process.open(topic_id=bytes(16)).log_end_offset == 1


def test_a_partition_without_a_folder_that_no_checkpoint_knows_is_none_that_has_lost_records(
    process: DataDirProcess, caplog: pytest.LogCaptureFixture
) -> None:
    process.start()
    process.open()
    process.stop()
    shutil.rmtree(process.path / "t-0")
    assert process.start().known.plainly_short() == []
    assert process.open().log_end_offset == 0
    assert caplog.messages == []
