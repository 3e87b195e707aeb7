"""The settings of a topic: Kafka 4.3's thirty-four, with its defaults and rules."""

import re

from .setting import LONG_MAX, ConfigType, Setting, Synonym, Validator, at_least, between, list_of, one_of

BOOLEAN, STRING, INT = ConfigType.BOOLEAN, ConfigType.STRING, ConfigType.INT
LONG, DOUBLE, LIST = ConfigType.LONG, ConfigType.DOUBLE, ConfigType.LIST

MINUTE_MS = 60_000
HOUR_MS = 3_600_000

GZIP_LEVEL = Validator(
    lambda level: level == -1 or 1 <= level <= 9,
    " between 1 and 9, or -1",
    lambda _: "Value must be between 1 and 9 or equal to -1",
)
LZ4_LEVEL = between(1, 17)
ZSTD_LEVEL = between(-131072, 22)
COMPRESSION_TYPES = one_of("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")
CLEANUP_POLICIES = list_of("compact", "delete")
TIMESTAMP_TYPES = one_of("CreateTime", "LogAppendTime")
# The smallest segment since KIP-1030: smaller ones only make many files.
SEGMENT_BYTES = at_least(2**20)

_REPLICA = re.compile(r"[0-9]+:[0-9]+")


def _throttled_replicas(name: str) -> Validator:
    return Validator(
        lambda values: values == ("*",) or all(not value or _REPLICA.fullmatch(value) for value in values),
        " of partition:broker pairs, or *",
        lambda _: (
            f"{name} must be the literal '*' or a list of replicas in the following format: "
            "[partitionId]:[brokerId],[partitionId]:[brokerId],..."
        ),
    )


def _same(name: str) -> tuple[Synonym, ...]:
    return (Synonym(name),)


