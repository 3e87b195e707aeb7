"""What compaction waits for, and in which order the segments of a log are replaced."""

import asyncio
import errno
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.compacting import carry_out, keyed_batch, pairs_in, plan_for
from support.logs import START_MS, TOPIC_ID, Settings, append

from barnabas.broker.partitions import cleaning as cleaning_module
from barnabas.broker.partitions.cleaning import Cleaning
from barnabas.storage.cleaner import CleanerEnded, CleaningFailed
from barnabas.storage.clock import ManualClock
from barnabas.storage.compaction import Cleaned, Outcome, Plan
from barnabas.storage.datadir import DataDir
from barnabas.storage.dirtiness import dirtiness
from barnabas.storage.segments import SegmentedLog


@dataclass
class TopicSettings(Settings):
    delete_retention_ms: int = 1000


class Namespace(SimpleNamespace):
    """One that can be a key."""

    __hash__ = object.__hash__


class HereAndNow:
    """Compacts in this process. ``then``: what happens before the broker is told of each step."""

    def __init__(self, then: Callable[[Cleaned | Outcome], object]) -> None:
        self.then = then

    def clean(self, plan: Plan) -> Generator[Cleaned | Outcome]:
        for step in carry_out(plan):
            self.then(step)
            yield step

    def stop(self) -> None:
        pass


SETTINGS = TopicSettings(segment_bytes=1000, is_compacted=True)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[DataDir]:
    data_dir = DataDir(tmp_path / "data", ManualClock(START_MS), 1, lambda work: work())
    yield data_dir
    data_dir.close()


def filled(data_dir: DataDir) -> SegmentedLog:
    """A log of many segments; all but its last batch is on the disk."""
    log = data_dir.open_log("t", 0, TOPIC_ID, SETTINGS)
    for number in range(40):
        append(log, keyed_batch((b"%d" % (number % 3), bytes(100)), timestamp=START_MS))
    is_synced = threading.Event()
    data_dir.flusher.request(log, lambda error: is_synced.set())
    assert is_synced.wait(10)
    assert (log.recovery_point, log.unsynced) == (40, [])
    append(log, keyed_batch((b"0", b""), timestamp=START_MS))
    return log


def compact_once(
    data_dir: DataDir, log: SegmentedLog, then: Callable[[Cleaned | Outcome], object], times: int = 1
) -> Cleaning:
    async def run() -> Cleaning:
        loop = asyncio.get_running_loop()
        data_dir.flusher._deliver = loop.call_soon_threadsafe
        config: Any = SimpleNamespace(int=lambda name: 2**20, double=lambda name: 1.0)
        topics: Any = []

        def request_sync(target: SegmentedLog) -> asyncio.Future[None]:
            synced = loop.create_future()
            data_dir.flusher.request(target, lambda error: synced.set_result(None))
            return synced

        cleaning = Cleaning(topics, data_dir, ManualClock(START_MS), lambda: config, request_sync)
        worker: Any = HereAndNow(then)
        cleaning._workers = [worker]
        partition: Any = Namespace(topic="t", index=0, is_gone=False, config=SETTINGS)
        end_offset = plan_for(log, START_MS).end_offset
        for _ in range(times):
            found = dirtiness(log.extents(), SETTINGS, 0, end_offset, START_MS)
            await cleaning._compact(worker, partition, found)
        return cleaning

    return asyncio.run(run())


def test_what_a_compaction_relies_on_is_on_the_disk_before_it_begins(data_dir: DataDir) -> None:
    log = filled(data_dir)
    found: list[int] = []
    compact_once(data_dir, log, lambda _: found.append(log.recovery_point))
    assert {*found} == {41}
    assert data_dir.clean_offset("t", 0) == log.segments[-1].base_offset


def test_the_sizes_of_a_small_compaction_are_told_in_bytes(
    data_dir: DataDir, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    log = filled(data_dir)
    before = log.size_bytes - log.segments[-1].size
    compact_once(data_dir, log, lambda _: None)
    after = log.size_bytes - log.segments[-1].size
    assert f"t-0: compacted {before} bytes to {after} bytes in 0.0 s" in caplog.text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 bytes"), (10_239, "10239 bytes"), (10_240, "10 KiB"), (10 * 2**20, "10 MiB"), (3 * 2**30, "3072 MiB")],
)
def test_a_size_is_told_in_a_unit_of_which_there_are_ten_or_more(size_bytes: int, text: str) -> None:
    assert cleaning_module._size(size_bytes) == text


