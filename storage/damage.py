"""Damage in a log: where it is cut, and what is kept aside of it."""

import logging
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

from ..protocol.records import BATCH_OVERHEAD, MAGIC, BatchCorrupt, read_header, verify
from ..protocol.records.batch import MAGIC_OFFSET
from . import files
from .aborted import TRANSACTION_INDEX_SUFFIX
from .index import RELATIVE_OFFSET_MAX
from .segment import INDEX_SUFFIX, LOG_SUFFIX, TIME_INDEX_SUFFIX, Segment

logger = logging.getLogger(__name__)

# Kafka ignores files of such names.
DAMAGED_SUFFIX = ".damaged"
# How much is looked at, or copied, at a time of what follows a damage.
_PIECE_BYTES = 2**20
# How far to look for whole batches behind a damage. No batch is larger, so a longer rest is more than one torn batch.
_SEARCHED_BYTES_MAX = 100 * 2**20


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
        _copy_out(segment, damage.position, kept)
        logger.error(
            "%s is damaged at position %d (%s): cut it there; the %d bytes from there on are kept in %s%s",
            name, damage.position, damage.reason, lost, kept,
            f", {len(later)} more segments in *{DAMAGED_SUFFIX}" if later else "",
        )  # fmt: skip
    else:
        logger.warning("%s: cut %d bytes off its end, an incomplete batch that was not acknowledged", name, lost)
    put_aside(later)
    segment.truncate(damage.position)


def is_blank(segment: Segment, position: int) -> bool:
    """Say whether there is nothing but zeros from ``position`` on."""
    zeros = bytes(_PIECE_BYTES)
    return all(bytes(piece) == zeros[: len(piece)] for _, piece in _pieces(segment, position))


def _pieces(segment: Segment, position: int) -> Iterator[tuple[int, memoryview]]:
    """Yield what lies from ``position`` on in pieces, with their positions, so that it need not fit into memory."""
    for start in range(position, segment.size, _PIECE_BYTES):
        end = min(start + _PIECE_BYTES, segment.size)
        segment.warm(start, end)  # an error of the disk is an exception here, and a signal when it is met in a map
        yield start, segment.view(start, end)


def _copy_out(segment: Segment, position: int, path: Path) -> None:
    """Copy what lies from ``position`` on to a file, and bring it to the disk. Raises OSError."""
    opened = files.open_file(path, files.OVERWRITE)
    try:
        for start, piece in _pieces(segment, position):
            files.write_all(opened, piece, start - position)
        files.sync(opened)
    finally:
        files.close(opened)


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
    """Say whether a batch that may be of this log lies anywhere from ``position`` on, whole but out of its place.

    True as well when there is more than one torn batch can be.
    """
    for piece_start, piece in _pieces(segment, position):
        if piece_start - position >= _SEARCHED_BYTES_MAX:
            return True
        for magic in re.finditer(bytes([MAGIC]), piece):
            start = piece_start + magic.start() - MAGIC_OFFSET
            if start >= position and _is_batch(segment, start, position, end):
                return True
    return False


def _is_batch(segment: Segment, start: int, position: int, end: int) -> bool:
    """Say whether a batch lies at ``start``. At ``position``, where one is expected, it may have any offset."""
    size = segment.size
    try:
        header = read_header(segment.view(start, min(start + BATCH_OVERHEAD, size)))
        if start > position and not 0 <= header.base_offset <= end + RELATIVE_OFFSET_MAX:
            return False
        if start + header.size_bytes > size:
            return False
        verify(segment.view(start, start + header.size_bytes))
    except BatchCorrupt:
        return False
    return True
