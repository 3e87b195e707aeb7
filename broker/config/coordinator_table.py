"""Broker settings of the coordinators: groups, their offsets, transactions and producers."""

from .setting import INT_MAX, ConfigType, Dynamic, Setting, Validator, at_least, between, list_of

BOOLEAN, STRING, INT = ConfigType.BOOLEAN, ConfigType.STRING, ConfigType.INT
SHORT, LONG, LIST = ConfigType.SHORT, ConfigType.LONG, ConfigType.LIST
CLUSTER_WIDE = Dynamic.CLUSTER_WIDE

MIGRATION_POLICIES = Validator(
    lambda value: value.lower() in ("disabled", "upgrade", "downgrade", "bidirectional"),
    ": one of disabled, upgrade, downgrade, bidirectional, in any case",
)
_ASSIGNORS = "org.apache.kafka.coordinator.group.assignor"
# What each entry of group.consumer.assignors stands for: a name, or the class that has this name in Kafka.
CONSUMER_ASSIGNORS = {
    "uniform": "uniform",
    "range": "range",
    f"{_ASSIGNORS}.UniformAssignor": "uniform",
    f"{_ASSIGNORS}.RangeAssignor": "range",
}


def _assignment_intervals(kind: str) -> tuple[Setting, ...]:
    """Return how often a new assignment may be computed, and which intervals a group may set."""
    group = f"a {kind} group"
    return (
        Setting(
            f"group.{kind}.assignment.interval.ms",
            INT,
            1000,
            f"The least time between two assignments of {group}, in milliseconds; accepted.",
            at_least(0),
            Dynamic.CLUSTER_WIDE,
        ),
        Setting(
            f"group.{kind}.min.assignment.interval.ms",
            INT,
            0,
            f"The shortest assignment interval {group} may set, in milliseconds.",
            at_least(0),
        ),
        Setting(
            f"group.{kind}.max.assignment.interval.ms",
            INT,
            15_000,
            f"The longest assignment interval {group} may set, in milliseconds.",
            at_least(0),
        ),
    )


def _bounds(kind: str) -> tuple[Setting, ...]:
    """Return the session and heartbeat settings, alike for every kind of group that heartbeats (KIP-848)."""
    group = f"a {kind} group"
    return (
        Setting(
            f"group.{kind}.session.timeout.ms",
            INT,
            45_000,
            f"A silent member of {group} is gone after this many milliseconds.",
            at_least(1),
        ),
        Setting(
            f"group.{kind}.min.session.timeout.ms",
            INT,
            45_000,
            f"The shortest session timeout {group} may set, in milliseconds.",
            at_least(1),
        ),
        Setting(
            f"group.{kind}.max.session.timeout.ms",
            INT,
            60_000,
            f"The longest session timeout {group} may set, in milliseconds.",
            at_least(1),
        ),
        Setting(
            f"group.{kind}.heartbeat.interval.ms",
            INT,
            5000,
            f"How often a member of {group} is told to report, in milliseconds.",
            at_least(1),
        ),
        Setting(
            f"group.{kind}.min.heartbeat.interval.ms",
            INT,
            5000,
            f"The shortest heartbeat interval {group} may set, in milliseconds.",
            at_least(1),
        ),
        Setting(
            f"group.{kind}.max.heartbeat.interval.ms",
            INT,
            15_000,
            f"The longest heartbeat interval {group} may set, in milliseconds.",
            at_least(1),
        ),
    )


