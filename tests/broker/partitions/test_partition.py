"""A partition: what it takes, and when consumers see it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import batch, fetch_request, fetched, make_topic, produce
from support.process import running
from support.wire import Wire

from barnabas.broker.config import BrokerConfig, TopicConfig
from barnabas.broker.errors import ApiError
from barnabas.broker.partitions.partition import Partition
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.records import (
    ATTRIBUTES_OFFSET,
    CRC_OFFSET,
    BatchCorrupt,
    Codec,
    Record,
    RecordsTooLarge,
    build_batch,
    compress,
    crc32c,
)
from barnabas.storage.clock import SystemClock
from barnabas.storage.datadir import DataDir
from barnabas.storage.errors import OffsetNotInLog

NOW_MS = 1_700_000_000_000


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[DataDir]:
    opened = DataDir(tmp_path / "data", SystemClock(), 1, lambda work: work())
    yield opened
    opened.close()


def make_partition(data_dir: DataDir, is_durable: bool = False, **settings: str) -> Partition:
    overrides = {name.replace("_", "."): value for name, value in settings.items()}
    config = TopicConfig(overrides, BrokerConfig())
    return Partition(
        "t", 0, 0, config, is_durable, lambda settings: data_dir.open_log("t", 0, bytes(15) + b"t", settings)
    )


def records(count: int = 3, codec: Codec = Codec.NONE) -> memoryview:
    given = [Record(i, NOW_MS + i, b"k", b"v" * 50) for i in range(count)]
    return memoryview(bytearray(build_batch(given, codec=codec)))


def sync(partition: Partition) -> None:
    job = partition.log.sync_job()
    job.work()
    job.finish()


class Watcher:
    def __init__(self) -> None:
        self.grown: list[int] = []

    def grew(self, size_bytes: int, is_stable: bool) -> None:
        self.grown.append(size_bytes)

    def gone(self) -> None: ...


def test_what_is_appended_can_be_read_at_once(data_dir: DataDir) -> None:
    partition, watcher, sent = make_partition(data_dir), Watcher(), records()
    partition.watchers.add(watcher)
    partition.append(sent, NOW_MS)
    assert partition.high_watermark == 3
    assert len(partition.read(0, 1000, True).batches) == len(sent)
    assert watcher.grown == [len(sent)]


@pytest.mark.parametrize("settings", [{"is_durable": True}, {"flush_messages": "1"}])
def test_a_durable_partition_shows_only_what_the_disk_has(data_dir: DataDir, settings: dict) -> None:
    partition, watcher, sent = make_partition(data_dir, **settings), Watcher(), records()
    partition.append(sent, NOW_MS)
    sync(partition)
    partition.watchers.add(watcher)
    partition.append(records(), NOW_MS)
    assert partition.must_sync
    assert (partition.high_watermark, partition.log.log_end_offset) == (3, 6)
    assert len(partition.read(0, 1000, True).batches) == len(sent)
    assert partition.read(3, 1000, True).batches == b""
    assert partition.read(5, 1000, True).batches == b""
    assert watcher.grown == []
    sync(partition)
    assert partition.high_watermark == 6
    assert len(partition.read(0, 1000, True).batches) == 2 * len(sent)


def test_consumers_of_a_durable_broker_are_woken(tmp_path: Path) -> None:
    with (
        running(tmp_path / "data", "-c", "barnabas.acknowledge.durable=true") as broker,
        Wire(broker.port) as reader,
        Wire(broker.port) as writer,
    ):
        topic = make_topic(writer)
        for offset in range(0, 30, 3):
            reader.send(fetch_request((topic, 0, offset), max_wait_ms=15_000), 12)
            assert produce(writer, topic, batch()).base_offset == offset
            (result,) = fetched(reader.receive(type(fetch_request()), 12))
            assert result.high_watermark == offset + 3
            assert len(result.records) == len(batch())


def test_a_batch_that_expands_too_far_is_refused_where_it_has_to_be_opened(data_dir: DataDir) -> None:
    partition = make_partition(data_dir, compression_type="gzip")
    bomb = bytearray(build_batch([Record(0, NOW_MS, None, bytes(40 * 2**20))], codec=Codec.ZSTD))
    assert len(bomb) < 10_000
    with pytest.raises(RecordsTooLarge):
        partition.append(memoryview(bomb), NOW_MS)
    assert partition.log.log_end_offset == 0


def test_what_holds_no_records_is_not_compressed_anew(data_dir: DataDir) -> None:
    sent = records(1, Codec.ZSTD)
    rubbish = bytearray(sent[:61]) + compress(Codec.ZSTD, bytes(500))
    rubbish[8:12] = (len(rubbish) - 12).to_bytes(4, "big")
    rubbish[CRC_OFFSET : CRC_OFFSET + 4] = crc32c(rubbish[ATTRIBUTES_OFFSET:]).to_bytes(4, "big")
    partition = make_partition(data_dir, compression_type="gzip")
    with pytest.raises(BatchCorrupt):
        partition.append(memoryview(rubbish), NOW_MS)


def test_a_transactional_batch_needs_a_transaction(data_dir: DataDir) -> None:
    batch_ = build_batch([Record(0, NOW_MS, None, b"")], producer_id=1, producer_epoch=0, base_sequence=0,
                         is_transactional=True)  # fmt: skip
    with pytest.raises(ApiError) as refused:
        make_partition(data_dir).append(memoryview(bytearray(batch_)), NOW_MS)
    assert refused.value.code == ErrorCode.INVALID_TXN_STATE


def test_a_partition_waits_for_the_disk_from_when_it_is_asked_to(data_dir: DataDir) -> None:
    partition = make_partition(data_dir)
    partition.append(records(), NOW_MS)
    assert (partition.must_sync, partition.high_watermark) == (False, 3)
    partition.configure(TopicConfig({"flush.messages": "1"}, BrokerConfig()))
    assert (partition.must_sync, partition.high_watermark) == (True, 3)
    partition.append(records(), NOW_MS)
    assert partition.high_watermark == 3
    sync(partition)
    assert partition.high_watermark == 6
    partition.configure(TopicConfig({}, BrokerConfig()))
    partition.append(records(), NOW_MS)
    assert (partition.must_sync, partition.high_watermark) == (False, 9)


def test_a_partition_that_is_not_open_yet_is_opened_with_the_new_settings(data_dir: DataDir) -> None:
    partition = make_partition(data_dir)
    config = TopicConfig({"flush.messages": "1", "segment.bytes": str(2**20)}, BrokerConfig())
    partition.configure(config)
    partition.append(records(), NOW_MS)
    assert (partition.must_sync, partition.high_watermark) == (True, 0)
    assert partition.log.settings is config  # type: ignore[attr-defined]


@pytest.mark.parametrize("offset", [-2, 4, 7])
def test_nothing_is_deleted_that_consumers_have_not_been_shown(data_dir: DataDir, offset: int) -> None:
    partition = make_partition(data_dir, flush_messages="1")
    for _ in range(2):
        partition.append(records(), NOW_MS)
        if partition.log.recovery_point == 0:
            sync(partition)
    with pytest.raises(OffsetNotInLog):
        partition.delete_records(offset)
    assert partition.delete_records(-1) == 3
