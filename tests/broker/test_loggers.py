"""Loggers by name and level, as Kafka's tools see them."""

import logging
from collections.abc import Iterator

import pytest

from barnabas.broker import loggers
from barnabas.broker.config import ConfigSource
from barnabas.broker.errors import ApiError
from barnabas.protocol.errors import ErrorCode

OURS = "barnabas.test.loggers"


@pytest.fixture(autouse=True)
def logger() -> Iterator[logging.Logger]:
    """A logger of ours; it and its parents get their levels back."""
    ours = logging.getLogger(OURS)
    several = [logging.getLogger(), logging.getLogger("barnabas"), ours]
    before = [one.level for one in several]
    yield ours
    for one, level in zip(several, before, strict=True):
        one.setLevel(level)


def level_of(name: str) -> str | None:
    return {entry.name: entry.value for entry in loggers.entries()}[name]


def refused(levels: dict[str, str | None]) -> ErrorCode:
    with pytest.raises(ApiError) as caught:
        loggers.change(levels, validate_only=False)
    return caught.value.code


def test_the_root_and_ours_are_named_and_nobody_elses():
    logging.getLogger("somebody.else")
    logging.getLogger("barnabasque")
    names = loggers.names()
    assert names[0] == "root"
    assert names[1:] == sorted(names[1:])
    assert OURS in names
    assert not {"somebody.else", "barnabasque"} & set(names)


def test_an_entry_is_a_level_that_can_be_changed():
    entry = next(entry for entry in loggers.entries() if entry.name == OURS)
    assert (entry.source, entry.synonyms) == (ConfigSource.DYNAMIC_BROKER_LOGGER, ())
    assert (entry.is_read_only, entry.is_sensitive) == (False, False)


@pytest.mark.parametrize(("level", "number"), loggers.LEVELS.items())
def test_a_level_is_set(logger, level, number):
    loggers.change({OURS: level}, validate_only=False)
    assert (logger.level, level_of(OURS)) == (number, level)


def test_without_a_level_a_logger_has_its_parents(logger):
    loggers.change({"barnabas": "ERROR", OURS: "DEBUG"}, validate_only=False)
    loggers.change({OURS: None}, validate_only=False)
    assert (logger.level, level_of(OURS)) == (logging.NOTSET, "ERROR")


@pytest.mark.parametrize(
    ("number", "level"), [(1, "TRACE"), (7, "TRACE"), (15, "DEBUG"), (25, "INFO"), (99, "FATAL")]
)
def test_a_level_of_pythons_own_is_told_as_the_next_of_kafkas(logger, number, level):
    logger.setLevel(number)
    assert level_of(OURS) == level


def test_levels_can_be_tried_out(logger):
    loggers.change({OURS: "TRACE"}, validate_only=True)
    assert logger.level == logging.NOTSET


@pytest.mark.parametrize(
    ("levels", "code"),
    [
        ({"no.such": "INFO"}, ErrorCode.INVALID_CONFIG),
        ({"no.such": None}, ErrorCode.INVALID_CONFIG),
        ({OURS: "LOUD"}, ErrorCode.INVALID_CONFIG),
        ({"root": None}, ErrorCode.INVALID_REQUEST),
    ],
)
def test_one_mistake_and_no_level_changes(logger, levels, code):
    assert refused({"barnabas": "TRACE", **levels}) is code
    assert logging.getLogger("barnabas").level != loggers.LEVELS["TRACE"]
