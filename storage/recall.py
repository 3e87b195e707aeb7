"""What a log remembers of its batches beside them, when it is opened: from files, and from the batches since.

None of these files can be trusted after a power failure for what is behind the recovery point, and those that are
not synced with the log (the snapshots of the producers) not even for what lies before it.
"""

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..protocol.records import (
    BatchCorrupt,
    BatchHeader,
    ControlType,
    EndTransactionMarker,
    read_end_transaction_marker,
)
from . import files
from .aborted import AbortedTransaction
from .checkpoints import LeaderEpochs
from .errors import StorageError
from .index import IndexCorrupt
from .producers import ProducerStates, SnapshotCorrupt
from .segment import LOG_SUFFIX, SNAPSHOT_SUFFIX, Segment, file_name

logger = logging.getLogger(__name__)

LEADER_EPOCH_FILE = "leader-epoch-checkpoint"
# How far before a snapshot to look for the batches that it leaves out: five of the largest that are allowed by
# default fit in, and it takes a few milliseconds at most.
RECALL_BYTES = 6 * 2**20
# The newest may turn out to be unreadable.
SNAPSHOTS_KEPT = 2


def _read_epochs(path: Path) -> LeaderEpochs | None:
    """Return None when the file says nothing that can be understood."""
    try:
        return LeaderEpochs(path)
    except StorageError as error:
        logger.warning("%s; reading the leader epochs from the log", error)
        files.unlink(path)
        return None


def load_epochs(directory: Path, segments: list[Segment], log_start_offset: int, synced: int | None) -> LeaderEpochs:
    """Return the leader epochs: what the file says of what lies before ``synced``, and the batches since.

    ``synced``: None after a clean stop. What the file says may be from before a deletion, or after one that was lost.
    """
    path = directory / LEADER_EPOCH_FILE
    epochs = _read_epochs(path)
    first = max(log_start_offset, segments[0].base_offset)
    if epochs is None or epochs.epoch_at(first) < 0:
        epochs, synced = epochs or LeaderEpochs(path), first
    if synced is not None:
        around = (header for _, _, header in _headers_around(segments, synced, 0))
        epochs.recall(synced, (header for header in around if header.last_offset >= synced))
    epochs.truncate_start(first)
    return epochs


def load_producers(
    directory: Path, segments: list[Segment], end: int, synced: int, is_indexed_anew: bool = False
) -> ProducerStates:
    """Return the state of the producers at offset ``end``: the newest snapshot, and the batches since.

    The aborted transactions since ``synced`` are indexed anew, as what the index says of them may have been lost with
    the machine; so it is a snapshot from before that, and those behind it are written again: what they stand for may
    be deleted before there are others. ``is_indexed_anew``: the transactions are already, and on the disk.
    """
    producers, start = _read_snapshot(directory, segments, end, synced)
    earlier: list[BatchHeader] = []
    recalled = False
    noted = max(start, synced)

    def note(offset: int) -> None:
        nonlocal noted
        if offset > noted:
            noted = offset
            if producers.entries:
                with suppress(OSError):  # the log is as good without it as long as nothing is deleted
                    producers.write_snapshot(directory / file_name(offset, SNAPSHOT_SUFFIX))

    if not is_indexed_anew:
        for segment in segments:
            segment.aborted.truncate(max(start, synced))
    for segment, position, header in _headers_around(segments, start, RECALL_BYTES if producers.entries else 0):
        note(segment.base_offset)
        if header.base_offset < start:
            if header.producer_id >= 0:
                earlier.append(header)
            continue
        if not recalled:
            producers.recall(earlier)
            recalled = True
        if header.is_control:
            marker = _read_marker(segment, position, header)
            if marker is None:
                continue
            aborted = producers.aborted_by(header, marker, header.base_offset)
            if aborted is not None and header.base_offset >= synced and not is_indexed_anew:
                segment.aborted.append(aborted)
            producers.end_transaction(header, marker, header.base_offset)
        elif header.producer_id >= 0:
            producers.remember(header, header.base_offset)
    if not recalled:
        producers.recall(earlier)
    note(end)
    return producers


