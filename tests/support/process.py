"""A broker in a process of its own, as a user starts it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

READY = re.compile(r"ready on \S*?:(\d+)")
START_TIMEOUT_S = 30


class BrokerProcess:
    """Runs ``barnabas`` on a free port of 127.0.0.1 over ``data_dir``; may be started again after it ended.

    The port stays the same from start to start, so that clients find it again.
    """

    def __init__(
        self, data_dir: Path, *arguments: str, host: str = "127.0.0.1", launcher: Sequence[str] = ()
    ) -> None:
        """``launcher``: a command that runs the broker in its own place."""
        self.data_dir = data_dir
        self.log = data_dir.with_name(data_dir.name + ".log")
        self.port = 0
        self._host = host
        self._arguments = arguments
        self._launcher = launcher
        self._process: subprocess.Popen[str] | None = None

    @property
    def bootstrap(self) -> str:
        return f"{self._host}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> "BrokerProcess":
        listener = f"PLAINTEXT://{self._host}:{self.port}"
        command = [
            sys.executable,
            "-m",
            "barnabas",
            "--data-dir",
            str(self.data_dir),
            "--listeners",
            listener,
        ]
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("KAFKA_", "BARNABAS_"))}
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [*self._launcher, *command, *self._arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environ,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = READY.search(line)
        if found is None:
            self._process.wait(START_TIMEOUT_S)
            self._process.stdout.close()
            raise RuntimeError(f"the broker did not start: {line}{self.log.read_text()}")
        self.port = int(found.group(1))
        return self

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, timeout_s: float = 60) -> int:
        """End it as Ctrl-C does and return its exit status."""
        return self._end(signal.SIGTERM, timeout_s)

    def wait(self, timeout_s: float = 20) -> int:
        """Wait until it ends by itself and return its exit status."""
        assert self._process is not None
        status = self._process.wait(timeout_s)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return status

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(signal.SIGKILL, 60)

    def _end(self, number: signal.Signals, timeout_s: float) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        status = self._process.wait(timeout_s)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return status


@contextlib.contextmanager
def running(data_dir: Path, *arguments: str) -> Iterator[BrokerProcess]:
    """A broker for the length of a ``with`` block."""
    broker = BrokerProcess(data_dir, *arguments).start()
    try:
        yield broker
    finally:
        if broker.is_running():
            broker.stop()
