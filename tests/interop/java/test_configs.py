"""kafka-configs and kafka-client-metrics: what a user sees who reads and changes settings at run time."""

from collections.abc import Callable

import pytest
from support.kafka_tools import Printed, Tools

Refused = Callable[..., None]


def refusal(printed: Printed) -> str:
    """The broker's reason, as the tool prints it after its own command line."""
    assert printed.status == 1
    return printed.errors[1].removeprefix("java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.")


def test_a_new_topic_has_no_config_of_its_own(run: Tools, topic: str) -> None:
    assert run(f"kafka-configs --describe --topic {topic}").lines == [f"Dynamic configs for topic {topic} are:"]


def test_all_configs_of_a_topic_are_shown_with_their_synonyms(run: Tools, topic: str) -> None:
    shown = run(f"kafka-configs --describe --all --topic {topic}").lines

    # Where ELR (KIP-966) is on, Kafka keeps min.insync.replicas as a setting of the cluster.
    assert [line for line in shown if not line.startswith("min.insync.replicas")] == [
        f"All configs for topic {topic} are:",
        *(f"{line} sensitive=false synonyms={{{synonyms}}}" for line, synonyms in ALL_TOPIC_CONFIGS),
    ]


def test_a_topic_config_is_set_and_removed(run: Tools, topic: str) -> None:
    changed = f"Completed updating config for topic {topic}."
    head = f"Dynamic configs for topic {topic} are:"
    policy = (
        "cleanup.policy=compact,delete sensitive=false "
        "synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, DEFAULT_CONFIG:log.cleanup.policy=delete}"
    )
    retention = "retention.ms=5000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=5000}"
    both = "cleanup.policy=[compact,delete],retention.ms=5000"

    assert run(f"kafka-configs --alter --topic {topic} --add-config {both}").lines == [changed]
    assert run(f"kafka-configs --describe --topic {topic}").lines == [head, policy, retention]
    for _ in range(2):
        assert run(f"kafka-configs --alter --topic {topic} --delete-config retention.ms").lines == [changed]
    assert run(f"kafka-configs --describe --topic {topic}").lines == [head, policy]


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ("retention.ms=abc", ("retention.ms", "abc")),
        ("retention.ms=-2", ("retention.ms", "-2", "at least -1")),
        ("segment.bytes=10", ("segment.bytes", "10", "at least 1048576")),
        ("cleanup.policy=shred", ("cleanup.policy", "shred", "compact, delete")),
        ("no.such.config=1", ("no.such.config",)),
    ],
    ids=["no number", "negative", "small", "unknown policy", "unknown name"],
)
def test_a_bad_topic_config_is_refused(
    run: Tools, refused: Refused, topic: str, config: str, named: tuple[str, ...]
) -> None:
    answer = run(f"kafka-configs --alter --topic {topic} --add-config {config}")

    assert answer.status == 1
    refused(answer, "InvalidConfigurationException", *named)
    assert len(run(f"kafka-configs --describe --topic {topic}").lines) == 1


def test_an_unknown_topic_has_no_configs(run: Tools, name: str) -> None:
    assert run(f"kafka-configs --describe --topic {name}").lines == [
        f"The topic '{name}' doesn't exist and doesn't have dynamic config."
    ]
    assert refusal(run(f"kafka-configs --describe --all --topic {name}")) == "UnknownTopicOrPartitionException:"
    assert refusal(run(f"kafka-configs --alter --topic {name} --add-config retention.ms=1")) == (
        f"UnknownTopicOrPartitionException: The topic '{name}' does not exist."
    )


def test_a_broker_config_is_set_and_removed(run: Tools) -> None:
    changed = "Completed updating config for broker 1."
    head = "Dynamic configs for broker 1 are:"

    assert run("kafka-configs --alter --broker 1 --add-config log.cleaner.threads=2").lines == [changed]
    assert run("kafka-configs --describe --broker 1").lines == [
        head,
        "log.cleaner.threads=2 sensitive=false "
        "synonyms={DYNAMIC_BROKER_CONFIG:log.cleaner.threads=2, DEFAULT_CONFIG:log.cleaner.threads=1}",
    ]
    assert run("kafka-configs --alter --broker 1 --delete-config log.cleaner.threads").lines == [changed]
    assert run("kafka-configs --describe --broker 1").lines == [head]


