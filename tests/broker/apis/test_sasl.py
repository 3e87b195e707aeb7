"""SASL on a listener that asks for none: it comes too late."""

import pytest
from support.calls import as_of, every_version
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.sasl import (
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
    SaslHandshakeRequest,
    SaslHandshakeResponse,
)


@every_version(SaslHandshakeRequest)
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "", "NONSENSE"])
def test_a_handshake_comes_too_late(wire: Wire, version: int, mechanism: str) -> None:
    expected = SaslHandshakeResponse(error_code=ErrorCode.ILLEGAL_SASL_STATE)
    assert wire.call(SaslHandshakeRequest(mechanism=mechanism), version) == as_of(expected, version)


@every_version(SaslAuthenticateRequest)
def test_a_password_comes_too_late(wire: Wire, version: int) -> None:
    expected = SaslAuthenticateResponse(
        error_code=ErrorCode.ILLEGAL_SASL_STATE,
        error_message="SaslAuthenticate request received after successful authentication",
    )
    response = wire.call(SaslAuthenticateRequest(auth_bytes=b"\0user\0password"), version)
    assert response == as_of(expected, version)
