"""Delegation tokens (KIP-48)."""

from ..primitives import data, int16, int32, int64, string
from ..schema import Request, Response, Struct, since


class CreatableRenewers(Struct):
    """A principal that may renew the token."""

    principal_type: string = since("1+")
    principal_name: string = since("1+")


class CreateDelegationTokenRequest(Request, api_key=38, versions="1-3", flexible="2+"):
    """Make a token; ``max_lifetime_ms`` -1: the broker's limit."""

    owner_principal_type: string | None = since("3+")
    owner_principal_name: string | None = since("3+")
    renewers: list[CreatableRenewers] = since("1+")
    max_lifetime_ms: int64 = since("1+")


class CreateDelegationTokenResponse(Response, answers=CreateDelegationTokenRequest):
    """The token and its times, ms since the epoch."""

    error_code: int16 = since("1+")
    principal_type: string = since("1+")
    principal_name: string = since("1+")
    token_requester_principal_type: string = since("3+")
    token_requester_principal_name: string = since("3+")
    issue_timestamp_ms: int64 = since("1+")
    expiry_timestamp_ms: int64 = since("1+")
    max_timestamp_ms: int64 = since("1+")
    token_id: string = since("1+")
    hmac: data = since("1+")
    throttle_time_ms: int32 = since("1+")


class RenewDelegationTokenRequest(Request, api_key=39, versions="1-2", flexible="2+"):
    """Let a token live ``renew_period_ms`` longer."""

    hmac: data = since("1+")
    renew_period_ms: int64 = since("1+")


class RenewDelegationTokenResponse(Response, answers=RenewDelegationTokenRequest):
    """The new end of the token."""

    error_code: int16 = since("1+")
    expiry_timestamp_ms: int64 = since("1+")
    throttle_time_ms: int32 = since("1+")


class ExpireDelegationTokenRequest(Request, api_key=40, versions="1-2", flexible="2+"):
    """End a token after ``expiry_time_period_ms``; below 0: now."""

    hmac: data = since("1+")
    expiry_time_period_ms: int64 = since("1+")


class ExpireDelegationTokenResponse(Response, answers=ExpireDelegationTokenRequest):
    """The new end of the token."""

    error_code: int16 = since("1+")
    expiry_timestamp_ms: int64 = since("1+")
    throttle_time_ms: int32 = since("1+")


class DescribeDelegationTokenOwner(Struct):
    """A principal whose tokens are asked for."""

    principal_type: string = since("1+")
    principal_name: string = since("1+")


class DescribeDelegationTokenRequest(Request, api_key=41, versions="1-3", flexible="2+"):
    """Describe tokens; ``owners`` null: all."""

    owners: list[DescribeDelegationTokenOwner] | None = since("1+")


class DescribedDelegationTokenRenewer(Struct):
    """A principal that may renew the token."""

    principal_type: string = since("1+")
    principal_name: string = since("1+")


class DescribedDelegationToken(Struct):
    """A token and its times, ms since the epoch."""

    principal_type: string = since("1+")
    principal_name: string = since("1+")
    token_requester_principal_type: string = since("3+")
    token_requester_principal_name: string = since("3+")
    issue_timestamp: int64 = since("1+")
    expiry_timestamp: int64 = since("1+")
    max_timestamp: int64 = since("1+")
    token_id: string = since("1+")
    hmac: data = since("1+")
    renewers: list[DescribedDelegationTokenRenewer] = since("1+")


class DescribeDelegationTokenResponse(Response, answers=DescribeDelegationTokenRequest):
    """The tokens."""

    error_code: int16 = since("1+")
    tokens: list[DescribedDelegationToken] = since("1+")
    throttle_time_ms: int32 = since("1+")
