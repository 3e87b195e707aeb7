"""What retention deletes, decided by the extents of a log."""

from pathlib import Path

import pytest
from support.logs import START_MS, LogFolder, Settings, append, batch, read_all

from barnabas.storage.clock import ManualClock
from barnabas.storage.retention import FUTURE_MS, Extent, extents_in, new_start
from barnabas.storage.segments import SegmentedLog

DAY_MS = 86_400_000


def extents(*sizes_and_ages: tuple[int, int]) -> list[Extent]:
    """Segments of ten records each: bytes, and how long ago the newest was written."""
    return [Extent(Path("/nowhere"), 10 * at, size, START_MS - age) for at, (size, age) in enumerate(sizes_and_ages)]


def decide(found: list[Extent], end: int | None = None, **settings: int | bool) -> int | None:
    limits = Settings(**{"retention_ms": -1, "retention_bytes": -1, **settings})  # type: ignore[arg-type]
    return new_start(found, limits, START_MS, 10 * len(found) if end is None else end)


@pytest.mark.parametrize(
    ("ages", "start"),
    [
        ((0, 0, 0), None),
        ((101, 0, 0), 10),
        ((100, 0, 0), None),  # as old as is allowed
        ((500, 300, 101), 30),  # the growing segment too
        ((500, 50, 500), 10),  # not beyond one that stays
        ((-500, 500, 500), None),  # a timestamp of the future
    ],
)
def test_segments_go_when_their_newest_record_is_too_old(ages, start):
    assert decide(extents(*((1000, age) for age in ages)), retention_ms=100) == start


@pytest.mark.parametrize(
    ("ages", "told"),
    [
        ((-FUTURE_MS, 500), []),
        ((-FUTURE_MS - 1, 500), [START_MS + FUTURE_MS + 1]),
        ((500, -2 * FUTURE_MS, -3 * FUTURE_MS), [START_MS + 2 * FUTURE_MS]),  # the first that stays
        ((0, -2 * FUTURE_MS), []),  # it does not hold anything back yet
    ],
)
def test_a_timestamp_of_the_future_that_keeps_a_segment_is_told(ages, told):
    found = extents(*((1000, age) for age in ages))
    settings = Settings(retention_ms=100, retention_bytes=-1)
    heard: list[int] = []
    new_start(found, settings, START_MS, 10 * len(found), heard.append)
    assert heard == told


def test_a_timestamp_of_the_future_keeps_nothing_where_there_is_no_limit_of_time():
    found = extents((1000, -2 * FUTURE_MS), (1000, 0))
    heard: list[int] = []
    new_start(found, Settings(retention_ms=-1, retention_bytes=1000), START_MS, 20, heard.append)
    assert heard == []


@pytest.mark.parametrize(
    ("limit", "start"),
    [(3000, None), (2999, None), (2000, 10), (1999, 10), (1000, 20), (999, 20), (0, 30), (-1, None)],
)
def test_segments_go_while_what_is_left_is_not_too_little(limit, start):
    assert decide(extents((1000, 0), (1000, 0), (1000, 0)), retention_bytes=limit) == start


def test_what_the_size_leaves_may_still_be_too_old():
    assert decide(extents((1000, 0), (1000, 500), (1000, 0)), retention_bytes=2000, retention_ms=100) == 20


def test_a_growing_segment_without_records_stays():
    assert decide(extents((1000, 500), (0, 500)), retention_ms=100) == 10
    assert decide(extents((0, 500)), retention_ms=100) is None


@pytest.mark.parametrize(("end", "start"), [(9, None), (10, 10), (19, 10), (20, 20)])
def test_what_consumers_cannot_have_seen_stays(end, start):
    assert decide(extents(*((1000, 500) for _ in range(3))), end, retention_ms=100) == start


def test_without_the_delete_policy_everything_stays():
    assert decide(extents((1000, 500), (1000, 0)), retention_ms=0, retention_bytes=0, is_deleting=False) is None


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    return LogFolder(tmp_path / "data", Settings(segment_bytes=1000), ManualClock(START_MS))


def fill(log: SegmentedLog, *timestamps: int) -> None:
    for timestamp in timestamps:
        append(log, batch(size=800, timestamp=timestamp))


def test_a_log_parts_with_what_is_too_old(folder):
    log = folder.open()
    fill(log, START_MS - 3 * DAY_MS, START_MS - 2 * DAY_MS, START_MS)
    folder.settings.retention_ms = DAY_MS
    start = new_start(log.extents(), folder.settings, START_MS, log.log_end_offset)
    assert start == 2
    assert log.expire(start) == 2
    assert (log.log_start_offset, [segment.base_offset for segment in log.segments]) == (2, [2])
    log.let_go()


def test_a_log_of_which_everything_is_too_old_begins_anew(folder):
    log = folder.open()
    fill(log, 0, 1)
    assert log.expire(2) == 2
    assert (log.log_start_offset, log.log_end_offset, log.size_bytes) == (2, 2, 0)
    fill(log, START_MS)
    assert len(read_all(log)) == 1
    folder.close(log)
    assert folder.problems() == []


def test_a_segment_that_has_grown_since_stays(folder):
    log = folder.open()
    fill(log, 0, 1)
    append(log, batch(size=10, timestamp=2))
    assert log.expire(2) == 1
    assert len(read_all(log)) == 2
    log.let_go()


@pytest.mark.parametrize("with_indexes", [True, False])
def test_the_files_of_a_closed_log_tell_its_ages(folder, with_indexes):
    log = folder.open()
    fill(log, START_MS - 3 * DAY_MS, START_MS - 2 * DAY_MS, START_MS)
    folder.close(log)
    if not with_indexes:
        for path in folder.partition.glob("*index"):
            path.unlink()
    folder.settings.retention_ms = DAY_MS
    assert new_start(extents_in(folder.partition), folder.settings, START_MS, 3) == 2


def test_records_without_timestamps_are_as_old_as_their_file(folder):
    log = folder.open()
    fill(log, -1, -1)
    folder.close(log)
    written_ms = (folder.partition / "00000000000000000000.log").stat().st_mtime * 1000
    folder.settings.retention_ms = DAY_MS
    found = extents_in(folder.partition)
    assert new_start(found, folder.settings, int(written_ms) + DAY_MS // 2, 2) is None
    assert new_start(found, folder.settings, int(written_ms) + 2 * DAY_MS, 2) == 2
