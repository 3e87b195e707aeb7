"""What the broker knows of the client behind one connection."""

from .advertise import Advertise, Endpoint

# How much the log shows of a text that a client may choose.
TEXT_LENGTH_MAX = 100


class Session:
    """One connection's facts. ``software``: name and version that the client gave itself (KIP-511)."""

    __slots__ = ("_advertise", "_endpoint", "client_host", "listener", "local_host", "local_port", "software")

    def __init__(
        self, listener: str, client_host: str, local_host: str, local_port: int, advertise: Advertise
    ) -> None:
        self.listener = listener
        self.client_host = client_host
        self.local_host = local_host
        self.local_port = local_port
        self.software = ("", "")
        self._advertise = advertise
        self._endpoint: Endpoint | None = None

    @property
    def advertise(self) -> Advertise:
        """How the broker is advertised now."""
        return self._advertise

    @advertise.setter
    def advertise(self, advertise: Advertise) -> None:
        self._advertise = advertise
        self._endpoint = None

    @property
    def endpoint(self) -> Endpoint:
        """Return where this client is told to find the broker."""
        if self._endpoint is None:
            self._endpoint = self._advertise(self.listener, self.client_host, self.local_host, self.local_port)
        return self._endpoint
