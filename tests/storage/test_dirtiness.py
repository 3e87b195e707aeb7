"""How dirty a log is, and what of it may be compacted."""

from pathlib import Path
from typing import Any

import pytest
from support.logs import START_MS, LogFolder, Settings, append, batch, sync

from barnabas.storage.clock import ManualClock
from barnabas.storage.dirtiness import Dirtiness, dirtiness
from barnabas.storage.retention import Extent

NOW = START_MS


def extents(*sizes_and_ages: tuple[int, int]) -> list[Extent]:
    """Segments of ten records each: bytes, and how long ago the newest was written. The last one grows."""
    return [Extent(Path("/nowhere"), 10 * at, size, NOW - age) for at, (size, age) in enumerate(sizes_and_ages)]


def look(found: list[Extent], dirty_offset: int = 0, end_offset: int = 2**40, **settings: Any) -> Dirtiness:
    return dirtiness(found, Settings(is_compacted=True, **settings), dirty_offset, end_offset, NOW)


@pytest.mark.parametrize(
    ("dirty_offset", "bases", "ratio"),
    [
        (0, [0, 10, 20], 1.0),
        (10, [0, 10, 20], 0.9),
        (15, [0, 10, 20], 0.9),  # a segment that is compacted in part counts as a whole
        (20, [0, 10, 20], 0.6),
        (30, [0, 10, 20], 0.0),
        (35, [0, 10, 20], 0.0),
    ],
)
def test_the_ratio_is_what_was_not_compacted_of_what_may_be(dirty_offset, bases, ratio):
    found = look(extents((100, 0), (300, 0), (600, 0), (5000, 0)), dirty_offset)
    assert (found.bases, found.end_offset, found.ratio) == (bases, 30, ratio)


@pytest.mark.parametrize("log", [[], extents((100, 0)), extents((0, 0), (0, 0))])
def test_a_log_of_which_nothing_may_be_compacted_is_clean(log):
    found = look(log)
    assert (found.ratio, found.is_due) == (0.0, False)
    assert not found.must_clean(Settings(min_cleanable_dirty_ratio=0.0))


@pytest.mark.parametrize(
    ("end_offset", "bases"), [(9, []), (10, [0]), (19, [0]), (20, [0, 10]), (29, [0, 10]), (30, [0, 10, 20])]
)
def test_what_is_undecided_or_not_on_the_disk_may_not_be_compacted(end_offset, bases):
    found = look(extents(*((100, 0) for _ in range(4))), 0, end_offset)
    assert (found.bases, found.end_offset) == (bases, 10 * len(bases))


def test_what_is_younger_than_the_min_compaction_lag_waits_and_so_does_what_follows():
    ages = extents((100, 900), (100, 500), (100, 499), (100, 900), (100, 0))
    assert look(ages, min_compaction_lag_ms=500).bases == [0, 10]
    assert look(ages, min_compaction_lag_ms=0).bases == [0, 10, 20, 30]
    assert look(ages, 30, min_compaction_lag_ms=500).bases == [0, 10, 20, 30]  # what was compacted does not wait


@pytest.mark.parametrize(
    ("ratio", "limit", "is_due", "must"),
    [
        (0.5, 0.5, False, False),
        (0.51, 0.5, False, True),
        (0.01, 0.5, True, True),
        (0.0, 0.5, True, False),
        (0.1, 0.0, False, True),
    ],
)
def test_a_log_is_compacted_when_it_is_dirty_enough_or_has_waited(ratio, limit, is_due, must):
    assert Dirtiness([0], 10, ratio, is_due).must_clean(Settings(min_cleanable_dirty_ratio=limit)) is must


@pytest.mark.parametrize(
    ("lag_ms", "dirty_offset", "is_due"),
    [
        (99, 0, True),
        (100, 0, False),
        (99, 2, False),  # of what is dirty the first is younger
        (49, 2, True),
    ],
)
def test_what_has_waited_for_the_max_compaction_lag_is_due(tmp_path, lag_ms, dirty_offset, is_due):
    """By the time of its first batch."""
    folder = LogFolder(tmp_path / "data", Settings(is_compacted=True), ManualClock(START_MS))
    log = folder.open()
    for age_ms in (100, 50):
        append(log, batch(timestamp=NOW - age_ms))
        append(log, batch(timestamp=NOW))
        log.roll()
    sync(log)
    found = look(log.extents(), dirty_offset, max_compaction_lag_ms=lag_ms)
    assert found.is_due is is_due
    log.let_go()


def test_records_without_timestamps_are_never_due(tmp_path):
    folder = LogFolder(tmp_path / "data", Settings(is_compacted=True), ManualClock(START_MS))
    log = folder.open()
    append(log, batch(timestamp=-1))
    log.roll()
    assert look(log.extents(), max_compaction_lag_ms=1).is_due is False
    log.let_go()
