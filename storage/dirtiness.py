"""How dirty a log is, and up to where it may be compacted (Kafka's LogCleanerManager, LogToClean)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

from .retention import Extent, first_timestamp_ms, newest_ms


class CompactionSettings(Protocol):
    """Under Kafka's names; times in ms."""

    @property
    def is_compacted(self) -> bool: ...
    @property
    def min_cleanable_dirty_ratio(self) -> float: ...
    @property
    def min_compaction_lag_ms(self) -> int: ...
    @property
    def max_compaction_lag_ms(self) -> int: ...


class Dirtiness(NamedTuple):
    """``bases``: of the segments that may be compacted, which end at ``end_offset``. ``ratio``: how much of them was
    not compacted before, as a share. ``is_due``: whether some of it has waited for ``max.compaction.lag.ms``."""

    bases: list[int]
    end_offset: int
    ratio: float
    is_due: bool

    def must_clean(self, settings: CompactionSettings) -> bool:
        return self.ratio > settings.min_cleanable_dirty_ratio or (self.is_due and self.ratio > 0)


def dirtiness(
    extents: Sequence[Extent], settings: CompactionSettings, dirty_offset: int, end_offset: int, now_ms: int
) -> Dirtiness:
    """Look at a log of which everything before ``dirty_offset`` was compacted; blocks. Raises OSError.

    The growing segment stays as it is, and so does what ends beyond ``end_offset`` (it is undecided, or not on the
    disk), and what is younger than ``min.compaction.lag.ms`` with all that follows it.
    """
    bases: list[int] = []
    clean = dirty = end = 0
    is_due = False
    young_ms = now_ms - settings.min_compaction_lag_ms
    for extent, following in pairwise(extents):
        if following.base_offset > end_offset:
            break
        is_dirty = following.base_offset > dirty_offset
        if is_dirty and settings.min_compaction_lag_ms > 0 and newest_ms(extent) > young_ms:
            break
        bases.append(extent.base_offset)
        end = following.base_offset
        if is_dirty:
            dirty += extent.size_bytes
            if not is_due and settings.max_compaction_lag_ms < now_ms:
                first_ms = first_timestamp_ms(extent)
                is_due = 0 < first_ms < now_ms - settings.max_compaction_lag_ms
        else:
            clean += extent.size_bytes
    return Dirtiness(bases, end, dirty / (clean + dirty) if dirty else 0.0, is_due)