def has_sound_index(segment: Segment) -> bool:
    try:
        _ = segment.aborted.entries
    except IndexCorrupt as error:
        logger.warning("%s; indexing the aborted transactions anew", error)
        return False
    return True


def index_aborted(segments: list[Segment]) -> None:
    """Index the aborted transactions of the whole log anew. When one began whose beginning is not in the log any more
    is taken from what is there."""
    start = segments[0].base_offset
    known: dict[int, AbortedTransaction] = {}
    for segment in segments:
        with suppress(IndexCorrupt):
            known |= {entry.last_offset: entry for entry in segment.aborted.entries if entry.first_offset < start}
    producers = ProducerStates()
    ended: set[int] = set()
    found: dict[Segment, list[AbortedTransaction]] = {segment: [] for segment in segments}
    for segment, position, header in _headers_around(segments, start, 0):
        producer_id = header.producer_id
        if header.is_control:
            marker = _read_marker(segment, position, header)
            if marker is None:
                continue
            aborted = producers.aborted_by(header, marker, header.base_offset)
            before = known.get(header.base_offset)
            if (
                # An entry may have outlived its marker, and another marker is where that was.
                before is not None
                and before.producer_id == producer_id
                and producer_id not in ended
                and marker.type is ControlType.ABORT
            ):
                aborted = before
            if aborted is not None:
                found[segment].append(aborted)
            ended.add(producer_id)
            producers.end_transaction(header, marker, header.base_offset)
        elif producer_id >= 0:
            producers.remember(header, header.base_offset)
    for segment, entries in found.items():
        segment.aborted.replace(entries)


def _read_marker(segment: Segment, position: int, header: BatchHeader) -> EndTransactionMarker | None:
    try:
        return read_end_transaction_marker(segment.view(position, position + header.size_bytes))
    except BatchCorrupt as error:
        logger.error("%s: the control batch at %d: %s", segment.path(LOG_SUFFIX), position, error)
        return None


def _read_snapshot(directory: Path, segments: list[Segment], end: int, synced: int) -> tuple[ProducerStates, int]:
    snapshots = sorted((path for path in directory.glob(f"*{SNAPSHOT_SUFFIX}") if path.stem.isdigit()), reverse=True)
    usable: list[tuple[ProducerStates, int]] = []
    start = segments[0].base_offset
    for path in snapshots:
        offset = int(path.stem)
        # One from before the first segment may have been left by a deletion: what it calls open may have ended since.
        # One of what was not synced may be of batches that the power has taken, and others are in their places.
        if not start <= offset <= min(end, max(synced, start)) or len(usable) == SNAPSHOTS_KEPT:
            files.unlink(path)
            continue
        try:
            states = ProducerStates.read_snapshot(path)
        except SnapshotCorrupt as error:
            logger.warning("%s; rebuilding the producers' state from the log", error)
            files.unlink(path)
        else:
            usable.append((states, offset))
    return usable[0] if usable else (ProducerStates(), start)


def _headers_around(
    segments: list[Segment], start: int, back_bytes: int
) -> Iterator[tuple[Segment, int, BatchHeader]]:
    """Yield the batch headers and their places from ``back_bytes`` or a little more before offset ``start`` on."""
    first = max((i for i, segment in enumerate(segments) if segment.base_offset < start), default=0)
    segments[first].ensure_indexes()
    position = segments[first].position_before(start - 1) - back_bytes
    while position < 0 and first:
        first -= 1
        position += segments[first].size
    for number in range(first, len(segments)):
        segment = segments[number]
        segment.ensure_indexes()
        for at, header in segment.headers(segment.batch_before(max(0, position)) if number == first else 0):
            yield segment, at, header
