"""Bytes that no client would send. The broker closes the connection or refuses, and goes on serving the others."""

import random
import struct
import time

import pytest
from support.calls import Topic, batch, fresh, make_topic, produce, stable_alone
from support.hostile import (
    MB,
    SEED,
    Mutator,
    assert_serves,
    assert_untroubled,
    deliver,
    framed,
    header,
    memory_bytes,
    watched,
)
from support.messages import REQUESTS
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol import codec
from barnabas.protocol.framing import CONTROL_FRAME_BYTES_MAX
from barnabas.protocol.messages.api_versions import ApiVersionsRequest
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from barnabas.protocol.primitives import uvarint

REQUEST_VERSIONS = [
    (request, version)
    for request in REQUESTS
    for version in range(request.versions.lowest, request.versions.highest + 1)
]


# Frames


@pytest.mark.parametrize("size", [0, 1, 9, -1, -(2**31)])
def test_a_frame_too_short_for_a_header_closes_the_connection(broker: BrokerProcess, size: int) -> None:
    assert deliver(broker.port, struct.pack(">i", size) + bytes(100)) == b""
    assert_serves(broker)


@pytest.mark.parametrize(
    ("key", "size"),
    [
        (0, 100 * MB + 1),
        (0, 2**31 - 1),
        (1, CONTROL_FRAME_BYTES_MAX + 1),
        (3, 2**31 - 1),
        (-1, 2**31 - 1),
        (999, CONTROL_FRAME_BYTES_MAX + 1),
    ],
)
def test_a_frame_too_large_closes_the_connection_before_it_has_come(
    broker: BrokerProcess, key: int, size: int
) -> None:
    with Wire(broker.port) as wire:
        wire.socket.sendall(struct.pack(">ih", size, key))
        with pytest.raises(ConnectionError):
            wire.receive_frame()
    assert_serves(broker)


def test_the_limit_for_frames_can_be_set(tmp_path_factory: pytest.TempPathFactory) -> None:
    with (
        running(tmp_path_factory.mktemp("small") / "data", "-c", "socket.request.max.bytes=100000") as broker,
        Wire(broker.port) as wire,
    ):
        topic = make_topic(wire)
        assert produce(wire, topic, batch(bytes(99_000))).error_code == 0
        with pytest.raises(ConnectionError):
            produce(wire, topic, batch(bytes(100_000)))


@pytest.mark.parametrize("size", [64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 256 * 1024, MB, 15 * MB])
def test_frames_of_all_sizes_arrive_whole_and_in_pieces(broker: BrokerProcess, size: int) -> None:
    request = ApiVersionsRequest(client_software_name="a" * size, client_software_version="1")
    with Wire(broker.port) as wire:
        for piece in (size + 100, 65_536, 10_007):
            frame = wire.frame(request, 3)
            for at in range(0, len(frame), piece):
                wire.socket.sendall(frame[at : at + piece])
            assert wire.receive(ApiVersionsRequest, 3).error_code == 0


def test_a_frame_byte_by_byte_is_a_frame(wire: Wire) -> None:
    for byte in wire.frame(ApiVersionsRequest(), 0):
        wire.socket.sendall(bytes([byte]))
        time.sleep(0.0005)
    assert wire.receive(ApiVersionsRequest, 0).error_code == 0


@pytest.mark.parametrize("seed", range(SEED, SEED + 40))
def test_noise_closes_the_connection(broker: BrokerProcess, seed: int) -> None:
    draw = random.Random(seed)
    deliver(broker.port, draw.randbytes(draw.choice((1, 3, 10, 100, 5000, 300_000))))
    deliver(broker.port, framed(draw.randbytes(draw.choice((10, 30, 5000, 100_000)))))
    assert_serves(broker)


