"""SCRAM credentials as an administrator sees them (KIP-554)."""

from collections.abc import Callable

import pytest
from support.calls import fresh
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.scram_credentials import (
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse,
    AlterUserScramCredentialsResult,
    CredentialInfo,
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
    ScramCredentialDeletion,
    ScramCredentialUpsertion,
    UserName,
)

SHA_256, SHA_512 = 1, 2


def stored(user: str, mechanism: int = SHA_256, iterations: int = 4096) -> ScramCredentialUpsertion:
    return ScramCredentialUpsertion(
        name=user, mechanism=mechanism, iterations=iterations, salt=b"salt", salted_password=b"salted password"
    )


def deleted(user: str, mechanism: int = SHA_256) -> ScramCredentialDeletion:
    return ScramCredentialDeletion(name=user, mechanism=mechanism)


def alter(wire: Wire, *alterations: ScramCredentialUpsertion | ScramCredentialDeletion) -> dict[str, int]:
    """Return what becomes of each user."""
    request = AlterUserScramCredentialsRequest(
        deletions=[one for one in alterations if isinstance(one, ScramCredentialDeletion)],
        upsertions=[one for one in alterations if isinstance(one, ScramCredentialUpsertion)],
    )
    response = wire.call(request, 0)
    codes = {result.user: result.error_code for result in response.results}
    assert len(codes) == len(response.results)
    assert all(bool(result.error_code) == bool(result.error_message) for result in response.results)
    return codes


def describe(wire: Wire, *users: str) -> DescribeUserScramCredentialsResponse:
    request = DescribeUserScramCredentialsRequest(users=[UserName(name=user) for user in users])
    return wire.call(request, 0)  # type: ignore[no-any-return]


def known(wire: Wire, user: str) -> list[tuple[int, int]]:
    """Return mechanisms and iterations."""
    (result,) = describe(wire, user).results
    return [(info.mechanism, info.iterations) for info in result.credential_infos]


def described(user: str, *infos: tuple[int, int]) -> DescribeUserScramCredentialsResult:
    return DescribeUserScramCredentialsResult(
        user=user,
        error_message=None,
        credential_infos=[CredentialInfo(mechanism=mechanism, iterations=count) for mechanism, count in infos],
    )


def test_credentials_are_stored_replaced_and_deleted(wire: Wire) -> None:
    user = fresh("user")
    request = AlterUserScramCredentialsRequest(upsertions=[stored(user)])
    result = AlterUserScramCredentialsResult(user=user, error_message=None)
    assert wire.call(request, 0) == AlterUserScramCredentialsResponse(results=[result])
    assert known(wire, user) == [(SHA_256, 4096)]
    assert alter(wire, stored(user, SHA_512, 16384)) == {user: ErrorCode.NONE}
    assert alter(wire, stored(user, SHA_256, 8192)) == {user: ErrorCode.NONE}
    expected = DescribeUserScramCredentialsResponse(
        error_message=None, results=[described(user, (SHA_256, 8192), (SHA_512, 16384))]
    )
    assert describe(wire, user) == expected
    assert alter(wire, deleted(user, SHA_256)) == {user: ErrorCode.NONE}
    assert known(wire, user) == [(SHA_512, 16384)]
    assert alter(wire, deleted(user, SHA_512)) == {user: ErrorCode.NONE}
    assert known(wire, user) == []


@pytest.mark.parametrize("users", [None, []])
def test_everybody_is_described_when_nobody_is_named(wire: Wire, users: list[UserName] | None) -> None:
    names = [fresh("user"), fresh("user")]
    alter(wire, *map(stored, names))
    results = wire.call(DescribeUserScramCredentialsRequest(users=users), 0).results
    assert all(described(name, (SHA_256, 4096)) in results for name in names)


def test_who_has_no_credentials_is_told_so(wire: Wire) -> None:
    user = fresh("user")
    alter(wire, stored(user))
    response = describe(wire, "nobody", user)
    nobody = DescribeUserScramCredentialsResult(
        user="nobody",
        error_code=ErrorCode.RESOURCE_NOT_FOUND,
        error_message="Attempt to describe a user credential that does not exist: nobody",
    )
    assert sorted(response.results, key=lambda result: result.user) == [nobody, described(user, (SHA_256, 4096))]
    assert response.error_code == ErrorCode.NONE


