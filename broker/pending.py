"""Answers that are not there yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..protocol.codec import Buffer
    from ..protocol.schema import Response
    from .dispatch import Route


class Waiting:
    """Holds the place of an answer in the order of the requests. ``buffers``: its bytes, once it is there."""

    __slots__ = ("buffers", "correlation_id", "route")

    buffers: list[Buffer] | None
    correlation_id: int
    route: Route


class Pending(Waiting):
    """What a handler returns instead of an awaitable where a task would cost too much: whoever makes the answer calls
    ``answer`` with it, once, and not before the handler has returned. ``then`` takes it; without, nobody wants it.
    """

    __slots__ = ("then",)

    def __init__(self) -> None:
        self.then: Callable[[Pending, Response], None] | None = None

    def answer(self, response: Response) -> None:
        if self.then is not None:
            self.then(self, response)
