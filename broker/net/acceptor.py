"""Accepting connections: as many in one turn of the event loop as wait, up to a bound.

uvloop's own servers accept one connection per turn. After a restart all clients connect at once, and those that are
in send requests, so turns are long: the last of 500 clients would wait for 500 of them.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import partial
from typing import TYPE_CHECKING

from .connection import Connection

if TYPE_CHECKING:
    from .listener import Shared

logger = logging.getLogger(__name__)

# How many connections a turn accepts: one takes about 0.1 ms, so those that were there before wait 10 ms longer.
# With many connections, accept a quarter of their number: relative to the turn that costs little.
ACCEPTS_PER_TURN = 100
ACCEPTS_PER_TURN_SHARE = 4
# How long to let connections wait in the kernel's queue when the process cannot take them, for want of descriptors or
# memory; and how often to say so.
REST_S = 0.1
COMPLAINT_INTERVAL_S = 60.0


class Acceptor:
    """Makes a Connection of each connection to ``listening``, a bound socket, which it closes at the end.

    ``backlog``: how many connections the kernel keeps until they are accepted.
    """

    def __init__(self, shared: Shared, listener: str, listening: socket.socket, backlog: int) -> None:
        self._shared = shared
        self._loop = shared.loop
        self._make_connection = partial(Connection, shared, listener)
        self._socket = listening
        self._taking: set[asyncio.Task[object]] = set()
        self._rest: asyncio.TimerHandle | None = None
        self._complained_s = float("-inf")
        listening.setblocking(False)
        listening.listen(backlog)
        self._begin()

    def close(self) -> None:
        """Stop listening; connections that are still being set up are closed."""
        if self._rest is None:
            self._loop.remove_reader(self._socket)
        else:
            self._rest.cancel()
        self._socket.close()
        for task in self._taking:
            task.cancel()

    def _begin(self) -> None:
        self._rest = None
        self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        accepts = max(ACCEPTS_PER_TURN, len(self._shared.connections) // ACCEPTS_PER_TURN_SHARE)
        # Accept at least one, so that it is refused and does not hang. More at once would use the descriptors that
        # partitions need.
        for _ in range(min(accepts, max(1, self._shared.vacancies - len(self._taking)))):
            try:
                accepted, _ = self._socket.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:  # the client has given up
                continue
            except OSError as error:
                self._pause(error)
                return
            task = self._loop.create_task(self._loop.connect_accepted_socket(self._make_connection, accepted))
            self._taking.add(task)
            task.add_done_callback(partial(self._taken, accepted))

    def _pause(self, error: OSError) -> None:
        """Leave the connections in the kernel's queue for a moment: trying again at once would take all the time."""
        self._loop.remove_reader(self._socket)
        self._rest = self._loop.call_later(REST_S, self._begin)
        now_s = self._loop.time()
        if now_s - self._complained_s >= COMPLAINT_INTERVAL_S:
            self._complained_s = now_s
            logger.error("cannot accept connections for now: %s", error.strerror)

    def _taken(self, accepted: socket.socket, task: asyncio.Task[object]) -> None:
        self._taking.discard(task)
        if task.cancelled():
            accepted.close()
        elif (error := task.exception()) is not None:
            logger.debug("a connection was lost while it was accepted: %s", error)
            accepted.close()
