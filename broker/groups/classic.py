"""The classic protocol's requests: what a group in each state answers to join, sync, heartbeat and leave."""

import uuid
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ...protocol.errors import ErrorCode
from ...storage.catalog import Catalog, GroupStored
from ...storage.clock import Clock
from ...storage.errors import CatalogError
from .config import GroupCoordinatorConfig
from .group import Group, GroupState, Member, Protocols, select_protocol
from .rebalance import NEW_MEMBER_JOIN_TIMEOUT_MS, Rebalances
from .results import JoinReply, JoinResult, LeaveResult, LeavingMember, LeftMember, SyncReply, SyncResult

PENDING_MEMBERS_MAX = 10_000  # ids given out in one group and not used; each stays up to a session timeout
PROTOCOLS_MAX = 100  # clients name at most a handful of assignors
REASON_LENGTH_MAX = 255  # in characters; Kafka cuts longer ones (JoinGroupRequest.maybeTruncateReason)


class JoinRequest(NamedTuple):
    """JoinGroup, all versions. ``rebalance_timeout_ms``: -1 (v0) stands for the session timeout.

    ``requires_known_member_id``: v4+ (KIP-394). ``supports_skipping_assignment``: v9+ (KIP-814).
    """

    group_id: str
    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocol_type: str
    protocols: Sequence[tuple[str, bytes]]
    reason: str | None = None
    requires_known_member_id: bool = False
    supports_skipping_assignment: bool = False

    def to_member(self, member_id: str) -> Member:
        """Return the member that this request makes."""
        return Member(
            member_id,
            self.group_instance_id,
            self.client_id,
            self.client_host,
            self.session_timeout_ms,
            self.effective_rebalance_timeout_ms(),
            self.offered(),
        )

    def effective_rebalance_timeout_ms(self) -> int:
        return self.session_timeout_ms if self.rebalance_timeout_ms == -1 else self.rebalance_timeout_ms

    def offered(self) -> Protocols:
        return tuple(self.protocols)


class SyncRequest(NamedTuple):
    """SyncGroup, all versions. ``protocol_type`` and ``protocol_name``: None before v5. ``assignments`` by member."""

    group_id: str
    member_id: str
    group_instance_id: str | None
    generation_id: int
    protocol_type: str | None
    protocol_name: str | None
    assignments: Mapping[str, bytes]


def _because(request: JoinRequest) -> str:
    return f" ({request.reason[:REASON_LENGTH_MAX]})" if request.reason else ""


