"""A data directory that is moved, removed or replaced while it is in use."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.logs import DataDirProcess, append, batch, read_all

from barnabas.storage.catalog import ResourceConfigured
from barnabas.storage.errors import CatalogError, DataDirLost, LogOffline
from barnabas.storage.layout import CATALOG_FILE, CLEAN_FILE


@pytest.fixture
def process(tmp_path: Path) -> Iterator[DataDirProcess]:
    process = DataDirProcess(tmp_path / "data")
    yield process
    process.stop()


def test_a_directory_that_is_where_it_was_is_well(process):
    data_dir = process.start()
    append(process.open(), batch())
    data_dir.checkpoint()
    data_dir.flusher.stop()
    data_dir.presence.check()
    process.crash()


def test_a_directory_that_was_moved_is_lost(process):
    data_dir = process.start()
    process.path.rename(process.path.with_name("moved"))
    with pytest.raises(DataDirLost, match=f"{process.path} was moved or removed"):
        data_dir.presence.check()


def test_a_directory_that_was_removed_is_lost(process):
    data_dir = process.start()
    shutil.rmtree(process.path)
    with pytest.raises(DataDirLost, match="was moved or removed"):
        data_dir.presence.check()


def test_a_directory_that_was_removed_and_made_again_is_lost(process):
    """Though a file system may give it the same inode."""
    data_dir = process.start()
    shutil.rmtree(process.path)
    process.path.mkdir()
    with pytest.raises(DataDirLost, match=rf"catalog\.sqlite is gone from the data directory {process.path}"):
        data_dir.presence.check()


def test_a_directory_that_was_replaced_by_a_copy_is_lost(process):
    data_dir = process.start()
    moved = process.path.with_name("moved")
    process.path.rename(moved)
    shutil.copytree(moved, process.path)
    with pytest.raises(DataDirLost, match=r"was replaced: catalog\.sqlite is not the file that was opened"):
        data_dir.presence.check()


def test_a_catalog_whose_log_was_removed_is_lost(process):
    data_dir = process.start()
    (process.path / f"{CATALOG_FILE}-wal").unlink()
    with pytest.raises(DataDirLost, match=r"catalog\.sqlite-wal is gone"):
        data_dir.presence.check()


@pytest.mark.parametrize(("number", "is_lost"), [(errno.ESTALE, True), (errno.EIO, True), (errno.ENOMEM, False)])
def test_a_directory_that_cannot_be_reached_is_lost(process, monkeypatch, number, is_lost):
    data_dir = process.start()

    def fail(*_: object, **__: object) -> os.stat_result:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", fail)
        if is_lost:
            with pytest.raises(DataDirLost, match=f"cannot be reached: {os.strerror(number)}"):
                data_dir.presence.check()
        else:
            data_dir.presence.check()


def test_no_folder_is_made_in_the_place_of_a_directory_that_was_moved(process):
    process.start()
    append(process.open(), batch())
    process.path.rename(process.path.with_name("moved"))
    with pytest.raises(LogOffline):
        process.open(partition=1)
    assert not process.path.exists()


def test_no_folder_and_no_checkpoint_are_made_in_another_directory(process):
    data_dir = process.start()
    append(process.open(), batch())
    process.path.rename(process.path.with_name("moved"))
    process.path.mkdir()
    with pytest.raises(LogOffline):
        process.open(partition=1)
    with pytest.raises(DataDirLost):
        data_dir.sync_job().work()
    process.stop()
    assert list(process.path.iterdir()) == []


def test_nothing_is_taken_any_more_when_it_was_given_up(process):
    data_dir = process.start()
    log = process.open()
    append(log, batch())
    data_dir.give_up("it is gone")
    with pytest.raises(LogOffline, match="it is gone"):
        append(log, batch())
    with pytest.raises(LogOffline, match="it is gone"):
        process.open(partition=1)
    with pytest.raises(CatalogError, match="it is gone"):
        data_dir.catalog.commit(ResourceConfigured(4, "1", {}))
    with pytest.raises(CatalogError, match="it is gone"):
        data_dir.catalog.allocate_producer_ids(1)
    process.stop()
    assert not (process.path / CLEAN_FILE).exists()


@pytest.mark.parametrize("is_replaced", [True, False])
def test_what_was_taken_is_in_the_directory_wherever_it_is(process, tmp_path, is_replaced):
    process.start()
    log = process.open()
    contents = [batch(fill=number) for number in range(5)]
    for content in contents:
        append(log, content)
    process.path.rename(tmp_path / "moved")
    if is_replaced:
        shutil.copytree(tmp_path / "moved", process.path)
    before = sorted(path.name for path in process.path.iterdir()) if is_replaced else []
    process.stop()
    assert (sorted(path.name for path in process.path.iterdir()) if process.path.exists() else []) == before
    moved = DataDirProcess(tmp_path / "moved")
    assert not moved.start().was_clean
    assert read_all(moved.open()) == contents
    moved.stop()


def test_a_partition_whose_files_are_gone_goes_offline_when_it_grows(process):
    data_dir = process.start()
    log, other = process.open(), process.open(partition=1)
    append(log, batch())
    assert data_dir.growing_files.missing() == []
    shutil.rmtree(process.path / "t-0")
    assert data_dir.growing_files.missing() == []  # nothing was taken since
    append(log, batch())
    append(other, batch())
    ((found, segment),) = data_dir.growing_files.missing()
    assert found is log
    log.lost_file(segment)
    assert log.offline is not None
    assert "removed or renamed" in log.offline
    process.crash()


def test_a_topic_that_was_deleted_meanwhile_has_lost_no_file(process):
    data_dir = process.start()
    log = process.open()
    append(log, batch())
    (process.path / "t-0").rename(process.path / "u-0")
    ((_, segment),) = data_dir.growing_files.missing()
    (process.path / "u-0").rename(process.path / "t-0")
    data_dir.remove_log("t", 0)
    before = log.offline
    log.lost_file(segment)
    assert log.offline == before


def test_a_segment_that_was_rolled_meanwhile_is_not_missed(process):
    process.start()
    log = process.open()
    append(log, batch())
    segment = log.segments[-1]
    log.roll()
    log.lost_file(segment)
    assert log.offline is None
