"""Where Prometheus asks: ``GET /metrics`` over HTTP, answered in threads of their own. Imported when it is wanted."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, start_http_server

from .partitions import PartitionCollector

if TYPE_CHECKING:
    import asyncio

    from ..partitions.topics import Topics

logger = logging.getLogger(__name__)


class MetricsEndpoint:
    """An HTTP server on ``address``, "host:port"; without a host on all interfaces, port 0 is a free one.

    Making one may block for the name of the host. Raises OSError with the address in its text.
    """

    def __init__(self, address: str, topics: Topics, loop: asyncio.AbstractEventLoop) -> None:
        host, _, port = address.rpartition(":")
        registry = CollectorRegistry()
        registry.register(PartitionCollector(topics, loop))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        try:
            self._server, self._thread = start_http_server(int(port), host.strip("[]") or _everywhere(), registry)
        except OSError as error:
            raise OSError(error.errno, f"cannot serve metrics on {address}: {error.strerror or error}") from None
        self.port: int = self._server.server_address[1]
        logger.info("metrics on http://%s:%d/metrics", host or "localhost", self.port)

    def close(self) -> None:
        """Stop; blocks until the thread has ended."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _everywhere() -> str:
    return "::" if socket.has_dualstack_ipv6() else "0.0.0.0"
