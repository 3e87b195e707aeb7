"""Opening a log after a clean stop and after a crash, when nothing is wrong with its files."""

import errno
import logging
import os
from pathlib import Path

import pytest
from support.logs import LogFolder, Settings, append, batch, read_all, sync

from barnabas.protocol.records import read_header
from barnabas.storage import files, recovery
from barnabas.storage import files as storage_files
from barnabas.storage.errors import SequenceOutOfOrder
from barnabas.storage.index import OffsetIndex


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    return LogFolder(tmp_path / "data", Settings(segment_bytes=2000, index_interval_bytes=200))


def fill(folder: LogFolder, count: int = 40) -> list[bytes]:
    log = folder.open()
    for number in range(count):
        append(log, batch(2, 60, 1000 + number))
    contents = read_all(log)
    folder.close(log)
    return contents


def test_a_clean_start_reads_next_to_nothing_of_the_log(folder, monkeypatch, caplog):
    contents = fill(folder)
    read: list[int] = []
    original = OffsetIndex.load

    def load(path: Path, segment_bytes: int) -> OffsetIndex:
        read.append(segment_bytes)
        return original(path, segment_bytes)

    monkeypatch.setattr(OffsetIndex, "load", load)
    log = folder.open()
    assert len(log.segments) > 3
    assert len(read) <= 2
    assert caplog.records == []
    assert read_all(log) == contents
    folder.close(log)


def test_a_start_after_a_clean_stop_leaves_nothing_to_sync(folder):
    fill(folder)
    log = folder.open()
    assert (log.recovery_point, log.is_dirty, log.unsynced) == (80, False, [])
    folder.close(log)


def test_after_a_crash_only_what_may_not_be_on_disk_is_synced_again(folder):
    fill(folder)
    log = folder.open(recovery_point=50)
    first_unsafe = max(base for base in log._bases if base <= 50)
    assert [segment.base_offset for segment in log.unsynced] == [b for b in log._bases if first_unsafe <= b][:-1]
    folder.close(log)


def test_the_sync_after_a_crash_leaves_the_indexes_of_older_segments_alone(folder):
    fill(folder)
    before = {name: content for name, content in folder.files().items() if name.endswith("index")}
    log = folder.open(recovery_point=80)
    sync(log)
    after = folder.files()
    rolled = [f"{base:020d}.{kind}" for base in log._bases[:-1] for kind in ("index", "timeindex")]
    assert rolled
    assert all(before[name] == after[name] and after[name] for name in rolled)
    folder.close(log)


def test_a_batch_that_was_not_wholly_written_goes(folder, caplog):
    contents = fill(folder, 3)
    with folder.partition.joinpath(f"{0:020d}.log").open("ab") as file:
        file.write(contents[0][:-1])
    log = folder.open(recovery_point=0)
    assert read_all(log) == contents
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert not list(folder.partition.glob("*.damaged"))
    folder.close(log)


def test_zeros_behind_the_last_batch_go(folder):
    contents = fill(folder, 3)
    with folder.partition.joinpath(f"{0:020d}.log").open("ab") as file:
        file.truncate(2000)
    log = folder.open(recovery_point=0)
    assert read_all(log) == contents
    assert log.segments[0].path(".log").stat().st_size == sum(map(len, contents))
    folder.close(log)


def test_a_second_damage_does_not_overwrite_what_was_kept_of_the_first(folder):
    contents = fill(folder, 5)
    kept = []
    path = folder.partition / f"{0:020d}.log"
    for _ in range(2):
        damaged = bytearray(b"".join(contents))
        damaged[len(contents[0]) + 70] ^= 1
        path.write_bytes(damaged)
        log = folder.open(recovery_point=0)
        assert read_all(log) == contents[:1]
        folder.close(log)
        kept.append(bytes(damaged[len(contents[0]) :]))
    assert [path.read_bytes() for path in sorted(folder.partition.glob("*.damaged"))] == kept


def test_a_segment_that_overlaps_its_predecessor_is_put_aside(folder, caplog):
    contents = fill(folder, 5)
    overlapping = folder.partition / f"{6:020d}.log"
    overlapping.write_bytes(contents[3])
    log = folder.open(recovery_point=0)
    assert read_all(log) == contents
    assert log._bases == [0]
    assert [path.read_bytes() for path in folder.partition.glob("*.damaged")] == [contents[3]]
    assert "does not begin at offset 10" in caplog.text
    folder.close(log)
    assert folder.problems() == []


