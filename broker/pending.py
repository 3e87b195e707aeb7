"""An answer that comes later by a plain call: for what is answered so often that a task or a future would show."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..protocol.schema import Response


class Pending:
    """What a handler returns instead of an awaitable, and whoever makes the answer calls ``answer`` with, once.

    It cannot be cancelled: an answer for which nobody waits any more goes nowhere.
    """

    __slots__ = ("_then",)

    def __init__(self) -> None:
        self._then: Callable[[Response], None] | None = None

    def when_answered(self, then: Callable[[Response], None]) -> None:
        """Have ``then`` called with the answer, which must not be there yet; it must not raise."""
        self._then = then

    def answer(self, response: Response) -> None:
        if self._then is not None:
            self._then(response)
