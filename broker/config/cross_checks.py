"""Rules that no single setting can keep: what two of them must be to each other."""

from collections.abc import Iterator

from .server_table import connection_limits
from .typed_access import TypedAccess

# The settings that disagree, each with what is wrong about it: of a broker in words that follow its value, of a topic
# or a group as Kafka's whole message. Whichever of them was set, the first before the others, is the one to blame.
Finding = tuple[tuple[str, str], ...]

_POOLS = (
    "background.threads",
    "log.cleaner.threads",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
)
# What leaving each of them out means; Kafka would load the class or refuse to start.
_RESTRICTING_CLASSES = {
    "authorizer.class.name": "this version has no authorizer, so anybody who reaches the broker may do everything",
    "create.topic.policy.class.name": "Java classes are not run here, so no topic would be refused",
    "alter.config.policy.class.name": "Java classes are not run here, so no setting would be refused",
    "client.quota.callback.class": "Java classes are not run here, so no quota would hold",
}
_SHARE_LIMITS = ("record.lock.duration.ms", "delivery.count.limit", "partition.max.record.locks")
_TIMINGS = ("session.timeout.ms", "heartbeat.interval.ms")


def check_broker(config: TypedAccess) -> Iterator[Finding]:
    """Yield what Kafka would refuse about a broker's settings taken together."""
    node_id, broker_id = config.int("node.id"), config.int("broker.id")
    if node_id != broker_id:
        yield (
            ("broker.id", f"must be the same as node.id ({node_id}), or left out"),
            ("node.id", f"must be the same as broker.id ({broker_id})"),
        )
    protocols = "group.coordinator.rebalance.protocols"
    if "classic" not in config.list(protocols):
        yield ((protocols, "must include classic, which cannot be disabled"),)
    yield from _in_order(config, "group.min.session.timeout.ms", "group.max.session.timeout.ms")
    for kind in ("consumer", "share", "streams"):
        yield from _check_group_bounds(config, kind)
    yield from _in_order(config, "group.streams.num.standby.replicas", "group.streams.max.standby.replicas")
    yield from _in_order(config, "log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms")
    for name in ("log.retention.ms", "log.retention.minutes", "log.retention.hours"):
        value = config.optional_int(name)
        if value is not None:  # the weaker ones do not count
            if value == 0:
                yield ((name, "must be at least 1, or -1 to keep records for ever"),)
            break
    per_ip, exceptions = "max.connections.per.ip", "max.connections.per.ip.overrides"
    if config.int(per_ip) == 0 and not any(
        count > 0 for count in connection_limits(config.string(exceptions)).values()
    ):
        yield ((per_ip, f"must be at least 1 unless {exceptions} names an address that may connect"),)
    directories = {*config.list("log.dirs"), *config.list("log.dir"), "*"}
    if missing := [entry for entry in config.list("cordoned.log.dirs") if entry not in directories]:
        yield (("cordoned.log.dirs", f"must name directories of log.dirs, and {missing[0]} is none"),)
    yield from _check_cleaner(config)
    yield from _check_java(config)
    if config.int("queued.max.request.bytes") > 0:
        yield from _in_order(config, "socket.request.max.bytes", "queued.max.request.bytes")
    if config.int("connections.max.idle.ms") >= 0:
        yield from _in_order(
            config, "connection.failed.authentication.delay.ms", "connections.max.idle.ms", strictly=True
        )


def _check_cleaner(config: TypedAccess) -> Iterator[Finding]:
    """Keep the rule of KafkaConfig about the memory of each thread that compacts."""
    threads, buffer = "log.cleaner.threads", "log.cleaner.dedupe.buffer.size"
    if config.int(threads) == 0:
        yield ((threads, "must be at least 1"),)
    elif config.int(buffer) // config.int(threads) <= 2**20:
        yield (
            (buffer, f"must be at least 1MB per cleaner thread, and a byte more; {threads} is {config.int(threads)}"),
            (threads, f"must leave each thread more than 1MB of {buffer} ({config.int(buffer)})"),
        )


