"""What DescribeConfigs says of every resource, before and after settings are changed, in either broker.

``collect`` changes the same settings of either broker and returns what it says of them. ``DIFFERS`` names what
differs on purpose.
"""

from typing import Any

from .answers import refusals
from .calls import (
    BROKER,
    CLIENT_METRICS,
    GROUP,
    SET,
    TOPIC,
    configure,
    described,
    increment,
    increments,
    make_topic,
    overrides,
    wait_until,
)
from .wire import Wire

# Lines of a server.properties file, besides those of support.apache_kafka. Barnabas is given both.
GIVEN = (
    "node.id=1",
    "process.roles=broker,controller",
    "offsets.topic.replication.factor=1",
    "offsets.topic.num.partitions=5",
    "transaction.state.log.replication.factor=1",
    "transaction.state.log.min.isr=1",
    "transaction.state.log.num.partitions=5",
    "share.coordinator.state.topic.replication.factor=1",
    "share.coordinator.state.topic.min.isr=1",
    "share.coordinator.state.topic.num.partitions=5",
    "auto.create.topics.enable=true",
    "super.users=User:a",
    "allow.everyone.if.no.acl.found=true",
    "unstable.api.versions.enable=false",
    "unstable.feature.versions.enable=true",
    "producer.id.expiration.check.interval.ms=600001",
    "log.initial.task.delay.ms=29999",
    "log.retention.hours=2",
    "log.retention.minutes=130",
    "log.roll.hours=3",
    "log.roll.jitter.hours=1",
    "log.flush.scheduler.interval.ms=99999",
    "min.insync.replicas=2",
    "num.partitions=4",
    "compression.type=gzip",
    "group.consumer.session.timeout.ms=46000",
    "ssl.keystore.password=secret",
    "leader.replication.throttled.rate=5",
)
PLAIN, CHANGED, LAST = "described-plain", "described-changed", "described-last"
RESOURCES = {
    "topic": (TOPIC, PLAIN),
    "topic with settings": (TOPIC, CHANGED),
    "broker": (BROKER, "1"),
    "all brokers": (BROKER, ""),
    "group": (GROUP, PLAIN),
    "group with settings": (GROUP, CHANGED),
    "client metrics": (CLIENT_METRICS, PLAIN),
    "client metrics with settings": (CLIENT_METRICS, CHANGED),
}
# On resources of that name, by the names of settings with underscores for dots.
OF_TOPIC = {
    "cleanup_policy": "compact,delete",
    "retention_ms": "5000",
    "segment_bytes": "1048577",
    "internal_segment_bytes": "100000",
    "min_cleanable_dirty_ratio": "0.25",
    "preallocate": "true",
    "compression_type": "zstd",
    "min_insync_replicas": "1",
    "leader_replication_throttled_replicas": "0:1,1:1",
    "flush_ms": "1000",
}
OF_GROUP = {"consumer_session_timeout_ms": "50000", "share_auto_offset_reset": "earliest"}
OF_CLIENT_METRICS = {"interval_ms": "1000", "match": "client_id=x", "metrics": "a.,b."}
# (broker, setting, value): what is set while the broker runs; without a broker for all of them.
CHANGES = (
    ("1", "leader.replication.throttled.rate", "100"),
    ("", "leader.replication.throttled.rate", "99"),
    ("1", "follower.replication.throttled.rate", "100"),
    ("1", "replica.alter.log.dirs.io.max.bytes.per.second", "100"),
    ("1", "listener.name.plaintext.max.connections", "9"),
    ("", "listener.name.plaintext.max.connections", "10"),
    ("1", "listener.name.plaintext.ssl.keystore.location", "/x"),
    ("1", "listener.name.other.ssl.keystore.type", "PKCS12"),
    ("1", "listener.name.other.ssl.keystore.password", "x"),
    ("1", "listener.name.other.sasl.enabled.mechanisms", "PLAIN"),
    ("1", "listener.name.other.plain.sasl.jaas.config", "x"),
    ("1", "listener.name.other.log.retention.ms", "5"),
    ("1", "listener.name.other.num.network.threads", "4"),
    ("1", "listener.name.other.no.such", "x"),
    ("1", "super.users", "User:b"),
    ("1", "no.such.thing", "x"),
    ("", "no.such.thing", "y"),
    ("", "min.insync.replicas", "1"),
    ("1", "log.cleaner.threads", "2"),
    ("", "compression.type", "lz4"),
    ("1", "compression.type", "zstd"),
    ("1", "log.retention.ms", "7200001"),
    ("", "log.roll.ms", "7200002"),
)
# Settings that no test may touch, since the broker would move.
_FIXED = ("listeners", "advertised.listeners", "listener.security.protocol.map")

