"""Settings for security and plugins that this version cannot follow: refused, or named in a warning."""

import pytest

from barnabas.broker.config import BrokerConfig, ConfigError
from barnabas.broker.config.without_effect import without_effect


def warnings(**given: str) -> list[str]:
    values = {name.replace("_", "."): value for name, value in given.items()}
    return list(without_effect(BrokerConfig.of(values, "the file")))


def test_security_without_effect_is_told_in_one_line_that_names_each_setting():
    (line,) = warnings(
        super_users="User:admin",
        sasl_enabled_mechanisms="PLAIN",
        security_inter_broker_protocol="SASL_SSL",
        ssl_client_auth="required",
    )
    assert line.startswith("ANYBODY WHO REACHES THIS BROKER MAY READ AND WRITE EVERYTHING.")
    assert line.endswith(
        "these settings have no effect: sasl.enabled.mechanisms (from the file), security.inter.broker.protocol (from"
        " the file), ssl.client.auth (from the file), super.users (from the file)"
    )


def test_a_value_is_not_told():
    (line,) = warnings(ssl_key_password="secret")
    assert "secret" not in line


def test_defaults_and_empty_values_are_no_cause_for_a_warning():
    assert not warnings()
    assert not warnings(
        security_inter_broker_protocol="PLAINTEXT",
        sasl_enabled_mechanisms="GSSAPI",
        super_users="",
        ssl_client_auth="none",
        metric_reporters="org.apache.kafka.common.metrics.JmxReporter",
        authorizer_class_name="",
    )


def test_what_kafkas_images_set_for_one_plain_node_is_taken_in_silence():
    """The variables of Apache's and Confluent's compose files, as settings."""
    assert not warnings(
        process_roles="broker,controller",
        listeners="PLAINTEXT://broker:29092,CONTROLLER://broker:29093,PLAINTEXT_HOST://0.0.0.0:9092",
        advertised_listeners="PLAINTEXT://broker:29092,PLAINTEXT_HOST://localhost:9092",
        listener_security_protocol_map="CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
        inter_broker_listener_name="PLAINTEXT",
        controller_listener_names="CONTROLLER",
        controller_quorum_voters="1@broker:29093",
        offsets_topic_replication_factor="1",
        transaction_state_log_min_isr="1",
        early_start_listeners="CONTROLLER",
    )


@pytest.mark.parametrize("name", ["metric.reporters", "kafka.metrics.reporters", "replica.selector.class"])
def test_a_plugin_that_is_not_here_and_forbids_nothing_is_told(name):
    assert list(without_effect(BrokerConfig.of({name: "no.Class"}, "the file"))) == [
        f"{name} (from the file) has no effect: Java classes are not run here"
    ]


def test_tiered_storage_without_effect_is_told():
    (line,) = warnings(remote_log_storage_system_enable="true")
    assert line.startswith("remote.log.storage.system.enable (from the file) has no effect")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "must be left out: this version has no authorizer, so anybody who reaches the broker may do everything",
        ),
        ("create.topic.policy.class.name", "no.Class", "must be left out: Java classes are not run here"),
        ("alter.config.policy.class.name", "no.Class", "must be left out: Java classes are not run here"),
        ("client.quota.callback.class", "no.Class", "must be left out: Java classes are not run here"),
        ("group.consumer.assignors", "no.Class", "must be a comma-separated list of uniform and range"),
        ("group.consumer.assignors", "", "must be a comma-separated list of uniform and range"),
        ("group.consumer.assignors", "uniform,UNIFORM", "must be a comma-separated list of uniform and range"),
        ("group.share.assignors", "no.Class", "must be a comma-separated list of simple"),
        ("inter.broker.listener.name", "OTHER", "names OTHER, which is not a listener; those are PLAINTEXT"),
        ("early.start.listeners", "PLAINTEXT,OTHER", "names OTHER, which is not a listener; those are PLAINTEXT"),
        ("cordoned.log.dirs", "/nowhere", "must name directories of log.dirs, and /nowhere is none"),
        ("metrics.recording.level", "ALL", "must be text: one of INFO, DEBUG, TRACE"),
        ("max.connections.per.ip.overrides", "garbage", "must be text, a list of address:count"),
        ("max.connections.per.ip.overrides", "127.0.0.1:x", "must be text, a list of address:count"),
        ("log.cleaner.threads", "0", "must be at least 1"),
        ("log.cleaner.dedupe.buffer.size", "1048576", "must be at least 1MB per cleaner thread"),
    ],
)
def test_what_is_not_here_and_counts_is_refused_at_the_start(name, value, words):
    with pytest.raises(ConfigError) as caught:
        BrokerConfig.of({name: value}, "the file")
    (line,) = caught.value.problems
    assert line.startswith(f"{name}={value} (from the file) {words}")


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("range", ("range",)),
        ("range,uniform,range", ("range", "uniform")),
        ("org.apache.kafka.coordinator.group.assignor.RangeAssignor, uniform", ("range", "uniform")),
        ("uniform,org.apache.kafka.coordinator.group.assignor.UniformAssignor", ("uniform",)),
    ],
)
def test_assignors_are_named_or_are_the_classes_that_kafka_has_for_them(value, names):
    assert BrokerConfig.of({"group.consumer.assignors": value}).consumer_assignors == names


def test_what_names_something_that_is_there_is_taken():
    config = BrokerConfig.of(
        {
            "cordoned.log.dirs": "/data",
            "log.dirs": "/data",
            "max.connections.per.ip.overrides": "127.0.0.1:5, [::1]:-1,host:0",
            "early.start.listeners": "plaintext",
        }
    )
    assert config.string("max.connections.per.ip.overrides")
