"""DescribeUserScramCredentials and AlterUserScramCredentials (KIP-554)."""

from ..primitives import data, int8, int16, int32, string
from ..schema import Request, Response, Struct, since


class UserName(Struct):
    """A user."""

    name: string = since("0+")


class DescribeUserScramCredentialsRequest(Request, api_key=50, versions="0", flexible="0+"):
    """Describe credentials; ``users`` null: of everybody."""

    users: list[UserName] | None = since("0+")


class CredentialInfo(Struct):
    """A mechanism and its iterations."""

    mechanism: int8 = since("0+")
    iterations: int32 = since("0+")


class DescribeUserScramCredentialsResult(Struct):
    """The credentials of one user."""

    user: string = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+")
    credential_infos: list[CredentialInfo] = since("0+")


class DescribeUserScramCredentialsResponse(Response, answers=DescribeUserScramCredentialsRequest):
    """One result per user."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+")
    results: list[DescribeUserScramCredentialsResult] = since("0+")


class ScramCredentialDeletion(Struct):
    """A credential to remove."""

    name: string = since("0+")
    mechanism: int8 = since("0+")


class ScramCredentialUpsertion(Struct):
    """A credential to make or replace."""

    name: string = since("0+")
    mechanism: int8 = since("0+")
    iterations: int32 = since("0+")
    salt: data = since("0+")
    salted_password: data = since("0+")


class AlterUserScramCredentialsRequest(Request, api_key=51, versions="0", flexible="0+"):
    """Change credentials."""

    deletions: list[ScramCredentialDeletion] = since("0+")
    upsertions: list[ScramCredentialUpsertion] = since("0+")


class AlterUserScramCredentialsResult(Struct):
    """The result for one user."""

    user: string = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+")


class AlterUserScramCredentialsResponse(Response, answers=AlterUserScramCredentialsRequest):
    """One result per user."""

    throttle_time_ms: int32 = since("0+")
    results: list[AlterUserScramCredentialsResult] = since("0+")
