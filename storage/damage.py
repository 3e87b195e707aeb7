"""Damage in a log: where it is cut, and what is kept aside of it."""

import logging
import re
from itertools import count
from pathlib import Path
from typing import NamedTuple

from ..protocol.records import MAGIC, BatchCorrupt, read_header, verify
from ..protocol.records.batch import MAGIC_OFFSET
from . import files
from .aborted import TRANSACTION_INDEX_SUFFIX
from .index import RELATIVE_OFFSET_MAX
from .segment import INDEX_SUFFIX, LOG_SUFFIX, TIME_INDEX_SUFFIX, Segment

logger = logging.getLogger(__name__)

# Kafka ignores files of such names.
DAMAGED_SUFFIX = ".damaged"


class Damage(NamedTuple):
    """The first place in a segment where no sound batch begins."""

    position: int
    reason: str


def cut(segment: Segment, damage: Damage, end: int, later: list[Segment], known_end: int) -> None:
    """Cut the log at ``damage``, where it ends with offset ``end`` then.

    A torn tail just goes: it was never acknowledged. All else is kept aside: segments ``later``, batches that are
    whole, and records before ``known_end``, which were on the disk. Raises OSError.
    """
    name = segment.path(LOG_SUFFIX)
    lost = segment.size - damage.position
    if end < known_end or any(segment.size for segment in later) or _holds_batches(segment, damage.position, end):
        kept = _unused_name(name)
        files.write(kept, segment.view(damage.position, segment.size), is_synced=True)
        logger.error(
            "%s is damaged at position %d (%s): cut there, the %d bytes from there on are kept in %s%s",
            name, damage.position, damage.reason, lost, kept,
            f", {len(later)} more segments in *{DAMAGED_SUFFIX}" if later else "",
        )  # fmt: skip
    else:
        logger.warning("%s: cut %d bytes off its end, a batch that was not wholly written", name, lost)
    put_aside(later)
    segment.truncate(damage.position)


def is_blank(segment: Segment, position: int) -> bool:
    """Say whether there is nothing but zeros from ``position`` on."""
    zeros = bytes(2**20)
    for start in range(position, segment.size, len(zeros)):
        rest = bytes(segment.view(start, min(start + len(zeros), segment.size)))
        if rest != zeros[: len(rest)]:
            return False
    return True


def put_aside(segments: list[Segment]) -> None:
    """Keep the batches of segments that are no part of the log any more in ``*.damaged``. Raises OSError."""
    for segment in reversed(segments):  # whenever this is interrupted, no hole is left
        log = segment.path(LOG_SUFFIX)
        if segment.size:
            files.rename(log, _unused_name(log))
        else:
            files.unlink(log)
        for suffix in (INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX):
            files.unlink(segment.path(suffix))
        segment.close()
    if segments:  # one that came back could follow what is written from now on
        files.sync_directory(segments[0].directory)


def _unused_name(log: Path) -> Path:
    names = (log.with_name(f"{log.name}.{number}{DAMAGED_SUFFIX}") for number in count(1))
    return next(name for name in names if not name.exists())


def _holds_batches(segment: Segment, position: int, end: int) -> bool:
    """Say whether a batch that may be of this log lies anywhere from ``position`` on, whole but out of its place."""
    view = segment.view(position, segment.size)
    for magic in re.finditer(bytes([MAGIC]), view):
        start = magic.start() - MAGIC_OFFSET
        if start >= 0:
            try:
                header = read_header(view, start)
                if not start or 0 <= header.base_offset <= end + RELATIVE_OFFSET_MAX:
                    verify(view[start : start + header.size_bytes])
                    return True
            except BatchCorrupt:
                continue
    return False
