"""Load for a broker, encoded before it is sent: what is measured is the broker, not the client."""

import selectors
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from support.wire import Wire

from barnabas.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from barnabas.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from barnabas.protocol.messages.topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from barnabas.protocol.records import Record, build_batch

PRODUCE_VERSION = 9
FETCH_VERSION = 12


class Result(NamedTuple):
    """``cpu_us``: what the server spent per request, all threads; latencies in us."""

    requests_per_s: float
    mb_per_s: float
    cpu_us: float
    p50_us: float
    p99_us: float


def create_topic(port: int, name: str, partitions: int = 1, **configs: str) -> None:
    """``configs``: the topic's settings, with underscores in the place of the dots."""
    settings = [CreatableTopicConfig(name=key.replace("_", "."), value=value) for key, value in configs.items()]
    topic = CreatableTopic(name=name, num_partitions=partitions, replication_factor=1, configs=settings)
    with Wire(port) as wire:
        wire.call(CreateTopicsRequest(topics=[topic]), 5)


def produce_frame(port: int, topic: str, value_bytes: int, partition: int = 0, acks: int = -1) -> bytes:
    """Return a Produce request with one batch of one record."""
    batch = build_batch([Record(0, int(time.time() * 1000), None, bytes(value_bytes))])
    return batch_frame(port, topic, batch, partition, acks)


def batch_frame(port: int, topic: str, batch: bytes, partition: int = 0, acks: int = -1) -> bytes:
    """Return a Produce request."""
    data = [PartitionProduceData(index=partition, records=batch)]
    request = ProduceRequest(
        acks=acks, timeout_ms=30_000, topic_data=[TopicProduceData(name=topic, partition_data=data)]
    )
    with Wire(port) as wire:
        return wire.frame(request, PRODUCE_VERSION)


def fetch_frame(port: int, topic: str, offset: int, max_bytes: int) -> bytes:
    asked = [FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=max_bytes)]
    request = FetchRequest(
        max_wait_ms=0, min_bytes=1, max_bytes=max_bytes, topics=[FetchTopic(topic=topic, partitions=asked)]
    )
    with Wire(port) as wire:
        return wire.frame(request, FETCH_VERSION)


def cpu_seconds(pid: int) -> float:
    """Return what all threads of a process have used so far."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def connect(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def answer_bytes(port: int, frame: bytes) -> int:
    """Send the frame once and return how long its answer is; every further answer is as long."""
    with connect(port) as one:
        one.sendall(frame)
        head = one.recv(4, socket.MSG_WAITALL)
        size: int = struct.unpack(">i", head)[0]
        one.recv(size, socket.MSG_WAITALL)
        return 4 + size


def blast(
    port: int, pid: int, frames: Sequence[bytes], seconds: float, window: int = 1, payload_bytes: int = 0
) -> Result:
    """Keep ``window`` requests in flight on a connection for each of ``frames``, for ``seconds``.

    The frames are of one size, and so are their answers. ``payload_bytes``: what counts for MB/s per request; 0: the
    frame.
    """
    size, frame_bytes = answer_bytes(port, frames[0]), len(frames[0])
    selector = selectors.DefaultSelector()
    bursts = {connect(port): memoryview(frame * window) for frame in frames}
    pending = dict.fromkeys(bursts, 0)
    buffer = bytearray(1 << 20)
    latencies = []
    for one in bursts:
        selector.register(one, selectors.EVENT_READ)
    only = one if len(frames) == 1 else None
    done = 0
    cpu = cpu_seconds(pid)
    begin = time.perf_counter()
    sent = dict.fromkeys(bursts, begin)
    for one, burst in bursts.items():
        one.sendall(burst)
    while time.perf_counter() - begin < seconds:
        for one in [only] if only is not None else [key.fileobj for key, _ in selector.select()]:
            pending[one] += one.recv_into(buffer)
            answered, pending[one] = divmod(pending[one], size)
            if not answered:
                continue
            done += answered
            if window == 1:
                now = time.perf_counter()
                latencies.append(now - sent[one])
                sent[one] = now
            one.sendall(bursts[one][: answered * frame_bytes])
    elapsed = time.perf_counter() - begin
    cpu = cpu_seconds(pid) - cpu
    for one in bursts:
        one.close()
    latencies.sort()
    p50, p99 = (latencies[int(len(latencies) * q)] * 1e6 if latencies else 0.0 for q in (0.5, 0.99))
    per_s = done / elapsed
    return Result(per_s, per_s * (payload_bytes or frame_bytes) / 1e6, cpu / max(done, 1) * 1e6, p50, p99)
