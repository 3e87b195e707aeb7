"""What it costs to wait for the disk: produce with both kinds of acknowledgement, side by side."""

import os
import statistics
import tempfile
import time

from bench import load
from bench.servers import ROUNDS, SECONDS, broker

DURABLE = ("-c", "barnabas.acknowledge.durable=true")


def durable() -> None:
    """The disk alone, then 1 and 16 connections with one request in flight each, 16 with four, and 16 to as many
    partitions."""
    small, large = _sync_us(100), _sync_us(16_384)
    print(f"{'one fdatasync behind 100 B, alone':38} p50 {small:5.0f} us, behind 16 KB {large:5.0f} us")
    for value_bytes, name in ((100, "100 B"), (16_384, "16 KB")):
        for connections, window, partitions in ((1, 1, 1), (16, 1, 1), (16, 4, 1), (16, 1, 16)):
            logs = f", {partitions} logs" if partitions > 1 else ""
            text = f"durable produce {name}, {connections} x {window}{logs}"
            _compare(text, value_bytes, connections, window, partitions)


def _compare(name: str, value_bytes: int, connections: int, window: int, partitions: int) -> None:
    ratios, fast, slow = [], [], []
    for _ in range(ROUNDS):
        for arguments, results in (((), fast), (DURABLE, slow)):
            with broker(*arguments) as ours:
                load.create_topic(ours.port, "t", partitions)
                frames = [
                    load.produce_frame(ours.port, "t", value_bytes, number % partitions)
                    for number in range(connections)
                ]
                results.append(load.blast(ours.port, ours.pid, frames, SECONDS, window))
        ratios.append(slow[-1].requests_per_s / fast[-1].requests_per_s)
    print(
        f"{name:38} {max(slow).requests_per_s:9.0f}/s, p50 {min(r.p50_us for r in slow):5.0f} us"
        f" (fast {max(fast).requests_per_s:.0f}/s, {min(r.p50_us for r in fast):.0f} us)"
        f"   ratio {statistics.median(ratios):5.2f} (target for 16: 0.5)"
    )


def _sync_us(size: int) -> float:
    with tempfile.TemporaryFile() as file:
        taken = []
        for number in range(300):
            os.pwrite(file.fileno(), bytes(size), number * size)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - began) * 1e6)
    return statistics.median(taken)
