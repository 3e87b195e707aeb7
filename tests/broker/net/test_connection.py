"""The order of answers, and clients that do not read, do not write or are not there any more."""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from support.calls import (
    Topic,
    batch,
    end_offset,
    fetch_request,
    fetched,
    fresh,
    join_request,
    make_topic,
    produce,
    produce_request,
    stable_alone,
)
from support.hostile import MB, assert_serves, memory_bytes, watched
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.api_versions import ApiVersionsRequest
from barnabas.protocol.messages.fetch import FetchRequest
from barnabas.protocol.messages.group_membership import JoinGroupRequest
from barnabas.protocol.messages.list_offsets import ListOffsetsRequest
from barnabas.protocol.messages.metadata import MetadataRequest
from barnabas.protocol.messages.produce import ProduceRequest
from barnabas.protocol.schema import Request

LIST = ListOffsetsRequest(replica_id=-1)


def send_all(wire: Wire, *requests: tuple[Request, int]) -> None:
    """Send several requests as one piece, so that they arrive together."""
    wire.socket.sendall(b"".join(wire.frame(request, version) for request, version in requests))


def correlation_ids(wire: Wire, count: int) -> list[int]:
    return [struct.unpack_from(">i", wire.receive_frame())[0] for _ in range(count)]


# Order


def test_answers_come_in_the_order_of_the_requests_whatever_they_wait_for(wire: Wire, topic: Topic) -> None:
    empty = make_topic(wire)
    send_all(
        wire,
        (produce_request(topic, (0, batch())), 13),
        (fetch_request((empty, 0, 0), max_wait_ms=150), 18),
        (MetadataRequest(topics=[]), 13),
        (fetch_request((topic, 0, 3), max_wait_ms=150), 4),
        (produce_request(topic, (0, batch())), 3),
        (join_request(fresh("group")), 0),
        (LIST, 11),
        (ApiVersionsRequest(), 0),
        (fetch_request((topic, 0, 0)), 12),
    )
    assert wire.receive(ProduceRequest, 13).responses[0].partition_responses[0].base_offset == 0
    assert fetched(wire.receive(FetchRequest, 18))[0].records == b""
    assert wire.receive(MetadataRequest, 13).error_code == 0
    assert fetched(wire.receive(FetchRequest, 4))[0].records == b""
    assert wire.receive(ProduceRequest, 3).responses[0].partition_responses[0].base_offset == 3
    assert wire.receive(JoinGroupRequest, 0).generation_id == 1
    assert wire.receive(ListOffsetsRequest, 11).topics == []
    assert wire.receive(ApiVersionsRequest, 0).error_code == 0
    assert fetched(wire.receive(FetchRequest, 12))[0].high_watermark == 6


def test_thousands_of_pipelined_requests_are_answered_in_order(wire: Wire, topic: Topic) -> None:
    start = struct.unpack_from(">i", wire.frame(LIST, 1), 8)[0] + 1
    requests: list[tuple[Request, int]] = []
    for index in range(3000):
        requests += [(produce_request(topic, (0, batch())), 9 + index % 5), (LIST, 1 + index % 11)]
    send_all(wire, *requests)
    assert correlation_ids(wire, 6000) == list(range(start, start + 6000))
    assert end_offset(wire, topic) == 9000


def test_pipelined_produce_that_waits_for_the_disk_is_answered_in_order(tmp_path: Path) -> None:
    with (
        running(tmp_path / "data", "-c", "barnabas.acknowledge.durable=true") as broker,
        Wire(broker.port) as wire,
    ):
        first, second = make_topic(wire), make_topic(wire)
        requests: list[tuple[Request, int]] = []
        for _ in range(200):
            requests += [(produce_request(first, (0, batch())), 9), (produce_request(second, (0, batch())), 13)]
            requests += [(LIST, 5), (produce_request(second, (0, batch()), acks=0), 7)]
        send_all(wire, *requests)
        got = []
        for _ in range(200):
            got.append(wire.receive(ProduceRequest, 9).responses[0].partition_responses[0].base_offset)
            got.append(wire.receive(ProduceRequest, 13).responses[0].partition_responses[0].base_offset)
            wire.receive(ListOffsetsRequest, 5)
        assert got[0::2] == [3 * index for index in range(200)]
        assert got[1::2] == [6 * index for index in range(200)]
        assert end_offset(wire, second) == 1200
        for _ in range(20):
            with Wire(broker.port) as gone:
                gone.send(produce_request(first, (0, batch())), 9)
        wire.call(produce_request(first, (0, batch())), 9)
        assert "Traceback" not in broker.log.read_text()


