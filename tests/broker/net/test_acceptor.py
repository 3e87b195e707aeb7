"""How connections are accepted: many in one turn of the event loop, and not at all for a moment when that fails."""

import asyncio
import errno
import itertools
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import uvloop
from support.process import BrokerProcess

from barnabas.broker.broker import Broker
from barnabas.broker.config import BrokerConfig
from barnabas.broker.config.sources import Given
from barnabas.broker.net import acceptor, connection
from barnabas.broker.net.acceptor import Acceptor

LOOPS = [pytest.param(uvloop.new_event_loop, id="uvloop"), pytest.param(asyncio.new_event_loop, id="asyncio")]


@pytest.fixture(params=LOOPS)
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner


async def started(path: Path) -> Broker:
    listeners = Given("PLAINTEXT://127.0.0.1:0", "test")
    broker = Broker(BrokerConfig({"log.dirs": Given(str(path), "test"), "listeners": listeners}))
    await broker.start()
    return broker


def connected(stack: ExitStack, broker: Broker, count: int) -> list[socket.socket]:
    """Return connections that the kernel has taken and the broker has not."""
    address = ("127.0.0.1", broker.server.ports["PLAINTEXT"])
    return [stack.enter_context(socket.create_connection(address)) for _ in range(count)]


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.01)


def test_connections_that_wait_are_accepted_within_a_few_turns(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def accept() -> int:
        broker = await started(tmp_path)
        try:
            with ExitStack() as stack:
                connected(stack, broker, 300)
                await turns(300 // acceptor.ACCEPTS_PER_TURN + 5)
                return len(broker.server.shared.connections)
        finally:
            await broker.stop()

    assert runner.run(accept()) == 300


def test_a_turn_accepts_a_bounded_number_of_connections(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def accept() -> list[int]:
        broker = await started(tmp_path)
        connections = broker.server.shared.connections
        seen = [0]
        try:
            with ExitStack() as stack:
                connected(stack, broker, 350)
                while len(connections) < 350:
                    await turns(1)
                    seen.append(len(connections))
        finally:
            await broker.stop()
        return seen

    seen = runner.run(accept())
    assert max(after - before for before, after in itertools.pairwise(seen)) <= acceptor.ACCEPTS_PER_TURN


def test_an_accepted_socket_sends_at_once_and_notices_dead_peers(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def accept() -> tuple[int, int]:
        broker = await started(tmp_path)
        try:
            with ExitStack() as stack:
                connected(stack, broker, 1)
                await until(lambda: len(broker.server.shared.connections) == 1)
                (accepted,) = broker.server.shared.connections
                sock = accepted._transport.get_extra_info("socket")
                no_delay = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                return no_delay, sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        finally:
            await broker.stop()

    assert runner.run(accept()) == (1, 1)


def test_clients_that_give_up_before_they_are_accepted_leave_nothing(
    runner: asyncio.Runner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def accept() -> int:
        broker = await started(tmp_path)
        try:
            with ExitStack() as stack:
                for one in connected(stack, broker, 50):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close with a reset
                    one.close()
                connected(stack, broker, 1)
                await until(lambda: len(broker.server.shared.connections) == 1)
                return len(broker.server.shared.connections)
        finally:
            await broker.stop()

    assert runner.run(accept()) == 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_connections_that_are_being_set_up_end_with_the_broker(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def stop_amid(after_turns: int) -> None:
        broker = await started(tmp_path)
        with ExitStack() as stack:
            clients = connected(stack, broker, 20)
            await turns(after_turns)
            await broker.stop()
            for one in clients:
                one.settimeout(20)
                try:
                    assert one.recv(1) == b""
                except ConnectionError:
                    pass

    for after_turns in range(5):
        runner.run(stop_amid(after_turns))


class Exhausted(socket.socket):
    """A socket that cannot accept while there is an ``error``."""

    error = errno.EMFILE
    tries = 0

    def accept(self) -> tuple[socket.socket, object]:
        self.tries += 1
        if self.error:
            raise OSError(self.error, "Too many open files")
        return super().accept()


def test_without_descriptors_it_rests_says_so_once_and_goes_on(
    runner: asyncio.Runner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def accept() -> int:
        broker = await started(tmp_path)
        listening = Exhausted()
        listening.bind(("127.0.0.1", 0))
        one = Acceptor(broker.server.shared, "PLAINTEXT", listening, 10)
        try:
            with socket.create_connection(listening.getsockname()):
                await until(lambda: listening.tries > 0)
                tries = listening.tries
                await turns(100)
                assert listening.tries <= tries + 1  # not once a turn
                await until(lambda: listening.tries > 2)
                listening.error = 0
                await until(lambda: len(broker.server.shared.connections) == 1)
                return len(caplog.records)
        finally:
            one.close()
            await broker.stop()

    runner.run(accept())
    complaints = [record for record in caplog.records if "cannot accept connections for now" in record.message]
    assert len(complaints) == 1


def test_a_listener_that_rests_can_be_closed(runner: asyncio.Runner, tmp_path: Path) -> None:
    async def close() -> int:
        broker = await started(tmp_path)
        listening = Exhausted()
        listening.bind(("127.0.0.1", 0))
        one = Acceptor(broker.server.shared, "PLAINTEXT", listening, 10)
        with socket.create_connection(listening.getsockname()):
            await until(lambda: listening.tries == 1)
            one.close()
            await broker.stop()
        return listening.fileno()

    assert runner.run(close()) == -1


def test_each_of_a_crowd_is_served_once_a_turn(
    runner: asyncio.Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CROWD_MIN", 1)

    async def ask() -> tuple[int, int]:
        broker = await started(tmp_path)
        request = bytes.fromhex("0000000a 0012 0000 00000001 ffff")
        try:
            with ExitStack() as stack:
                (client,) = connected(stack, broker, 1)
                await until(lambda: len(broker.server.shared.connections) == 1)
                (accepted,) = broker.server.shared.connections
                buffer = accepted.get_buffer(-1)
                answered = []
                for _ in range(2):
                    buffer[: len(request)] = request
                    accepted.buffer_updated(len(request))
                    answered.append(accepted._next_turn is not None)
                    buffer = accepted.get_buffer(-1)
                loop = asyncio.get_running_loop()
                client.setblocking(False)
                got = b""
                while len(got) < 4 or len(got) < 2 * (4 + int.from_bytes(got[:4], "big")):
                    got += await loop.sock_recv(client, 65536)
                assert answered == [True, True]
                return len(got) % 2, len(got) - 2 * (4 + int.from_bytes(got[:4], "big"))
        finally:
            await broker.stop()

    assert runner.run(ask()) == (0, 0)


def test_many_connections_at_once_are_all_answered(broker: BrokerProcess) -> None:
    request = bytes.fromhex("0000000a 0012 0000 00000001 ffff")
    with ExitStack() as stack:
        clients = []
        for _ in range(1200):
            clients.append(stack.enter_context(socket.create_connection(("127.0.0.1", broker.port), 20)))
            clients[-1].sendall(request * 3)
        for client in clients:
            got = b""
            while len(got) < 4 or len(got) < 3 * (4 + int.from_bytes(got[:4], "big")):
                received = client.recv(65536)
                assert received
                got += received
