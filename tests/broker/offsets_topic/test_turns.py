"""The copy shares the event loop: no turn of it writes or reads much, and none comes after the logs are closed."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from support.logs import START_MS
from support.offsets_topic import TOPIC, find_coordinator
from support.wire import Wire

from barnabas.broker.broker import Broker
from barnabas.broker.config import BrokerConfig
from barnabas.broker.config.sources import Given
from barnabas.broker.offsets_topic import comparison
from barnabas.broker.offsets_topic.comparison import RECORDS_PER_TURN, Comparison
from barnabas.broker.offsets_topic.copy import CHANGES_PER_TURN, OffsetsTopic
from barnabas.broker.partitions.topics import Topic
from barnabas.protocol.group_records import group_of, offset_key, offset_value
from barnabas.protocol.records import Record, build_batch, read_header
from barnabas.storage.catalog import CommittedOffset, OffsetsCommitted
from barnabas.storage.datadir import DataDir


def broker_in(data_dir: Path, port: int = 0) -> Broker:
    given = {
        "log.dirs": str(data_dir),
        "listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "offsets.topic.num.partitions": "1",
    }
    return Broker(BrokerConfig({name: Given(text, "test") for name, text in given.items()}))


async def largest_step(value: Callable[[], int], work: Awaitable[object]) -> int:
    """Return by how much ``value`` grows at most in one turn of the loop while ``work`` is done."""
    task = asyncio.ensure_future(work)
    largest, before = 0, value()
    while not task.done():
        await asyncio.sleep(0)
        largest, before = max(largest, value() - before), value()
    await task
    return largest


def test_changes_that_wait_for_a_comparison_are_written_in_pieces(tmp_path: Path) -> None:
    count = 20_000

    async def commit_and_compare() -> tuple[int, int]:
        broker = broker_in(tmp_path / "data")
        await broker.start()
        try:
            topic = await topic_of(broker)
            partition = topic.partitions[0]
            broker.catalog.commit(
                *(
                    OffsetsCommitted("g", [CommittedOffset("t", 0, number, 0, "", START_MS, -1)])
                    for number in range(count)
                )
            )
            compared = Comparison(broker.catalog, broker.offsets_topic, topic, lambda _: 0).run(0)
            step = await largest_step(lambda: partition.log.log_end_offset, compared)
            return step, partition.log.log_end_offset
        finally:
            await broker.stop()

    step, end = asyncio.run(commit_and_compare())
    # The timer may write another piece in the same turn. The comparison adds the offset that the log lacked at first.
    assert (end, 0 < step <= 2 * CHANGES_PER_TURN + 1) == (count + 1, True)


async def topic_of(broker: Broker) -> Topic:
    """Return the topic when the broker itself has compared it."""

    def ask() -> None:
        with Wire(broker.server.ports["PLAINTEXT"]) as wire:
            find_coordinator(wire)

    await asyncio.to_thread(ask)
    while not broker.catalog.copied_to:
        await asyncio.sleep(0.01)
    topic = broker.topics.get(TOPIC)
    assert topic is not None
    return topic


def test_a_partition_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    def counted(key: bytes) -> str | None:
        nonlocal read
        read += 1
        return group_of(key)

    async def compare() -> int:
        broker = broker_in(tmp_path / "data")
        await broker.start()
        try:
            topic = await topic_of(broker)
            log = topic.partitions[0].log
            record = Record(0, START_MS, offset_key("g", "t", 0), offset_value(1, 0, "", START_MS, -1))
            batch = bytearray(build_batch([record] * 5_000))
            log.append(memoryview(batch), read_header(batch), 0)
            monkeypatch.setattr(comparison, "group_of", counted)
            compared = Comparison(broker.catalog, broker.offsets_topic, topic, lambda _: 0).run(0)
            return await largest_step(lambda: read, compared)
        finally:
            await broker.stop()

    assert asyncio.run(compare()) <= RECORDS_PER_TURN
    assert read >= 5_000


def test_a_start_that_fails_closes_the_copy_before_the_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    for kind in (OffsetsTopic, DataDir):
        monkeypatch.setattr(kind, "close", noted(kind.close, closed, kind.__name__))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        broker = broker_in(tmp_path / "data", taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            asyncio.run(broker.start())
    assert closed == ["OffsetsTopic", "DataDir"]
    assert broker.catalog.on_commit is None


def noted(close: Callable[[object], None], closed: list[str], name: str) -> Callable[[object], None]:
    def close_and_note(self: object) -> None:
        closed.append(name)
        close(self)

    return close_and_note


@pytest.mark.parametrize(
    ("key", "group"),
    [
        (offset_key("grüße", "t", 0), "grüße"),
        (b"\0\x02\0\x01g", "g"),
        (b"\0\x02\0\x00", ""),
        (b"\0\x02\0\x02g", None),
        (b"\0\x02\xff\xffg", None),
        (b"\0\x02\0\x01\xff", None),
        (b"\0\x63\0\x01g", None),
        (b"\0\x02\0", None),
        (b"", None),
    ],
)
def test_the_group_of_a_key(key: bytes, group: str | None) -> None:
    assert group_of(key) == group
