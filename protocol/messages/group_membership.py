"""JoinGroup, SyncGroup, Heartbeat, LeaveGroup: the classic group protocol."""

from ..primitives import boolean, data, int16, int32, string
from ..schema import Request, Response, Struct, since


class JoinGroupRequestProtocol(Struct):
    """A protocol (assignor) and the member's metadata for it, opaque to the broker."""

    name: string = since("0+")
    metadata: data = since("0+")


class JoinGroupRequest(Request, api_key=11, versions="0-9", flexible="6+"):
    """Join or rejoin a group. Timeouts in milliseconds."""

    group_id: string = since("0+")
    session_timeout_ms: int32 = since("0+")
    rebalance_timeout_ms: int32 = since("1+", -1)
    member_id: string = since("0+")
    group_instance_id: string | None = since("5+", None)
    protocol_type: string = since("0+")
    protocols: list[JoinGroupRequestProtocol] = since("0+")
    reason: string | None = since("8+", None)


class JoinGroupResponseMember(Struct):
    """A member as the leader sees it."""

    member_id: string = since("0+")
    group_instance_id: string | None = since("5+", None)
    metadata: data = since("0+")


class JoinGroupResponse(Response, answers=JoinGroupRequest):
    """The new generation. ``members`` is filled for the leader only."""

    throttle_time_ms: int32 = since("2+")
    error_code: int16 = since("0+")
    generation_id: int32 = since("0+", -1)
    protocol_type: string | None = since("7+", None)
    protocol_name: string | None = since("0+", nullable="7+")
    leader: string = since("0+")
    skip_assignment: boolean = since("9+")
    member_id: string = since("0+")
    members: list[JoinGroupResponseMember] = since("0+")


class SyncGroupRequestAssignment(Struct):
    """What the leader gives one member, opaque to the broker."""

    member_id: string = since("0+")
    assignment: data = since("0+")


class SyncGroupRequest(Request, api_key=14, versions="0-5", flexible="4+"):
    """Hand in the assignments (leader) and ask for one's own (everybody)."""

    group_id: string = since("0+")
    generation_id: int32 = since("0+")
    member_id: string = since("0+")
    group_instance_id: string | None = since("3+", None)
    protocol_type: string | None = since("5+", None)
    protocol_name: string | None = since("5+", None)
    assignments: list[SyncGroupRequestAssignment] = since("0+")


class SyncGroupResponse(Response, answers=SyncGroupRequest):
    """The member's assignment."""

    throttle_time_ms: int32 = since("1+")
    error_code: int16 = since("0+")
    protocol_type: string | None = since("5+", None)
    protocol_name: string | None = since("5+", None)
    assignment: data = since("0+")


class HeartbeatRequest(Request, api_key=12, versions="0-4", flexible="4+"):
    """Say that the member lives."""

    group_id: string = since("0+")
    generation_id: int32 = since("0+")
    member_id: string = since("0+")
    group_instance_id: string | None = since("3+", None)


class HeartbeatResponse(Response, answers=HeartbeatRequest):
    """REBALANCE_IN_PROGRESS asks the member to rejoin."""

    throttle_time_ms: int32 = since("1+")
    error_code: int16 = since("0+")


class MemberIdentity(Struct):
    """A member that leaves; a static one may be named by its instance id alone."""

    member_id: string = since("3+")
    group_instance_id: string | None = since("3+", None)
    reason: string | None = since("5+", None)


class LeaveGroupRequest(Request, api_key=13, versions="0-5", flexible="4+"):
    """Leave, or from v3 remove several members."""

    group_id: string = since("0+")
    member_id: string = since("0-2")
    members: list[MemberIdentity] = since("3+")


class MemberResponse(Struct):
    """The result for one member."""

    member_id: string = since("3+")
    group_instance_id: string | None = since("3+")
    error_code: int16 = since("3+")


class LeaveGroupResponse(Response, answers=LeaveGroupRequest):
    """One result per member from v3."""

    throttle_time_ms: int32 = since("1+")
    error_code: int16 = since("0+")
    members: list[MemberResponse] = since("3+")