def test_large_and_small_frames_can_follow_each_other(wire: Wire) -> None:
    topic = make_topic(wire, max_message_bytes=str(8 * MB))
    sizes = [10, 100_000, 10, 5 * MB, 65_500, 65_536, 70_000, 1, 3 * MB, 1]
    send_all(wire, *[(produce_request(topic, (0, batch(bytes(size)))), 13) for size in sizes])
    for offset in range(len(sizes)):
        (result,) = wire.receive(ProduceRequest, 13).responses[0].partition_responses
        assert (result.error_code, result.base_offset) == (ErrorCode.NONE, offset)


def test_a_request_behind_a_long_poll_is_handled_after_it(wire: Wire, other_wire: Wire, topic: Topic) -> None:
    """Otherwise a consumer that seeks would see answers to what it no longer asks. Produce alone overlaps."""
    send_all(wire, (fetch_request((topic, 0, 0), max_wait_ms=20_000), 18), (produce_request(topic, (0, batch())), 13))
    time.sleep(0.1)
    assert end_offset(other_wire, topic) == 0
    produce(other_wire, topic, batch())
    assert fetched(wire.receive(FetchRequest, 18))[0].high_watermark == 3
    assert wire.receive(ProduceRequest, 13).responses[0].partition_responses[0].base_offset == 3


@pytest.fixture
def other_wire(broker: BrokerProcess) -> Iterator[Wire]:
    with Wire(broker.port) as connection:
        yield connection


# Clients that do not read


@pytest.fixture(scope="module")
def bulk(broker: BrokerProcess) -> Topic:
    """A topic of 32 batches of 1 MB, whose records are of 1970 and stay."""
    with Wire(broker.port) as wire:
        topic = make_topic(wire, max_message_bytes=str(2 * MB), retention_ms="-1")
        for _ in range(32):
            produce(wire, topic, batch(bytes(MB)))
    return topic


@contextmanager
def connections(broker: BrokerProcess, count: int) -> Iterator[list[Wire]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Wire(broker.port)) for _ in range(count)]


def flood(wire: Wire, frames: bytes, seconds: float = 1.0, limit: int = 2**40) -> int:
    """Send the same bytes again and again, never reading, until they do not go out any more; returns how many did."""
    wire.socket.setblocking(False)
    sent, deadline, stuck = 0, time.monotonic() + seconds, 0
    while time.monotonic() < deadline and stuck < 20 and sent < limit:
        try:
            # Begin where the last write ended, so that the stream stays whole.
            sent += wire.socket.send(memoryview(frames)[sent % len(frames) :])
            stuck = 0
        except BlockingIOError:
            stuck += 1
            time.sleep(0.005)
    wire.socket.setblocking(True)
    return sent


def test_a_client_that_fetches_and_never_reads_costs_no_memory(broker: BrokerProcess, bulk: Topic) -> None:
    before = memory_bytes(broker)
    request = fetch_request(*[(bulk, 0, offset) for offset in range(32)], max_bytes=32 * MB, partition_max_bytes=MB)
    with watched(broker) as took, connections(broker, 10) as wires:
        for wire in wires:
            flood(wire, b"".join(wire.frame(request, 12) for _ in range(300)), seconds=0.1)
        assert memory_bytes(broker) - before < 64 * MB
    assert max(took) < 1
    assert_serves(broker)


def test_a_client_that_reads_late_gets_everything(broker: BrokerProcess, bulk: Topic) -> None:
    request = fetch_request((bulk, 0, 0), max_bytes=32 * MB, partition_max_bytes=MB)
    with Wire(broker.port) as wire:
        send_all(wire, *[(request, 12)] * 100)
        time.sleep(0.3)
        assert all(len(fetched(wire.receive(FetchRequest, 12))[0].records) > MB for _ in range(100))


@pytest.fixture(scope="module")
def wide(broker: BrokerProcess) -> Topic:
    """A topic whose description is large: 5,000 partitions."""
    with Wire(broker.port) as wire:
        return make_topic(wire, partitions=5000)


def test_a_client_that_asks_for_large_answers_and_never_reads_costs_bounded_memory(
    broker: BrokerProcess, wide: Topic
) -> None:
    """A description of 5,000 partitions has 150 KB, and is asked for in 30 bytes."""
    before = memory_bytes(broker)
    with connections(broker, 5) as wires:
        for wire in wires:
            flood(wire, wire.frame(MetadataRequest(topics=None), 1) * 500, seconds=0.1)
        time.sleep(0.3)
        assert memory_bytes(broker) - before < 5 * 8 * MB
    assert_serves(broker, within_s=20)


def test_others_are_served_while_large_answers_are_made(broker: BrokerProcess, wide: Topic) -> None:
    with watched(broker) as took, connections(broker, 5) as wires:
        for wire in wires:
            flood(wire, wire.frame(MetadataRequest(topics=None), 1) * 500, seconds=0.1)
    assert max(took) < 0.5