COORDINATOR_TABLE = (
    # Classic groups
    Setting(
        "group.min.session.timeout.ms",
        INT,
        6000,
        "The shortest session timeout a classic member may ask for, in milliseconds.",
    ),
    Setting(
        "group.max.session.timeout.ms",
        INT,
        1_800_000,
        "The longest session timeout a classic member may ask for, in milliseconds.",
    ),
    Setting(
        "group.initial.rebalance.delay.ms",
        INT,
        0,
        "How long a new classic group waits for more members, in milliseconds (Kafka waits 3000; here 0, so "
        "that the first consumer starts at once).",
        at_least(0),
    ),
    Setting("group.max.size", INT, INT_MAX, "Members of a classic group at most.", at_least(1)),
    # All groups
    Setting(
        "group.coordinator.rebalance.protocols",
        LIST,
        ("classic", "consumer", "streams"),
        "The kinds of group that clients may form.",
        list_of("classic", "consumer", "share", "streams", empty_allowed=False),
    ),
    Setting("group.coordinator.threads", INT, 4, "Coordinator threads; accepted.", at_least(1)),
    Setting(
        "group.coordinator.append.linger.ms",
        INT,
        -1,
        "How long coordinator writes are gathered, in milliseconds; accepted.",
        at_least(-1),
    ),
    Setting("group.coordinator.background.threads", INT, 2, "Threads for patterns; accepted.", at_least(1)),
    Setting(
        "group.coordinator.cached.buffer.max.bytes",
        INT,
        1_048_588,
        "The largest buffer kept for coordinator writes; accepted.",
        at_least(512 * 2**10),
        Dynamic.CLUSTER_WIDE,
    ),
    # Consumer groups (KIP-848)
    *_bounds("consumer"),
    *_assignment_intervals("consumer"),
    Setting("group.consumer.max.size", INT, INT_MAX, "Members of a consumer group at most.", at_least(1)),
    Setting(
        "group.consumer.assignors",
        LIST,
        ("uniform", "range"),
        "Assignors of consumer groups; the first serves members that name none.",
        Validator(
            lambda names: bool(names) and CONSUMER_ASSIGNORS.keys() >= set(names),
            " of uniform and range, at least one (other classes are not here)",
            is_set=True,
        ),
    ),
    Setting(
        "group.consumer.migration.policy",
        STRING,
        "bidirectional",
        "Whether a live group may change between the classic and the consumer protocol, and which way.",
        MIGRATION_POLICIES,
    ),
    # Share groups (KIP-932)
    *_bounds("share"),
    *_assignment_intervals("share"),
    Setting("group.share.max.size", INT, 200, "Members of a share group at most.", between(1, 1000)),
    Setting(
        "group.share.delivery.count.limit",
        INT,
        5,
        "How often a record is delivered to a share group before it is given up.",
        between(2, 10),
    ),
    Setting(
        "group.share.record.lock.duration.ms",
        INT,
        30_000,
        "How long a share consumer holds a record, in milliseconds.",
        between(1000, 3_600_000),
    ),
    Setting(
        "group.share.min.record.lock.duration.ms",
        INT,
        15_000,
        "The shortest lock a share group may set, in milliseconds.",
        between(1000, 30_000),
    ),
    Setting(
        "group.share.max.record.lock.duration.ms",
        INT,
        60_000,
        "The longest lock a share group may set, in milliseconds.",
        between(30_000, 3_600_000),
    ),
    Setting(
        "group.share.partition.max.record.locks",
        INT,
        2000,
        "Records of one partition a share group may hold at a time.",
        between(100, 10_000),
    ),
    Setting(
        "group.share.min.delivery.count.limit",
        INT,
        2,
        "The lowest limit of deliveries a share group may set.",
        between(2, 5),
    ),
    Setting(
        "group.share.max.delivery.count.limit",
        INT,
        10,
        "The highest limit of deliveries a share group may set.",
        between(5, 25),
    ),
    Setting(
        "group.share.min.partition.max.record.locks",
        INT,
        100,
        "The lowest limit of records held a share group may set.",
        between(100, 2000),
    ),
    Setting(
        "group.share.max.partition.max.record.locks",
        INT,
        4000,
        "The highest limit of records held a share group may set.",
        between(2000, 20_000),
    ),
    Setting(
        "group.share.assignors",
        LIST,
        ("simple",),
        "Assignors of share groups; accepted.",
        list_of("simple", f"{_ASSIGNORS}.SimpleAssignor", empty_allowed=False),
    ),
    Setting("group.share.max.share.sessions", INT, 2000, "Share sessions at most.", at_least(1)),
    # Streams groups (KIP-1071)
    *_bounds("streams"),
    *_assignment_intervals("streams"),
    Setting("group.streams.max.size", INT, INT_MAX, "Members of a streams group at most.", at_least(1)),
    Setting("group.streams.num.standby.replicas", INT, 0, "Standby tasks of each streams task.", at_least(0)),
    Setting(
        "group.streams.max.standby.replicas",
        INT,
        2,
        "The most standby tasks a streams group may set.",
        at_least(0),
    ),
    Setting(
        "group.streams.initial.rebalance.delay.ms",
        INT,
        3000,
        "How long a new streams group waits for more members, in milliseconds.",
        at_least(0),
    ),
    # Offsets
    Setting("offset.metadata.max.bytes", INT, 4096, "The longest text that may stand beside a committed offset."),
    Setting(
        "offsets.retention.minutes",
        INT,
        10_080,
        "Minutes the offsets of a group without members are kept.",
        at_least(1),
    ),
    Setting(
        "offsets.retention.check.interval.ms",
        LONG,
        600_000,
        "How often expired offsets are looked for, in milliseconds.",
        at_least(1),
    ),
    Setting(
        "offsets.commit.timeout.ms",
        INT,
        5000,
        "How long a commit may wait for its write, in milliseconds.",
        at_least(1),
    ),
    Setting("offsets.load.buffer.size", INT, 5 * 2**20, "Bytes read at a time; accepted.", at_least(1)),
    Setting(
        "barnabas.offsets.topic.enable",
        BOOLEAN,
        True,
        "Whether __consumer_offsets gets a copy of all groups and their offsets, for programs that read them there.",
    ),
    Setting(
        "offsets.topic.replication.factor",
        SHORT,
        3,
        "Replicas of __consumer_offsets; there is one, so accepted.",
        at_least(1),
    ),
    Setting("offsets.topic.num.partitions", INT, 50, "Partitions of __consumer_offsets.", at_least(1)),
    Setting(
        "offsets.topic.segment.bytes",
        INT,
        100 * 2**20,
        "Segment size of __consumer_offsets.",
        at_least(1),
    ),
    Setting(
        "offsets.topic.compression.codec",
        INT,
        0,
        "Codec of what is written to __consumer_offsets: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.",
        between(0, 4),
    ),
    # Transactions and producers
    Setting(
        "transactional.id.expiration.ms",
        INT,
        604_800_000,
        "A transactional id unused for this many milliseconds is forgotten.",
        at_least(1),
    ),
    Setting(
        "transaction.max.timeout.ms",
        INT,
        900_000,
        "The longest transaction timeout a producer may ask for, in milliseconds.",
        at_least(1),
    ),
    Setting(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        INT,
        10_000,
        "How often overdue transactions are looked for, in milliseconds.",
        at_least(1),
    ),
    Setting(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        INT,
        3_600_000,
        "How often expired transactional ids are looked for, in milliseconds.",
        at_least(1),
    ),
    Setting(
        "transaction.partition.verification.enable",
        BOOLEAN,
        True,
        "Whether a transactional batch is taken only for a partition its transaction contains (KIP-890).",
        dynamic=CLUSTER_WIDE,
    ),
    Setting(
        "transaction.two.phase.commit.enable",
        BOOLEAN,
        False,
        "Whether producers may hold a transaction prepared without a timeout (KIP-939).",
    ),
    Setting(
        "transaction.state.log.replication.factor",
        SHORT,
        3,
        "Replicas of Kafka's transaction topic; transactions live in the catalog here, so accepted.",
        at_least(1),
    ),
    Setting(
        "transaction.state.log.min.isr", INT, 2, "Replicas of that topic that must be in sync; accepted.", at_least(1)
    ),
    Setting("transaction.state.log.num.partitions", INT, 50, "Partitions of that topic; accepted.", at_least(1)),
    Setting(
        "transaction.state.log.segment.bytes",
        INT,
        100 * 2**20,
        "Segment size of that topic; accepted.",
        at_least(1),
    ),
    Setting(
        "transaction.state.log.load.buffer.size",
        INT,
        5 * 2**20,
        "Bytes read at a time; accepted.",
        at_least(1),
    ),
    Setting(
        "producer.id.expiration.ms",
        INT,
        86_400_000,
        "A partition forgets a producer id unused for this many milliseconds.",
        at_least(1),
        CLUSTER_WIDE,
    ),
    Setting(
        "producer.id.expiration.check.interval.ms",
        INT,
        600_000,
        "How often expired producer ids are looked for, in milliseconds.",
        at_least(1),
        is_internal=True,
    ),
)
