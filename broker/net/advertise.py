"""Which address a client is told to find this broker at.

What is configured is obeyed. Otherwise the answer is one that this very client has just proved to work: the address
it connected to. Only a client that comes through a container's published port cannot use that; it is told
``localhost`` and the same port number.
"""

import socket
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from ..config import Advertised


class Endpoint(NamedTuple):
    host: str
    port: int


Advertise = Callable[[str, str, str, int], Endpoint]

_CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
_ROUTES = Path("/proc/net/route")


def advertiser(configured: Iterable[Advertised], gateway: str | None) -> Advertise:
    """Return ``advertise(listener, client host, local host, local port)``.

    ``gateway``: the address from which a container sees the clients of its published ports; None outside of one.
    """
    by_listener = {advertised.name: advertised for advertised in configured}

    def advertise(listener: str, client_host: str, local_host: str, local_port: int) -> Endpoint:
        advertised = by_listener.get(listener)
        port = advertised.port if advertised is not None and advertised.port else local_port
        if advertised is not None and advertised.host:
            return Endpoint(advertised.host, port)
        if client_host == gateway:
            return Endpoint("localhost", port)
        return Endpoint(_plain(local_host), port)

    return advertise


def _plain(host: str) -> str:
    """Return the address without the IPv6 dress of an IPv4 client and without a zone."""
    return host.removeprefix("::ffff:").partition("%")[0]


def container_gateway() -> str | None:
    """Return the default gateway when this process runs in a container, else None."""
    if not any(mark.exists() for mark in _CONTAINER_MARKS):
        return None
    try:
        lines = _ROUTES.read_text().splitlines()[1:]
    except OSError:
        return None
    for line in lines:
        fields = line.split()
        if len(fields) > 2 and fields[1] == "00000000":
            return socket.inet_ntoa(struct.pack("<I", int(fields[2], 16)))
    return None
