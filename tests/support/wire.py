"""A client that says exactly what a test wants it to say."""

import socket
import struct
from typing import Any

from barnabas.protocol import codec
from barnabas.protocol.header import response_header_is_tagged
from barnabas.protocol.schema import Request

CLIENT_ID = b"wire"


class Wire:
    """A blocking connection. ``call`` sends a request in a version of one's choice and returns the response."""

    def __init__(self, port: int, host: str = "127.0.0.1", timeout_s: float = 60) -> None:
        self.socket = socket.create_connection((host, port), timeout_s)
        self._correlation_id = 0
        self._buffer = b""

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def frame(self, request: Request, version: int) -> bytes:
        """Return the request as it goes out, with its length."""
        self._correlation_id += 1
        head = struct.pack(">hhih", request.api_key, version, self._correlation_id, len(CLIENT_ID)) + CLIENT_ID
        if version in request.flexible:
            head += b"\0"
        body = codec.encode(request, version)
        return struct.pack(">i", len(head) + len(body)) + head + body

    def send(self, request: Request, version: int) -> None:
        self.socket.sendall(self.frame(request, version))

    def receive(self, request: type[Request], version: int) -> Any:
        """Return the next response, which must be to ``request``."""
        frame = self.receive_frame()
        position = 5 if response_header_is_tagged(request, version) else 4
        return codec.decode(request.response, version, frame, position)

    def receive_frame(self) -> bytes:
        """Return the next response without its length. Raises ConnectionError when the broker closes instead."""
        (size,) = struct.unpack(">i", self._exactly(4))
        return self._exactly(size)

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            received = self.socket.recv(1 << 20)
            if not received:
                raise ConnectionError("the broker closed the connection")
            self._buffer += received
        out, self._buffer = self._buffer[:count], self._buffer[count:]
        return out

    def call(self, request: Request, version: int) -> Any:
        self.send(request, version)
        return self.receive(type(request), version)
