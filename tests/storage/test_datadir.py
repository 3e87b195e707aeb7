"""The data directory: its lock, what it remembers from start to start, and the logs in it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.logs import TOPIC_ID, DataDirProcess, append, batch, read_all

from barnabas.storage.catalog import StoredTopic, TopicCreated
from barnabas.storage.checker import check
from barnabas.storage.checkpoints import read_offsets
from barnabas.storage.datadir import DataDir
from barnabas.storage.errors import CatalogError, DataDirLocked, LogOffline, StorageError
from barnabas.storage.layout import CATALOG_FILE, CLEAN_FILE, META_FILE, RECOVERY_POINTS_FILE, folders

OTHER_ID = bytes(range(16, 32))


@pytest.fixture
def process(tmp_path: Path) -> Iterator[DataDirProcess]:
    process = DataDirProcess(tmp_path / "data")
    yield process
    process.stop()


def created(name: str, topic_id: bytes, partition_count: int = 1) -> TopicCreated:
    return TopicCreated(StoredTopic(topic_id, name, partition_count, 0, {}))


def wait_until_gone(path: Path) -> None:
    deadline = time.monotonic() + 10
    while path.exists() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not path.exists()


def test_a_new_directory_is_laid_out_as_kafkas(process):
    data_dir = process.start()
    process.open()
    assert {path.name for path in process.path.iterdir()} >= {".lock", META_FILE, "t-0", CATALOG_FILE}
    lines = (process.path / META_FILE).read_text().splitlines()
    assert lines[0] == f"cluster.id={data_dir.catalog.cluster_id()}"
    assert [line.partition("=")[0] for line in lines] == ["cluster.id", "directory.id", "node.id", "version"]
    assert (process.path / "t-0" / "partition.metadata").read_text() == (
        "version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw\n"
    )


def test_the_meta_file_stays(process):
    process.start()
    before = (process.path / META_FILE).read_text()
    process.stop()
    process.start()
    assert (process.path / META_FILE).read_text() == before


HOLD_THE_LOCK = """
import sys, time
from pathlib import Path
from barnabas.storage.clock import SystemClock
from barnabas.storage.datadir import DataDir
data_dir = DataDir(Path(sys.argv[1]), SystemClock(), 1, lambda work: work())
print("locked", flush=True)
time.sleep(60)
"""


def test_a_second_process_is_told_who_has_the_directory(process):
    holder = subprocess.Popen([sys.executable, "-c", HOLD_THE_LOCK, process.path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder, holder.stdout:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(DataDirLocked) as refused:
            process.start()
        holder.send_signal(signal.SIGKILL)
    assert str(refused.value) == f"the data directory {process.path} is in use by another process (pid {holder.pid})"
    process.start()


def test_a_path_that_cannot_be_a_directory_is_an_error_for_people(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot use the data directory"):
        DataDirProcess(tmp_path / "file" / "data").start()


def test_a_directory_whose_catalog_is_refused_is_let_go_of(process):
    process.path.mkdir()
    (process.path / CATALOG_FILE).write_bytes(b"no database" * 1000)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(CatalogError):
        process.start()
    assert set(os.listdir("/proc/self/fd")) <= before


def test_the_clean_flag_is_there_only_between_a_stop_and_a_start(process):
    flag = process.path / CLEAN_FILE
    assert not process.start().was_clean
    assert not flag.exists()
    process.stop()
    assert flag.exists()
    assert process.start().was_clean
    assert not flag.exists()
    process.crash()
    assert not process.start().was_clean


def test_a_directory_with_an_offline_log_is_not_clean(process):
    process.start()
    log = process.open()
    log.offline = "broken"
    process.stop()
    assert not (process.path / CLEAN_FILE).exists()


def test_a_start_after_a_crash_that_opened_no_log_leaves_the_recovery_to_the_next(process):
    data_dir = process.start()
    data_dir.catalog.commit(created("t", TOPIC_ID))
    append(process.open(), batch())
    process.crash()
    process.start()
    process.stop()
    assert not process.start().was_clean
    process.open()
    process.stop()
    assert process.start().was_clean


def test_a_log_that_could_not_be_recovered_is_recovered_at_the_next_start(process):
    data_dir = process.start()
    data_dir.catalog.commit(created("t", TOPIC_ID))
    append(process.open(), batch())
    process.crash()
    log = process.path / "t-0" / f"{0:020d}.log"
    log.rename(log.with_name("away"))
    log.mkdir()
    process.start()
    with pytest.raises(LogOffline):
        process.open()
    process.stop()
    log.rmdir()
    log.with_name("away").rename(log)
    assert not process.start().was_clean
    assert process.open().log_end_offset == 1


def test_recovery_points_are_written_when_the_logs_are_on_disk(process):
    data_dir = process.start()
    for partition in range(2):
        log = process.open(partition=partition)
        for _ in range(partition + 1):
            append(log, batch())
    data_dir.checkpoint()
    data_dir.flusher.stop()
    assert read_offsets(process.path / RECOVERY_POINTS_FILE) == {("t", 0): 1, ("t", 1): 2}
    process.crash()


def test_recovery_points_of_logs_that_were_not_opened_are_kept(process):
    process.start()
    append(process.open("a"), batch())
    append(process.open("b"), batch())
    process.stop()
    process.start()
    append(process.open("b"), batch())
    process.stop()
    assert read_offsets(process.path / RECOVERY_POINTS_FILE) == {("a", 0): 1, ("b", 0): 2}


def test_a_crash_is_recovered_from_the_recovery_point(process):
    data_dir = process.start()
    log = process.open()
    append(log, batch())
    data_dir.checkpoint()
    data_dir.flusher.stop()
    append(log, batch())
    process.crash()
    process.start()
    log = process.open()
    assert (log.recovery_point, log.log_end_offset) == (1, 2)


def test_what_the_power_has_taken_from_a_compacted_log_is_not_taken_for_a_gap(process):
    process.settings.segment_bytes, process.settings.is_compacted = 1000, True
    process.start()
    log = process.open()
    for _ in range(30):
        append(log, batch())
    contents, second = read_all(log), log.segments[1]
    process.crash()
    path = second.path(".log")
    os.truncate(path, path.stat().st_size - len(contents[0]))
    process.start()
    log = process.open()
    assert log._bases == [0, second.base_offset]
    assert read_all(log) == contents[: log.log_end_offset]


def test_garbled_recovery_points_make_it_check_everything(process, caplog):
    process.start()
    append(process.open(), batch())
    process.stop()
    (process.path / RECOVERY_POINTS_FILE).write_bytes(b"\0\0\0")
    assert not process.start().was_clean
    assert "checking the logs from their beginning" in caplog.text
    assert process.open().recovery_point == 0


def test_a_folder_of_another_topic_of_that_name_is_put_aside(process, caplog):
    process.start()
    append(process.open(), batch())
    process.stop()
    process.start()
    log = process.open(topic_id=OTHER_ID)
    assert log.log_end_offset == 0
    (stray,) = process.path.glob("*-stray")
    assert (stray / f"{0:020d}.log").stat().st_size > 0
    assert "belongs to another topic" in caplog.text


@pytest.mark.parametrize("content", [b"", b"\0" * 40, b"\xff\xfe", b"version: 0\n", b"version: 0\ntopic_id: AAECA"])
def test_a_garbled_partition_metadata_file_does_not_hide_the_log(process, content):
    process.start()
    contents = [batch()]
    append(process.open(), contents[0])
    process.stop()
    metadata = process.path / "t-0" / "partition.metadata"
    before = metadata.read_bytes()
    metadata.write_bytes(content)
    process.start()
    assert read_all(process.open()) == contents
    assert metadata.read_bytes() == before


def test_kafkas_own_partition_metadata_is_understood(process):
    process.start()
    append(process.open(), batch())
    process.stop()
    metadata = process.path / "t-0" / "partition.metadata"
    metadata.write_text(metadata.read_text().rstrip("\n"))
    process.start()
    assert process.open().log_end_offset == 1


def test_a_deleted_log_is_out_of_sight_at_once_and_gone_soon(process):
    data_dir = process.start()
    log = process.open()
    append(log, batch())
    data_dir.remove_log("t", 0)
    assert not (process.path / "t-0").exists()
    with pytest.raises(LogOffline, match="deleted"):
        append(log, batch())
    again = process.open(topic_id=OTHER_ID)
    assert append(again, batch()).base_offset == 0
    data_dir.disposal.stop()
    assert [path.name for path in process.path.glob("*-delete")] == []


def test_what_a_crash_left_of_a_deletion_goes_at_the_next_start(process):
    process.start()
    process.open()
    process.crash()
    left = process.path / "t-0.0123-delete"
    (process.path / "t-0").rename(left)
    process.start()
    wait_until_gone(left)


def test_deleting_what_is_not_there_is_no_error(process):
    process.start().remove_log("t", 7)


def test_a_deleted_topics_recovery_points_are_forgotten_on_disk(process):
    data_dir = process.start()
    append(process.open(), batch())
    data_dir.checkpoint()
    data_dir.remove_log("t", 0)
    data_dir.flusher.stop()
    assert read_offsets(process.path / RECOVERY_POINTS_FILE) == {}
    process.crash()


def test_a_sync_of_a_deleted_log_writes_nothing_into_its_successor(process):
    data_dir = process.start()
    process.settings.segment_bytes = 100
    log = process.open()
    for _ in range(3):
        append(log, batch())
    data_dir.flusher.stop()
    job = log.sync_job()
    data_dir.remove_log("t", 0)
    data_dir.disposal.stop()
    process.open(topic_id=OTHER_ID)
    with pytest.raises(OSError, match="deleted"):
        job.work()
    assert sorted(path.name for path in (process.path / "t-0").iterdir()) == [f"{0:020d}.log", "partition.metadata"]
    process.crash()


@pytest.mark.parametrize(("seconds", "is_synced"), [(0.9, False), (1.1, True)])
def test_flush_ms_is_the_longest_that_a_log_stays_dirty(process, seconds, is_synced):
    data_dir = process.start()
    process.settings.flush_ms = 1000
    log = process.open()
    append(log, batch())
    data_dir.flush_due()
    process.clock.advance(seconds)
    data_dir.flush_due()
    data_dir.flusher.stop()
    assert log.is_dirty is not is_synced
    process.crash()


def test_a_topic_name_of_the_longest_length_can_be_deleted(process):
    name = "n" * 249
    data_dir = process.start()
    process.open(name)
    data_dir.remove_log(name, 0)
    assert not (process.path / f"{name}-0").exists()


def test_the_folders_of_partitions_are_told_from_others(tmp_path):
    for name in ("a-0", "a-b-12", "a-0.ff-delete", "a-0.ff-stray", "none", "-3", "a-x"):
        (tmp_path / name).mkdir()
    (tmp_path / "file-0").touch()
    assert [(topic, partition) for topic, partition, _ in folders(tmp_path)] == [("a", 0), ("a-b", 12)]


def test_a_directory_that_was_copied_while_it_was_open_can_be_opened(process, tmp_path):
    data_dir = process.start()
    data_dir.catalog.commit(created("t", TOPIC_ID))
    log = process.open()
    contents = [batch(fill=number) for number in range(5)]
    for content in contents:
        append(log, content)
    shutil.copytree(process.path, tmp_path / "copy")
    copy = DataDirProcess(tmp_path / "copy")
    copy.start()
    assert read_all(copy.open()) == contents
    copy.stop()
    assert [finding for finding in check(copy.path).findings if finding.is_problem] == []


def test_a_directory_of_another_node_is_refused(process):
    process.start()
    process.stop()
    with pytest.raises(StorageError, match=r"belongs to node\.id 1, not 7"):
        DataDir(process.path, process.clock, 7, lambda work: work())
    assert (process.path / CLEAN_FILE).exists()
    assert process.start().was_clean


def test_a_garbled_meta_file_is_written_again(process):
    process.start()
    process.stop()
    (process.path / META_FILE).write_text("garbage\n")
    process.start()
    assert "node.id=1\n" in (process.path / META_FILE).read_text()


def test_deleting_logs_while_they_are_checkpointed_harms_nothing(process, caplog):
    """The flusher writes indexes by their names while folders are renamed."""
    data_dir = process.start()
    for turn in range(5):
        for partition in range(10):
            append(process.open(f"t{turn}", partition), batch(3))
        data_dir.checkpoint()
        for partition in range(10):
            data_dir.remove_log(f"t{turn}", partition)
    process.stop()
    assert caplog.messages == []
    assert list(folders(process.path)) == []
    assert check(process.path).findings == []
