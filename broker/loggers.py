"""The loggers of this process as Kafka's tools see them: by name, with a level that can be changed while it runs."""

import logging
from collections.abc import Iterator, Mapping

from ..protocol.errors import ErrorCode
from .config import ConfigEntry, ConfigSource, ConfigSynonym, ConfigType
from .errors import ApiError

ROOT = "root"
# Kafka's levels (LogLevelConfig), as numbers of Python's.
LEVELS = {
    "FATAL": logging.CRITICAL,
    "ERROR": logging.ERROR,
    "WARN": logging.WARNING,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
    "TRACE": logging.DEBUG // 2,
}
_OURS = __name__.partition(".")[0]


def names() -> list[str]:
    """Return the root logger and all of ours, by name."""
    ours = (name for name in logging.Logger.manager.loggerDict if name == _OURS or name.startswith(f"{_OURS}."))
    return [ROOT, *sorted(ours)]


def entries() -> Iterator[ConfigEntry]:
    """Yield each logger with the level that counts for it."""
    source = ConfigSource.DYNAMIC_BROKER_LOGGER
    no_synonyms: tuple[ConfigSynonym, ...] = ()
    for name in names():
        level = _level_name(_logger(name).getEffectiveLevel())
        yield ConfigEntry(name, level, source, False, False, ConfigType.UNKNOWN, "", no_synonyms)


def change(levels: Mapping[str, str | None], validate_only: bool) -> None:
    """Set levels; None gives a logger that of its parent back. All or none.

    Raises ApiError: INVALID_CONFIG for a logger or level that does not exist, INVALID_REQUEST to reset the root.
    """
    known = set(names())
    for name, level in levels.items():
        if name not in known:
            raise ApiError(ErrorCode.INVALID_CONFIG, f"Logger {name} does not exist!")
        if level is not None and level not in LEVELS:
            raise ApiError(
                ErrorCode.INVALID_CONFIG,
                f"Cannot set the log level of {name} to {level} as it is not a supported log level."
                f" Valid log levels are {', '.join(sorted(LEVELS))}",
            )
        if level is None and name == ROOT:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Removing the log level of the {ROOT} logger is not allowed")
    if not validate_only:
        for name, level in levels.items():
            _logger(name).setLevel(logging.NOTSET if level is None else LEVELS[level])


def _logger(name: str) -> logging.Logger:
    return logging.getLogger(None if name == ROOT else name)


def _level_name(number: int) -> str:
    return next((name for name, level in LEVELS.items() if number >= level), "TRACE")
