"""The log on standard error: one line an event, whatever is in the names that clients send."""

import logging
import sys
import textwrap

# How much of a message is shown. Clients choose texts of any length, and escaping them takes time.
MESSAGE_LENGTH_MAX = 4096


def set_up_logging(level: str) -> None:
    """Write the messages of all loggers to standard error, from ``level`` on."""
    handler = _Handler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])


def printable(text: str) -> str:
    """Escape what a terminal or a reader of lines would not show but obey."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _cut(text: str) -> str:
    if len(text) <= MESSAGE_LENGTH_MAX:
        return text
    return f"{text[:MESSAGE_LENGTH_MAX]}… ({len(text)} characters)"


class _Formatter(logging.Formatter):
    """Cuts and escapes messages. Tracebacks keep their lines, indented: lines that begin with a time are events."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = printable(_cut(record.message))
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        first, *rest = super().format(record).split("\n")
        return "\n".join([first, *(textwrap.indent(printable(line), "  ") for line in rest)])


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]
    """Goes on without a word when standard error cannot be written: its disk is full, or its terminal has gone."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)
