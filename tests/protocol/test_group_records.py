"""Keys and values of ``__consumer_offsets``, to the byte as Apache Kafka 4.3.1 writes them."""

import pytest

from barnabas.protocol.group_records import (
    GROUP_METADATA_VERSION,
    OFFSET_COMMIT_EXPIRING_VERSION,
    OFFSET_COMMIT_VERSION,
    ClassicMemberMetadata,
    ClassicProtocol,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataValue,
    CurrentPartitions,
    GroupKey,
    GroupMetadataValue,
    MemberKey,
    OffsetCommitValue,
    OffsetKey,
    RecordType,
    group_key,
    key_type,
    member_key,
    offset_key,
    offset_value,
    read_key,
    read_value,
    value,
)
from barnabas.protocol.primitives import MalformedMessage
from barnabas.protocol.schema import Struct

READER = ConsumerGroupMemberMetadataValue(
    client_id="c",
    client_host="/h",
    subscribed_topic_names=["t"],
    subscribed_topic_regex="",
    rebalance_timeout_ms=300_000,
    classic_member_metadata=None,
)
CLASSIC = ClassicMemberMetadata(
    session_timeout_ms=1, supported_protocols=[ClassicProtocol(name="range", metadata=b"m")]
)
HOLDER = ConsumerGroupCurrentMemberAssignmentValue(
    member_epoch=2,
    assigned_partitions=[CurrentPartitions(topic_id=b"i" * 16, partitions=[0, 1], assignment_epochs=[2, 2])],
)


def test_what_is_written_by_hand_is_what_the_declaration_says() -> None:
    written = offset_value(5, 7, "nöte", 9, -1)
    declared = OffsetCommitValue(offset=5, leader_epoch=7, metadata="nöte", commit_timestamp=9)
    assert written == value(declared, OFFSET_COMMIT_VERSION)
    assert read_value(OffsetCommitValue, written) == declared
    expiring = OffsetCommitValue(offset=5, metadata="", commit_timestamp=9, expire_timestamp=11)
    assert offset_value(5, 7, "", 9, 11) == value(expiring, OFFSET_COMMIT_EXPIRING_VERSION)
    assert read_value(OffsetCommitValue, offset_value(5, 7, "", 9, 11)) == expiring


@pytest.mark.parametrize(
    ("key", "kind", "read"),
    [
        (offset_key("g", "t", 3), RecordType.OFFSET_COMMIT, OffsetKey(group="g", topic="t", partition=3)),
        (group_key(RecordType.GROUP_METADATA, "g"), RecordType.GROUP_METADATA, GroupKey(group_id="g")),
        (
            member_key(RecordType.CONSUMER_GROUP_MEMBER_METADATA, "g", "m"),
            RecordType.CONSUMER_GROUP_MEMBER_METADATA,
            MemberKey(group_id="g", member_id="m"),
        ),
    ],
)
def test_a_key_says_what_it_is_a_key_of(key: bytes, kind: RecordType, read: Struct) -> None:
    assert key_type(key) is kind
    assert read_key(kind, key) == read


@pytest.mark.parametrize("key", [b"", b"\0", b"\0\x0b\0\1g", b"\x7f\xff"])
def test_other_keys_are_of_nothing(key: bytes) -> None:
    assert key_type(key) is None


@pytest.mark.parametrize(
    ("stored", "written"),
    [
        # The end of what Kafka wrote: null is not the default of the tagged field, and is a 0 there.
        (READER, "0000 00 00 02 63 03 2f68 02 02 74 01 000493e0 00 01 00 01 00"),
        (
            HOLDER,
            f"0000 00000002 00000000 00 02 {'69' * 16} 03 00000000 00000001 01 00 09 03 00000002 00000002 01 00",
        ),
        (ConsumerGroupMetadataValue(epoch=3), "0000 00000003 00"),
        (ConsumerGroupMetadataValue(epoch=3, metadata_hash=1), "0000 00000003 01 00 08 0000000000000001"),
    ],
)
def test_values_of_consumer_groups_are_those_of_kafka(stored: Struct, written: str) -> None:
    assert value(stored) == bytes.fromhex(written)
    assert read_value(type(stored), bytes.fromhex(written)) == stored


def test_a_member_that_speaks_the_classic_protocol_is_read_as_it_was_written() -> None:
    stored = ConsumerGroupMemberMetadataValue(client_id="c", classic_member_metadata=CLASSIC)
    assert read_value(ConsumerGroupMemberMetadataValue, value(stored)) == stored


def test_a_classic_group_without_members() -> None:
    stored = GroupMetadataValue(protocol_type="consumer", generation=2, current_state_timestamp=5)
    written = bytes.fromhex("0003 0008 636f6e73756d6572 00000002 ffff ffff 0000000000000005 00000000")
    assert value(stored, GROUP_METADATA_VERSION) == written
    assert read_value(GroupMetadataValue, written) == stored


@pytest.mark.parametrize("written", [b"", b"\0", b"\0\5", b"\xff\xff", b"\0\3short"])
def test_a_value_of_another_version_or_too_short_is_malformed(written: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_value(OffsetCommitValue, written)
