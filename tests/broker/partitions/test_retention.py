"""Retention in a running broker."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import (
    Topic,
    batch,
    configure,
    end_offset,
    fetch,
    make_topic,
    now_ms,
    produce,
    produce_request,
    wait_until,
)
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode

OPTIONS = ("-c", "log.retention.check.interval.ms=50", "-c", "log.segment.delete.delay.ms=0")
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with running(tmp_path_factory.mktemp("retention") / "data", *OPTIONS) as process:
        yield process


@pytest.fixture
def wire(broker: BrokerProcess) -> Iterator[Wire]:
    with Wire(broker.port) as wire:
        yield wire


def fill(wire: Wire, topic: Topic, *ages_ms: int) -> None:
    """Half a segment for each; two records."""
    for age_ms in ages_ms:
        result = produce(wire, topic, batch(b"x" * 600_000, b"y", timestamp=now_ms() - age_ms))
        assert result.error_code == 0


def segments(broker: BrokerProcess, topic: Topic) -> list[int]:
    return sorted(int(path.stem) for path in (broker.data_dir / f"{topic.name}-0").glob("*.log"))


def test_old_segments_go(broker, wire):
    topic = make_topic(wire, segment_bytes=str(2**20), retention_ms=str(DAY_MS))
    fill(wire, topic, 3 * DAY_MS, 2 * DAY_MS, 0)
    wait_until(lambda: segments(broker, topic) == [4])
    assert fetch(wire, topic, 0).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert fetch(wire, topic, 4).log_start_offset == 4


def test_a_topic_keeps_its_size(broker, wire):
    topic = make_topic(wire, segment_bytes=str(2**20), retention_bytes="1300000")
    fill(wire, topic, 0, 0, 0, 0, 0)
    wait_until(lambda: segments(broker, topic) == [4, 6, 8])


def test_a_limit_that_is_set_later_holds(broker, wire):
    topic = make_topic(wire, segment_bytes=str(2**20))
    fill(wire, topic, 0, 0, 0)
    configure(wire, 2, topic.name, retention_bytes="600000")
    wait_until(lambda: segments(broker, topic) == [4])


def test_a_partition_of_which_everything_is_old_goes_on_at_its_end(broker, wire):
    topic = make_topic(wire, retention_ms="1000")
    fill(wire, topic, 5000, 5000)
    wait_until(lambda: fetch(wire, topic, 4).log_start_offset == 4)
    fill(wire, topic, 0)
    assert fetch(wire, topic, 4).high_watermark == 6


def test_a_compacted_topic_is_not_deleted_from(broker, wire):
    kept = make_topic(wire, segment_bytes=str(2**20), retention_ms="1000", cleanup_policy="compact")
    for _ in range(2):
        produce(wire, kept, batch(b"x" * 600_000, keys=[b"k"], timestamp=1000))
    deleted = make_topic(wire, retention_ms="1000")
    fill(wire, deleted, 5000)
    wait_until(lambda: fetch(wire, deleted, 2).log_start_offset == 2)
    assert segments(broker, kept) == [0, 1]


def test_what_was_deleted_stays_so_through_a_kill_and_the_rest_is_there(tmp_path: Path):
    with running(tmp_path / "data", *OPTIONS) as broker:
        with Wire(broker.port) as wire:
            topic = make_topic(wire, segment_bytes=str(2**20), retention_bytes="1300000")
            fill(wire, topic, 0, 0, 0, 0)
            wait_until(lambda: segments(broker, topic) == [2, 4, 6])
        broker.kill()
        broker.start()
        with Wire(broker.port) as wire:
            assert fetch(wire, topic, 2).log_start_offset == 2
            assert fetch(wire, topic, 2).high_watermark == 8


def test_partitions_that_nobody_uses_are_looked_at_after_a_start(tmp_path: Path):
    with running(tmp_path / "data") as broker, Wire(broker.port) as wire:
        topic = make_topic(wire, segment_bytes=str(2**20), retention_ms=str(DAY_MS), file_delete_delay_ms="0")
        fill(wire, topic, 2 * DAY_MS - 600_000, 2 * DAY_MS, 0)
    with running(tmp_path / "data", *OPTIONS) as broker:
        wait_until(lambda: segments(broker, topic) == [4])


def test_records_of_the_future_are_told_of_once_for_a_topic(tmp_path: Path):
    def told() -> list[str]:
        return [line for line in broker.log.read_text().splitlines() if "in the future" in line]

    with running(tmp_path / "data", *OPTIONS) as broker, Wire(broker.port) as wire:
        late = str(100 * DAY_MS)
        future = make_topic(wire, partitions=2, retention_ms=str(DAY_MS), message_timestamp_after_max_ms=late)
        for index in range(2):
            request = produce_request(future, (index, batch(timestamp=now_ms() + 30 * DAY_MS)))
            assert wire.call(request, 9).responses[0].partition_responses[0].error_code == 0
        wait_until(lambda: len(told()) == 1)
        later = make_topic(wire, segment_bytes=str(2**20), retention_ms=str(DAY_MS))
        for _ in range(2):  # rounds that come later than the one that told of it
            fill(wire, later, 2 * DAY_MS, 2 * DAY_MS)
            end = end_offset(wire, later)
            wait_until(lambda end=end: fetch(wire, later, end).log_start_offset == end)
        (line,) = told()
    assert f" WARNING barnabas.broker.partitions.retention: {future.name}-" in line
    assert "30.0 days in the future" in line
