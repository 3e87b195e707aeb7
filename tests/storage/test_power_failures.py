"""What a sync has to make last besides the batches; see tests/simulation/test_power_loss.py for everything else."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest
from support.logs import LogFolder, Settings, append, read_all, sync
from support.power import Disk, File
from support.transactional import data, end

from barnabas.storage import files
from barnabas.storage.aborted import AbortedTransaction
from barnabas.storage.producers import ProducerStates
from barnabas.storage.recovery import open_log
from barnabas.storage.segments import SegmentedLog

FAILURES = 60


class FailingFolder(LogFolder):
    """A folder on a disk that forgets."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, Settings(segment_bytes=1000))
        self.disk = Disk(path)
        self.writing = ExitStack()
        self.writing.enter_context(self.disk.installed())

    def after_failures(self, recovery_point: int | None) -> Iterator[SegmentedLog]:
        self.writing.close()
        for seed in range(FAILURES):
            path = self.path.with_name(str(seed))
            self.disk.fail(path, Random(seed))
            log = open_log(path / "t-0", self.settings, self.clock, lambda _: None, recovery_point)
            yield log
            log.let_go()


@pytest.fixture
def folder(fast_path: Path) -> Iterator[FailingFolder]:
    folder = FailingFolder(fast_path / "data")
    with folder.writing:
        yield folder


def test_the_leader_epochs_are_synced_with_the_log(folder: FailingFolder) -> None:
    log = folder.open()
    for epoch in (1, 2):
        append(log, data(1, epoch - 1), leader_epoch=epoch)
        sync(log)
    for found in folder.after_failures(log.recovery_point):
        assert found.epochs.starts == [(1, 0), (2, 1)]


def test_what_a_recovery_has_put_aside_does_not_come_back(folder: FailingFolder) -> None:
    log = folder.open()
    for number in range(30):
        append(log, data(1, number))
    sync(log)
    log.let_go()
    _, second, *_, last = log.segments
    second.truncate(second.size - 1)
    second.close()
    folder.open(recovery_point=0)
    for found in folder.after_failures(0):
        assert found._bases == [0, second.base_offset]
        assert last.path(".log").name not in {path.name for path in found.directory.iterdir()}


def test_the_name_of_an_index_of_aborted_transactions_is_synced_with_the_log(folder: FailingFolder) -> None:
    log = folder.open()
    append(log, data(1, 0))
    sync(log)
    end(log, 1, False)
    folder.close(log)
    for found in folder.after_failures(None):
        assert found.aborted(0, log.size_bytes) == [AbortedTransaction(1, 0, 1, 2)]


def test_a_segment_below_the_recovery_point_keeps_its_length(folder: FailingFolder) -> None:
    log = folder.open()
    append(log, data(1, 0))
    sync(log)
    wanted = read_all(log)
    log.roll()
    for found in folder.after_failures(log.recovery_point):
        assert read_all(found) == wanted


def test_an_index_of_aborted_transactions_that_was_made_anew_is_synced(folder: FailingFolder) -> None:
    """The next start trusts it as far as the recovery point says, which is still that of before."""
    log = folder.open()
    append(log, data(1, 0))
    end(log, 1, False)
    folder.close(log)
    folder.open(recovery_point=0).let_go()
    for found in folder.after_failures(log.recovery_point):
        assert found.aborted(0, log.size_bytes) == [AbortedTransaction(1, 0, 1, 2)]


@pytest.mark.parametrize("setting", ["is_durable", "preallocate"])
def test_space_that_was_given_back_may_be_there_again_after_a_clean_stop(
    folder: FailingFolder, setting: str, caplog: pytest.LogCaptureFixture
) -> None:
    setattr(folder.settings, setting, True)
    log = folder.open()
    contents = [data(1, number) for number in range(3)]
    for content in contents:
        append(log, content)
    folder.close(log)
    for found in folder.after_failures(None):
        assert read_all(found) == contents
        assert found.segments[0].path(".log").stat().st_size >= log.size_bytes
    assert "marked as cleanly closed" not in caplog.text


def test_a_snapshot_of_what_may_be_lost_goes(folder: FailingFolder) -> None:
    """Else it would be trusted when what is written in the place of that is on the disk."""
    log = folder.open()
    append(log, data(1, 0))
    sync(log)
    append(log, data(1, 1))
    log.roll()
    log.let_go()
    assert [path.stem for path in log.directory.glob("*.snapshot")] == [f"{2:020d}"]
    log = folder.open(log.recovery_point)
    log.let_go()
    (found,) = log.directory.glob("*.snapshot")
    assert ProducerStates.read_snapshot(found).entries.keys() == log.producers.entries.keys()


def test_what_a_process_left_half_way_does_not_take_the_place_of_what_is_written_next(tmp_path: Path) -> None:
    root = tmp_path / "disk"
    root.mkdir()
    (root / "index.tmp").write_bytes(b"old")
    disk = Disk(root)
    with disk.installed():
        files.replace(root / "index", b"new")
    for seed in range(FAILURES):
        disk.fail(tmp_path / str(seed), Random(seed))
        found = tmp_path / str(seed) / "index"
        assert not found.exists() or found.read_bytes() in (b"new", b"\0\0\0", b"")


# The disk itself.


def test_what_was_synced_is_there_and_of_the_rest_any_page(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    disk = Disk(tmp_path / "disk")
    with disk.installed():
        files.write(disk.root / "file", b"a" * 10_000, is_synced=True)
        files.sync_directory(disk.root)
        opened = files.open_file(disk.root / "file", files.UPDATE)
        files.write_all(opened, b"b" * 10_000, 0)
        files.close(opened)
        found = set()
        for seed in range(100):
            disk.fail(tmp_path / str(seed), Random(seed))
            content = (tmp_path / str(seed) / "file").read_bytes()
            assert len(content) == 10_000
            found.add("".join(chr(content[page]) for page in (0, 4096, 8192)))
    assert len(found) == 8


def test_a_file_that_was_synced_may_be_nameless(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    disk = Disk(tmp_path / "disk")
    with disk.installed():
        files.write(disk.root / "file", b"a", is_synced=True)
        there = set()
        for seed in range(20):
            disk.fail(tmp_path / str(seed), Random(seed))
            there.add((tmp_path / str(seed) / "file").exists())
    assert there == {True, False}


def test_a_file_that_was_made_longer_holds_zeros() -> None:
    file = File(b"a" * 100, size=100)
    file.resize(5000)
    file.write(4990, b"b" * 10)
    found = {file.after_failure(Random(seed)) for seed in range(100)}
    assert {len(content) for content in found} == {100, 5000}
    assert all(content.strip(b"\0") in (b"a" * 100, b"a" * 100 + bytes(4890) + b"b" * 10) for content in found)


def test_names_survive_in_their_order_unless_any_order_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    disk = Disk(tmp_path / "disk")
    with disk.installed():
        for name in "abc":
            files.write(disk.root / name, b"")
        found: dict[bool, set[str]] = {False: set(), True: set()}
        for any_order in found:
            for seed in range(100):
                path = tmp_path / f"{any_order}-{seed}"
                disk.fail(path, Random(seed), any_order)
                found[any_order].add("".join(sorted(child.name for child in path.iterdir())))
    assert found[False] == {"", "a", "ab", "abc"}
    assert len(found[True]) == 8
