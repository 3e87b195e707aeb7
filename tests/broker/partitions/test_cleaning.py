"""Compaction in a running broker."""

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.calls import Topic, batch, configure, fetch, make_topic, now_ms, produce, wait_until
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from barnabas.protocol.records import Codec, headers, records

OPTIONS = (
    *("-c", "log.cleaner.backoff.ms=50"),
    *("-c", "log.segment.delete.delay.ms=0"),
    *("-c", "log.retention.check.interval.ms=200"),
)
SMALL = {"segment_bytes": str(2**20), "min_cleanable_dirty_ratio": "0.01"}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with running(tmp_path_factory.mktemp("cleaning") / "data", *OPTIONS) as process:
        yield process


@pytest.fixture
def wire(broker: BrokerProcess) -> Iterator[Wire]:
    with Wire(broker.port) as wire:
        yield wire


class Writer:
    """Writes random records to a topic and knows what the last one of each key is; None for a tombstone."""

    def __init__(self, topic: Topic, seed: int = 0) -> None:
        self.topic = topic
        self.random = random.Random(seed)
        self.latest: dict[bytes, bytes | None] = {}
        self.count = 0

    def write(self, wire: Wire, count: int, size: int = 5000, keys: int = 50, codec: Codec = Codec.NONE) -> None:
        for _ in range(0, count, 10):
            pairs = []
            for _ in range(10):
                key = b"key-%d" % self.random.randrange(keys)
                value = None if self.random.random() < 0.1 else b"%d-" % self.count + self.random.randbytes(size)
                pairs.append((key, value))
                self.latest[key] = value
                self.count += 1
            sent = batch(
                *(value for _, value in pairs), keys=[key for key, _ in pairs], timestamp=now_ms(), codec=codec
            )
            assert produce(wire, self.topic, sent).error_code == 0


def listed(wire: Wire, topic: Topic, timestamp: int) -> int:
    """Where the partition begins (-2) or ends (-1)."""
    asked = ListOffsetsTopic(
        name=topic.name, partitions=[ListOffsetsPartition(partition_index=0, timestamp=timestamp)]
    )
    (answered,) = wire.call(ListOffsetsRequest(topics=[asked]), 7).topics
    return answered.partitions[0].offset  # type: ignore[no-any-return]


def read_all(wire: Wire, topic: Topic) -> list[tuple[int, bytes | None, bytes | None]]:
    """Offset, key and value of every record."""
    found = []
    offset, end = listed(wire, topic, -2), listed(wire, topic, -1)
    while offset < end:
        answered = fetch(wire, topic, offset, max_bytes=2**24, partition_max_bytes=2**24)
        if answered.error_code == ErrorCode.OFFSET_OUT_OF_RANGE:  # it was deleted meanwhile
            return read_all(wire, topic)
        content = answered.records
        assert content
        for position, header in headers(content):
            found += [
                (record.offset, record.key, record.value)
                for record in records(memoryview(content)[position : position + header.size_bytes])
                if record.offset >= offset
            ]
            following = header.next_offset
        offset = following
    return found


def as_map(found: list[tuple[int, bytes | None, bytes | None]]) -> dict[bytes | None, bytes | None]:
    assert [offset for offset, _, _ in found] == sorted({offset for offset, _, _ in found})
    return {key: value for _, key, value in found}


def size(broker: BrokerProcess, topic: Topic) -> int:
    while True:
        with suppress(FileNotFoundError):  # a segment has just gone
            return sum(path.stat().st_size for path in (broker.data_dir / f"{topic.name}-0").glob("*.log"))


@pytest.mark.parametrize("codec", list(Codec))
def test_a_compacted_topic_is_the_map_of_its_last_values(broker, wire, codec):
    topic = make_topic(wire, cleanup_policy="compact", **SMALL)
    writer = Writer(topic)
    writer.write(wire, 1000, codec=codec)
    wait_until(lambda: size(broker, topic) < 2 * 2**20)  # of more than four, some of which may be gone already
    assert as_map(read_all(wire, topic)) == writer.latest
    writer.write(wire, 300, codec=codec)
    assert as_map(read_all(wire, topic)) == writer.latest


def test_tombstones_go_when_their_time_has_come(broker, wire):
    topic = make_topic(wire, cleanup_policy="compact", delete_retention_ms="0", **SMALL)
    writer = Writer(topic)
    for _ in range(8):
        writer.write(wire, 400, keys=20)

    def old_tombstones() -> list[int]:
        found = read_all(wire, topic)
        return [offset for offset, _, value in found if value is None and offset < writer.count - 1200]

    def settled() -> bool:
        writer.write(wire, 200, keys=20)
        return not old_tombstones()

    wait_until(settled, 30)
    found = as_map(read_all(wire, topic))
    assert {key: value for key, value in found.items() if value is not None} == {
        key: value for key, value in writer.latest.items() if value is not None
    }


