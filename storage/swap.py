"""How a cleaned segment takes the place of others, such that the death of the process or of the machine at any
instant leaves the one or the others (Kafka's LocalLog.replaceSegments and LogLoader).

``*.cleaned`` is not finished; ``*.log.swap`` is whole and on the disk, and the segments between its offsets may go;
they become ``*.deleted``, and then it gets its name.
"""

import logging
from pathlib import Path

from . import files
from .log import NEVER
from .segment import CLEANED_MARK, DELETED_MARK, LOG_SUFFIX, SWAP_MARK, Segment
from .segments import SegmentedLog

logger = logging.getLogger(__name__)


def prepare(directory: Path, base_offset: int) -> Segment:
    """Make a swap of a cleaned segment, and have everything of it in memory that needs its name; blocks.

    Raises OSError, IndexCorrupt.
    """
    segment = Segment(directory, base_offset, 0, mark=CLEANED_MARK)
    segment.rename(SWAP_MARK, has_snapshot=False)
    files.sync_directory(directory)
    segment.ensure_indexes()
    _ = segment.aborted.entries, segment.file.fd
    return segment


def complete(log: SegmentedLog, swap: Segment, replaced: list[Segment]) -> None:
    """Give a swap that is a part of the log already the names of those it has replaced; blocks. Raises OSError."""
    with log.files:
        for segment in replaced:
            segment.close()
        if not log.is_deleted:
            _take_place(swap, replaced)


def discard(swap: Segment) -> None:
    """Remove a swap that the log did not take; blocks. Raises OSError."""
    swap.rename(CLEANED_MARK, has_snapshot=False)  # from now on it is not whole
    files.sync_directory(swap.directory)
    swap.unlink()


def complete_interrupted(directory: Path) -> None:
    """Do what a process that died has left to do. Raises OSError.

    A swap behind a segment that is not finished is half of one that Kafka was about to split in two.
    """
    unfinished = min(map(_base, directory.glob(f"*{CLEANED_MARK}")), default=NEVER)
    for left in (*directory.glob(f"*{SWAP_MARK}"), *directory.glob(f"*{CLEANED_MARK}")):
        if _base(left) >= unfinished:
            files.unlink(left)
    for path in sorted(directory.glob(f"*{LOG_SUFFIX}{SWAP_MARK}")):
        swap = Segment(directory, _base(path), 0, mark=SWAP_MARK)
        end = max((header.next_offset for _, header in swap.headers(0)), default=swap.base_offset + 1)
        swap.close()
        bases = sorted(_base(other) for other in directory.glob(f"*{LOG_SUFFIX}"))
        replaced = [Segment(directory, base, 0) for base in bases if swap.base_offset <= base < end]
        _take_place(swap, replaced)
        for segment in replaced:
            segment.unlink()
        logger.info("%s: completed an interrupted compaction", swap.path(LOG_SUFFIX))
    for left in directory.glob(f"*{SWAP_MARK}"):
        files.rename(left, left.with_suffix(""))  # the log has its name already


def _take_place(swap: Segment, replaced: list[Segment]) -> None:
    for segment in replaced:
        # The state of the producers at its beginning has not changed.
        segment.rename(DELETED_MARK, has_snapshot=segment.base_offset != swap.base_offset)
    files.sync_directory(swap.directory)
    if not swap.is_retired:  # the log may have parted with it already
        swap.rename("", has_snapshot=False)
        files.sync_directory(swap.directory)


def _base(path: Path) -> int:
    return int(path.name.split(".")[0])
