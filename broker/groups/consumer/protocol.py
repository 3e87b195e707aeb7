"""ConsumerGroupHeartbeat: a member joins, lives, leaves; the broker decides who reads what (GroupMetadataManager).

A request is decided from the group as it is, into changes; they are committed to the catalog, then applied.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from ....protocol.errors import ErrorCode
from ....storage.catalog import (
    Catalog,
    Change,
    ConsumerGroupStored,
    ConsumerMember,
    ConsumerMembersRemoved,
    ConsumerMembersStored,
    TargetsStored,
)
from ....storage.clock import Clock
from ... import patterns
from ...errors import ApiError
from ...timers import Timers
from ..config import GroupCoordinatorConfig
from .assignors import ASSIGNORS, Assignment, Subscriber
from .deadlines import Deadlines, GroupTimes
from .group import ConsumerGroup, GroupChange, KnownTopics, metadata_hash
from .member import AWAY_EPOCH, Reconciliation, is_reconciled, new_member, successor

JOIN_EPOCH, LEAVE_EPOCH = 0, -1
# How long to wait before expressions are matched with all topics again (Kafka's REGEX_BATCH_REFRESH_MIN_INTERVAL_MS).
REGEX_REFRESH_S = 10.0

logger = logging.getLogger(__name__)

# Why a member that says goodbye is out.
LEFT = "it left"


class HeartbeatRequest(NamedTuple):
    """ConsumerGroupHeartbeat. None stands for "as before"; ``rebalance_timeout_ms`` is -1 then."""

    group_id: str
    member_id: str
    member_epoch: int
    instance_id: str | None
    rack_id: str | None
    rebalance_timeout_ms: int
    topic_names: tuple[str, ...] | None
    regex: str | None
    assignor: str | None
    owned: Assignment | None
    client_id: str
    client_host: str

    @property
    def is_full(self) -> bool:
        """True when the member says everything, as it does when it has lost track."""
        has_subscription = self.topic_names is not None or self.regex is not None
        return self.rebalance_timeout_ms != -1 and has_subscription and self.owned is not None


class HeartbeatResult(NamedTuple):
    """``assignment``: by topic id; None when there is nothing new about it."""

    member_id: str
    member_epoch: int
    heartbeat_interval_ms: int
    assignment: Assignment | None


class ConsumerProtocol:
    """Decides for one group at a time; the groups are handed in. ``times_of``: the settings of a group by its id.

    ``on_only_classic`` is told of a group, and why, when nobody is left in it who speaks this protocol.
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
        self._times_of = times_of
        self.deadlines = Deadlines(timers, times_of, self.fence)
        self.on_only_classic = on_only_classic

    def check(self, request: HeartbeatRequest, api_version: int) -> None:
        """Raises ApiError for what is wrong in itself: INVALID_REQUEST, UNSUPPORTED_ASSIGNOR."""
        epoch = request.member_epoch
        if (api_version >= 1 or epoch > 0 or epoch == LEAVE_EPOCH) and not request.member_id.strip():
            raise _invalid("MemberId can't be empty.")
        for name, value in (
            ("GroupId", request.group_id),
            ("InstanceId", request.instance_id),
            ("RackId", request.rack_id),
        ):
            if value is not None and not value.strip():
                raise _invalid(f"{name} can't be empty.")
        if epoch == JOIN_EPOCH:
            if request.rebalance_timeout_ms == -1:
                raise _invalid("RebalanceTimeoutMs must be provided in first request.")
            if request.owned is None or request.owned:
                raise _invalid("TopicPartitions must be empty when (re-)joining.")
            if request.topic_names is None and request.regex is None:
                raise _invalid(
                    "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining."
                )
        elif epoch == AWAY_EPOCH:
            if request.instance_id is None:
                raise _invalid("InstanceId can't be null.")
        elif epoch < AWAY_EPOCH:
            raise _invalid("MemberEpoch is invalid.")
        if request.assignor is not None and request.assignor not in self._config.consumer_assignors:
            raise ApiError(
                ErrorCode.UNSUPPORTED_ASSIGNOR,
                f"ServerAssignor {request.assignor} is not supported. Supported assignors:"
                f" {', '.join(self._config.consumer_assignors)}.",
            )

    # Joining and living

    def heartbeat(
        self, group: ConsumerGroup, request: HeartbeatRequest, before: Sequence[Change] = ()
    ) -> HeartbeatResult:
        """Take a member one step on; ``before``: what is committed with it.

        Raises ApiError, CatalogError; nothing has changed then, nor after any other error.
        """
        times = self._times_of(group.group_id)  # before the commit: an error here leaves no member without a deadline
        self.check_room(group, request.member_id)
        member, replaced = self._find(group, request)
        updated = member._replace(
            instance_id=_or_before(request.instance_id, member.instance_id),
            rack_id=_or_before(request.rack_id, member.rack_id),
            rebalance_timeout_ms=(
                member.rebalance_timeout_ms if request.rebalance_timeout_ms == -1 else request.rebalance_timeout_ms
            ),
            topic_names=member.topic_names
            if request.topic_names is None
            else tuple(sorted(set(request.topic_names))),
            regex=member.regex if request.regex is None else request.regex,
            assignor=_or_before(request.assignor, member.assignor),
            client_id=request.client_id,
            client_host=request.client_host,
            classic=None,
        )
        if updated == member and group.is_at_rest(member, self._topics.version):
            result = member  # as nearly always; a step would look at every other member
        else:
            result = self.step(group, member, updated, replaced, request.owned, before)
        if replaced is not None:
            self.deadlines.forget(group.group_id, replaced)
        if member.classic is not None:
            self.deadlines.forget(group.group_id, result.member_id)
        self.deadlines.keep_alive(group, result.member_id)
        if _progress(result) != _progress(member):
            self.deadlines.watch_revocation(group, result)
        tells = request.member_epoch == JOIN_EPOCH or request.is_full or result.assigned != member.assigned
        return HeartbeatResult(
            result.member_id, result.epoch, times.heartbeat_interval_ms, result.assigned if tells else None
        )

    def check_room(self, group: ConsumerGroup, member_id: str) -> None:
        """Raises ApiError: GROUP_MAX_SIZE_REACHED."""
        size_max = self._config.consumer_group_max_size
        if len(group.members) >= size_max and member_id not in group.members:
            raise ApiError(
                ErrorCode.GROUP_MAX_SIZE_REACHED,
                f"The consumer group has reached its maximum capacity of {size_max} members.",
            )

    def _find(self, group: ConsumerGroup, request: HeartbeatRequest) -> tuple[ConsumerMember, str | None]:
        """Return the member, made if it joins, and the id of the static member that it replaces."""
        joins = request.member_epoch == JOIN_EPOCH
        member_id = request.member_id or self.new_id()
        if request.instance_id is None:
            member = group.members.get(member_id)
            if member is None:
                if not joins:
                    raise ApiError(
                        ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member_id} is not a member of group {group.group_id}."
                    )
                return new_member(member_id), None
            self._check_epoch(member, request)
            return member, None
        present = group.static_member(request.instance_id)
        if not joins:
            member = self.static_member(group, request.instance_id, member_id)
            self._check_epoch(member, request)
            return member, None
        if present is None:
            return group.members.get(member_id) or new_member(member_id), None
        if present.member_id == member_id:
            return present, None
        if present.epoch != AWAY_EPOCH and present.classic is None:
            raise ApiError(
                ErrorCode.UNRELEASED_INSTANCE_ID,
                f"Static member {member_id} with instance id {request.instance_id} cannot join the group because the"
                f" instance id is owned by another member.",
            )
        return successor(present, member_id), present.member_id

    def static_member(self, group: ConsumerGroup, instance_id: str, member_id: str) -> ConsumerMember:
        """Return the static member. Raises ApiError: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID."""
        member = group.static_member(instance_id)
        if member is None:
            raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID, f"Instance id {instance_id} is unknown.")
        if member.member_id != member_id:
            raise ApiError(
                ErrorCode.FENCED_INSTANCE_ID,
                f"Static member {member_id} with instance id {instance_id} was fenced by member {member.member_id}.",
            )
        return member

    @staticmethod
    def _check_epoch(member: ConsumerMember, request: HeartbeatRequest) -> None:
        """Raises ApiError: FENCED_MEMBER_EPOCH, unless the answer with the new epoch may just have been lost."""
        given = request.member_epoch
        if given == member.epoch or given == JOIN_EPOCH:
            return
        if given < member.epoch and given == member.previous_epoch and _is_within(request.owned, member.assigned):
            return
        size = "greater" if given > member.epoch else "smaller"
        raise ApiError(
            ErrorCode.FENCED_MEMBER_EPOCH,
            f"The consumer group member has a {size} member epoch ({given}) than the one known by the group"
            f" coordinator ({member.epoch}). The member must abandon all its partitions and rejoin.",
        )

    def new_id(self) -> str:
        return str(uuid.UUID(bytes=self._clock.random_bytes(16), version=4))

    def step(
        self,
        group: ConsumerGroup,
        member: ConsumerMember,
        updated: ConsumerMember,
        replaced: str | None,
        owned: Assignment | None,
        before: Sequence[Change] = (),
    ) -> ConsumerMember:
        """Take the member one step on, and return it; ``before``: what is committed with it.

        Raises ApiError, CatalogError; nothing has changed then.
        """
        group_id, stored = group.group_id, group.stored
        members = {each: known for each, known in group.members.items() if each != replaced}
        members[updated.member_id] = updated
        resolved, is_refreshed = self._resolve(group, members.values(), updated)
        is_new = replaced is None and updated.member_id not in group.members
        names_changed = is_new or updated.topic_names != member.topic_names
        regex_changed = updated.regex != member.regex
        must_bump = stored.epoch == 0 or names_changed or regex_changed or resolved != stored.resolved
        if must_bump or group.seen_version != self._topics.version:
            hash_now = metadata_hash(_all_names(group, members.values(), resolved), self._topics)
            if must_bump or hash_now != stored.metadata_hash:
                stored = stored._replace(epoch=stored.epoch + 1, metadata_hash=hash_now, resolved=resolved)
        changes: list[GroupChange] = []
        if replaced is not None:
            changes.append(ConsumerMembersRemoved(group_id, [replaced]))
        target = group.targets.get(replaced or updated.member_id, {})
        targets: Mapping[str, Assignment] = {updated.member_id: target} if replaced is not None else {}
        if stored.epoch > stored.assignment_epoch:
            targets = self._assign(group, members, resolved, replaced, updated.member_id)
            target = targets.get(updated.member_id, target)
            stored = stored._replace(assignment_epoch=stored.epoch)
        stored = stored._replace(empty_since_ms=-1)
        if stored != group.stored:
            changes.append(ConsumerGroupStored(stored))
        result = updated
        if names_changed or regex_changed or not is_reconciled(updated, stored.assignment_epoch):
            topic_ids = self._topic_ids(group.topic_names(updated, resolved))
            reconciliation = Reconciliation(
                updated, target, stored.assignment_epoch, topic_ids, owned, group.epoch_of
            )
            result = reconciliation.step(names_changed or regex_changed)
        if result != group.members.get(result.member_id):
            changes.append(ConsumerMembersStored(group_id, [result]))
        if targets:
            changes.append(TargetsStored(group_id, targets))
        is_new_epoch = stored.epoch != group.epoch
        self.commit(group, changes, before)
        if is_new_epoch:
            logger.info("group %s has epoch %d of %d members", group_id, group.epoch, len(members))
        group.seen_version = self._topics.version
        if is_refreshed:
            group.refreshed_s, group.refreshed_version = self._clock.monotonic(), self._topics.version
        return result

    def _resolve(
        self, group: ConsumerGroup, members: Iterable[ConsumerMember], updated: ConsumerMember
    ) -> tuple[Mapping[str, frozenset[str]], bool]:
        """Return the topics of the expressions in use, and whether they were matched now.

        New ones are; all are when the topics have changed, and one is new or some time has passed.
        """
        regexes = {member.regex for member in members if member.regex}
        known = group.stored.resolved
        if updated.regex and updated.regex not in known:
            patterns.check(updated.regex)
        kept = known if regexes == known.keys() else {regex: known[regex] for regex in regexes & known.keys()}
        is_due = self._clock.monotonic() >= group.refreshed_s + REGEX_REFRESH_S
        is_outdated = group.refreshed_version != self._topics.version
        added = regexes - known.keys()
        if not added and not (regexes and is_due and is_outdated):
            return kept, False
        matched = patterns.resolve(regexes if is_outdated else added, (topic.name for topic in self._topics))
        return {**kept, **matched}, True

    def _assign(
        self,
        group: ConsumerGroup,
        members: Mapping[str, ConsumerMember],
        resolved: Mapping[str, frozenset[str]],
        replaced: str | None,
        member_id: str,
    ) -> dict[str, Assignment]:
        """Return the targets that are not what they were; ``member_id`` takes the place of ``replaced``."""
        present = dict(group.targets)
        if replaced is not None:
            present[member_id] = present.pop(replaced, {})
        ids: dict[frozenset[str], frozenset[bytes]] = {}
        subscribers = {}
        for each, member in sorted(members.items()):  # their order in memory is another after a restart
            names = group.topic_names(member, resolved)
            if names not in ids:
                ids[names] = self._topic_ids(names)
            subscribers[each] = Subscriber(member.instance_id, ids[names], present.get(each, {}))
        counts = {
            topic_id: topic.partition_count
            for topic_id in frozenset[bytes]().union(*ids.values())
            if (topic := self._topics.with_id(topic_id)) is not None
        }
        name = group.preferred_assignor(members.values(), self._config.consumer_assignors[0])
        assigned = ASSIGNORS[name](subscribers, counts)
        return {each: target for each, target in assigned.items() if target != group.targets.get(each)}

    def _topic_ids(self, names: Iterable[str]) -> frozenset[bytes]:
        return frozenset(topic.topic_id for name in names if (topic := self._topics.get(name)) is not None)

    # Leaving

    def leave(self, group: ConsumerGroup, request: HeartbeatRequest) -> HeartbeatResult:
        """Let a member go, or note that a static one will be back. Raises ApiError, CatalogError."""
        if request.instance_id is None:
            member = group.members.get(request.member_id)
            if member is None:
                raise ApiError(
                    ErrorCode.UNKNOWN_MEMBER_ID,
                    f"Member {request.member_id} is not a member of group {group.group_id}.",
                )
        else:
            member = self.static_member(group, request.instance_id, request.member_id)
            if request.member_epoch == AWAY_EPOCH:
                away = member._replace(epoch=AWAY_EPOCH, revoking={})
                self.commit(group, [ConsumerMembersStored(group.group_id, [away])])
                return HeartbeatResult(member.member_id, AWAY_EPOCH, 0, None)
        self.fence(group, [member.member_id], LEFT)
        return HeartbeatResult(member.member_id, request.member_epoch, 0, None)

    def fence(self, group: ConsumerGroup, member_ids: list[str], reason: str) -> None:
        """Take members out; the next heartbeat of another one gives their partitions away. Raises CatalogError."""
        # The new epoch is told of anyway.
        level = logging.DEBUG if reason == LEFT else logging.INFO
        logger.log(level, "group %s: removed %s: %s", group.group_id, ", ".join(member_ids), reason)
        left = [member for member_id, member in group.members.items() if member_id not in member_ids]
        regexes = {member.regex for member in left}
        resolved = {regex: names for regex, names in group.stored.resolved.items() if regex in regexes}
        stored = group.stored._replace(
            epoch=group.epoch + 1,
            metadata_hash=metadata_hash(_all_names(group, left, resolved), self._topics),
            resolved=resolved,
            empty_since_ms=-1 if left else self._clock.now_ms(),
        )
        self.commit(group, [ConsumerMembersRemoved(group.group_id, member_ids), ConsumerGroupStored(stored)])
        for member_id in member_ids:
            self.deadlines.forget(group.group_id, member_id)
        if group.is_only_classic:
            self.on_only_classic(group, f"{len(member_ids)} members left")

    def commit(self, group: ConsumerGroup, changes: list[GroupChange], before: Sequence[Change] = ()) -> None:
        """Raises CatalogError; nothing has changed then."""
        if changes:
            self._catalog.commit(*before, *changes)
            group.apply(changes)


def _all_names(
    group: ConsumerGroup, members: Iterable[ConsumerMember], resolved: Mapping[str, frozenset[str]]
) -> frozenset[str]:
    return frozenset[str]().union(*(group.topic_names(member, resolved) for member in members))


def _progress(member: ConsumerMember) -> tuple[object, ...]:
    """Return how far the member is; its time to give something up begins anew when this changes."""
    return member.epoch, member.state, member.assigned, member.revoking


def _or_before(given: str | None, before: str | None) -> str | None:
    return before if given is None else given


def _is_within(owned: Assignment | None, assigned: Assignment) -> bool:
    """Say whether all of ``owned`` is assigned; what is not said is not."""
    if owned is None:
        return False
    return all(indexes <= assigned.get(topic_id, frozenset()) for topic_id, indexes in owned.items())


def _invalid(message: str) -> ApiError:
    return ApiError(ErrorCode.INVALID_REQUEST, message)
