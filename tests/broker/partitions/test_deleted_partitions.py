"""A partition of a deleted topic, and one whose log lost records while the catalog refuses changes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.logs import START_MS, ManualClock, batch

from barnabas.broker.config import BrokerConfig
from barnabas.broker.partitions.topics import Topics
from barnabas.storage.datadir import DataDir
from barnabas.storage.errors import CatalogError, LogOffline


class Opened:
    """A data directory with its topics, opened again and again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._clock = ManualClock(START_MS)
        self.start()

    def start(self) -> None:
        self.data_dir = DataDir(self.path, self._clock, 1, lambda work: work())
        self.topics = Topics(self.data_dir.catalog, self.data_dir, BrokerConfig(), self._clock)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    opened = Opened(tmp_path / "data")
    yield opened
    opened.data_dir.close()


def test_a_late_write_to_a_deleted_partition_leaves_the_new_topic_alone(opened):
    old = opened.topics.create("t", 1, {}).partitions[0]
    assert old.log.log_end_offset == 0
    opened.topics.delete(["t"])
    new = opened.topics.create("t", 1, {}).partitions[0]
    new.append_own(batch(3), START_MS)
    with pytest.raises(LogOffline, match="deleted"):
        old.append_own(batch(1), START_MS)
    assert [folder.name for folder in opened.path.glob("t-0*")] == ["t-0"]
    opened.data_dir.close()
    opened.start()
    assert opened.topics.get("t").partitions[0].log.log_end_offset == 3


def test_a_late_write_to_a_deleted_partition_makes_no_folder(opened):
    old = opened.topics.create("t", 1, {}).partitions[0]
    opened.topics.delete(["t"])
    with pytest.raises(LogOffline, match="deleted"):
        old.append_own(batch(1), START_MS)
    assert list(opened.path.glob("t-0*")) == []


def test_the_new_leader_epoch_after_a_loss_waits_for_the_catalog(opened, monkeypatch):
    opened.topics.create("t", 1, {}).partitions[0].append_own(batch(3), START_MS)
    opened.data_dir.close()
    next((opened.path / "t-0").glob("*.log")).unlink()
    opened.start()
    partition = opened.topics.get("t").partitions[0]

    def full(*_: object) -> None:
        raise CatalogError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(opened.data_dir.catalog, "commit", full)
        with pytest.raises(LogOffline, match="no new leader epoch"):
            _ = partition.log
    assert partition.log.log_start_offset == 3
    assert partition.leader_epoch == 1