def _check_java(config: TypedAccess) -> Iterator[Finding]:
    """Refuse classes that restrict clients: the broker would be more open without them."""
    for name, consequence in _RESTRICTING_CLASSES.items():
        if config.optional_string(name):
            yield ((name, f"must be left out: {consequence}"),)


def check_change(present: TypedAccess, changed: TypedAccess) -> Iterator[str]:
    """Yield what Kafka would refuse about a change while the broker runs: a pool of threads that more than doubles or
    halves (LogCleaner, DynamicThreadPool), though there are no such threads here."""
    for name in _POOLS:
        old, new = present.int(name), changed.int(name)
        if not old // 2 <= new <= old * 2:
            bound = f"{'double' if new > old else 'half'} the current value {old}"
            if name == "log.cleaner.threads":
                verb = "increased to more than" if new > old else "reduced to less than"
                yield f"Log cleaner threads cannot be {verb} {bound}"
            else:
                allowed = "should not be greater than" if new > old else "should be at least"
                yield f"Dynamic thread count update validation failed for {name}={new}, value {allowed} {bound}"


def check_topic(config: TypedAccess) -> Iterator[Finding]:
    """Yield Kafka's message about a topic's settings taken together, for each of the settings that disagree."""
    low, high = "min.compaction.lag.ms", "max.compaction.lag.ms"
    if config.int(low) > config.int(high):
        message = f"conflict topic config setting {low} ({config.int(low)}) > {high} ({config.int(high)})"
        yield ((low, message), (high, message))
    if config.bool("remote.storage.enable"):
        message = (
            "Tiered Storage functionality is disabled in the broker."
            " Topic cannot be configured with remote log storage."
        )
        yield (("remote.storage.enable", message),)


def check_group(config: TypedAccess, broker: TypedAccess) -> Iterator[Finding]:
    """Yield Kafka's message about a group's settings, which keep the bounds that ``broker`` sets, and the bound."""
    timings = (*_TIMINGS, "assignment.interval.ms")
    bounded = [(kind, what) for kind in ("consumer", "share", "streams") for what in timings]
    for kind, what in (*bounded, *(("share", what) for what in _SHARE_LIMITS)):
        name = f"{kind}.{what}"
        low, high = broker.int(f"group.{kind}.min.{what}"), broker.int(f"group.{kind}.max.{what}")
        if config.int(name) < low:
            yield ((name, f"{name} must be greater than or equal to group.{kind}.min.{what} ({low})"),)
        if config.int(name) > high:
            yield ((name, f"{name} must be less than or equal to group.{kind}.max.{what} ({high})"),)
    name, most = "streams.num.standby.replicas", broker.int("group.streams.max.standby.replicas")
    if config.int(name) > most:
        yield ((name, f"{name} must be less than or equal to group.streams.max.standby.replicas ({most})"),)
    for kind in ("consumer", "share", "streams"):
        session, heartbeat = f"{kind}.session.timeout.ms", f"{kind}.heartbeat.interval.ms"
        if config.int(session) <= config.int(heartbeat):
            message = f"{session} must be greater than {heartbeat} ({config.int(heartbeat)})"
            yield ((session, message), (heartbeat, message))


def _check_group_bounds(config: TypedAccess, kind: str) -> Iterator[Finding]:
    group = f"group.{kind}"
    for what in _TIMINGS:
        yield from _in_order(config, f"{group}.min.{what}", f"{group}.max.{what}")
        yield from _in_order(config, f"{group}.{what}", f"{group}.max.{what}")
        yield from _in_order(config, f"{group}.min.{what}", f"{group}.{what}")
    yield from _in_order(config, f"{group}.heartbeat.interval.ms", f"{group}.session.timeout.ms", strictly=True)


def _in_order(config: TypedAccess, low: str, high: str, strictly: bool = False) -> Iterator[Finding]:
    low_value, high_value = config.int(low), config.int(high)
    if low_value > high_value or (strictly and low_value == high_value):
        yield (
            (low, f"must be {'less than' if strictly else 'at most'} {high} ({high_value})"),
            (high, f"must be {'more than' if strictly else 'at least'} {low} ({low_value})"),
        )
