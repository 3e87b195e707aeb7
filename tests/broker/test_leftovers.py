"""What comes and goes leaves no object behind, and needs no garbage collector: a broker hardly ever runs it."""

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from support.calls import (
    Topic,
    batch,
    delete_records,
    end_offset,
    fetch_request,
    make_topic,
    produce,
)
from support.wire import Wire

from barnabas.broker.broker import Broker
from barnabas.broker.config import BrokerConfig
from barnabas.broker.config.sources import Given
from barnabas.protocol.messages.topics import DeleteTopicsRequest, DeleteTopicState

TRIES = 50
TIMES = 20


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def ours() -> Counter[str]:
    """Count the objects of the broker by type; those of requests and answers come and go in the test as well."""
    kinds = (type(thing) for thing in gc.get_objects())
    return Counter(
        f"{kind.__module__}.{kind.__qualname__}"
        for kind in kinds
        if str(kind.__module__).startswith(("barnabas.broker", "barnabas.storage"))
    )


def left_by(data_dir: Path, work: Callable[[Wire, Broker], None], **settings: str) -> Counter[str]:
    """Return of which types there are more objects after TIMES times ``work`` than after one."""
    given = {"log.dirs": str(data_dir), "listeners": "PLAINTEXT://127.0.0.1:0", "log.segment.delete.delay.ms": "0"}
    given |= {
        "group.initial.rebalance.delay.ms": "0",
        **{key.replace("_", "."): text for key, text in settings.items()},
    }

    async def serve() -> Counter[str]:
        broker = Broker(BrokerConfig({name: Given(value, "test") for name, value in given.items()}))
        await broker.start()
        try:
            with Wire(broker.server.ports["PLAINTEXT"]) as wire:
                await asyncio.to_thread(work, wire, broker)
                before = await settled(broker)
                for _ in range(TIMES):
                    await asyncio.to_thread(work, wire, broker)
                left = await settled(broker) - before
                for _ in range(TRIES):  # a thread of the broker may still hold the last ones
                    if not left:
                        break
                    await asyncio.sleep(0.1)
                    left = await settled(broker) - before
                return left
        finally:
            await broker.stop()

    async def settled(broker: Broker) -> Counter[str]:
        """Count when the broker has written its copy of the groups, and its threads have no more work."""
        broker.offsets_topic.flush()
        for _ in range(3):  # a sync may ask for a removal, which asks for a sync
            await broker.request_sync(broker.data_dir)
            await asyncio.wrap_future(broker.data_dir.disposal._background.submit(lambda: None))
        while len(broker.server.shared.connections) > 1:
            await asyncio.sleep(0.01)
        return ours()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve())


def delete_topic(wire: Wire, topic: Topic) -> None:
    answer = wire.call(DeleteTopicsRequest(topics=[DeleteTopicState(name=topic.name)]), 6)
    assert answer.responses[0].error_code == 0


def make_and_delete(wire: Wire, broker: Broker) -> None:
    topic = make_topic(wire, partitions=2)
    produce(wire, topic, batch())
    wire.call(fetch_request((topic, 0, 0)), 13)
    delete_topic(wire, topic)


@pytest.mark.parametrize("durable", ["false", "true"])
def test_a_topic_that_is_deleted(durable: str, no_collector: None, tmp_path: Path) -> None:
    assert left_by(tmp_path, make_and_delete, barnabas_acknowledge_durable=durable) == {}


def test_segments_that_are_deleted(no_collector: None, tmp_path: Path) -> None:
    topics: list[Topic] = []

    def roll_and_delete(wire: Wire, broker: Broker) -> None:
        if not topics:
            topics.append(make_topic(wire, segment_bytes="1048576"))
        for _ in range(3):
            produce(wire, topics[0], batch(bytes(600_000)))
        delete_records(wire, topics[0], -1)

    assert left_by(tmp_path, roll_and_delete) == {}


def test_a_connection_that_waits_and_goes(no_collector: None, tmp_path: Path) -> None:
    topics: list[Topic] = []

    def wait_and_go(wire: Wire, broker: Broker) -> None:
        if not topics:
            topics.append(make_topic(wire))
        with Wire(broker.server.ports["PLAINTEXT"]) as other:
            for _ in range(2):
                other.send(fetch_request((topics[0], 0, end_offset(wire, topics[0])), max_wait_ms=60_000), 13)
                produce(wire, topics[0], batch())
                other.receive_frame()
            other.send(fetch_request((topics[0], 0, end_offset(wire, topics[0])), max_wait_ms=60_000), 13)

    assert left_by(tmp_path, wait_and_go) == {}
