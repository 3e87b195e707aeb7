"""Opening a partition's folder: after a clean stop by its indexes, after a crash by looking at every batch that may
not have reached the disk (Kafka's LogLoader)."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from ..protocol.records import (
    BATCH_OVERHEAD,
    BatchCorrupt,
    BatchHeader,
    read_header,
    verify,
)
from . import files
from .checkpoints import LeaderEpochs
from .clock import Clock
from .damage import DAMAGED_SUFFIX, Damage, cut, is_blank, put_aside
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
    Segment,
)
from .segments import SegmentedLog
from .swap import complete_interrupted

logger = logging.getLogger(__name__)

# How much of a segment is read at a time while it is checked.
READ_AHEAD_BYTES = 4 * 2**20


def unlink_all(log: SegmentedLog, segments: list[Segment]) -> None:
    """Remove the files of segments that a log has parted with. Raises OSError."""
    log.put_aside(segments)
    for segment in segments:
        segment.unlink()


class _Bounds(NamedTuple):
    """Offsets that tell damage from what is as it should be.

    ``known_end``, ``gaps_end``: see ``open_log``. ``compacted_end``: before it no record need have an offset, because
    compaction may have removed it. It is beyond ``gaps_end`` when nobody has noted yet how far compaction has come.
    """

    known_end: int
    gaps_end: int
    compacted_end: int


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
    known_end: int = 0,
) -> SegmentedLog:
    """Open or make the log in ``directory``.

    ``log_start_offset``: what lies before it was deleted, though it may still be in the files.
    ``gaps_end``: a segment that begins there or before need not begin where its predecessor ends, because there was
    compaction.
    ``recovery_point``: None after a clean stop; otherwise the offset up to which the log is known to be on disk,
    from where on every batch is checked and the log is cut at the first that is not sound.
    ``redo``: batches that the log is known to have had, for those that are not there.
    ``known_end``: all records before this offset were on the disk once. A log that lost all of them begins there, so
    that no offset is used again; ``loss`` says so.
    Raises OSError, StorageError when the files cannot be used.
    """
    pool = FilePool() if pool is None else pool
    files.make_directory(directory)
    segments = _find_segments(directory, clock, pool)
    with _closing_on_error(segments):
        bounds = _Bounds(known_end, gaps_end, NEVER if settings.is_compacted else gaps_end)
        while len(segments) > 1 and segments[1].base_offset <= log_start_offset:
            # The process did not get round to delete it, and nobody has synced it since it was parted with.
            segments.pop(0).unlink()
        end = _end_of(segments[-1]) if recovery_point is None else None
        if end is None:
            if recovery_point is None:
                logger.warning("%s is marked as cleanly closed but fails its check; verifying all", directory)
            recovery_point = recovery_point or 0
            end = _recover(segments, recovery_point, bounds, redo or Redo())
        loss = ""
        lost = max(end, log_start_offset)  # what lies before the log start offset was deleted, and is no loss
        if lost < known_end:
            loss = f"the records from offset {lost} to {known_end - 1} are missing; the log goes on at offset {lost}"
            if not any(segment.size for segment in segments):
                loss = (
                    f"all records before offset {known_end} are gone (its .log files were removed, emptied or"
                    f" damaged); the log goes on at offset {known_end}"
                )
                end = _begin_again(segments, known_end, clock.now_ms(), pool)
                if redo is not None:
                    end = _recover(segments, end, bounds, redo)
        is_indexed_anew = recovery_point == 0 or not all(has_sound_index(segment) for segment in segments)
        if is_indexed_anew:
            index_aborted(segments)
        synced = end if recovery_point is None else min(recovery_point, end)
        producers = load_producers(directory, segments, end, synced, is_indexed_anew)
        settled = end if loss else recovery_point and min(recovery_point, end)
        epochs = load_epochs(directory, segments, log_start_offset, settled)
        if log_start_offset > end:
            # A crash lost the end of the log, and everything left was deleted before. What the producers did after
            # that is unknown.
            end = _begin_again(segments, log_start_offset, clock.now_ms(), pool)
            producers = ProducerStates()
        log = SegmentedLog(
            directory, settings, clock, segments, producers, epochs, log_start_offset, end, on_roll, on_retire, pool
        )
        log.loss = loss
        if recovery_point is not None:
            log.recovery_point = log.durable_offset = min(recovery_point, end)
            log.unsynced = [old for old, following in pairwise(segments) if following.base_offset >= recovery_point]
        if settings.preallocate and not log.size_bytes:
            segments[-1].preallocate(segments[-1].capacity)
        log.let_go()  # whoever needs a file opens it
        return log


@contextmanager
def _closing_on_error(segments: list[Segment]) -> Iterator[None]:
    """Close the segments when the log cannot be opened: clients try again and again."""
    try:
        yield
    except BaseException:
        for segment in segments:
            segment.close()
        raise


def _begin_again(segments: list[Segment], offset: int, now_ms: int, pool: FilePool) -> int:
    """Replace all segments by an empty one that begins at ``offset``, and return that. Raises OSError."""
    directory = segments[0].directory
    for segment in segments:
        segment.unlink()
    segments[:] = [Segment.create(directory, offset, now_ms, pool)]
    return offset


def leader_epoch_in(directory: Path) -> int:
    """Return the newest leader epoch that a partition folder knows of, -1 when there is none."""
    try:
        return LeaderEpochs(directory / LEADER_EPOCH_FILE).latest
    except StorageError:
        return -1


def is_plainly_short(directory: str | Path, known_end: int) -> bool:
    """Say whether names and sizes alone show that a partition folder does not reach to ``known_end``.

    It is gone, or its newest segment is, or that is empty. Other losses are found when the log is opened.
    """
    try:
        names = os.listdir(directory)
        # As long as they are, numbers are in the order of their texts.
        newest = max((name for name in names if name.endswith(LOG_SUFFIX) and name[0].isdigit()), default="")
        if not newest or max(name for name in names if name.endswith((LOG_SUFFIX, INDEX_SUFFIX)))[:20] > newest[:20]:
            return True
        return int(newest[:20]) < known_end and not os.stat(f"{directory}/{newest}").st_size
    except (OSError, ValueError):
        return True  # also when it cannot be read: opening it tells why


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


def _recover(segments: list[Segment], recovery_point: int, bounds: _Bounds, redo: Redo) -> int:
    """Check the batches from ``recovery_point`` on, write again what is missing and ``redo`` has, cut the log at the
    first that is not sound, and return its end.

    A file may have lost whole batches with the power, so that what is left is sound: the name of the next file tells.
    """
    # One that ends at the recovery point as well: its length may have been changed since, and nothing synced that.
    first = max((i for i, segment in enumerate(segments) if segment.base_offset < recovery_point), default=0)
    end, epoch = segments[first].base_offset, -1
    for number in range(first, len(segments)):
        segment = segments[number]
        if segment.base_offset < end or segment.base_offset > max(end, bounds.gaps_end):
            logger.error(
                "%s does not begin at offset %d, where the segment before it ends; this and later ones are in *%s",
                segment.path(LOG_SUFFIX), end, DAMAGED_SUFFIX,
            )  # fmt: skip
            put_aside(segments[number:])
            del segments[number:]
            break
        trusted = segment.load_indexes(recovery_point) if number == first else 0
        checked = _check(segment, trusted, end, epoch, bounds)
        if checked.damage is not None and trusted:
            # Where there is some damage there may be more, also in what was known to be on disk.
            checked = _check(segment, 0, end, epoch, bounds)
        limit = next((segment.base_offset for segment in segments[number + 1 :]), NEVER)
        end = -1
        while end < checked.end:
            end = checked.end
            if (redone := _write_again(segment, checked, limit, redo)) is not None:
                checked = _check(segment, redone, end, checked.epoch, bounds)
        epoch, damage = checked.epoch, checked.damage
        if damage is not None and limit in (end, NEVER) and is_blank(segment, damage.position):
            segment.truncate(damage.position)  # it was allocated ahead
        elif damage is not None:
            cut(segment, damage, end, segments[number + 1 :], bounds.known_end)
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
    logger.info("%s: restored %d lost bytes from the journal", segment.path(LOG_SUFFIX), position - start)
    return start


def _check(segment: Segment, start: int, expected_offset: int, epoch: int, bounds: _Bounds) -> _Checked:
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
        is_behind_gap = header.base_offset > max(expected_offset, bounds.compacted_end)
        if gap is None and is_behind_gap and (position > start or not start):
            gap = expected_offset
        segment.note(position, header.size_bytes, header.last_offset, header.max_timestamp, INDEX_INTERVAL_BYTES)
        end = expected_offset = header.next_offset
    if gap is not None:
        logger.warning("%s: offset %d is missing; only compaction leaves gaps", segment.path(LOG_SUFFIX), gap)
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
