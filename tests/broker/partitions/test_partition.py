"""A partition: what it takes, and when consumers see it."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import batch, fetch_request, fetched, make_topic, placed, produce
from support.process import running
from support.wire import Wire

from barnabas.broker.config import BrokerConfig, TopicConfig
from barnabas.broker.errors import ApiError
from barnabas.broker.partitions.partition import OPENED_RECORDS_MAX, Partition, RecordsRefused
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.records import (
    ATTRIBUTES_OFFSET,
    CRC_OFFSET,
    Codec,
    Record,
    RecordsTooLarge,
    build_batch,
    compress,
    crc32c,
    verify,
)
from barnabas.storage.clock import SystemClock
from barnabas.storage.datadir import DataDir
from barnabas.storage.errors import OffsetNotInLog

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[DataDir]:
    opened = DataDir(tmp_path / "data", SystemClock(), 1, lambda work: work())
    yield opened
    opened.close()


DURABLE = BrokerConfig.of({"barnabas.acknowledge.durable": "true"})


def make_partition(data_dir: DataDir, broker: BrokerConfig | None = None, **settings: str) -> Partition:
    overrides = {name.replace("_", "."): value for name, value in settings.items()}
    config = TopicConfig(overrides, broker or BrokerConfig())
    return Partition("t", 0, 0, config, lambda settings: data_dir.open_log("t", 0, bytes(15) + b"t", settings))


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


@pytest.mark.parametrize("settings", [{"broker": DURABLE}, {"flush_messages": "1"}])
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


def test_a_batch_of_too_many_records_is_not_opened(data_dir: DataDir) -> None:
    """It would hold up everybody else."""
    partition = make_partition(data_dir, cleanup_policy="compact")
    many = bytearray(build_batch([Record(0, NOW_MS, b"k", b"v")]))
    struct.pack_into(">i", many, 23, OPENED_RECORDS_MAX)
    struct.pack_into(">i", many, 57, OPENED_RECORDS_MAX + 1)
    struct.pack_into(">I", many, 17, crc32c(bytes(many[21:])))
    with pytest.raises(ApiError, match="250001 records, 250000 can be looked at") as refused:
        partition.append(memoryview(many), NOW_MS)
    assert refused.value.code == ErrorCode.MESSAGE_TOO_LARGE
    partition.configure(TopicConfig({}, BrokerConfig()))
    partition.append(memoryview(many), NOW_MS)


def test_what_holds_no_records_is_not_compressed_anew(data_dir: DataDir) -> None:
    sent = records(1, Codec.ZSTD)
    rubbish = bytearray(sent[:61]) + compress(Codec.ZSTD, bytes(500))
    rubbish[8:12] = (len(rubbish) - 12).to_bytes(4, "big")
    rubbish[CRC_OFFSET : CRC_OFFSET + 4] = crc32c(rubbish[ATTRIBUTES_OFFSET:]).to_bytes(4, "big")
    partition = make_partition(data_dir, compression_type="gzip")
    with pytest.raises(ApiError) as refused:
        partition.append(memoryview(rubbish), NOW_MS)
    assert refused.value.code == ErrorCode.INVALID_RECORD


def dated(*stamps: int, states: int | None = None, codec: Codec = Codec.NONE, key: bytes | None = b"k") -> memoryview:
    """A batch with records of these timestamps, relative to NOW_MS, whose header ``states`` another latest one."""
    given = [Record(i, NOW_MS + stamp, key, b"v") for i, stamp in enumerate(stamps)]
    max_timestamp = states if states is None else NOW_MS + states
    return memoryview(bytearray(build_batch(given, codec=codec, max_timestamp=max_timestamp)))


def stored(partition: Partition) -> bytes:
    return bytes(partition.read(0, 10_000, True).batches)


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("states", [-1 - NOW_MS, -1, HOUR_MS + 1], ids=["none", "earlier", "far ahead"])
def test_a_max_timestamp_that_cannot_be_is_put_right(data_dir: DataDir, codec: Codec, states: int) -> None:
    partition = make_partition(data_dir)
    partition.append(dated(0, 2, 1, states=states, codec=codec), NOW_MS)
    assert stored(partition) == placed(dated(0, 2, 1, codec=codec), 0)


OPENING = [
    {"cleanup_policy": "compact"},
    {"message_timestamp_before_max_ms": "1000"},
    {"compression_type": "uncompressed"},
]


@pytest.mark.parametrize("states", [1, 3], ids=["too early", "too late"])
@pytest.mark.parametrize("settings", OPENING, ids=lambda settings: next(iter(settings)))
def test_a_max_timestamp_that_no_record_has_is_put_right_where_the_batch_is_opened(
    data_dir: DataDir, settings: dict, states: int
) -> None:
    partition = make_partition(data_dir, **settings)
    partition.append(dated(0, 2, 1, states=states, codec=Codec.LZ4), NOW_MS)
    header = verify(stored(partition))
    assert (header.base_timestamp, header.max_timestamp) == (NOW_MS, NOW_MS + 2)


def test_a_max_timestamp_that_could_be_is_trusted_where_the_batch_is_not_opened(data_dir: DataDir) -> None:
    partition = make_partition(data_dir)
    partition.append(dated(0, 2, 1, states=1), NOW_MS)
    assert stored(partition) == placed(dated(0, 2, 1, states=1), 0)


def test_a_timestamp_too_far_ahead_is_noticed_behind_a_max_timestamp_that_cannot_be(data_dir: DataDir) -> None:
    with pytest.raises(RecordsRefused) as refused:
        make_partition(data_dir).append(dated(0, HOUR_MS + 1, states=-1), NOW_MS)
    assert refused.value.code == ErrorCode.INVALID_TIMESTAMP
    assert [index for index, _ in refused.value.records] == [1]


def test_records_without_key_and_records_out_of_time_are_told_together(data_dir: DataDir) -> None:
    partition = make_partition(data_dir, cleanup_policy="compact")
    given = [(0, None), (HOUR_MS + 1, b"k"), (HOUR_MS + 1, None), (0, b"k")]
    sent = build_batch(Record(i, NOW_MS + stamp, key, b"v") for i, (stamp, key) in enumerate(given))
    with pytest.raises(RecordsRefused) as refused:
        partition.append(memoryview(bytearray(sent)), NOW_MS)
    assert refused.value.code == ErrorCode.INVALID_TIMESTAMP
    assert [(index, "key" in text) for index, text in refused.value.records] == [(0, True), (1, False), (2, True)]


def test_no_timestamp_is_refused_where_the_broker_sets_it(data_dir: DataDir) -> None:
    settings = {"message_timestamp_type": "LogAppendTime", "message_timestamp_before_max_ms": "1000"}
    partition = make_partition(data_dir, cleanup_policy="compact", **settings)
    partition.append(dated(-HOUR_MS, 2 * HOUR_MS, states=-1), NOW_MS)
    header = verify(stored(partition))
    assert (header.base_timestamp, header.max_timestamp) == (NOW_MS - HOUR_MS, NOW_MS)


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
