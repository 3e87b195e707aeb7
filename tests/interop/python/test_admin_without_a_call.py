"""Admin APIs for which none of Python's clients has a call, as far as they need no authentication."""

import pytest
from support.apache_kafka import ApacheKafka
from support.calls import every_version
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.messages.delegation_tokens import (
    CreateDelegationTokenRequest,
    DescribeDelegationTokenRequest,
    ExpireDelegationTokenRequest,
    RenewDelegationTokenRequest,
)
from barnabas.protocol.schema import Request

DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64


def _refused(server: BrokerProcess | ApacheKafka, request: Request, version: int) -> int:
    with Wire(server.port) as wire:
        return int(wire.call(request, version).error_code)


@every_version(CreateDelegationTokenRequest)
def test_nobody_gets_a_token_without_authentication(server: BrokerProcess | ApacheKafka, version: int) -> None:
    request = CreateDelegationTokenRequest(max_lifetime_ms=-1)

    assert _refused(server, request, version) == DELEGATION_TOKEN_REQUEST_NOT_ALLOWED


@every_version(DescribeDelegationTokenRequest)
def test_nobody_sees_tokens_without_authentication(server: BrokerProcess | ApacheKafka, version: int) -> None:
    assert _refused(server, DescribeDelegationTokenRequest(), version) == DELEGATION_TOKEN_REQUEST_NOT_ALLOWED


@pytest.mark.parametrize(
    "request_of_a_token",
    [
        RenewDelegationTokenRequest(hmac=b"x", renew_period_ms=1),
        ExpireDelegationTokenRequest(hmac=b"x", expiry_time_period_ms=-1),
    ],
    ids=["renew", "expire"],
)
@pytest.mark.parametrize("version", [1, 2])
def test_nobody_changes_a_token_without_authentication(
    server: BrokerProcess | ApacheKafka, request_of_a_token: Request, version: int
) -> None:
    assert _refused(server, request_of_a_token, version) == DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
