"""How many connections there may be, how long, and what becomes of them at the end."""

import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.calls import (
    batch,
    fetch_request,
    fetched,
    fresh,
    join_request,
    make_topic,
    produce,
    stable_alone,
    wait_until,
)
from support.hostile import MB, allow_open_files, assert_serves, memory_bytes
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.api_versions import ApiVersionsRequest
from barnabas.protocol.messages.fetch import FetchRequest
from barnabas.protocol.messages.group_membership import JoinGroupRequest


def is_open(wire: Wire) -> bool:
    try:
        return bool(wire.call(ApiVersionsRequest(), 0).error_code == ErrorCode.NONE)
    except OSError:
        return False


def opens(port: int) -> bool:
    with Wire(port) as wire:
        return is_open(wire)


# Many connections


def open_many(broker: BrokerProcess, count: int) -> None:
    if not allow_open_files(count + 200):
        pytest.skip(f"this process may not open {count} sockets")
    before = memory_bytes(broker)
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(broker.port)) for _ in range(count)]
        for _ in range(2):
            for wire in wires:
                wire.send(ApiVersionsRequest(), 0)
            assert all(wire.receive(ApiVersionsRequest, 0).error_code == 0 for wire in wires)
        topic = make_topic(wires[0])
        for wire in wires[1:]:
            wire.send(fetch_request((topic, 0, 0), max_wait_ms=600_000), 13)
        produce(wires[0], topic, batch())
        assert all(len(fetched(wire.receive(FetchRequest, 13))[0].records) > 0 for wire in wires[1:])
        assert (memory_bytes(broker) - before) / count < 40_000
    assert_serves(broker)


def test_2000_connections_are_served(broker: BrokerProcess) -> None:
    open_many(broker, 2000)


@pytest.mark.slow
def test_5000_connections_are_served(broker: BrokerProcess) -> None:
    open_many(broker, 5000)


def test_connections_that_come_and_go_leave_nothing_behind(broker: BrokerProcess) -> None:
    def come_and_go(times: int) -> None:
        for _ in range(times):
            with Wire(broker.port) as wire:
                assert is_open(wire)

    come_and_go(300)
    before = memory_bytes(broker)
    come_and_go(1500)
    assert memory_bytes(broker) - before < 4 * MB


def test_max_connections_is_a_limit_and_a_place_becomes_free_again(tmp_path: Path) -> None:
    with running(tmp_path / "data", "-c", "max.connections=3") as broker:
        wires = [Wire(broker.port) for _ in range(3)]
        assert all(is_open(wire) for wire in wires)
        with Wire(broker.port) as one_too_many:
            assert not is_open(one_too_many)
        assert all(is_open(wire) for wire in wires)
        wires.pop().socket.close()
        wait_until(lambda: opens(broker.port))
        for wire in wires:
            wire.socket.close()


def test_max_connections_per_ip_is_a_limit_for_each_address(tmp_path: Path) -> None:
    with running(tmp_path / "data", "-c", "max.connections.per.ip=2") as broker, ExitStack() as stack:
        wires = [stack.enter_context(Wire(broker.port)) for _ in range(2)]
        assert all(is_open(wire) for wire in wires)
        assert not is_open(stack.enter_context(Wire(broker.port)))
        elsewhere = [stack.enter_context(from_address("127.0.0.2", broker.port)) for _ in range(3)]
        assert [is_open(wire) for wire in elsewhere] == [True, True, False]


def from_address(address: str, port: int) -> Wire:
    import socket

    wire = Wire.__new__(Wire)
    wire.socket = socket.create_connection(("127.0.0.1", port), 20, source_address=(address, 0))
    wire._correlation_id, wire._buffer = 0, b""
    return wire


# Silence


def test_a_silent_connection_is_closed_and_a_busy_one_is_not(tmp_path: Path) -> None:
    with running(tmp_path / "data", "-c", "connections.max.idle.ms=3000") as broker, ExitStack() as stack:
        silent, mute, busy = [stack.enter_context(Wire(broker.port)) for _ in range(3)]
        assert is_open(silent)
        for wire in (silent, mute):
            while not ended(wire):
                assert is_open(busy)
        assert is_open(busy)


def ended(wire: Wire) -> bool:
    """Say whether the broker has closed the connection, after a moment in which it may do so."""
    wire.socket.settimeout(0.1)
    try:
        return wire.socket.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_a_negative_idle_time_never_closes(tmp_path: Path) -> None:
    with running(tmp_path / "data", "-c", "connections.max.idle.ms=-1") as broker, Wire(broker.port) as wire:
        time.sleep(2.2)
        assert is_open(wire)


# The end


def test_who_waits_when_the_broker_stops_is_answered_or_let_go(tmp_path: Path) -> None:
    with running(tmp_path / "data", "-c", "group.initial.rebalance.delay.ms=0") as broker, ExitStack() as stack:
        admin, polling, joining = [stack.enter_context(Wire(broker.port)) for _ in range(3)]
        topic = make_topic(admin)
        member = stable_alone(admin)
        polling.send(fetch_request((topic, 0, 0), max_wait_ms=600_000), 18)
        joining.send(join_request(member.group_id), 3)
        time.sleep(0.1)
        produced: list[int] = []
        stopping = threading.Thread(target=lambda: produced.append(broker.stop()))
        stopping.start()

        assert fetched(polling.receive(FetchRequest, 18))[0].error_code == ErrorCode.NONE
        assert joining.receive(JoinGroupRequest, 3).error_code == ErrorCode.NOT_COORDINATOR

        stopping.join()
        assert produced == [0]


def test_a_client_that_never_reads_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with running(tmp_path / "data") as broker, Wire(broker.port) as wire:
        topic = make_topic(wire, max_message_bytes=str(2 * MB))
        for _ in range(16):
            produce(wire, topic, batch(bytes(MB)))
        frame = wire.frame(fetch_request((topic, 0, 0), max_bytes=16 * MB, partition_max_bytes=16 * MB), 13)
        wire.socket.sendall(frame * 20)
        time.sleep(0.1)
        assert broker.stop() == 0


def test_connections_during_the_end_are_refused(tmp_path: Path) -> None:
    with running(tmp_path / "data") as broker:
        port = broker.port
        assert broker.stop() == 0
        with pytest.raises(ConnectionRefusedError):
            Wire(port)


def test_a_group_of_a_stopped_broker_goes_on_with_the_next(tmp_path: Path) -> None:
    with running(tmp_path / "data", "-c", "group.initial.rebalance.delay.ms=0") as broker:
        with Wire(broker.port) as wire:
            member = stable_alone(wire)
        broker.stop()
        broker.start()
        with Wire(broker.port) as wire:
            joined = wire.call(join_request(member.group_id, member.member_id), 5)
            assert (joined.error_code, joined.generation_id) == (ErrorCode.NONE, 2)
            assert wire.call(join_request(fresh("group"), "stranger"), 5).error_code == ErrorCode.UNKNOWN_MEMBER_ID
