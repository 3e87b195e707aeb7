"""Broker settings of the log; most are what a topic falls back on (see topic_table)."""

from .setting import LONG_MAX, ConfigType, Dynamic, Setting, at_least, between
from .topic_table import (
    CLEANUP_POLICIES,
    COMPRESSION_TYPES,
    GZIP_LEVEL,
    HOUR_MS,
    LZ4_LEVEL,
    SEGMENT_BYTES,
    TIMESTAMP_TYPES,
    ZSTD_LEVEL,
)

BOOLEAN, STRING, INT = ConfigType.BOOLEAN, ConfigType.STRING, ConfigType.INT
LONG, DOUBLE, LIST, CLASS = ConfigType.LONG, ConfigType.DOUBLE, ConfigType.LIST, ConfigType.CLASS
CLUSTER_WIDE = Dynamic.CLUSTER_WIDE

DOUBLE_MAX = 1.7976931348623157e308


def _fallback(topic_setting: str) -> str:
    return f"What {topic_setting} is for a topic that does not set it."


LOG_TABLE = (
    # Where
    Setting(
        "log.dir",
        LIST,
        ("./barnabas-data",),
        "The data directory when log.dirs is unset (Kafka: /tmp/kafka-logs).",
    ),
    Setting("log.dirs", LIST, None, "The data directory; Barnabas keeps everything in one."),
    # Segments
    Setting("log.segment.bytes", INT, 2**30, _fallback("segment.bytes"), SEGMENT_BYTES, CLUSTER_WIDE),
    Setting("log.roll.ms", LONG, None, _fallback("segment.ms"), at_least(1), CLUSTER_WIDE),
    Setting("log.roll.hours", INT, 168, "log.roll.ms in hours, when that is unset.", at_least(1)),
    Setting("log.roll.jitter.ms", LONG, None, _fallback("segment.jitter.ms"), at_least(0), CLUSTER_WIDE),
    Setting("log.roll.jitter.hours", INT, 0, "log.roll.jitter.ms in hours, when that is unset.", at_least(0)),
    Setting(
        "log.index.size.max.bytes",
        INT,
        10 * 2**20,
        _fallback("segment.index.bytes"),
        at_least(4),
        CLUSTER_WIDE,
    ),
    Setting("log.index.interval.bytes", INT, 4096, _fallback("index.interval.bytes"), at_least(0), CLUSTER_WIDE),
    Setting("log.preallocate", BOOLEAN, False, _fallback("preallocate"), dynamic=CLUSTER_WIDE),
    Setting(
        "log.segment.delete.delay.ms",
        LONG,
        60_000,
        _fallback("file.delete.delay.ms"),
        at_least(0),
        CLUSTER_WIDE,
    ),
    # Retention
    Setting("log.retention.ms", LONG, None, _fallback("retention.ms"), dynamic=CLUSTER_WIDE),
    Setting("log.retention.minutes", INT, None, "log.retention.ms in minutes, when that is unset."),
    Setting("log.retention.hours", INT, 168, "log.retention.ms in hours, when both others are unset."),
    Setting("log.retention.bytes", LONG, -1, _fallback("retention.bytes"), dynamic=CLUSTER_WIDE),
    Setting(
        "log.retention.check.interval.ms",
        LONG,
        300_000,
        "How often old segments are looked for, in milliseconds.",
        at_least(1),
    ),
    Setting(
        "log.initial.task.delay.ms",
        LONG,
        30_000,
        "When old segments are looked for first, in case log.retention.check.interval.ms is longer.",
        at_least(0),
        is_internal=True,
    ),
    Setting("log.local.retention.ms", LONG, -2, _fallback("local.retention.ms"), at_least(-2), CLUSTER_WIDE),
    Setting("log.local.retention.bytes", LONG, -2, _fallback("local.retention.bytes"), at_least(-2), CLUSTER_WIDE),
    Setting(
        "log.cleanup.policy",
        LIST,
        ("delete",),
        _fallback("cleanup.policy"),
        CLEANUP_POLICIES,
        CLUSTER_WIDE,
    ),
    # Flushing
    Setting(
        "log.flush.interval.messages",
        LONG,
        LONG_MAX,
        _fallback("flush.messages"),
        at_least(1),
        CLUSTER_WIDE,
    ),
    Setting("log.flush.interval.ms", LONG, None, _fallback("flush.ms"), at_least(0), CLUSTER_WIDE),
    Setting(
        "log.flush.scheduler.interval.ms",
        LONG,
        LONG_MAX,
        "How often logs due for the disk are looked for, in milliseconds; also flush.ms when nothing sets it.",
        at_least(0),
    ),
    Setting(
        "log.flush.offset.checkpoint.interval.ms",
        INT,
        60_000,
        "How often it is noted up to where each log is on disk, in milliseconds.",
        at_least(0),
    ),
    Setting(
        "log.flush.start.offset.checkpoint.interval.ms",
        INT,
        60_000,
        "How often the start offset of each log is noted, in milliseconds.",
        at_least(0),
    ),
    Setting(
        "num.recovery.threads.per.data.dir",
        INT,
        2,
        "Threads that check logs after a crash.",
        at_least(1),
        CLUSTER_WIDE,
    ),
    Setting(
        "log.dir.failure.timeout.ms",
        LONG,
        30_000,
        "How long a broken data directory may go unreported, in milliseconds; accepted.",
        at_least(1),
    ),
    # Compaction
    Setting("log.cleaner.enable", BOOLEAN, True, "Whether compaction runs at all."),
    Setting("log.cleaner.threads", INT, 1, "Threads that compact logs.", at_least(0), CLUSTER_WIDE),
    Setting(
        "log.cleaner.backoff.ms",
        LONG,
        15_000,
        "How long compaction rests when it finds nothing to do, in milliseconds.",
        at_least(0),
        CLUSTER_WIDE,
    ),
    Setting(
        "log.cleaner.dedupe.buffer.size",
        LONG,
        128 * 2**20,
        "Memory for the keys of one compaction, in bytes over all threads.",
        dynamic=CLUSTER_WIDE,
    ),
    Setting(
        "log.cleaner.io.buffer.size",
        INT,
        512 * 2**10,
        "Bytes compaction reads and writes at a time, over all threads.",
        at_least(0),
        CLUSTER_WIDE,
    ),
    Setting(
        "log.cleaner.io.buffer.load.factor",
        DOUBLE,
        0.9,
        "How full the key memory of compaction may get, as a share.",
        dynamic=CLUSTER_WIDE,
    ),
    Setting(
        "log.cleaner.io.max.bytes.per.second",
        DOUBLE,
        DOUBLE_MAX,
        "Bytes compaction reads and writes per second at most.",
        dynamic=CLUSTER_WIDE,
    ),
    Setting(
        "log.cleaner.min.cleanable.ratio",
        DOUBLE,
        0.5,
        _fallback("min.cleanable.dirty.ratio"),
        between(0, 1),
        CLUSTER_WIDE,
    ),
    Setting(
        "log.cleaner.delete.retention.ms",
        LONG,
        86_400_000,
        _fallback("delete.retention.ms"),
        at_least(0),
        CLUSTER_WIDE,
    ),
    Setting(
        "log.cleaner.min.compaction.lag.ms",
        LONG,
        0,
        _fallback("min.compaction.lag.ms"),
        at_least(0),
        CLUSTER_WIDE,
    ),
    Setting(
        "log.cleaner.max.compaction.lag.ms",
        LONG,
        LONG_MAX,
        _fallback("max.compaction.lag.ms"),
        at_least(1),
        CLUSTER_WIDE,
    ),
    # Records
    Setting("message.max.bytes", INT, 1_048_588, _fallback("max.message.bytes"), at_least(0), CLUSTER_WIDE),
    Setting(
        "log.message.timestamp.type",
        STRING,
        "CreateTime",
        _fallback("message.timestamp.type"),
        TIMESTAMP_TYPES,
        CLUSTER_WIDE,
    ),
    Setting(
        "log.message.timestamp.before.max.ms",
        LONG,
        LONG_MAX,
        _fallback("message.timestamp.before.max.ms"),
        at_least(0),
        CLUSTER_WIDE,
    ),
    Setting(
        "log.message.timestamp.after.max.ms",
        LONG,
        HOUR_MS,
        _fallback("message.timestamp.after.max.ms"),
        at_least(0),
        CLUSTER_WIDE,
    ),
    Setting("compression.type", STRING, "producer", _fallback("compression.type"), COMPRESSION_TYPES, CLUSTER_WIDE),
    Setting("compression.gzip.level", INT, -1, _fallback("compression.gzip.level"), GZIP_LEVEL, CLUSTER_WIDE),
    Setting("compression.lz4.level", INT, 9, _fallback("compression.lz4.level"), LZ4_LEVEL, CLUSTER_WIDE),
    Setting("compression.zstd.level", INT, 3, _fallback("compression.zstd.level"), ZSTD_LEVEL, CLUSTER_WIDE),
    # Replicas
    Setting("min.insync.replicas", INT, 1, _fallback("min.insync.replicas"), at_least(1), CLUSTER_WIDE),
    Setting(
        "unclean.leader.election.enable",
        BOOLEAN,
        False,
        _fallback("unclean.leader.election.enable"),
        dynamic=CLUSTER_WIDE,
    ),
    # Policies
    Setting("create.topic.policy.class.name", CLASS, None, "A Java class that judges new topics; accepted, not run."),
    Setting(
        "alter.config.policy.class.name",
        CLASS,
        None,
        "A Java class that judges new settings; accepted, not run.",
    ),
)
