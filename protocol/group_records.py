"""Keys and values of ``__consumer_offsets``: what Kafka's group coordinator keeps of groups and their offsets.

A key begins with an int16 that says what it is a key of (``RecordType``), a value with an int16 that is its version.
Source: the schemas of Kafka's group coordinator, and GroupCoordinatorRecordSerde.
"""

import struct
from enum import IntEnum
from functools import cache
from typing import Any, TypeVar

from .codec import Buffer, decoder, encoder
from .primitives import ZERO_UUID, MalformedMessage, data, int8, int32, int64, string, uuid
from .schema import Struct, since

S = TypeVar("S", bound=Struct)

# Values that Kafka has written since 2.4 (flexible since 3.5) and those that it reads.
OFFSET_COMMIT_VERSION = 3
OFFSET_COMMIT_EXPIRING_VERSION = 1
GROUP_METADATA_VERSION = 3
_FLEXIBLE_SINCE = 4


class RecordType(IntEnum):
    """The first two bytes of a key. 0 and 1 are both of an offset."""

    LEGACY_OFFSET_COMMIT = 0
    OFFSET_COMMIT = 1
    GROUP_METADATA = 2
    CONSUMER_GROUP_METADATA = 3
    CONSUMER_GROUP_PARTITION_METADATA = 4
    CONSUMER_GROUP_MEMBER_METADATA = 5
    CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA = 6
    CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER = 7
    CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT = 8
    CONSUMER_GROUP_REGULAR_EXPRESSION = 16


OF_MEMBERS = frozenset(
    (
        RecordType.CONSUMER_GROUP_MEMBER_METADATA,
        RecordType.CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER,
        RecordType.CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT,
    )
)

_KINDS = frozenset(RecordType)


# Keys


class OffsetKey(Struct):
    """Key of a committed offset."""

    group: string = since("0+")
    topic: string = since("0+")
    partition: int32 = since("0+")


class GroupKey(Struct):
    """Key of what there is once of a group."""

    group_id: string = since("0+")


class MemberKey(Struct):
    """Key of what there is of each member; also of each regular expression of a group, which has its place."""

    group_id: string = since("0+")
    member_id: string = since("0+")


# Values of classic groups


class OffsetCommitValue(Struct):
    """A committed offset. Times in ms since 1970."""

    offset: int64 = since("0+")
    leader_epoch: int32 = since("3+", -1)
    metadata: string = since("0+")
    commit_timestamp: int64 = since("0+")
    expire_timestamp: int64 = since("1", -1)
    topic_id: uuid = since("4+", ZERO_UUID, tag=0)


class MemberMetadata(Struct):
    """A member of a classic group."""

    member_id: string = since("0+")
    group_instance_id: string | None = since("3+", None)
    client_id: string = since("0+")
    client_host: string = since("0+")
    rebalance_timeout: int32 = since("1+", -1)
    session_timeout: int32 = since("0+")
    subscription: data = since("0+")
    assignment: data = since("0+")


class GroupMetadataValue(Struct):
    """A classic group between two rebalances."""

    protocol_type: string = since("0+")
    generation: int32 = since("0+")
    protocol: string | None = since("0+", None)
    leader: string | None = since("0+", None)
    current_state_timestamp: int64 = since("2+", -1)
    members: list[MemberMetadata] = since("0+")


# Values of consumer groups (KIP-848); all have version 0, which is flexible


class ConsumerGroupMetadataValue(Struct):
    epoch: int32 = since("0+")
    metadata_hash: int64 = since("0+", 0, tag=0)


class ClassicProtocol(Struct):
    name: string = since("0+")
    metadata: data = since("0+")


class ClassicMemberMetadata(Struct):
    session_timeout_ms: int32 = since("0+")
    supported_protocols: list[ClassicProtocol] = since("0+")


class ConsumerGroupMemberMetadataValue(Struct):
    """``classic_member_metadata``: None, which is not the default, for members that speak the consumer protocol."""

    instance_id: string | None = since("0+", None)
    rack_id: string | None = since("0+", None)
    client_id: string = since("0+")
    client_host: string = since("0+")
    subscribed_topic_names: list[string] = since("0+")
    subscribed_topic_regex: string | None = since("0+", None)
    rebalance_timeout_ms: int32 = since("0+", -1)
    server_assignor: string | None = since("0+", None)
    classic_member_metadata: ClassicMemberMetadata | None = since("0+", ClassicMemberMetadata, tag=0)


class ConsumerGroupTargetAssignmentMetadataValue(Struct):
    assignment_epoch: int32 = since("0+")
    assignment_timestamp: int64 = since("0+", 0, tag=0)


class TargetPartitions(Struct):
    topic_id: uuid = since("0+")
    partitions: list[int32] = since("0+")


class ConsumerGroupTargetAssignmentMemberValue(Struct):
    topic_partitions: list[TargetPartitions] = since("0+")


class CurrentPartitions(Struct):
    """``assignment_epochs``: since which epoch the member has each of ``partitions``; None is not the default."""

    topic_id: uuid = since("0+")
    partitions: list[int32] = since("0+")
    assignment_epochs: list[int32] | None = since("0+", list, tag=0)


