"""Benchmarks: each figure beside that of a plain server in the same run, because machines differ and are shared.

Run by ``make bench``. Broker and client are pinned to a core each. Nothing here is asserted: read it.
"""

import os
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench import cleaning, decode, durability, groups, load, transactions
from bench.servers import CORES, ROUNDS, SECONDS, broker, plain_server
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from barnabas.protocol.messages.topics import CreatableTopic, CreateTopicsRequest


def warm_memory() -> None:
    """Touch memory and let go of it: on a virtual machine memory that was never used, or not for a while, is many
    times slower to fill than any of what is compared here, and a growing log fills memory."""
    step = 2**20
    held = [b"x" * step for _ in range(3 * 2**30 // step)]
    del held


def produce(name: str, value_bytes: int, window: int, connections: int, target: str) -> None:
    """Compare with a loop that keeps what it receives in a growing file, as a log must, and one that does not."""
    kept, copied, results = [], [], []
    for _ in range(ROUNDS):
        warm_memory()
        with broker() as ours:
            load.create_topic(ours.port, "t")
            frame = load.produce_frame(ours.port, "t", value_bytes)
            size = load.answer_bytes(ours.port, frame)
            result = load.blast(ours.port, ours.pid, [frame] * connections, SECONDS, window)
        for kind, ratios in (("keep", kept), ("copy", copied)):
            warm_memory()
            with plain_server(kind, len(frame), size) as (port, pid):
                base = load.blast(port, pid, [frame], SECONDS, window * connections)
            ratios.append(result.requests_per_s / base.requests_per_s)
        results.append(result)
    best = max(results)
    print(
        f"{name:34} {best.requests_per_s:9.0f}/s {best.mb_per_s:7.0f} MB/s {best.cpu_us:7.1f} us cpu"
        f"   ratio {statistics.median(kept):5.2f}, to copying only {statistics.median(copied):5.2f} (target {target})"
    )


def latency() -> None:
    ratios, results = [], []
    for _ in range(ROUNDS):
        with broker() as ours:
            load.create_topic(ours.port, "t")
            frame = load.produce_frame(ours.port, "t", 100)
            size = load.answer_bytes(ours.port, frame)
            result = load.blast(ours.port, ours.pid, [frame], SECONDS)
        with plain_server("echo", len(frame), size) as (port, pid):
            base = load.blast(port, pid, [frame], SECONDS)
        ratios.append(result.p50_us / base.p50_us)
        results.append((result.p50_us, result.p99_us))
    p50, p99 = min(results)
    print(f"{'produce 100 B, one in flight':34} p50 {p50:5.0f} us, p99 {p99:5.0f} us"
          f"                   ratio {statistics.median(ratios):5.2f} (target <= 1.5)")  # fmt: skip


def fetch() -> None:
    ratios, results = [], []
    for _ in range(ROUNDS):
        with broker("-c", f"message.max.bytes={2 * 2**20}") as ours:
            load.create_topic(ours.port, "t")
            frame = load.produce_frame(ours.port, "t", 2**20)
            load.blast(ours.port, ours.pid, [frame], 0.5, 2)
            asking = load.fetch_frame(ours.port, "t", 5, 2**20)
            size = load.answer_bytes(ours.port, asking)
            result = load.blast(ours.port, ours.pid, [asking], SECONDS, 4, payload_bytes=size)
        with plain_server("send", len(asking), size) as (port, pid):
            base = load.blast(port, pid, [asking], SECONDS, 4, payload_bytes=size)
        ratios.append(result.mb_per_s / base.mb_per_s)
        results.append(result)
    best = max(results)
    print(f"{'fetch 1 MB, 4 in flight':34} {best.requests_per_s:9.0f}/s {best.mb_per_s:7.0f} MB/s"
          f" {best.cpu_us:7.1f} us cpu   ratio {statistics.median(ratios):5.2f} (target 0.7)")  # fmt: skip


def resident_mb(pid: int) -> float:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def start(partitions: int) -> None:
    took, resident, connected = [], 0.0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        process = BrokerProcess(Path(folder) / "data")
        if partitions:
            process.start()
            for number in range(0, partitions, 10):
                load.create_topic(process.port, f"t{number}", 10)
                frame = load.produce_frame(process.port, f"t{number}", 100, number % 10)
                load.answer_bytes(process.port, frame)
            process.stop()
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            process.start()
            with Wire(process.port) as wire:
                asked = [MetadataRequestTopic(name="t0")] if partitions else []
                wire.call(MetadataRequest(topics=asked, allow_auto_topic_creation=False), 9)
            took.append(time.perf_counter() - begin)
            resident = resident_mb(process.pid)
            if not partitions:
                held = [socket.create_connection(("127.0.0.1", process.port)) for _ in range(1000)]
                with Wire(process.port) as wire:
                    wire.call(MetadataRequest(topics=[]), 9)
                connected = resident_mb(process.pid) - resident
                for one in held:
                    one.close()
            process.stop()
    targets = "0.25 s, 40 MB" if not partitions else "1 s"
    more = f", 1,000 idle connections {connected:+.1f} MB (target 20)" if not partitions else ""
    print(f"start to Metadata, {partitions:5} partitions      {statistics.median(took):5.3f} s,"
          f" {resident:.1f} MB resident (target {targets}){more}")  # fmt: skip


def metadata() -> None:
    """Everything about 1,000 topics of 10 partitions: the first time, and when it has been said before."""
    with broker() as ours, Wire(ours.port) as wire:
        for part in range(10):
            made = [CreatableTopic(name=f"t{part}-{i}", num_partitions=10, replication_factor=1) for i in range(100)]
            wire.call(CreateTopicsRequest(topics=made, timeout_ms=60_000), 7)
        request = MetadataRequest(topics=None)
        used = [load.cpu_seconds(ours.pid)]
        for asked in (1, ROUNDS * 100):
            for _ in range(asked):
                wire.send(request, 13)
                wire.receive_frame()
            used.append(load.cpu_seconds(ours.pid))
    first, again = used[1] - used[0], (used[2] - used[1]) / (ROUNDS * 100)
    print(f"Metadata of 1,000 x 10 partitions     {first * 1e3:.0f} ms of CPU, then {again * 1e3:.2f} ms (target 20)")


def main() -> None:
    if len(CORES) > 1:
        os.sched_setaffinity(0, CORES[1:])
    only = sys.argv[1:]
    parts = {
        "decode": decode.main,
        "small": lambda: produce("produce 100 B, 64 in flight", 100, 64, 1, "100,000/s"),
        "many": lambda: produce("produce 100 B, 8 in flight x 16", 100, 8, 16, "-"),
        "medium": lambda: produce("produce 16 KB, 8 in flight x 8", 16 * 2**10, 8, 8, "0.3"),
        "large": lambda: produce("produce 1 MB, 5 in flight", 10**6, 5, 1, "0.7"),
        "latency": latency,
        "fetch": fetch,
        "durable": durability.durable,
        "start": lambda: start(0),
        "partitions": lambda: start(1000),
        "metadata": metadata,
        "commits": groups.commits,
        "rebalance": groups.rebalances,
        "idle": groups.idle,
        "transactions": transactions.transactions,
        "cleaning": cleaning.cleaning,
    }
    for name, part in parts.items():
        if not only or name in only:
            part()


if __name__ == "__main__":
    main()
