"""The command with standard streams that are closed or full, and with signals at any time."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.calls import batch, make_topic, produce, wait_until
from support.process import BrokerProcess
from support.wire import Wire

COMMAND = [sys.executable, "-m", "barnabas"]
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def hear_hangups() -> None:
    """Put SIGHUP back to its default: the tests may run under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def is_listening(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


@contextlib.contextmanager
def started(data_dir: Path, redirections: str, wrapper: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A broker with the streams that a shell gives it, when it serves."""
    port = free_port()
    line = (
        f"exec {wrapper} {sys.executable} -m barnabas --data-dir {data_dir} --listeners PLAINTEXT://127.0.0.1:{port}"
    )
    process = subprocess.Popen(["/bin/sh", "-c", f"{line} {redirections}"], preexec_fn=hear_hangups)
    try:
        wait_until(lambda: process.poll() is not None or is_listening(port))
        assert process.poll() is None
        with Wire(port) as wire:
            produce(wire, make_topic(wire), batch())
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def is_clean(data_dir: Path) -> bool:
    return (data_dir / ".kafka_cleanshutdown").exists()


@pytest.mark.parametrize(
    "redirections",
    [
        "<&- >&- 2>&-",
        "<&- >/dev/null 2>/dev/null",
        "</dev/null >&- 2>/dev/null",
        "</dev/null >/dev/null 2>&-",
        ">/dev/full 2>/dev/null",
        ">/dev/null 2>/dev/full",
        "--log-level debug >/dev/full 2>/dev/full",
        "--log-level debug <&- >&- 2>/dev/full",
    ],
)
def test_streams_that_are_closed_or_full_do_no_harm(redirections: str, tmp_path: Path) -> None:
    with started(tmp_path / "data", redirections) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert is_clean(tmp_path / "data")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_signals_stop_it_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    with started(tmp_path / "data", "") as process:
        process.send_signal(number)
        assert process.wait(30) == 0
    assert is_clean(tmp_path / "data")


def test_a_terminal_that_is_closed_is_told_twice_and_stops_it_cleanly(tmp_path: Path) -> None:
    with started(tmp_path / "data", "") as process:
        for _ in range(3):
            process.send_signal(signal.SIGHUP)
        assert process.wait(30) == 0
    assert is_clean(tmp_path / "data")


def test_under_nohup_a_closed_terminal_does_not_stop_it(tmp_path: Path) -> None:
    with started(tmp_path / "data", ">/dev/null 2>/dev/null", "nohup") as process:
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert is_clean(tmp_path / "data")


# What is loaded is held up at a module, so that the signal comes amid the imports however fast the machine is.
HELD_UP = """
import os, signal, sys, time
class Held:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.{signal})
            time.sleep(30)
sys.meta_path.insert(0, Held())
sys.argv = ["barnabas", "--data-dir", {data_dir!r}, "--listeners", "PLAINTEXT://127.0.0.1:0"]
from barnabas.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGHUP", 0), ("SIGTERM", 0)])
@pytest.mark.parametrize(
    "module", ["barnabas.broker.config", "logging", "barnabas.broker.broker", "uvloop", "barnabas.broker.apis.fetch"]
)
def test_a_signal_while_modules_are_loaded_ends_it_without_a_traceback(
    name: str, status: int, module: str, tmp_path: Path
) -> None:
    script = HELD_UP.format(module=module, signal=name, data_dir=str(tmp_path / "data"))
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=hear_hangups,
    )
    assert (done.returncode, done.stderr) == (status, "")


def test_an_interrupted_command_says_nothing(tmp_path: Path) -> None:
    script = HELD_UP.format(module="barnabas.storage.checker", signal="SIGINT", data_dir="")
    script = script.replace("sys.argv = ", f"sys.argv = ['barnabas', 'check', {str(tmp_path)!r}] or ")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a topic, of a broker that has stopped."""
    data_dir = tmp_path_factory.mktemp("stopped") / "data"
    broker = BrokerProcess(data_dir).start()
    with Wire(broker.port) as wire:
        produce(wire, make_topic(wire), batch())
    broker.stop()
    return data_dir


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["check", "DIR"], ["adopt", "DIR"], ["dump", "DIR"]])
def test_output_that_cannot_be_printed_is_told(words: list[str], stopped: Path) -> None:
    words = [str(stopped) if word == "DIR" else word for word in words]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, env=BUFFERED
        )
    assert (done.returncode, done.stderr) == (2, "barnabas: cannot print: No space left on device\n")


def test_a_reader_that_has_gone_is_no_error(stopped: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as gone:
        done = subprocess.run(
            [*COMMAND, "check", str(stopped)], stdout=gone, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (0, "")


def closed(descriptor: int) -> Callable[[], None]:
    return lambda: os.close(descriptor)


@pytest.mark.parametrize("descriptor", [0, 1, 2])
def test_a_command_works_with_a_closed_stream(descriptor: int, stopped: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "check", str(stopped)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=closed(descriptor),
    )
    assert done.returncode == 0
    assert ("all is well" in done.stdout) == (descriptor != 1)
    assert done.stderr == ""
