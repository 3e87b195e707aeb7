"""SaslHandshake and SaslAuthenticate on listeners that need neither."""

from __future__ import annotations

from ...protocol.errors import ErrorCode
from ...protocol.messages.sasl import (
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
    SaslHandshakeRequest,
    SaslHandshakeResponse,
)
from ..context import Context
from ..net.session import TEXT_LENGTH_MAX
from ..registry import handles


@handles(
    SaslHandshakeRequest,
    leaves_out="all listeners are PLAINTEXT: ILLEGAL_SASL_STATE, as from Kafka on such a listener",
)
def sasl_handshake(request: SaslHandshakeRequest, context: Context) -> SaslHandshakeResponse:
    """Refuse: the connection is past authentication (KafkaApis.handleSaslHandshakeRequest)."""
    mechanism = request.mechanism[:TEXT_LENGTH_MAX]
    context.broker.server.shared.refusals.tell(
        context.session,
        context.client_id,
        f"it wants to authenticate (SASL {mechanism}) on the listener {context.session.listener}, where nobody does;"
        " its security.protocol has to be PLAINTEXT",
    )
    return SaslHandshakeResponse(error_code=ErrorCode.ILLEGAL_SASL_STATE)


@handles(
    SaslAuthenticateRequest,
    leaves_out="as SaslHandshake",
)
def sasl_authenticate(request: SaslAuthenticateRequest, context: Context) -> SaslAuthenticateResponse:
    """Refuse: the connection is past authentication."""
    del request, context
    return SaslAuthenticateResponse(
        error_code=ErrorCode.ILLEGAL_SASL_STATE,
        error_message="SaslAuthenticate request received after successful authentication",
    )
