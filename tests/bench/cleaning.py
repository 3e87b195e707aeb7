"""The round trip of Produce while other topics of the broker are compacted and lose their old segments."""

import random
import socket
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from bench import load
from bench.servers import ROUNDS, SECONDS, broker
from support.calls import wait_until
from support.process import BrokerProcess

from barnabas.protocol.records import Record, build_batch

PER_S = 500  # of both sizes together
SIZES = {"1 KB": 2**10, "16 KB": 16 * 2**10}
KEYS, BATCH = 60_000, 100
COMPACTED_PER_S, DELETED_PER_S = 50, 20
DELETED_BYTES = 100_000
SMALL_SEGMENTS = {"segment_bytes": str(2**20)}
COMPACTED = {"cleanup_policy": "compact", "min_cleanable_dirty_ratio": "0.01"}
OFTEN = ("-c", "log.cleaner.backoff.ms=50", "-c", "log.retention.check.interval.ms=200")
NEVER = ("-c", "log.cleaner.enable=false")


class Latency(NamedTuple):
    """Of one round, in us."""

    p50: float
    p99: float


def send(connection: socket.socket, frame: bytes) -> None:
    """Send a request and wait for the answer."""
    connection.sendall(frame)
    size = int.from_bytes(connection.recv(4, socket.MSG_WAITALL), "big")
    connection.recv(size, socket.MSG_WAITALL)


def steady(port: int, frames: Sequence[bytes], per_s: float, is_over: threading.Event) -> Iterator[float]:
    """Send a frame after the other at a rate, and yield how long each took, in s.

    One that had to wait for the one before is late from when it was due.
    """
    with load.connect(port) as connection:
        due = time.perf_counter()
        while not is_over.is_set():
            for frame in frames:
                wait = due - time.perf_counter()
                if wait > 0:
                    time.sleep(wait)
                began = time.perf_counter() if wait > 0 else due
                send(connection, frame)
                yield time.perf_counter() - began
                due += 1 / per_s


def percentiles(latencies: list[float]) -> Latency:
    ordered = sorted(latencies)
    return Latency(*(ordered[int(len(ordered) * q)] * 1e6 for q in (0.5, 0.99)))


def measure(process: BrokerProcess) -> dict[str, Latency]:
    """The round trips of each size, which take turns."""
    frames = [load.produce_frame(process.port, "plain", size, acks=1) for size in SIZES.values()]
    is_over = threading.Event()
    timer = threading.Timer(2 * SECONDS, is_over.set)
    timer.start()
    found = list(steady(process.port, frames, PER_S, is_over))
    return {size: percentiles(found[number :: len(SIZES)]) for number, size in enumerate(SIZES)}


def keyed_frames(port: int) -> list[bytes]:
    """Requests with each key once, in any order."""
    chance = random.Random(1)
    keys = chance.sample(range(KEYS), KEYS)
    now_ms = int(time.time() * 1000)
    frames = []
    for first in range(0, KEYS, BATCH):
        records = [
            Record(number, now_ms, b"key-%d" % key, chance.randbytes(100))
            for number, key in enumerate(keys[first : first + BATCH])
        ]
        frames.append(load.batch_frame(port, "compacted", build_batch(records), acks=1))
    return frames


@contextmanager
def busy(process: BrokerProcess, is_cleaned: bool) -> Iterator[None]:
    """Write to a topic to compact and to one of which the oldest is to be deleted; ``is_cleaned``: and it is done."""
    load.create_topic(process.port, "compacted", **COMPACTED, **SMALL_SEGMENTS)
    retention = {"retention_bytes": str(2 * 2**20)} if is_cleaned else {}
    load.create_topic(process.port, "deleted", **retention, **SMALL_SEGMENTS)
    keyed = keyed_frames(process.port)
    with load.connect(process.port) as connection:
        for frame in keyed:
            send(connection, frame)
    old = [load.produce_frame(process.port, "deleted", DELETED_BYTES, acks=1)]
    is_over = threading.Event()

    def write(frames: Sequence[bytes], per_s: float) -> None:
        for _ in steady(process.port, frames, per_s, is_over):
            pass

    writers = [threading.Thread(target=write, args=args) for args in ((keyed, COMPACTED_PER_S), (old, DELETED_PER_S))]
    for writer in writers:
        writer.start()
    try:
        if is_cleaned:
            wait_until(lambda: compactions(process) > 0)  # its process is started once
        yield
    finally:
        is_over.set()
        for writer in writers:
            writer.join()


def compactions(process: BrokerProcess) -> int:
    return process.log.read_text().count(": compacted ")


def cleaning() -> None:
    quiet, cleaned, control, counts = [], [], [], []
    for _ in range(ROUNDS):
        with broker() as process:
            load.create_topic(process.port, "plain")
            quiet.append(measure(process))
        with broker(*OFTEN) as process:
            load.create_topic(process.port, "plain")
            with busy(process, is_cleaned=True):
                before = compactions(process)
                cleaned.append(measure(process))
                counts.append(compactions(process) - before)
        with broker(*NEVER) as process:
            load.create_topic(process.port, "plain")
            with busy(process, is_cleaned=False):
                control.append(measure(process))
    for size in SIZES:
        p50s = [statistics.median(each[size].p50 for each in rounds) for rounds in (quiet, cleaned, control)]
        p99s = [statistics.median(each[size].p99 for each in rounds) for rounds in (quiet, cleaned, control)]
        to_quiet, to_control = (
            statistics.median(one[size].p99 / other[size].p99 for one, other in zip(cleaned, others, strict=True))
            for others in (quiet, control)
        )
        print(
            f"produce {size:5} while others are cleaned  p50 {p50s[1]:5.0f} us, p99 {p99s[1]:5.0f} us;"
            f" quiet {p50s[0]:.0f}, {p99s[0]:.0f}; written but not cleaned {p50s[2]:.0f}, {p99s[2]:.0f}"
            f"   ratio of p99 {to_control:5.2f} (target < 3), to quiet {to_quiet:.2f}"
        )
    print(f"{'':8}compactions in a round: {statistics.median(counts):.0f}")