def test_a_default_for_all_brokers_reaches_the_topics(run: Tools, topic: str) -> None:
    changed = "Completed updating default config for brokers in the cluster."
    brokers = "--entity-type brokers --entity-default"

    assert run(f"kafka-configs --alter {brokers} --add-config log.retention.ms=3600000").lines == [changed]
    assert (
        "log.retention.ms=3600000 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=3600000}"
    ) in run(f"kafka-configs --describe {brokers}").lines
    assert (
        "retention.ms=3600000 sensitive=false synonyms="
        "{DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=3600000, DEFAULT_CONFIG:log.retention.hours=168}"
    ) in run(f"kafka-configs --describe --all --topic {topic}").lines
    assert run(f"kafka-configs --alter {brokers} --delete-config log.retention.ms").lines == [changed]


@pytest.mark.parametrize(
    ("config", "named"),
    [("node.id=3", ("dynamically", "node.id")), ("log.retention.ms=abc", ("log.retention.ms", "abc"))],
    ids=["fixed", "bad"],
)
def test_a_broker_config_that_cannot_change_or_is_bad_is_refused(
    run: Tools, refused: Refused, config: str, named: tuple[str, ...]
) -> None:
    answer = run(f"kafka-configs --alter --broker 1 --add-config {config}")

    assert answer.status == 1
    refused(answer, "InvalidRequestException", *named)


def test_an_unknown_broker_has_no_configs(run: Tools) -> None:
    assert run("kafka-configs --describe --broker 7").lines == [
        "The broker '7' doesn't exist and doesn't have dynamic config."
    ]


def test_the_settings_of_a_broker_are_shown_with_where_they_came_from(run: Tools) -> None:
    shown = run("kafka-configs --describe --all --broker 1").lines

    assert shown[0] == "All configs for broker 1 are:"
    assert (
        "log.segment.bytes=1073741824 sensitive=false synonyms={DEFAULT_CONFIG:log.segment.bytes=1073741824}" in shown
    )
    assert "ssl.keystore.password=null sensitive=true synonyms={}" in shown


def test_an_unknown_logger_is_refused(run: Tools) -> None:
    loggers = "--entity-type broker-loggers --entity-name 1"

    assert run(f"kafka-configs --describe {loggers}").lines[0] == "Dynamic configs for broker-logger 1 are:"
    answer = run(f"kafka-configs --alter {loggers} --add-config no.such.logger=DEBUG")
    assert (answer.lines + answer.errors, answer.status) == (["Invalid broker logger(s): no.such.logger"], 1)


def test_a_quota_of_a_client_is_set_shown_and_removed(run: Tools) -> None:
    client = "--entity-type clients --entity-name limited"
    changed = "Completed updating config for client limited."

    assert run(f"kafka-configs --alter {client} --add-config producer_byte_rate=1000000").lines == [changed]
    assert run(f"kafka-configs --describe {client}").lines == [
        "Quota configs for client-id 'limited' are producer_byte_rate=1000000.0"
    ]
    assert run(f"kafka-configs --alter {client} --delete-config producer_byte_rate").lines == [changed]
    assert run(f"kafka-configs --describe {client}") == Printed([], [], 0)


def test_there_is_no_quota_at_first(run: Tools) -> None:
    for kind in ("users", "ips"):
        assert run(f"kafka-configs --describe --entity-type {kind}") == Printed([], [], 0)


def test_a_group_config_is_set_shown_and_removed(run: Tools, name: str) -> None:
    group = f"--entity-type groups --entity-name {name}"
    changed = f"Completed updating config for group {name}."

    assert run(f"kafka-configs --alter {group} --add-config consumer.session.timeout.ms=50000").lines == [changed]
    assert run(f"kafka-configs --describe {group}").lines == [
        f"Dynamic configs for group {name} are:",
        "consumer.session.timeout.ms=50000 sensitive=false synonyms={"
        "DYNAMIC_GROUP_CONFIG:consumer.session.timeout.ms=50000, "
        "DEFAULT_CONFIG:group.consumer.session.timeout.ms=45000}",
    ]
    assert run(f"kafka-configs --alter {group} --delete-config consumer.session.timeout.ms").lines == [changed]


