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
from ...storage.errors import StorageError
from ..broker import Broker
from ..config import BrokerConfig
from . import streams

logger = logging.getLogger("barnabas")

FILES_WANTED = 10_240


def run(config: BrokerConfig) -> int:
    """Run until SIGTERM, SIGINT or SIGHUP and return the exit status: 0, or 1 when the broker could not start."""
    _raise_file_limit()
    # What is there after the start stays; requests leave next to nothing for the collector (performance.md 7).
    gc.set_threshold(50_000, 50, 1000)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(config))


async def _serve(config: BrokerConfig) -> int:
    broker = Broker(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            loop.add_signal_handler(number, _stop, stop, number)
    starting, stopping = asyncio.create_task(broker.start()), asyncio.create_task(stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    broker.is_stopping = stop.is_set()  # a recovery that is under way ends before the next log
    try:
        await starting
    except (StorageError, OSError) as error:
        stopping.cancel()
        text = error.strerror if isinstance(error, OSError) and error.strerror else error
        print(f"barnabas: {text}", file=sys.stderr)
        return 1
    gc.collect()
    gc.freeze()
    if not stop.is_set():
        _say(_ready_line(broker))
    await stopping
    logger.info("stopping; a second signal stops at once")
    await broker.stop()
    logger.info("stopped")
    return 0


def _say(line: str) -> None:
    """Print a line that the broker can do without."""
    try:
        print(line, flush=True)
    except OSError as error:
        logger.warning("cannot write to standard output: %s", error.strerror)
        streams.drop(sys.stdout)


def _stop(stop: asyncio.Event, number: signal.Signals) -> None:
    if stop.is_set():
        if number == signal.SIGHUP:  # the kernel and the shell both tell that a terminal was closed
            return
        # What was acknowledged is in the page cache; the next start checks the logs.
        os._exit(1)
    stop.set()


def _ready_line(broker: Broker) -> str:
    where = ", ".join(
        f"{listener.host or 'localhost'}:{broker.server.ports[listener.name]}" for listener in broker.config.listeners
    )
    return f"Barnabas {__version__} is ready on {where} (data in {broker.data_dir.path}, Ctrl-C stops it)"


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
