"""``barnabas``: run a broker until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from ... import __version__
from ...storage.errors import DataDirLocked, StorageError
from ..broker import Broker
from ..config import BrokerConfig, Given

logger = logging.getLogger("barnabas")

FILES_WANTED = 10_240


def run(config: BrokerConfig, cluster_id: Given | None = None) -> int:
    """Run until SIGTERM or SIGINT and return the exit status: 0, or 1 when the broker could not start.

    ``cluster_id``: what a new data directory gets; None to draw one.
    """
    _raise_file_limit()
    # What is there after the start stays; requests leave next to nothing for the collector (performance.md 7).
    gc.set_threshold(50_000, 50, 1000)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(config, cluster_id))


async def _serve(config: BrokerConfig, cluster_id: Given | None) -> int:
    broker = Broker(config, cluster_id=cluster_id)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, stop)
    starting, stopping = asyncio.create_task(broker.start()), asyncio.create_task(stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    broker.is_stopping = stop.is_set()  # a recovery that is under way ends before the next log
    try:
        await starting
    except (StorageError, OSError) as error:
        stopping.cancel()
        print(f"barnabas: {_reason(error, config)}", file=sys.stderr)
        return 1
    gc.collect()
    gc.freeze()
    if not stop.is_set():
        print(_ready_line(broker), flush=True)
    await stopping
    logger.info("stopping; a second signal stops at once")
    await broker.stop()
    logger.info("stopped")
    return 0


def _reason(error: StorageError | OSError, config: BrokerConfig) -> str:
    if isinstance(error, DataDirLocked):
        return f"{error} (--data-dir chooses another)"
    given = config.given("log.dirs") or config.given("log.dir")
    if isinstance(error, StorageError) and given is not None:
        return f"{error} (the data directory is from {given.origin})"
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def _stop(stop: asyncio.Event) -> None:
    if stop.is_set():
        # What was acknowledged is in the page cache; the next start checks the logs.
        os._exit(1)
    stop.set()


def _ready_line(broker: Broker) -> str:
    where = ", ".join(
        _address(listener.host, broker.server.ports[listener.name]) for listener in broker.config.listeners
    )
    data_dir = os.path.abspath(broker.data_dir.path)
    return f"Barnabas {__version__} is ready on {where}; data in {data_dir}; Ctrl-C stops it"


def _address(host: str, port: int) -> str:
    if not host:
        return f"localhost:{port} (all interfaces)"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _raise_file_limit() -> None:
    """Take as many file descriptors as we may have: one per connection, two per segment in use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, FILES_WANTED):  # macOS says "unlimited" and takes a number
        with suppress(OSError, ValueError):
            if soft < wanted or wanted == resource.RLIM_INFINITY:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return
