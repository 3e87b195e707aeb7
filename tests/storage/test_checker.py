"""``barnabas check``: what it sees, and what it makes of it."""

import shutil
import sqlite3
import struct
from pathlib import Path

import pytest
from support.logs import LogFolder, Settings, append, batch

from barnabas.storage.checker import Report, check
from barnabas.storage.checkpoints import write_offsets
from barnabas.storage.errors import StorageError
from barnabas.storage.layout import (
    CATALOG_FILE,
    CLEAN_FILE,
    CLEAN_OFFSETS_FILE,
    LOG_STARTS_FILE,
    RECOVERY_POINTS_FILE,
)


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    """Twenty batches of two records in several segments, closed cleanly."""
    folder = LogFolder(tmp_path / "data", Settings(segment_bytes=700, index_interval_bytes=100))
    log = folder.open()
    for number in range(20):
        append(log, batch(2, 20, 1000 + number, producer_id=1, producer_epoch=0, base_sequence=2 * number))
    folder.close(log)
    return folder


def logs(folder: LogFolder, suffix: str = ".log") -> list[Path]:
    return sorted(folder.partition.glob(f"*{suffix}"))


def texts(report: Report, is_problem: bool) -> str:
    return "\n".join(finding.text for finding in report.findings if finding.is_problem is is_problem)


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0x10
    path.write_bytes(content)


def test_all_is_counted(folder):
    report = check(folder.path)
    size = sum(path.stat().st_size for path in logs(folder))
    assert report == Report(1, 20, 40, size, [])


def test_it_changes_nothing_in_the_partitions(folder):
    before = folder.files()
    flip(logs(folder)[0], 100)
    before[logs(folder)[0].name] = logs(folder)[0].read_bytes()
    check(folder.path)
    assert folder.files() == before


def test_a_directory_without_a_catalog_is_none(tmp_path):
    with pytest.raises(StorageError, match="is not a data directory"):
        check(tmp_path)


@pytest.mark.parametrize("number", [0, 1, -1])
def test_a_damaged_batch_is_a_problem_after_a_clean_stop(folder, number):
    flip(logs(folder)[number], 100)
    assert "the CRC of the batch does not match" in texts(check(folder.path), is_problem=True)


def test_a_torn_end_after_a_crash_is_only_a_note(folder):
    (folder.path / CLEAN_FILE).unlink()
    last = logs(folder)[-1]
    last.write_bytes(last.read_bytes()[:-1])
    report = check(folder.path)
    assert "no sound batch at position" in texts(report, is_problem=False)
    assert texts(report, is_problem=True) == ""


@pytest.mark.parametrize("is_clean", [True, False])
def test_space_that_was_allocated_ahead_is_only_a_note(folder, is_clean):
    """After a clean stop it is there when the power failed before the disk had heard that it was given back."""
    before = check(folder.path)
    if not is_clean:
        (folder.path / CLEAN_FILE).unlink()
    with logs(folder)[-1].open("ab") as file:
        file.write(bytes(1000))
    report = check(folder.path)
    assert texts(report, is_problem=True) == ""
    assert "ends in 1000 zeros, space that was allocated ahead" in texts(report, is_problem=False)
    assert report[:4] == before[:4]


def test_a_torn_end_of_an_earlier_segment_is_a_problem_even_after_a_crash(folder):
    (folder.path / CLEAN_FILE).unlink()
    first = logs(folder)[0]
    first.write_bytes(first.read_bytes()[:-1])
    assert "no sound batch at position" in texts(check(folder.path), is_problem=True)


def test_overlapping_segments_are_a_problem(folder):
    logs(folder)[1].rename(folder.partition / f"{1:020d}.log")
    assert "begins before the end of its predecessor" in texts(check(folder.path), is_problem=True)


def test_an_index_entry_that_points_to_no_batch_is_a_problem(folder):
    index = logs(folder, ".index")[0]
    index.write_bytes(struct.pack(">ii", 5, 33))
    assert "points to no batch of it" in texts(check(folder.path), is_problem=True)


def test_a_time_index_that_points_beyond_its_segment_is_a_problem(folder):
    logs(folder, ".timeindex")[0].write_bytes(struct.pack(">qi", 1000, 10_000))
    assert "points beyond the end of its segment" in texts(check(folder.path), is_problem=True)


@pytest.mark.parametrize("suffix", [".snapshot", "leader-epoch-checkpoint", ".index"])
def test_an_unreadable_file_is_a_problem_after_a_clean_stop_and_a_note_after_a_crash(folder, suffix):
    path = logs(folder, suffix)[-1]
    path.write_bytes(struct.pack(">ii", 10, -5))
    assert check(folder.path).findings[0].path.name in (path.name, folder.partition.name)
    assert texts(check(folder.path), is_problem=True) != ""
    (folder.path / CLEAN_FILE).unlink()
    assert texts(check(folder.path), is_problem=True) == ""
    assert texts(check(folder.path), is_problem=False) != ""


def test_garbled_recovery_points_are_a_problem(folder):
    (folder.path / "recovery-point-offset-checkpoint").write_text("what?")
    assert "recovery-point" in texts(check(folder.path), is_problem=True)


