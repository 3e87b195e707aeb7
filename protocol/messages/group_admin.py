"""ListGroups, DescribeGroups, DeleteGroups: groups as an operator sees them."""

from ..primitives import boolean, data, int16, int32, string
from ..schema import Request, Response, Struct, since


class ListGroupsRequest(Request, api_key=16, versions="0-5", flexible="3+"):
    """List groups, from v4 by state, from v5 by type; no filter: all."""

    states_filter: list[string] = since("4+")
    types_filter: list[string] = since("5+")


class ListedGroup(Struct):
    """A group in one line."""

    group_id: string = since("0+")
    protocol_type: string = since("0+")
    group_state: string = since("4+")
    group_type: string = since("5+")


class ListGroupsResponse(Response, answers=ListGroupsRequest):
    """The groups that this broker coordinates."""

    throttle_time_ms: int32 = since("1+")
    error_code: int16 = since("0+")
    groups: list[ListedGroup] = since("0+")


class DescribeGroupsRequest(Request, api_key=15, versions="0-6", flexible="5+"):
    """Describe classic groups."""

    groups: list[string] = since("0+")
    include_authorized_operations: boolean = since("3+")


class DescribedGroupMember(Struct):
    """A member with its metadata and assignment, opaque to the broker."""

    member_id: string = since("0+")
    group_instance_id: string | None = since("4+", None)
    client_id: string = since("0+")
    client_host: string = since("0+")
    member_metadata: data = since("0+")
    member_assignment: data = since("0+")


class DescribedGroup(Struct):
    """A group and its members."""

    error_code: int16 = since("0+")
    error_message: string | None = since("6+", None)
    group_id: string = since("0+")
    group_state: string = since("0+")
    protocol_type: string = since("0+")
    protocol_data: string = since("0+")
    members: list[DescribedGroupMember] = since("0+")
    authorized_operations: int32 = since("3+", -2147483648)


class DescribeGroupsResponse(Response, answers=DescribeGroupsRequest):
    """One description per group."""

    throttle_time_ms: int32 = since("1+")
    groups: list[DescribedGroup] = since("0+")


class DeleteGroupsRequest(Request, api_key=42, versions="0-2", flexible="2+"):
    """Delete groups that have no members."""

    groups_names: list[string] = since("0+")


class DeletableGroupResult(Struct):
    """The result for one group."""

    group_id: string = since("0+")
    error_code: int16 = since("0+")


class DeleteGroupsResponse(Response, answers=DeleteGroupsRequest):
    """One result per group."""

    throttle_time_ms: int32 = since("0+")
    results: list[DeletableGroupResult] = since("0+")
