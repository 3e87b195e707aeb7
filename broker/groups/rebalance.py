"""From one generation to the next: the join phase, the sync phase, and the deadlines of both."""

import logging
from collections.abc import Mapping
from functools import partial

from ...protocol.errors import ErrorCode
from ...storage.catalog import Catalog, GroupStored
from ...storage.clock import Clock
from ...storage.errors import CatalogError
from ..timers import Timers
from .config import STEP_MS_MIN, GroupCoordinatorConfig
from .group import Group, GroupState, Member
from .results import JoinResult, SyncResult

NEW_MEMBER_JOIN_TIMEOUT_MS = 5 * 60 * 1000  # Kafka's classicGroupNewMemberJoinTimeoutMs
RETRY_MS_MIN = 1_000  # between two looks at a group in which nobody rejoined, whatever timeout its members named

CAN_REBALANCE = frozenset((GroupState.EMPTY, GroupState.STABLE, GroupState.COMPLETING_REBALANCE))

_log = logging.getLogger(__name__)


class Rebalances:
    """Takes groups through their rebalances. The groups are handed in; only their deadlines are kept here.

    The methods that may end a generation return the error that befell the catalog on the way, or NONE.
    """

    def __init__(self, catalog: Catalog, clock: Clock, config: GroupCoordinatorConfig, timers: Timers) -> None:
        self._catalog = catalog
        self._clock = clock
        self._config = config
        self._timers = timers

    # Join phase

    def prepare_or_complete(self, group: Group, reason: str) -> ErrorCode:
        """Begin a rebalance where none is under way, else end its join phase if this was what it waited for."""
        if group.state in CAN_REBALANCE:
            return self.prepare(group, reason)
        return self.complete_if_all_joined(group)

    def prepare(self, group: Group, reason: str) -> ErrorCode:
        """Begin a rebalance: everybody has to join again."""
        if group.state is GroupState.COMPLETING_REBALANCE:
            self._propagate(group, {}, ErrorCode.REBALANCE_IN_PROGRESS)
        group.pending_sync_members.clear()
        self._timers.cancel((group.group_id, "sync"))
        is_initial = group.state is GroupState.EMPTY
        group.transition_to(GroupState.PREPARING_REBALANCE, self._clock.now_ms())
        _log.debug("group %s: rebalancing after generation %d: %s", group.group_id, group.generation_id, reason)
        group.rebalance_reason = reason
        if is_initial:
            group.new_member_added = False
            delay_ms = self._config.group_initial_rebalance_delay_ms
            self._delay_initial(group, delay_ms, max(group.rebalance_timeout_ms() - delay_ms, 0))
            return ErrorCode.NONE
        if group.has_all_joined():
            return self.complete_join(group)
        self._end_join_in(group, group.rebalance_timeout_ms())
        return ErrorCode.NONE

    def complete_if_all_joined(self, group: Group) -> ErrorCode:
        """End the join phase if everybody is there. The first rebalance of a group always takes its time."""
        if (
            group.state is GroupState.PREPARING_REBALANCE
            and group.previous_state is not GroupState.EMPTY
            and group.has_all_joined()
        ):
            return self.complete_join(group)
        return ErrorCode.NONE

    def complete_join(self, group: Group) -> ErrorCode:
        """End the join phase: dynamic members that did not join are out, the others get a new generation."""
        self._timers.cancel((group.group_id, "join"))
        for member in list(group.members.values()):
            if member.group_instance_id is None and member.member_id not in group.waiting_joins:
                _log.info("group %s: removed member %s, which did not join in time", group.group_id, member.member_id)
                self.drop(group, member.member_id)
        if not group.members:
            return self._complete_empty(group)
        if not group.elect_joined_leader():
            # Static members only, all of them silent: until one comes back or their sessions end.
            self._end_join_in(group, max(group.rebalance_timeout_ms(), RETRY_MS_MIN))
            return ErrorCode.NONE
        group.begin_generation(self._clock.now_ms())
        count = f"{len(group.members)} member{'s' if len(group.members) > 1 else ''}"
        because = group.rebalance_reason
        _log.info("group %s: generation %d has %s; %s", group.group_id, group.generation_id, count, because)
        for member in group.members.values():
            group.answer_join(member.member_id, group.joined(member.member_id))
            member.is_new = False
            self.keep_alive(group, member)
        self._timers.arm(
            (group.group_id, "sync"),
            max(group.rebalance_timeout_ms(), STEP_MS_MIN),
            partial(self._expire_syncs, group),
        )
        return ErrorCode.NONE

    def _complete_empty(self, group: Group) -> ErrorCode:
        """Record that the group is empty; else members of the older generation would time out after a restart."""
        now_ms = self._clock.now_ms()
        error = ErrorCode.NONE
        try:
            self._catalog.commit(GroupStored(group.stored_empty(now_ms)))
        except CatalogError as refusal:
            _log.warning("cannot store that group %s is empty: %s", group.group_id, refusal)
            error = ErrorCode.COORDINATOR_NOT_AVAILABLE
        group.begin_generation(now_ms)
        _log.info("group %s has no members any more; %s", group.group_id, group.rebalance_reason)
        return error

    def _end_join_in(self, group: Group, delay_ms: int) -> None:
        self._timers.arm((group.group_id, "join"), delay_ms, partial(self.complete_join, group))

    def _delay_initial(self, group: Group, delay_ms: int, remaining_ms: int) -> None:
        self._timers.arm((group.group_id, "join"), delay_ms, partial(self._end_delay, group, delay_ms, remaining_ms))

    def _end_delay(self, group: Group, delay_ms: int, remaining_ms: int) -> None:
        """Wait once more if somebody came in the meantime and the first member's rebalance timeout permits it."""
        if not group.new_member_added or remaining_ms == 0:
            self.complete_join(group)
            return
        group.new_member_added = False
        next_delay_ms = min(self._config.group_initial_rebalance_delay_ms, remaining_ms)
        self._delay_initial(group, next_delay_ms, max(remaining_ms - delay_ms, 0))

    # Sync phase

    def received_sync(self, group: Group, member_id: str) -> None:
        """Cross the member off the list of those that have the generation but not its assignment."""
        group.pending_sync_members.discard(member_id)
        if not group.pending_sync_members:
            self._timers.cancel((group.group_id, "sync"))

    def finish(self, group: Group, assignments: Mapping[str, bytes]) -> None:
        """Store what the leader decided and tell it to all who wait; without the store there is no generation."""
        now_ms = self._clock.now_ms()
        try:
            self._catalog.commit(GroupStored(group.stored(assignments, now_ms)))
        except CatalogError as refusal:
            _log.warning("cannot store the assignment of group %s: %s", group.group_id, refusal)
            self._propagate(group, {}, ErrorCode.COORDINATOR_NOT_AVAILABLE)
            self.prepare(group, "its assignment could not be stored")
            return
        group.transition_to(GroupState.STABLE, now_ms)
        self._propagate(group, assignments, ErrorCode.NONE)

    def _propagate(self, group: Group, assignments: Mapping[str, bytes], error: ErrorCode) -> None:
        """Give every member its assignment, and answer those that wait for it."""
        for member in group.members.values():
            member.assignment = assignments.get(member.member_id, b"")
            result = SyncResult(error) if error else self.synced(group, member)
            if group.answer_sync(member.member_id, result):
                self.keep_alive(group, member)

    @staticmethod
    def synced(group: Group, member: Member) -> SyncResult:
        """Return the member's assignment as SyncGroup tells it."""
        return SyncResult(ErrorCode.NONE, group.protocol_type, group.protocol_name, member.assignment)

    def _expire_syncs(self, group: Group) -> None:
        late = list(group.pending_sync_members)
        if not late:
            return
        for member_id in late:
            self.drop(group, member_id)
        whose = "1 member has" if len(late) == 1 else f"{len(late)} members have"
        self.prepare(group, f"{whose} not asked for the assignment in time")

    # Sessions

    def keep_alive(self, group: Group, member: Member) -> None:
        """Begin the member's session timeout anew."""
        self.await_member(group, member.member_id, member.session_timeout_ms)

    def await_member(self, group: Group, member_id: str, timeout_ms: int) -> None:
        """Let the member, or the id that is pending, go unless it is heard of within ``timeout_ms``."""
        self._timers.arm((group.group_id, "session", member_id), timeout_ms, partial(self._expire, group, member_id))

    def _expire(self, group: Group, member_id: str) -> None:
        if member_id in group.pending_members:
            group.remove(member_id)
            self.complete_if_all_joined(group)
            return
        waits = member_id in group.waiting_joins or member_id in group.waiting_syncs
        if waits and not group.members[member_id].is_new:
            return  # it cannot be heard while it waits; its answer begins the session anew
        _log.info("group %s: the session of member %s timed out", group.group_id, member_id)
        self.drop(group, member_id)
        self.prepare_or_complete(group, f"the session of {member_id} has timed out")

    def drop(self, group: Group, member_id: str) -> None:
        """Take a member or a pending member out; what it waits for is answered UNKNOWN_MEMBER_ID."""
        self._timers.cancel((group.group_id, "session", member_id))
        group.answer_join(member_id, JoinResult(ErrorCode.UNKNOWN_MEMBER_ID, ""))
        group.answer_sync(member_id, SyncResult(ErrorCode.UNKNOWN_MEMBER_ID))
        group.remove(member_id)

    def take_over(self, group: Group, old_member_id: str, member: Member) -> None:
        """Put ``member`` in the place of the old one, whose waiting requests are fenced."""
        self._timers.cancel((group.group_id, "session", old_member_id))
        fenced = ErrorCode.FENCED_INSTANCE_ID
        group.answer_join(old_member_id, JoinResult(fenced, old_member_id))
        group.answer_sync(old_member_id, SyncResult(fenced))
        group.replace(old_member_id, member)
        self.keep_alive(group, member)

    def end(self, group: Group, error: ErrorCode) -> None:
        """The group is gone from this coordinator: no deadlines, and ``error`` for all who wait."""
        for key in ("join", "sync"):
            self._timers.cancel((group.group_id, key))
        for member_id in (*group.members, *group.pending_members):
            self._timers.cancel((group.group_id, "session", member_id))
            group.answer_join(member_id, JoinResult(error, member_id))
            group.answer_sync(member_id, SyncResult(error))
        group.transition_to(GroupState.DEAD, self._clock.now_ms())
