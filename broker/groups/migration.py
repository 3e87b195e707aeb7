"""A live group changes its kind: a classic one when somebody joins with the consumer protocol, and back again."""

from collections.abc import Sequence

from ...protocol.errors import ErrorCode
from ...storage.catalog import (
    Change,
    ClassicMember,
    ConsumerGroupStored,
    ConsumerMember,
    ConsumerMembersStored,
    GroupForgotten,
    StoredConsumerGroup,
    TargetsStored,
)
from ..errors import ApiError
from .consumer.classic import by_id, by_name
from .consumer.group import ConsumerGroup, GroupChange, KnownTopics, metadata_hash
from .consumer.member import MemberState
from .group import Group, GroupState, Member, select_protocol
from .subscription import CONSUMER_PROTOCOL_TYPE, read_assignment, read_subscription, write_assignment

# Values of group.consumer.migration.policy.
UPGRADE_POLICIES = frozenset(("bidirectional", "upgrade"))
DOWNGRADE_POLICIES = frozenset(("bidirectional", "downgrade"))


def upgraded(group: Group, topics: KnownTopics) -> tuple[ConsumerGroup, Sequence[Change]]:
    """Return the classic group as a consumer group, and what the catalog has to be told.

    Its members have what they were assigned last, and are told to join again (ConsumerGroup.fromClassicGroup).
    Raises ApiError: GROUP_ID_NOT_FOUND.
    """
    try:
        members = [_modern(group, member, topics) for member in group.members.values()]
    except ValueError as error:
        raise refusal_to_upgrade(group.group_id, "the embedded consumer protocol is malformed") from error
    names = frozenset[str]().union(*(member.topic_names for member in members))
    stored = StoredConsumerGroup(
        group.group_id, group.generation_id, group.generation_id, metadata_hash(names, topics), {}, -1
    )
    changes: list[GroupChange] = [
        ConsumerGroupStored(stored),
        ConsumerMembersStored(group.group_id, members),
        TargetsStored(group.group_id, {member.member_id: member.assigned for member in members}),
    ]
    modern = ConsumerGroup(stored)
    modern.apply(changes)
    return modern, [GroupForgotten(group.group_id), *changes]


def _modern(group: Group, member: Member, topics: KnownTopics) -> ConsumerMember:
    """Raises ValueError, ApiError."""
    named, user_data = read_assignment(member.assignment) if member.assignment else ({}, b"")
    if user_data:
        raise refusal_to_upgrade(group.group_id, "an unsupported custom assignor is in use")
    subscription = read_subscription(member.protocols[0][1])
    return ConsumerMember(
        member.member_id,
        member.group_instance_id,
        subscription.rack_id,
        member.client_id,
        member.client_host,
        member.rebalance_timeout_ms,
        tuple(sorted(subscription.topics)),
        "",
        None,
        group.generation_id,
        group.generation_id,
        MemberState.STABLE,
        by_id(named, topics),
        {},
        ClassicMember(member.session_timeout_ms, member.protocols),
    )


def refusal_to_upgrade(group_id: str, reason: str) -> ApiError:
    """Return what somebody hears who joins a classic group that has to stay one."""
    return ApiError(
        ErrorCode.GROUP_ID_NOT_FOUND,
        f"Cannot upgrade classic group {group_id} to consumer group because {reason}.",
    )


def downgraded(group: ConsumerGroup, topics: KnownTopics, now_ms: int) -> Group:
    """Return the consumer group, all of whose members are classic, as such a group (ClassicGroup.fromConsumerGroup).

    It stands still at its epoch, and its members have what the broker wanted them to have.
    """
    classic = Group(group.group_id, now_ms)
    classic.generation_id = group.epoch
    for member in group.members.values():
        assert member.classic is not None
        metadata = member.classic.protocols[0][1]
        assignment = write_assignment(
            by_name(group.targets[member.member_id], topics), read_subscription(metadata).version
        )
        classic.add(
            Member(
                member.member_id,
                member.instance_id,
                member.client_id,
                member.client_host,
                member.classic.session_timeout_ms,
                member.rebalance_timeout_ms,
                tuple(member.classic.protocols),
                assignment,
            ),
            CONSUMER_PROTOCOL_TYPE,
        )
    classic.protocol_name = select_protocol(classic.members.values())
    classic.find_subscribed_topics()
    classic.transition_to(GroupState.STABLE, now_ms)
    return classic
