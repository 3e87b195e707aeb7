"""``barnabas dump``: what is in the files of a log, entry by entry.

It has readers of its own, in constant memory: what the broker loads with one look may here be a file of any size with
anything in it, and a dump through the code that wrote a file would repeat its mistakes.
"""

from .entries import (
    Batch,
    BatchRecord,
    Entry,
    File,
    Kind,
    LeaderEpoch,
    OffsetEntry,
    PartitionOffset,
    Preallocated,
    Problem,
    Producer,
    Property,
    Selection,
    TimeEntry,
    Unreadable,
)
from .files import dump

__all__ = [
    "Batch",
    "BatchRecord",
    "Entry",
    "File",
    "Kind",
    "LeaderEpoch",
    "OffsetEntry",
    "PartitionOffset",
    "Preallocated",
    "Problem",
    "Producer",
    "Property",
    "Selection",
    "TimeEntry",
    "Unreadable",
    "dump",
]
