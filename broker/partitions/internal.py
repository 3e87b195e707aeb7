"""Topics that Kafka keeps for its coordinators, and clients look for: made when Kafka would make them.

What Kafka keeps in them is in the catalog; ``__consumer_offsets`` has a copy (see ``offsets_topic``)."""

from __future__ import annotations

import logging

from ..config import BrokerConfig
from .topics import Topic, Topics

logger = logging.getLogger(__name__)

CONSUMER_OFFSETS, TRANSACTION_STATE = "__consumer_offsets", "__transaction_state"


def creation_of(name: str, config: BrokerConfig) -> tuple[int, dict[str, str]]:
    """Return how many partitions a topic gets that is made because somebody needs it, and with which settings
    (AutoTopicCreationManager, GroupCoordinatorService, TransactionStateManager)."""
    if name == CONSUMER_OFFSETS:
        return config.int("offsets.topic.num.partitions"), {
            "cleanup.policy": "compact",
            "compression.type": "producer",
            "segment.bytes": str(config.int("offsets.topic.segment.bytes")),
        }
    if name == TRANSACTION_STATE:
        return config.int("transaction.state.log.num.partitions"), {
            "cleanup.policy": "compact",
            "compression.type": "uncompressed",
            "min.insync.replicas": "1",  # there are no more replicas, whatever transaction.state.log.min.isr says
            "segment.bytes": str(config.int("transaction.state.log.segment.bytes")),
            "unclean.leader.election.enable": "false",
        }
    return config.int("num.partitions"), {}


def partition_for(group_id: str, partition_count: int) -> int:
    """Return where Kafka keeps what it knows of a group: by the hash of its id in Java (GroupMetadataManager)."""
    number = 0
    for unit in memoryview(group_id.encode("utf-16-le", "surrogatepass")).cast("H"):
        number = number * 31 + unit & 0xFFFFFFFF
    if number >= 2**31:  # negative in Java; the smallest number has no positive counterpart and counts as 0
        number = (2**32 - number) % 2**31
    return number % partition_count


def ensure(name: str, topics: Topics, config: BrokerConfig) -> Topic:
    """Return the topic, made if it was not there. Raises CatalogError."""
    topic = topics.get(name)
    if topic is None:
        topic = topics.create(name, *creation_of(name, config))
        logger.info("topic %s created (partitions: %d)", name, topic.partition_count)
    return topic
