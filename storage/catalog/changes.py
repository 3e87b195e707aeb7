"""What can change in the catalog, one class per kind of change, and the rows that come back out of it.

An owner of state decides, hands its changes to ``Catalog.commit`` (all of them or none), and then applies them.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class StoredTopic(NamedTuple):
    """A topic as the catalog keeps it. ``topic_id``: 16 bytes. ``configs``: only what was set on the topic."""

    topic_id: bytes
    name: str
    partition_count: int
    leader_epoch: int
    configs: Mapping[str, str]


class GroupMember(NamedTuple):
    """A member of a classic group in its last completed generation.

    ``metadata`` is what the member sent for the chosen protocol, ``assignment`` what the leader gave it;
    both are opaque to the broker.
    """

    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    metadata: bytes
    assignment: bytes


class StoredGroup(NamedTuple):
    """A classic group between two rebalances (Kafka's GroupMetadataValue).

    ``state_since_ms``: when it took its present state; offsets of an empty group age from there.
    """

    group_id: str
    protocol_type: str
    generation_id: int
    protocol_name: str | None
    leader_id: str | None
    state_since_ms: int
    members: Sequence[GroupMember]


class CommittedOffset(NamedTuple):
    """One partition's committed offset (Kafka's OffsetAndMetadata).

    ``leader_epoch``: -1 when the client gave none. ``expire_ms``: -1 unless the commit named its own retention
    (OffsetCommit v2-v4).
    """

    topic: str
    partition: int
    offset: int
    leader_epoch: int
    metadata: str
    commit_ms: int
    expire_ms: int


class TopicCreated(NamedTuple):
    topic: StoredTopic


class TopicRemoved(NamedTuple):
    """The topic goes, and every offset committed for it."""

    name: str


class TopicConfigured(NamedTuple):
    """Replace the topic's own settings by ``configs``."""

    name: str
    configs: Mapping[str, str]


class PartitionsAdded(NamedTuple):
    """The topic has ``partition_count`` partitions now, more than before."""

    name: str
    partition_count: int


class ResourceConfigured(NamedTuple):
    """Replace the settings of what is no topic: a broker, a group, a client metrics subscription.

    ``resource_type``: as Kafka's ConfigResource.Type numbers them. Without ``configs`` nothing is kept of it.
    """

    resource_type: int
    resource_name: str
    configs: Mapping[str, str]


# What a quota holds for: (type, name) pairs, by type; None is the default of the type (Kafka's ClientQuotaEntity).
QuotaEntity = tuple[tuple[str, str | None], ...]


class QuotasStored(NamedTuple):
    """Replace the quotas of ``entity``; without any nothing is kept of it."""

    entity: QuotaEntity
    quotas: Mapping[str, float]


class ScramCredential(NamedTuple):
    """What proves that a user knows a password (RFC 5802). ``mechanism``: as Kafka's ScramMechanism numbers them."""

    user: str
    mechanism: int
    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes


class ScramCredentialStored(NamedTuple):
    credential: ScramCredential


class ScramCredentialRemoved(NamedTuple):
    user: str
    mechanism: int


class LeaderEpochsBumped(NamedTuple):
    """Every partition gets the next leader epoch: the log may have lost its tail in a crash."""


class GroupStored(NamedTuple):
    group: StoredGroup


class GroupRemoved(NamedTuple):
    """The group goes with its members and all its offsets."""

    group_id: str


class OffsetsCommitted(NamedTuple):
    group_id: str
    offsets: Sequence[CommittedOffset]


class OffsetsRemoved(NamedTuple):
    """``partitions``: (topic, partition) pairs."""

    group_id: str
    partitions: Sequence[tuple[str, int]]


Change = (
    TopicCreated
    | TopicRemoved
    | TopicConfigured
    | PartitionsAdded
    | ResourceConfigured
    | QuotasStored
    | ScramCredentialStored
    | ScramCredentialRemoved
    | LeaderEpochsBumped
    | GroupStored
    | GroupRemoved
    | OffsetsCommitted
    | OffsetsRemoved
)
