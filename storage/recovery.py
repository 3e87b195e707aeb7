"""Opening a partition's folder: after a clean stop by its indexes, after a crash by looking at every batch that may
not have reached the disk (Kafka's LogLoader)."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count, pairwise
from pathlib import Path
from typing import NamedTuple

from ..protocol.records import (
    BATCH_OVERHEAD,
    MAGIC,
    BatchCorrupt,
    BatchHeader,
    read_header,
    verify,
)
from ..protocol.records.batch import MAGIC_OFFSET
from . import files
from .aborted import TRANSACTION_INDEX_SUFFIX
from .checkpoints import LeaderEpochs
from .clock import Clock
from .errors import StorageError
from .file_pool import FilePool
from .index import RELATIVE_OFFSET_MAX, OffsetIndex, TimeIndex
from .journal import Redo
from .log import NEVER, LogSettings
from .producers import ProducerStates, SnapshotCorrupt
from .recall import LEADER_EPOCH_FILE, has_sound_index, index_aborted, load_epochs, load_producers
from .segment import (
    DELETED_MARK,
    INDEX_INTERVAL_BYTES,
    INDEX_SUFFIX,
    LOG_SUFFIX,
    SNAPSHOT_SUFFIX,
    TIME_INDEX_SUFFIX,
    Segment,
)
from .segments import SegmentedLog
from .swap import complete_interrupted

logger = logging.getLogger(__name__)

DAMAGED_SUFFIX = ".damaged"
# How much of a segment is read at a time while it is checked.
READ_AHEAD_BYTES = 4 * 2**20
# How much is looked at, or copied, at a time of what follows a damage.
_PIECE_BYTES = 2**20


def unlink_all(log: SegmentedLog, segments: list[Segment]) -> None:
    """Remove the files of segments that a log has parted with. Raises OSError."""
    log.put_aside(segments)
    for segment in segments:
        segment.unlink()


class Damage(NamedTuple):
    """The first place in a segment where no sound batch begins."""

    position: int
    reason: str


class _Checked(NamedTuple):
    """What is sound of a segment: the offset behind it, the leader epoch of its last batch, and what follows."""

    end: int
    epoch: int
    damage: Damage | None


def open_log(
    directory: Path,
    settings: LogSettings,
    clock: Clock,
    on_roll: Callable[[SegmentedLog], None],
    recovery_point: int | None,
    log_start_offset: int = 0,
    on_retire: Callable[[SegmentedLog, list[Segment]], None] = unlink_all,
    pool: FilePool | None = None,
    gaps_end: int = 0,
    redo: Redo | None = None,
) -> SegmentedLog:
    """Open or make the log in ``directory``.

    ``log_start_offset``: what lies before it was deleted, though it may still be in the files.
    ``gaps_end``: a segment that begins there or before need not begin where its predecessor ends, because there was
    compaction.
    ``recovery_point``: None after a clean stop; otherwise the offset up to which the log is known to be on disk,
    from where on every batch is checked and the log is cut at the first that is not sound.
    ``redo``: batches that the log is known to have had, for those that are not there.
    Raises OSError, StorageError when the files cannot be used.
    """
    pool = FilePool() if pool is None else pool
    files.make_directory(directory)
    segments = _find_segments(directory, clock, pool)
    while len(segments) > 1 and segments[1].base_offset <= log_start_offset:
        # The process did not get round to delete it, and nobody has synced it since it was parted with.
        segments.pop(0).unlink()
    end = _end_of(segments[-1]) if recovery_point is None else None
    if end is None:
        if recovery_point is None:
            logger.warning("%s was said to be closed cleanly and is not: checking all of it", directory)
        recovery_point = recovery_point or 0
        end = _recover(segments, recovery_point, gaps_end, redo or Redo())
    is_indexed_anew = recovery_point == 0 or not all(has_sound_index(segment) for segment in segments)
    if is_indexed_anew:
        index_aborted(segments)
    synced = end if recovery_point is None else recovery_point
    producers = load_producers(directory, segments, end, synced, is_indexed_anew)
    epochs = load_epochs(directory, segments, log_start_offset, recovery_point and min(recovery_point, end))
    if log_start_offset > end:
        # The end of the log was lost in a crash, and all that is left had been deleted before. Nobody knows what the
        # producers have done since.
        for segment in segments:
            segment.unlink()
        segments, end = [Segment.create(directory, log_start_offset, clock.now_ms(), pool)], log_start_offset
        producers = ProducerStates()
    log = SegmentedLog(
        directory, settings, clock, segments, producers, epochs, log_start_offset, end, on_roll, on_retire, pool
    )
    if recovery_point is not None:
        log.recovery_point = log.durable_offset = min(recovery_point, end)
        log.unsynced = [old for old, following in pairwise(segments) if following.base_offset >= recovery_point]
    if settings.preallocate and not log.size_bytes:
        segments[-1].preallocate(segments[-1].capacity)
    log.let_go()  # whoever needs a file opens it
    return log


def leader_epoch_in(directory: Path) -> int:
    """Return the newest leader epoch that a partition folder knows of, -1 when there is none."""
    try:
        return LeaderEpochs(directory / LEADER_EPOCH_FILE).latest
    except StorageError:
        return -1


def producer_id_max_in(directory: Path, below: int) -> int:
    """Return the largest producer id ``below`` a limit that a partition folder knows of, -1 when there is none.

    Raises OSError.
    """
    return max((producer_id for producer_id in _producer_ids(directory) if producer_id < below), default=-1)


def _producer_ids(directory: Path) -> Iterator[int]:
    """Yield those of the snapshots, which may be gone from the log, and those of the log."""
    for path in directory.glob(f"*{SNAPSHOT_SUFFIX}"):
        with suppress(SnapshotCorrupt):
            yield from ProducerStates.read_snapshot(path).entries
    for base in _bases(directory):
        segment = Segment(directory, base, 0)
        try:
            for _, header in segment.headers(0):
                yield header.producer_id
        finally:
            segment.close()


def _bases(directory: Path) -> list[int]:
    return sorted(int(path.stem) for path in directory.glob(f"*{LOG_SUFFIX}") if path.stem.isdigit())


def _find_segments(directory: Path, clock: Clock, pool: FilePool) -> list[Segment]:
    now_ms = clock.now_ms()
    for left in directory.glob(f"*{DELETED_MARK}"):
        files.unlink(left)
    complete_interrupted(directory)
    bases = _bases(directory)
    if not bases:
        return [Segment.create(directory, 0, now_ms, pool)]
    return [Segment(directory, base, now_ms, pool) for base in bases]


def _end_of(segment: Segment) -> int | None:
    """Return the offset behind the last batch of a segment that was closed cleanly, None when it ends in a mess.

    Space that was allocated ahead is back when the power failed after the stop: nobody waits for the disk to cut it.
    """
    segment.ensure_indexes()
    end_offset = segment.base_offset
    for found in sound_batches(segment, segment.batch_before(segment.size), end_offset):
        if isinstance(found, Damage):
            if not is_blank(segment, found.position):
                return None
            segment.truncate(found.position)
            break
        end_offset = found[1].next_offset
    return end_offset


def _recover(segments: list[Segment], recovery_point: int, gaps_end: int, redo: Redo) -> int:
    """Check the batches from ``recovery_point`` on, write again what is missing and ``redo`` has, cut the log at the
    first that is not sound, and return its end.

    A file may have lost whole batches with the power, so that what is left is sound: the name of the next file tells.
    """
    # One that ends at the recovery point as well: its length may have been changed since, and nothing synced that.
    first = max((i for i, segment in enumerate(segments) if segment.base_offset < recovery_point), default=0)
    end, epoch = segments[first].base_offset, -1
    for number in range(first, len(segments)):
        segment = segments[number]
        if segment.base_offset < end or segment.base_offset > max(end, gaps_end):
            logger.error(
                "%s does not begin at offset %d, where its predecessor ends: it and what follows is kept in *%s",
                segment.path(LOG_SUFFIX), end, DAMAGED_SUFFIX,
            )  # fmt: skip
            _put_aside(segments[number:])
            del segments[number:]
            break
        trusted = segment.load_indexes(recovery_point) if number == first else 0
        checked = _check(segment, trusted, end, epoch)
        if checked.damage is not None and trusted:
            # Where there is some damage there may be more, also in what was known to be on disk.
            checked = _check(segment, 0, end, epoch)
        limit = next((segment.base_offset for segment in segments[number + 1 :]), NEVER)
        end = -1
        while end < checked.end:
            end = checked.end
            if (redone := _write_again(segment, checked, limit, redo)) is not None:
                checked = _check(segment, redone, end, checked.epoch)
        epoch, damage = checked.epoch, checked.damage
        if damage is not None and limit in (end, NEVER) and is_blank(segment, damage.position):
            segment.truncate(damage.position)  # it was allocated ahead
        elif damage is not None:
            _cut(segment, damage, end, segments[number + 1 :])
            del segments[number + 1 :]
            break
    return end


def _write_again(segment: Segment, checked: _Checked, limit: int, redo: Redo) -> int | None:
    """Write what a segment has lost behind its sound batches, and return the position of it; None if it is not known.

    It goes where it was: what is written over may be the same batches.
    """
    start = position = segment.size if checked.damage is None else checked.damage.position
    offset = checked.end
    while (tail := redo.at(offset, checked.epoch)) is not None and tail.end_offset <= limit:
        files.write_all(segment.file.fd, tail.batches, position)
        position += len(tail.batches)
        offset = tail.end_offset
    if position == start:
        return None
    segment.size = max(segment.size, position)
    segment.file.forget_map()
    logger.info("%s: %d bytes were lost, and written again", segment.path(LOG_SUFFIX), position - start)
    return start


def _check(segment: Segment, start: int, expected_offset: int, epoch: int) -> _Checked:
    """Verify and index every batch from ``start`` on. ``epoch``: the leader epoch of the batch before."""
    if not start:
        segment.use_indexes(OffsetIndex(), TimeIndex())
    end = max(expected_offset, segment.base_offset)
    gap: int | None = None
    for found in sound_batches(segment, start, segment.base_offset):
        if isinstance(found, Damage):
            return _Checked(end, epoch, found)
        position, header = found
        epoch = header.partition_leader_epoch
        if gap is None and header.base_offset > expected_offset and (position > start or not start):
            gap = expected_offset
        segment.note(position, header.size_bytes, header.last_offset, header.max_timestamp, INDEX_INTERVAL_BYTES)
        end = expected_offset = header.next_offset
    if gap is not None:
        logger.warning("%s: no record has offset %d; only compaction leaves gaps", segment.path(LOG_SUFFIX), gap)
    return _Checked(end, epoch, None)


def sound_batches(
    segment: Segment, position: int, expected_offset: int
) -> Iterator[tuple[int, BatchHeader] | Damage]:
    """Yield position and header of the sound batches from ``position`` on, and at last the damage if there is some.

    Offsets may have gaps (compaction), but never go back. Raises OSError: everything is read by a call before it is
    through the map, where an error of the disk is a signal that ends the process.
    """
    size = segment.size
    read = position

    def read_to(end: int) -> None:
        nonlocal read
        if min(end, size) > read:
            start, read = read, min(max(end, read + READ_AHEAD_BYTES), size)
            segment.warm(start, read)

    while position < size:
        try:
            read_to(position + BATCH_OVERHEAD)
            header = read_header(segment.view(position, min(position + BATCH_OVERHEAD, size)))
            if header.size_bytes > size - position:
                raise BatchCorrupt(f"the batch says {header.size_bytes} bytes, there are {size - position}")
            read_to(position + header.size_bytes)
            verify(segment.view(position, position + header.size_bytes))
        except BatchCorrupt as error:
            yield Damage(position, str(error))
            return
        if header.base_offset < expected_offset or header.last_offset_delta < 0:
            yield Damage(position, f"offset {header.base_offset} where {expected_offset} or more was expected")
            return
        if header.last_offset > segment.base_offset + RELATIVE_OFFSET_MAX:
            yield Damage(position, f"offset {header.last_offset} is too far from the segment's first")
            return
        yield position, header
        expected_offset = header.next_offset
        position += header.size_bytes


def _cut(segment: Segment, damage: Damage, end: int, later: list[Segment]) -> None:
    """Cut the log at ``damage``. A torn tail just goes; what may hold whole batches is kept aside."""
    name = segment.path(LOG_SUFFIX)
    lost = segment.size - damage.position
    if any(segment.size for segment in later) or _holds_batches(segment, damage.position, end):
        _copy_out(segment, damage.position, _unused_name(name))
        logger.error(
            "%s is damaged at position %d (%s): cut there, what followed (%d bytes, %d more segments) is kept in *%s",
            name, damage.position, damage.reason, lost, len(later), DAMAGED_SUFFIX,
        )  # fmt: skip
    else:
        logger.warning("%s: cut %d bytes off its end, a batch that was not wholly written", name, lost)
    _put_aside(later)
    segment.truncate(damage.position)


def is_blank(segment: Segment, position: int) -> bool:
    """Say whether there is nothing but zeros from ``position`` on."""
    zeros = bytes(_PIECE_BYTES)
    return all(bytes(piece) == zeros[: len(piece)] for _, piece in _pieces(segment, position))


def _pieces(segment: Segment, position: int) -> Iterator[tuple[int, memoryview]]:
    """Yield what lies from ``position`` on in pieces, with their positions, so that it need not fit into memory."""
    for start in range(position, segment.size, _PIECE_BYTES):
        yield start, segment.view(start, min(start + _PIECE_BYTES, segment.size))


def _copy_out(segment: Segment, position: int, path: Path) -> None:
    """Copy what lies from ``position`` on to a file, and bring it to the disk. Raises OSError."""
    opened = files.open_file(path, files.OVERWRITE)
    try:
        for start, piece in _pieces(segment, position):
            files.write_all(opened, piece, start - position)
        files.sync(opened)
    finally:
        files.close(opened)


def _put_aside(segments: list[Segment]) -> None:
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
    for piece_start, piece in _pieces(segment, position):
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
