"""Clients that do what no client should, and a look at what they do to the broker."""

import os
import random
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.api_versions import ApiVersionsRequest
from barnabas.protocol.schema import Struct, element_of, primitive_of

from .messages import fields_in
from .process import BrokerProcess
from .wire import Wire

MB = 2**20
SEED = int(os.environ.get("BARNABAS_SEED", "1"))

_INTEGERS = {"int8": 8, "int16": 16, "uint16": 16, "int32": 32, "uint32": 32, "int64": 64}


def memory_bytes(broker: BrokerProcess) -> int:
    """Return what the broker holds itself: its resident memory without the mapped files, which the logs are."""
    with open(f"/proc/{broker.pid}/status") as status:
        (line,) = [line for line in status if line.startswith("RssAnon")]
    return int(line.split()[1]) * 1024


def allow_open_files(count: int) -> bool:
    """Let this process have ``count`` sockets; False when it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    return count <= hard


def assert_serves(broker: BrokerProcess, within_s: float = 5) -> None:
    """Expect a new client to be answered."""
    started = time.monotonic()
    with Wire(broker.port, timeout_s=within_s) as wire:
        assert wire.call(ApiVersionsRequest(), 0).error_code == ErrorCode.NONE
    assert time.monotonic() - started < within_s


def assert_untroubled(broker: BrokerProcess, log_start: int = 0) -> None:
    """Expect that nothing happened which nobody foresaw; ``log_start``: where in the log to begin, in bytes."""
    assert broker.is_running()
    log = broker.log.read_bytes()[log_start:].decode()
    for sign in ("Traceback", "unexpected error", "Fatal error", "Exception in"):
        assert sign not in log, log[max(0, log.index(sign) - 500) :][:3000]


@contextmanager
def watched(broker: BrokerProcess) -> Iterator[list[float]]:
    """Keep asking the broker on a connection of one's own meanwhile; yields how long each answer took, in seconds."""
    took: list[float] = []
    failures: list[BaseException] = []
    is_over = threading.Event()

    def ask() -> None:
        try:
            with Wire(broker.port) as wire:
                while not is_over.is_set():
                    started = time.monotonic()
                    wire.call(ApiVersionsRequest(), 0)
                    took.append(time.monotonic() - started)
                    is_over.wait(0.01)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield took
    finally:
        is_over.set()
        thread.join()
    assert not failures, failures
    assert took


def deliver(port: int, sent: bytes, timeout_s: float = 20) -> bytes:
    """Send on a connection of its own, say that this is all, and return what comes back until the broker closes."""
    with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
        got = bytearray()
        with suppress(OSError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):  # a timeout is none: the broker must close
            while received := connection.recv(MB):
                got += received
        return bytes(got)


def framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def header(key: int, version: int, correlation_id: int = 1) -> bytes:
    """Return a request header with a null client id."""
    return struct.pack(">hhih", key, version, correlation_id, -1)


class Mutator:
    """Random requests, and what becomes of them in bad hands; ``words`` are strings that mean something."""

    def __init__(self, seed: int, words: list[str], ids: list[bytes], batch: bytes) -> None:
        self.random = random.Random(seed)
        self._words = words
        self._ids = ids
        self._batch = batch

    def instance(self, struct_: type[Struct], version: int) -> Any:
        """Return a valid instance with values that lead somewhere, or to the edge."""
        return struct_(**{field.name: self._value(field, version) for field in fields_in(struct_, version)})

    def _value(self, field: Any, version: int) -> Any:
        if version in field.nullable and self.random.random() < 0.15:
            return None
        return self._present(field.type, field.name, version)

    def _present(self, type_: Any, name: str, version: int) -> Any:
        draw = self.random
        element = element_of(type_)
        if element is not None:
            return [self._present(element, name, version) for _ in range(draw.choice((0, 1, 1, 2, 5)))]
        primitive = primitive_of(type_)
        if primitive is None:
            return self.instance(type_, version)
        match primitive.name:
            case "boolean":
                return draw.random() < 0.5
            case "string":
                return draw.choice([*self._words, "", "\0", "ä" * 200])
            case "data":
                return draw.randbytes(draw.choice((0, 3, 300)))
            case "batches":
                return draw.choice([self._batch, self._batch, self._batch * 2, b"", draw.randbytes(80)])
            case "uuid":
                return draw.choice([*self._ids, bytes(16), draw.randbytes(16)])
            case "float64":
                return draw.choice([0.0, -1.0, float("inf"), float("nan")])
        bits = _INTEGERS[primitive.name]
        if name in ("max_wait_ms", "timeout_ms"):
            return draw.choice((0, 1, 5))
        if name == "num_partitions":
            return draw.choice((-1, 0, 1, 3))
        low, high = (0, 2**bits - 1) if primitive.name.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return draw.choice((0, 1, -1 if low else 2, 2, 3, 10_000 if bits > 8 else 100, low, high))

    def damaged(self, body: bytes) -> bytes:
        """Return the bytes with some of them changed, gone, doubled or made to look like large counts."""
        draw = self.random
        out = bytearray(body)
        for _ in range(draw.choice((1, 1, 1, 2, 4, 16))):
            at = draw.randrange(len(out) + 1)
            match draw.randrange(6):
                case 0 if at < len(out):
                    out[at] ^= 1 << draw.randrange(8)
                case 1 if at < len(out):
                    out[at] = draw.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
                case 2:
                    del out[at : at + draw.choice((1, 2, 4, 50))]
                case 3:
                    out[at:at] = draw.randbytes(draw.choice((1, 2, 4, 50)))
                case 4:
                    out[at : at + 4] = draw.choice((b"\x7f\xff\xff\xff", b"\x00\x03\xff\xff", b"\xff\xff\xff\xff"))
                case _:
                    out[at : at + 5] = draw.choice((b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x08", b"\xff" * 5))
        return bytes(out)