class ClassicProtocol:
    """Decides for one group at a time; the groups are handed in."""

    def __init__(
        self, catalog: Catalog, clock: Clock, config: GroupCoordinatorConfig, rebalances: Rebalances
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._config = config
        self._rebalances = rebalances

    # JoinGroup

    def join(self, group: Group, request: JoinRequest, reply: JoinReply) -> None:
        """Answer JoinGroup now or at the end of the join phase."""
        member_id = request.member_id
        if group.state is GroupState.DEAD:
            reply(JoinResult(ErrorCode.COORDINATOR_NOT_AVAILABLE, member_id))
        elif not self._has_room_for(group, member_id):
            reply(JoinResult(ErrorCode.GROUP_MAX_SIZE_REACHED, ""))
            self._rebalances.drop(group, member_id)
            self._rebalances.complete_if_all_joined(group)
        elif not self.supports(group, request):
            reply(JoinResult(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, member_id))
        elif not member_id:
            self._join_unknown(group, request, reply)
        elif member_id in group.pending_members and request.group_instance_id is None:
            self._add(group, request, member_id, reply)
        elif error := group.check_member(member_id, request.group_instance_id):
            reply(JoinResult(error, member_id))
        else:
            self._join_again(group, request, group.members[member_id], reply)

    @staticmethod
    def supports(group: Group, request: JoinRequest) -> bool:
        """Say whether a member with these protocols can be in the group."""
        names = {name for name, _ in request.protocols}
        return len(request.protocols) <= PROTOCOLS_MAX and group.supports(request.protocol_type, names)

    def _has_room_for(self, group: Group, member_id: str) -> bool:
        size_max = self._config.group_max_size
        if group.state is GroupState.EMPTY:
            return True
        if group.state is GroupState.PREPARING_REBALANCE:
            # Those who wait count, not the members: a group that was over its limit sheds the last to rejoin.
            return member_id in group.waiting_joins or len(group.waiting_joins) < size_max
        return member_id in group.members or len(group.members) < size_max

    def _join_unknown(self, group: Group, request: JoinRequest, reply: JoinReply) -> None:
        """Somebody without a member id: a new member, or a static one that comes back."""
        instance_id = request.group_instance_id
        member_id = self._new_member_id(request.client_id if instance_id is None else instance_id)
        if instance_id is not None and instance_id in group.static_members:
            self._take_over(group, request, group.static_members[instance_id], member_id, reply)
        elif instance_id is not None or not request.requires_known_member_id:
            self._add(group, request, member_id, reply)
        elif len(group.pending_members) >= PENDING_MEMBERS_MAX:
            reply(JoinResult(ErrorCode.GROUP_MAX_SIZE_REACHED, ""))
        else:
            group.pending_members.add(member_id)
            self._rebalances.await_member(group, member_id, request.session_timeout_ms)
            reply(JoinResult(ErrorCode.MEMBER_ID_REQUIRED, member_id))

    def _new_member_id(self, prefix: str) -> str:
        return f"{prefix}-{uuid.UUID(bytes=self._clock.random_bytes(16), version=4)}"

    def _add(self, group: Group, request: JoinRequest, member_id: str, reply: JoinReply) -> None:
        member = request.to_member(member_id)
        member.is_new = True
        if group.state is GroupState.PREPARING_REBALANCE and group.previous_state is GroupState.EMPTY:
            group.new_member_added = True
        group.add(member, request.protocol_type)
        group.wait_for_join(member_id, reply)
        # It may not know its id yet and cannot be heard while it waits; without this, clients that gave up would
        # hold their places for as long as the rebalance takes.
        self._rebalances.await_member(group, member_id, NEW_MEMBER_JOIN_TIMEOUT_MS)
        self._rebalances.prepare_or_complete(group, f"{member_id} is new{_because(request)}")

    def _join_again(self, group: Group, request: JoinRequest, member: Member, reply: JoinReply) -> None:
        """A member joins again: it was told to, it wants a rebalance, or it missed the answer."""
        unchanged = member.protocols == request.offered()
        if (unchanged and group.state is GroupState.COMPLETING_REBALANCE) or (
            unchanged and group.state is GroupState.STABLE and group.leader_id != member.member_id
        ):
            reply(group.joined(member.member_id))
            return
        self._update(group, request, member)
        group.wait_for_join(member.member_id, reply)
        self._rebalances.prepare_or_complete(group, f"{member.member_id} joins again{_because(request)}")

    @staticmethod
    def _update(group: Group, request: JoinRequest, member: Member) -> None:
        group.update(member, request.offered(), request.session_timeout_ms, request.effective_rebalance_timeout_ms())

    def _take_over(
        self, group: Group, request: JoinRequest, old_member_id: str, member_id: str, reply: JoinReply
    ) -> None:
        """A static member restarted: it gets a new id and its old place (KIP-345)."""
        old = group.members[old_member_id]
        member = request.to_member(member_id)
        member.client_id, member.client_host, member.assignment = old.client_id, old.client_host, old.assignment
        if group.state is GroupState.STABLE:
            voters = (member if each is old else each for each in group.members.values())
            if select_protocol(voters) == group.protocol_name:
                self._take_over_quietly(group, request, old_member_id, member, reply)
                return
        self._rebalances.take_over(group, old_member_id, member)
        group.wait_for_join(member_id, reply)
        self._rebalances.prepare_or_complete(group, f"{member_id} replaces {old_member_id}{_because(request)}")

    def _take_over_quietly(
        self, group: Group, request: JoinRequest, old_member_id: str, member: Member, reply: JoinReply
    ) -> None:
        """The generation stays as it is but for the member's id."""
        old_leader_id = group.leader_id or ""
        try:
            self._catalog.commit(GroupStored(group.stored_with(old_member_id, member)))
        except CatalogError:
            reply(JoinResult(ErrorCode.COORDINATOR_NOT_AVAILABLE, ""))
            return
        self._rebalances.take_over(group, old_member_id, member)
        result = group.joined(member.member_id)
        if request.supports_skipping_assignment:
            reply(result._replace(skip_assignment=group.leader_id == member.member_id))
        else:
            # Told that somebody else leads, a leader does not assign.
            reply(result._replace(leader=old_leader_id, members=()))

    # SyncGroup

    def sync(self, group: Group, request: SyncRequest, reply: SyncReply) -> None:
        """Answer SyncGroup now or when the leader's has come."""
        error = self._check_sync(group, request)
        if error:
            reply(SyncResult(error))
            return
        member = group.members[request.member_id]
        self._rebalances.received_sync(group, member.member_id)
        if group.state is GroupState.STABLE:
            self._rebalances.keep_alive(group, member)
            reply(self._rebalances.synced(group, member))
            return
        group.wait_for_sync(member.member_id, reply)
        if group.leader_id == member.member_id:
            self._rebalances.finish(group, request.assignments)

    @staticmethod
    def _check_sync(group: Group, request: SyncRequest) -> ErrorCode:
        if group.state is GroupState.DEAD:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        if error := group.check_member(request.member_id, request.group_instance_id):
            return error
        if request.generation_id != group.generation_id:
            return ErrorCode.ILLEGAL_GENERATION
        for claimed, actual in (
            (request.protocol_type, group.protocol_type),
            (request.protocol_name, group.protocol_name),
        ):
            if claimed is not None and actual is not None and claimed != actual:
                return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        if group.state is GroupState.PREPARING_REBALANCE:
            return ErrorCode.REBALANCE_IN_PROGRESS
        return ErrorCode.NONE

    # Heartbeat

    def heartbeat(self, group: Group, member_id: str, group_instance_id: str | None, generation_id: int) -> ErrorCode:
        """Refresh the session, also of a member that has to be told to rejoin."""
        if group.state is GroupState.DEAD:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        if error := group.check_member(member_id, group_instance_id):
            return error
        if generation_id != group.generation_id:
            return ErrorCode.ILLEGAL_GENERATION
        self._rebalances.keep_alive(group, group.members[member_id])
        if group.state is GroupState.PREPARING_REBALANCE:
            return ErrorCode.REBALANCE_IN_PROGRESS
        return ErrorCode.NONE

    # LeaveGroup

    def leave(self, group: Group, members: Sequence[LeavingMember]) -> LeaveResult:
        """Let the members go, then rebalance once for all of them."""
        if group.state is GroupState.DEAD:
            return LeaveResult(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        size = len(group.members)
        left = [
            LeftMember(leaving.member_id, leaving.group_instance_id, self._leave(group, leaving))
            for leaving in members
        ]
        if len(group.members) < size:
            gone = size - len(group.members)
            reason = "1 member has left" if gone == 1 else f"{gone} members have left"
            error = self._rebalances.prepare_or_complete(group, reason)
        else:
            error = self._rebalances.complete_if_all_joined(group)
        return LeaveResult(error, () if error else left)

    def _leave(self, group: Group, leaving: LeavingMember) -> ErrorCode:
        member_id = leaving.member_id
        if not member_id:
            owner = group.static_members.get(leaving.group_instance_id or "")
            if owner is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            member_id = owner
        elif member_id not in group.pending_members:
            error = group.check_member(member_id, leaving.group_instance_id)
            if error:
                return error
        self._rebalances.drop(group, member_id)
        return ErrorCode.NONE
