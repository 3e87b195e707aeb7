"""JoinGroup, SyncGroup, Heartbeat, LeaveGroup: the classic group protocol. The coordinator decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from ...protocol.errors import ErrorCode
from ...protocol.messages.group_membership import (
    HeartbeatRequest,
    HeartbeatResponse,
    JoinGroupRequest,
    JoinGroupResponse,
    JoinGroupResponseMember,
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberIdentity,
    MemberResponse,
    SyncGroupRequest,
    SyncGroupResponse,
)
from ..context import Context
from ..errors import code_for
from ..groups import JoinRequest, JoinResult, LeavingMember, SyncRequest, SyncResult
from ..registry import Answer, handles

R = TypeVar("R")

_MEMBER_ID_REQUIRED_SINCE = 4
_NULLABLE_PROTOCOL_SINCE = 7
_SKIPS_ASSIGNMENT_SINCE = 9
_PROTOCOL_CHECKED_SINCE = 5
_BATCHED_LEAVE_SINCE = 3


def _reply_to(future: asyncio.Future[R]) -> Callable[[R], None]:
    def reply(result: R) -> None:
        if not future.done():  # the client may be gone
            future.set_result(result)

    return reply


@handles(JoinGroupRequest)
async def join_group(request: JoinGroupRequest, context: Context) -> JoinGroupResponse:
    """Join, or rejoin; the answer comes when all members have or their time is up (KIP-62)."""
    try:
        result = await _joined(request, context)
    except Exception as error:
        result = JoinResult(code_for(error), member_id="")
    is_nullable = context.api_version >= _NULLABLE_PROTOCOL_SINCE
    return JoinGroupResponse(
        error_code=result.error,
        generation_id=result.generation_id,
        protocol_type=result.protocol_type,
        protocol_name=result.protocol_name if is_nullable else result.protocol_name or "",
        leader=result.leader,
        skip_assignment=result.skip_assignment,
        member_id=result.member_id,
        members=[
            JoinGroupResponseMember(
                member_id=member.member_id, group_instance_id=member.group_instance_id, metadata=member.metadata
            )
            for member in result.members
        ],
    )


async def _joined(request: JoinGroupRequest, context: Context) -> JoinResult:
    joined: asyncio.Future[JoinResult] = asyncio.get_running_loop().create_future()
    context.broker.groups.join_group(
        JoinRequest(
            group_id=request.group_id,
            member_id=request.member_id,
            group_instance_id=request.group_instance_id,
            client_id=context.client_id or "",
            client_host=f"/{context.session.client_host}",
            session_timeout_ms=request.session_timeout_ms,
            rebalance_timeout_ms=request.rebalance_timeout_ms,
            protocol_type=request.protocol_type,
            protocols=[(protocol.name, protocol.metadata) for protocol in request.protocols],
            reason=request.reason,
            requires_known_member_id=context.api_version >= _MEMBER_ID_REQUIRED_SINCE,
            supports_skipping_assignment=context.api_version >= _SKIPS_ASSIGNMENT_SINCE,
        ),
        _reply_to(joined),
    )
    result = await joined
    await context.broker.committed()
    return result


@handles(SyncGroupRequest)
async def sync_group(request: SyncGroupRequest, context: Context) -> SyncGroupResponse:
    """Hand in the assignments and ask for one's own; the answer comes when the leader's are stored."""
    if context.api_version >= _PROTOCOL_CHECKED_SINCE and not (request.protocol_type and request.protocol_name):
        return SyncGroupResponse(error_code=ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    synced: asyncio.Future[SyncResult] = asyncio.get_running_loop().create_future()
    context.broker.groups.sync_group(
        SyncRequest(
            group_id=request.group_id,
            member_id=request.member_id,
            group_instance_id=request.group_instance_id,
            generation_id=request.generation_id,
            protocol_type=request.protocol_type,
            protocol_name=request.protocol_name,
            assignments={given.member_id: given.assignment for given in request.assignments},
        ),
        _reply_to(synced),
    )
    result = await synced
    await context.broker.committed()
    return SyncGroupResponse(
        error_code=result.error,
        protocol_type=result.protocol_type,
        protocol_name=result.protocol_name,
        assignment=result.assignment,
    )


@handles(HeartbeatRequest)
def heartbeat(request: HeartbeatRequest, context: Context) -> HeartbeatResponse:
    """Keep the member's session alive."""
    return HeartbeatResponse(
        error_code=context.broker.groups.heartbeat(
            request.group_id, request.member_id, request.group_instance_id, request.generation_id
        )
    )


@handles(LeaveGroupRequest)
def leave_group(request: LeaveGroupRequest, context: Context) -> Answer:
    """Let members go. Before v3 there is one, and its error is the response's (KIP-345)."""
    is_batched = context.api_version >= _BATCHED_LEAVE_SINCE
    leaving = request.members if is_batched else [MemberIdentity(member_id=request.member_id)]
    result = context.broker.groups.leave_group(
        request.group_id,
        [LeavingMember(member.member_id, member.group_instance_id, member.reason) for member in leaving],
    )
    left = [
        MemberResponse(
            member_id=member.member_id, group_instance_id=member.group_instance_id, error_code=member.error
        )
        for member in result.members
    ]
    error = result.error if is_batched else result.error or result.members[0].error
    return context.broker.when_committed(LeaveGroupResponse(error_code=error, members=left))
