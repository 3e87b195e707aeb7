"""``barnabas check``: walk a data directory that nobody uses and say what is wrong with it. Changes nothing
but the note in the lock file."""

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..protocol.records import (
    BatchCorrupt,
    BatchHeader,
    ControlType,
    EndTransactionMarker,
    read_end_transaction_marker,
)
from .aborted import TRANSACTION_INDEX_SUFFIX, read_entries
from .catalog import StoredTopic
from .checkpoints import Key, LeaderEpochs, read_offsets
from .clock import SystemClock
from .damage import Damage, is_blank
from .errors import StorageError
from .index import IndexCorrupt, OffsetIndex, TimeIndex
from .journal import FILE_NAMES as JOURNAL_FILES
from .journal import left_in
from .layout import (
    CATALOG_FILE,
    CLEAN_FILE,
    CLEAN_OFFSETS_FILE,
    LOCK_FILE,
    LOG_STARTS_FILE,
    RECOVERY_POINTS_FILE,
    STRAY_SUFFIX,
    folders,
    lock,
    topic_id_in,
)
from .log import NEVER
from .producer_check import ProducerCheck
from .producers import ProducerStates, SnapshotCorrupt
from .recall import LEADER_EPOCH_FILE
from .recovery import sound_batches
from .segment import (
    CLEANED_MARK,
    DELETED_MARK,
    INDEX_SUFFIX,
    LOG_SUFFIX,
    SNAPSHOT_SUFFIX,
    SWAP_MARK,
    TIME_INDEX_SUFFIX,
    Segment,
)

# What files are that have such names; the next start removes or renames them.
_LEFT_OVER = {
    CLEANED_MARK: "was written by a compaction that did not finish",
    SWAP_MARK: "was written by a compaction and has not taken its place yet",
    DELETED_MARK: "is not a part of the log any more",
}


class Finding(NamedTuple):
    """Something that ``check`` saw. ``is_problem``: False for what the next start puts right by itself."""

    path: Path
    text: str
    is_problem: bool


class Report(NamedTuple):
    """What ``check`` went through, and what it found."""

    partitions: int
    batches: int
    records: int
    size_bytes: int
    findings: list[Finding]


def check(path: Path) -> Report:
    """Check everything below ``path``. Raises DataDirLocked when a broker uses it, StorageError when it is none."""
    if not (path / CATALOG_FILE).exists():
        raise StorageError(f"{path} is not a data directory: there is no {CATALOG_FILE} in it")
    held = lock(path / LOCK_FILE)
    try:
        return _Walk(path).run()
    finally:
        os.close(held)


class _Known(NamedTuple):
    """What the checkpoints and the catalog know of a partition.

    ``end``: all records before this offset have been on the disk. ``gaps_end``: where segments begin up to this
    offset, compaction may have left a gap before them.
    """

    end: int
    gaps_end: int


