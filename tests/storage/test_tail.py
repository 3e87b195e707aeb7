"""What a log has for the journal: its last batches, as far as nothing else has to be synced with them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.logs import TOPIC_ID, LogFolder, Settings, append, batch, sync

from barnabas.storage.journal import TAIL_BYTES_MAX
from barnabas.storage.segments import SegmentedLog
from barnabas.storage.sync_job import Tail


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SegmentedLog]:
    log = LogFolder(tmp_path / "data", Settings(segment_bytes=1000)).open()
    yield log
    log.let_go()


def tail_of(log: SegmentedLog) -> Tail:
    tail = log.tail()
    assert tail is not None
    return tail


def test_the_tail_of_a_log_is_what_there_is_since_it_was_synced_or_in_the_journal(log):
    log.key = (TOPIC_ID, 0)
    append(log, batch())
    assert log.tail() is None  # the name of its file may not be on the disk
    sync(log)
    assert (tail_of(log).base_offset, tail_of(log).end_offset, len(tail_of(log).batches)) == (1, 1, 0)
    first, second = batch(2), batch(1)
    append(log, first)
    tail = tail_of(log)
    append(log, second)
    assert (tail.base_offset, tail.end_offset, bytes(tail.batches)) == (1, 3, bytes(first))
    log.keep(tail)
    assert (log.recovery_point, log.durable_offset, log.is_dirty) == (1, 3, True)
    tail = tail_of(log)
    assert (tail.base_offset, tail.end_offset, bytes(tail.batches)) == (3, 4, bytes(second))
    sync(log)
    log.keep(tail)
    assert (log.recovery_point, log.durable_offset, tail_of(log).base_offset) == (4, 4, 4)


def test_a_log_that_has_more_to_sync_than_its_last_batches_has_no_tail(log):
    log.key = (TOPIC_ID, 0)
    append(log, batch())
    sync(log)
    append(log, batch(size=200))
    kept = tail_of(log)
    append(log, batch(size=600))  # in another segment
    assert log.tail() is None
    log.keep(kept)
    assert (log.durable_offset, log.tail()) == (2, None)
    sync(log)
    assert tail_of(log).base_offset == 3
    append(log, batch(), leader_epoch=1)
    assert log.tail() is None
    sync(log)
    append(log, batch(), leader_epoch=1)
    assert tail_of(log).base_offset == 4
    log.key = None
    assert log.tail() is None


def test_a_tail_is_of_one_leader(log):
    """A sync that began before the second one covers the file of the epochs, but not all batches of the first."""
    log.key = (TOPIC_ID, 0)
    append(log, batch())
    sync(log)
    append(log, batch(), leader_epoch=1)
    job = log.sync_job()
    append(log, batch(), leader_epoch=1)
    append(log, batch(), leader_epoch=2)
    job.work()
    job.finish()
    assert not log.epochs.is_dirty
    assert log.tail() is None
    sync(log)
    assert tail_of(log).base_offset == 4


def test_what_is_too_long_for_the_journal_is_no_tail(tmp_path):
    log = LogFolder(tmp_path / "data").open()
    log.key = (TOPIC_ID, 0)
    append(log, batch())
    sync(log)
    append(log, batch(size=TAIL_BYTES_MAX - 100))
    assert tail_of(log).end_offset == 2
    append(log, batch(size=100))
    assert log.tail() is None
    log.close()
