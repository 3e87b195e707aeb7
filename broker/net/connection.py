"""One client connection: bytes to frames to requests, answers back in the order of the requests.

It carries and decides nothing but the flow: it stops reading when the client does not read, when too much is
waiting, or while a request that holds its place in the order is not answered yet; and after a turn of work it lets
the other connections have theirs.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING, cast

from ...protocol.framing import LARGE_BYTES, FrameReader
from ...protocol.primitives import MalformedMessage
from ...protocol.schema import Response
from ..context import Context
from ..errors import CloseConnection, UnsupportedRequest
from ..pending import Pending, Waiting
from .session import Session

if TYPE_CHECKING:
    from ...protocol.codec import Buffer
    from ...protocol.schema import Request
    from ..dispatch import Route
    from .listener import Shared

logger = logging.getLogger(__name__)

# Answers that may be waited for at one time, all of them to pipelined requests whose bytes are long written.
WAITING_MAX = 1000
# What may lie in the transport before we stop reading from a client that does not read from us. Record batches in it
# are views of the log and cost no memory.
WRITE_BUFFER_BYTES_MAX = 2**20
# What one connection may have answered before the others get their turn, and the transport a look at it: a few
# milliseconds of work.
ANSWERS_PER_TURN_MAX = 256
ANSWER_BYTES_PER_TURN_MAX = 256 * 2**10
# From how many connections on each waits for the next turn after it was served. While libuv finds 1024 sockets ready
# it polls again, up to 48 times in a turn, and timers, tasks and new connections would wait for seconds meanwhile.
CROWD_MIN = 1000
# How soon to try again for a buffer when all connections together have taken the memory for large frames.
STARVED_RETRY_S = 0.02

_HEADER = struct.Struct(">hhih")


class Connection(asyncio.BufferedProtocol):
    """See the module. ``shared``: what the connections of a broker have in common."""

    def __init__(self, shared: Shared, listener: str) -> None:
        self._shared = shared
        self._listener = listener
        self._reader = FrameReader(shared.scratch, shared.pool, shared.frame_bytes_max)
        self._transport: asyncio.Transport
        self._port = 0  # the client's
        self._client = b""
        self._contexts: dict[int, Context] = {}
        self._waiting: deque[Waiting] = deque()
        self._tasks: set[asyncio.Future[Response | None]] = set()
        self._waiting_bytes = 0
        self._out: list[Buffer] = []
        self._out_bytes = 0
        self._next_turn: asyncio.Handle | None = None
        self._receiving = (0, 0.0)
        self._held_by: Waiting | None = None
        self._is_write_paused = False
        self._is_read_paused = False
        self._is_closing = False
        self.last_active = shared.loop.time()
        self.session: Session

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._transport = transport
        peer = transport.get_extra_info("peername") or ("", 0)
        local = transport.get_extra_info("sockname") or ("", 0)
        self.session = Session(
            self._listener, peer[0].removeprefix("::ffff:"), local[0], local[1], self._shared.advertise
        )
        # Finds the peers that went away without a word, as Kafka does.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_MAX)
        self._port = peer[1]
        refusal = self._shared.admit(self)
        if refusal:
            logger.warning("refused a connection from %s: %s", self.session.client_host, refusal)
            self._is_closing = True
            transport.abort()
        logger.debug("connection from %s:%d opened on %s", self.session.client_host, self._port, self._listener)

    def connection_lost(self, exc: Exception | None) -> None:
        logger.debug("connection from %s:%d closed: %s", self.session.client_host, self._port, exc or "no error")
        self._is_closing = True
        self._shared.connections.discard(self)
        self._reader.release()
        if self._next_turn is not None:
            self._next_turn.cancel()
        for task in self._tasks:
            task.cancel()

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        return self._reader.buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self.last_active = self._shared.loop.time()
        self._reader.received(nbytes)
        if self._next_turn is None:
            self._process()
            if len(self._shared.connections) >= CROWD_MIN:
                self._end_turn(0)
        else:
            self._reader.keep()
            self._watch_flow()

    def pause_writing(self) -> None:
        self._is_write_paused = True

    def resume_writing(self) -> None:
        self._is_write_paused = False
        self.last_active = self._shared.loop.time()
        self._process()

    def _process(self) -> None:
        """Handle what has been received as far as the flow allows, and send the answers in one write."""
        reader = self._reader
        try:
            while not (self._is_write_paused or self._is_closing or self._is_held()):
                frame = reader.next_frame()
                if frame is None:
                    break
                self._handle(frame)
                if len(self._out) >= ANSWERS_PER_TURN_MAX or self._out_bytes >= ANSWER_BYTES_PER_TURN_MAX:
                    self._end_turn(0)
                    break
        except UnsupportedRequest as error:
            assert frame is not None
            self._shared.refusals.tell(self.session, _client_id(frame), str(error))
            self.close()
        except (MalformedMessage, CloseConnection) as error:
            logger.info("closing the connection from %s: %s", self.session.client_host, error)
            self.close()
        except Exception:
            self._close_unexpectedly()
        reader.keep()
        self._flush()
        self._watch_flow()

    def _is_held(self) -> bool:
        """Say whether the next request has to wait, for its turn or for an answer before it."""
        if self._next_turn is not None:
            return True
        waiting = self._waiting
        return bool(waiting) and (
            self._held_by is not None or len(waiting) >= WAITING_MAX or self._waiting_bytes >= WRITE_BUFFER_BYTES_MAX
        )

    def _end_turn(self, delay_s: float) -> None:
        """Go on later: after everybody else had a turn, or after ``delay_s`` seconds."""
        if self._next_turn is None:
            loop = self._shared.loop
            go_on = self._take_turn
            self._next_turn = loop.call_later(delay_s, go_on) if delay_s else loop.call_soon(go_on)

    def _take_turn(self) -> None:
        self._next_turn = None
        self._process()

    def _watch_flow(self) -> None:
        """Read on only while what has been received and not handled stays small."""
        reader = self._reader
        if self._is_closing or self._transport.is_closing():
            return
        if reader.is_receiving_large and self._receiving[0] != reader.large_frames:
            self._receiving = (reader.large_frames, self.last_active)
        stuck = self._is_write_paused or self._is_held()
        if reader.is_starved and not stuck:
            self._end_turn(STARVED_RETRY_S)
            stuck = True
        must_pause = stuck and reader.unread_bytes >= LARGE_BYTES
        if must_pause != self._is_read_paused:
            self._is_read_paused = must_pause
            (self._transport.pause_reading if must_pause else self._transport.resume_reading)()

    def _handle(self, frame: memoryview) -> None:
        key, version, correlation_id, length = _HEADER.unpack_from(frame)
        route = self._shared.route(key, version)
        position = 10 + length if length > 0 else 10
        if position > len(frame):
            raise MalformedMessage("the client id ends outside the frame")
        request = route.read(frame, position)
        # Clients give the same id with every request, so the same context serves all requests of a version.
        context = self._contexts.get(version)
        if context is None or frame[8:position] != self._client:
            context = self._make_context(frame, position, version)
        answer = route.call(request, context)
        if isinstance(answer, Response):
            buffers = route.encode(answer, correlation_id)
            if self._waiting:
                waiting = Waiting()
                waiting.buffers = buffers
                self._waiting.append(waiting)
                self._waiting_bytes += len(buffers[0])
            else:
                self._out += buffers
                self._out_bytes += len(buffers[0])
        elif isinstance(answer, Pending):
            answer.then = self._answered
            self._wait(answer, route, correlation_id)
        elif answer is not None:
            self._await(route, request, correlation_id, answer, context)

    def _make_context(self, frame: memoryview, position: int, version: int) -> Context:
        client = bytes(frame[8:position])
        if client != self._client:
            self._client = client
            self._contexts.clear()
        client_id = None if client.startswith(b"\xff") else client[2:].decode(errors="replace")
        context = self._contexts[version] = Context(self._shared.broker, self.session, client_id, version)
        return context

    def _wait(self, waiting: Waiting, route: Route, correlation_id: int) -> None:
        waiting.buffers = None
        waiting.route = route
        waiting.correlation_id = correlation_id
        self._waiting.append(waiting)
        if not route.pipelined:
            self._held_by = waiting

    def _await(
        self,
        route: Route,
        request: Request,
        correlation_id: int,
        answer: Awaitable[Response | None],
        context: Context,
    ) -> None:
        waiting = Waiting()
        self._wait(waiting, route, correlation_id)
        task = asyncio.ensure_future(answer)
        self._tasks.add(task)

        def answered(task: asyncio.Future[Response | None]) -> None:
            self._tasks.discard(task)
            if self._is_closing or task.cancelled():
                return
            try:
                response = route.outcome(request, task, context)
            except CloseConnection as error:
                logger.info("closing the connection from %s: %s", self.session.client_host, error)
                self.close()
            except Exception:
                self._close_unexpectedly()
            else:
                self._answered(waiting, response)

        task.add_done_callback(answered)

    def _answered(self, waiting: Waiting, response: Response | None) -> None:
        """Take an answer that was waited for."""
        if self._is_closing:
            return
        try:
            waiting.buffers = [] if response is None else waiting.route.encode(response, waiting.correlation_id)
        except Exception:
            self._close_unexpectedly()
        else:
            self._release()

    def _release(self) -> None:
        """Move the answers whose turn has come to the output, and go on."""
        waiting = self._waiting
        if self._held_by is not None and self._held_by.buffers is not None:
            self._held_by = None
        while waiting and (buffers := waiting[0].buffers) is not None:
            waiting.popleft()
            self._out += buffers
        if not waiting:
            self._waiting_bytes = 0
        self.last_active = self._shared.loop.time()
        if self._reader.unread_bytes or self._is_read_paused:
            self._process()
        else:
            self._flush()

    def _flush(self) -> None:
        out = self._out
        if not out or self._transport.is_closing():
            return
        self._out = []
        self._out_bytes = 0
        if len(out) == 1:
            self._transport.write(out[0])
        elif any(type(buffer) is memoryview for buffer in out):
            self._transport.writelines(out)
        else:
            self._transport.write(b"".join(out))

    @property
    def receiving_since(self) -> float | None:
        """When the large frame began that is being received (loop time, s); None when there is none."""
        return self._receiving[1] if self._reader.is_receiving_large else None

    @property
    def is_busy(self) -> bool:
        """True while an answer is being waited for."""
        return bool(self._waiting)

    def close(self) -> None:
        """Send what is ready and close."""
        self._flush()
        self._is_closing = True
        self._transport.close()

    def _close_unexpectedly(self) -> None:
        logger.exception("closing the connection from %s after an unexpected error", self.session.client_host)
        self.close()

    def abort(self) -> None:
        """Close without sending what is left."""
        self._is_closing = True
        self._transport.abort()


def _client_id(frame: memoryview) -> str | None:
    """Return the client id of a request that cannot be read, as far as it is there."""
    *_, length = _HEADER.unpack_from(frame)
    return bytes(frame[10 : 10 + length]).decode(errors="replace") if length > 0 else None