def test_a_hole_that_compaction_may_have_left_between_two_segments_is_no_damage(folder, caplog):
    fill(folder)
    log = folder.open()
    (second, third) = log._bases[1:3]
    log.let_go()
    (folder.partition / f"{second:020d}.log").write_bytes(b"")
    log = folder.open(recovery_point=0, gaps_end=40)
    assert log.log_end_offset == 80
    assert caplog.messages == []
    assert read_header(log.read(second, 1, True).batches).base_offset == third
    folder.close(log)


@pytest.mark.parametrize(
    ("is_compacted", "gaps_end", "is_told"), [(True, 0, False), (False, 2, True), (False, 4, False)]
)
def test_a_hole_within_a_segment_is_told_where_compaction_has_left_none(
    folder, caplog, is_compacted, gaps_end, is_told
):
    contents = fill(folder, 5)
    (folder.partition / f"{0:020d}.log").write_bytes(b"".join(contents[:1] + contents[2:]))
    folder.settings.is_compacted = is_compacted
    log = folder.open(recovery_point=0, gaps_end=gaps_end)
    assert read_all(log) == contents[:1] + contents[2:]
    assert ("offset 2 is missing; only compaction leaves gaps" in caplog.text) is is_told
    assert len(caplog.messages) == is_told
    folder.close(log)


