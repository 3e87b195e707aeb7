"""``barnabas check`` on what compaction and producers leave beside a log."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.compacting import compacted, end, keyed_batch
from support.logs import START_MS, LogFolder, Settings, append, sync

from barnabas.storage.aborted import AbortedTransaction, TransactionIndex
from barnabas.storage.checker import check
from barnabas.storage.clock import ManualClock
from barnabas.storage.producers import BatchSequence, ProducerEntry, ProducerStates
from barnabas.storage.segments import SegmentedLog


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    """Producer 1 is idempotent, 2 has aborted something, 3 has something open. The first segment was compacted."""
    folder = LogFolder(tmp_path / "data", Settings(is_compacted=True), ManualClock(START_MS))
    log = folder.open()
    for sequence in range(3):
        write(log, 1, sequence, is_transactional=False)
        write(log, 2, sequence)
    end(log, 2, False, START_MS, epoch=5)
    log.roll()
    sync(log)
    compacted(log, START_MS)
    write(log, 1, 3, is_transactional=False)
    write(log, 3, 0)
    folder.close(log)
    assert check(folder.path).findings == []
    return folder


def write(log: SegmentedLog, producer_id: int, sequence: int, is_transactional: bool = True) -> None:
    producer = {"producer_id": producer_id, "producer_epoch": 5, "base_sequence": sequence}
    append(log, keyed_batch((b"k", b"v"), timestamp=START_MS, is_transactional=is_transactional, **producer))


def found(folder: LogFolder) -> list[tuple[str, str, bool]]:
    return [(f.path.name, f.text, f.is_problem) for f in check(folder.path).findings]


def change_snapshot(folder: LogFolder, change: Callable[[dict[int, ProducerEntry]], object]) -> str:
    """Of the end of the log."""
    path = max(folder.partition.glob("*.snapshot"))
    states = ProducerStates.read_snapshot(path)
    change(states.entries)
    states.write_snapshot(path)
    return path.name


def older(entries: dict[int, ProducerEntry]) -> None:
    entries[1].batches[0] = BatchSequence(2, 2, 4, 4, START_MS)


def other_sequence(entries: dict[int, ProducerEntry]) -> None:
    entries[1].batches[0] = entries[1].batches[0]._replace(last_sequence=7)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (older, "producer 1: it does not know of the batch at offset 7"),
        (lambda entries: entries[1].batches.clear(), "producer 1: it does not know of the batch at offset 7"),
        (other_sequence, "producer 1: sequence 7, offset 7 has 3"),
        (lambda entries: setattr(entries[1], "epoch", 4), "producer 1: epoch 4, offset 7 has 5"),
        (
            lambda entries: setattr(entries[3], "current_txn_first_offset", -1),
            "producer 3: it does not know of the transaction that is open since offset 8",
        ),
        (
            lambda entries: setattr(entries[3], "current_txn_first_offset", 9),
            "producer 3: it knows of batches behind its offset",
        ),
    ],
)
def test_a_snapshot_that_the_log_contradicts_is_a_problem(folder, change, text):
    name = change_snapshot(folder, change)
    assert found(folder) == [(name, text, True)]


@pytest.mark.parametrize("change", [dict.clear, lambda entries: setattr(entries[1], "epoch", 6)])
def test_a_snapshot_may_know_less_of_who_has_expired_and_more_of_what_is_gone(folder, change):
    change_snapshot(folder, change)
    assert found(folder) == []


def test_a_snapshot_of_the_middle_is_compared_with_what_lies_before_it(folder):
    first, *_ = sorted(folder.partition.glob("*.snapshot"))
    states = ProducerStates.read_snapshot(first)
    states.entries[2].epoch = 3
    states.write_snapshot(first)
    assert [(name, text) for name, text, _ in found(folder)] == [(first.name, "producer 2: epoch 3, offset 5 has 5")]


def test_an_entry_without_its_marker_is_a_problem(folder):
    index = TransactionIndex(max(folder.partition.glob("*.log")).with_suffix(".txnindex"))
    index.append(AbortedTransaction(1, 7, 8, 8))
    assert found(folder) == [(index.path.name, "producer 1 has no marker at offset 8 that aborts anything", True)]


@pytest.mark.parametrize(
    ("mark", "text"), [("cleaned", "did not finish"), ("swap", "not taken its place"), ("deleted", "not a part")]
)
def test_what_a_compaction_has_left_is_noted(folder, mark, text):
    for suffix in ("log", "txnindex"):
        (folder.partition / f"{0:020d}.{suffix}.{mark}").write_bytes(b"anything")
    notes: list[Any] = found(folder)
    assert [(text in note, is_problem) for _, note, is_problem in notes] == [(True, False), (True, False)]
