"""What a group coordinator answers, in Kafka's terms and free of wire versions."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ...protocol.errors import ErrorCode


class JoinedMember(NamedTuple):
    """A member as the leader is told about it; ``metadata`` belongs to the chosen protocol."""

    member_id: str
    group_instance_id: str | None
    metadata: bytes


class JoinResult(NamedTuple):
    """The answer to JoinGroup. ``members`` is filled for the leader only."""

    error: ErrorCode
    member_id: str
    generation_id: int = -1
    protocol_type: str | None = None
    protocol_name: str | None = None
    leader: str = ""
    skip_assignment: bool = False
    members: Sequence[JoinedMember] = ()


class SyncResult(NamedTuple):
    """The answer to SyncGroup."""

    error: ErrorCode
    protocol_type: str | None = None
    protocol_name: str | None = None
    assignment: bytes = b""


JoinReply = Callable[[JoinResult], None]
SyncReply = Callable[[SyncResult], None]


class LeavingMember(NamedTuple):
    """Who shall leave; an empty ``member_id`` with an instance id is removal by an administrator (KIP-345)."""

    member_id: str
    group_instance_id: str | None = None
    reason: str | None = None


class LeftMember(NamedTuple):
    """The identity as it was asked for, and how it went."""

    member_id: str
    group_instance_id: str | None
    error: ErrorCode


class LeaveResult(NamedTuple):
    """The answer to LeaveGroup; ``members`` in the order of the request, empty when ``error`` is set."""

    error: ErrorCode
    members: Sequence[LeftMember] = ()


class ListedGroup(NamedTuple):
    """A line of ListGroups. ``protocol_type``: "" for a group that only has offsets."""

    group_id: str
    protocol_type: str
    state: str
    group_type: str


class DescribedMember(NamedTuple):
    """A member in DescribeGroups; ``metadata`` is empty unless the group is Stable."""

    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    metadata: bytes
    assignment: bytes


class DescribedGroup(NamedTuple):
    """A group in DescribeGroups; ``protocol_data`` is the protocol's name, empty unless the group is Stable."""

    error: ErrorCode
    group_id: str
    state: str
    protocol_type: str = ""
    protocol_data: str = ""
    members: Sequence[DescribedMember] = ()


class OffsetToCommit(NamedTuple):
    """One partition of OffsetCommit. ``leader_epoch``: -1 when the client knows none."""

    topic: str
    partition: int
    offset: int
    leader_epoch: int = -1
    metadata: str | None = ""


class FetchedOffset(NamedTuple):
    """One partition of OffsetFetch. ``offset``: -1 when nothing is committed."""

    topic: str
    partition: int
    offset: int = -1
    leader_epoch: int = -1
    metadata: str = ""
    error: ErrorCode = ErrorCode.NONE


class OffsetDeleteResult(NamedTuple):
    """The answer to OffsetDelete; ``partitions`` in the order of the request, empty when ``error`` is set."""

    error: ErrorCode
    partitions: Sequence[ErrorCode] = ()