def test_who_is_named_twice_is_not_described(wire: Wire) -> None:
    user = fresh("user")
    alter(wire, stored(user))
    (result,) = describe(wire, user, user).results
    assert (result.user, result.error_code) == (user, ErrorCode.DUPLICATE_RESOURCE)
    assert result.error_message
    assert result.credential_infos == []


@pytest.mark.parametrize(
    ("alteration", "code"),
    [
        (stored(""), ErrorCode.UNACCEPTABLE_CREDENTIAL),
        (stored("x", iterations=4095), ErrorCode.UNACCEPTABLE_CREDENTIAL),
        (stored("x", iterations=16385), ErrorCode.UNACCEPTABLE_CREDENTIAL),
        (stored("x", mechanism=0), ErrorCode.UNSUPPORTED_SASL_MECHANISM),
        (stored("x", mechanism=3), ErrorCode.UNSUPPORTED_SASL_MECHANISM),
        (deleted(""), ErrorCode.UNACCEPTABLE_CREDENTIAL),
        (deleted("x", mechanism=3), ErrorCode.UNSUPPORTED_SASL_MECHANISM),
        (deleted("x"), ErrorCode.RESOURCE_NOT_FOUND),
    ],
)
def test_a_credential_that_cannot_be_is_refused(
    wire: Wire, alteration: ScramCredentialUpsertion | ScramCredentialDeletion, code: ErrorCode
) -> None:
    other = fresh("user")
    assert alter(wire, alteration, stored(other)) == {alteration.name: code, other: ErrorCode.NONE}
    assert known(wire, "x") == []


@pytest.mark.parametrize(
    "alterations",
    [[stored("y"), stored("y", SHA_512)], [deleted("y"), stored("y")], [deleted("y"), deleted("y")]],
)
def test_a_user_changes_once_in_a_request(
    wire: Wire, alterations: list[ScramCredentialUpsertion | ScramCredentialDeletion]
) -> None:
    alter(wire, stored("y", iterations=8192))
    assert alter(wire, *alterations) == {"y": ErrorCode.DUPLICATE_RESOURCE}
    assert known(wire, "y") == [(SHA_256, 8192)]


@pytest.mark.parametrize(
    ("alterations", "code"),
    [
        ([stored("z", mechanism=0), stored("z")], ErrorCode.UNSUPPORTED_SASL_MECHANISM),
        ([stored("z"), stored("z", mechanism=0)], ErrorCode.DUPLICATE_RESOURCE),
        ([stored(""), stored("")], ErrorCode.UNACCEPTABLE_CREDENTIAL),
        ([stored("z", iterations=1), stored("z")], ErrorCode.UNACCEPTABLE_CREDENTIAL),
        ([deleted("z"), stored("z")], ErrorCode.RESOURCE_NOT_FOUND),
        ([deleted("z", mechanism=7), deleted("z")], ErrorCode.UNSUPPORTED_SASL_MECHANISM),
        ([stored("z"), stored("z"), stored("z", iterations=1)], ErrorCode.DUPLICATE_RESOURCE),
    ],
)
def test_the_first_fault_of_a_user_is_told(
    wire: Wire, alterations: list[ScramCredentialUpsertion | ScramCredentialDeletion], code: ErrorCode
) -> None:
    """Apache Kafka 4.3.1 answers the same requests with these codes (tests/interop/test_error_texts.py)."""
    assert alter(wire, *alterations) == {alterations[0].name: code}
    assert known(wire, "z") == []


def test_nothing_to_change_is_no_error(wire: Wire) -> None:
    assert wire.call(AlterUserScramCredentialsRequest(), 0) == AlterUserScramCredentialsResponse()


@pytest.mark.parametrize("end", [BrokerProcess.stop, BrokerProcess.kill], ids=["stop", "kill"])
def test_credentials_survive_the_end_of_the_process(
    broker: BrokerProcess, end: Callable[[BrokerProcess], object]
) -> None:
    kept, gone = fresh("kept"), fresh("gone")
    with Wire(broker.port) as wire:
        alter(wire, stored(kept), stored(gone))
        alter(wire, deleted(gone))
    end(broker)
    broker.start()
    with Wire(broker.port) as wire:
        assert (known(wire, kept), known(wire, gone)) == ([(SHA_256, 4096)], [])


def test_no_password_is_kept(broker: BrokerProcess, wire: Wire) -> None:
    user = fresh("user")
    alter(wire, stored(user))
    content = b"".join(path.read_bytes() for path in broker.data_dir.glob("catalog.sqlite*"))
    assert user.encode() in content
    assert b"salted password" not in content
