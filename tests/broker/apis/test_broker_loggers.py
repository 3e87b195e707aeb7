"""The loggers of a running broker, read with DescribeConfigs and changed with IncrementalAlterConfigs (KIP-412)."""

from pathlib import Path

import pytest
from support.calls import (
    APPEND,
    BROKER,
    BROKER_LOGGER,
    DELETE,
    SET,
    SUBTRACT,
    as_of,
    both_ends,
    configure,
    described,
    every_version,
    increment,
    increments,
)
from support.process import running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.alter_configs import (
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from barnabas.protocol.messages.configs import DescribeConfigsRequest

ENDS = both_ends(IncrementalAlterConfigsRequest)
LOGGER = "barnabas.broker.errors"
FROM_LOGGER = 6


def levels(wire: Wire) -> dict[str, str | None]:
    return {name: config.value for name, config in described(wire, BROKER_LOGGER, "1").items()}


@every_version(DescribeConfigsRequest)
def test_the_loggers_are_described(wire: Wire, version: int) -> None:
    configs = described(wire, BROKER_LOGGER, "1", version)
    assert {"root", "barnabas", "barnabas.storage.segments", LOGGER} <= configs.keys()
    assert {config.config_source for config in configs.values()} == {FROM_LOGGER}
    assert not any(config.read_only or config.is_sensitive or config.synonyms for config in configs.values())


@every_version(IncrementalAlterConfigsRequest)
@pytest.mark.parametrize("level", ["FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"])
def test_a_level_is_set_and_put_back(wire: Wire, version: int, level: str) -> None:
    before = levels(wire)
    result = AlterConfigsResourceResponse(error_message=None, resource_type=BROKER_LOGGER, resource_name="1")
    expected = as_of(IncrementalAlterConfigsResponse(responses=[result]), version)
    assert wire.call(increments(BROKER_LOGGER, "1", (LOGGER, SET, level)), version) == expected
    assert levels(wire) == {**before, LOGGER: level}
    assert wire.call(increments(BROKER_LOGGER, "1", (LOGGER, DELETE, None)), version) == expected
    assert levels(wire) == before


def test_a_logger_has_the_level_of_its_parent(wire: Wire) -> None:
    before = levels(wire)
    configure(wire, BROKER_LOGGER, "1", root="ERROR", barnabas_storage="DEBUG")
    try:
        after = levels(wire)
        assert after["barnabas.storage.segments"] == "DEBUG"
        assert after["root"] == "ERROR"
    finally:
        configure(wire, BROKER_LOGGER, "1", root=before["root"], barnabas_storage=None)
    assert levels(wire) == before


@ENDS
def test_levels_can_be_tried_out(wire: Wire, version: int) -> None:
    before = levels(wire)
    request = increments(BROKER_LOGGER, "1", (LOGGER, SET, "TRACE"), validate_only=True)
    assert wire.call(request, version).responses[0].error_code == ErrorCode.NONE
    assert levels(wire) == before


@ENDS
@pytest.mark.parametrize(
    ("name", "setting", "operation", "value", "code"),
    [
        ("1", "no.such.logger", SET, "INFO", ErrorCode.INVALID_CONFIG),
        ("1", "no.such.logger", DELETE, None, ErrorCode.INVALID_CONFIG),
        ("1", LOGGER, SET, "LOUD", ErrorCode.INVALID_CONFIG),
        ("1", LOGGER, SET, "info", ErrorCode.INVALID_CONFIG),
        ("1", LOGGER, SET, "", ErrorCode.INVALID_CONFIG),
        ("1", LOGGER, SET, None, ErrorCode.INVALID_REQUEST),
        ("1", LOGGER, APPEND, "INFO", ErrorCode.INVALID_REQUEST),
        ("1", LOGGER, SUBTRACT, "INFO", ErrorCode.INVALID_REQUEST),
        ("1", LOGGER, 9, "INFO", ErrorCode.INVALID_REQUEST),
        ("1", "root", DELETE, None, ErrorCode.INVALID_REQUEST),
        ("", LOGGER, SET, "INFO", ErrorCode.INVALID_REQUEST),
        ("2", LOGGER, SET, "INFO", ErrorCode.INVALID_REQUEST),
        ("one", LOGGER, SET, "INFO", ErrorCode.INVALID_REQUEST),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(
    wire: Wire, version: int, name: str, setting: str, operation: int, value: str | None, code: ErrorCode
) -> None:
    before = levels(wire)
    steps = ("barnabas.storage.segments", SET, "TRACE"), (setting, operation, value)
    result = increment(wire, BROKER_LOGGER, name, *steps, version=version)
    assert (result.error_code, result.resource_name) == (code, name)
    assert result.error_message
    assert levels(wire) == before


def test_a_level_counts_at_once_and_ends_with_the_process(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--log-level", "error") as broker:
        with Wire(broker.port) as wire:
            configure(wire, BROKER_LOGGER, "1", barnabas_broker_net_connection="WARN")
            configure(wire, BROKER, "1", max_connections="2")
            with Wire(broker.port), Wire(broker.port) as third, pytest.raises(ConnectionError):
                third.receive_frame()
        assert "max.connections is 2" in broker.log.read_text()
        broker.stop()
        broker.start()
        with Wire(broker.port) as wire:
            assert levels(wire)["barnabas.broker.net.connection"] == "ERROR"
