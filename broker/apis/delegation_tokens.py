"""Delegation tokens (KIP-48): never over PLAINTEXT, which is what all listeners speak so far."""

from __future__ import annotations

from ...protocol.errors import ErrorCode
from ...protocol.messages.delegation_tokens import (
    CreateDelegationTokenRequest,
    CreateDelegationTokenResponse,
    DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse,
    ExpireDelegationTokenRequest,
    ExpireDelegationTokenResponse,
    RenewDelegationTokenRequest,
    RenewDelegationTokenResponse,
)
from ..context import Context
from ..registry import handles

_NOT_ALLOWED = ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
_NEVER = -1


@handles(
    CreateDelegationTokenRequest,
    leaves_out="all listeners are PLAINTEXT: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, as from Kafka",
)
def create_delegation_token(request: CreateDelegationTokenRequest, context: Context) -> CreateDelegationTokenResponse:
    """Refuse, and say for whom it would have been (KafkaApis.allowTokenRequests)."""
    del context
    has_owner = bool(request.owner_principal_name)
    return CreateDelegationTokenResponse(
        error_code=_NOT_ALLOWED,
        principal_type=(request.owner_principal_type or "") if has_owner else "User",
        principal_name=(request.owner_principal_name or "") if has_owner else "ANONYMOUS",
        token_requester_principal_type="User",
        token_requester_principal_name="ANONYMOUS",
        issue_timestamp_ms=_NEVER,
        expiry_timestamp_ms=_NEVER,
        max_timestamp_ms=_NEVER,
    )


@handles(
    RenewDelegationTokenRequest,
    leaves_out="as CreateDelegationToken",
)
def renew_delegation_token(request: RenewDelegationTokenRequest, context: Context) -> RenewDelegationTokenResponse:
    """Refuse."""
    del request, context
    return RenewDelegationTokenResponse(error_code=_NOT_ALLOWED, expiry_timestamp_ms=_NEVER)


@handles(
    ExpireDelegationTokenRequest,
    leaves_out="as CreateDelegationToken",
)
def expire_delegation_token(request: ExpireDelegationTokenRequest, context: Context) -> ExpireDelegationTokenResponse:
    """Refuse."""
    del request, context
    return ExpireDelegationTokenResponse(error_code=_NOT_ALLOWED, expiry_timestamp_ms=_NEVER)


@handles(
    DescribeDelegationTokenRequest,
    leaves_out="as CreateDelegationToken",
)
def describe_delegation_token(
    request: DescribeDelegationTokenRequest, context: Context
) -> DescribeDelegationTokenResponse:
    """Refuse."""
    del request, context
    return DescribeDelegationTokenResponse(error_code=_NOT_ALLOWED)