def test_a_client_that_produces_and_never_reads_costs_no_memory(broker: BrokerProcess) -> None:
    with Wire(broker.port) as wire:
        topic = make_topic(wire)
        before = memory_bytes(broker)
        frame = wire.frame(produce_request(topic, (0, batch(bytes(1000)))), 13)
        flood(wire, frame * 100, seconds=1)
        assert memory_bytes(broker) - before < 64 * MB
    assert_serves(broker)


def test_a_client_that_sends_behind_a_long_poll_is_stopped(broker: BrokerProcess) -> None:
    """What comes behind a held request is kept up to a limit, then not read."""
    with Wire(broker.port) as wire:
        topic = make_topic(wire)
        before = memory_bytes(broker)
        wire.send(fetch_request((topic, 0, 0), max_wait_ms=3_000), 18)
        time.sleep(0.05)
        sent = flood(wire, wire.frame(produce_request(topic, (0, batch(bytes(1000)))), 13) * 100, seconds=1)
        assert memory_bytes(broker) - before < 16 * MB
        assert sent < 32 * MB
        assert end_offset_elsewhere(broker, topic) == 0
        assert fetched(wire.receive(FetchRequest, 18))[0].error_code == 0
        assert wire.receive(ProduceRequest, 13).responses[0].partition_responses[0].base_offset == 0


def end_offset_elsewhere(broker: BrokerProcess, topic: Topic) -> int:
    with Wire(broker.port) as wire:
        return end_offset(wire, topic)


# Clients that hold back, or are gone


def test_partial_large_frames_on_many_connections_share_a_budget(broker: BrokerProcess) -> None:
    """Half of a 32 MB frame on each of 40 connections; others with small frames do not wait for them."""
    before = memory_bytes(broker)
    head = struct.pack(">i", 32 * MB) + struct.pack(">hhih", 0, 13, 1, -1)
    with watched(broker) as took, connections(broker, 40) as wires:
        for wire in wires:
            wire.socket.sendall(head)
            flood(wire, bytes(MB), seconds=0.05, limit=16 * MB)
        assert memory_bytes(broker) - before < 600 * MB
        assert_serves(broker)
    assert max(took) < 1
    time.sleep(0.2)
    with Wire(broker.port) as wire:  # the buffers have come back
        topic = make_topic(wire, max_message_bytes=str(80 * MB))
        assert produce(wire, topic, batch(bytes(64 * MB))).error_code == 0


def test_frames_that_are_only_announced_take_nothing_from_others(broker: BrokerProcess) -> None:
    head = struct.pack(">i", 100 * MB) + struct.pack(">hhih", 0, 13, 1, -1)
    with connections(broker, 20) as hoarders, Wire(broker.port) as wire:
        for hoarder in hoarders:
            hoarder.socket.sendall(head + bytes(100_000))
        topic = make_topic(wire)
        assert produce(wire, topic, batch(bytes(500_000))).error_code == ErrorCode.NONE


@pytest.mark.slow
def test_who_sends_for_too_long_makes_room_for_those_who_wait(broker: BrokerProcess) -> None:
    """The buffers of ten half frames spend the budget of 512 MB; the housekeeping closes them after ten seconds."""
    head = struct.pack(">i", 100 * MB) + struct.pack(">hhih", 0, 13, 1, -1)
    with connections(broker, 10) as hoarders, Wire(broker.port, timeout_s=40) as wire:
        for hoarder in hoarders:
            hoarder.socket.sendall(head)
            flood(hoarder, bytes(MB), seconds=1, limit=50 * MB)
        topic = make_topic(wire)
        assert produce(wire, topic, batch(bytes(500_000))).error_code == ErrorCode.NONE


def test_a_client_that_half_closes_is_let_go(broker: BrokerProcess, topic: Topic) -> None:
    with Wire(broker.port) as wire:
        wire.send(fetch_request((topic, 0, 0), max_wait_ms=20_000), 18)
        time.sleep(0.05)
        wire.socket.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionError):
            wire.receive_frame()


def test_clients_that_vanish_while_they_wait_leave_nothing_behind(broker: BrokerProcess, topic: Topic) -> None:
    with Wire(broker.port) as wire:
        member = stable_alone(wire)
    for _ in range(50):
        for request, version in (
            (fetch_request((topic, 0, 0), max_wait_ms=20_000), 18),
            (join_request(member.group_id), 3),
            (produce_request(topic, (0, batch())), 13),
        ):
            wire = Wire(broker.port)
            wire.send(request, version)
            # A reset instead of a good-bye.
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            wire.socket.close()
    assert_serves(broker)
    with Wire(broker.port) as wire:
        produce(wire, topic, batch())
