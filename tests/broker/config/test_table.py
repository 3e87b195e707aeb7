"""The table against the facts of Kafka 4.3, and against itself."""

import pytest

from barnabas.broker.config.setting import ConfigType, Dynamic
from barnabas.broker.config.table import (
    ACCEPTED_TABLE,
    BROKER_SETTINGS,
    COORDINATOR_TABLE,
    LOG_TABLE,
    SERVER_TABLE,
    SYNONYMS,
    TOPIC_SETTINGS,
    unknown,
)

LONG_MAX = 9223372036854775807

# name, type, default as written, what Kafka takes, what it refuses, broker settings behind it
TOPIC_FACTS = [
    (
        "cleanup.policy",
        "LIST",
        "delete",
        ["compact", "compact,delete", "", "delete,delete"],
        ["keep", "delete,"],
        ["log.cleanup.policy"],
    ),
    ("compression.gzip.level", "INT", "-1", ["-1", "1", "9"], ["0", "10"], ["compression.gzip.level"]),
    ("compression.lz4.level", "INT", "9", ["1", "17"], ["0", "18"], ["compression.lz4.level"]),
    (
        "compression.type",
        "STRING",
        "producer",
        ["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"],
        ["none", "ZSTD"],
        ["compression.type"],
    ),
    (
        "compression.zstd.level",
        "INT",
        "3",
        ["-131072", "22"],
        ["-131073", "23"],
        ["compression.zstd.level"],
    ),
    ("delete.retention.ms", "LONG", "86400000", ["0"], ["-1"], ["log.cleaner.delete.retention.ms"]),
    ("file.delete.delay.ms", "LONG", "60000", ["0"], ["-1"], ["log.segment.delete.delay.ms"]),
    ("flush.messages", "LONG", str(LONG_MAX), ["1"], ["0"], ["log.flush.interval.messages"]),
    (
        "flush.ms",
        "LONG",
        str(LONG_MAX),
        ["0"],
        ["-1"],
        ["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
    ),
    ("follower.replication.throttled.replicas", "LIST", "", ["*", "0:1,2:3", ""], ["0", "*,0:1", "a:b"], []),
    ("index.interval.bytes", "INT", "4096", ["0"], ["-1"], ["log.index.interval.bytes"]),
    ("internal.segment.bytes", "INT", None, ["1", "0", "-1"], ["x"], []),
    ("leader.replication.throttled.replicas", "LIST", "", ["*", "0:1,2:3", ""], ["0", "*,0:1", "a:b"], []),
    ("local.retention.bytes", "LONG", "-2", ["-2", "-1"], ["-3"], ["log.local.retention.bytes"]),
    ("local.retention.ms", "LONG", "-2", ["-2", "-1"], ["-3"], ["log.local.retention.ms"]),
    ("max.compaction.lag.ms", "LONG", str(LONG_MAX), ["1"], ["0"], ["log.cleaner.max.compaction.lag.ms"]),
    ("max.message.bytes", "INT", "1048588", ["0"], ["-1"], ["message.max.bytes"]),
    (
        "message.timestamp.after.max.ms",
        "LONG",
        "3600000",
        ["0"],
        ["-1"],
        ["log.message.timestamp.after.max.ms"],
    ),
    (
        "message.timestamp.before.max.ms",
        "LONG",
        str(LONG_MAX),
        ["0"],
        ["-1"],
        ["log.message.timestamp.before.max.ms"],
    ),
    (
        "message.timestamp.type",
        "STRING",
        "CreateTime",
        ["CreateTime", "LogAppendTime"],
        ["createtime"],
        ["log.message.timestamp.type"],
    ),
    (
        "min.cleanable.dirty.ratio",
        "DOUBLE",
        "0.5",
        ["0", "1"],
        ["-0.1", "1.1"],
        ["log.cleaner.min.cleanable.ratio"],
    ),
    ("min.compaction.lag.ms", "LONG", "0", ["0"], ["-1"], ["log.cleaner.min.compaction.lag.ms"]),
    ("min.insync.replicas", "INT", "1", ["1"], ["0"], ["min.insync.replicas"]),
    ("preallocate", "BOOLEAN", "false", ["true"], ["1"], ["log.preallocate"]),
    ("remote.log.copy.disable", "BOOLEAN", "false", ["true"], ["1"], []),
    ("remote.log.delete.on.disable", "BOOLEAN", "false", ["true"], ["1"], []),
    ("remote.storage.enable", "BOOLEAN", "false", ["false"], ["1"], []),
    ("retention.bytes", "LONG", "-1", ["-1", "-5", "0"], ["x"], ["log.retention.bytes"]),
    (
        "retention.ms",
        "LONG",
        "604800000",
        ["-1", "0"],
        ["-2"],
        ["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
    ),
    ("segment.bytes", "INT", "1073741824", ["1048576"], ["1048575"], ["log.segment.bytes"]),
    ("segment.index.bytes", "INT", "10485760", ["4"], ["3"], ["log.index.size.max.bytes"]),
    ("segment.jitter.ms", "LONG", "0", ["0"], ["-1"], ["log.roll.jitter.ms", "log.roll.jitter.hours"]),
    ("segment.ms", "LONG", "604800000", ["1"], ["0"], ["log.roll.ms", "log.roll.hours"]),
    (
        "unclean.leader.election.enable",
        "BOOLEAN",
        "false",
        ["true"],
        ["1"],
        ["unclean.leader.election.enable"],
    ),
]

# The defaults of Kafka 4.3 that clients and tools are likely to meet; null is None.
BROKER_FACTS = {
    "advertised.listeners": ("LIST", None),
    "auto.create.topics.enable": ("BOOLEAN", "true"),
    "background.threads": ("INT", "10"),
    "broker.rack": ("STRING", None),
    "compression.type": ("STRING", "producer"),
    "connections.max.idle.ms": ("LONG", "600000"),
    "default.replication.factor": ("INT", "1"),
    "delete.topic.enable": ("BOOLEAN", "true"),
    "fetch.max.bytes": ("INT", "57671680"),
    "group.consumer.assignors": ("LIST", "uniform,range"),
    "group.consumer.heartbeat.interval.ms": ("INT", "5000"),
    "group.consumer.max.heartbeat.interval.ms": ("INT", "15000"),
    "group.consumer.max.session.timeout.ms": ("INT", "60000"),
    "group.consumer.max.size": ("INT", "2147483647"),
    "group.consumer.min.heartbeat.interval.ms": ("INT", "5000"),
    "group.consumer.min.session.timeout.ms": ("INT", "45000"),
    "group.consumer.session.timeout.ms": ("INT", "45000"),
    "group.max.session.timeout.ms": ("INT", "1800000"),
    "group.max.size": ("INT", "2147483647"),
    "group.min.session.timeout.ms": ("INT", "6000"),
    "listeners": ("LIST", "PLAINTEXT://:9092"),
    "log.cleaner.delete.retention.ms": ("LONG", "86400000"),
    "log.cleaner.io.max.bytes.per.second": ("DOUBLE", "1.7976931348623157E308"),
    "log.dirs": ("LIST", None),
    "log.flush.interval.ms": ("LONG", None),
    "log.flush.offset.checkpoint.interval.ms": ("INT", "60000"),
    "log.flush.scheduler.interval.ms": ("LONG", "9223372036854775807"),
    "log.message.timestamp.after.max.ms": ("LONG", "3600000"),
    "log.retention.bytes": ("LONG", "-1"),
    "log.retention.check.interval.ms": ("LONG", "300000"),
    "log.retention.hours": ("INT", "168"),
    "log.retention.minutes": ("INT", None),
    "log.retention.ms": ("LONG", None),
    "log.roll.hours": ("INT", "168"),
    "log.roll.jitter.hours": ("INT", "0"),
    "log.roll.ms": ("LONG", None),
    "log.segment.bytes": ("INT", "1073741824"),
    "max.connection.creation.rate": ("INT", "2147483647"),
    "max.connections": ("INT", "2147483647"),
    "max.connections.per.ip": ("INT", "2147483647"),
    "max.incremental.fetch.session.cache.slots": ("INT", "1000"),
    "message.max.bytes": ("INT", "1048588"),
    "min.insync.replicas": ("INT", "1"),
    "num.io.threads": ("INT", "8"),
    "num.network.threads": ("INT", "3"),
    "num.partitions": ("INT", "1"),
    "num.recovery.threads.per.data.dir": ("INT", "2"),
    "offset.metadata.max.bytes": ("INT", "4096"),
    "offsets.commit.timeout.ms": ("INT", "5000"),
    "offsets.retention.check.interval.ms": ("LONG", "600000"),
    "offsets.retention.minutes": ("INT", "10080"),
    "offsets.topic.num.partitions": ("INT", "50"),
    "offsets.topic.replication.factor": ("SHORT", "3"),
    "producer.id.expiration.check.interval.ms": ("INT", "600000"),
    "producer.id.expiration.ms": ("INT", "86400000"),
    "queued.max.requests": ("INT", "500"),
    "request.timeout.ms": ("INT", "30000"),
    "security.inter.broker.protocol": ("STRING", "PLAINTEXT"),
    "socket.listen.backlog.size": ("INT", "50"),
    "socket.receive.buffer.bytes": ("INT", "102400"),
    "socket.request.max.bytes": ("INT", "104857600"),
    "socket.send.buffer.bytes": ("INT", "102400"),
    "ssl.keystore.password": ("PASSWORD", None),
    "transaction.max.timeout.ms": ("INT", "900000"),
    "transaction.state.log.replication.factor": ("SHORT", "3"),
    "transactional.id.expiration.ms": ("INT", "604800000"),
    "unclean.leader.election.enable": ("BOOLEAN", "false"),
}


def test_there_are_the_thirty_four_topic_settings_and_no_other():
    assert [name for name, *_ in TOPIC_FACTS] == list(TOPIC_SETTINGS)
    assert len(TOPIC_SETTINGS) == 34


@pytest.mark.parametrize(
    ("name", "type", "default", "good", "bad", "synonyms"), TOPIC_FACTS, ids=[fact[0] for fact in TOPIC_FACTS]
)
def test_a_topic_setting_is_as_kafka_has_it(name, type, default, good, bad, synonyms):
    setting = TOPIC_SETTINGS[name]
    assert (setting.type.name, setting.format(setting.default)) == (type, default)
    assert [synonym.name for synonym in setting.synonyms] == synonyms
    for text in good:
        setting.parse(text)
    for text in bad:
        with pytest.raises(ValueError):
            setting.parse(text)


@pytest.mark.parametrize("name", BROKER_FACTS)
def test_a_broker_setting_is_as_kafka_has_it(name):
    setting = BROKER_SETTINGS[name]
    assert (setting.type.name, setting.format(setting.default)) == BROKER_FACTS[name]


def test_a_new_classic_group_waits_for_nobody_and_its_documentation_says_that_kafka_does():
    setting = BROKER_SETTINGS["group.initial.rebalance.delay.ms"]
    assert setting.default == 0
    assert "3000" in setting.documentation


def test_waiting_for_the_disk_before_every_answer_is_a_setting_of_ours_and_off():
    setting = BROKER_SETTINGS["barnabas.acknowledge.durable"]
    assert (setting.type, setting.default) == (ConfigType.BOOLEAN, False)


def test_a_migration_policy_may_be_written_in_any_case():
    setting = BROKER_SETTINGS["group.consumer.migration.policy"]
    assert setting.parse("UPGRADE") == "UPGRADE"
    with pytest.raises(ValueError, match="one of disabled, upgrade, downgrade, bidirectional, in any case"):
        setting.parse("sideways")


def test_no_broker_setting_is_declared_twice():
    assert len(BROKER_SETTINGS) == len(SERVER_TABLE + LOG_TABLE + COORDINATOR_TABLE + ACCEPTED_TABLE)


@pytest.mark.parametrize(
    "setting", [*TOPIC_SETTINGS.values(), *BROKER_SETTINGS.values()], ids=lambda setting: setting.name
)
def test_a_default_keeps_the_rule_of_its_setting_and_is_documented_in_one_sentence(setting):
    written = setting.format(setting.default)
    if written is not None:
        assert setting.parse(written) == setting.default
    assert setting.documentation.endswith(".")
    assert setting.documentation[0].isupper() or setting.documentation.startswith("log.r")


@pytest.mark.parametrize("setting", TOPIC_SETTINGS.values(), ids=lambda setting: setting.name)
def test_a_topic_setting_and_the_broker_settings_behind_it_have_one_default(setting):
    values = [
        (BROKER_SETTINGS[name].default, factor)
        for name, factor in setting.synonyms
        if BROKER_SETTINGS[name].default is not None
    ]
    for value, factor in values:
        assert (value if factor == 1 else value * factor) == setting.default


def test_settings_that_say_the_same_in_other_units_know_of_each_other():
    names = ("log.retention.ms", "log.retention.minutes", "log.retention.hours")
    assert [SYNONYMS[name] for name in names] == [names] * 3


def test_what_kafka_can_change_at_run_time_is_marked_so():
    assert BROKER_SETTINGS["log.retention.ms"].dynamic is Dynamic.CLUSTER_WIDE
    assert BROKER_SETTINGS["advertised.listeners"].dynamic is Dynamic.PER_BROKER
    assert BROKER_SETTINGS["ssl.keystore.location"].dynamic is Dynamic.PER_BROKER
    assert BROKER_SETTINGS["num.partitions"].dynamic is Dynamic.READ_ONLY


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("num.partition", "is not a known setting; did you mean num.partitions?"),
        ("frobnicate", "is not a known setting"),
        ("retention.ms", "is a setting of a topic; for all topics set log.retention.ms"),
        ("remote.storage.enable", "is not a known setting"),
    ],
)
def test_an_unknown_name_is_told_with_the_likely_mistake(name, words):
    assert unknown(name, BROKER_SETTINGS).startswith(words)
