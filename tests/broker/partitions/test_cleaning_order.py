"""What compaction waits for, and in which order the segments of a log are replaced."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.compacting import keyed_batch, plan_for
from support.logs import START_MS, TOPIC_ID, Settings, append

from barnabas.broker.partitions.cleaning import Cleaning
from barnabas.storage.clock import ManualClock
from barnabas.storage.compaction import Outcome, Plan, compact
from barnabas.storage.datadir import DataDir
from barnabas.storage.dirtiness import dirtiness
from barnabas.storage.segments import SegmentedLog


@dataclass
class TopicSettings(Settings):
    delete_retention_ms: int = 1000


class HereAndNow:
    """Compacts in this process. ``then``: what happens before the outcome is known."""

    def __init__(self, then: Callable[[], object]) -> None:
        self.then = then

    def clean(self, plan: Plan) -> Outcome:
        outcome = compact(plan, lambda size: None)
        self.then()
        return outcome

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


def compact_once(data_dir: DataDir, log: SegmentedLog, then: Callable[[], object]) -> None:
    async def run() -> None:
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
        partition: Any = SimpleNamespace(topic="t", index=0, is_gone=False, config=SETTINGS)
        end_offset = plan_for(log, START_MS).end_offset
        await cleaning._compact(worker, partition, dirtiness(log.extents(), SETTINGS, 0, end_offset, START_MS))

    asyncio.run(run())


def test_what_a_compaction_relies_on_is_on_the_disk_before_it_begins(data_dir: DataDir) -> None:
    log = filled(data_dir)
    found: list[int] = []
    compact_once(data_dir, log, lambda: found.append(log.recovery_point))
    assert found == [41]
    assert data_dir.clean_offset("t", 0) == log.segments[-1].base_offset


def test_what_lies_behind_a_segment_that_was_not_replaced_is_not_replaced(data_dir: DataDir) -> None:
    log = filled(data_dir)
    before = log.segments
    compact_once(data_dir, log, lambda: log.delete_before(before[1].base_offset))
    assert log.segments == before[1:]
    assert not [*log.directory.glob("*.cleaned"), *log.directory.glob("*.swap")]
    assert data_dir.clean_offset("t", 0) == before[1].base_offset
