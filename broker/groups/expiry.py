"""Which committed offsets have had their time (Kafka's OffsetExpirationCondition and OffsetMetadataManager)."""

from collections.abc import Sequence

from ...storage.catalog import CommittedOffset
from .consumer.group import ConsumerGroup
from .group import Group, GroupState
from .subscription import CONSUMER_PROTOCOL_TYPE

NO_EXPIRY = -1


def expired_offsets(
    group: Group, offsets: Sequence[CommittedOffset], retention_ms: int, now_ms: int
) -> list[tuple[str, int]]:
    """Return topic and partition of each offset that may go now.

    The retention counts from when the group became empty; for a group that only commits, from the commit; in a group
    of consumers at work, from the commit too, and only for topics that nobody is subscribed to. A commit that named a
    retention of its own (OffsetCommit v2-v4) goes when that is over. In all other groups offsets stay.
    """
    since_commit = group.protocol_type is None
    if not since_commit and group.state is not GroupState.EMPTY:
        if group.protocol_type != CONSUMER_PROTOCOL_TYPE or group.state is not GroupState.STABLE:
            return []
        since_commit = True
        offsets = [offset for offset in offsets if not group.is_subscribed_to(offset.topic)]
    gone = []
    for offset in offsets:
        since_ms = offset.commit_ms if since_commit else group.state_since_ms
        expire_ms = since_ms + retention_ms if offset.expire_ms == NO_EXPIRY else offset.expire_ms
        if expire_ms <= now_ms:
            gone.append((offset.topic, offset.partition))
    return gone


def expired_in_consumer_group(
    group: ConsumerGroup, offsets: Sequence[CommittedOffset], retention_ms: int, now_ms: int
) -> list[tuple[str, int]]:
    """Return topic and partition of each offset that may go: time counts from the commit, where nobody reads."""
    return [
        (offset.topic, offset.partition)
        for offset in offsets
        if offset.commit_ms + retention_ms <= now_ms and not group.is_subscribed_to(offset.topic)
    ]
