"""A live group changes its kind: a classic one when somebody joins with the consumer protocol, and back again."""

from collections.abc import Iterable, Sequence

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
from .config import GroupCoordinatorConfig
from .consumer.classic import by_id, by_name
from .consumer.group import UNKNOWN_HASH, ConsumerGroup, GroupChange, KnownTopics, metadata_hash
from .consumer.member import MemberState, union
from .group import Group, GroupState, Member, select_protocol
from .subscription import CONSUMER_PROTOCOL_TYPE, read_assignment, read_subscription, write_assignment

# Values of group.consumer.migration.policy.
_UPGRADE_POLICIES = frozenset(("bidirectional", "upgrade"))
_DOWNGRADE_POLICIES = frozenset(("bidirectional", "downgrade"))
_DISABLED = "disabled"


def admits_classic_members(config: GroupCoordinatorConfig) -> bool:
    """Say whether a classic member may join a consumer group that has members (Kafka 4.3: not if "disabled")."""
    return config.consumer_migration_policy != _DISABLED


def upgraded(
    group: Group, topics: KnownTopics, config: GroupCoordinatorConfig
) -> tuple[ConsumerGroup, Sequence[Change]]:
    """Return the classic group as a consumer group, and what the catalog has to be told.

    Its members have what they were assigned last, and are told to join again (ConsumerGroup.fromClassicGroup).
    Raises ApiError: GROUP_ID_NOT_FOUND for a group that has to stay classic.
    """
    if config.consumer_migration_policy not in _UPGRADE_POLICIES:
        raise _refusal(group, "online upgrade is disabled")
    if group.protocol_type != CONSUMER_PROTOCOL_TYPE:
        raise _refusal(group, "the group does not use the consumer embedded protocol")
    if len(group.members) > config.consumer_group_max_size:
        raise _refusal(group, "the group size exceeds the consumer group maximum size")
    try:
        members = [_modern(group, member, topics) for member in group.members.values()]
    except ValueError as error:
        raise _refusal(group, "the embedded consumer protocol is malformed") from error
    # A new member makes a new epoch, which deals out everything; a static one in the place of its predecessor does
    # not, so what the leader of the classic group has not dealt out must (Kafka leaves that to chance).
    names = frozenset[str]().union(*(member.topic_names for member in members))
    is_dealt_out = group.state is GroupState.STABLE and not _unassigned(members, names, topics)
    known_hash = metadata_hash(names, topics) if is_dealt_out else UNKNOWN_HASH
    stored = StoredConsumerGroup(group.group_id, group.generation_id, group.generation_id, known_hash, {}, -1)
    changes: list[GroupChange] = [
        ConsumerGroupStored(stored),
        ConsumerMembersStored(group.group_id, members),
        TargetsStored(group.group_id, {member.member_id: member.assigned for member in members}),
    ]
    modern = ConsumerGroup(stored)
    modern.apply(changes)
    return modern, [GroupForgotten(group.group_id), *changes]


def _unassigned(members: Sequence[ConsumerMember], names: Iterable[str], topics: KnownTopics) -> bool:
    """Say whether there are partitions of these topics that nobody has."""
    known = (topic for name in names if (topic := topics.get(name)) is not None)
    return any(
        topic.partition_count > sum(len(member.assigned.get(topic.topic_id, ())) for member in members)
        for topic in known
    )


def _modern(group: Group, member: Member, topics: KnownTopics) -> ConsumerMember:
    """Raises ValueError, ApiError."""
    named, user_data = read_assignment(member.assignment) if member.assignment else ({}, b"")
    if user_data:
        raise _refusal(group, "an unsupported custom assignor is in use")
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


def _refusal(group: Group, reason: str) -> ApiError:
    return ApiError(
        ErrorCode.GROUP_ID_NOT_FOUND,
        f"Cannot upgrade classic group {group.group_id} to consumer group because {reason}.",
    )


def may_be_downgraded(group: ConsumerGroup, config: GroupCoordinatorConfig) -> bool:
    """Say whether a group whose members are all classic may be a classic group."""
    return config.consumer_migration_policy in _DOWNGRADE_POLICIES and len(group.members) <= config.group_max_size


def downgraded(group: ConsumerGroup, topics: KnownTopics, now_ms: int, *, must_rebalance: bool) -> Group:
    """Return the consumer group, all of whose members are classic, as such a group (ClassicGroup.fromConsumerGroup).

    It stands still at its epoch, and its members have what they had; Kafka writes down what they should have, and the
    next change of kind gives away what one has not given up. Without a leader it is a group that has to rebalance,
    after a restart too.
    """
    classic = Group(group.group_id, now_ms)
    classic.generation_id = group.epoch
    for member in group.members.values():
        assert member.classic is not None
        metadata = member.classic.protocols[0][1]
        held = union(member.assigned, member.revoking)
        assignment = write_assignment(by_name(held, topics), read_subscription(metadata).version)
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
    if must_rebalance:
        classic.leader_id = None
    classic.protocol_name = select_protocol(classic.members.values())
    classic.find_subscribed_topics()
    classic.transition_to(GroupState.STABLE, now_ms)
    return classic
