"""Compaction in the background: which log is next, and the swap of its segments (Kafka's LogCleaner)."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ...storage import swap
from ...storage.cleaner import CleanerEnded, CleanerProcess, CleaningFailed
from ...storage.compaction import Cleaned, Outcome, Plan
from ...storage.dirtiness import Dirtiness, dirtiness
from ...storage.errors import FULL, LogOffline
from ...storage.files import unlink
from ...storage.index import IndexCorrupt
from ...storage.retention import Extent, extents_in
from ...storage.segment import CLEANED_MARK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable
    from pathlib import Path
    from typing import TypeVar

    from ...storage.clock import Clock
    from ...storage.datadir import DataDir
    from ...storage.segments import SegmentedLog
    from ..config import BrokerConfig, TopicConfig
    from .partition import Partition
    from .topics import Topics

    T = TypeVar("T")

logger = logging.getLogger(__name__)

# What passes by itself: no space, or files that retention has taken away meanwhile.
_MAY_PASS = (*FULL, errno.ENOENT)
# For how long the processes are kept though there is nothing to compact: to start one is as much work as some MiB.
_IDLE_S = 60
# How often a process may end over one partition before that is left alone.
_ENDS_MAX = 3


class _Candidate(NamedTuple):
    """A log that may be dirty, as it is now."""

    partition: Partition
    extents: list[Extent]
    config: TopicConfig
    dirty_offset: int
    end_offset: int


class Cleaning:
    """Compacts the dirtiest logs, as long as there are any: ``log.cleaner.threads`` of them at a time."""

    def __init__(
        self,
        topics: Topics,
        data_dir: DataDir,
        clock: Clock,
        config: Callable[[], BrokerConfig],
        request_sync: Callable[[SegmentedLog], Awaitable[None]],
    ) -> None:
        self._topics = topics
        self._data_dir = data_dir
        self._clock = clock
        self._config = config
        self._request_sync = request_sync
        self._workers: list[CleanerProcess] = []
        self._busy: set[Partition] = set()
        self._uncleanable: set[Partition] = set()
        self._ends: Counter[Partition] = Counter()
        self._threads: ThreadPoolExecutor | None = None
        self._worked_s = 0.0

    async def clean(self) -> None:
        """Compact until nothing is dirty. The processes stay for the next time, until there was none for a while."""
        is_enabled = self._config().bool("log.cleaner.enable")
        if not is_enabled or not any(topic.config.is_compacted for topic in self._topics):
            self.stop()
            return
        self._uncleanable = {partition for partition in self._uncleanable if not partition.is_gone}
        self._ends = Counter({partition: ends for partition, ends in self._ends.items() if not partition.is_gone})
        count = self._config().int("log.cleaner.threads")
        if len(self._workers) != count:
            self.stop()
            self._threads = ThreadPoolExecutor(thread_name_prefix="cleaner")
            self._workers = [CleanerProcess() for _ in range(count)]
        try:
            await asyncio.gather(*(self._work(worker) for worker in self._workers))
        except BaseException:
            self.stop()
            raise
        if self._clock.monotonic() > self._worked_s + _IDLE_S:
            self.stop()

    def stop(self) -> None:
        """End the processes; what they have not finished is begun anew another time."""
        for worker in self._workers:
            worker.stop()
        self._workers = []
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None

    async def _work(self, worker: CleanerProcess) -> None:
        while (found := await self._dirtiest()) is not None:
            partition, dirty = found
            if partition in self._busy:  # another worker was faster
                continue
            self._busy.add(partition)
            try:
                if not await self._compact(worker, partition, dirty):
                    return
            finally:
                self._busy.discard(partition)
                self._worked_s = self._clock.monotonic()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _dirtiest(self) -> tuple[Partition, Dirtiness] | None:
        await self._open_unopened()
        candidates = []
        for partition in self._compacted():
            log = self._data_dir.logs.get((partition.topic, partition.index))
            if log is None or log.offline is not None or len(log.segments) < 2:
                continue
            dirty_offset = self._data_dir.clean_offset(partition.topic, partition.index)
            unsynced = (segment.base_offset for segment in log.unsynced)
            end_offset = min((partition.last_stable_offset, *unsynced))
            candidates.append(_Candidate(partition, log.extents(), partition.config, dirty_offset, end_offset))
        if not candidates:
            return None
        return await self._in_thread(partial(_dirtiest, candidates, self._clock.now_ms()))

    def _compacted(self) -> Iterable[Partition]:
        """Yield the partitions that may be looked at."""
        for topic in self._topics:
            if topic.config.is_compacted:
                for partition in topic.partitions:
                    if partition not in self._busy and partition not in self._uncleanable:
                        yield partition

    async def _open_unopened(self) -> None:
        """Open the logs that nobody has used since the start, if they have a segment that does not grow any more."""
        folders = {
            partition: self._data_dir.path / f"{partition.topic}-{partition.index}"
            for partition in self._compacted()
            if not partition.is_open
        }

        for partition in await self._in_thread(partial(_rolled, folders)) if folders else ():
            try:
                _ = partition.is_gone or partition.log
            except LogOffline as error:
                logger.debug("%s", error)

    async def _compact(self, worker: CleanerProcess, partition: Partition, dirty: Dirtiness) -> bool:
        """Return whether it is worth going on with others."""
        key = (partition.topic, partition.index)
        log = self._data_dir.logs.get(key)
        if log is None or partition.is_gone:
            return True
        plan = self._plan(partition, log, dirty)
        try:
            # What the plan relies on has to be on the disk, the markers behind what is compacted and the last batches
            # of the producers: what goes because of them could not be had back if the power failed.
            await self._request_sync(log)
            outcome = await self._take_over(log, worker.clean(plan))
        except (CleaningFailed, IndexCorrupt, LogOffline, OSError) as error:
            await self._in_thread(partial(_remove_cleaned, log))
            if partition.is_gone or log.offline is not None:
                return True
            if self._may_pass(partition, error):
                logger.warning("%s-%d was not compacted: %s", *key, error)
                return False
            self._uncleanable.add(partition)
            logger.error("%s-%d is not compacted until the next start: %s", *key, error)
            return True
        if outcome is not None and self._data_dir.logs.get(key) is log:
            self._data_dir.note_clean_offset(*key, outcome.clean_offset)
            del self._ends[partition]
            self._report(key, outcome, plan)
        return outcome is not None

    def _may_pass(self, partition: Partition, error: Exception) -> bool:
        """Say whether a partition whose compaction has failed is to be compacted another time."""
        if isinstance(error, LogOffline) or not self._workers:
            return True
        if isinstance(error, CleanerEnded):
            self._ends[partition] += 1
            return self._ends[partition] < _ENDS_MAX
        number = error.number if isinstance(error, CleaningFailed) else getattr(error, "errno", None)
        return number in _MAY_PASS

    async def _take_over(self, log: SegmentedLog, steps: Generator[Cleaned | Outcome]) -> Outcome | None:
        """Put each cleaned segment into the log as soon as it is there; None when the log has changed meanwhile.

        It is over with the first that has no place: a tombstone may not go before what it stands for has gone.
        """
        try:
            while isinstance(step := await self._in_thread(partial(next, steps)), Cleaned):
                if not await self._swap(log, step):
                    break
        finally:
            await self._in_thread(steps.close)
        if isinstance(step, Outcome):
            return step
        await self._in_thread(partial(_remove_cleaned, log))
        return None

    def _plan(self, partition: Partition, log: SegmentedLog, dirty: Dirtiness) -> Plan:
        config, broker = partition.config, self._config()
        threads = len(self._workers)
        load_factor = broker.double("log.cleaner.io.buffer.load.factor")
        memory_bytes = broker.int("log.cleaner.dedupe.buffer.size") * load_factor
        return Plan(
            directory=str(log.directory),
            bases=dirty.bases,
            dirty_offset=self._data_dir.clean_offset(partition.topic, partition.index),
            end_offset=dirty.end_offset,
            now_ms=self._clock.now_ms(),
            delete_retention_ms=config.delete_retention_ms,
            segment_bytes=config.segment_bytes,
            segment_index_bytes=config.segment_index_bytes,
            index_interval_bytes=config.index_interval_bytes,
            memory_bytes=int(memory_bytes / threads),
            producers=log.last_records(),
            bytes_per_second=broker.double("log.cleaner.io.max.bytes.per.second") / threads,
        )

    async def _swap(self, log: SegmentedLog, cleaned: Cleaned) -> bool:
        """Put a cleaned segment into the log; False when the log has changed, and the segment is of no use."""
        segment = await self._in_thread(partial(swap.prepare, log.directory, cleaned.bases[0]))
        replaced = log.replace(segment, cleaned.bases)
        if replaced is None:
            await self._in_thread(partial(swap.discard, segment))
            return False
        try:
            await self._in_thread(partial(swap.complete, log, segment, replaced))
        except OSError as error:
            raise log.failed(error) from error
        self._data_dir.adopt(log, segment, replaced)
        return True

    def _report(self, key: tuple[str, int], outcome: Outcome, plan: Plan) -> None:
        seconds = (self._clock.now_ms() - plan.now_ms) / 1000
        before, after = _size(outcome.bytes_before), _size(outcome.bytes_after)
        logger.info("%s-%d: compacted %s to %s in %.1f s", *key, before, after, seconds)


def _size(size_bytes: int) -> str:
    """Write a size in the largest unit of which there are ten or more."""
    if size_bytes < 10 * 2**10:
        return f"{size_bytes} bytes"
    if size_bytes < 10 * 2**20:
        return f"{size_bytes / 2**10:.0f} KiB"
    return f"{size_bytes / 2**20:.0f} MiB"


def _rolled(folders: dict[Partition, Path]) -> list[Partition]:
    """Return the partitions that have more than one segment in their folders."""
    found = []
    for partition, folder in folders.items():
        with suppress(OSError):  # it was deleted meanwhile
            if len(extents_in(folder)) > 1:
                found.append(partition)
    return found


def _dirtiest(candidates: list[_Candidate], now_ms: int) -> tuple[Partition, Dirtiness] | None:
    best: tuple[Partition, Dirtiness] | None = None
    for partition, extents, config, dirty_offset, end_offset in candidates:
        try:
            found = dirtiness(extents, config, dirty_offset, end_offset, now_ms)
        except OSError as error:  # it was deleted meanwhile
            logger.debug("%s-%d: %s", partition.topic, partition.index, error)
            continue
        if found.must_clean(config) and (best is None or found.ratio > best[1].ratio):
            best = partition, found
    return best


def _remove_cleaned(log: SegmentedLog) -> None:
    """Remove what a compaction that failed has left."""
    with log.files:
        for left in () if log.is_deleted else log.directory.glob(f"*{CLEANED_MARK}"):
            unlink(left)