def test_a_subscription_to_client_metrics_is_made_shown_and_deleted(run: Tools, name: str) -> None:
    altered = run(f"kafka-client-metrics --alter --name {name} --metrics org.apache.kafka. --interval 10000")
    assert (altered.lines, altered.status) == ([f"Altered client metrics config for {name}."], 0)
    assert run("kafka-client-metrics --list").lines == [name]
    assert run(f"kafka-client-metrics --describe --name {name}").lines == [
        f"Client metrics configs for {name} are:",
        "interval.ms=10000",
        "match=",
        "metrics=org.apache.kafka.",
    ]

    deleted = run(f"kafka-client-metrics --delete --name {name}")
    assert deleted.lines == [f"Deleted client metrics config for {name}."]
    assert run("kafka-client-metrics --list").lines == []
    assert run(f"kafka-client-metrics --describe --name {name}").lines == [
        f"The client metric resource {name} doesn't exist and doesn't have dynamic config."
    ]


ALL_TOPIC_CONFIGS = [
    ("cleanup.policy=delete", "DEFAULT_CONFIG:log.cleanup.policy=delete"),
    ("compression.gzip.level=-1", "DEFAULT_CONFIG:compression.gzip.level=-1"),
    ("compression.lz4.level=9", "DEFAULT_CONFIG:compression.lz4.level=9"),
    ("compression.type=producer", "DEFAULT_CONFIG:compression.type=producer"),
    ("compression.zstd.level=3", "DEFAULT_CONFIG:compression.zstd.level=3"),
    ("delete.retention.ms=86400000", "DEFAULT_CONFIG:log.cleaner.delete.retention.ms=86400000"),
    ("file.delete.delay.ms=60000", "DEFAULT_CONFIG:log.segment.delete.delay.ms=60000"),
    ("flush.messages=9223372036854775807", "DEFAULT_CONFIG:log.flush.interval.messages=9223372036854775807"),
    ("flush.ms=9223372036854775807", ""),
    ("follower.replication.throttled.replicas=", ""),
    ("index.interval.bytes=4096", "DEFAULT_CONFIG:log.index.interval.bytes=4096"),
    ("leader.replication.throttled.replicas=", ""),
    ("local.retention.bytes=-2", "DEFAULT_CONFIG:log.local.retention.bytes=-2"),
    ("local.retention.ms=-2", "DEFAULT_CONFIG:log.local.retention.ms=-2"),
    (
        "max.compaction.lag.ms=9223372036854775807",
        "DEFAULT_CONFIG:log.cleaner.max.compaction.lag.ms=9223372036854775807",
    ),
    ("max.message.bytes=1048588", "DEFAULT_CONFIG:message.max.bytes=1048588"),
    ("message.timestamp.after.max.ms=3600000", "DEFAULT_CONFIG:log.message.timestamp.after.max.ms=3600000"),
    (
        "message.timestamp.before.max.ms=9223372036854775807",
        "DEFAULT_CONFIG:log.message.timestamp.before.max.ms=9223372036854775807",
    ),
    ("message.timestamp.type=CreateTime", "DEFAULT_CONFIG:log.message.timestamp.type=CreateTime"),
    ("min.cleanable.dirty.ratio=0.5", "DEFAULT_CONFIG:log.cleaner.min.cleanable.ratio=0.5"),
    ("min.compaction.lag.ms=0", "DEFAULT_CONFIG:log.cleaner.min.compaction.lag.ms=0"),
    ("preallocate=false", "DEFAULT_CONFIG:log.preallocate=false"),
    ("remote.log.copy.disable=false", ""),
    ("remote.log.delete.on.disable=false", ""),
    ("remote.storage.enable=false", ""),
    ("retention.bytes=-1", "DEFAULT_CONFIG:log.retention.bytes=-1"),
    ("retention.ms=604800000", ""),
    ("segment.bytes=1073741824", "DEFAULT_CONFIG:log.segment.bytes=1073741824"),
    ("segment.index.bytes=10485760", "DEFAULT_CONFIG:log.index.size.max.bytes=10485760"),
    ("segment.jitter.ms=0", ""),
    ("segment.ms=604800000", ""),
    ("unclean.leader.election.enable=false", "DEFAULT_CONFIG:unclean.leader.election.enable=false"),
]