def test_a_compacted_log_survives_kills_while_it_is_written_and_compacted(tmp_path: Path):
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    with running(tmp_path / "data", *OPTIONS) as broker:
        with Wire(broker.port) as wire:
            topic = make_topic(wire, cleanup_policy="compact", **SMALL)
            writer = Writer(topic, seed)
        for _ in range(6):
            with Wire(broker.port) as wire:
                writer.write(wire, chance.randrange(200, 800, 10))
            broker.kill()
            broker.start()
            with Wire(broker.port) as wire:
                assert as_map(read_all(wire, topic)) == writer.latest
        wait_until(lambda: size(broker, topic) < 3 * 2**20)
        with Wire(broker.port) as wire:
            assert as_map(read_all(wire, topic)) == writer.latest


def test_what_has_a_retention_as_well_is_deleted(broker, wire):
    topic = make_topic(wire, cleanup_policy="compact,delete", **SMALL, retention_ms="1000000")
    for age_ms in (2_000_000, 2_000_000, 0, 0):
        produce(wire, topic, batch(b"x" * 600_000, keys=[b"%d" % age_ms], timestamp=now_ms() - age_ms))
    wait_until(lambda: [offset for offset, _, _ in read_all(wire, topic)] == [2, 3])


def test_a_topic_that_becomes_compacted_loses_its_records_without_keys(broker, wire):
    topic = make_topic(wire, segment_bytes=str(2**20), min_cleanable_dirty_ratio="0.01")
    for number in range(4):
        # Old ones would be deleted before the topic is compacted.
        sent = batch(b"x" * 600_000, keys=[None if number % 2 else b"k"], timestamp=now_ms())
        produce(wire, topic, sent)
    configure(wire, 2, topic.name, cleanup_policy="compact")
    wait_until(lambda: [offset for offset, _, _ in read_all(wire, topic)] == [2, 3])


def test_what_stands_for_the_end_of_a_cleaned_segment_is_found_at_no_time(broker, wire):
    topic = make_topic(wire, cleanup_policy="compact", **SMALL)
    now = now_ms()
    for age_ms in (0, 2000, 1000):
        produce(wire, topic, batch(b"x" * 600_000, keys=[b"k"], timestamp=now - age_ms))
    wait_until(lambda: [offset for offset, _, _ in read_all(wire, topic)] == [1, 2])

    (path,) = (broker.data_dir / f"{topic.name}-0").glob(f"{0:020}.log")
    assert [(header.records_count, header.max_timestamp) for _, header in headers(path.read_bytes())] == [(0, -1)]
    assert listed(wire, topic, now - 500) == -1
    assert listed(wire, topic, -3) == 2


def test_a_cleaned_segment_without_records_is_as_old_as_those_were(broker, wire):
    topic = make_topic(wire, cleanup_policy="compact", **SMALL, retention_ms="1000000")
    for key in (b"old", b"old", b"new", b"new"):
        age_ms = 2_000_000 if key == b"old" else 0
        produce(wire, topic, batch(b"x" * 600_000, keys=[key], timestamp=now_ms() - age_ms))
    wait_until(lambda: [offset for offset, _, _ in read_all(wire, topic)] == [1, 2, 3])

    configure(wire, 2, topic.name, cleanup_policy="compact,delete")

    wait_until(lambda: [offset for offset, _, _ in read_all(wire, topic)] == [2, 3])


def test_a_damaged_segment_keeps_its_partition_from_being_compacted_and_no_other(tmp_path: Path):
    with running(tmp_path / "data", "-c", "log.cleaner.backoff.ms=10000000") as broker, Wire(broker.port) as wire:
        damaged, sound = (make_topic(wire, cleanup_policy="compact", **SMALL) for _ in range(2))
        writers = [Writer(damaged), Writer(sound)]
        for writer in writers:
            writer.write(wire, 1000)
    path = broker.data_dir / f"{damaged.name}-0" / "00000000000000000000.log"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    with running(tmp_path / "data", *OPTIONS) as broker, Wire(broker.port) as wire:
        before = size(broker, sound)
        wait_until(lambda: size(broker, sound) < before / 2)
        wait_until(lambda: "is not compacted until the next start" in broker.log.read_text())
        assert path.read_bytes() == content
        assert as_map(read_all(wire, sound)) == writers[1].latest
        assert "Traceback" not in broker.log.read_text()