def test_what_lies_behind_a_segment_that_was_not_replaced_is_not_replaced(data_dir: DataDir) -> None:
    log = filled(data_dir)
    before = log.segments

    def delete_first(step: Cleaned | Outcome) -> None:
        if step == Cleaned([0]):
            log.delete_before(before[1].base_offset)

    compact_once(data_dir, log, delete_first)
    assert log.segments == before[1:]
    assert not [*log.directory.glob("*.cleaned"), *log.directory.glob("*.swap")]
    assert data_dir.clean_offset("t", 0) == before[1].base_offset


def test_a_cleaned_segment_takes_its_place_before_the_next_is_begun(data_dir: DataDir) -> None:
    """So the disk need not have space for all of it twice."""
    log = filled(data_dir)
    before = {segment.base_offset for segment in log.segments}
    cleaned: list[int] = []

    def look(step: Cleaned | Outcome) -> None:
        if isinstance(step, Cleaned):
            left = [path for path in log.directory.glob("*.cleaned") if path.stem.endswith(".log")]
            assert [int(path.name.split(".")[0]) for path in left] == step.bases[:1]
            cleaned.extend(step.bases)

    compact_once(data_dir, log, look)
    assert len(before) > 3
    assert cleaned == sorted(before)[:-1]


def test_what_has_taken_its_place_stays_when_the_rest_fails(data_dir: DataDir) -> None:
    log = filled(data_dir)
    before = log.segments
    wanted = {key: offset for offset, key, _ in pairs_in(log)}
    steps = 0

    def fail(step: Cleaned | Outcome) -> None:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise CleaningFailed("no space", errno.ENOSPC)

    cleaning = compact_once(data_dir, log, fail)
    assert log.segments[0] is not before[0]
    assert log.segments[2:] == before[2:]
    assert {key: offset for offset, key, _ in pairs_in(log)} == wanted
    assert not [*log.directory.glob("*.cleaned"), *log.directory.glob("*.swap")]
    assert (data_dir.clean_offset("t", 0), len(cleaning._uncleanable)) == (0, 0)


def test_a_partition_over_which_the_process_ends_again_and_again_is_left_alone(data_dir: DataDir) -> None:
    log = filled(data_dir)

    def end(step: Cleaned | Outcome) -> None:
        raise CleanerEnded("the cleaner ended with status -9")

    for times, is_left_alone in ((2, False), (3, True)):
        cleaning = compact_once(data_dir, log, end, times)
        assert bool(cleaning._uncleanable) == is_left_alone


def test_the_processes_stay_for_a_minute_after_the_last_compaction(
    data_dir: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = filled(data_dir)
    clock = ManualClock(START_MS)
    made: list[Any] = []
    steps: list[Cleaned | Outcome] = []

    class CleanerHere(HereAndNow):
        def __init__(self) -> None:
            super().__init__(steps.append)
            self.is_stopped = False
            made.append(self)

        def stop(self) -> None:
            self.is_stopped = True

    monkeypatch.setattr(cleaning_module, "CleanerProcess", CleanerHere)
    settings = {"log.cleaner.threads": 1, "log.cleaner.dedupe.buffer.size": 2**20}
    config: Any = SimpleNamespace(bool=lambda name: True, int=settings.get, double=lambda name: 1.0)
    partition: Any = Namespace(
        topic="t", index=0, is_gone=False, is_open=True, last_stable_offset=log.log_end_offset, config=SETTINGS
    )
    topics: Any = [SimpleNamespace(config=SETTINGS, partitions=[partition])]

    async def synced(target: SegmentedLog) -> None:
        pass

    async def run() -> None:
        cleaning = Cleaning(topics, data_dir, clock, lambda: config, synced)
        await cleaning.clean()
        clock.advance(60)
        await cleaning.clean()
        assert [cleaner.is_stopped for cleaner in made] == [False]
        clock.advance(1)
        await cleaning.clean()
        assert [cleaner.is_stopped for cleaner in made] == [True]

    asyncio.run(run())
    assert len(steps) > 3
