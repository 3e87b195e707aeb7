"""Which files ``barnabas dump`` finds, and what it makes of names."""

import os
from pathlib import Path

import pytest
from support.dumps import dumped, only
from support.logs import LogFolder, append, batch

from barnabas.storage.dump import Batch, File, Kind, Selection, Unreadable, dump

BASE = f"{17:020d}"


def kinds(*paths: Path) -> list[tuple[str, Kind, int | None]]:
    return [(file.path.name, file.kind, file.base_offset) for file in only(File, dumped(*paths))]


@pytest.mark.parametrize(
    "ending", ["", ".deleted", ".cleaned", ".swap", ".cleaned.deleted", ".damaged", ".12.damaged"]
)
@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        ("log", Kind.SEGMENT),
        ("index", Kind.OFFSET_INDEX),
        ("timeindex", Kind.TIME_INDEX),
        ("txnindex", Kind.TRANSACTION_INDEX),
        ("snapshot", Kind.PRODUCER_SNAPSHOT),
    ],
)
def test_files_of_a_segment_are_known_in_every_state(tmp_path, suffix, kind, ending):
    path = tmp_path / f"{BASE}.{suffix}{ending}"
    path.touch()
    assert kinds(path) == kinds(tmp_path) == [(path.name, kind, 17)]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("leader-epoch-checkpoint", Kind.LEADER_EPOCH_CHECKPOINT),
        ("recovery-point-offset-checkpoint", Kind.OFFSET_CHECKPOINT),
        ("replication-offset-checkpoint", Kind.OFFSET_CHECKPOINT),
        ("partition.metadata", Kind.PARTITION_METADATA),
        ("meta.properties", Kind.META_PROPERTIES),
    ],
)
def test_other_files_are_known_by_their_names(tmp_path, name, kind):
    (tmp_path / name).touch()
    (tmp_path / f"{name}.deleted").touch()
    assert kinds(tmp_path) == [(name, kind, None), (f"{name}.deleted", kind, None)]


@pytest.mark.parametrize(
    "name", ["catalog.sqlite", ".log", "x.logs", "x.log.bak", ".kafka_cleanshutdown", "x.damaged"]
)
def test_what_a_name_does_not_tell_is_unreadable_when_asked_for_and_left_out_in_a_folder(tmp_path, name):
    (tmp_path / name).touch()
    assert dumped(tmp_path / name) == [
        Unreadable(tmp_path / name, "is not a file of a log, as far as its name tells")
    ]
    (tmp_path / f"{BASE}.log").touch()
    assert [found[0] for found in kinds(tmp_path)] == [f"{BASE}.log"]


@pytest.mark.parametrize("name", ["server.log", "²0.log", f"{'9' * 30}.log"])
def test_a_segment_under_another_name_is_dumped_when_asked_for(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(batch())
    assert kinds(path) == [(name, Kind.SEGMENT, None)]
    assert len(only(Batch, dumped(path, from_offset=0))) == 1
    assert only(File, dumped(tmp_path)) == []


def test_a_data_directory_has_its_own_files_and_the_folders_of_all_partitions(tmp_path):
    for folder in ("t-1", "t-0", "a-b-12", "t", "t-x", "-0", "u-0.0123-delete"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{BASE}.log").touch()
    (tmp_path / "t-2").touch()
    (tmp_path / "t-3").mkdir()
    (tmp_path / "t-0" / "t-4").mkdir()
    (tmp_path / "t-0" / "t-4" / f"{BASE}.log").touch()
    (tmp_path / "meta.properties").touch()

    files = [str(file.path.relative_to(tmp_path)) for file in only(File, dumped(tmp_path))]

    assert files == ["meta.properties", *(f"{folder}/{BASE}.log" for folder in ("a-b-12", "t-0", "t-1"))]


def test_what_is_not_there_is_unreadable(tmp_path):
    path = tmp_path / f"{BASE}.log"
    assert dumped(path) == [Unreadable(path, "No such file or directory")]


def test_a_folder_without_a_log_is_unreadable(tmp_path):
    (tmp_path / "notes.txt").touch()
    assert dumped(tmp_path) == [Unreadable(tmp_path, "has no files of a log and no folders of partitions in it")]


@pytest.mark.skipif(os.getuid() == 0, reason="nothing is forbidden to root")
def test_what_may_not_be_read_is_unreadable_and_the_rest_is_dumped(tmp_path):
    for name in (f"{BASE}.index", f"{BASE}.log"):
        (tmp_path / name).touch()
    (tmp_path / f"{BASE}.index").chmod(0)
    assert [type(entry) for entry in dumped(tmp_path)] == [Unreadable, File]


def test_pipes_devices_and_directories_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / f"{1:020d}.log")
    (tmp_path / f"{2:020d}.log").mkdir()
    (tmp_path / f"{3:020d}.log").symlink_to("/dev/zero")
    (tmp_path / f"{4:020d}.index").touch()
    os.mkfifo(tmp_path / f"{4:020d}.log")

    entries = dumped(tmp_path, verify=True)

    assert [entry.reason for entry in only(Unreadable, entries)] == ["is no regular file"] * 4
    assert len(only(File, entries)) == 1


def test_a_file_that_a_broker_takes_away_meanwhile_is_passed_over(tmp_path):
    folder = LogFolder(tmp_path / "data")
    log = folder.open()
    append(log, batch())
    folder.close(log)
    entries = dump([folder.path], Selection())
    next(entries)
    for path in folder.partition.iterdir():
        path.unlink()

    assert only(Unreadable, entries) == []


def test_several_paths_come_in_their_order_and_one_that_fails_stops_no_other(tmp_path):
    paths = [tmp_path / f"{number:020d}.log" for number in (2, 1, 0)]
    for path in paths[::2]:
        path.touch()
    entries = dumped(*paths)
    assert [entry.path for entry in only(File, entries) + only(Unreadable, entries)] == [paths[0], paths[2], paths[1]]
