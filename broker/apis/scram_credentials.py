"""DescribeUserScramCredentials and AlterUserScramCredentials (KIP-554)."""

from __future__ import annotations

from collections import Counter

from ...protocol.errors import ErrorCode
from ...protocol.messages.scram_credentials import (
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse,
    AlterUserScramCredentialsResult,
    CredentialInfo,
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
    ScramCredentialDeletion,
    ScramCredentialUpsertion,
)
from ..context import Context
from ..errors import ApiError, code_for, message_for
from ..registry import handles
from ..security.scram import ScramCredentials

Alteration = ScramCredentialDeletion | ScramCredentialUpsertion


@handles(DescribeUserScramCredentialsRequest)
def describe_user_scram_credentials(
    request: DescribeUserScramCredentialsRequest, context: Context
) -> DescribeUserScramCredentialsResponse:
    """Tell mechanisms and iterations of the users that are named, or of all (Kafka's ScramImage.describe)."""
    credentials = context.broker.scram_credentials
    times_named = Counter(user.name for user in request.users or ()) or Counter(credentials.users())
    results = []
    for name, times in times_named.items():
        result = DescribeUserScramCredentialsResult(user=name, error_message=None)
        if times > 1:
            result.error_code = ErrorCode.DUPLICATE_RESOURCE
            result.error_message = (
                f"Cannot describe SCRAM credentials for the same user twice in a single request: {name}"
            )
        elif not (known := credentials.of(name)):
            result.error_code = ErrorCode.RESOURCE_NOT_FOUND
            result.error_message = f"Attempt to describe a user credential that does not exist: {name}"
        else:
            result.credential_infos = [
                CredentialInfo(mechanism=credential.mechanism, iterations=credential.iterations)
                for credential in known
            ]
        results.append(result)
    return DescribeUserScramCredentialsResponse(error_message=None, results=results)


def _refused(request: AlterUserScramCredentialsRequest, code: ErrorCode) -> AlterUserScramCredentialsResponse:
    return AlterUserScramCredentialsResponse(
        results=[
            AlterUserScramCredentialsResult(user=user, error_code=code, error_message=None)
            for user in (
                *(deletion.name for deletion in request.deletions),
                *(upsertion.name for upsertion in request.upsertions),
            )
        ]
    )


@handles(
    AlterUserScramCredentialsRequest,
    refuse=_refused,
    leaves_out="credentials are stored and described; no listener asks for them yet",
)
async def alter_user_scram_credentials(
    request: AlterUserScramCredentialsRequest, context: Context
) -> AlterUserScramCredentialsResponse:
    """Delete and store credentials, one per user and request (Kafka's ScramControlManager).

    A user's first alteration that is wrong in itself decides what the user is told; a second one that is not is
    DUPLICATE_RESOURCE, and then none of them counts. Users that succeed come first in the answer.
    """
    credentials = context.broker.scram_credentials
    alterations: list[Alteration] = [*request.deletions, *request.upsertions]
    accepted: dict[str, Alteration] = {}
    refused: dict[str, Exception] = {}
    for altered in alterations:
        user = altered.name
        if user in refused:
            continue
        try:
            if user in accepted:
                raise ApiError(
                    ErrorCode.DUPLICATE_RESOURCE, "A user credential cannot be altered twice in the same request"
                )
            if isinstance(altered, ScramCredentialDeletion):
                credentials.check_deletion(user, altered.mechanism)
            else:
                credentials.check_upsertion(user, altered.mechanism, altered.iterations)
            accepted[user] = altered
        except ApiError as error:
            accepted.pop(user, None)
            refused[user] = error
    results = []
    for user, altered in accepted.items():
        try:
            _apply(altered, credentials)
            results.append(AlterUserScramCredentialsResult(user=user, error_message=None))
        except Exception as error:
            refused[user] = error
    results += [
        AlterUserScramCredentialsResult(user=user, error_code=code_for(error), error_message=message_for(error))
        for user, error in refused.items()
    ]
    await context.broker.synced()
    return AlterUserScramCredentialsResponse(results=results)


def _apply(altered: Alteration, credentials: ScramCredentials) -> None:
    """Raises CatalogError."""
    if isinstance(altered, ScramCredentialDeletion):
        credentials.delete(altered.name, altered.mechanism)
    else:
        credentials.store(altered.name, altered.mechanism, altered.iterations, altered.salt, altered.salted_password)
