"""Members of a consumer group that speak the classic protocol still (KIP-848, online migration).

What JoinGroup, SyncGroup and Heartbeat mean here: to join is to take a step towards what the broker wants the member
to have, the generation is the member's epoch, and who has to take a step is told that a rebalance is in progress.
"""

from __future__ import annotations

from ....protocol.errors import ErrorCode
from ....storage.catalog import ClassicMember, ConsumerMember
from ...errors import ApiError
from ..classic import PROTOCOLS_MAX, JoinRequest, SyncRequest
from ..results import JoinResult, SyncResult
from ..subscription import CONSUMER_PROTOCOL_TYPE, NamedPartitions, read_subscription, write_assignment
from .assignors import Assignment
from .deadlines import Deadline
from .group import ConsumerGroup, KnownTopics
from .member import MemberState, is_reconciled, new_member, successor
from .protocol import ConsumerProtocol


class ClassicMembers:
    """Decides for one group at a time; the groups are handed in."""

    def __init__(self, protocol: ConsumerProtocol, topics: KnownTopics) -> None:
        self._protocol = protocol
        self._deadlines = protocol.deadlines
        self._topics = topics

    def join(self, group: ConsumerGroup, request: JoinRequest) -> JoinResult:
        """Take a member one step on. Raises ApiError, CatalogError; nothing has changed then."""
        member_id = request.member_id or self._protocol.new_id()
        self._protocol.check_room(group, member_id)
        names = {name for name, _ in request.protocols}
        if len(request.protocols) > PROTOCOLS_MAX or not group.supports_classic(request.protocol_type, names):
            raise ApiError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if request.requires_known_member_id and not request.member_id and request.group_instance_id is None:
            return JoinResult(ErrorCode.MEMBER_ID_REQUIRED, member_id)
        member, replaced = self._find(group, request, member_id)
        protocol_name, metadata = request.protocols[0]
        try:
            subscription = read_subscription(metadata)
        except ValueError as error:
            raise ApiError(ErrorCode.UNKNOWN_SERVER_ERROR, str(error)) from error
        updated = member._replace(
            instance_id=request.group_instance_id or member.instance_id,
            rack_id=subscription.rack_id or member.rack_id,
            rebalance_timeout_ms=request.effective_rebalance_timeout_ms(),
            topic_names=tuple(sorted(subscription.topics)),
            regex="",
            client_id=request.client_id,
            client_host=request.client_host,
            classic=ClassicMember(request.session_timeout_ms, request.offered()),
        )
        owned = by_id(subscription.owned, self._topics)
        epoch_before = group.epoch
        spoke_both = not group.is_only_classic
        result = self._protocol.step(group, member, updated, replaced, owned)
        for member_id in filter(None, (result.member_id, replaced)):
            self._deadlines.forget(group.group_id, member_id)
        self._deadlines.keep_alive(group, result.member_id)
        self._deadlines.begin(group, result, Deadline.SYNC)
        if spoke_both and group.is_only_classic:
            # Kafka looks at the epoch only; a member that still waits for partitions would never hear of them.
            is_at_rest = all(is_reconciled(each, group.epoch) for each in group.members.values())
            reason = f"{result.member_id} has come in place of the last member of the consumer protocol"
            self._protocol.on_only_classic(group, "" if is_at_rest and group.epoch == epoch_before else reason)
        return JoinResult(ErrorCode.NONE, result.member_id, result.epoch, CONSUMER_PROTOCOL_TYPE, protocol_name)

    def _find(self, group: ConsumerGroup, request: JoinRequest, member_id: str) -> tuple[ConsumerMember, str | None]:
        """Return the member, made if it joins, and the id of the static member that it replaces."""
        if request.group_instance_id is None:
            return group.members.get(member_id) or new_member(member_id), None
        if request.member_id:
            return self._protocol.static_member(group, request.group_instance_id, member_id), None
        present = group.static_member(request.group_instance_id)
        if present is None:
            return new_member(member_id), None
        return successor(present, member_id), present.member_id

    def sync(self, group: ConsumerGroup, request: SyncRequest) -> SyncResult:
        """Tell a member what it has. Raises ApiError."""
        member, classic = self._speaker(group, request.member_id, request.group_instance_id, request.generation_id)
        protocol_name, metadata = classic.protocols[0]
        for claimed, actual in (
            (request.protocol_type, CONSUMER_PROTOCOL_TYPE),
            (request.protocol_name, protocol_name),
        ):
            if claimed is not None and claimed != actual:
                raise ApiError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if group.epoch > member.epoch and member.state != MemberState.UNREVOKED:
            self._await_join(group, member)
            raise ApiError(ErrorCode.REBALANCE_IN_PROGRESS)
        self._deadlines.cancel(group, member, Deadline.SYNC)
        self._deadlines.keep_alive(group, member.member_id)
        assignment = write_assignment(by_name(member.assigned, self._topics), read_subscription(metadata).version)
        return SyncResult(ErrorCode.NONE, request.protocol_type, request.protocol_name, assignment)

    def heartbeat(
        self, group: ConsumerGroup, member_id: str, group_instance_id: str | None, generation_id: int
    ) -> ErrorCode:
        """Refresh the session; say whether the member has a step to take. Raises ApiError."""
        member, _ = self._speaker(group, member_id, group_instance_id, generation_id)
        self._deadlines.keep_alive(group, member_id)
        has_to_join = (
            member.epoch < group.epoch
            or member.state == MemberState.UNREVOKED
            or (member.state == MemberState.UNRELEASED and not group.waits_for_partitions(member))
        )
        if not has_to_join:
            return ErrorCode.NONE
        self._await_join(group, member)
        return ErrorCode.REBALANCE_IN_PROGRESS

    def _speaker(
        self, group: ConsumerGroup, member_id: str, group_instance_id: str | None, generation_id: int
    ) -> tuple[ConsumerMember, ClassicMember]:
        """Raises ApiError: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION."""
        if group_instance_id is not None:
            self._protocol.static_member(group, group_instance_id, member_id)
        member = group.members.get(member_id)
        if member is None or member.classic is None:
            raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID)
        if generation_id != member.epoch:
            raise ApiError(ErrorCode.ILLEGAL_GENERATION)
        return member, member.classic

    def _await_join(self, group: ConsumerGroup, member: ConsumerMember) -> None:
        if not self._deadlines.is_running(group, member, Deadline.REJOIN):
            self._deadlines.begin(group, member, Deadline.REJOIN)


def by_id(partitions: NamedPartitions, topics: KnownTopics) -> Assignment:
    """Return the partitions of the topics that exist."""
    known = ((topics.get(name), indexes) for name, indexes in partitions.items())
    return {topic.topic_id: indexes for topic, indexes in known if topic is not None}


def by_name(partitions: Assignment, topics: KnownTopics) -> NamedPartitions:
    """Return the partitions of the topics that exist."""
    known = ((topics.with_id(topic_id), indexes) for topic_id, indexes in partitions.items())
    return {topic.name: indexes for topic, indexes in known if topic is not None}
