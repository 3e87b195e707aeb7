"""What is in the log: an event begins a line, and nothing that a client sends does."""

import io
import logging
import sys
from collections.abc import Iterator

import pytest

from barnabas.broker.cli.log_output import set_up_logging

EVIL = "a\nb\r\x1b[31mred\x7f\x9b2J\u2028\u202eä\ud800 \\n"
SHOWN = "a\\nb\\r\\x1b[31mred\\x7f\\x9b2J\\u2028\\u202eä\\ud800 \\n"


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the log of this process writes."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    set_up_logging("info")
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.parametrize("name", ["barnabas", "asyncio", "somebody.else"])
def test_what_a_terminal_would_obey_is_escaped_for_every_logger(name: str, stderr: io.StringIO) -> None:
    logging.getLogger(name).info("group %s", EVIL)
    (line,) = stderr.getvalue().splitlines()
    assert line.endswith(f" INFO {name}: group {SHOWN}")


def test_a_message_without_arguments_is_escaped(stderr: io.StringIO) -> None:
    logging.getLogger("barnabas").info(EVIL)
    assert stderr.getvalue().endswith(f": {SHOWN}\n")


@pytest.mark.parametrize("character", ["x", "\x1b"])
def test_a_long_message_is_cut_before_it_is_escaped(character: str, stderr: io.StringIO) -> None:
    logging.getLogger("barnabas").info("%s", 4096 * character)
    logging.getLogger("barnabas").info("%s", 5_000_000 * character)
    whole, cut = stderr.getvalue().splitlines()
    shown = 4096 * (character if character.isprintable() else "\\x1b")
    assert whole.endswith(f"barnabas: {shown}")
    assert cut.endswith(f"barnabas: {shown}… (5000000 characters)")


def test_a_traceback_keeps_its_lines_and_no_line_of_it_looks_like_an_event(stderr: io.StringIO) -> None:
    try:
        raise ValueError("x\n2026-01-01 00:00:00,000 ERROR barnabas: forged \x1b[0m")
    except ValueError:
        logging.getLogger("barnabas").exception("it failed: %s", EVIL)
    first, *rest = stderr.getvalue().split("\n")[:-1]
    assert first.endswith(f"ERROR barnabas: it failed: {SHOWN}")
    assert rest[0] == "  Traceback (most recent call last):"
    assert rest[-2:] == ["  ValueError: x", "  2026-01-01 00:00:00,000 ERROR barnabas: forged \\x1b[0m"]
    assert all(line.startswith("  ") for line in rest)


def test_below_the_level_nothing_is_written(stderr: io.StringIO) -> None:
    logging.getLogger("barnabas").debug("detail")
    assert stderr.getvalue() == ""


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_below_the_log_is_no_error(stderr: io.StringIO) -> None:
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(Full())
    logging.getLogger("barnabas").info("lost")
    assert stderr.getvalue() == ""
