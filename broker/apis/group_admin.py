"""ListGroups, DescribeGroups, DeleteGroups: groups as an operator sees them."""

from ...protocol.errors import ErrorCode
from ...protocol.messages.group_admin import (
    DeletableGroupResult,
    DeleteGroupsRequest,
    DeleteGroupsResponse,
    DescribedGroup,
    DescribedGroupMember,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
    ListedGroup,
    ListGroupsRequest,
    ListGroupsResponse,
)
from ..authorized import GROUP_OPERATIONS, NOT_ASKED
from ..context import Context
from ..registry import Answer, handles

_GROUP_ID_NOT_FOUND_SINCE = 6


@handles(ListGroupsRequest)
def list_groups(request: ListGroupsRequest, context: Context) -> ListGroupsResponse:
    """List the groups, from v4 those in certain states (KIP-518), from v5 those of certain types (KIP-848)."""
    return ListGroupsResponse(
        groups=[
            ListedGroup(
                group_id=group.group_id,
                protocol_type=group.protocol_type,
                group_state=group.state,
                group_type=group.group_type,
            )
            for group in context.broker.groups.list_groups(request.states_filter, request.types_filter)
        ]
    )


def _describe_refused(request: DescribeGroupsRequest, code: ErrorCode) -> DescribeGroupsResponse:
    return DescribeGroupsResponse(
        groups=[DescribedGroup(error_code=code, group_id=group_id) for group_id in request.groups]
    )


@handles(DescribeGroupsRequest, refuse=_describe_refused)
def describe_groups(request: DescribeGroupsRequest, context: Context) -> DescribeGroupsResponse:
    """Describe classic groups. One that does not exist is Dead, from v6 GROUP_ID_NOT_FOUND (KIP-1043).

    One that is named twice is described once, unlike in Kafka: else a small request could ask for gigabytes.
    """
    described = context.broker.groups.describe_groups(
        list(dict.fromkeys(request.groups)),
        expects_group_id_not_found=context.api_version >= _GROUP_ID_NOT_FOUND_SINCE,
    )
    return DescribeGroupsResponse(
        groups=[
            DescribedGroup(
                error_code=group.error,
                error_message=f"Group {group.group_id} not found." if group.error else None,
                group_id=group.group_id,
                group_state=group.state,
                protocol_type=group.protocol_type,
                protocol_data=group.protocol_data,
                members=[
                    DescribedGroupMember(
                        member_id=member.member_id,
                        group_instance_id=member.group_instance_id,
                        client_id=member.client_id,
                        client_host=member.client_host,
                        member_metadata=member.metadata,
                        member_assignment=member.assignment,
                    )
                    for member in group.members
                ],
                authorized_operations=(
                    GROUP_OPERATIONS if request.include_authorized_operations and not group.error else NOT_ASKED
                ),
            )
            for group in described
        ]
    )


def _delete_refused(request: DeleteGroupsRequest, code: ErrorCode) -> DeleteGroupsResponse:
    return DeleteGroupsResponse(
        results=[DeletableGroupResult(group_id=group_id, error_code=code) for group_id in request.groups_names]
    )


@handles(DeleteGroupsRequest, refuse=_delete_refused)
def delete_groups(request: DeleteGroupsRequest, context: Context) -> Answer:
    """Delete groups without members, and their offsets."""
    results = context.broker.groups.delete_groups(request.groups_names)
    deleted = [DeletableGroupResult(group_id=group_id, error_code=code) for group_id, code in results]
    return context.broker.when_committed(DeleteGroupsResponse(results=deleted))
