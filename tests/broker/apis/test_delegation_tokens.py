"""Delegation tokens are for listeners that know who asks; PLAINTEXT does not."""

import pytest
from support.calls import as_of, every_version
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.delegation_tokens import (
    CreatableRenewers,
    CreateDelegationTokenRequest,
    CreateDelegationTokenResponse,
    DescribeDelegationTokenOwner,
    DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse,
    ExpireDelegationTokenRequest,
    ExpireDelegationTokenResponse,
    RenewDelegationTokenRequest,
    RenewDelegationTokenResponse,
)

CODE = ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
NEVER = -1


@every_version(CreateDelegationTokenRequest)
@pytest.mark.parametrize("owner", [None, "", "somebody"])
def test_no_token_is_made(wire: Wire, version: int, owner: str | None) -> None:
    request = CreateDelegationTokenRequest(
        owner_principal_type=None if version < 3 else owner and "User",
        owner_principal_name=None if version < 3 else owner,
        renewers=[CreatableRenewers(principal_type="User", principal_name="me")],
        max_lifetime_ms=-1,
    )
    expected = CreateDelegationTokenResponse(
        error_code=CODE,
        principal_type="User",
        principal_name=(version >= 3 and owner) or "ANONYMOUS",
        token_requester_principal_type="User",
        token_requester_principal_name="ANONYMOUS",
        issue_timestamp_ms=NEVER,
        expiry_timestamp_ms=NEVER,
        max_timestamp_ms=NEVER,
    )
    assert wire.call(request, version) == as_of(expected, version)


@every_version(RenewDelegationTokenRequest)
def test_no_token_is_renewed(wire: Wire, version: int) -> None:
    expected = RenewDelegationTokenResponse(error_code=CODE, expiry_timestamp_ms=NEVER)
    assert wire.call(RenewDelegationTokenRequest(hmac=b"token", renew_period_ms=1), version) == as_of(
        expected, version
    )


@every_version(ExpireDelegationTokenRequest)
def test_no_token_expires(wire: Wire, version: int) -> None:
    expected = ExpireDelegationTokenResponse(error_code=CODE, expiry_timestamp_ms=NEVER)
    request = ExpireDelegationTokenRequest(hmac=b"token", expiry_time_period_ms=-1)
    assert wire.call(request, version) == as_of(expected, version)


@every_version(DescribeDelegationTokenRequest)
@pytest.mark.parametrize("owners", [None, [], ["me"]])
def test_no_token_is_described(wire: Wire, version: int, owners: list[str] | None) -> None:
    asked = owners and [DescribeDelegationTokenOwner(principal_type="User", principal_name=name) for name in owners]
    expected = DescribeDelegationTokenResponse(error_code=CODE)
    assert wire.call(DescribeDelegationTokenRequest(owners=asked), version) == as_of(expected, version)