def test_a_folder_of_no_topic_is_noted(folder):
    folder.partition.rename(folder.path / "t-1")
    assert texts(check(folder.path), is_problem=False) == "belongs to no topic in the catalog"


def test_a_folder_of_another_topic_of_that_name_is_noted(folder):
    (folder.partition / "partition.metadata").write_text("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\n")
    assert texts(check(folder.path), is_problem=False) == "belongs to no topic in the catalog"


def test_what_is_wrong_in_a_folder_of_no_topic_is_a_note(folder):
    folder.partition.rename(folder.path / "t-1")
    with next((folder.path / "t-1").glob("*.log")).open("r+b") as file:
        file.write(bytes(100))
    assert texts(check(folder.path), is_problem=True) == ""
    assert "no sound batch" in texts(check(folder.path), is_problem=False)


def test_a_damaged_catalog_is_a_problem(folder):
    path = folder.path / CATALOG_FILE
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    assert texts(check(folder.path), is_problem=True) != ""


def test_a_catalog_that_is_no_database_is_a_problem(folder):
    (folder.path / CATALOG_FILE).write_bytes(b"no database" * 1000)
    assert "cannot be read" in texts(check(folder.path), is_problem=True)


def test_a_segment_that_cannot_be_read_is_a_problem(folder):
    path = logs(folder)[0]
    path.unlink()
    path.mkdir()
    assert texts(check(folder.path), is_problem=True) != ""


def test_the_catalog_is_not_changed(folder):
    db = sqlite3.connect(folder.path / CATALOG_FILE)
    before = list(db.iterdump())
    check(folder.path)
    assert list(db.iterdump()) == before
    db.close()


def know(folder: LogFolder, end_offset: int, name: str = RECOVERY_POINTS_FILE) -> None:
    write_offsets(folder.path / name, {("t", 0): end_offset})


@pytest.mark.parametrize("is_clean", [True, False])
def test_a_log_that_ends_at_its_recovery_point_is_well(folder, is_clean):
    know(folder, 40)
    if not is_clean:
        (folder.path / CLEAN_FILE).unlink()
    assert check(folder.path).findings == []


@pytest.mark.parametrize("is_clean", [True, False])
@pytest.mark.parametrize("name", [RECOVERY_POINTS_FILE, LOG_STARTS_FILE])
def test_a_folder_that_is_gone_is_a_problem(folder, is_clean, name):
    know(folder, 40, name)
    if not is_clean:
        (folder.path / CLEAN_FILE).unlink()
    shutil.rmtree(folder.partition)
    (finding,) = check(folder.path).findings
    assert finding == (folder.partition, "is gone, though it had the records before offset 40", True)


def test_a_folder_that_was_never_made_is_none(folder):
    know(folder, 0)
    shutil.rmtree(folder.partition)
    assert check(folder.path).findings == []


@pytest.mark.parametrize("is_clean", [True, False])
@pytest.mark.parametrize("is_emptied", [True, False])
@pytest.mark.parametrize("first", [0, -1])
def test_segments_that_are_gone_from_the_end_are_a_problem(folder, is_clean, is_emptied, first):
    know(folder, 40)
    if not is_clean:
        (folder.path / CLEAN_FILE).unlink()
    end = int(logs(folder)[-1 if is_emptied else first].stem)
    for path in logs(folder)[first:]:
        if is_emptied:
            path.write_bytes(b"")
        else:
            path.unlink()
    assert f"ends at offset {end}, though it had the records before offset 40" in texts(
        check(folder.path), is_problem=True
    )


def test_a_batch_that_was_on_the_disk_and_is_damaged_is_a_problem_even_after_a_crash(folder):
    know(folder, 40)
    (folder.path / CLEAN_FILE).unlink()
    flip(logs(folder)[-1], 100)
    assert "no sound batch at position" in texts(check(folder.path), is_problem=True)


@pytest.mark.parametrize(("name", "is_problem"), [(LOG_STARTS_FILE, True), (CLEAN_OFFSETS_FILE, False)])
def test_a_garbled_checkpoint_is_a_problem_when_it_is_always_on_the_disk(folder, name, is_problem):
    (folder.path / name).write_bytes(bytes(20))
    assert "is not a checkpoint file" in texts(check(folder.path), is_problem)


def test_a_segment_that_is_gone_from_the_middle_is_a_problem(folder):
    logs(folder)[1].unlink()
    end = int(logs(folder)[1].stem)
    assert end
    assert "begins behind the end of its predecessor" in texts(check(folder.path), is_problem=True)


@pytest.mark.parametrize("how", ["policy", "clean offset"])
def test_compaction_leaves_gaps_between_segments(folder, how):
    if how == "policy":
        db = sqlite3.connect(folder.path / CATALOG_FILE)
        db.execute("UPDATE topics SET configs = ?", ['{"cleanup.policy": "compact"}'])
        db.commit()
        db.close()
    else:
        know(folder, 40, CLEAN_OFFSETS_FILE)
    logs(folder)[1].unlink()
    assert "begins behind" not in texts(check(folder.path), is_problem=True)
