"""The listening sockets, and what their connections have in common."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING

from ...protocol.framing import SCRATCH_BYTES, BufferPool
from ...storage.file_pool import descriptors_for_connections
from ..config import BrokerConfig, Listener, connection_limits
from .acceptor import Acceptor
from .advertise import advertiser, container_gateways
from .connection import Connection
from .refusals import Refusals

if TYPE_CHECKING:
    from ..broker import Broker

logger = logging.getLogger(__name__)

# Memory for large frames that are being received, over all connections. Enough for several at Kafka's limit of
# 100 MiB, or for 500 producers with 1 MB batches at the same instant; who comes later waits for a moment.
LARGE_FRAMES_BYTES_MAX = 512 * 2**20
UNLIMITED = 2**31 - 1
# How long a large frame may take when others wait for the memory that it holds: 100 MiB at 10 MiB/s.
LARGE_FRAME_TIMEOUT_S = 10.0
# How long a client has to say goodbye when the broker stops.
CLOSE_TIMEOUT_S = 2.0
# Kafka's default of 50 is for a thread that does nothing but accept. Here a burst of clients waits for the loop, and
# each one that finds the queue full tries again a second later. Linux allows 4096 by default (net.core.somaxconn).
BACKLOG_MIN = 4096


class Shared:
    """What the connections of a broker share: buffers, limits, routes."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.loop = asyncio.get_running_loop()
        self.scratch = memoryview(bytearray(SCRATCH_BYTES))
        self.pool = BufferPool(LARGE_FRAMES_BYTES_MAX)
        self.frame_bytes_max = broker.config.int("socket.request.max.bytes")
        self.route = broker.dispatcher.route
        self.connections: set[Connection] = set()
        self.refusals = Refusals(self.loop.time)
        self.configure(broker.config)

    def configure(self, config: BrokerConfig) -> None:
        """Go on with other settings, also for the connections that there are."""
        self.advertise = advertiser(config.advertised_listeners, container_gateways)
        for connection in self.connections:
            connection.session.advertise = self.advertise
        self._connections_max = config.int("max.connections")
        # Partitions keep the descriptors that are meant for them, whatever the number of clients.
        self._descriptors_max = descriptors_for_connections()
        self._per_host_max = config.int("max.connections.per.ip")
        self._per_host_overrides = connection_limits(config.string("max.connections.per.ip.overrides"))
        self._idle_s = config.int("connections.max.idle.ms") / 1000

    def admit(self, connection: Connection) -> str:
        """Take a new connection in, or return why not."""
        if len(self.connections) >= self._connections_max:
            return f"max.connections is {self._connections_max}"
        if len(self.connections) >= self._descriptors_max:
            return f"the limit of open files (ulimit -n) leaves {self._descriptors_max} to connections"
        host = connection.session.client_host
        limit = self._per_host_overrides.get(host, self._per_host_max)
        if limit < UNLIMITED and self._count()[host] >= limit:
            return f"max.connections.per.ip is {limit}"
        self.connections.add(connection)
        return ""

    @property
    def vacancies(self) -> int:
        """Return for how many more connections there are descriptors."""
        return self._descriptors_max - len(self.connections)

    def _count(self) -> Counter[str]:
        return Counter(connection.session.client_host for connection in self.connections)

    def close_idle(self) -> None:
        """Close the connections on which nothing has happened for ``connections.max.idle.ms``; and when the memory
        for large frames was not enough for all, those that have been sending one for too long."""
        now = self.loop.time()
        is_short, self.pool.has_refused = self.pool.has_refused, False
        for connection in list(self.connections):
            since = connection.receiving_since
            if 0 <= self._idle_s < now - connection.last_active and not connection.is_busy:
                self._abort(connection, "it is idle")
            elif is_short and since is not None and since < now - LARGE_FRAME_TIMEOUT_S:
                self._abort(connection, "it takes too long to send a large request, and others wait for the memory")

    def _abort(self, connection: Connection, reason: str) -> None:
        logger.info("closing the connection from %s: %s", connection.session.client_host, reason)
        connection.abort()


