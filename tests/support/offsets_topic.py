"""What stands in ``__consumer_offsets``."""

from typing import NamedTuple

from barnabas.protocol.group_records import (
    OF_MEMBERS,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataValue,
    ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataValue,
    GroupMetadataValue,
    OffsetCommitValue,
    OffsetKey,
    RecordType,
    key_type,
    read_key,
    read_value,
)
from barnabas.protocol.messages.find_coordinator import FindCoordinatorRequest
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from barnabas.protocol.records import headers, records
from barnabas.protocol.schema import Struct

from .calls import Topic, fetch_request, fetched, wait_until
from .wire import Wire

TOPIC = "__consumer_offsets"
_VALUES: dict[RecordType, type[Struct]] = {
    RecordType.OFFSET_COMMIT: OffsetCommitValue,
    RecordType.GROUP_METADATA: GroupMetadataValue,
    RecordType.CONSUMER_GROUP_METADATA: ConsumerGroupMetadataValue,
    RecordType.CONSUMER_GROUP_MEMBER_METADATA: ConsumerGroupMemberMetadataValue,
    RecordType.CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA: ConsumerGroupTargetAssignmentMetadataValue,
    RecordType.CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER: ConsumerGroupTargetAssignmentMemberValue,
    RecordType.CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT: ConsumerGroupCurrentMemberAssignmentValue,
    RecordType.CONSUMER_GROUP_REGULAR_EXPRESSION: ConsumerGroupRegularExpressionValue,
}


class Written(NamedTuple):
    """A record. ``name``: topic and partition of an offset, the id of a member, or the expression; else None.

    ``value``: None is a tombstone.
    """

    kind: RecordType
    group_id: str
    name: tuple[str, int] | str | None
    value: Struct | None


def find_coordinator(wire: Wire, group_id: str = "group") -> None:
    """Ask as each client does first; the topic is there then."""
    (found,) = wire.call(FindCoordinatorRequest(coordinator_keys=[group_id], key_type=0), 6).coordinators
    assert found.error_code == 0


def written(wire: Wire) -> list[Written]:
    """Return all records, those of one partition in their order."""
    asked = MetadataRequest(topics=[MetadataRequestTopic(name=TOPIC)], allow_auto_topic_creation=False)
    (described,) = wire.call(asked, 12).topics
    topic = Topic(TOPIC, described.topic_id)
    return [each for index in range(len(described.partitions)) for each in _read(wire, topic, index)]


def _read(wire: Wire, topic: Topic, index: int) -> list[Written]:
    found, offset = [], 0
    while True:
        (answer,) = fetched(wire.call(fetch_request((topic, index, offset)), 18))
        assert answer.error_code == 0
        data = bytes(answer.records)
        if not data:
            return found
        for position, header in headers(data):
            if not header.is_control:
                found += [_decoded(record.key or b"", record.value) for record in records(data[position:])]
            offset = header.next_offset


def _decoded(key: bytes, value: bytes | None) -> Written:
    kind = key_type(key)
    assert kind is not None
    read = read_key(kind, key)
    of_value = None if value is None else read_value(_VALUES[kind], value)
    if isinstance(read, OffsetKey):
        return Written(kind, read.group, (read.topic, read.partition), of_value)
    has_name = kind in OF_MEMBERS or kind is RecordType.CONSUMER_GROUP_REGULAR_EXPRESSION
    return Written(kind, read.group_id, getattr(read, "member_id", None) if has_name else None, of_value)


State = dict[tuple[RecordType, str, tuple[str, int] | str | None], Struct]


def state(wire: Wire) -> State:
    """Return the newest value of each key that has one."""
    newest = {record[:3]: record.value for record in written(wire)}
    return {key: value for key, value in newest.items() if value is not None}


def offsets(wire: Wire, group_id: str) -> dict[tuple[str, int], int]:
    """Return what the topic says that a group has committed, by topic and partition."""
    return {
        name: value.offset  # type: ignore[misc, attr-defined]
        for (kind, owner, name), value in state(wire).items()
        if kind is RecordType.OFFSET_COMMIT and owner == group_id
    }


def wait_for_offsets(wire: Wire, group_id: str, expected: dict[tuple[str, int], int]) -> None:
    """The broker writes the topic after it has answered."""
    wait_until(lambda: offsets(wire, group_id) == expected)
