"""Which address a client is told to find this broker at.

What is configured is obeyed. Otherwise the answer is one that this very client has just proved to work: the address
it connected to. Only a client that comes through a container's published port cannot use that; it is told
``localhost`` and the same port number.
"""

import socket
import struct
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from ..config import Advertised


class Endpoint(NamedTuple):
    host: str
    port: int


Advertise = Callable[[str, str, str, int], Endpoint]

_CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
_ROUTES = Path("/proc/net/route")
_ROUTES_6 = Path("/proc/net/ipv6_route")
_ANY = "00000000"


def advertiser(configured: Iterable[Advertised], gateways: Callable[[], Collection[str]]) -> Advertise:
    """Return ``advertise(listener, client host, local host, local port)``.

    ``gateways``: returns the addresses from which a container sees the clients of its published ports now; a
    container can be put into another network while it runs.
    """
    by_listener = {advertised.name: advertised for advertised in configured}

    def advertise(listener: str, client_host: str, local_host: str, local_port: int) -> Endpoint:
        advertised = by_listener.get(listener)
        port = advertised.port if advertised is not None and advertised.port else local_port
        if advertised is not None and advertised.host:
            return Endpoint(advertised.host, port)
        if _plain(client_host) in gateways():
            return Endpoint("localhost", port)
        return Endpoint(_plain(local_host), port)

    return advertise


def _plain(host: str) -> str:
    """Return the address without the IPv6 dress of an IPv4 client and without a zone."""
    return host.removeprefix("::ffff:").partition("%")[0]


def container_gateways() -> frozenset[str]:
    """Return the default gateways, IPv4 and IPv6, when this process runs in a container, else nothing."""
    if not any(mark.exists() for mark in _CONTAINER_MARKS):
        return frozenset()
    routes = [line.split() for line in _lines(_ROUTES)[1:]]
    gateways = {socket.inet_ntoa(struct.pack("<I", int(route[2], 16))) for route in routes if route[1:2] == [_ANY]}
    for route in map(str.split, _lines(_ROUTES_6)):
        # Destination and the length of its prefix, source and its, next hop: all zeros where there is none.
        if route[:2] == [_ANY * 4, "00"] and route[4] != _ANY * 4:
            gateways.add(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(route[4])))
    return frozenset(gateways)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
