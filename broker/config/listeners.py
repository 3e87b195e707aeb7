"""Where the broker listens and what it advertises, in Kafka's syntax: NAME://host:port,NAME://host:port."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from .server_table import SECURITY_PROTOCOLS

_ENDPOINT = re.compile(r"([^:/]+)://(?:\[([0-9a-zA-Z.:%]*)\]|([0-9a-zA-Z\-%._:]*)):([0-9]{1,9})")
_IPV4 = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
_SYNTAX = "NAME://host:port"
_ALL_INTERFACES = ("0.0.0.0", "::")


class Listener(NamedTuple):
    """An address to listen on. ``host``: '' means all interfaces; ``port``: 0 means a free one."""

    name: str
    host: str
    port: int
    security_protocol: str


class Advertised(NamedTuple):
    """What clients of the listener ``name`` are told to connect to.

    ``host``: '' means the address by which the client came, as if only the port had been set.
    """

    name: str
    host: str
    port: int


def parse_protocol_map(text: str) -> dict[str, str]:
    """Return the security protocol of each listener name. Raises ValueError, beginning with "must" or "has"."""
    protocols = {}
    for item in text.split(","):
        if not item.strip():
            continue
        name, colon, protocol = (part.strip().upper() for part in item.partition(":"))
        if not (name and colon):
            raise ValueError("must be a list of NAME:PROTOCOL")
        if protocol not in SECURITY_PROTOCOLS:
            raise ValueError(f"has the protocol {protocol}; known are {', '.join(SECURITY_PROTOCOLS)}")
        protocols[name] = protocol
    return protocols


def parse_listeners(
    items: Iterable[str], protocols: dict[str, str], controller_names: Iterable[str] = ()
) -> tuple[Listener, ...]:
    """Return the listeners of ``items``, those of controllers left out.

    Raises ValueError for what is not understood, not supported or there twice, in words that follow the value.
    """
    listeners: list[Listener] = []
    for name, host, port in _endpoints(items, controller_names):
        protocol = protocols.get(name)
        if protocol is None:
            raise ValueError(f"has the listener {name}, which listener.security.protocol.map does not name")
        if protocol != "PLAINTEXT":
            raise ValueError(f"has {name} speak {protocol}; only PLAINTEXT is supported so far")
        for other in listeners:
            if other.name == name:
                raise ValueError(f"has two listeners named {name}; each name may be there once")
            if port and other.port == port and not _different_families(other.host, host):
                raise ValueError(f"has two listeners on port {port}; each port may be there once")
        listeners.append(Listener(name, "" if host in _ALL_INTERFACES else host, port, protocol))
    if not listeners:
        raise ValueError(f"must have at least one listener for clients, {_SYNTAX}")
    return tuple(listeners)


def parse_advertised(
    items: Iterable[str], listeners: Iterable[Listener] | None, controller_names: Iterable[str] = ()
) -> tuple[Advertised, ...]:
    """Return what is advertised, the addresses of controllers left out.

    ``listeners``: those there are; None when they follow from what is advertised. Raises ValueError as above.
    """
    names = None if listeners is None else [listener.name for listener in listeners]
    advertised: dict[str, Advertised] = {}
    for name, host, port in _endpoints(items, controller_names):
        if host in _ALL_INTERFACES:
            raise ValueError(f"must not have the address {host}, which no client can connect to; name a host")
        if port == 0:
            raise ValueError(f"must have a port other than 0 for {name}: clients have to know it")
        if name in advertised:
            raise ValueError(f"has two addresses for {name}; each name may be there once")
        if names is not None and name not in names:
            raise ValueError(f"has the name {name}, which is not a listener; those are {', '.join(names)}")
        advertised[name] = Advertised(name, host, port)
    return tuple(advertised.values())


def listeners_behind(
    advertised: Iterable[Advertised], protocols: dict[str, str], controller_names: Iterable[str] = ()
) -> tuple[Listener, ...]:
    """Return listeners on all interfaces for what is advertised, as Kafka's image does when none are given."""
    items = [f"{name}://:{port}" for name, _, port in advertised]
    return parse_listeners(items, protocols, controller_names)


def check_names(names: Iterable[str], listeners: Iterable[Listener], controller_names: Iterable[str] = ()) -> None:
    """Raise ValueError when one of ``names`` is not a listener, in words that follow the value."""
    known = [listener.name for listener in listeners]
    for name in filter(None, map(str.strip, names)):
        if name.upper() not in (*known, *_left_out(controller_names)):
            raise ValueError(f"names {name}, which is not a listener; those are {', '.join(known)}")


def _left_out(controller_names: Iterable[str]) -> set[str]:
    return {"CONTROLLER", *(name.upper() for name in controller_names)}


def _endpoints(items: Iterable[str], controller_names: Iterable[str]) -> list[tuple[str, str, int]]:
    """Return (name, host, port) of each item that is not blank and not a controller's."""
    left_out = _left_out(controller_names)
    endpoints = []
    for item in items:
        if not item.strip():
            continue
        match = _ENDPOINT.fullmatch(item.strip())
        if match is None:
            raise ValueError(f"has {item.strip()}, which is not of the form {_SYNTAX}")
        name, port = match[1].strip().upper(), int(match[4])
        if port > 65535:
            raise ValueError(f"has port {port}; ports end at 65535")
        if name not in left_out:
            endpoints.append((name, match[2] or match[3] or "", port))
    return endpoints


def _different_families(host: str, other: str) -> bool:
    """Return whether one is an IPv4 address and the other an IPv6 one, which may share a port."""
    return bool(
        (_IPV4.fullmatch(host) and host != "0.0.0.0" and ":" in other)
        or (_IPV4.fullmatch(other) and other != "0.0.0.0" and ":" in host)
    )