def test_other_protocols_are_not_served(broker: BrokerProcess) -> None:
    assert deliver(broker.port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
    assert deliver(broker.port, bytes.fromhex("16030100c2010000be0303") + bytes(180)) == b""
    assert_serves(broker)


def test_what_was_asked_before_the_noise_is_answered(broker: BrokerProcess) -> None:
    with Wire(broker.port) as wire:
        wire.socket.sendall(wire.frame(ApiVersionsRequest(), 0) + framed(b"\xff" * 50))
        assert wire.receive(ApiVersionsRequest, 0).error_code == 0
        with pytest.raises(ConnectionError):
            wire.receive_frame()


@pytest.mark.parametrize("length", [32767, 100, -2, -32768])
def test_a_client_id_ends_within_the_frame_or_is_none(broker: BrokerProcess, length: int) -> None:
    answer = deliver(broker.port, framed(struct.pack(">hhih", 18, 0, 7, length)))
    assert (answer[4:8] == struct.pack(">i", 7)) == (length < 0)


# Bodies


@pytest.fixture(scope="module")
def words(broker: BrokerProcess) -> tuple[Topic, str]:
    """A topic and a group that are there, for requests that mean something."""
    with Wire(broker.port) as wire:
        topic = make_topic(wire, partitions=3)
        produce(wire, topic, batch())
        return topic, stable_alone(wire).group_id


@pytest.mark.parametrize(
    ("request_type", "version"), REQUEST_VERSIONS, ids=[f"{r.api_name()}-v{v}" for r, v in REQUEST_VERSIONS]
)
def test_a_changed_request_harms_nobody(
    broker: BrokerProcess, words: tuple[Topic, str], request_type: type, version: int
) -> None:
    change_requests(broker, words, request_type, version, rounds=40)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("request_type", "version"), REQUEST_VERSIONS, ids=[f"{r.api_name()}-v{v}" for r, v in REQUEST_VERSIONS]
)
def test_many_changed_requests_harm_nobody(
    broker: BrokerProcess, words: tuple[Topic, str], request_type: type, version: int
) -> None:
    change_requests(broker, words, request_type, version, rounds=1500)


def change_requests(
    broker: BrokerProcess, words: tuple[Topic, str], request_type: type, version: int, rounds: int
) -> None:
    topic, group = words
    log_start = broker.log.stat().st_size
    mutator = Mutator(SEED, [topic.name, group, fresh("new")], [topic.topic_id], batch())
    head = header(request_type.api_key, version) + (b"\0" if version in request_type.flexible else b"")
    for _ in range(rounds):
        body = codec.encode(mutator.instance(request_type, version), version)
        # As it is, damaged, with a length that lies, and cut.
        deliver(broker.port, framed(head + body))
        damaged = mutator.damaged(body)
        deliver(broker.port, framed(head + damaged))
        deliver(broker.port, struct.pack(">i", len(head + body) + 7) + head + body)
        deliver(broker.port, framed(head + body[: mutator.random.randrange(len(body) + 1)]))
    assert_serves(broker)
    assert_untroubled(broker, log_start)


@pytest.mark.parametrize(
    ("request_type", "version"), REQUEST_VERSIONS, ids=[f"{r.api_name()}-v{v}" for r, v in REQUEST_VERSIONS]
)
@pytest.mark.parametrize("count", [b"\x7f\xff\xff\xff", b"\x00\x03\xff\xff", b"\xff\xff\xff\xff\x07"])
def test_huge_counts_are_not_believed(broker: BrokerProcess, request_type: type, version: int, count: bytes) -> None:
    """At every place where a count can stand, in front of nothing much."""
    before = memory_bytes(broker)
    head = header(request_type.api_key, version) + (b"\0" if version in request_type.flexible else b"")
    body = codec.encode(request_type(), version)
    for at in range(min(len(body), 40)):
        deliver(broker.port, framed(head + body[:at] + count + body[at + len(count) :] + bytes(300)))
    assert_serves(broker)
    assert memory_bytes(broker) - before < 50 * MB


def test_many_unknown_tags_are_skipped(wire: Wire) -> None:
    tags = b"".join(uvarint(tag) + b"\x03abc" for tag in range(100, 10_100))
    body = header(18, 3, 9) + uvarint(10_000) + tags + b"\x02a\x021\x00"
    wire.socket.sendall(framed(body))
    assert wire.receive_frame()[:6] == struct.pack(">ih", 9, 0)


def test_a_request_for_a_great_many_topics_does_not_stop_the_others(broker: BrokerProcess) -> None:
    """It takes its time, but bounded: no more elements than codec.ELEMENTS_MAX."""
    names = [MetadataRequestTopic(name=f"nowhere{index}") for index in range(100_000)]
    with watched(broker) as took, Wire(broker.port) as wire:
        response = wire.call(MetadataRequest(topics=names, allow_auto_topic_creation=False), 13)
        assert len(response.topics) == 100_000
    assert max(took) < 5