TOPIC_TABLE = (
    Setting(
        "cleanup.policy",
        LIST,
        ("delete",),
        "What becomes of old records: deleted by age and size, compacted by key, both, or (empty) kept.",
        CLEANUP_POLICIES,
        synonyms=_same("log.cleanup.policy"),
    ),
    Setting(
        "compression.gzip.level",
        INT,
        -1,
        "How hard gzip tries when the broker compresses; -1 leaves it to the library.",
        GZIP_LEVEL,
        synonyms=_same("compression.gzip.level"),
    ),
    Setting(
        "compression.lz4.level",
        INT,
        9,
        "How hard lz4 tries when the broker compresses.",
        LZ4_LEVEL,
        synonyms=_same("compression.lz4.level"),
    ),
    Setting(
        "compression.type",
        STRING,
        "producer",
        "The codec batches are stored with; 'producer' keeps each batch as it came.",
        COMPRESSION_TYPES,
        synonyms=_same("compression.type"),
    ),
    Setting(
        "compression.zstd.level",
        INT,
        3,
        "How hard zstd tries when the broker compresses.",
        ZSTD_LEVEL,
        synonyms=_same("compression.zstd.level"),
    ),
    Setting(
        "delete.retention.ms",
        LONG,
        86_400_000,
        "How long the mark of a deleted key survives compaction, in milliseconds.",
        at_least(0),
        synonyms=_same("log.cleaner.delete.retention.ms"),
    ),
    Setting(
        "file.delete.delay.ms",
        LONG,
        60_000,
        "How long a dropped segment stays on disk before its files go, in milliseconds.",
        at_least(0),
        synonyms=_same("log.segment.delete.delay.ms"),
    ),
    Setting(
        "flush.messages",
        LONG,
        LONG_MAX,
        "The log is forced to disk after this many records; by default the operating system decides.",
        at_least(1),
        synonyms=_same("log.flush.interval.messages"),
    ),
    Setting(
        "flush.ms",
        LONG,
        LONG_MAX,
        "The log is forced to disk after this many milliseconds; by default the operating system decides.",
        at_least(0),
        synonyms=(Synonym("log.flush.interval.ms"), Synonym("log.flush.scheduler.interval.ms")),
    ),
    Setting(
        "follower.replication.throttled.replicas",
        LIST,
        (),
        "Replicas whose following is throttled while partitions move; Barnabas copies no replicas.",
        _throttled_replicas("follower.replication.throttled.replicas"),
    ),
    Setting(
        "index.interval.bytes",
        INT,
        4096,
        "One index entry is written for about this many bytes of log.",
        at_least(0),
        synonyms=_same("log.index.interval.bytes"),
    ),
    Setting(
        "internal.segment.bytes",
        INT,
        None,
        "For tests: a segment file of any size, instead of segment.bytes.",
        is_internal=True,
    ),
    Setting(
        "leader.replication.throttled.replicas",
        LIST,
        (),
        "Replicas whose leading is throttled while partitions move; Barnabas copies no replicas.",
        _throttled_replicas("leader.replication.throttled.replicas"),
    ),
    Setting(
        "local.retention.bytes",
        LONG,
        -2,
        "Bytes kept on the local disk under tiered storage; -2 means retention.bytes.",
        at_least(-2),
        synonyms=_same("log.local.retention.bytes"),
    ),
    Setting(
        "local.retention.ms",
        LONG,
        -2,
        "Milliseconds kept on the local disk under tiered storage; -2 means retention.ms.",
        at_least(-2),
        synonyms=_same("log.local.retention.ms"),
    ),
    Setting(
        "max.compaction.lag.ms",
        LONG,
        LONG_MAX,
        "A record may escape compaction no longer than this many milliseconds.",
        at_least(1),
        synonyms=_same("log.cleaner.max.compaction.lag.ms"),
    ),
    Setting(
        "max.message.bytes",
        INT,
        1_048_588,
        "The largest record batch that is taken, in bytes as it lies on the wire.",
        at_least(0),
        synonyms=_same("message.max.bytes"),
    ),
    Setting(
        "message.timestamp.after.max.ms",
        LONG,
        HOUR_MS,
        "How far a producer's timestamp may lie ahead of the broker's clock, in milliseconds.",
        at_least(0),
        synonyms=_same("log.message.timestamp.after.max.ms"),
    ),
    Setting(
        "message.timestamp.before.max.ms",
        LONG,
        LONG_MAX,
        "How far a producer's timestamp may lie behind the broker's clock, in milliseconds.",
        at_least(0),
        synonyms=_same("log.message.timestamp.before.max.ms"),
    ),
    Setting(
        "message.timestamp.type",
        STRING,
        "CreateTime",
        "Whether a record bears the producer's time or the time it was appended.",
        TIMESTAMP_TYPES,
        synonyms=_same("log.message.timestamp.type"),
    ),
    Setting(
        "min.cleanable.dirty.ratio",
        DOUBLE,
        0.5,
        "Compaction starts when this share of the log has not been compacted.",
        between(0, 1),
        synonyms=_same("log.cleaner.min.cleanable.ratio"),
    ),
    Setting(
        "min.compaction.lag.ms",
        LONG,
        0,
        "A record is safe from compaction for this many milliseconds.",
        at_least(0),
        synonyms=_same("log.cleaner.min.compaction.lag.ms"),
    ),
    Setting(
        "min.insync.replicas",
        INT,
        1,
        "Replicas that must have a batch before acks=all is answered.",
        at_least(1),
        synonyms=_same("min.insync.replicas"),
    ),
    Setting(
        "preallocate",
        BOOLEAN,
        False,
        "Whether a new segment takes its full size on disk at once.",
        synonyms=_same("log.preallocate"),
    ),
    Setting(
        "remote.log.copy.disable",
        BOOLEAN,
        False,
        "Under tiered storage: copy nothing more, but serve what was copied.",
    ),
    Setting(
        "remote.log.delete.on.disable",
        BOOLEAN,
        False,
        "Under tiered storage: delete the copies when tiering is turned off.",
    ),
    Setting(
        "remote.storage.enable",
        BOOLEAN,
        False,
        "Tiered storage for this topic; Barnabas has none, so only false is taken.",
    ),
    Setting(
        "retention.bytes",
        LONG,
        -1,
        "Oldest segments go while a partition is larger than this many bytes; -1 sets no limit.",
        synonyms=_same("log.retention.bytes"),
    ),
    Setting(
        "retention.ms",
        LONG,
        7 * 24 * HOUR_MS,
        "Segments whose newest record is older than this many milliseconds go; -1 sets no limit.",
        at_least(-1),
        synonyms=(
            Synonym("log.retention.ms"),
            Synonym("log.retention.minutes", MINUTE_MS),
            Synonym("log.retention.hours", HOUR_MS),
        ),
    ),
    Setting(
        "segment.bytes",
        INT,
        2**30,
        "A segment file is closed before it grows beyond this many bytes.",
        SEGMENT_BYTES,
        synonyms=_same("log.segment.bytes"),
    ),
    Setting(
        "segment.index.bytes",
        INT,
        10 * 2**20,
        "The largest size of an index file, in bytes; a full index closes its segment.",
        at_least(4),
        synonyms=_same("log.index.size.max.bytes"),
    ),
    Setting(
        "segment.jitter.ms",
        LONG,
        0,
        "At most this many milliseconds, drawn at random, are taken off segment.ms.",
        at_least(0),
        synonyms=(Synonym("log.roll.jitter.ms"), Synonym("log.roll.jitter.hours", HOUR_MS)),
    ),
    Setting(
        "segment.ms",
        LONG,
        7 * 24 * HOUR_MS,
        "A segment is closed after this many milliseconds even when it is not full.",
        at_least(1),
        synonyms=(Synonym("log.roll.ms"), Synonym("log.roll.hours", HOUR_MS)),
    ),
    Setting(
        "unclean.leader.election.enable",
        BOOLEAN,
        False,
        "Whether a replica that lags may lead when no other is left, at the price of lost records.",
        synonyms=_same("unclean.leader.election.enable"),
    ),
)
