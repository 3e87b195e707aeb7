"""The broker and plain servers, each on the first core; we stay on the others."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import plain
from support.process import READY, BrokerProcess

SECONDS = float(os.environ.get("BENCH_SECONDS", "2"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
CORES = sorted(os.sched_getaffinity(0))


def pin(pid: int) -> None:
    """Put a server on the first core; we stay on the others."""
    if len(CORES) > 1:
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), CORES[:1])


@contextlib.contextmanager
def plain_server(kind: str, frame_bytes: int, answer_bytes: int) -> Iterator[tuple[int, int]]:
    command = [sys.executable, plain.__file__, kind, str(frame_bytes), str(answer_bytes)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = READY.search(process.stdout.readline())
    assert found is not None
    pin(process.pid)
    try:
        yield int(found.group(1)), process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def broker(*arguments: str) -> Iterator[BrokerProcess]:
    with tempfile.TemporaryDirectory() as folder:
        process = BrokerProcess(Path(folder) / "data", *arguments).start()
        pin(process.pid)
        try:
            yield process
        finally:
            process.stop()