class ConsumerGroupCurrentMemberAssignmentValue(Struct):
    """``state``: 0 stable, 1 has to give partitions up, 2 waits for partitions of other members."""

    member_epoch: int32 = since("0+")
    previous_member_epoch: int32 = since("0+")
    state: int8 = since("0+")
    assigned_partitions: list[CurrentPartitions] = since("0+")
    partitions_pending_revocation: list[CurrentPartitions] = since("0+")


class ConsumerGroupRegularExpressionValue(Struct):
    """The topics that an expression stood for. ``version``: of the cluster's metadata; ``timestamp``: ms."""

    topics: list[string] = since("0+")
    version: int64 = since("0+")
    timestamp: int64 = since("0+")


# Writing

_KEY_HEAD = struct.Struct(">hh")
_INT16, _INT32 = struct.Struct(">h"), struct.Struct(">i")
_OFFSET_HEAD = struct.Struct(">hqih")  # version 3, offset, leader epoch, length of the metadata
_OFFSET_EXPIRING_HEAD = struct.Struct(">hqh")
_INT64, _TWO_INT64 = struct.Struct(">q"), struct.Struct(">qq")


def offset_key(group_id: str, topic: str, partition: int) -> bytes:
    """Written by hand, as ``offset_value``: each commit needs them."""
    group, name = group_id.encode(), topic.encode()
    return b"".join(
        (
            _KEY_HEAD.pack(RecordType.OFFSET_COMMIT, len(group)),
            group,
            _INT16.pack(len(name)),
            name,
            _INT32.pack(partition),
        )
    )


def offset_value(offset: int, leader_epoch: int, metadata: str, commit_ms: int, expire_ms: int) -> bytes:
    """Return an OffsetCommitValue. ``expire_ms``: -1, or a time, for which only an older version has a place."""
    text = metadata.encode()
    if expire_ms >= 0:
        head = _OFFSET_EXPIRING_HEAD.pack(OFFSET_COMMIT_EXPIRING_VERSION, offset, len(text))
        return head + text + _TWO_INT64.pack(commit_ms, expire_ms)
    return _OFFSET_HEAD.pack(OFFSET_COMMIT_VERSION, offset, leader_epoch, len(text)) + text + _INT64.pack(commit_ms)


def group_key(kind: RecordType, group_id: str) -> bytes:
    group = group_id.encode()
    return _KEY_HEAD.pack(kind, len(group)) + group


def member_key(kind: RecordType, group_id: str, member_id: str) -> bytes:
    """``member_id``: the expression for CONSUMER_GROUP_REGULAR_EXPRESSION."""
    member = member_id.encode()
    return group_key(kind, group_id) + _INT16.pack(len(member)) + member


def value(written: Struct, version: int = 0) -> bytes:
    """Return the value in one version; see the versions above for those of classic groups."""
    is_flexible = _is_flexible(type(written), version)
    return b"".join((_INT16.pack(version), *_encoder(type(written), version, is_flexible)(written)))


# Reading


def key_type(key: bytes) -> RecordType | None:
    """Return what a key is of, None for what Kafka may add and whatever else stands there."""
    try:
        return RecordType(_INT16.unpack_from(key)[0])
    except (ValueError, struct.error):
        return None


def read_key(kind: RecordType, key: bytes) -> OffsetKey | GroupKey | MemberKey:
    """Raises MalformedMessage."""
    if kind in (RecordType.LEGACY_OFFSET_COMMIT, RecordType.OFFSET_COMMIT):
        return _read(OffsetKey, 0, False, key)
    if kind in OF_MEMBERS or kind is RecordType.CONSUMER_GROUP_REGULAR_EXPRESSION:
        return _read(MemberKey, 0, False, key)
    return _read(GroupKey, 0, False, key)


def group_of(key: bytes) -> str | None:
    """Return the group that a key names, None for a key of an unknown type or without a group. Reads no further."""
    try:
        kind, length = _KEY_HEAD.unpack_from(key)
        group = key[_KEY_HEAD.size : _KEY_HEAD.size + length]
        return group.decode() if kind in _KINDS and len(group) == length else None
    except (UnicodeDecodeError, struct.error):
        return None


def read_value(struct_type: type[S], written: bytes) -> S:
    """Raises MalformedMessage; also for a version that nobody knows yet."""
    if len(written) < _INT16.size:
        raise MalformedMessage(f"{struct_type.__name__} without a version")
    (version,) = _INT16.unpack_from(written)
    newest = _FLEXIBLE_SINCE if struct_type in (OffsetCommitValue, GroupMetadataValue) else 0
    if not 0 <= version <= newest:
        raise MalformedMessage(f"{struct_type.__name__} of version {version}")
    return _read(struct_type, version, _is_flexible(struct_type, version), written)


def _is_flexible(struct_type: type[Struct], version: int) -> bool:
    return version >= _FLEXIBLE_SINCE or struct_type not in (OffsetCommitValue, GroupMetadataValue)


def _read(struct_type: type[S], version: int, is_flexible: bool, written: Buffer) -> S:
    read, _ = _decoder(struct_type, version, is_flexible)(memoryview(written), _INT16.size)
    return read  # type: ignore[no-any-return]


@cache
def _decoder(struct_type: type[Struct], version: int, is_flexible: bool) -> Any:
    return decoder(struct_type, version, is_flexible)


@cache
def _encoder(struct_type: type[Struct], version: int, is_flexible: bool) -> Any:
    return encoder(struct_type, version, is_flexible)
