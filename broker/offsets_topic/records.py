"""Changes of the catalog as records of ``__consumer_offsets`` (Kafka's GroupCoordinatorRecordHelpers)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...protocol.group_records import (
    GROUP_METADATA_VERSION,
    OF_MEMBERS,
    ClassicMemberMetadata,
    ClassicProtocol,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataValue,
    ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataValue,
    CurrentPartitions,
    GroupMetadataValue,
    MemberMetadata,
    RecordType,
    TargetPartitions,
    group_key,
    member_key,
    offset_key,
    offset_value,
    value,
)
from ...storage.catalog import (
    Catalog,
    Change,
    Consequence,
    ConsumerGroupStored,
    ConsumerMember,
    ConsumerMembersRemoved,
    ConsumerMembersStored,
    Erased,
    GroupStored,
    OffsetsCommitted,
    OffsetsRemoved,
    Partitions,
    TargetsStored,
)
from ..groups.consumer.member import MemberState

# The length of a string is an int16 in Kafka's keys and in some of its values.
STRING_BYTES_MAX = 2**15 - 1
_STATES = {MemberState.STABLE: 0, MemberState.UNREVOKED: 1, MemberState.UNRELEASED: 2}


class GroupRecord(NamedTuple):
    """A record of ``__consumer_offsets``. ``value``: None is a tombstone."""

    key: bytes
    value: bytes | None


def records_of(change: Change | Consequence) -> tuple[str, list[GroupRecord]] | None:
    """Return the group that a change is about, and its records; None for a change that has no place in the topic.

    Raises ValueError, struct.error for a string of more than STRING_BYTES_MAX.
    """
    write = _WRITERS.get(type(change))
    return None if write is None else write(change)


def group_id_of(change: Any) -> str:
    """Return the group that a change of one of the types in COPIED is about."""
    return change.group.group_id if isinstance(change, GroupStored | ConsumerGroupStored) else change.group_id


def records_in(catalog: Catalog, group_id: str) -> dict[bytes, bytes | None]:
    """Return the newest value of each key that the topic has to have of a group, as the catalog has it now.

    Raises ValueError, struct.error for a string of more than STRING_BYTES_MAX.
    """
    changes: list[Change] = [GroupStored(group) for group in catalog.groups(group_id)]
    for stored in catalog.consumer_groups(group_id):
        members = catalog.consumer_members(group_id)
        changes += [
            ConsumerGroupStored(stored),
            ConsumerMembersStored(group_id, [member for _, member, _ in members]),
            TargetsStored(group_id, {member.member_id: target for _, member, target in members}),
        ]
    changes.append(OffsetsCommitted(group_id, catalog.offsets(group_id)))
    return dict(record for change in changes for record in _WRITERS[type(change)](change)[1])


Written = tuple[str, list[GroupRecord]]


def _offsets(change: OffsetsCommitted) -> Written:
    group_id, offsets = change
    return group_id, [
        GroupRecord(
            offset_key(group_id, topic, partition), offset_value(offset, leader_epoch, metadata, commit_ms, expire_ms)
        )
        for topic, partition, offset, leader_epoch, metadata, commit_ms, expire_ms in offsets
    ]


def _offsets_removed(change: OffsetsRemoved) -> Written:
    group_id, partitions = change
    return group_id, [GroupRecord(offset_key(group_id, *partition), None) for partition in partitions]


def _group(change: GroupStored) -> Written:
    group = change.group
    members = [
        MemberMetadata(
            member_id=member.member_id,
            group_instance_id=member.group_instance_id,
            client_id=member.client_id,
            client_host=member.client_host,
            rebalance_timeout=member.rebalance_timeout_ms,
            session_timeout=member.session_timeout_ms,
            subscription=member.metadata,
            assignment=member.assignment,
        )
        for member in group.members
    ]
    stored = GroupMetadataValue(
        protocol_type=group.protocol_type,
        generation=group.generation_id,
        protocol=group.protocol_name,
        leader=group.leader_id,
        current_state_timestamp=group.state_since_ms,
        members=members,
    )
    key = group_key(RecordType.GROUP_METADATA, group.group_id)
    return group.group_id, [GroupRecord(key, value(stored, GROUP_METADATA_VERSION))]


def _consumer_group(change: ConsumerGroupStored) -> Written:
    group = change.group
    group_id = group.group_id
    epoch = ConsumerGroupMetadataValue(epoch=group.epoch, metadata_hash=group.metadata_hash)
    assignment_epoch = ConsumerGroupTargetAssignmentMetadataValue(assignment_epoch=group.assignment_epoch)
    written = [
        GroupRecord(group_key(RecordType.CONSUMER_GROUP_METADATA, group_id), value(epoch)),
        GroupRecord(
            group_key(RecordType.CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA, group_id), value(assignment_epoch)
        ),
    ]
    for regex, names in sorted(group.resolved.items()):
        key = member_key(RecordType.CONSUMER_GROUP_REGULAR_EXPRESSION, group_id, regex)
        written.append(GroupRecord(key, value(ConsumerGroupRegularExpressionValue(topics=sorted(names)))))
    return group_id, written


def _members(change: ConsumerMembersStored) -> Written:
    group_id, written = change.group_id, []
    for member in change.members:
        key = member_key(RecordType.CONSUMER_GROUP_MEMBER_METADATA, group_id, member.member_id)
        written.append(GroupRecord(key, value(_metadata(member))))
        current = ConsumerGroupCurrentMemberAssignmentValue(
            member_epoch=member.epoch,
            previous_member_epoch=member.previous_epoch,
            state=_STATES[MemberState(member.state)],
            assigned_partitions=_current(member.assigned, member.epoch),
            partitions_pending_revocation=_current(member.revoking, member.epoch),
        )
        key = member_key(RecordType.CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT, group_id, member.member_id)
        written.append(GroupRecord(key, value(current)))
    return group_id, written


def _metadata(member: ConsumerMember) -> ConsumerGroupMemberMetadataValue:
    classic = None
    if member.classic is not None:
        session_timeout_ms, protocols = member.classic
        classic = ClassicMemberMetadata(
            session_timeout_ms=session_timeout_ms,
            supported_protocols=[ClassicProtocol(name=name, metadata=metadata) for name, metadata in protocols],
        )
    return ConsumerGroupMemberMetadataValue(
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=list(member.topic_names),
        subscribed_topic_regex=member.regex,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        server_assignor=member.assignor,
        classic_member_metadata=classic,
    )


def _current(partitions: Partitions, epoch: int) -> list[CurrentPartitions]:
    """The catalog does not say since when a member has a partition: as after a restart, since its present epoch."""
    return [
        CurrentPartitions(
            topic_id=topic_id, partitions=sorted(indexes), assignment_epochs=[max(epoch, 0)] * len(indexes)
        )
        for topic_id, indexes in sorted(partitions.items())
    ]


def _targets(change: TargetsStored) -> Written:
    group_id, written = change.group_id, []
    for member_id, target in change.targets.items():
        key = member_key(RecordType.CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER, group_id, member_id)
        partitions = [
            TargetPartitions(topic_id=topic_id, partitions=sorted(indexes))
            for topic_id, indexes in sorted(target.items())
        ]
        stored = ConsumerGroupTargetAssignmentMemberValue(topic_partitions=partitions)
        written.append(GroupRecord(key, value(stored)))
    return group_id, written


def _members_removed(change: ConsumerMembersRemoved) -> Written:
    group_id, member_ids = change
    return group_id, [
        GroupRecord(member_key(kind, group_id, member_id), None)
        for member_id in member_ids
        for kind in sorted(OF_MEMBERS, reverse=True)
    ]


def _erased(change: Erased) -> Written:
    group_id = change.group_id
    kinds = [RecordType.GROUP_METADATA] if change.is_classic else []
    if change.is_consumer:
        kinds += [RecordType.CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA, RecordType.CONSUMER_GROUP_METADATA]
    _, members = _members_removed(ConsumerMembersRemoved(group_id, change.member_ids))
    regexes = [member_key(RecordType.CONSUMER_GROUP_REGULAR_EXPRESSION, group_id, regex) for regex in change.regexes]
    keys = [*regexes, *(group_key(kind, group_id) for kind in kinds)]
    return group_id, [*members, *(GroupRecord(key, None) for key in keys)]


_WRITERS: dict[type, Callable[[Any], Written]] = {
    OffsetsCommitted: _offsets,
    OffsetsRemoved: _offsets_removed,
    GroupStored: _group,
    ConsumerGroupStored: _consumer_group,
    ConsumerMembersStored: _members,
    ConsumerMembersRemoved: _members_removed,
    TargetsStored: _targets,
    Erased: _erased,
}

COPIED = frozenset(_WRITERS)
