"""What can change in the catalog, one class per kind of change, and the rows that come back out of it.

An owner of state decides, hands its changes to ``Catalog.commit`` (all of them or none), and then applies them.
"""

from collections.abc import Collection, Mapping, Sequence
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


# Partitions by topic id (16 bytes).
Partitions = Mapping[bytes, frozenset[int]]


class ClassicMember(NamedTuple):
    """What a member of a consumer group has besides when it speaks the classic protocol: (name, metadata) pairs."""

    session_timeout_ms: int
    protocols: Sequence[tuple[str, bytes]]


class ConsumerMember(NamedTuple):
    """A member of a consumer group (KIP-848).

    ``regex``: "" when there is none. ``state``: stable, unrevoked or unreleased. ``assigned``: what it has and may
    keep, ``revoking``: what it has to give up. ``classic``: None for members of the consumer protocol.
    """

    member_id: str
    instance_id: str | None
    rack_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    topic_names: Sequence[str]
    regex: str
    assignor: str | None
    epoch: int
    previous_epoch: int
    state: str
    assigned: Partitions
    revoking: Partitions
    classic: ClassicMember | None


class StoredConsumerGroup(NamedTuple):
    """A consumer group but for its members.

    ``assignment_epoch``: the group epoch that the targets were made for. ``metadata_hash``: of what its topics were
    like then. ``resolved``: the topics that each regular expression stands for. ``empty_since_ms``: -1 with members.
    """

    group_id: str
    epoch: int
    assignment_epoch: int
    metadata_hash: int
    resolved: Mapping[str, frozenset[str]]
    empty_since_ms: int


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


class StoredTransaction(NamedTuple):
    """What there is of a transactional id (Kafka's TransactionMetadata).

    ``previous_producer_id``: before the last change; ``next_producer_id``: from the end of this transaction on, -1:
    the same. ``last_epoch``: before the present one, -1 when nobody may come back with it. ``state``: Kafka's name of
    it. ``version``: 2 where each end brings a new epoch (KIP-890), else 1. ``partitions``: (topic, index) pairs;
    ``groups``: those that get offsets. ``start_ms``: -1 when there is no transaction.
    """

    transactional_id: str
    producer_id: int
    previous_producer_id: int
    next_producer_id: int
    epoch: int
    last_epoch: int
    timeout_ms: int
    state: str
    version: int
    partitions: frozenset[tuple[str, int]]
    groups: frozenset[str]
    start_ms: int
    updated_ms: int


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


class FeaturesFinalized(NamedTuple):
    """Replace the finalized levels of features (KIP-584); those that are not in ``levels`` have never been changed.

    ``epoch``: how often levels were changed.
    """

    epoch: int
    levels: Mapping[str, int]


class LeaderEpochsBumped(NamedTuple):
    """Every partition, or every one of a topic, gets the next leader epoch: logs may have lost their tails."""

    topic: str | None = None


class GroupStored(NamedTuple):
    group: StoredGroup


class GroupRemoved(NamedTuple):
    """The group, of whichever kind, goes with its members and all its offsets."""

    group_id: str


class GroupForgotten(NamedTuple):
    """The group goes with its members; its offsets stay for the group of another kind that takes its place."""

    group_id: str


class ConsumerGroupStored(NamedTuple):
    group: StoredConsumerGroup


class ConsumerMembersStored(NamedTuple):
    group_id: str
    members: Sequence[ConsumerMember]


class ConsumerMembersRemoved(NamedTuple):
    """The members go with their targets."""

    group_id: str
    member_ids: Sequence[str]


class TargetsStored(NamedTuple):
    """What members of a consumer group should have; those that are not named keep their targets."""

    group_id: str
    targets: Mapping[str, Partitions]


class OffsetsCommitted(NamedTuple):
    group_id: str
    offsets: Sequence[CommittedOffset]


class OffsetsRemoved(NamedTuple):
    """``partitions``: (topic, partition) pairs."""

    group_id: str
    partitions: Sequence[tuple[str, int]]


class OffsetsPrepared(NamedTuple):
    """Offsets that are committed when the transaction of ``producer_id`` is; until then nobody sees them."""

    group_id: str
    producer_id: int
    offsets: Sequence[CommittedOffset]


class OffsetsDecided(NamedTuple):
    """What was prepared for ``producer_id`` is committed, or forgotten.

    ``group_ids``: of which groups; None for all.
    """

    producer_id: int
    is_commit: bool
    group_ids: Collection[str] | None = None


class Erased(NamedTuple):
    """What went from the catalog with a change that does not name it: all of a group but its offsets, or less.

    ``is_classic``, ``is_consumer``: whether there was a group of that kind. ``regexes``: expressions that nobody in
    the group has any more.
    """

    group_id: str
    is_classic: bool
    is_consumer: bool
    member_ids: Sequence[str]
    regexes: Collection[str]


# What follows from a change, in the form of changes.
Consequence = OffsetsCommitted | OffsetsRemoved | Erased


class TransactionStored(NamedTuple):
    transaction: StoredTransaction


class TransactionRemoved(NamedTuple):
    transactional_id: str


class CoordinatorEpochRaised(NamedTuple):
    """The markers of this broker's transaction coordinator carry ``epoch`` from now on."""

    epoch: int


Change = (
    TopicCreated
    | TopicRemoved
    | TopicConfigured
    | PartitionsAdded
    | ResourceConfigured
    | QuotasStored
    | ScramCredentialStored
    | ScramCredentialRemoved
    | FeaturesFinalized
    | LeaderEpochsBumped
    | GroupStored
    | GroupRemoved
    | GroupForgotten
    | ConsumerGroupStored
    | ConsumerMembersStored
    | ConsumerMembersRemoved
    | TargetsStored
    | OffsetsCommitted
    | OffsetsRemoved
    | OffsetsPrepared
    | OffsetsDecided
    | TransactionStored
    | TransactionRemoved
    | CoordinatorEpochRaised
)
