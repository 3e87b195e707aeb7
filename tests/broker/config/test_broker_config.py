"""What a broker runs with, and how DescribeConfigs tells it."""

import pytest

from barnabas.broker.config import BrokerConfig, ConfigEntry, ConfigError, ConfigSource, ConfigType, Given
from barnabas.broker.config.table import BROKER_SETTINGS, TOPIC_SETTINGS


def refusal(settings: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        BrokerConfig.of(settings)
    return str(caught.value)


def entry(config: BrokerConfig, name: str) -> ConfigEntry:
    return next(entry for entry in config.entries() if entry.name == name)


def synonyms(config: BrokerConfig, name: str) -> list[tuple[str, str | None, int]]:
    return [tuple(synonym) for synonym in entry(config, name).synonyms]


def test_a_value_is_read_as_its_type():
    config = BrokerConfig.of({"num.partitions": "3", "broker.rack": "a", "log.roll.ms": "5"})
    assert config.int("num.partitions") == 3
    assert config.int("offsets.topic.replication.factor") == 3
    assert config.bool("auto.create.topics.enable") is True
    assert config.double("log.cleaner.min.cleanable.ratio") == 0.5
    assert config.string("compression.type") == "producer"
    assert config.list("log.cleanup.policy") == ("delete",)
    assert config.list("advertised.listeners") == ()
    assert (config.optional_string("broker.rack"), BrokerConfig().optional_string("broker.rack")) == ("a", None)
    assert (config.optional_int("log.roll.ms"), BrokerConfig().optional_int("log.roll.ms")) == (5, None)


@pytest.mark.parametrize("read", ["int", "optional_int", "bool", "double", "string", "optional_string", "list"])
def test_a_name_that_is_not_in_the_table_is_a_key_error(read):
    with pytest.raises(KeyError):
        getattr(BrokerConfig(), read)("no.such.setting")


@pytest.mark.parametrize(
    ("read", "name"),
    [
        ("int", "auto.create.topics.enable"),
        ("int", "log.roll.ms"),
        ("bool", "num.partitions"),
        ("double", "num.partitions"),
        ("string", "num.partitions"),
        ("list", "compression.type"),
    ],
)
def test_a_setting_read_as_another_type_is_a_type_error(read, name):
    with pytest.raises(TypeError, match=name):
        getattr(BrokerConfig(), read)(name)


def test_every_wrong_value_is_told_in_one_error_with_where_it_came_from():
    with pytest.raises(ConfigError) as caught:
        BrokerConfig(
            {
                "num.partitions": Given("0", "KAFKA_NUM_PARTITIONS"),
                "log.segment.bytes": Given("many", "server.properties line 7"),
                "num.partition": Given("3", "-c"),
                "listeners": Given("SSL://:1", "--listeners"),
                "log.dirs": Given("/a,/b", "BARNABAS_LOG_DIRS"),
            }
        )
    assert str(caught.value).splitlines() == list(caught.value.problems)
    assert caught.value.problems == (
        "listeners=SSL://:1 (from --listeners) has SSL speak SSL; only PLAINTEXT is supported so far",
        "log.dirs=/a,/b (from BARNABAS_LOG_DIRS) must be one directory: Barnabas keeps everything in one",
        "log.segment.bytes=many (from server.properties line 7) must be a 32-bit whole number, at least 1048576",
        "num.partition=3 (from -c) is not a known setting; did you mean num.partitions?",
        "num.partitions=0 (from KAFKA_NUM_PARTITIONS) must be a 32-bit whole number, at least 1",
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"node.id": "-1"}, "node.id=-1 must be a 32-bit whole number, at least 0"),
        ({"broker.id": "x"}, "broker.id=x must be a 32-bit whole number, at least 0"),
        (
            {"group.coordinator.rebalance.protocols": "consumer"},
            "group.coordinator.rebalance.protocols=consumer must include classic, which cannot be disabled",
        ),
        ({"node.id": "1", "broker.id": "2"}, "broker.id=2 must be the same as node.id (1), or left out"),
        (
            {"log.cleaner.min.compaction.lag.ms": "6", "log.cleaner.max.compaction.lag.ms": "5"},
            "log.cleaner.min.compaction.lag.ms=6 must be at most log.cleaner.max.compaction.lag.ms (5)",
        ),
        (
            {"group.max.session.timeout.ms": "5"},
            "group.max.session.timeout.ms=5 must be at least group.min.session.timeout.ms (6000)",
        ),
        (
            {"group.min.session.timeout.ms": "1800001"},
            "group.min.session.timeout.ms=1800001 must be at most group.max.session.timeout.ms (1800000)",
        ),
        (
            {"connections.max.idle.ms": "100"},
            "connections.max.idle.ms=100 must be more than connection.failed.authentication.delay.ms (100)",
        ),
        (
            {"group.consumer.session.timeout.ms": "1000"},
            "group.consumer.session.timeout.ms=1000 must be at least group.consumer.min.session.timeout.ms (45000)",
        ),
        (
            {"group.consumer.session.timeout.ms": "60001"},
            "group.consumer.session.timeout.ms=60001 must be at most group.consumer.max.session.timeout.ms (60000)",
        ),
        (
            {"group.share.min.heartbeat.interval.ms": "4", "group.share.heartbeat.interval.ms": "3"},
            "group.share.min.heartbeat.interval.ms=4 must be at most group.share.heartbeat.interval.ms (3)",
        ),
        (
            {
                "group.streams.heartbeat.interval.ms": "45000",
                "group.streams.max.heartbeat.interval.ms": "45000",
            },
            "group.streams.heartbeat.interval.ms=45000 must be less than group.streams.session.timeout.ms (45000)",
        ),
        (
            {"group.streams.num.standby.replicas": "3"},
            "group.streams.num.standby.replicas=3 must be at most group.streams.max.standby.replicas (2)",
        ),
        (
            {"log.retention.hours": "0"},
            "log.retention.hours=0 must be at least 1, or -1 to keep records for ever",
        ),
        (
            {"max.connections.per.ip": "0"},
            "max.connections.per.ip=0 must be at least 1"
            " unless max.connections.per.ip.overrides names an address that may connect",
        ),
        (
            {"queued.max.request.bytes": "1"},
            "queued.max.request.bytes=1 must be at least socket.request.max.bytes (104857600)",
        ),
        (
            {"connection.failed.authentication.delay.ms": "7", "connections.max.idle.ms": "7"},
            "connection.failed.authentication.delay.ms=7 must be less than connections.max.idle.ms (7)",
        ),
        ({"log.dirs": ""}, "log.dirs= must be one directory: Barnabas keeps everything in one"),
        ({"log.dir": "/a,/b"}, "log.dir=/a,/b must be one directory: Barnabas keeps everything in one"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_in_words(settings, message):
    assert refusal(settings) == message


def test_a_default_that_is_wrong_is_told_as_such(monkeypatch):
    monkeypatch.setattr(BROKER_SETTINGS["listeners"], "default", ("SSL://:1",))
    message = "listeners=SSL://:1 (the default) has SSL speak SSL; only PLAINTEXT is supported so far"
    assert refusal({}) == message


def test_a_value_that_is_wrong_by_itself_is_not_blamed_on_others_too():
    assert refusal({"group.min.session.timeout.ms": "x", "group.max.session.timeout.ms": "5"}).count("\n") == 0


def test_records_may_be_kept_for_ever_in_any_unit():
    for name in ("log.retention.ms", "log.retention.minutes", "log.retention.hours"):
        assert BrokerConfig.of({name: "-1"}).topic_values["retention.ms"] == -1


def test_the_strongest_unit_of_retention_wins():
    hours = {"log.retention.hours": "2"}
    minutes = {**hours, "log.retention.minutes": "3"}
    millis = {**minutes, "log.retention.ms": "4"}
    values = [BrokerConfig.of(given).topic_values["retention.ms"] for given in (hours, minutes, millis)]
    assert values == [7_200_000, 180_000, 4]


def test_without_settings_a_topic_gets_kafkas_defaults():
    assert BrokerConfig().topic_values == {setting.name: setting.default for setting in TOPIC_SETTINGS.values()}


@pytest.mark.parametrize(
    ("settings", "node_id"),
    [
        ({}, 1),
        ({"node.id": "0"}, 0),
        ({"broker.id": "7"}, 7),
        ({"node.id": "3", "broker.id": "3"}, 3),
        ({"broker.id": "-1"}, 1),
        ({"node.id": "3", "broker.id": "-1"}, 3),
    ],
)
def test_broker_id_is_the_old_name_of_node_id(settings, node_id):
    config = BrokerConfig.of(settings)
    assert (config.int("node.id"), config.int("broker.id")) == (node_id, node_id)


@pytest.mark.parametrize(
    ("settings", "data_dir"),
    [
        ({}, "./barnabas-data"),
        ({"log.dir": "/one"}, "/one"),
        ({"log.dirs": "/two"}, "/two"),
        ({"log.dir": "/one", "log.dirs": "/two"}, "/two"),
        ({"log.dirs": "/two,"}, "/two"),
    ],
)
def test_the_data_directory_is_log_dirs_or_else_log_dir(settings, data_dir):
    assert BrokerConfig.of(settings).data_dir == data_dir


def test_every_setting_has_one_entry_in_the_order_of_names():
    internal = {name for name, setting in BROKER_SETTINGS.items() if setting.is_internal}
    assert [entry.name for entry in BrokerConfig().entries()] == sorted(BROKER_SETTINGS.keys() - internal)
    made = BrokerConfig.of({name: "true" if name.endswith(".enable") else "1" for name in internal})
    assert internal <= {entry.name for entry in made.entries()}


def test_a_default_is_told_as_such():
    setting = BROKER_SETTINGS["num.partitions"]
    assert entry(BrokerConfig(), "num.partitions") == (
        "num.partitions",
        "1",
        ConfigSource.DEFAULT,
        True,
        False,
        ConfigType.INT,
        setting.documentation,
        (("num.partitions", "1", ConfigSource.DEFAULT),),
    )


def test_a_value_that_was_given_is_static_and_stands_before_the_default():
    config = BrokerConfig.of({"num.partitions": "3"})
    assert entry(config, "num.partitions").source is ConfigSource.STATIC_BROKER
    assert synonyms(config, "num.partitions") == [("num.partitions", "3", 4), ("num.partitions", "1", 5)]


def test_kafkas_null_has_no_value_and_no_synonym():
    entry_ = entry(BrokerConfig(), "log.retention.ms")
    assert (entry_.value, entry_.source, entry_.synonyms) == (None, ConfigSource.DEFAULT, ())


def test_a_setting_with_other_units_tells_of_the_weaker_ones():
    config = BrokerConfig.of({"log.retention.ms": "5", "log.retention.hours": "2"})
    assert synonyms(config, "log.retention.ms") == [
        ("log.retention.ms", "5", 4),
        ("log.retention.hours", "2", 4),
        ("log.retention.hours", "168", 5),
    ]
    assert synonyms(config, "log.retention.hours") == [
        ("log.retention.hours", "2", 4),
        ("log.retention.hours", "168", 5),
    ]


def test_a_secret_is_never_told():
    config = BrokerConfig.of({"ssl.keystore.password": "hush"})
    entry_ = entry(config, "ssl.keystore.password")
    assert (entry_.value, entry_.is_sensitive, entry_.type) == (None, True, ConfigType.PASSWORD)
    assert entry_.synonyms == (("ssl.keystore.password", None, ConfigSource.STATIC_BROKER),)
    assert "hush" not in repr(list(config.entries()))
    assert config.string("ssl.keystore.password") == "hush"


def test_only_what_can_change_at_run_time_is_not_read_only():
    config = BrokerConfig()
    assert entry(config, "num.partitions").is_read_only
    assert not entry(config, "log.retention.ms").is_read_only
    assert not entry(config, "advertised.listeners").is_read_only