class _Walk:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.was_clean = (path / CLEAN_FILE).exists()
        # Whether what is looked at belongs to a topic; nobody reads what is wrong in a folder that does not.
        self.is_served = True
        self.findings: list[Finding] = []
        self.partitions = self.batches = self.records = self.size_bytes = 0

    def problem(self, path: Path, text: str) -> None:
        self.findings.append(Finding(path, text, is_problem=self.is_served))

    def note(self, path: Path, text: str) -> None:
        self.findings.append(Finding(path, text, is_problem=False))

    def run(self) -> Report:
        topics = self._check_catalog()
        points = self._offsets(RECOVERY_POINTS_FILE)
        starts = self._offsets(LOG_STARTS_FILE)
        clean_offsets = self._clean_offsets()
        self._tell_of_journal({topic.topic_id for topic in topics.values()})
        seen: set[Key] = set()
        for name, partition, folder in folders(self.path):
            topic, key = topics.get(name), (name, partition)
            seen.add(key)
            self.is_served = (
                topic is not None
                and partition < topic.partition_count
                and topic_id_in(folder) in (topic.topic_id, None)
            )
            if topic is None or not self.is_served:
                self.note(folder, "belongs to no topic in the catalog")
                known = _Known(0, NEVER)
            else:
                is_compacted = "compact" in topic.configs.get("cleanup.policy", "")
                known = _Known(
                    points.get(key, 0), NEVER if is_compacted or clean_offsets is None else clean_offsets.get(key, 0)
                )
            self.partitions += 1
            try:
                self._check_partition(folder, known)
            except OSError as error:
                self.problem(folder, f"cannot be read: {error}")
        self.is_served = True
        for name, partition in sorted((points.keys() | starts.keys()) - seen):
            topic, end = topics.get(name), max(points.get((name, partition), 0), starts.get((name, partition), 0))
            if topic is not None and partition < topic.partition_count and end > 0:
                self.problem(
                    self.path / f"{name}-{partition}", f"is gone, though it had the records before offset {end}"
                )
        for stray in sorted(self.path.glob(f"*{STRAY_SUFFIX}")):
            self.note(stray, "was put aside, because a topic of the same name was made")
        return Report(self.partitions, self.batches, self.records, self.size_bytes, self.findings)

    def _offsets(self, name: str) -> dict[Key, int]:
        path = self.path / name
        return read_offsets(path) if self._readable(path, read_offsets) else {}

    def _clean_offsets(self) -> dict[Key, int] | None:
        """Return up to where logs were compacted, None when the file makes no sense: nobody syncs it."""
        path = self.path / CLEAN_OFFSETS_FILE
        try:
            return read_offsets(path)
        except StorageError as error:
            self.note(path, str(error))
            return None

    def _check_catalog(self) -> dict[str, StoredTopic]:
        """Return the topics by their names."""
        path = self.path / CATALOG_FILE
        try:
            # In a copy, because SQLite tidies up after a crash when it opens a database.
            with tempfile.TemporaryDirectory() as folder:
                shutil.copy(path, folder)
                with suppress(FileNotFoundError):
                    shutil.copy(f"{path}-wal", folder)
                db = sqlite3.connect(Path(folder) / CATALOG_FILE)
                try:
                    for (text,) in db.execute("PRAGMA integrity_check"):
                        if text != "ok":
                            self.problem(path, text)
                    rows = db.execute("SELECT topic_id, name, partition_count, leader_epoch, configs FROM topics")
                    return {row[1]: StoredTopic._make((*row[:4], json.loads(row[4]))) for row in rows}
                finally:
                    db.close()
        except (sqlite3.Error, OSError) as error:
            self.problem(path, f"cannot be read: {error}")
            return {}

    def _tell_of_journal(self, topic_ids: set[bytes]) -> None:
        path = self.path / JOURNAL_FILES[0]
        try:
            left = [key for key in left_in(self.path) if key[0] in topic_ids]
        except StorageError as error:
            self.problem(path, str(error))
        else:
            if left and not self.was_clean:
                self.note(path, f"has batches of {len(left)} partitions; the next start writes what they lost")

    def _readable(self, path: Path, read: Callable[[Path], object]) -> bool:
        try:
            read(path)
        except (StorageError, SnapshotCorrupt, IndexCorrupt) as error:
            (self.problem if self.was_clean else self.note)(path, str(error))
            return False
        except FileNotFoundError:
            return False
        return True

    def _check_partition(self, folder: Path, known: _Known) -> None:
        self._readable(folder / LEADER_EPOCH_FILE, LeaderEpochs)
        for mark in (CLEANED_MARK, SWAP_MARK, DELETED_MARK):
            for path in sorted(folder.glob(f"*{mark}")):
                self.note(path, _LEFT_OVER[mark])
        snapshots = {
            int(path.stem): ProducerStates.read_snapshot(path)
            for path in folder.glob(f"*{SNAPSHOT_SUFFIX}")
            if self._readable(path, ProducerStates.read_snapshot) and path.stem.isdigit()
        }
        self.producers = ProducerCheck(folder, snapshots, self.problem if self.was_clean else self.note)
        bases = sorted(int(path.stem) for path in folder.glob(f"*{LOG_SUFFIX}") if path.stem.isdigit())
        expected = 0
        self.known, self.has_gaps, self.is_damaged = known, False, False
        missing: list[tuple[Path, int]] = []
        for base in bases:
            segment = Segment(folder, base, SystemClock().now_ms())
            path = segment.path(LOG_SUFFIX)
            try:
                if base < expected:
                    self.problem(path, f"begins before the end of its predecessor, {expected}")
                elif base > max(expected, known.gaps_end) and base != bases[0] and not self.is_damaged:
                    missing.append((path, expected))
                expected = self._check_segment(segment, base, is_last=base == bases[-1])
            finally:
                segment.close()
        self.producers.compare(expected)
        self._tell_of_missing(folder, missing, expected)

    def _tell_of_missing(self, folder: Path, missing: list[tuple[Path, int]], end: int) -> None:
        """Tell of segments that have gone. ``missing``: those that begin behind their predecessor's end, and that."""
        if not self.has_gaps:  # gaps within segments are of compaction, and so may be those between them
            for path, offset in missing:
                self.problem(path, f"begins behind the end of its predecessor, {offset}: records are missing")
        if end < self.known.end and not self.is_damaged:
            self.problem(folder, f"ends at offset {end}, though it had the records before offset {self.known.end}")

    def _tell_of_damage(self, segment: Segment, damage: Damage, end: int, is_last: bool) -> None:
        """``end``: the offset behind the batches before the damage."""
        path, rest = segment.path(LOG_SUFFIX), segment.size - damage.position
        if is_last and is_blank(segment, damage.position):
            self.note(path, f"ends in {rest} zeros, space that was allocated ahead")
            self.size_bytes -= rest
            return
        self.is_damaged = True
        text = f"no sound batch at position {damage.position} of {segment.size}: {damage.reason}"
        torn = is_last and not self.was_clean and end >= self.known.end
        (self.note if torn else self.problem)(path, text)

    def _check_segment(self, segment: Segment, expected: int, is_last: bool) -> int:
        last_offsets: dict[int, int] = {}
        aborted: list[tuple[int, int]] = []
        markers: set[tuple[int, int]] = set()
        self.size_bytes += segment.size
        for found in sound_batches(segment, 0, expected):
            if isinstance(found, Damage):
                self._tell_of_damage(segment, found, expected, is_last)
                break
            position, header = found
            last_offsets[position] = header.last_offset
            marker = self._marker(segment, position, header)
            if marker is not None and marker.type is ControlType.ABORT:
                markers.add((header.producer_id, header.base_offset))
                if self.producers.is_open(header.producer_id):
                    aborted.append((header.producer_id, header.base_offset))
            self.producers.take(header, marker)
            self.has_gaps = self.has_gaps or header.base_offset > expected
            expected = header.next_offset
            self.batches += 1
            self.records += header.records_count
        for finding in (
            *self._check_indexes(segment, last_offsets, expected),
            *self._check_aborted(segment.path(TRANSACTION_INDEX_SUFFIX), aborted, markers),
        ):
            (self.problem if self.was_clean or not is_last else self.note)(*finding)
        return expected

    def _marker(self, segment: Segment, position: int, header: BatchHeader) -> EndTransactionMarker | None:
        """Return how a batch ends a transaction, None when it does not."""
        if not header.is_control:
            return None
        try:
            return read_end_transaction_marker(segment.view(position, position + header.size_bytes))
        except BatchCorrupt as error:
            self.problem(segment.path(LOG_SUFFIX), f"the control batch at position {position}: {error}")
            return None

    def _check_aborted(
        self, path: Path, expected: list[tuple[int, int]], markers: set[tuple[int, int]]
    ) -> Iterator[tuple[Path, str]]:
        """``expected``: producer id and marker's offset of what was aborted in the segment, as its batches tell.

        ``markers``: of all markers that abort, also where compaction or deletion has left nothing else.
        """
        if path.exists() and not self._readable(path, read_entries):
            return
        found = {(entry.producer_id, entry.last_offset) for entry in read_entries(path)}
        for producer_id, offset in expected:
            if (producer_id, offset) not in found:
                yield path, f"the transaction that producer {producer_id} aborts at offset {offset} is not in it"
        for producer_id, offset in sorted(found - markers):
            yield path, f"producer {producer_id} has no marker at offset {offset} that aborts anything"

    def _check_indexes(self, segment: Segment, last_offsets: dict[int, int], end: int) -> Iterator[tuple[Path, str]]:
        path = segment.path(INDEX_SUFFIX)
        if self._readable(path, lambda path: OffsetIndex.load(path, segment.size)):
            index = OffsetIndex.load(path, segment.size)
            for offset, position in zip(index.offsets, index.positions, strict=True):
                if last_offsets.get(position) != segment.base_offset + offset:
                    yield path, f"the entry for offset {segment.base_offset + offset} points to no batch of it"
                    break
        path = segment.path(TIME_INDEX_SUFFIX)
        if self._readable(path, TimeIndex.load):
            last = TimeIndex.load(path).last()
            if last is not None and segment.base_offset + last.relative_offset >= end:
                yield path, "points beyond the end of its segment"
