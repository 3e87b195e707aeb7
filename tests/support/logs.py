"""Batches, logs and folders of logs for the tests of storage."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from barnabas.protocol.records import BatchHeader, Record, build_batch, read_header
from barnabas.storage.catalog import StoredTopic, TopicCreated
from barnabas.storage.catalog.sqlite import SqliteCatalog
from barnabas.storage.checker import Finding, check
from barnabas.storage.clock import Clock, ManualClock
from barnabas.storage.datadir import DataDir
from barnabas.storage.journal import Redo
from barnabas.storage.layout import CATALOG_FILE, CLEAN_FILE
from barnabas.storage.log import Appended
from barnabas.storage.recovery import open_log, unlink_all
from barnabas.storage.segment import Segment
from barnabas.storage.segments import SegmentedLog

START_MS = 1_700_000_000_000
TOPIC_ID = bytes(range(16))
FOREVER = 2**63 - 1


@dataclass
class Settings:
    """A topic's settings, Kafka's defaults."""

    segment_bytes: int = 2**30
    segment_ms: int = 7 * 24 * 3600 * 1000
    segment_jitter_ms: int = 0
    segment_index_bytes: int = 10 * 2**20
    index_interval_bytes: int = 4096
    flush_ms: int = FOREVER
    file_delete_delay_ms: int = 0
    preallocate: bool = False
    is_durable: bool = False
    is_compacted: bool = False
    is_deleting: bool = True
    retention_ms: int = 7 * 24 * 3600 * 1000
    retention_bytes: int = -1
    min_cleanable_dirty_ratio: float = 0.5
    min_compaction_lag_ms: int = 0
    max_compaction_lag_ms: int = FOREVER


def batch(
    count: int = 1,
    size: int = 10,
    timestamp: int = START_MS,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    fill: int = 0,
) -> bytearray:
    """A batch of ``count`` records with values of ``size`` bytes, as a producer would send it."""
    value = bytes([fill]) * size
    return bytearray(
        build_batch(
            [Record(delta, timestamp, None, value) for delta in range(count)],
            producer_id=producer_id,
            producer_epoch=producer_epoch,
            base_sequence=base_sequence,
        )
    )


def append(log: SegmentedLog, content: bytearray, leader_epoch: int = 0) -> Appended:
    return log.append(memoryview(content), read_header(content), leader_epoch)


def batches_of(content: bytes | memoryview) -> Iterator[tuple[BatchHeader, bytes]]:
    """The whole batches that ``content`` must consist of."""
    position = 0
    while position < len(content):
        header = read_header(content, position)
        assert position + header.size_bytes <= len(content), "a batch is cut short"
        yield header, bytes(content[position : position + header.size_bytes])
        position += header.size_bytes


def read_all(log: SegmentedLog, max_bytes: int = 2**20) -> list[bytes]:
    """All batches, as a consumer gets them from the log start offset to the log end offset."""
    found: list[bytes] = []
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        before = offset
        for header, content in batches_of(log.read(offset, max_bytes, True).batches):
            found.append(content)
            offset = header.next_offset
        assert offset > before, f"a consumer would ask for offset {offset} for ever"
    return found


def sync(log: SegmentedLog) -> None:
    """Bring the log to the disk as the flusher does."""
    job = log.sync_job()
    try:
        job.work()
    except OSError as error:
        raise job.fail(error) from error
    job.finish()


def note_log_starts(data_dir: DataDir) -> None:
    """Make it last where the logs begin, as DeleteRecords does."""
    job = data_dir.note_log_starts().sync_job()
    try:
        job.work()
    except OSError as error:
        raise job.fail(error) from error
    job.finish()


class LogFolder:
    """A data directory with the one partition "t-0", opened and closed without the rest of a data directory."""

    def __init__(self, path: Path, settings: Settings | None = None, clock: Clock | None = None) -> None:
        self.path = path
        self.partition = path / "t-0"
        self.settings = settings or Settings()
        self.clock = clock or ManualClock(START_MS)
        self.on_roll: Callable[[SegmentedLog], None] = lambda log: None
        self.on_retire: Callable[[SegmentedLog, list[Segment]], None] = unlink_all
        path.mkdir()
        catalog = SqliteCatalog(path / CATALOG_FILE, self.clock)
        catalog.commit(TopicCreated(StoredTopic(TOPIC_ID, "t", 1, 0, {})))
        catalog.close()

    def open(
        self,
        recovery_point: int | None = None,
        log_start_offset: int = 0,
        gaps_end: int = 0,
        redo: Redo | None = None,
    ) -> SegmentedLog:
        """``recovery_point``: None after a clean stop."""
        (self.path / CLEAN_FILE).unlink(missing_ok=True)
        return open_log(
            self.partition,
            self.settings,
            self.clock,
            lambda log: self.on_roll(log),
            recovery_point,
            log_start_offset,
            lambda log, segments: self.on_retire(log, segments),
            gaps_end=gaps_end,
            redo=redo,
        )

    def close(self, log: SegmentedLog) -> None:
        """What a stop of the broker does to the log."""
        sync(log)
        log.close()
        (self.path / CLEAN_FILE).touch()

    def problems(self) -> list[Finding]:
        return [finding for finding in check(self.path).findings if finding.is_problem]

    def files(self) -> dict[str, bytes]:
        """The content of the partition's folder."""
        return {path.name: path.read_bytes() for path in sorted(self.partition.iterdir())}

    def restore(self, files: dict[str, bytes]) -> None:
        """Make the partition's folder what ``files`` took note of."""
        self.partition.mkdir(exist_ok=True)
        for path in self.partition.iterdir():
            if path.name not in files:
                path.unlink()
        for name, content in files.items():
            (self.partition / name).write_bytes(content)


class DataDirProcess:
    """Opens a data directory again and again, as broker processes do that end well or badly."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = ManualClock(START_MS)
        self.data_dir: DataDir | None = None
        self.settings = Settings()

    def start(self) -> DataDir:
        self.data_dir = DataDir(self.path, self.clock, 1, lambda work: work())
        return self.data_dir

    def open(
        self, topic: str = "t", partition: int = 0, topic_id: bytes = TOPIC_ID, is_lossy: bool = False
    ) -> SegmentedLog:
        """``is_lossy``: whether the log is expected to say that it has lost records."""
        assert self.data_dir is not None
        log = self.data_dir.open_log(topic, partition, topic_id, self.settings)
        assert bool(log.loss) is is_lossy, log.loss
        return log

    def stop(self) -> None:
        if self.data_dir is not None:
            self.data_dir.close()
            self.data_dir = None

    def crash(self) -> None:
        """Leave the files as they are, and what holds them open to nobody."""
        data_dir, self.data_dir = self.data_dir, None
        assert data_dir is not None
        data_dir.flusher.stop()
        data_dir.disposal.stop()
        for log in data_dir.logs.values():
            log.let_go()
        data_dir.catalog.close()
        os.close(data_dir._lock)
