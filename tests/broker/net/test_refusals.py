"""What the operator is told of clients that cannot work with this broker."""

import logging
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import wait_until
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.broker.net import refusals
from barnabas.broker.net.advertise import Endpoint
from barnabas.broker.net.refusals import Refusals
from barnabas.broker.net.session import Session
from barnabas.protocol.api_names import API_NAMES, api_name
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.api_versions import ApiVersionsRequest
from barnabas.protocol.messages.sasl import SaslHandshakeRequest
from barnabas.protocol.schema import Request


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    """A broker that logs as it does by default."""
    with running(tmp_path / "data") as process:
        yield process


def refused_lines(broker: BrokerProcess) -> list[str]:
    return [line for line in broker.log.read_text().splitlines() if "refused client" in line]


def ask(broker: BrokerProcess, key: int, version: int, client_id: bytes = b"old", software: str = "") -> None:
    """Send a request that is not supported, and expect the connection to be closed."""
    with Wire(broker.port) as wire:
        if software:
            wire.call(ApiVersionsRequest(client_software_name=software, client_software_version="1.0"), 3)
        body = struct.pack(">hhih", key, version, 1, len(client_id)) + client_id
        wire.socket.sendall(struct.pack(">i", len(body)) + body)
        with pytest.raises(ConnectionError):
            wire.receive_frame()


@pytest.mark.parametrize(
    ("key", "version", "said"),
    [
        (1, 2, "it uses Fetch version 2, supported are 4 to 18; use a client as of Kafka 2.1 or newer"),
        (
            1,
            99,
            "it uses Fetch version 99, supported are 4 to 18; a client has to ask for the versions (ApiVersions)",
        ),
        (6, 0, "it uses UpdateMetadata, which is not offered here; docs/compatibility.md lists what is"),
        (300, 0, "it uses API key 300, which Kafka does not have; docs/compatibility.md lists what is"),
    ],
)
def test_the_line_names_the_api_the_client_and_what_to_do(
    key: int, version: int, said: str, broker: BrokerProcess
) -> None:
    ask(broker, key, version, b"billing\n\x1b[31m", "sarama")
    (line,) = refused_lines(broker)
    assert (
        " INFO barnabas.broker.net.refusals: refused client 'billing\\n\\x1b[31m' (sarama 1.0) from 127.0.0.1: "
        in line
    )
    assert said in line


def test_a_client_that_tries_again_and_again_is_told_of_once(broker: BrokerProcess) -> None:
    for software in ("sarama", "sarama", "", "", "sarama", "kafka-python"):
        ask(broker, 1, 0, software=software)
    lines = refused_lines(broker)
    assert ["(sarama 1.0)" in line for line in lines] == [True, False, False]
    assert ["(unknown software)" in line for line in lines] == [False, True, False]


def test_at_level_debug_each_time_is_told(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--log-level", "debug") as broker:
        for _ in range(3):
            ask(broker, 1, 0)
        lines = refused_lines(broker)
    assert [" INFO " in line for line in lines] == [True, False, False]


def test_a_client_that_wants_to_authenticate_is_told_of(broker: BrokerProcess) -> None:
    with Wire(broker.port) as wire:
        answer = wire.call(SaslHandshakeRequest(mechanism="SCRAM-SHA-256"), 1)
        assert answer.error_code == ErrorCode.ILLEGAL_SASL_STATE
    wait_until(lambda: bool(refused_lines(broker)))
    (line,) = refused_lines(broker)
    assert (
        "refused client 'wire' (unknown software) from 127.0.0.1: it wants to authenticate (SASL SCRAM-SHA-256)"
        in line
    )
    assert "its security.protocol has to be PLAINTEXT" in line


@pytest.mark.parametrize("length", [-1, 0, 5, 32_767])
def test_a_client_id_that_is_not_there_is_not_looked_for(length: int, broker: BrokerProcess) -> None:
    with Wire(broker.port) as wire:
        body = struct.pack(">hhih", 1, 0, 1, length) + b"ab"
        wire.socket.sendall(struct.pack(">i", len(body)) + body)
        with pytest.raises(ConnectionError):
            wire.receive_frame()
    (line,) = refused_lines(broker)
    assert "refused client 'ab'" in line if length > 0 else "refused client ''" in line


# Remembering


class Clock:
    now_s = 0.0


def session(host: str, name: str = "", version: str = "") -> Session:
    made = Session("PLAINTEXT", host, "127.0.0.1", 9092, lambda *_: Endpoint("", 0))
    made.software = (name, version)
    return made


def test_a_client_is_told_of_again_after_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    told = Refusals(lambda: clock.now_s)
    with caplog.at_level(logging.INFO):
        for clock.now_s in (0.0, refusals.REPEAT_S - 1, refusals.REPEAT_S, refusals.REPEAT_S + 1):
            told.tell(session("a"), None, "no")
    assert len(caplog.records) == 2


def test_only_so_many_clients_are_remembered_and_only_so_much_of_their_names(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = Refusals(lambda: 0.0)
    with caplog.at_level(logging.INFO):
        for number in range(refusals.CLIENTS_MAX + 10):
            told.tell(session("a", f"{number}{'x' * 10_000}", "y" * 10_000), "z" * 10_000, "no")
    assert len(told._told_s) == refusals.CLIENTS_MAX
    assert max(len(record.message) for record in caplog.records) < 4 * refusals.TEXT_LENGTH_MAX


# Names


def test_the_names_are_those_of_the_messages() -> None:
    declared = {request.api_key: request.api_name() for request in Request.__subclasses__()}
    assert {key: api_name(key) for key in declared} == declared


def test_other_keys_have_no_name() -> None:
    assert (api_name(-1), api_name(len(API_NAMES))) == (None, None)
    assert (api_name(4), api_name(70)) == ("LeaderAndIsr", "ControllerRegistration")
