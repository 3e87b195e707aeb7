"""Plain servers to compare with: what the machine allows when nothing is asked of the server.

plain.py copy FRAME_BYTES ANSWER_BYTES   recv_into, crc32c, copy, canned answer; one connection, blocking
plain.py send ANSWER_BYTES FRAME_BYTES   for each frame an answer from memory
plain.py echo FRAME_BYTES ANSWER_BYTES   uvloop, canned answer per frame
"""

import asyncio
import contextlib
import socket
import sys
import tempfile
from typing import IO

from barnabas.protocol.records import crc32c


def serve(kind: str, frame_bytes: int, answer_bytes: int) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"ready on :{listening.getsockname()[1]}", flush=True)
    buffer = bytearray(frame_bytes)
    view = memoryview(buffer)
    kept = memoryview(bytearray(64 * 2**20))
    answer = (answer_bytes - 4).to_bytes(4, "big") + bytes(answer_bytes - 4)
    file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - as long as the process
    while True:
        connection, _ = listening.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):
            answer_all(connection, view, kept, file, kind, answer)


def answer_all(
    connection: socket.socket, view: memoryview, kept: memoryview, file: IO[bytes], kind: str, answer: bytes
) -> None:
    position = 0
    while connection.recv_into(view, len(view), socket.MSG_WAITALL) == len(view):
        if kind == "copy":
            crc32c(view)
            if position + len(view) > len(kept):
                position = 0
            kept[position : position + len(view)] = view
            position += len(view)
        elif kind == "keep":
            crc32c(view)
            file.write(view)
        connection.sendall(answer)


class Echo(asyncio.BufferedProtocol):
    def __init__(self, frame_bytes: int, answer_bytes: int) -> None:
        self.buffer = bytearray(256 * 1024)
        self.frame_bytes = frame_bytes
        self.answer = (answer_bytes - 4).to_bytes(4, "big") + bytes(answer_bytes - 4)
        self.pending = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        answers, self.pending = divmod(self.pending + nbytes, self.frame_bytes)
        if answers:
            self.transport.write(self.answer * answers)


async def echo(frame_bytes: int, answer_bytes: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Echo(frame_bytes, answer_bytes), "127.0.0.1", 0)
    print(f"ready on :{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    what, frame, answer = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if what == "echo":
        import uvloop

        uvloop.run(echo(frame, answer))
    else:
        serve(what, frame, answer)
