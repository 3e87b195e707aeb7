"""A log that lost records: its indexes, its recovery point and its descriptors afterwards."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.logs import TOPIC_ID, DataDirProcess, append, batch, note_log_starts
from support.transactional import data, end

from barnabas.storage import recovery
from barnabas.storage.checkpoints import read_offsets
from barnabas.storage.errors import LogOffline
from barnabas.storage.layout import RECOVERY_POINTS_FILE

PRODUCER_ID = 7
NEW_TOPIC_ID = b"n" * 16


@pytest.fixture
def process(tmp_path: Path) -> Iterator[DataDirProcess]:
    process = DataDirProcess(tmp_path / "data")
    process.start()
    yield process
    process.stop()


def cut_log(process: DataDirProcess, size: int) -> None:
    os.truncate(next((process.path / "t-0").glob("*.log")), size)


def test_aborted_transactions_behind_the_end_of_the_log_are_forgotten(process):
    log = process.open()
    for number in range(10):
        append(log, batch(fill=number))
    size = log.size_bytes
    for number in range(3):
        append(log, data(PRODUCER_ID, number))
        end(log, PRODUCER_ID, False)
    process.data_dir.checkpoint()
    process.data_dir.flusher.stop()
    process.crash()
    cut_log(process, size)
    process.start()
    log = process.open(is_lossy=True)
    append(log, data(PRODUCER_ID, 0))
    end(log, PRODUCER_ID, True)
    batches = log.read(10, 2**20, True).batches
    assert log.aborted(10, len(batches)) == []


def test_the_recovery_point_goes_back_at_once(process):
    log = process.open()
    for number in range(20):
        append(log, batch(fill=number))
    size = log.size_bytes
    process.stop()
    cut_log(process, size // 2)
    process.start()
    process.open(is_lossy=True)
    assert read_offsets(process.path / RECOVERY_POINTS_FILE) == {("t", 0): 10}
    process.crash()
    process.start()
    assert process.open().log_end_offset == 10


def test_deleted_records_are_no_loss(process):
    log = process.open()
    for number in range(20):
        append(log, batch(fill=number))
    log.delete_before(20)
    note_log_starts(process.data_dir)
    process.stop()
    for path in (process.path / "t-0").glob("*.log"):
        path.unlink()
    process.start()
    log = process.open()
    assert (log.log_start_offset, log.log_end_offset) == (20, 20)


def test_a_new_topic_is_not_taken_for_compacted_as_far_as_a_deleted_one_of_its_name(process):
    log = process.open()
    for number in range(20):
        append(log, batch(fill=number))
    process.data_dir.note_clean_offset("t", 0, 15)
    process.data_dir.remove_log("t", 0)
    process.data_dir.known.forget_former("t", range(1))
    append(process.open(topic_id=NEW_TOPIC_ID), batch())
    process.stop()
    process.start()
    log = process.open(topic_id=NEW_TOPIC_ID)
    for number in range(30):
        append(log, batch(fill=number))
    assert process.data_dir.clean_offset("t", 0) == 0


def test_an_opening_that_fails_leaves_no_file_open(process, monkeypatch):
    append(process.open(), batch())
    process.stop()
    process.start()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(recovery, "load_epochs", full)
    for _ in range(3):
        with pytest.raises(LogOffline):
            process.data_dir.open_log("t", 0, TOPIC_ID, process.settings)
        assert len(process.data_dir._pool) == 0
