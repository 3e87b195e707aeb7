"""ACLs of a broker that has no authorizer."""

import pytest
from support.calls import as_of, every_version
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.acls import (
    AclCreation,
    AclCreationResult,
    CreateAclsRequest,
    CreateAclsResponse,
    DeleteAclsFilter,
    DeleteAclsFilterResult,
    DeleteAclsRequest,
    DeleteAclsResponse,
    DescribeAclsRequest,
    DescribeAclsResponse,
)

CODE = ErrorCode.SECURITY_DISABLED
ANY, TOPIC, LITERAL, ALL, ALLOW = 1, 2, 3, 2, 3


@every_version(DescribeAclsRequest)
def test_there_is_nothing_to_describe(wire: Wire, version: int) -> None:
    request = DescribeAclsRequest(
        resource_type_filter=ANY,
        resource_name_filter=None,
        principal_filter=None,
        host_filter=None,
        operation=ANY,
        permission_type=ANY,
    )
    expected = DescribeAclsResponse(error_code=CODE, error_message="No Authorizer is configured on the broker")
    assert wire.call(request, version) == as_of(expected, version)


@every_version(CreateAclsRequest)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_nothing_can_be_allowed_or_denied(wire: Wire, version: int, count: int) -> None:
    creation = AclCreation(
        resource_type=TOPIC, resource_name="t", principal="User:me", host="*", operation=ALL, permission_type=ALLOW
    )
    result = AclCreationResult(error_code=CODE, error_message="No Authorizer is configured.")
    response = wire.call(CreateAclsRequest(creations=[creation] * count), version)
    assert response == as_of(CreateAclsResponse(results=[result] * count), version)


@every_version(DeleteAclsRequest)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_there_is_nothing_to_delete(wire: Wire, version: int, count: int) -> None:
    wanted = DeleteAclsFilter(
        resource_type_filter=ANY,
        resource_name_filter=None,
        principal_filter=None,
        host_filter=None,
        operation=ANY,
        permission_type=ANY,
    )
    result = DeleteAclsFilterResult(error_code=CODE, error_message="No Authorizer is configured.")
    response = wire.call(DeleteAclsRequest(filters=[wanted] * count), version)
    assert response == as_of(DeleteAclsResponse(filter_results=[result] * count), version)