def test_a_hole_behind_what_was_compacted_is_not_of_compaction(folder):
    contents = fill(folder)
    log = folder.open()
    second = log._bases[1]
    log.let_go()
    (folder.partition / f"{second:020d}.log").write_bytes(b"")
    log = folder.open(recovery_point=0, gaps_end=second)
    assert log.log_end_offset == second
    assert read_all(log) == contents[: second // 2]
    folder.close(log)


def test_an_empty_new_segment_is_where_a_crash_after_a_roll_continues(folder):
    contents = fill(folder, 5)
    (folder.partition / f"{10:020d}.log").touch()
    log = folder.open(recovery_point=0)
    assert (log.log_end_offset, read_all(log)) == (10, contents)
    assert append(log, batch()).base_offset == 10
    folder.close(log)


@pytest.mark.parametrize("recovery_point", [None, 0, 10**12, -5])
def test_a_folder_without_indexes_gets_them_again(folder, recovery_point):
    contents = fill(folder)
    for path in folder.partition.glob("*index"):
        path.unlink()
    log = folder.open(recovery_point)
    assert read_all(log, 1) == contents
    assert log.batch_at_or_after(1017) == contents[17]
    assert log.batch_of_max_timestamp() == contents[-1]
    folder.close(log)
    assert folder.problems() == []


@pytest.mark.parametrize("recovery_point", [None, 0, 40, 80])
def test_a_lost_time_index_hides_no_timestamp(folder, recovery_point):
    contents = fill(folder)
    for path in folder.partition.glob("*.timeindex"):
        path.write_bytes(b"")
    log = folder.open(recovery_point)
    assert [log.batch_at_or_after(1000 + number) for number in range(40)] == contents
    folder.close(log)


def test_a_log_ends_before_a_hole_that_the_power_left_between_two_segments(folder):
    """Whole batches are missing at the end of a file: its last length had not come to the disk."""
    contents = fill(folder)
    log = folder.open()
    (second, third) = log._bases[1:3]
    log.let_go()
    path = folder.partition / f"{second:020d}.log"
    path.write_bytes(path.read_bytes()[: -len(contents[0])])
    log = folder.open(recovery_point=0)
    assert read_all(log) == contents[: third // 2 - 1]
    assert len(list(folder.partition.glob("*.damaged"))) > 0
    assert append(log, batch()).base_offset == third - 2
    folder.close(log)
    assert folder.problems() == []


@pytest.mark.parametrize("recovery_point", [-1, 0])
def test_the_length_of_the_segment_before_the_recovery_point_is_checked(folder, recovery_point):
    """It is made longer for its map, which nobody syncs until there is something new."""
    contents = fill(folder)
    log = folder.open()
    (second, third) = log._bases[1:3]
    log.let_go()
    for base in log._bases[2:]:
        (folder.partition / f"{base:020d}.log").unlink()
    (folder.partition / f"{third:020d}.log").touch()
    path = folder.partition / f"{second:020d}.log"
    path.write_bytes(path.read_bytes() + bytes(100))
    log = folder.open(recovery_point=third + recovery_point)
    assert read_all(log) == contents[: third // 2]
    assert not list(folder.partition.glob("*.damaged"))
    folder.close(log)
    assert folder.problems() == []


def test_a_segment_that_does_not_grow_any_more_is_not_made_longer_for_its_map(folder):
    log = folder.open()
    append(log, batch())
    old = log.roll().base_offset
    log.let_go()
    size = log.segments[0].size
    truncated: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage_files, "truncate", lambda descriptor, size: truncated.append(size))
        assert len(log.read(old - 1, 1000, True).batches) == size
    assert truncated == []


def test_a_damaged_segment_that_was_deleted_costs_nothing(folder):
    """It was never synced, and its new name was lost with the power."""
    contents = fill(folder)
    log = folder.open()
    second = log._bases[1]
    log.let_go()
    (folder.partition / f"{0:020d}.log").write_bytes(bytes(500))
    log = folder.open(recovery_point=0, log_start_offset=second)
    assert read_all(log) == contents[second // 2 :]
    assert not list(folder.partition.glob("*.damaged"))
    folder.close(log)
    assert folder.problems() == []


def test_leader_epochs_that_the_file_has_lost_are_read_from_the_log(folder):
    log = folder.open()
    path = folder.partition / "leader-epoch-checkpoint"
    append(log, batch(), leader_epoch=1)
    before = path.read_bytes()
    append(log, batch(), leader_epoch=2)
    append(log, batch(), leader_epoch=3)
    log.let_go()
    for content, recovery_point in ((before, 1), (b"", 3), (b"", None), (b"0\n1\n3 2\n", 3)):
        path.write_bytes(content)
        log = folder.open(recovery_point)
        assert log.epochs.starts == [(1, 0), (2, 1), (3, 2)]
        log.let_go()


def test_an_unreadable_snapshot_that_is_not_needed_goes_too(folder):
    fill(folder)
    log = folder.open()
    log.let_go()
    older, newer = sorted(folder.partition.glob("*.snapshot"))
    for path, recovery_point in ((older, 80), (newer, int(newer.stem) - 2)):
        path.write_bytes(bytes(50))
        log = folder.open(recovery_point)
        log.let_go()
    log = folder.open()
    folder.close(log)
    assert folder.problems() == []


def test_garbage_in_the_leader_epoch_file_starts_it_anew(folder, caplog):
    fill(folder)
    (folder.partition / "leader-epoch-checkpoint").write_text("0\n1\nzero 0\n")
    log = folder.open()
    assert log.epochs.starts == [(0, 0)]
    assert "leader-epoch-checkpoint" in caplog.text
    append(log, batch(), leader_epoch=3)
    assert log.epochs.starts == [(0, 0), (3, 80)]
    folder.close(log)


def test_leader_epochs_beyond_the_recovered_end_go(folder):
    log = folder.open()
    for epoch in range(3):
        append(log, batch(), leader_epoch=epoch)
    log.let_go()
    path = folder.partition / f"{0:020d}.log"
    path.write_bytes(path.read_bytes()[:-1])
    log = folder.open(recovery_point=0)
    assert log.epochs.starts == [(0, 0), (1, 1)]
    folder.close(log)


def test_leader_epochs_that_went_are_synced_though_no_record_is_left(folder):
    """They would be back after a clean stop and a power failure."""
    log = folder.open()
    append(log, batch(), leader_epoch=1)
    log.let_go()
    os.truncate(folder.partition / f"{0:020d}.log", 0)
    log = folder.open(recovery_point=0)
    assert (log.log_end_offset, log.epochs.starts, log.is_dirty) == (0, [], True)
    sync(log)
    assert not log.is_dirty


@pytest.mark.parametrize("segment_bytes", [90, 500, 10**6])
@pytest.mark.parametrize("is_clean", [True, False])
def test_all_five_batches_of_every_producer_are_remembered_after_a_restart(tmp_path, segment_bytes, is_clean):
    folder = LogFolder(tmp_path / "data", Settings(segment_bytes=segment_bytes, index_interval_bytes=100))
    log = folder.open()
    sent = []
    for sequence in range(9):
        for producer in range(4):
            content = batch(1, 5, producer_id=producer, producer_epoch=producer, base_sequence=sequence)
            sent.append((bytes(content), append(log, content).base_offset))
    if is_clean:
        folder.close(log)
    else:
        log.let_go()
    log = folder.open(None if is_clean else 3)
    for content, base_offset in sent[-20:]:
        assert append(log, bytearray(content)).base_offset == base_offset
    for content, _ in sent[:-20]:
        with pytest.raises(SequenceOutOfOrder):
            append(log, bytearray(content))
    for producer in range(4):
        following = batch(1, 5, producer_id=producer, producer_epoch=producer, base_sequence=9)
        assert append(log, following).base_offset == 36 + producer
    folder.close(log)


@pytest.mark.parametrize("is_clean", [True, False])
def test_five_batches_of_the_largest_default_size_are_remembered(tmp_path, is_clean):
    folder = LogFolder(tmp_path / "data", Settings(segment_bytes=4 * 2**20))
    log = folder.open()
    sent = [batch(1, 1_048_000, producer_id=1, producer_epoch=0, base_sequence=sequence) for sequence in range(7)]
    for content in sent:
        append(log, content)
    if is_clean:
        folder.close(log)
    else:
        log.let_go()
    log = folder.open(None if is_clean else log.log_end_offset)
    assert [append(log, content).base_offset for content in sent[-5:]] == [2, 3, 4, 5, 6]
    folder.close(log)


def test_a_producer_that_a_recovery_cut_off_may_send_again(folder):
    log = folder.open()
    sent = [batch(1, 5, producer_id=1, producer_epoch=0, base_sequence=sequence) for sequence in range(3)]
    for content in sent:
        append(log, content)
    folder.close(log)
    path = folder.partition / f"{0:020d}.log"
    path.write_bytes(path.read_bytes()[:-1])
    log = folder.open(recovery_point=0)
    assert append(log, sent[2]).base_offset == 2
    assert log.log_end_offset == 3
    folder.close(log)


def test_an_unreadable_snapshot_is_replaced_by_an_older_one_or_the_log(folder, caplog):
    log = folder.open()
    for sequence in range(30):
        append(log, batch(1, 100, producer_id=1, producer_epoch=0, base_sequence=sequence))
    folder.close(log)
    for path in folder.partition.glob("*.snapshot"):
        path.write_bytes(path.read_bytes()[:-1])
    log = folder.open()
    assert "rebuilding the producers' state" in caplog.text
    again = batch(1, 100, producer_id=1, producer_epoch=0, base_sequence=29)
    assert append(log, again).base_offset == 29
    folder.close(log)


def test_only_the_newest_two_snapshots_are_kept(folder):
    fill(folder)
    log = folder.open()
    assert len(list(folder.partition.glob("*.snapshot"))) == 2
    folder.close(log)


def test_what_is_checked_is_read_by_calls_so_that_an_error_of_the_disk_is_an_error(folder, monkeypatch):
    log = folder.open()
    for _ in range(3):
        append(log, batch(size=500))
    size = log.size_bytes
    log.let_go()
    read: list[tuple[int, int]] = []

    def preadv(descriptor: int, buffers: list[memoryview], position: int) -> int:
        read.append((position, position + len(buffers[0])))
        if position == 1000:
            raise OSError(errno.EIO, "bad sector")
        return os.preadv(descriptor, buffers, position)

    monkeypatch.setattr(recovery, "READ_AHEAD_BYTES", 1000)
    monkeypatch.setattr(files, "preadv", preadv)
    with pytest.raises(OSError, match="bad sector"):
        folder.open(0)
    assert (0, 1000) in read
    monkeypatch.undo()
    again = folder.open(0)
    assert again.size_bytes == size
    again.let_go()


def test_a_segment_that_ends_at_the_recovery_point_is_synced_again_after_a_crash(folder):
    """Its length may have been changed for its map by the process that died."""
    fill(folder)
    log = folder.open()
    (second, third) = log._bases[1:3]
    log.let_go()
    log = folder.open(recovery_point=third)
    assert second in [segment.base_offset for segment in log.unsynced]
    assert 0 not in [segment.base_offset for segment in log.unsynced]
    log.let_go()


def test_a_producer_whose_batches_were_all_deleted_is_known_after_a_crash(folder):
    """By the snapshot with which the log begins, though that lies behind the recovery point."""
    log = folder.open()
    repeated = batch(producer_id=7, producer_epoch=0, base_sequence=0)
    append(log, bytearray(repeated))
    for _ in range(30):
        append(log, batch(size=100))
    start = log._bases[1]
    log.let_go()
    log = folder.open(recovery_point=0, log_start_offset=start)
    assert log._bases[0] == start
    assert append(log, repeated).base_offset == 0
    log.let_go()
