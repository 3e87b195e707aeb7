"""Deleting old records while the broker does something else (Kafka's LogManager.cleanupLogs)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple

from ...storage.errors import LogOffline, OffsetNotInLog
from ...storage.log import NEVER
from ...storage.retention import Extent, extents_in, new_start

if TYPE_CHECKING:
    from pathlib import Path

    from ...storage.clock import Clock
    from ...storage.datadir import DataDir
    from ..config import TopicConfig
    from .partition import Partition
    from .topics import Topics

logger = logging.getLogger(__name__)

# How many partitions are looked at between two turns of the event loop.
PARTITIONS_PER_TURN = 100
DAY_MS = 86_400_000


class _Question(NamedTuple):
    """What may go from a partition? ``extents``: None while its log is not open; then its folder is looked at."""

    partition: Partition
    folder: Path
    extents: list[Extent] | None
    config: TopicConfig
    end_offset: int


class Retention:
    """Deletes what is too old or too much. It decides in a thread, and acts where the logs are owned."""

    def __init__(self, topics: Topics, data_dir: DataDir, clock: Clock) -> None:
        self._topics = topics
        self._data_dir = data_dir
        self._clock = clock
        self._held_back: set[str] = set()  # the topics that were told of

    async def delete_expired(self) -> None:
        """Look at every partition once."""
        partitions = [
            partition
            for topic in self._topics
            if topic.config.is_deleting and (topic.config.retention_ms >= 0 or topic.config.retention_bytes >= 0)
            for partition in topic.partitions
        ]
        held_back: set[str] = set()
        while partitions:
            turn, partitions = partitions[:PARTITIONS_PER_TURN], partitions[PARTITIONS_PER_TURN:]
            questions = [self._question(partition) for partition in turn if not partition.is_gone]
            now_ms = self._clock.now_ms()
            for partition, start, newest_ms in await asyncio.to_thread(_answer, questions, now_ms):
                if newest_ms is not None:
                    held_back.add(partition.topic)
                    self._tell_of_future(partition, newest_ms - now_ms)
                if start is not None and not partition.is_gone and self._delete(partition, start):
                    partitions.append(partition)
                await asyncio.sleep(0)  # it may have taken a millisecond
        self._held_back = held_back

    def _tell_of_future(self, partition: Partition, ahead_ms: int) -> None:
        """Say it once for a topic, while it is so."""
        if partition.topic not in self._held_back:
            self._held_back.add(partition.topic)
            logger.warning(
                "%s-%d: the oldest segment has a record with a timestamp %.1f days in the future: retention.ms keeps"
                " this segment and all later ones until then (kafka-delete-records removes them)",
                *_name(partition),
                ahead_ms / DAY_MS,
            )

    def _question(self, partition: Partition) -> _Question:
        log = self._data_dir.logs.get((partition.topic, partition.index))
        folder = self._data_dir.path / f"{partition.topic}-{partition.index}"
        if log is None:
            return _Question(partition, folder, None, partition.config, NEVER)
        return _Question(partition, folder, log.extents(), partition.config, partition.high_watermark)

    def _delete(self, partition: Partition, start: int) -> bool:
        """Return whether the partition has to be looked at again, because its log was opened only now."""
        was_open = partition.is_open
        try:
            log = partition.log
            if was_open and start > log.log_start_offset:
                new = log.expire(start)
                logger.info("%s-%d: deleted old segments, the log begins at offset %d now", *_name(partition), new)
        except (LogOffline, OffsetNotInLog) as error:
            logger.error("%s-%d: cannot delete old segments: %s", *_name(partition), error)
            return False
        return not was_open


def _name(partition: Partition) -> tuple[str, int]:
    return partition.topic, partition.index


def _answer(questions: list[_Question], now_ms: int) -> list[tuple[Partition, int | None, int | None]]:
    """Return (partition, offset that it may begin with, timestamp of the future) where one of the two is not None."""
    found = []
    for partition, folder, extents, config, end_offset in questions:
        future: list[int] = []
        try:
            known = extents_in(folder) if extents is None else extents
            start = new_start(known, config, now_ms, end_offset, future.append)
        except OSError as error:  # it was deleted meanwhile, or there is nothing yet
            logger.debug("%s: %s", folder, error)
            continue
        if start is not None or future:
            found.append((partition, start, future[0] if future else None))
    return found
