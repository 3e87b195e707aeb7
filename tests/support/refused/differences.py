"""What Barnabas answers to refused calls otherwise than Apache Kafka, on purpose."""

from barnabas.protocol.errors import ErrorCode

_BOUND = "the bound is told, too"
_CLUMSY = "Kafka wraps the message in that of another exception"
_SAYS_MORE = "Kafka says that the request is malformed"
# What Barnabas answers otherwise on purpose, by the name of the call, with the reason.
OURS: dict[str, tuple[str, ErrorCode, str]] = {
    "create: many replicas": (
        "no directories are cordoned here",
        ErrorCode.INVALID_REPLICATION_FACTOR,
        "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because"
        " only 1 broker(s) are registered.",
    ),
    "create: misspelt setting": (
        "the likely mistake is told, too",
        ErrorCode.INVALID_CONFIG,
        "Unknown topic config name: retention.mss; did you mean retention.ms?",
    ),
    "create: two settings wrong": (
        "every wrong setting is told, the one that Kafka tells first",
        ErrorCode.INVALID_CONFIG,
        "Unknown topic config name: no.such\n"
        "Invalid value abc for configuration retention.ms: Not a number of type LONG",
    ),
    "grow: too many": (
        "Kafka does not expect it",
        ErrorCode.POLICY_VIOLATION,
        "Excessively large number of partitions per request.",
    ),
    "topic: unknown operation": (
        "Kafka does not expect it",
        ErrorCode.INVALID_REQUEST,
        "Unknown operations type 9",
    ),
    "broker: threads grow": (
        _CLUMSY,
        ErrorCode.INVALID_REQUEST,
        "Dynamic thread count update validation failed for num.io.threads=999, value should not be greater than"
        " double the current value 8",
    ),
    "broker: threads shrink": (
        _CLUMSY,
        ErrorCode.INVALID_REQUEST,
        "Dynamic thread count update validation failed for num.io.threads=1, value should be at least half the"
        " current value 8",
    ),
    "broker: cleaner threads": (
        _CLUMSY,
        ErrorCode.INVALID_REQUEST,
        "Log cleaner threads cannot be increased to more than double the current value 1",
    ),
    "broker: lags": (
        "Kafka takes it, and then no topic can be made",
        ErrorCode.INVALID_REQUEST,
        "log.cleaner.min.compaction.lag.ms=9 (from the dynamic settings of this broker) must be at most"
        " log.cleaner.max.compaction.lag.ms (5)",
    ),
    "group: too small": (
        _BOUND,
        ErrorCode.INVALID_CONFIG,
        "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms (45000)",
    ),
    "group: too large": (
        _BOUND,
        ErrorCode.INVALID_CONFIG,
        "consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms (60000)",
    ),
    "group: heartbeat": (
        _BOUND,
        ErrorCode.INVALID_CONFIG,
        "consumer.heartbeat.interval.ms must be greater than or equal to group.consumer.min.heartbeat.interval.ms"
        " (5000)",
    ),
    "group: standby replicas": (
        _BOUND,
        ErrorCode.INVALID_CONFIG,
        "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas (2)",
    ),
    "describe: unknown type": (_SAYS_MORE, ErrorCode.INVALID_REQUEST, "Unknown resource type 99"),
    "reassign: none to cancel": (
        "Kafka leaves the text to the client",
        ErrorCode.NO_REASSIGNMENT_IN_PROGRESS,
        "No partition reassignment is in progress.",
    ),
    "remove voter": (
        "the quorum is this broker, as with kraft.version 0",
        ErrorCode.UNSUPPORTED_VERSION,
        "The quorum of this cluster is this broker, and cannot be changed.",
    ),
    "quota: key twice": (
        "Kafka complains about the entity",
        ErrorCode.INVALID_REQUEST,
        "Duplicate quota key for the entity ClientQuotaEntity(entries={user=u})",
    ),
    "heartbeat: bad regex": (
        "RE2 words it in another way than RE2/J",
        ErrorCode.INVALID_REGULAR_EXPRESSION,
        "SubscribedTopicRegex `(` is not a valid regular expression: missing ): (.",
    ),
    "coordinator: unknown kind": (
        _SAYS_MORE,
        ErrorCode.INVALID_REQUEST,
        "coordinators of type 9 are not supported",
    ),
    "coordinator: unknown kind, old": (
        _SAYS_MORE,
        ErrorCode.INVALID_REQUEST,
        "coordinators of type 9 are not supported",
    ),
}
