"""What a handler may know besides its request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .net.session import TEXT_LENGTH_MAX

if TYPE_CHECKING:
    from .broker import Broker
    from .net.session import Session


class Context:
    """One request's surroundings. ``client_id`` is None when the client gives none."""

    __slots__ = ("api_version", "broker", "client_id", "session")

    def __init__(self, broker: Broker, session: Session, client_id: str | None, api_version: int) -> None:
        self.broker = broker
        self.session = session
        self.client_id = client_id
        self.api_version = api_version

    @property
    def client(self) -> str:
        """The name and the address of the client, for the log."""
        return f"client {(self.client_id or '')[:TEXT_LENGTH_MAX]!r} from {self.session.client_host}"
