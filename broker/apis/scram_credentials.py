"""DescribeUserScramCredentials (KIP-554): there are none so far, and none can be set."""

from __future__ import annotations

from collections import Counter

from ...protocol.errors import ErrorCode
from ...protocol.messages.scram_credentials import (
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
)
from ..context import Context
from ..registry import handles


@handles(
    DescribeUserScramCredentialsRequest,
    leaves_out="SCRAM is not built yet: there are no credentials",
)
def describe_user_scram_credentials(
    request: DescribeUserScramCredentialsRequest, context: Context
) -> DescribeUserScramCredentialsResponse:
    """Say of each user that is named that there are none (Kafka's ScramImage.describe)."""
    del context
    results = []
    for name, times in Counter(user.name for user in request.users or ()).items():
        code, message = (
            ErrorCode.RESOURCE_NOT_FOUND,
            f"Attempt to describe a user credential that does not exist: {name}",
        )
        if times > 1:
            code = ErrorCode.DUPLICATE_RESOURCE
            message = f"Cannot describe SCRAM credentials for the same user twice in a single request: {name}"
        results.append(DescribeUserScramCredentialsResult(user=name, error_code=code, error_message=message))
    return DescribeUserScramCredentialsResponse(error_message=None, results=results)