class Server:
    """All listeners of a broker."""

    def __init__(self, broker: Broker) -> None:
        self.shared = Shared(broker)
        self._backlog = max(broker.config.int("socket.listen.backlog.size"), BACKLOG_MIN)
        self._acceptors: dict[str, list[Acceptor]] = {}
        self._opened: dict[str, Listener] = {}
        self.ports: dict[str, int] = {}

    async def check(self, listeners: Iterable[Listener]) -> None:
        """Try whether the addresses can be listened on, those too that a listener moves to at the next start.

        Raises OSError with the address in its text. A port that a listener of this server has is no fault.
        """
        for listener in listeners:
            if listener == self._opened.get(listener.name):
                continue
            try:
                sockets = await _bound(listener)
            except OSError as error:
                if error.errno == errno.EADDRINUSE and listener.port in self.ports.values():
                    continue
                raise
            _close(sockets)

    async def open(self, listeners: Iterable[Listener]) -> None:
        """Bind and listen where nothing listens yet under the listener's name; all or none.

        Raises OSError with the address in its text.
        """
        new = [listener for listener in listeners if listener.name not in self._acceptors]
        bound: list[tuple[Listener, list[socket.socket]]] = []
        try:
            for listener in new:
                bound.append((listener, await _bound(listener)))
        except BaseException:
            _close(chain.from_iterable(sockets for _, sockets in bound))
            raise
        for listener, sockets in bound:
            self.ports[listener.name] = sockets[0].getsockname()[1]
            self._opened[listener.name] = listener
            self._acceptors[listener.name] = [
                Acceptor(self.shared, listener.name, one, self._backlog) for one in sockets
            ]

    def configure(self, config: BrokerConfig) -> None:
        """Go on with other settings; listeners that are not there any more are closed with their connections."""
        self.shared.configure(config)
        for name in self._acceptors.keys() - {listener.name for listener in config.listeners}:
            for acceptor in self._acceptors.pop(name):
                acceptor.close()
            del self.ports[name], self._opened[name]
            for connection in list(self.shared.connections):
                if connection.session.listener == name:
                    connection.close()

    async def stop(self) -> None:
        """Stop accepting, let requests in progress end, and close the connections."""
        for acceptor in chain.from_iterable(self._acceptors.values()):
            acceptor.close()
        connections = self.shared.connections
        deadline = self.shared.loop.time() + CLOSE_TIMEOUT_S
        while self.shared.loop.time() < deadline and any(connection.is_busy for connection in connections):
            await asyncio.sleep(0.01)
        for connection in list(connections):
            connection.close()
        while connections and self.shared.loop.time() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(connections):
            connection.abort()


async def _bound(listener: Listener) -> list[socket.socket]:
    """Bind in a thread, because a host name may take long to resolve. Closes the sockets when it is cancelled."""
    binding = asyncio.get_running_loop().run_in_executor(None, _bind, listener)
    try:
        return await asyncio.shield(binding)
    except asyncio.CancelledError:
        binding.add_done_callback(_close_result)
        raise


def _close_result(binding: asyncio.Future[list[socket.socket]]) -> None:
    if not binding.cancelled() and binding.exception() is None:
        _close(binding.result())


def _close(sockets: Iterable[socket.socket]) -> None:
    for one in sockets:
        one.close()


def _bind(listener: Listener) -> list[socket.socket]:
    """Return bound sockets: for all interfaces one that takes IPv6 and IPv4, or IPv4 alone where there is no IPv6."""
    if not listener.host:
        try:
            return [_socket(socket.AF_INET6, ("::", listener.port), dual=True)]
        except OSError as error:
            if socket.has_ipv6 and _is_taken(error):
                raise
            return [_socket(socket.AF_INET, ("0.0.0.0", listener.port))]
    bound: list[socket.socket] = []
    port = listener.port
    try:
        found = socket.getaddrinfo(listener.host, port or None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise OSError(errno.EADDRNOTAVAIL, f"cannot listen on {listener.host}: {error.strerror}") from None
    for family, _, _, _, address in found:
        try:
            bound.append(_socket(family, (address[0], port, *address[2:])))
        except OSError as error:
            if _is_taken(error) or not bound:
                raise
            continue  # a name such as localhost may stand for an address that this machine has not got
        port = port or bound[0].getsockname()[1]
    return bound


def _is_taken(error: OSError) -> bool:
    return error.errno in (errno.EADDRINUSE, errno.EACCES)


def _socket(family: int, address: tuple[object, ...], *, dual: bool = False) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY only then
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        made.bind(address)
    except OSError as error:
        made.close()
        where = f"port {address[1]}" if dual or address[0] == "0.0.0.0" else f"{address[0]} port {address[1]}"
        raise OSError(error.errno, f"cannot listen on {where}: {error.strerror}") from None
    return made
