"""The owner of all groups: what the API handlers talk to."""

import logging
from collections.abc import Callable, Iterable, Sequence

from ...protocol.errors import ErrorCode
from ...storage.catalog import (
    Catalog,
    Change,
    GroupForgotten,
    GroupRemoved,
    GroupStored,
    OffsetsDecided,
    OffsetsRemoved,
)
from ...storage.clock import Clock
from ...storage.errors import CatalogError
from ..errors import ApiError
from ..timers import Timers
from .classic import ClassicProtocol, JoinRequest, SyncRequest
from .config import GroupCoordinatorConfig
from .consumer.deadlines import GroupTimes
from .consumer.group import ConsumerGroup, KnownTopics
from .consumer.groups import ConsumerGroups, DescribedConsumerGroup
from .consumer.protocol import JOIN_EPOCH, HeartbeatRequest, HeartbeatResult
from .expiry import expired_in_consumer_group, expired_offsets
from .group import Group, GroupState
from .migration import admits_classic_members, downgraded, may_be_downgraded, upgraded
from .offsets import NO_RETENTION_TIME, Offsets, check_commit
from .rebalance import Rebalances
from .results import (
    DescribedGroup,
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
from .subscription import CONSUMER_PROTOCOL_TYPE

GROUPS_MAX = 100_000  # some 100 MB of state; every client can make groups, and they go when they are empty

_GROUP_ID_NOT_FOUND_SINCE = 9

_log = logging.getLogger(__name__)


class GroupCoordinator:
    """All groups of this broker. Not for more than one thread.

    A ``reply`` is called exactly once, perhaps before the method returns, perhaps much later; it must not raise
    and must not call the coordinator. The owner of the event loop calls ``advance`` when ``next_deadline`` is
    reached, and is told through ``on_deadline_changed`` when that comes sooner than it last heard.
    """

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        config: GroupCoordinatorConfig,
        topics: KnownTopics,
        times_of: Callable[[str], GroupTimes],
    ) -> None:
        """Take up every group where the catalog has it; each member gets its whole session timeout to speak up.

        ``times_of``: what the settings of a consumer group say, by its id.
        """
        self._catalog = catalog
        self._config = config
        self._clock = clock
        self._timers = Timers(clock)
        self._topics = topics
        self._rebalances = Rebalances(catalog, clock, config, self._timers)
        self._classic = ClassicProtocol(catalog, clock, config, self._rebalances)
        self._offsets = Offsets(catalog, clock, config)
        self._consumer = ConsumerGroups(catalog, clock, config, self._timers, topics, times_of, self._downgrade)
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
            elif group.members and stored.leader_id is None:
                self._rebalances.prepare(group, "it was about to, when the broker stopped")
        for group_id in self._catalog.groups_with_offsets():
            if group_id not in self._groups and group_id not in self._consumer:
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
        try:
            for group in list(self._groups.values()):
                self._expire_classic(group, retention_ms, now_ms)
            for consumer_group in list(self._consumer):
                self._expire_consumer(consumer_group, retention_ms, now_ms)
        except CatalogError as refusal:
            _log.warning("cannot expire offsets: %s", refusal)

    def _expire_classic(self, group: Group, retention_ms: int, now_ms: int) -> None:
        offsets = self._catalog.offsets(group.group_id)
        gone = expired_offsets(group, offsets, retention_ms, now_ms)
        is_idle = group.state is GroupState.EMPTY and not group.pending_members
        if is_idle and len(gone) == len(offsets) and not self._catalog.pending_offsets(group.group_id):
            self._catalog.commit(GroupRemoved(group.group_id))
            self._rebalances.end(self._groups.pop(group.group_id), ErrorCode.NOT_COORDINATOR)
        elif gone:
            self._catalog.commit(OffsetsRemoved(group.group_id, gone))

    def _expire_consumer(self, group: ConsumerGroup, retention_ms: int, now_ms: int) -> None:
        offsets = self._catalog.offsets(group.group_id)
        gone = expired_in_consumer_group(group, offsets, retention_ms, now_ms)
        is_idle = not group.members and not self._catalog.pending_offsets(group.group_id)
        if is_idle and len(gone) == len(offsets):
            self._catalog.commit(GroupRemoved(group.group_id))
            self._consumer.forget(group.group_id)
        elif gone:
            self._catalog.commit(OffsetsRemoved(group.group_id, gone))

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
        consumer_group = self._consumer.get(group_id)
        if consumer_group is not None and consumer_group.members:
            reply(self._join_consumer_group(consumer_group, request))
            return
        group = self._groups.get(group_id)
        if group is None:
            group = Group(group_id, self._clock.now_ms())
            if error := self._check_first_join(group, request, consumer_group):
                reply(JoinResult(error, member_id))
                return
        self._classic.join(group, request, reply)
        if group.members or group.pending_members:
            self._groups[group_id] = group

    def _check_first_join(
        self, group: Group, request: JoinRequest, consumer_group: ConsumerGroup | None
    ) -> ErrorCode:
        """Return NONE when the join makes a classic group. An empty consumer group gives way to it only then."""
        if request.member_id:
            return ErrorCode.UNKNOWN_MEMBER_ID
        if not self._classic.supports(group, request):
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        if consumer_group is not None:
            return ErrorCode.NONE if self._consumer_gives_way(group) else ErrorCode.COORDINATOR_NOT_AVAILABLE
        return ErrorCode.NONE if self._may_create(request.group_id) else ErrorCode.COORDINATOR_NOT_AVAILABLE

    def _join_consumer_group(self, group: ConsumerGroup, request: JoinRequest) -> JoinResult:
        """An error carries no member id, as in Kafka (GroupCoordinatorService.handleOperationException)."""
        if not admits_classic_members(self._config):
            return JoinResult(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, "")
        try:
            return self._consumer.classic.join(group, request)
        except ApiError as refusal:
            return JoinResult(refusal.code, "")
        except CatalogError:
            return JoinResult(ErrorCode.COORDINATOR_NOT_AVAILABLE, "")

    def _consumer_gives_way(self, group: Group) -> bool:
        """Put a classic group in the place of an empty consumer group; return False when the catalog refuses."""
        try:
            self._consumer.give_way(group.group_id)
        except CatalogError:
            return False
        self._groups[group.group_id] = group
        return True

    def consumer_heartbeat(self, request: HeartbeatRequest, api_version: int) -> HeartbeatResult:
        """Let a member of the consumer protocol join, live or leave. Raises ApiError, CatalogError."""
        self._consumer.check(request, api_version)
        group = self._consumer.get(request.group_id)
        if group is not None:
            return self._consumer.heartbeat(group, request)
        classic = self._groups.get(request.group_id)
        if request.member_epoch != JOIN_EPOCH:
            name = request.group_id
            message = (
                f"Consumer group {name} not found." if classic is None else f"Group {name} is not a consumer group."
            )
            raise ApiError(ErrorCode.GROUP_ID_NOT_FOUND, message)
        if self._closed or (classic is None and not self._may_create(request.group_id)):
            raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        group = ConsumerGroup.new(request.group_id, self._clock.now_ms())
        if classic is None:
            return self._consumer.join_new(group, request, [])
        before: Sequence[Change] = [GroupForgotten(request.group_id)]
        if classic.state is not GroupState.EMPTY:
            group, before = upgraded(classic, self._topics, self._config)
        result = self._consumer.join_new(group, request, before)
        self._rebalances.end(self._groups.pop(request.group_id), ErrorCode.REBALANCE_IN_PROGRESS)
        self._consumer.take_up(group)
        return result

    def _downgrade(self, group: ConsumerGroup, reason: str) -> None:
        """Make a classic group of one whose members are all classic, if that may be; rebalance it for a reason."""
        if not may_be_downgraded(group, self._config):
            return
        now_ms = self._clock.now_ms()
        classic = downgraded(group, self._topics, now_ms, must_rebalance=bool(reason))
        assignments = {member.member_id: member.assignment for member in classic.members.values()}
        try:
            self._catalog.commit(GroupForgotten(group.group_id), GroupStored(classic.stored(assignments, now_ms)))
        except CatalogError as refusal:
            _log.warning("group %s stays a consumer group: %s", group.group_id, refusal)
            return
        self._consumer.forget(group.group_id)
        self._groups[group.group_id] = classic
        for member in classic.members.values():
            self._rebalances.keep_alive(classic, member)
        if reason:
            self._rebalances.prepare(classic, reason)

    def sync_group(self, request: SyncRequest, reply: SyncReply) -> None:
        """Ask for the assignment, or bring it as the leader; the answer comes when the leader has."""
        if not request.group_id:
            reply(SyncResult(ErrorCode.INVALID_GROUP_ID))
        elif group := self._groups.get(request.group_id):
            self._classic.sync(group, request, reply)
        elif consumer_group := self._consumer.get(request.group_id):
            try:
                reply(self._consumer.classic.sync(consumer_group, request))
            except ApiError as refusal:
                reply(SyncResult(refusal.code))
        else:
            reply(SyncResult(ErrorCode.UNKNOWN_MEMBER_ID))

    def heartbeat(
        self, group_id: str, member_id: str, group_instance_id: str | None, generation_id: int
    ) -> ErrorCode:
        """Keep the session alive; REBALANCE_IN_PROGRESS tells the member to join again."""
        if not group_id:
            return ErrorCode.INVALID_GROUP_ID
        consumer_group = self._consumer.get(group_id)
        if consumer_group is not None:
            try:
                return self._consumer.classic.heartbeat(consumer_group, member_id, group_instance_id, generation_id)
            except ApiError as refusal:
                return refusal.code
        group = self._groups.get(group_id)
        if group is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return self._classic.heartbeat(group, member_id, group_instance_id, generation_id)

    def leave_group(self, group_id: str, members: Sequence[LeavingMember]) -> LeaveResult:
        """Let members go at once, without waiting for their sessions to end."""
        if not group_id:
            return LeaveResult(ErrorCode.INVALID_GROUP_ID)
        consumer_group = self._consumer.get(group_id)
        if consumer_group is not None:
            return LeaveResult(ErrorCode.NONE, self._consumer.remove_members(consumer_group, members))
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
        api_version: int = 0,
        partitions: Iterable[tuple[str, int]] = (),
    ) -> ErrorCode:
        """Return what OffsetCommit, or TxnOffsetCommit, says to this member for all its partitions.

        ``api_version``: of OffsetCommit; before v9 a missing group is an ILLEGAL_GENERATION. ``partitions``: all
        that OffsetCommit names.
        """
        consumer_group = self._consumer.get(group_id)
        if consumer_group is not None:
            return self._consumer.check_commit(
                consumer_group,
                member_id,
                generation_id,
                partitions,
                transactional=transactional,
                api_version=api_version,
            )
        group = self._groups.get(group_id)
        if group is not None:
            return check_commit(group, member_id, group_instance_id, generation_id, transactional=transactional)
        if generation_id < 0:
            allowed = self._may_create(group_id)
            return ErrorCode.NONE if allowed else ErrorCode.COORDINATOR_NOT_AVAILABLE
        if api_version >= _GROUP_ID_NOT_FOUND_SINCE:
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
        api_version: int = 0,
        producer_id: int = -1,
    ) -> Sequence[ErrorCode]:
        """Commit, and return an error for each of ``offsets``, in their order.

        The group id may be empty. ``generation_id`` -1 without a member makes the group if need be.
        ``retention_time_ms``: v2-v4, else -1. ``producer_id``: of the transaction that the commit is part of.
        """
        error = self.check_offset_commit(
            group_id,
            member_id,
            group_instance_id,
            generation_id,
            transactional=producer_id >= 0,
            api_version=api_version,
            partitions=((offset.topic, offset.partition) for offset in offsets),
        )
        if error:
            return [error] * len(offsets)
        group = self._groups.get(group_id)
        if group is not None and (member := group.members.get(member_id)):
            self._rebalances.keep_alive(group, member)
        errors = self._offsets.commit(group_id, offsets, retention_time_ms, producer_id)
        if group is None and group_id not in self._consumer and ErrorCode.NONE in errors:
            self._groups[group_id] = Group(group_id, self._clock.now_ms())
        return errors

    def check_offset_fetch(self, group_id: str, member_id: str | None, member_epoch: int) -> ErrorCode:
        """Return what OffsetFetch v9+ says to a member of a consumer group for the whole group."""
        group = self._consumer.get(group_id)
        return ErrorCode.NONE if group is None else self._consumer.check_fetch(group, member_id, member_epoch)

    def fetch_offsets(
        self, group_id: str, partitions: Sequence[tuple[str, int]] | None, require_stable: bool = False
    ) -> Sequence[FetchedOffset]:
        """Return the committed offsets of ``partitions``, -1 where there is none; None asks for all there are.

        ``require_stable``: UNSTABLE_OFFSET_COMMIT where a transaction may commit another one (KIP-447).
        """
        group = self._groups.get(group_id)
        if group_id not in self._consumer and (group is None or group.state is GroupState.DEAD):
            return [FetchedOffset(topic, partition) for topic, partition in partitions or ()]
        return self._offsets.fetch(group_id, partitions, require_stable)

    def complete_transaction(self, producer_id: int, is_commit: bool, concerns: Callable[[str], bool]) -> None:
        """Commit or forget what a transaction has prepared for the groups it ``concerns``. Raises CatalogError."""
        group_ids = frozenset(filter(concerns, self._catalog.groups_pending(producer_id)))
        if group_ids:
            self._catalog.commit(OffsetsDecided(producer_id, is_commit, group_ids))

    def delete_offsets(self, group_id: str, partitions: Sequence[tuple[str, int]]) -> OffsetDeleteResult:
        """Forget offsets; those of a topic that a member is subscribed to stay."""
        if not group_id:
            return OffsetDeleteResult(ErrorCode.INVALID_GROUP_ID)
        consumer_group = self._consumer.get(group_id)
        if consumer_group is not None:
            return self._offsets.forget(group_id, partitions, consumer_group.is_subscribed_to)
        group = self._groups.get(group_id)
        if group is None:
            return OffsetDeleteResult(ErrorCode.GROUP_ID_NOT_FOUND)
        return self._offsets.delete(group, partitions)

    # Administration

    def list_groups(self, states_filter: Sequence[str] = (), types_filter: Sequence[str] = ()) -> list[ListedGroup]:
        """Return the groups in one of the states and of one of the types, whatever their case; empty means any."""
        states = {state.strip().lower() for state in states_filter}
        types = {name.strip().lower() for name in types_filter}
        listed = []
        if not types or "classic" in types:
            listed += [
                ListedGroup(group.group_id, group.protocol_type or "", group.state.value, "classic")
                for group in self._groups.values()
            ]
        if not types or "consumer" in types:
            listed += [
                ListedGroup(group.group_id, CONSUMER_PROTOCOL_TYPE, group.state.value, "consumer")
                for group in self._consumer
            ]
        return [group for group in listed if not states or group.state.lower() in states]

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
                described.append(group.describe())
        return described

    def describe_consumer_group(self, group_id: str) -> DescribedConsumerGroup:
        """Raises ApiError: GROUP_ID_NOT_FOUND, also for a classic group."""
        group = self._consumer.get(group_id)
        if group is None:
            what = "is not a consumer group" if group_id in self._groups else "not found"
            raise ApiError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} {what}.")
        return self._consumer.describe(group)

    def delete_groups(self, group_ids: Sequence[str]) -> list[tuple[str, ErrorCode]]:
        """Delete the empty ones among the groups with all their offsets; return each id once, with its error."""
        errors = {group_id: self._check_deletion(group_id) for group_id in group_ids}
        doomed = [group_id for group_id, error in errors.items() if not error]
        if doomed:
            try:
                self._catalog.commit(*map(GroupRemoved, doomed))
            except CatalogError as refusal:
                _log.warning("cannot delete groups %s: %s", doomed, refusal)
                errors |= dict.fromkeys(doomed, ErrorCode.COORDINATOR_NOT_AVAILABLE)
            else:
                for group_id in doomed:
                    if group_id in self._consumer:
                        self._consumer.forget(group_id)
                    else:
                        self._rebalances.end(self._groups.pop(group_id), ErrorCode.NOT_COORDINATOR)
        return list(errors.items())

    def _check_deletion(self, group_id: str) -> ErrorCode:
        if group_id in self._consumer:
            return ErrorCode.NONE if self._consumer.is_empty(group_id) else ErrorCode.NON_EMPTY_GROUP
        group = self._groups.get(group_id)
        if group is None or group.state is GroupState.DEAD:
            return ErrorCode.GROUP_ID_NOT_FOUND
        return ErrorCode.NONE if group.state is GroupState.EMPTY else ErrorCode.NON_EMPTY_GROUP

    def _may_create(self, group_id: str) -> bool:
        if self._closed:
            return False
        if len(self._groups) + len(self._consumer) >= GROUPS_MAX:
            _log.warning("no room for group %s: there are %d groups", group_id, GROUPS_MAX)
            return False
        return True
