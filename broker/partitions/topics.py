"""The topics of this broker: made, found and deleted."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from ...protocol.errors import ErrorCode
from ...protocol.primitives import ZERO_UUID
from ...storage.catalog import (
    Catalog,
    LeaderEpochsBumped,
    PartitionsAdded,
    StoredTopic,
    TopicConfigured,
    TopicCreated,
    TopicRemoved,
)
from ...storage.clock import Clock
from ...storage.errors import CatalogError, LogOffline
from ..config import BrokerConfig, TopicConfig, keep_fitting
from ..errors import ApiError
from .partition import Partition

if TYPE_CHECKING:
    from ...storage.datadir import DataDir
    from ...storage.log import LogSettings, PartitionLog
    from ...storage.segments import SegmentedLog

logger = logging.getLogger(__name__)

NAME_LENGTH_MAX = 249
# Kafka keeps it for its controllers.
CLUSTER_METADATA_TOPIC = "__cluster_metadata"
# Kafka's limit for one request; also what one topic may have here.
PARTITIONS_PER_REQUEST_MAX = 10_000

# What Kafka says of topics that are not there, where an answer has room for it.
UNHOSTED = {
    ErrorCode.UNKNOWN_TOPIC_ID: "This server does not host this topic ID.",
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: "This server does not host this topic-partition.",
}

_NAME = re.compile(r"[a-zA-Z0-9._-]+")


class Topic:
    """A topic and its partitions, by index.

    ``topic_id``: 16 bytes. ``described``: what Metadata says of it, encoded, by version and flags.
    """

    __slots__ = ("config", "configs", "described", "name", "partitions", "topic_id")

    def __init__(
        self, name: str, topic_id: bytes, configs: Mapping[str, str], config: TopicConfig, partitions: list[Partition]
    ) -> None:
        self.name = name
        self.topic_id = topic_id
        self.configs = configs
        self.config = config
        self.partitions = partitions
        self.described: dict[tuple[int, bool], bytes] = {}

    @property
    def partition_count(self) -> int:
        return len(self.partitions)


class Topics:
    """All topics, by name and by id. ``version`` changes whenever there are others, or other partitions."""

    def __init__(self, catalog: Catalog, data_dir: DataDir, config: BrokerConfig, clock: Clock) -> None:
        self._catalog = catalog
        self._data_dir = data_dir
        self._config = config
        self._clock = clock
        self._by_name: dict[str, Topic] = {}
        self._by_id: dict[bytes, Topic] = {}
        self._collisions: dict[str, str] = {}
        # Logs that lost records, while the catalog refuses the new leader epoch that this needs.
        self._lossy_logs: dict[tuple[bytes, int], SegmentedLog] = {}
        self.version = 0
        if not data_dir.was_clean:
            catalog.commit(LeaderEpochsBumped())
            catalog.sync()
        for stored in catalog.topics():
            self._add(stored)

    def __iter__(self) -> Iterator[Topic]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: str) -> Topic | None:
        return self._by_name.get(name)

    def with_id(self, topic_id: bytes) -> Topic | None:
        return self._by_id.get(topic_id)

    def find(self, name: str | None, topic_id: bytes = ZERO_UUID) -> Topic:
        """Return the topic with that id, or of that name when the id is zero.

        Raises ApiError: UNKNOWN_TOPIC_ID, also when there is no name either, or UNKNOWN_TOPIC_OR_PARTITION.
        """
        if topic_id != ZERO_UUID or name is None:
            topic = self._by_id.get(topic_id)
            if topic is None:
                raise ApiError(ErrorCode.UNKNOWN_TOPIC_ID)
            return topic
        topic = self._by_name.get(name)
        if topic is None:
            raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return topic

    def partition(self, name: str, topic_id: bytes, index: int) -> Partition:
        """Return a partition of the topic that ``find`` finds. Raises ApiError."""
        topic = self._by_name.get(name) if name else None
        partitions = (topic or self.find(name or None, topic_id)).partitions
        if 0 <= index < len(partitions):
            return partitions[index]
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)

    def named_partition(self, name: str, index: int) -> Partition:
        """Return a partition by its topic's name. Raises ApiError: UNKNOWN_TOPIC_OR_PARTITION."""
        topic = self._by_name.get(name)
        if topic is None or not 0 <= index < len(topic.partitions):
            raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return topic.partitions[index]

    def check_name_form(self, name: str) -> None:
        """Raises ApiError when no topic can have that name (Kafka's Topic.validate)."""
        fault = None
        if not name:
            fault = "the empty string is not allowed"
        elif name in (".", ".."):
            fault = f"'{name}' is not allowed"
        elif len(name) > NAME_LENGTH_MAX:
            fault = f"the length of '{name}' is longer than the max allowed length {NAME_LENGTH_MAX}"
        elif not _NAME.fullmatch(name):
            fault = f"'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        if fault is not None:
            raise ApiError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic name is invalid: {fault}")

    def check_name(self, name: str) -> None:
        """Raises ApiError when ``name`` cannot be a new topic's: by its form, because it exists or nearly exists."""
        self.check_name_form(name)
        if name in self._by_name:
            raise ApiError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
        other = self._collisions.get(_collision_key(name))
        if other is not None:
            raise ApiError(
                ErrorCode.INVALID_TOPIC_EXCEPTION,
                f"Topic '{name}' collides with existing topic: {other}",
            )

    def create(self, name: str, partition_count: int, configs: Mapping[str, str]) -> Topic:
        """Make a topic whose name, count and settings have been checked. Raises CatalogError, LogOffline."""
        self._data_dir.known.forget_former(name, range(partition_count))
        stored = StoredTopic(self.new_id(), name, partition_count, 0, configs)
        self._catalog.commit(TopicCreated(stored))
        return self._add(stored)

    def new_id(self) -> bytes:
        """Return an id that no topic has: a version 4 UUID that does not begin with '-' in base64, as in Kafka."""
        while True:
            drawn = bytearray(self._clock.random_bytes(16))
            drawn[6] = drawn[6] & 0x0F | 0x40
            drawn[8] = drawn[8] & 0x3F | 0x80
            if drawn[0] >> 2 != 62 and bytes(drawn) not in self._by_id:
                return bytes(drawn)

    def add_partitions(self, topic: Topic, partition_count: int) -> None:
        """Give a topic more partitions; the count has been checked. Raises CatalogError, LogOffline."""
        self._data_dir.known.forget_former(topic.name, range(len(topic.partitions), partition_count))
        self._catalog.commit(PartitionsAdded(topic.name, partition_count))
        epoch = topic.partitions[0].leader_epoch
        topic.partitions += self._make_partitions(topic, epoch, range(len(topic.partitions), partition_count))
        topic.described.clear()
        self.version += 1

    def configure(self, topic: Topic, configs: Mapping[str, str]) -> None:
        """Replace a topic's own settings by others that have been checked. Raises CatalogError."""
        self._catalog.commit(TopicConfigured(topic.name, configs))
        topic.configs = configs
        self._reconfigure(topic)

    def reconfigure(self, config: BrokerConfig) -> None:
        """Go on with other settings of the broker, on which those of the topics rest."""
        changed = (config.topic_values, config.dynamic) != (self._config.topic_values, self._config.dynamic)
        self._config = config
        for topic in self if changed else ():
            self._reconfigure(topic)

    def _reconfigure(self, topic: Topic) -> None:
        topic.config = TopicConfig(topic.configs, self._config)
        for partition in topic.partitions:
            partition.configure(topic.config)

    def delete(self, names: Iterable[str]) -> None:
        """Delete topics with their logs and the offsets committed for them. Raises CatalogError."""
        topics = [self._by_name[name] for name in names]
        self._catalog.commit(*(TopicRemoved(topic.name) for topic in topics))
        for topic in topics:
            del self._by_name[topic.name]
            del self._by_id[topic.topic_id]
            self.version += 1
            del self._collisions[_collision_key(topic.name)]
            for partition in topic.partitions:
                self._lossy_logs.pop((topic.topic_id, partition.index), None)
                self._data_dir.remove_log(topic.name, partition.index, topic.topic_id)
                partition.forget()

    def _add(self, stored: StoredTopic) -> Topic:
        config, configs, faults = keep_fitting(partial(TopicConfig, broker=self._config), stored.configs)
        for fault in faults:
            logger.error("ignoring a stored setting of topic %s: %s", stored.name, fault)
        topic = Topic(stored.name, stored.topic_id, configs, config, [])
        topic.partitions += self._make_partitions(topic, stored.leader_epoch, range(stored.partition_count))
        self.version += 1
        self._by_name[topic.name] = topic
        self._by_id[topic.topic_id] = topic
        self._collisions[_collision_key(topic.name)] = topic.name
        return topic

    def _make_partitions(self, topic: Topic, leader_epoch: int, indexes: range) -> list[Partition]:
        return [
            Partition(
                topic.name,
                index,
                leader_epoch,
                topic.config,
                partial(self._open_log, topic.name, topic.topic_id, index),
                partial(self._data_dir.unwritten, topic.name, index, topic.topic_id),
            )
            for index in indexes
        ]

    def _open_log(self, name: str, topic_id: bytes, index: int, settings: LogSettings) -> PartitionLog:
        """Open a log; when it has lost records, under the next leader epoch. Raises LogOffline.

        Consumers learn from the epoch that the end of the log was cut (KIP-320), and do not take new records for the
        lost ones. After a crash every partition has a new one already.
        """
        topic = self._by_id.get(topic_id)
        if topic is None:  # the folder of this name may be a new topic's
            raise LogOffline(f"{name}-{index}: the topic was deleted")
        log = self._lossy_logs.pop((topic_id, index), None)
        if log is None:
            log = self._data_dir.open_log(name, index, topic_id, settings)
        if log.loss and self._data_dir.was_clean:
            try:
                self._catalog.commit(LeaderEpochsBumped(name))
                self._catalog.sync()
            except (CatalogError, OSError) as error:
                self._lossy_logs[topic_id, index] = log
                raise LogOffline(f"{name}: no new leader epoch: {error}", may_pass=True) from error
            for partition in topic.partitions:
                partition.leader_epoch += 1
            topic.described.clear()
        return log


def _collision_key(name: str) -> str:
    return name.replace(".", "_")
