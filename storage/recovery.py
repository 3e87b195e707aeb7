"""Opening a partition's folder: after a clean stop by its indexes, after a crash by looking at every batch that may
not have reached the disk (Kafka's LogLoader)."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..protocol.records import BatchCorrupt, BatchHeader, read_header, verify
from .checkpoints import LeaderEpochs
from .clock import Clock
from .errors import StorageError
from .index import IndexCorrupt, OffsetIndex, TimeIndex
from .log import LogSettings
from .producers import ProducerStates, SnapshotCorrupt
from .segment import (
    INDEX_INTERVAL_BYTES,
    INDEX_SUFFIX,
    LOG_SUFFIX,
    SNAPSHOT_SUFFIX,
    TIME_INDEX_SUFFIX,
    Segment,
)
from .segments import SegmentedLog

logger = logging.getLogger(__name__)

LEADER_EPOCH_FILE = "leader-epoch-checkpoint"
DAMAGED_SUFFIX = ".damaged"
# How far before the end of a log to look for the batches that a snapshot leaves out: far more than five batches in
# flight of a usual producer take, and a few milliseconds at most.
RECALL_BYTES = 2 * 2**20
# The newest may turn out to be unreadable.
SNAPSHOTS_KEPT = 2


class Damage(NamedTuple):
    """The first place in a segment where no sound batch begins."""

    position: int
    reason: str


def open_log(
    directory: Path,
    settings: LogSettings,
    clock: Clock,
    on_roll: Callable[[SegmentedLog], None],
    recovery_point: int | None,
) -> SegmentedLog:
    """Open or make the log in ``directory``.

    ``recovery_point``: None after a clean stop; otherwise the offset up to which the log is known to be on disk,
    from where on every batch is checked and the log is cut at the first that is not sound.
    Raises OSError, StorageError when the files cannot be used.
    """
    directory.mkdir(parents=True, exist_ok=True)
    segments = _find_segments(directory, clock)
    epochs = _read_epochs(directory / LEADER_EPOCH_FILE)
    end = _end_of(segments[-1]) if recovery_point is None else None
    if end is None:
        if recovery_point is None:
            logger.warning("%s was said to be closed cleanly and is not: checking all of it", directory)
        recovery_point = recovery_point or 0
        end = _recover(segments, recovery_point)
        epochs.truncate(end)
    producers = _load_producers(directory, segments, end)
    log = SegmentedLog(directory, settings, clock, segments, producers, epochs, end, on_roll)
    if recovery_point is not None:
        log.recovery_point = min(recovery_point, end)
        log.unsynced = segments[:-1]
    return log


def _find_segments(directory: Path, clock: Clock) -> list[Segment]:
    now_ms = clock.now_ms()
    bases = sorted(int(path.stem) for path in directory.glob(f"*{LOG_SUFFIX}") if path.stem.isdigit())
    if not bases:
        return [Segment.create(directory, 0, now_ms)]
    return [Segment(directory, base, now_ms) for base in bases]


def _read_epochs(path: Path) -> LeaderEpochs:
    try:
        return LeaderEpochs(path)
    except StorageError as error:
        logger.warning("%s; starting it anew", error)
        path.unlink()
        return LeaderEpochs(path)


def _end_of(segment: Segment) -> int | None:
    """Return the offset behind the last batch of a segment that was closed cleanly, None when it ends in a mess."""
    segment.ensure_indexes()
    end_position, end_offset = 0, segment.base_offset
    start = segment.index.positions[-1] if segment.index.positions else 0
    for position, header in segment.headers(start):
        end_position, end_offset = position + header.size_bytes, header.next_offset
    return end_offset if end_position == segment.size else None


def _recover(segments: list[Segment], recovery_point: int) -> int:
    """Check the batches from ``recovery_point`` on, cut the log at the first that is not sound, return its end."""
    first = max((i for i, segment in enumerate(segments) if segment.base_offset <= recovery_point), default=0)
    end = segments[first].base_offset
    for number in range(first, len(segments)):
        segment = segments[number]
        if number == first:
            start = _trusted_position(segment, recovery_point)
        else:
            start = 0
            segment.use_indexes(OffsetIndex(), TimeIndex())
        if segment.base_offset < end:
            damage: Damage | None = Damage(0, f"begins at offset {segment.base_offset}, expected {end} or more")
        else:
            end, damage = _check(segment, start, max(end, segment.base_offset))
        if damage is not None:
            _cut(segment, damage, segments[number + 1 :])
            del segments[number + 1 :]
            break
    return end


def _trusted_position(segment: Segment, recovery_point: int) -> int:
    """Load what the index files say of the part that is known to be on disk, and return where that part ends: at the
    last indexed batch before the recovery point, or at 0 when the index files cannot be used."""
    segment.is_indexed = True
    try:
        index = OffsetIndex.load(segment.path(INDEX_SUFFIX), segment.size)
        times = TimeIndex.load(segment.path(TIME_INDEX_SUFFIX))
        position = index.position_before(recovery_point - segment.base_offset - 1)
        header = read_header(segment.view(position, segment.size))
    except (FileNotFoundError, IndexCorrupt, BatchCorrupt):
        return 0
    if not position or header.last_offset - segment.base_offset not in index.offsets:
        return 0
    index.truncate(position)
    times.truncate(header.last_offset - segment.base_offset + 1)
    segment.use_indexes(index, times)
    return position


def _check(segment: Segment, start: int, expected_offset: int) -> tuple[int, Damage | None]:
    """Verify and index every batch from ``start`` on; return the offset behind the last sound one."""
    end = expected_offset
    for found in sound_batches(segment, start, expected_offset if not start else 0):
        if isinstance(found, Damage):
            return end, found
        position, header = found
        segment.note(position, header.size_bytes, header.last_offset, header.max_timestamp, INDEX_INTERVAL_BYTES)
        end = header.next_offset
    return end, None


def sound_batches(
    segment: Segment, position: int, expected_offset: int
) -> Iterator[tuple[int, BatchHeader] | Damage]:
    """Yield position and header of the sound batches from ``position`` on, and at last the damage if there is some.

    Offsets may have gaps (compaction), but never go back.
    """
    view = segment.view(0, segment.size)
    while position < segment.size:
        try:
            header = read_header(view, position)
            verify(view[position : position + header.size_bytes])
        except BatchCorrupt as error:
            yield Damage(position, str(error))
            return
        if header.base_offset < expected_offset or header.last_offset_delta < 0:
            yield Damage(position, f"offset {header.base_offset} where {expected_offset} or more was expected")
            return
        yield position, header
        expected_offset = header.next_offset
        position += header.size_bytes


def _cut(segment: Segment, damage: Damage, later: list[Segment]) -> None:
    """Cut the log at ``damage``. A torn tail just goes; what may hold whole batches is kept aside."""
    name = segment.path(LOG_SUFFIX)
    lost = segment.size - damage.position
    if later or _holds_batches(segment, damage.position):
        rest = name.with_name(f"{name.name}.{damage.position}{DAMAGED_SUFFIX}")
        rest.write_bytes(segment.view(damage.position, segment.size))
        for other in later:
            other.path(LOG_SUFFIX).rename(f"{other.path(LOG_SUFFIX)}{DAMAGED_SUFFIX}")
            for suffix in (INDEX_SUFFIX, TIME_INDEX_SUFFIX):
                other.path(suffix).unlink(missing_ok=True)
        logger.error(
            "%s is damaged at position %d (%s): cut there, what followed (%d bytes, %d more segments) is kept in *%s",
            name, damage.position, damage.reason, lost, len(later), DAMAGED_SUFFIX,
        )  # fmt: skip
    else:
        logger.warning("%s: cut %d bytes off its end, a batch that was not wholly written", name, lost)
    segment.truncate(damage.position)


def _holds_batches(segment: Segment, position: int) -> bool:
    """Say whether a sound batch lies behind the unsound one at ``position``."""
    view = segment.view(0, segment.size)
    try:
        following = position + read_header(view, position).size_bytes
        following += read_header(view, following).size_bytes
    except BatchCorrupt:
        return False
    return following <= segment.size


def _load_producers(directory: Path, segments: list[Segment], end: int) -> ProducerStates:
    """Return the state of the producers at offset ``end``: the newest snapshot, and the batches since."""
    producers, start = _read_snapshot(directory, segments, end)
    earlier: list[BatchHeader] = []
    recalled = False
    for header in _headers_around(segments, start):
        if header.base_offset < start:
            if header.producer_id >= 0:
                earlier.append(header)
            continue
        if not recalled:
            producers.recall(earlier)
            recalled = True
        if header.producer_id >= 0:
            producers.remember(header, header.base_offset)
    if not recalled:
        producers.recall(earlier)
    return producers


def _read_snapshot(directory: Path, segments: list[Segment], end: int) -> tuple[ProducerStates, int]:
    snapshots = sorted((path for path in directory.glob(f"*{SNAPSHOT_SUFFIX}") if path.stem.isdigit()), reverse=True)
    usable: list[Path] = []
    for path in snapshots:
        if int(path.stem) > end or len(usable) == SNAPSHOTS_KEPT:
            path.unlink()
        else:
            usable.append(path)
    for path in usable:
        try:
            return ProducerStates.read_snapshot(path), int(path.stem)
        except SnapshotCorrupt as error:
            logger.warning("%s; rebuilding the producers' state from the log", error)
            path.unlink()
    return ProducerStates(), segments[0].base_offset


def _headers_around(segments: list[Segment], start: int) -> Iterator[BatchHeader]:
    """Yield the batch headers from some way before offset ``start`` on."""
    first = max((i for i, segment in enumerate(segments) if segment.base_offset < start), default=0)
    for number in range(first, len(segments)):
        segment = segments[number]
        segment.ensure_indexes()
        position = 0
        if number == first:
            at = segment.index.position_before(start - segment.base_offset - 1)
            position = segment.index.batch_before(max(0, at - RECALL_BYTES))
        for _, header in segment.headers(position):
            yield header
