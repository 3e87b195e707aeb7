"""Telling the operator of clients that cannot work with this broker: once, though they try again and again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from .session import TEXT_LENGTH_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    from .session import Session

logger = logging.getLogger(__name__)

# How often to tell of the same client, and how many clients to remember for that.
REPEAT_S = 3600.0
CLIENTS_MAX = 1000


class Refusals:
    """Remembers which clients were told of, by address and software. ``now_s``: a monotonic clock."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._told_s: dict[tuple[str, str], float] = {}  # the one told of first comes first

    def tell(self, session: Session, client_id: str | None, problem: str) -> None:
        """Log what the client does and what it has to do instead; at DEBUG if it was told of before."""
        software = " ".join(text[:TEXT_LENGTH_MAX] for text in session.software).strip() or "unknown software"
        level = logging.INFO if self._is_news((session.client_host, software)) else logging.DEBUG
        shown = (client_id or "")[:TEXT_LENGTH_MAX]
        logger.log(level, "refused client %r (%s) from %s: %s", shown, software, session.client_host, problem)

    def _is_news(self, client: tuple[str, str]) -> bool:
        now_s = self._now_s()
        if now_s - self._told_s.get(client, float("-inf")) < REPEAT_S:
            return False
        self._told_s.pop(client, None)
        self._told_s[client] = now_s
        if len(self._told_s) > CLIENTS_MAX:
            del self._told_s[next(iter(self._told_s))]
        return True
