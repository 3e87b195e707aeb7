"""The log of a partition to which nothing was ever written."""

from pathlib import Path

import pytest
from support.logs import LogFolder, batch

from barnabas.protocol.records import read_header
from barnabas.storage.errors import OffsetNotInLog
from barnabas.storage.segments import SegmentedLog
from barnabas.storage.unwritten import UnwrittenLog


def test_it_answers_as_an_empty_log_does(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path / "data")
    empty = folder.open()
    unwritten = UnwrittenLog(tmp_path / "nowhere-0", lambda: empty)
    for name in ("log_start_offset", "log_end_offset", "durable_offset", "recovery_point", "last_stable_offset"):
        assert getattr(unwritten, name) == getattr(empty, name) == 0, name
    assert unwritten.size_bytes == empty.size_bytes == 0
    for log in (unwritten, empty):
        assert bytes(log.read(0, 100, at_least_one=True).batches) == b""
        assert log.batch_at_or_after(0) is None
        assert log.batch_of_max_timestamp() is None
        assert log.delete_before(0) == log.expire(0) == 0
        assert log.aborted(0, 100) == []
        assert log.epochs.end_of(0, 0, 0) == (0, 0)
        with pytest.raises(OffsetNotInLog):
            log.read(1, 100, at_least_one=True)
        with pytest.raises(OffsetNotInLog):
            log.delete_before(1)
    assert not (tmp_path / "nowhere-0").exists()
    folder.close(empty)


def test_the_first_batch_makes_the_log(tmp_path: Path) -> None:
    folder, made = LogFolder(tmp_path / "data"), list[SegmentedLog]()

    def make() -> SegmentedLog:
        made.append(folder.open())
        return made[0]

    unwritten = UnwrittenLog(folder.partition, make)
    assert not folder.partition.exists()
    content = batch(3)
    assert unwritten.append(memoryview(content), read_header(content), 0).base_offset == 0
    assert made[0].log_end_offset == 3
    folder.close(made[0])
