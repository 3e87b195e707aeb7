"""Errors that repeat: each is logged once, and again every hour while it lasts."""

import logging

from ..storage.clock import Clock

INTERVAL_S = 3600.0
# Clients name the subjects, so there may be any number of them.
SUBJECTS_MAX = 1_000


class RepeatedErrors:
    """Logs warnings about subjects, say transactional ids. One that a subject repeats is left out for an hour."""

    def __init__(self, logger: logging.Logger, clock: Clock) -> None:
        self._logger = logger
        self._clock = clock
        self._logged: dict[str, tuple[str, float]] = {}

    def warn(self, subject: str, message: str) -> None:
        """Log ``message`` unless it was the last one about ``subject`` and less than an hour ago."""
        now_s = self._clock.monotonic()
        last, logged_s = self._logged.get(subject, ("", now_s))
        if message == last and now_s < logged_s + INTERVAL_S:
            return
        if len(self._logged) >= SUBJECTS_MAX:
            self._logged.clear()
        self._logged[subject] = message, now_s
        self._logger.warning("%s", message)

    def forget(self, subject: str) -> None:
        """The error is over: if it comes back it is logged at once."""
        self._logged.pop(subject, None)
