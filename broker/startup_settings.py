"""The settings that a broker starts with: what it is given, and over that what is stored in its data directory.

A stored setting must never lock the operator out. One that does not fit any more is left out, and the log says how to
forget it.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .config import BrokerConfig, Dynamics, with_stored

if TYPE_CHECKING:
    from .net.listener import Server

logger = logging.getLogger(__name__)


class StartupSettings:
    """``given``: from options, variables and the file. ``stored``: what admin clients have set."""

    def __init__(self, given: BrokerConfig, stored: Dynamics, data_dir: Path) -> None:
        self._given = given
        self._stored = stored
        self._data_dir = data_dir.absolute()

    def config(self) -> BrokerConfig:
        """Return all settings. The log names those that a stored one replaces, and stored ones that do not fit."""
        config = self._with(self._stored)
        for name in sorted({*config.dynamic.own, *config.dynamic.cluster}):
            given, counts = self._given.given(name), config.given(name)
            if given is not None and counts is not None and given.value != counts.value:
                logger.warning(
                    "%s from %s has no effect: the data directory has another value stored, %s (to forget it: %s)",
                    name,
                    given.origin,
                    config.shown(name),
                    self._way_to_forget(name),
                )
        return config

    async def listen(self, server: Server, config: BrokerConfig, reconfigure: Callable[[BrokerConfig], None]) -> None:
        """Open the listeners of ``config``.

        Stored listeners that this machine cannot open give way to those that the broker was given by name. A port
        that is in use may become free, and a default would listen on all interfaces: both end the start.
        ``reconfigure`` is called with the settings that hold instead. Raises OSError with a text for people.
        """
        try:
            await server.open(config.listeners)
        except OSError as error:
            is_stored = "listeners" in config.dynamic.own
            has_other = any(self._given.given(name) for name in ("listeners", "advertised.listeners"))
            if not is_stored or not has_other or error.errno == errno.EADDRINUSE:
                raise OSError(error.errno, f"{error.strerror} ({self._source_of_listeners(config, error)})") from None
            logger.error(
                "ignoring stored listeners, %s: %s (to forget them: %s)",
                config.shown("listeners"),
                error.strerror,
                self._way_to_forget("listeners"),
            )
        else:
            return
        own = {name: text for name, text in config.dynamic.own.items() if name != "listeners"}
        config = self._with(config.dynamic._replace(own=own))
        reconfigure(config)
        await self.listen(server, config, reconfigure)

    def _with(self, stored: Dynamics) -> BrokerConfig:
        config, left_out = with_stored(self._given, stored)
        for name, fault in left_out:
            logger.error("ignoring a stored setting: %s (to forget it: %s)", fault, self._way_to_forget(name))
        return config

    def _source_of_listeners(self, config: BrokerConfig, error: OSError) -> str:
        name = "listeners" if config.given("listeners") else "advertised.listeners"
        if name in config.dynamic.own:
            return f"{name} is stored in the data directory; to forget it: {self._way_to_forget(name)}"
        given = config.given(name)
        parts = [] if given is None else [f"from {given.origin}"]
        if given is None or (error.errno == errno.EADDRINUSE and not given.origin.startswith("-")):
            parts.append("--port chooses another")
        return "; ".join(parts)

    def _way_to_forget(self, name: str) -> str:
        return f"barnabas settings {self._data_dir} --forget {name}"
