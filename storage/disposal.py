"""What is on its way from the disk: parted with at once, renamed soon, removed after ``file.delete.delay.ms``."""

import heapq
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count

from .clock import Clock
from .segment import LOG_SUFFIX, Segment
from .segments import SegmentedLog
from .sync_job import SyncJob

logger = logging.getLogger(__name__)


class Disposal:
    """The segments that logs have parted with, and the folders of deleted topics.

    As a ``Syncable`` it renames the segments, behind the syncs that were requested before and may still use them.
    ``write_log_starts`` makes it last where the logs begin now, so that what is renamed cannot come back, not even
    in part, when the machine dies in between.
    """

    def __init__(self, clock: Clock, write_log_starts: Callable[[], None]) -> None:
        self._clock = clock
        self._write_log_starts = write_log_starts
        self._retired: deque[tuple[SegmentedLog, list[Segment]]] = deque()
        self._doomed: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._background = ThreadPoolExecutor(1, "disposal")

    def retire(self, log: SegmentedLog, segments: list[Segment]) -> None:
        """Take segments; the caller has the flusher do its part."""
        self._retired.append((log, segments))

    def remove(self, work: Callable[[], None], delay_ms: int) -> None:
        """Have ``work`` done by the background thread, ``delay_ms`` from now."""
        if delay_ms <= 0:
            self._background.submit(work)
        else:
            due = self._clock.monotonic() + delay_ms / 1000
            heapq.heappush(self._doomed, (due, next(self._numbers), work))

    def remove_due(self) -> None:
        """Remove what has waited for long enough."""
        now = self._clock.monotonic()
        while self._doomed and self._doomed[0][0] <= now:
            self._background.submit(heapq.heappop(self._doomed)[2])

    def sync_job(self) -> SyncJob:
        taken: list[tuple[SegmentedLog, list[Segment]]] = []
        while self._retired:
            taken.append(self._retired.popleft())

        def work() -> None:
            try:
                if taken:
                    self._write_log_starts()
            except OSError as error:  # a full disk needs what goes here; the oldest goes first, so no hole is left
                logger.warning("cannot write the log start offsets: %s", error)
            for log, segments in taken:
                try:
                    log.put_aside(segments)
                except OSError as error:  # the next start finds them before the beginning of the log
                    logger.error("cannot rename segments of %s: %s", log.directory, error)

        def finish() -> None:
            for log, segments in taken:
                self.remove(partial(unlink_segments, segments), log.settings.file_delete_delay_ms)

        return SyncJob(work, finish, lambda error: error)

    def stop(self) -> None:
        """Finish what has begun; what waits is left to the next start."""
        self._background.shutdown()


def unlink_segments(segments: list[Segment]) -> None:
    """Remove the files of segments, as far as that is possible."""
    for segment in segments:
        try:
            segment.unlink()
        except OSError as error:
            logger.error("cannot delete %s: %s", segment.path(LOG_SUFFIX), error)
