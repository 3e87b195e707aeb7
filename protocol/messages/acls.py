"""DescribeAcls, CreateAcls, DeleteAcls (KIP-140, KIP-290)."""

from ..primitives import int8, int16, int32, string
from ..schema import Request, Response, Struct, since


class DescribeAclsRequest(Request, api_key=29, versions="1-3", flexible="2+"):
    """Describe the ACLs that a filter matches; null matches anything."""

    resource_type_filter: int8 = since("1+")
    resource_name_filter: string | None = since("1+")
    pattern_type_filter: int8 = since("1+", 3)
    principal_filter: string | None = since("1+")
    host_filter: string | None = since("1+")
    operation: int8 = since("1+")
    permission_type: int8 = since("1+")


class AclDescription(Struct):
    """Who may, or must not, do what from where."""

    principal: string = since("1+")
    host: string = since("1+")
    operation: int8 = since("1+")
    permission_type: int8 = since("1+")


class DescribeAclsResource(Struct):
    """A resource and its ACLs."""

    resource_type: int8 = since("1+")
    resource_name: string = since("1+")
    pattern_type: int8 = since("1+", 3)
    acls: list[AclDescription] = since("1+")


class DescribeAclsResponse(Response, answers=DescribeAclsRequest):
    """The ACLs by resource."""

    throttle_time_ms: int32 = since("1+")
    error_code: int16 = since("1+")
    error_message: string | None = since("1+")
    resources: list[DescribeAclsResource] = since("1+")


class AclCreation(Struct):
    """An ACL to make."""

    resource_type: int8 = since("1+")
    resource_name: string = since("1+")
    resource_pattern_type: int8 = since("1+", 3)
    principal: string = since("1+")
    host: string = since("1+")
    operation: int8 = since("1+")
    permission_type: int8 = since("1+")


class CreateAclsRequest(Request, api_key=30, versions="1-3", flexible="2+"):
    """Make ACLs."""

    creations: list[AclCreation] = since("1+")


class AclCreationResult(Struct):
    """The result for one ACL."""

    error_code: int16 = since("1+")
    error_message: string | None = since("1+")


class CreateAclsResponse(Response, answers=CreateAclsRequest):
    """One result per ACL."""

    throttle_time_ms: int32 = since("1+")
    results: list[AclCreationResult] = since("1+")


class DeleteAclsFilter(Struct):
    """The ACLs to delete; null matches anything."""

    resource_type_filter: int8 = since("1+")
    resource_name_filter: string | None = since("1+")
    pattern_type_filter: int8 = since("1+", 3)
    principal_filter: string | None = since("1+")
    host_filter: string | None = since("1+")
    operation: int8 = since("1+")
    permission_type: int8 = since("1+")


class DeleteAclsRequest(Request, api_key=31, versions="1-3", flexible="2+"):
    """Delete the ACLs that filters match."""

    filters: list[DeleteAclsFilter] = since("1+")


class DeleteAclsMatchingAcl(Struct):
    """An ACL that was deleted."""

    error_code: int16 = since("1+")
    error_message: string | None = since("1+")
    resource_type: int8 = since("1+")
    resource_name: string = since("1+")
    pattern_type: int8 = since("1+", 3)
    principal: string = since("1+")
    host: string = since("1+")
    operation: int8 = since("1+")
    permission_type: int8 = since("1+")


class DeleteAclsFilterResult(Struct):
    """The result for one filter."""

    error_code: int16 = since("1+")
    error_message: string | None = since("1+")
    matching_acls: list[DeleteAclsMatchingAcl] = since("1+")


class DeleteAclsResponse(Response, answers=DeleteAclsRequest):
    """One result per filter."""

    throttle_time_ms: int32 = since("1+")
    filter_results: list[DeleteAclsFilterResult] = since("1+")
