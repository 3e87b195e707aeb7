"""Regular expressions without google-re2: Python's `re`, for the expressions that it matches in bounded time.

`re` backtracks: an expression such as `(a+)+b` can take years, and the broker would serve nobody meanwhile. So each
expression is parsed first, and an upper bound of the steps through the name of a topic is computed from its parts.
Expressions above the limit are refused, and so is syntax that RE2 reads in another way or does not have.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from ..protocol.errors import ErrorCode
from .errors import ApiError

NAME_CHARS_MAX = 249  # of a topic's name
REGEX_CHARS_MAX = 4096
REPEATS_MAX = 1000  # the largest count that RE2 takes
# For one name. An expression is matched with the names of all topics at once, and there may be thousands: these are
# some 0.2 ms for the longest name, made to take long, and some microseconds for the names that people give.
STEPS_MAX = 20_000
HINT = "(google-re2 is not installed, and fewer expressions are taken without it: pip install google-re2)"

# POSIX classes, {,n} and these escapes: Python reads them in another way than RE2, or RE2 does not read them.
FOREIGN = re.compile(r"\[\[:|\{,|\\[NuUZ]")
# Escaped characters and classes: a `(?` in one of them starts no group.
_LITERAL_TEXT = re.compile(r"\\.|\[\^?\]?(?:[^\]\\]|\\.)*(?:\]|\\?\Z)", re.DOTALL)
# A group with a flag that RE2 does not have, or a comment. The parser refuses all other groups unknown to RE2.
_FOREIGN_GROUP = re.compile(r"\(\?(?![P<=!>(:]|[imsU]*(?:-[imsU]+)?[:)])")

_parser: Any = import_module("re._parser")
_compiler: Any = import_module("re._compiler")
_constants: Any = import_module("re._constants")
_SINGLES = {_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN, _constants.AT}
_REPEATS = {_constants.MAX_REPEAT, _constants.MIN_REPEAT}


class BoundedPattern:
    """An expression that takes at most STEPS_MAX steps for the name of a topic.

    Raises ApiError: INVALID_REGULAR_EXPRESSION, for an expression that is invalid, unknown to RE2, or takes longer.
    """

    def __init__(self, regex: str) -> None:
        self._regex = regex
        if len(regex) > REGEX_CHARS_MAX:
            raise self._refused(f"it has more than {REGEX_CHARS_MAX} characters")
        if FOREIGN.search(regex) or _FOREIGN_GROUP.search(_LITERAL_TEXT.sub("_", regex)):
            raise self._refused("its syntax is not supported")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # of syntax that Python may read in another way one day
                tree = _parser.parse(regex, re.ASCII)
                self._pattern = re.compile(regex, re.ASCII)
                self._parts = list(tree)
                steps = _steps(_before_the_rest(self._parts), NAME_CHARS_MAX)[1]
        except (re.error, Warning, ValueError, OverflowError, RecursionError, MemoryError) as error:
            raise self._refused(str(error)) from None
        if steps > STEPS_MAX:
            raise self._refused("it can take too long")

    def fullmatch(self, name: str) -> bool:
        """Say whether all of ``name`` matches. Raises ApiError when that can take too long for this one name."""
        # The bound above is one for the names of topics. A transactional id may be longer, and have lines.
        if (len(name) > NAME_CHARS_MAX or "\n" in name) and _steps(self._parts, len(name))[1] > STEPS_MAX:
            raise self._refused(f"it can take too long for a name of {len(name)} characters")
        return self._pattern.fullmatch(name) is not None

    def _refused(self, reason: str) -> ApiError:
        return ApiError(
            ErrorCode.INVALID_REGULAR_EXPRESSION,
            f"SubscribedTopicRegex `{self._regex}` is not a valid regular expression: {reason} {HINT}.",
        )


def _before_the_rest(parts: list[Any]) -> list[Any]:
    """Leave out a `.*` at the end: it takes the rest of a name of one line at once, and always matches."""
    end = len(parts)
    while end and parts[end - 1] == (_constants.AT, _constants.AT_END):
        end -= 1
    if not end:
        return parts
    operation, arguments = _without_groups(parts[end - 1])
    if operation in _REPEATS:
        low, high, repeated = arguments
        if low <= 1 and high is _constants.MAXREPEAT and list(repeated) == [(_constants.ANY, None)]:
            return parts[: end - 1]
    return parts


def _steps(parts: Iterable[Any], chars: int) -> tuple[int, int]:
    """Return upper bounds for ``chars`` characters: the number of ways through ``parts``, the steps of all ways."""
    ways, steps = 1, 0
    parts = list(parts)
    for part, following in zip(parts, [*parts, None][1:], strict=True):
        operation, arguments = part
        part_ways, part_steps = _part_steps(operation, arguments, chars)
        if following is not None and _ends_before(part, following):
            part_ways, part_steps = 1, part_steps + part_ways
        steps += ways * part_steps
        ways *= part_ways
        if steps > STEPS_MAX:
            break
    return min(ways, STEPS_MAX + 1), min(steps, STEPS_MAX + 1)


def _without_groups(part: Any) -> tuple[Any, Any]:
    """Return the only part of a group, and ``part`` itself when it is no group or one of several parts."""
    operation, arguments = part
    while operation is _constants.SUBPATTERN and len(arguments[-1]) == 1:
        operation, arguments = arguments[-1][0]
    return operation, arguments


def _ends_before(part: Any, following: Any) -> bool:
    """Say whether ``part`` repeats a class without the character that follows, as `[a-z]+-` does: it has one end."""
    operation, arguments = _without_groups(part)
    if operation not in _REPEATS or len(arguments[2]) != 1 or following[0] is not _constants.LITERAL:
        return False
    repeated = arguments[2][0]
    if repeated[0] not in (_constants.LITERAL, _constants.NOT_LITERAL, _constants.IN):
        return False
    one = _parser.SubPattern(_parser.State(), [repeated])
    # A flag may ignore case here: both readings have to leave the character out.
    return not any(_compiler.compile(one, re.ASCII | case).match(chr(following[1])) for case in (0, re.IGNORECASE))


def _part_steps(operation: Any, arguments: Any, chars: int) -> tuple[int, int]:
    if operation in _SINGLES:
        return 1, 1
    if operation is _constants.SUBPATTERN:
        return _steps(arguments[-1], chars)
    if operation is _constants.BRANCH:
        return _either(arguments[1], chars)
    if operation in _REPEATS:
        low, high, inner = arguments
        if low > REPEATS_MAX or (high is not _constants.MAXREPEAT and high > REPEATS_MAX):
            raise re.error("invalid repetition size")
        ways, steps = _steps(inner, chars)
        return _repeated(low, min(high, max(low, chars)), ways, steps)
    raise re.error(f"{str(operation).lower().replace('_', ' ')} is not supported")


def _either(branches: Iterable[Iterable[Any]], chars: int) -> tuple[int, int]:
    """Return the same bounds for one of ``branches``."""
    all_ways, all_steps = 0, 0
    for branch in branches:
        ways, steps = _steps(branch, chars)
        all_ways += ways
        all_steps += steps
        if max(all_ways, all_steps) > STEPS_MAX:
            break
    return all_ways, all_steps


def _repeated(low: int, high: int, ways: int, steps: int) -> tuple[int, int]:
    """Return the same bounds for ``low`` to ``high`` repetitions: the sum over each number of repetitions."""
    steps = max(1, steps)
    if ways == 1:
        return high - low + 1, high * steps
    all_ways, all_steps, reached = 0, 0, 1
    for count in range(high + 1):  # ends soon: with two ways or more, ``reached`` doubles at least
        if count >= low:
            all_ways += reached
        if count < high:
            all_steps += reached * steps
            reached *= ways
        if max(all_ways, all_steps, reached) > STEPS_MAX:
            return STEPS_MAX + 1, STEPS_MAX + 1
    return all_ways, all_steps
