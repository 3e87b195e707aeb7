"""DescribeAcls, CreateAcls, DeleteAcls of a broker without an authorizer (Kafka's AclApis)."""

from __future__ import annotations

from ...protocol.errors import ErrorCode
from ...protocol.messages.acls import (
    AclCreationResult,
    CreateAclsRequest,
    CreateAclsResponse,
    DeleteAclsFilterResult,
    DeleteAclsRequest,
    DeleteAclsResponse,
    DescribeAclsRequest,
    DescribeAclsResponse,
)
from ..context import Context
from ..registry import handles

_NO_AUTHORIZER = "No Authorizer is configured."


@handles(
    DescribeAclsRequest,
    leaves_out="there is no authorizer: SECURITY_DISABLED, as from Kafka without one",
)
def describe_acls(request: DescribeAclsRequest, context: Context) -> DescribeAclsResponse:
    """Say that nothing is guarded."""
    del request, context
    return DescribeAclsResponse(
        error_code=ErrorCode.SECURITY_DISABLED, error_message="No Authorizer is configured on the broker"
    )


def _creations_refused(request: CreateAclsRequest, code: ErrorCode) -> CreateAclsResponse:
    refused = AclCreationResult(error_code=code, error_message=_NO_AUTHORIZER)
    return CreateAclsResponse(results=[refused] * len(request.creations))


@handles(
    CreateAclsRequest,
    refuse=_creations_refused,
    leaves_out="as DescribeAcls",
)
def create_acls(request: CreateAclsRequest, context: Context) -> CreateAclsResponse:
    """Refuse: who would keep to them?"""
    del context
    return _creations_refused(request, ErrorCode.SECURITY_DISABLED)


def _deletions_refused(request: DeleteAclsRequest, code: ErrorCode) -> DeleteAclsResponse:
    refused = DeleteAclsFilterResult(error_code=code, error_message=_NO_AUTHORIZER)
    return DeleteAclsResponse(filter_results=[refused] * len(request.filters))


@handles(
    DeleteAclsRequest,
    refuse=_deletions_refused,
    leaves_out="as DescribeAcls",
)
def delete_acls(request: DeleteAclsRequest, context: Context) -> DeleteAclsResponse:
    """Refuse: there are none."""
    del context
    return _deletions_refused(request, ErrorCode.SECURITY_DISABLED)
