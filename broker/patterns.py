"""Regular expressions of clients, in RE2's syntax: matching takes time linear in the name, always."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..protocol.errors import ErrorCode
from .errors import ApiError

# Literal text between \Q and \E, or an escaped character.
_ESCAPES = re.compile(r"\\Q.*?(?:\\E|\Z)|\\(.)", re.DOTALL)
# What a compiled expression may take; RE2 refuses what does not fit.
MEMORY_BYTES_MAX = 2**20


def check(regex: str) -> None:
    """Raises ApiError: INVALID_REGULAR_EXPRESSION."""
    compiled(regex)


def resolve(regexes: Iterable[str], names: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return which of ``names`` each expression matches as a whole.

    One that is invalid matches none: an older version took it, and the members beside it go on.
    """
    names = list(names)
    resolved = {}
    for regex in regexes:
        try:
            resolved[regex] = frozenset(filter(compiled(regex).fullmatch, names))
        except ApiError:
            resolved[regex] = frozenset[str]()
    return resolved


def compiled(regex: str) -> Any:
    """Return what matches names. Raises ApiError: INVALID_REGULAR_EXPRESSION."""
    _check_escapes(regex)
    import re2  # only where somebody subscribes to a pattern

    options = re2.Options()
    options.max_mem = MEMORY_BYTES_MAX
    options.log_errors = False
    try:
        return re2.compile(regex, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else error
        raise _invalid(regex, reason) from None


def _check_escapes(regex: str) -> None:
    """Raises ApiError for \\C, a single byte: RE2 takes it, Kafka's RE2/J does not."""
    if any(found[1] == "C" for found in _ESCAPES.finditer(regex)):
        raise _invalid(regex, "invalid escape sequence")


def _invalid(regex: str, reason: object) -> ApiError:
    return ApiError(
        ErrorCode.INVALID_REGULAR_EXPRESSION,
        f"SubscribedTopicRegex `{regex}` is not a valid regular expression: {reason}.",
    )
