"""Listeners of a change that fails: none of their sockets stays open."""

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from barnabas.broker.broker import Broker
from barnabas.broker.config import BrokerConfig
from barnabas.broker.config.sources import Given
from barnabas.broker.net import listener
from barnabas.broker.resources import ResourceType, find
from barnabas.storage.errors import CatalogError


async def started(path: Path) -> Broker:
    values = {
        "log.dirs": str(path),
        "listeners": "PLAINTEXT://127.0.0.1:0",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,NEW:PLAINTEXT",
    }
    broker = Broker(BrokerConfig({name: Given(value, "test") for name, value in values.items()}))
    await broker.start()
    return broker


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def with_new(port: int) -> dict[str, str]:
    return {"listeners": f"PLAINTEXT://127.0.0.1:0,NEW://127.0.0.1:{port}"}


async def test_a_listener_is_closed_when_the_change_cannot_be_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise CatalogError("disk full")

    broker = await started(tmp_path)
    try:
        resource = find(broker, ResourceType.BROKER, "1", to_alter=True)
        port = free_port()
        with monkeypatch.context() as patch:
            patch.setattr(broker.catalog, "commit", fail)
            with pytest.raises(CatalogError):
                await resource.configure(with_new(port))
        assert broker.server.ports.keys() == {"PLAINTEXT"}
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        await resource.configure(with_new(port))
        socket.create_connection(("127.0.0.1", port)).close()
    finally:
        await broker.stop()


@pytest.mark.parametrize("validate_only", [True, False])
async def test_what_is_bound_after_the_change_was_cancelled_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, validate_only: bool
) -> None:
    made: list[socket.socket] = []
    begun, may_end = threading.Event(), threading.Event()
    bind = listener._bind

    def slow(wanted: listener.Listener) -> list[socket.socket]:
        begun.set()
        may_end.wait()
        made.extend(bind(wanted))
        return made

    broker = await started(tmp_path)
    try:
        resource = find(broker, ResourceType.BROKER, "1", to_alter=True)
        monkeypatch.setattr(listener, "_bind", slow)
        change = asyncio.ensure_future(resource.configure(with_new(free_port()), validate_only))
        await asyncio.to_thread(begun.wait)
        change.cancel()
        with pytest.raises(asyncio.CancelledError):
            await change
        may_end.set()
        while not made or any(one.fileno() >= 0 for one in made):
            await asyncio.sleep(0.01)
        assert broker.server.ports.keys() == {"PLAINTEXT"}
    finally:
        may_end.set()
        await broker.stop()
