"""The settings one topic has: its own overrides over what the broker's say."""

from collections.abc import Mapping

from .broker_config import BrokerConfig
from .cross_checks import check_topic
from .entries import ConfigSynonym
from .errors import ConfigError
from .overrides import Overrides, parse_overrides
from .setting import ConfigSource, Setting
from .table import TOPIC_SETTINGS
from .typed_access import TypedAccess


class TopicConfig(Overrides):
    """Every topic setting by name; those that produce, fetch and the log read stand as attributes.

    Times are in milliseconds, sizes in bytes; ``retention_ms`` and ``retention_bytes`` are -1 without a limit,
    ``compression_level`` is None where the type has none. ``is_durable``: what is appended counts only when the disk
    has it, for the producer and for consumers.
    """

    __slots__ = (
        "_broker",
        "compression_level",
        "compression_type",
        "delete_retention_ms",
        "file_delete_delay_ms",
        "flush_messages",
        "flush_ms",
        "index_interval_bytes",
        "is_compacted",
        "is_deleting",
        "is_durable",
        "max_compaction_lag_ms",
        "max_message_bytes",
        "message_timestamp_after_max_ms",
        "message_timestamp_before_max_ms",
        "message_timestamp_type",
        "min_cleanable_dirty_ratio",
        "min_compaction_lag_ms",
        "preallocate",
        "retention_bytes",
        "retention_ms",
        "segment_bytes",
        "segment_index_bytes",
        "segment_jitter_ms",
        "segment_ms",
    )

    def __init__(self, overrides: Mapping[str, str], broker: BrokerConfig) -> None:
        """Put ``overrides`` over the settings of ``broker``. Raises ConfigError."""
        self._broker = broker
        super().__init__(TOPIC_SETTINGS, overrides, broker.topic_values, ConfigSource.TOPIC, "topic")
        self.compression_type = self.string("compression.type")
        level = f"compression.{self.compression_type}.level"
        self.compression_level = self.int(level) if level in self._values else None
        self.max_message_bytes = self.int("max.message.bytes")
        internal_segment_bytes = self.optional_int("internal.segment.bytes")
        self.segment_bytes = self.int("segment.bytes") if internal_segment_bytes is None else internal_segment_bytes
        self.segment_bytes = max(self.segment_bytes, 1)  # so small that no batch fits in
        self.segment_ms = self.int("segment.ms")
        self.segment_jitter_ms = self.int("segment.jitter.ms")
        self.segment_index_bytes = self.int("segment.index.bytes")
        self.index_interval_bytes = self.int("index.interval.bytes")
        self.flush_messages = self.int("flush.messages")
        self.flush_ms = self.int("flush.ms")
        self.is_durable = self.flush_messages == 1 or broker.bool("barnabas.acknowledge.durable")
        self.file_delete_delay_ms = self.int("file.delete.delay.ms")
        self.is_compacted = "compact" in self.list("cleanup.policy")
        self.is_deleting = "delete" in self.list("cleanup.policy")
        self.preallocate = self.bool("preallocate")
        self.delete_retention_ms = self.int("delete.retention.ms")
        self.min_compaction_lag_ms = self.int("min.compaction.lag.ms")
        self.max_compaction_lag_ms = self.int("max.compaction.lag.ms")
        self.min_cleanable_dirty_ratio = self.double("min.cleanable.dirty.ratio")
        self.message_timestamp_type = self.string("message.timestamp.type")
        self.message_timestamp_before_max_ms = self.int("message.timestamp.before.max.ms")
        self.message_timestamp_after_max_ms = self.int("message.timestamp.after.max.ms")
        self.retention_ms = self.int("retention.ms")
        self.retention_bytes = self.int("retention.bytes")

    def _synonyms(self, setting: Setting) -> tuple[ConfigSynonym, ...]:
        return self._broker.synonyms_of(setting.synonyms[0].name) if setting.synonyms else ()


def validate_topic_overrides(overrides: Mapping[str, str | None], broker: BrokerConfig | None = None) -> None:
    """Raise ConfigError when a topic must not have ``overrides``, with a line for every wrong one.

    ``broker``: whose settings hold for what is not overridden; Kafka's defaults when None.
    """
    problems: dict[str, str] = {}
    parsed = parse_overrides(TOPIC_SETTINGS, overrides, problems, "topic")
    config = TypedAccess({**(broker or BrokerConfig()).topic_values, **parsed})
    for finding in check_topic(config):
        # What the broker's own settings get wrong is not the topic's to answer for.
        blamed = next((blamed for blamed in finding if blamed[0] in overrides), None)
        if blamed is not None and not any(name in problems for name, _ in finding):
            problems[blamed[0]] = blamed[1]
    if problems:
        raise ConfigError(problems.values(), problems)
