"""The owner of all groups: what the API handlers talk to."""

import logging
from collections.abc import Callable, Sequence

from ...protocol.errors import ErrorCode
from ...storage.catalog import Catalog, GroupRemoved, OffsetsRemoved
from ...storage.clock import Clock
from ...storage.errors import CatalogError
from .classic import ClassicProtocol, JoinRequest, SyncRequest
from .config import GroupCoordinatorConfig
from .expiry import expired_offsets
from .group import Group, GroupState
from .offsets import NO_RETENTION_TIME, Offsets, check_commit
from .rebalance import Rebalances
from .results import (
    DescribedGroup,
    DescribedMember,
    FetchedOffset,
    JoinReply,
    JoinResult,
    LeaveResult,
    LeavingMember,
    LeftMember,
    ListedGroup,
    OffsetDeleteResult,
    OffsetToCommit,
    SyncReply,
    SyncResult,
)
from .timers import Timers

GROUPS_MAX = 100_000  # some 100 MB of state; every client can make groups, and they go when they are empty

_log = logging.getLogger(__name__)


class GroupCoordinator:
    """All groups of this broker. Not for more than one thread.

    A ``reply`` is called exactly once, perhaps before the method returns, perhaps much later; it must not raise
    and must not call the coordinator. The owner of the event loop calls ``advance`` when ``next_deadline`` is
    reached, and is told through ``on_deadline_changed`` when that comes sooner than it last heard.
    """

    def __init__(self, catalog: Catalog, clock: Clock, config: GroupCoordinatorConfig) -> None:
        """Take up every group where the catalog has it; each member gets its whole session timeout to speak up."""
        self._catalog = catalog
        self._config = config
        self._clock = clock
        self._timers = Timers(clock)
        self._rebalances = Rebalances(catalog, clock, config, self._timers)
        self._classic = ClassicProtocol(catalog, clock, config, self._rebalances)
        self._offsets = Offsets(catalog, clock, config)
        self._groups: dict[str, Group] = {}
        self._closed = False
        self._load()

    def _load(self) -> None:
        for stored in self._catalog.groups():
            group = Group.load(stored)
            self._groups[group.group_id] = group
            for member in group.members.values():
                self._rebalances.keep_alive(group, member)
            if len(group.members) > self._config.group_max_size:
                self._rebalances.prepare(group, "it has more members than may be now")
        for group_id in self._catalog.groups_with_offsets():
            if group_id not in self._groups:
                self._groups[group_id] = Group(group_id, self._clock.now_ms())

    # Time

    @property
    def on_deadline_changed(self) -> Callable[[], None]:
        """Called after ``advance`` and whenever ``next_deadline`` becomes earlier; not when it becomes later."""
        return self._timers.on_deadline_changed

    @on_deadline_changed.setter
    def on_deadline_changed(self, callback: Callable[[], None]) -> None:
        self._timers.on_deadline_changed = callback

    def next_deadline(self) -> float | None:
        """Return when to call ``advance``, in seconds of ``Clock.monotonic``; None when there is nothing ahead."""
        return self._timers.next_deadline()

    def advance(self) -> None:
        """Do everything that is due by now."""
        self._timers.advance()

    def expire(self) -> None:
        """Forget offsets that have had their time, and empty groups without any; to be called regularly."""
        now_ms = self._clock.now_ms()
        retention_ms = self._config.offsets_retention_minutes * 60_000
        for group in list(self._groups.values()):
            try:
                offsets = self._catalog.offsets(group.group_id)
                gone = expired_offsets(group, offsets, retention_ms, now_ms)
                is_idle = group.state is GroupState.EMPTY and not group.pending_members
                if is_idle and len(gone) == len(offsets):
                    self._catalog.commit(GroupRemoved(group.group_id))
                    self._rebalances.end(self._groups.pop(group.group_id), ErrorCode.NOT_COORDINATOR)
                elif gone:
                    self._catalog.commit(OffsetsRemoved(group.group_id, gone))
            except CatalogError as refusal:
                _log.warning("offsets of group %s could not be expired: %s", group.group_id, refusal)
                return

    def close(self) -> None:
        """Answer all who wait NOT_COORDINATOR; from now on every group is Dead. The catalog stays open."""
        self._closed = True
        for group in self._groups.values():
            self._rebalances.end(group, ErrorCode.NOT_COORDINATOR)

    # Membership

    def join_group(self, request: JoinRequest, reply: JoinReply) -> None:
        """Join, or join again; the answer comes when the join phase ends. A new group begins with its first join."""
        group_id, member_id = request.group_id, request.member_id
        if not group_id:
            reply(JoinResult(ErrorCode.INVALID_GROUP_ID, member_id))
            return
        config = self._config
        timeout_ms = request.session_timeout_ms
        if not config.group_min_session_timeout_ms <= timeout_ms <= config.group_max_session_timeout_ms:
            reply(JoinResult(ErrorCode.INVALID_SESSION_TIMEOUT, member_id))
            return
        group = self._groups.get(group_id)
        if group is None:
            if member_id:
                reply(JoinResult(ErrorCode.UNKNOWN_MEMBER_ID, member_id))
                return
            if not self._may_create(group_id):
                reply(JoinResult(ErrorCode.COORDINATOR_NOT_AVAILABLE, member_id))
                return
            group = Group(group_id, self._clock.now_ms())
        self._classic.join(group, request, reply)
        if group.members or group.pending_members:
            self._groups[group_id] = group

    def sync_group(self, request: SyncRequest, reply: SyncReply) -> None:
        """Ask for the assignment, or bring it as the leader; the answer comes when the leader has."""
        if not request.group_id:
            reply(SyncResult(ErrorCode.INVALID_GROUP_ID))
        elif group := self._groups.get(request.group_id):
            self._classic.sync(group, request, reply)
        else:
            reply(SyncResult(ErrorCode.UNKNOWN_MEMBER_ID))

    def heartbeat(
        self, group_id: str, member_id: str, group_instance_id: str | None, generation_id: int
    ) -> ErrorCode:
        """Keep the session alive; REBALANCE_IN_PROGRESS tells the member to join again."""
        if not group_id:
            return ErrorCode.INVALID_GROUP_ID
        group = self._groups.get(group_id)
        if group is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return self._classic.heartbeat(group, member_id, group_instance_id, generation_id)

    def leave_group(self, group_id: str, members: Sequence[LeavingMember]) -> LeaveResult:
        """Let members go at once, without waiting for their sessions to end."""
        if not group_id:
            return LeaveResult(ErrorCode.INVALID_GROUP_ID)
        group = self._groups.get(group_id)
        if group is None:
            unknown = ErrorCode.UNKNOWN_MEMBER_ID
            left = [LeftMember(member.member_id, member.group_instance_id, unknown) for member in members]
            return LeaveResult(ErrorCode.NONE, left)
        return self._classic.leave(group, members)

    # Offsets

    def check_offset_commit(
        self,
        group_id: str,
        member_id: str,
        group_instance_id: str | None,
        generation_id: int,
        *,
        transactional: bool = False,
        expects_group_id_not_found: bool = False,
    ) -> ErrorCode:
        """Return what OffsetCommit, or TxnOffsetCommit, says to this member for all its partitions.

        ``expects_group_id_not_found``: OffsetCommit v9+; before, a missing group is an ILLEGAL_GENERATION.
        """
        group = self._groups.get(group_id)
        if group is not None:
            return check_commit(group, member_id, group_instance_id, generation_id, transactional=transactional)
        if generation_id < 0:
            allowed = self._may_create(group_id)
            return ErrorCode.NONE if allowed else ErrorCode.COORDINATOR_NOT_AVAILABLE
        if expects_group_id_not_found:
            return ErrorCode.GROUP_ID_NOT_FOUND
        return ErrorCode.ILLEGAL_GENERATION

    def commit_offsets(
        self,
        group_id: str,
        member_id: str,
        group_instance_id: str | None,
        generation_id: int,
        offsets: Sequence[OffsetToCommit],
        *,
        retention_time_ms: int = NO_RETENTION_TIME,
        expects_group_id_not_found: bool = False,
    ) -> Sequence[ErrorCode]:
        """Commit, and return an error for each of ``offsets``, in their order.

        The group id may be empty. ``generation_id`` -1 without a member makes the group if need be.
        ``retention_time_ms``: v2-v4, else -1. ``expects_group_id_not_found``: see ``check_offset_commit``.
        """
        error = self.check_offset_commit(
            group_id,
            member_id,
            group_instance_id,
            generation_id,
            expects_group_id_not_found=expects_group_id_not_found,
        )
        if error:
            return [error] * len(offsets)
        group = self._groups.get(group_id)
        if group is not None and (member := group.members.get(member_id)):
            self._rebalances.keep_alive(group, member)
        errors = self._offsets.commit(group_id, offsets, retention_time_ms)
        if group is None and ErrorCode.NONE in errors:
            self._groups[group_id] = Group(group_id, self._clock.now_ms())
        return errors

    def fetch_offsets(self, group_id: str, partitions: Sequence[tuple[str, int]] | None) -> Sequence[FetchedOffset]:
        """Return the committed offsets of ``partitions``, -1 where there is none; None asks for all there are."""
        group = self._groups.get(group_id)
        if group is None or group.state is GroupState.DEAD:
            return [FetchedOffset(topic, partition) for topic, partition in partitions or ()]
        return self._offsets.fetch(group_id, partitions)

    def delete_offsets(self, group_id: str, partitions: Sequence[tuple[str, int]]) -> OffsetDeleteResult:
        """Forget offsets; those of a topic that a member is subscribed to stay."""
        if not group_id:
            return OffsetDeleteResult(ErrorCode.INVALID_GROUP_ID)
        group = self._groups.get(group_id)
        if group is None:
            return OffsetDeleteResult(ErrorCode.GROUP_ID_NOT_FOUND)
        return self._offsets.delete(group, partitions)

    # Administration

    def list_groups(self, states_filter: Sequence[str] = (), types_filter: Sequence[str] = ()) -> list[ListedGroup]:
        """Return the groups in one of the states and of one of the types, whatever their case; empty means any."""
        states = {state.strip().lower() for state in states_filter}
        types = {name.strip().lower() for name in types_filter}
        if types and "classic" not in types:
            return []
        return [
            ListedGroup(group.group_id, group.protocol_type or "", group.state.value, "classic")
            for group in self._groups.values()
            if not states or group.state.value.lower() in states
        ]

    def describe_groups(
        self, group_ids: Sequence[str], *, expects_group_id_not_found: bool = False
    ) -> list[DescribedGroup]:
        """Describe each group. ``expects_group_id_not_found``: v6+; before, a missing group is merely Dead."""
        missing = ErrorCode.GROUP_ID_NOT_FOUND if expects_group_id_not_found else ErrorCode.NONE
        described = []
        for group_id in group_ids:
            group = self._groups.get(group_id)
            if group is None:
                described.append(DescribedGroup(missing, group_id, GroupState.DEAD.value))
            else:
                described.append(_describe(group))
        return described

    def delete_groups(self, group_ids: Sequence[str]) -> list[tuple[str, ErrorCode]]:
        """Delete the empty ones among the groups with all their offsets; return each id with its error."""
        errors = {group_id: self._check_deletion(group_id) for group_id in group_ids}
        doomed = [group_id for group_id, error in errors.items() if not error]
        if doomed:
            try:
                self._catalog.commit(*map(GroupRemoved, doomed))
            except CatalogError as refusal:
                _log.warning("groups %s could not be deleted: %s", doomed, refusal)
                errors |= dict.fromkeys(doomed, ErrorCode.COORDINATOR_NOT_AVAILABLE)
            else:
                for group_id in doomed:
                    self._rebalances.end(self._groups.pop(group_id), ErrorCode.NOT_COORDINATOR)
        return [(group_id, errors[group_id]) for group_id in group_ids]

    def _check_deletion(self, group_id: str) -> ErrorCode:
        group = self._groups.get(group_id)
        if group is None or group.state is GroupState.DEAD:
            return ErrorCode.GROUP_ID_NOT_FOUND
        return ErrorCode.NONE if group.state is GroupState.EMPTY else ErrorCode.NON_EMPTY_GROUP

    def _may_create(self, group_id: str) -> bool:
        if self._closed:
            return False
        if len(self._groups) >= GROUPS_MAX:
            _log.warning("no room for group %s: there are %d groups", group_id, len(self._groups))
            return False
        return True


def _describe(group: Group) -> DescribedGroup:
    """Show the group as it stands; what members sent is shown only while it stands still."""
    stable = group.state is GroupState.STABLE
    members = [
        DescribedMember(
            member.member_id,
            member.group_instance_id,
            member.client_id,
            member.client_host,
            member.metadata(group.protocol_name) if stable else b"",
            member.assignment,
        )
        for member in group.members.values()
    ]
    protocol_data = (group.protocol_name or "") if stable else ""
    return DescribedGroup(
        ErrorCode.NONE,
        group.group_id,
        group.state.value,
        group.protocol_type or "",
        protocol_data,
        members,
    )
