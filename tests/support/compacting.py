"""Compaction of a log as the broker does it, without a process of its own, and its death between file operations."""

from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import pytest
from support.logs import batches_of, read_all

from barnabas.protocol.records import Codec, Record, build_batch, end_transaction_marker, records
from barnabas.storage import files, swap
from barnabas.storage.compaction import Cleaned, Outcome, Plan, compact
from barnabas.storage.dirtiness import dirtiness
from barnabas.storage.segments import SegmentedLog

# Whatever changes what is on the disk.
MUTATORS = (
    "pwrite",
    "truncate",
    "rename",
    "unlink",
    "sync_directory",
    "sync",
    "open_file",
    "set_modified",
    "allocate",
)
Pair = tuple[bytes | None, bytes | None]


class Died(BaseException):
    """The process is gone: nothing it would have done happens any more."""


class Mortal:
    """What changes the disk while it is entered raises Died, from operation ``number`` on; None: it lives.

    ``share``: how much of a write is done if that is where it dies. ``count``: of the operations so far.
    """

    def __init__(self, number: int | None = None, share: float = 0.0) -> None:
        self.number = number
        self.share = share
        self.count = 0
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> "Mortal":
        for name in MUTATORS:
            self._patch.setattr(files, name, self._deadly(name, getattr(files, name)))
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()

    def _deadly(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            self.count += 1
            if self.number is not None and self.count > self.number:
                if name == "pwrite" and self.count == self.number + 1:
                    descriptor, content, position = args
                    work(descriptor, content[: int(len(content) * self.share)], position)
                raise Died
            return work(*args)

        return call


def keyed_batch(*pairs: Pair, timestamp: int, codec: Codec = Codec.NONE, **options: Any) -> bytearray:
    """A batch of keys and values as a producer would send it."""
    some = [Record(delta, timestamp + delta, key, value) for delta, (key, value) in enumerate(pairs)]
    return bytearray(build_batch(some, codec=codec, **options))


def end(log: SegmentedLog, producer_id: int, is_commit: bool, timestamp: int, epoch: int = 0) -> int:
    """Write the marker that ends a transaction, and return its offset."""
    marker = end_transaction_marker(
        commit=is_commit, producer_id=producer_id, producer_epoch=epoch, coordinator_epoch=0, timestamp=timestamp
    )
    return log.end_transaction(memoryview(bytearray(marker)), 0, False).base_offset


def plan_for(
    log: SegmentedLog,
    now_ms: int,
    dirty_offset: int = 0,
    end_offset: int | None = None,
    memory_bytes: int = 2**20,
    delete_retention_ms: int = 1000,
) -> Plan:
    """What the broker would have compacted, or less of it."""
    settings: Any = log.settings
    stable = min([log.last_stable_offset, *(segment.base_offset for segment in log.unsynced)])
    end_offset = stable if end_offset is None else min(stable, end_offset)
    found = dirtiness(log.extents(), settings, dirty_offset, end_offset, now_ms)
    return Plan(
        directory=str(log.directory),
        bases=found.bases,
        dirty_offset=dirty_offset,
        end_offset=found.end_offset,
        now_ms=now_ms,
        delete_retention_ms=delete_retention_ms,
        segment_bytes=settings.segment_bytes,
        segment_index_bytes=settings.segment_index_bytes,
        index_interval_bytes=settings.index_interval_bytes,
        memory_bytes=memory_bytes,
        producers=log.last_records(),
        bytes_per_second=1e9,
    )


def carry_out(plan: Plan) -> Generator[Cleaned | Outcome]:
    """Compact at full speed."""
    return compact(plan, lambda size: None)


def outcome_of(plan: Plan) -> Outcome:
    """What will come of a plan; nothing is left of finding it out."""
    *_, outcome = carry_out(plan)
    assert isinstance(outcome, Outcome)
    remove_cleaned(Path(plan.directory))
    return outcome


def take_over(
    log: SegmentedLog,
    steps: Iterable[Cleaned | Outcome],
    mortal: Mortal | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> Outcome | None:
    """Swap each cleaned segment in; None where the log has changed. ``meanwhile``: what happens at every step."""
    mortal = mortal or Mortal()
    steps = iter(steps)
    while True:
        with mortal:
            cleaned = next(steps)
        if isinstance(cleaned, Outcome):
            return cleaned
        with mortal:
            segment = swap.prepare(log.directory, cleaned.bases[0])
        meanwhile()
        replaced = log.replace(segment, cleaned.bases)
        with mortal:
            if replaced is None:
                swap.discard(segment)
                remove_cleaned(log.directory)
                return None
        meanwhile()
        with mortal:
            swap.complete(log, segment, replaced)
        meanwhile()
        with mortal:
            for old in replaced:
                old.unlink()


def remove_cleaned(directory: Path) -> None:
    for left in directory.glob("*.cleaned"):
        files.unlink(left)


def compacted(log: SegmentedLog, now_ms: int, **options: Any) -> Outcome:
    """Compact a log at once; see ``plan_for``."""
    outcome = take_over(log, carry_out(plan_for(log, now_ms, **options)))
    assert outcome is not None
    return outcome


def pairs_in(log: SegmentedLog) -> list[tuple[int, bytes | None, bytes | None]]:
    """Offset, key and value of every record of data, whatever became of its transaction."""
    return [
        (record.offset, record.key, record.value)
        for content in read_all(log)
        for header, _ in batches_of(content)
        if not header.is_control
        for record in records(content)
        if record.offset >= log.log_start_offset
    ]


def committed_in(log: SegmentedLog, max_bytes: int = 700) -> list[int]:
    """The offsets of the records that a consumer at read_committed gets: it drops what it is told was aborted."""
    seen = []
    offset = log.log_start_offset
    stable = log.last_stable_offset
    while offset < stable:
        before = offset
        content = log.read(offset, max_bytes, True, stable).batches
        aborted = sorted(log.aborted(offset, len(content)), key=lambda entry: entry.first_offset)
        dropped: set[int] = set()
        for header, batch in batches_of(content):
            while aborted and aborted[0].first_offset <= header.last_offset:
                dropped.add(aborted.pop(0).producer_id)
            if header.is_control:
                if next(records(batch), None) is not None:
                    dropped.discard(header.producer_id)
            elif not (header.is_transactional and header.producer_id in dropped):
                seen += [record.offset for record in records(batch) if record.offset >= offset]
            offset = max(offset, header.next_offset)
        if offset == before:
            assert not len(content), f"a consumer would ask for offset {offset} for ever"
            break  # nothing but a gap up to the last stable offset
    return seen
