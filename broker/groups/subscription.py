"""What consumers tell each other through the classic protocol, under protocol type "consumer"."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from ...protocol.codec import decoder, encoder
from ...protocol.consumer_protocol import (
    VERSION_MAX,
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    TopicPartition,
)
from ...protocol.schema import Struct

CONSUMER_PROTOCOL_TYPE = "consumer"

_VERSION_SIZE = 2

# Partitions by topic name.
NamedPartitions = Mapping[str, frozenset[int]]


class Subscription(NamedTuple):
    """ConsumerProtocolSubscription. ``owned``: nothing before version 1, whose members give up all they have."""

    version: int
    topics: frozenset[str]
    owned: NamedPartitions
    rack_id: str | None


def read_subscription(metadata: bytes) -> Subscription:
    """Read what a member is subscribed to and has. Raises ValueError when ``metadata`` is something else."""
    version, read = _read(ConsumerProtocolSubscription, metadata)
    return Subscription(version, frozenset(read.topics), _by_name(read.owned_partitions), read.rack_id)


def subscribed_topics(metadata: bytes) -> frozenset[str]:
    """Return the topics only, of future versions too: version 0 is a prefix of all. Raises ValueError."""
    _, read = _read(ConsumerProtocolSubscription, metadata, 0)
    return frozenset(read.topics)


def read_assignment(assignment: bytes) -> tuple[NamedPartitions, bytes]:
    """Return the partitions and what the assignor added. Raises ValueError when ``assignment`` is something else."""
    _, read = _read(ConsumerProtocolAssignment, assignment)
    return _by_name(read.assigned_partitions), read.user_data or b""


def write_assignment(partitions: NamedPartitions, version: int) -> bytes:
    assigned = [TopicPartition(topic=topic, partitions=sorted(indexes)) for topic, indexes in partitions.items()]
    body = _encoder(ConsumerProtocolAssignment, version)(ConsumerProtocolAssignment(assigned_partitions=assigned))
    return b"".join((version.to_bytes(_VERSION_SIZE, "big"), *body))


def _read(struct: type[Struct], whole: bytes, version_max: int = VERSION_MAX) -> tuple[int, Any]:
    version = int.from_bytes(whole[:_VERSION_SIZE], "big", signed=True)
    if len(whole) < _VERSION_SIZE or version < 0:
        raise ValueError(f"{struct.__name__} without a version")
    version = min(version, version_max)
    read, _ = _decoder(struct, version)(memoryview(whole), _VERSION_SIZE)
    return version, read


def _by_name(topics: list[TopicPartition]) -> NamedPartitions:
    return {topic.topic: frozenset(topic.partitions) for topic in topics}


@cache
def _decoder(struct: type[Struct], version: int) -> Any:
    return decoder(struct, version, flexible=False)


@cache
def _encoder(struct: type[Struct], version: int) -> Any:
    return encoder(struct, version, flexible=False)
