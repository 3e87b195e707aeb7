"""All consumer groups of this broker, as the coordinator of all groups uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from ....protocol.errors import ErrorCode
from ....storage.catalog import Catalog, Change, ConsumerMember, GroupForgotten
from ....storage.clock import Clock
from ...errors import ApiError
from ...timers import Timers
from ..config import GroupCoordinatorConfig
from ..results import LeavingMember, LeftMember
from .assignors import Assignment
from .classic import ClassicMembers
from .deadlines import GroupTimes
from .group import ConsumerGroup, ConsumerGroupState, KnownTopics
from .member import AWAY_EPOCH, union
from .protocol import LEAVE_EPOCH, ConsumerProtocol, HeartbeatRequest, HeartbeatResult

# OffsetCommit's version from which it knows member epochs.
_EPOCHS_SINCE = 9


class DescribedConsumerMember(NamedTuple):
    """A member as ConsumerGroupDescribe tells of it; ``assigned`` includes what it still has to revoke."""

    member_id: str
    instance_id: str | None
    rack_id: str | None
    member_epoch: int
    client_id: str
    client_host: str
    topic_names: Sequence[str]
    regex: str
    assigned: Assignment
    target: Assignment
    is_classic: bool


class DescribedConsumerGroup(NamedTuple):
    """A group as ConsumerGroupDescribe tells of it."""

    group_id: str
    state: str
    epoch: int
    assignment_epoch: int
    assignor: str
    members: Sequence[DescribedConsumerMember]


class ConsumerGroups:
    """See the module. ``classic``: answers the members that speak the classic protocol still.

    ``times_of``: the settings of a group by its id. ``on_only_classic``: see ConsumerProtocol.
    """

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        config: GroupCoordinatorConfig,
        timers: Timers,
        topics: KnownTopics,
        times_of: Callable[[str], GroupTimes],
        on_only_classic: Callable[[ConsumerGroup, str], None],
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._config = config
        self._topics = topics
        self._protocol = ConsumerProtocol(catalog, clock, config, timers, topics, times_of, on_only_classic)
        self.classic = ClassicMembers(self._protocol, topics)
        self._groups: dict[str, ConsumerGroup] = {}
        for stored in catalog.consumer_groups():
            self._groups[stored.group_id] = ConsumerGroup(stored)
        for group_id, member, target in catalog.consumer_members():
            self._groups[group_id].load(member, target)
        for group in self._groups.values():
            self._protocol.deadlines.take_up(group)

    def __contains__(self, group_id: str) -> bool:
        return group_id in self._groups

    def __iter__(self) -> Iterator[ConsumerGroup]:
        return iter(self._groups.values())

    def __len__(self) -> int:
        return len(self._groups)

    def get(self, group_id: str) -> ConsumerGroup | None:
        return self._groups.get(group_id)

    def check(self, request: HeartbeatRequest, api_version: int) -> None:
        """Raises ApiError: INVALID_REQUEST, UNSUPPORTED_ASSIGNOR."""
        self._protocol.check(request, api_version)

    def join_new(self, group: ConsumerGroup, request: HeartbeatRequest, before: Sequence[Change]) -> HeartbeatResult:
        """Take in a group with who joins it; ``before``: what is committed with it.

        Raises ApiError, CatalogError; there is no group then.
        """
        result = self._protocol.heartbeat(group, request, before)
        self._groups[request.group_id] = group
        return result

    def take_up(self, group: ConsumerGroup) -> None:
        """Give each member its whole time again."""
        self._protocol.deadlines.take_up(group)

    def heartbeat(self, group: ConsumerGroup, request: HeartbeatRequest) -> HeartbeatResult:
        """Raises ApiError, CatalogError."""
        if request.member_epoch in (LEAVE_EPOCH, AWAY_EPOCH):
            return self._protocol.leave(group, request)
        return self._protocol.heartbeat(group, request)

    def remove_members(self, group: ConsumerGroup, members: Sequence[LeavingMember]) -> list[LeftMember]:
        """Let an administrator take members out, by id or by instance id."""
        left, fenced = [], []
        for leaving in members:
            error = ErrorCode.NONE
            try:
                fenced.append(self._leaving(group, leaving))
            except ApiError as refusal:
                error = refusal.code
            left.append(LeftMember(leaving.member_id, leaving.group_instance_id, error))
        if fenced:
            self._protocol.fence(group, list(dict.fromkeys(fenced)), "an administrator removed it")
        return left

    def _leaving(self, group: ConsumerGroup, leaving: LeavingMember) -> str:
        if leaving.group_instance_id is not None:
            present = group.static_member(leaving.group_instance_id)
            member_id = leaving.member_id or (present.member_id if present is not None else "")
            return self._protocol.static_member(group, leaving.group_instance_id, member_id).member_id
        if leaving.member_id not in group.members:
            raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID)
        return leaving.member_id

    def check_commit(
        self,
        group: ConsumerGroup,
        member_id: str,
        member_epoch: int,
        partitions: Iterable[tuple[str, int]],
        *,
        transactional: bool,
        api_version: int,
    ) -> ErrorCode:
        """Return NONE when this member may commit now (ConsumerGroup.validateOffsetCommit).

        With an older epoch it may where it has had the partitions since then (KIP-1251).
        """
        if member_epoch < 0 and not group.members:
            return ErrorCode.NONE
        if transactional and member_epoch < 0 and not member_id:
            return ErrorCode.NONE
        member = group.members.get(member_id)
        if member is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        if not transactional and api_version < _EPOCHS_SINCE and member.classic is None:
            return ErrorCode.UNSUPPORTED_VERSION
        error = _check_epoch(member, member_epoch)
        if error is ErrorCode.STALE_MEMBER_EPOCH and not transactional:
            ids = [
                (topic.topic_id if (topic := self._topics.get(name)) else b"", index) for name, index in partitions
            ]
            return ErrorCode.NONE if ids and group.had_all_at(member, member_epoch, ids) else error
        return ErrorCode.ILLEGAL_GENERATION if error and transactional else error

    def check_fetch(self, group: ConsumerGroup, member_id: str | None, member_epoch: int) -> ErrorCode:
        """Return NONE when this member may fetch offsets now (ConsumerGroup.validateOffsetFetch)."""
        if member_id is None and member_epoch < 0:
            return ErrorCode.NONE
        member = group.members.get(member_id or "")
        if member is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return _check_epoch(member, member_epoch)

    def describe(self, group: ConsumerGroup) -> DescribedConsumerGroup:
        assignor = group.preferred_assignor(group.members.values(), self._config.consumer_assignors[0])
        return DescribedConsumerGroup(
            group.group_id,
            group.state.value,
            group.epoch,
            group.assignment_epoch,
            assignor,
            [
                DescribedConsumerMember(
                    member.member_id,
                    member.instance_id,
                    member.rack_id,
                    member.epoch,
                    member.client_id,
                    member.client_host,
                    member.topic_names,
                    member.regex,
                    union(member.assigned, member.revoking),
                    group.targets[member.member_id],
                    member.classic is not None,
                )
                for member in group.members.values()
            ],
        )

    def forget(self, group_id: str) -> None:
        """Let a group go from memory that has gone from the catalog."""
        group = self._groups.pop(group_id)
        for member_id in group.members:
            self._protocol.deadlines.forget(group_id, member_id)

    def give_way(self, group_id: str) -> None:
        """Let an empty group go, so that a classic one takes its place; its offsets stay. Raises CatalogError."""
        self._catalog.commit(GroupForgotten(group_id))
        self.forget(group_id)

    def is_empty(self, group_id: str) -> bool:
        return self._groups[group_id].state is ConsumerGroupState.EMPTY


def _check_epoch(member: ConsumerMember, member_epoch: int) -> ErrorCode:
    """Return NONE for the member's own epoch (ConsumerGroup.validateMemberEpoch)."""
    if member_epoch == member.epoch:
        return ErrorCode.NONE
    return ErrorCode.STALE_MEMBER_EPOCH if member.classic is None else ErrorCode.ILLEGAL_GENERATION