_ADDRESS = "the addresses of the test's brokers differ"
_AFTERWARDS = "once anything is changed, Kafka shows another value than the one in its synonyms"
# What differs on purpose, by resource and setting, with the reason. Settings of Barnabas' own are left out, too.
DIFFERS = {
    "broker": {
        "advertised.listeners": f"{_ADDRESS}; here it may be changed while the broker runs",
        "broker.id": "it is 1 where nothing is given, for nobody has to give a node.id",
        "controller.listener.names": "Kafka demands a name; nothing is given here",
        "controller.quorum.bootstrap.servers": "Kafka demands an address; nothing is given here",
        "group.initial.rebalance.delay.ms": "0 by default, so that a first consumer does not wait for others",
        "inter.broker.listener.name": "given to Kafka only",
        "listener.security.protocol.map": "the map that Kafka is given has its controller",
        "listeners": _ADDRESS,
        "log.dir": "the default is a directory of our own",
        "log.dirs": "each has its own directory",
        "log.retention.hours": _AFTERWARDS,
        "log.retention.minutes": _AFTERWARDS,
        "log.roll.hours": _AFTERWARDS,
        "node.id": "it is 1 where nothing is given",
        "process.roles": "it is broker,controller where nothing is given",
    },
    "all brokers": {
        "listener.name.plaintext.max.connections": "Kafka counts the default of max.connections among them"
    },
}

Row = list[Any]


def collect(wire: Wire) -> dict[str, Any]:
    """Return what the broker says of all resources: "fresh", "changed" by CHANGES, and with every setting "set".

    "refused": what is refused when each setting of the broker is set to what it is, for the broker and for all.
    """
    make_topic(wire, name=PLAIN)
    make_topic(wire, name=CHANGED, **OF_TOPIC)
    configure(wire, GROUP, CHANGED, **OF_GROUP)
    configure(wire, CLIENT_METRICS, CHANGED, **OF_CLIENT_METRICS)
    _wait_for_all(wire, 1)
    fresh = _everything(wire)
    for broker, setting, value in CHANGES:
        result = increment(wire, BROKER, broker, (setting, SET, value))
        assert result.error_code == 0, (setting, result)
    _wait_for_all(wire, 2)
    changed = _everything(wire)
    refused = _set_what_is_set(wire, fresh["broker"])
    _wait_for_all(wire, 3)
    return {"fresh": fresh, "changed": changed, "refused": {"broker": refused}, "set": _everything(wire)}


def _wait_for_all(wire: Wire, seconds: int) -> None:
    """Wait until the broker knows all that was changed before: Apache Kafka answers before it does."""
    configure(wire, CLIENT_METRICS, LAST, interval_ms=f"{seconds}000")
    wait_until(lambda: overrides(wire, CLIENT_METRICS, LAST) == {"interval.ms": f"{seconds}000"})


def _everything(wire: Wire) -> dict[str, dict[str, Row]]:
    return {
        title: {
            name: [
                config.value,
                config.config_source,
                config.read_only,
                config.is_sensitive,
                config.config_type,
                [[synonym.name, synonym.value, synonym.source] for synonym in config.synonyms],
            ]
            for name, config in sorted(described(wire, kind, resource).items())
        }
        for title, (kind, resource) in RESOURCES.items()
    }


def _set_what_is_set(wire: Wire, settings: dict[str, Row]) -> dict[str, list[list[Any]]]:
    """Set each setting of the broker that has a value to this value, here and for all brokers."""
    refused = {}
    for name, (value, *_) in settings.items():
        if value is not None and name not in _FIXED and not _differs("broker", name):
            answers = [wire.call(increments(BROKER, broker, (name, SET, value)), 1) for broker in ("1", "")]
            refused[name] = [[list(refusal) for refusal in refusals(answer)] for answer in answers]
    return refused


def _differs(title: str, name: str) -> bool:
    return name in DIFFERS.get(title, {}) or name.startswith("barnabas.")


def without_differences(collected: dict[str, Any]) -> dict[str, Any]:
    """Return what has to be the same for both brokers."""
    return {
        part: {
            title: {name: row for name, row in settings.items() if not _differs(title, name)}
            for title, settings in content.items()
        }
        for part, content in collected.items()
    }


def for_the_record(collected: dict[str, Any]) -> dict[str, Any]:
    """Return what is worth keeping: of what was changed only what became of it, of what was refused only that."""
    kept = without_differences(collected)
    fresh, changed, refused = kept["fresh"], kept["changed"], kept["refused"]
    return {
        "fresh": fresh,
        "changed": {
            title: {name: row for name, row in settings.items() if fresh[title].get(name) != row}
            for title, settings in changed.items()
        },
        "refused": {"broker": {name: answers for name, answers in refused["broker"].items() if any(answers)}},
    }
