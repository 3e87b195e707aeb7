"""How cleaned segments take the place of others, with a death between any two file operations."""

import shutil
from pathlib import Path

import pytest
from support.compacting import Died, Mortal, carry_out, committed_in, end, keyed_batch, pairs_in, plan_for, take_over
from support.logs import START_MS, LogFolder, Settings, append, sync

from barnabas.storage import swap
from barnabas.storage.aborted import read_entries
from barnabas.storage.clock import ManualClock
from barnabas.storage.mapped_file import MappedFile
from barnabas.storage.segment import Segment
from barnabas.storage.segments import SegmentedLog

NOW = START_MS + 10_000
INDEX = f"{0:020d}.txnindex"


@pytest.fixture
def folder(fast_path: Path) -> LogFolder:
    return LogFolder(fast_path / "data", Settings(is_compacted=True, segment_bytes=700), ManualClock(START_MS))


def write(log: SegmentedLog, rounds: int) -> None:
    """In each round an aborted and a committed transaction, over a few segments."""
    for number in range(rounds):
        for is_commit in (False, True):
            producer = {"producer_id": 1, "producer_epoch": 0, "base_sequence": 2 * number + is_commit}
            batch = keyed_batch(
                (b"k%d" % (number % 3), b"x" * 50), timestamp=START_MS, **producer, is_transactional=True
            )
            append(log, batch)
            end(log, 1, is_commit, START_MS)
    log.roll()
    sync(log)


def cleaned_once(folder: LogFolder) -> SegmentedLog:
    """A log of which the second compaction drops what the index says."""
    log = folder.open()
    write(log, 6)
    assert take_over(log, carry_out(plan_for(log, NOW)))
    assert read_entries(folder.partition / INDEX)
    return log


def first_segment(folder: LogFolder) -> tuple[bytes, list[object]]:
    segment = folder.partition / f"{0:020d}.log"
    return segment.read_bytes(), list(read_entries(folder.partition / INDEX))


def opened_with_what_is_cleaned(folder: LogFolder, recovery_point: int) -> SegmentedLog:
    """The log as it is while it is compacted; to open it would remove what is not finished."""
    aside = folder.path / "aside"
    shutil.copytree(folder.partition, aside)
    again = folder.open(recovery_point)
    for path in aside.iterdir():
        if path.suffix == ".cleaned":
            shutil.copy(path, folder.partition)
    shutil.rmtree(aside)
    return again


def test_wherever_it_dies_a_segment_and_its_transactions_belong_together(folder):
    """Else a transaction might stay whose marker goes, and what its producer writes later would be a part of it."""
    log = cleaned_once(folder)
    steps = [*carry_out(plan_for(log, NOW + 1))]
    old = first_segment(folder)
    files = folder.files()
    wanted = committed_in(log)
    mortal = Mortal()
    assert take_over(log, steps, mortal)
    new = first_segment(folder)
    assert (bool(old[1]), bool(new[1])) == (True, False)
    assert new[0] != old[0]
    log.let_go()
    found = []
    for number in range(mortal.count):
        folder.restore(files)
        log = opened_with_what_is_cleaned(folder, log.recovery_point)
        with pytest.raises(Died):
            take_over(log, steps, Mortal(number))
        recovery_point = log.recovery_point
        log.let_go()
        log = folder.open(recovery_point)
        found.append(first_segment(folder))
        assert found[-1] in (old, new), f"died after {number} operations"
        assert committed_in(log) == wanted
        assert not [path for path in folder.partition.iterdir() if path.suffix in (".swap", ".cleaned", ".deleted")]
        folder.close(log)
        assert folder.problems() == []
    assert found == sorted(found, key=lambda state: state == new)
    assert {state == new for state in found} == {True, False}


@pytest.mark.parametrize("is_put_aside", [True, False])
def test_a_swap_that_the_log_has_parted_with_does_not_come_back(folder, is_put_aside):
    log = folder.open()
    write(log, 6)
    plan = plan_for(log, NOW)
    (cleaned, *_) = carry_out(plan)
    segment = swap.prepare(log.directory, cleaned.bases[0])
    replaced = log.replace(segment, cleaned.bases)
    assert replaced is not None
    retired: list[Segment] = []
    folder.on_retire = lambda _, segments: retired.extend(segments)
    log.delete_before(log.segments[1].base_offset)
    if is_put_aside:
        log.put_aside(retired)
    swap.complete(log, segment, replaced)
    if not is_put_aside:
        log.put_aside(retired)
    names = {path.name for path in folder.partition.glob(f"{0:020d}.*") if path.suffix != ".snapshot"}
    assert all(name.endswith(".deleted") for name in names)
    for old in (*retired, *replaced):
        old.unlink()
    assert not list(folder.partition.glob("*.deleted"))
    log.let_go()


def test_a_part_of_a_swap_whose_log_has_its_name_already_gets_its_own(folder):
    """The names may reach the disk in another order than they were given in."""
    log = folder.open()
    write(log, 6)
    assert take_over(log, carry_out(plan_for(log, NOW)))
    wanted = committed_in(log)
    folder.close(log)
    index = folder.partition / INDEX
    before = index.read_bytes()
    assert before
    index.rename(index.with_name(f"{INDEX}.swap"))
    log = folder.open(log.recovery_point)
    assert index.read_bytes() == before
    assert committed_in(log) == wanted
    folder.close(log)


def test_a_swap_behind_a_segment_that_is_not_finished_is_not_taken(folder):
    """So Kafka splits a segment in two: the second half is the first to become a swap."""
    log = folder.open()
    write(log, 6)
    before = pairs_in(log)
    folder.close(log)
    for base, mark in ((log.segments[1].base_offset, "swap"), (log.segments[0].base_offset, "cleaned")):
        source = folder.partition / f"{base:020d}.log"
        source.with_name(f"{source.name}.{mark}").write_bytes(b"")
    log = folder.open()
    assert pairs_in(log) == before
    folder.close(log)
    assert not list(folder.partition.glob("*.swap"))


def test_a_log_that_was_deleted_meanwhile_is_left_alone(folder):
    log = folder.open()
    write(log, 6)
    (cleaned, *_) = carry_out(plan_for(log, NOW))
    segment = swap.prepare(log.directory, cleaned.bases[0])
    replaced = log.replace(segment, cleaned.bases)
    assert replaced is not None
    log.delete(folder.path / "t-0-gone")
    swap.complete(log, segment, replaced)
    assert not folder.partition.exists()
    log.let_go()


def test_segments_that_are_gone_are_not_replaced(folder):
    log = folder.open()
    write(log, 6)
    (cleaned, *_) = carry_out(plan_for(log, NOW))
    log.delete_before(log.segments[1].base_offset)
    segment = swap.prepare(log.directory, cleaned.bases[0])
    before = log.segments[:]
    assert log.replace(segment, cleaned.bases) is None
    assert log.segments == before
    swap.discard(segment)
    assert not list(folder.partition.glob("*.swap")) + list(folder.partition.glob(f"{0:020d}.*.cleaned"))
    folder.close(log)


def test_a_segment_may_be_read_from_the_disk_while_it_is_renamed(folder, monkeypatch):
    """Its name is another at that moment; that is no reason to take the partition offline."""
    log = folder.open()
    write(log, 6)
    monkeypatch.setattr(MappedFile, "is_resident", lambda file, position: False)
    found = log.read(0, 2**20, True)
    assert found.warm is not None
    log.segments[0].mark = ".swap"
    found.warm()
    log.segments[0].mark = ""
    assert log.offline is None
    log.let_go()
