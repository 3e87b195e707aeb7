"""Settings through AlterConfigs and IncrementalAlterConfigs: what is accepted, changed, refused."""

from collections.abc import Iterable
from typing import Any

import pytest
from support.calls import (
    APPEND,
    BROKER,
    BROKER_LOGGER,
    CLIENT_METRICS,
    DELETE,
    GROUP,
    SET,
    SUBTRACT,
    TOPIC,
    Topic,
    as_of,
    both_ends,
    configure,
    described,
    every_version,
    fresh,
    increment,
    increments,
    make_topic,
    overrides,
)
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.alter_configs import (
    AlterableConfig,
    AlterConfigsRequest,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

ENDS = both_ends(AlterConfigsRequest)
INCREMENTAL_ENDS = both_ends(IncrementalAlterConfigsRequest)
# A setting that each type of resource has, and two values for it.
SETTINGS = {
    TOPIC: ("retention.ms", "5000", "6000"),
    BROKER: ("log.retention.ms", "5000", "6000"),
    GROUP: ("consumer.session.timeout.ms", "50000", "55000"),
    CLIENT_METRICS: ("interval.ms", "1000", "2000"),
}


def replacement(
    kind: int, name: str, configs: Iterable[tuple[str, str | None]], validate_only: bool = False
) -> AlterConfigsRequest:
    items = [AlterableConfig(name=setting, value=value) for setting, value in configs]
    resource = AlterConfigsResource(resource_type=kind, resource_name=name, configs=items)
    return AlterConfigsRequest(resources=[resource], validate_only=validate_only)


def replace(wire: Wire, kind: int, name: str, version: int = 2, **configs: str | None) -> Any:
    items = [(setting.replace("_", "."), value) for setting, value in configs.items()]
    (result,) = wire.call(replacement(kind, name, items), version).responses
    return result


def named(wire: Wire, kind: int) -> str:
    """Return a resource that tests may change."""
    return {TOPIC: lambda: make_topic(wire).name, BROKER: lambda: "1"}.get(kind, lambda: fresh("resource"))()


# Both APIs change settings


@pytest.mark.parametrize("kind", SETTINGS)
@every_version(AlterConfigsRequest)
def test_all_settings_of_a_resource_are_replaced(wire: Wire, version: int, kind: int) -> None:
    name, (setting, first, second) = named(wire, kind), SETTINGS[kind]
    expected = AlterConfigsResponse(
        responses=[AlterConfigsResourceResponse(error_message=None, resource_type=kind, resource_name=name)]
    )
    for value in (first, second):
        response = wire.call(replacement(kind, name, [(setting, value)]), version)
        assert response == as_of(expected, version)
        assert overrides(wire, kind, name) == {setting: value}
    wire.call(replacement(kind, name, []), version)
    assert overrides(wire, kind, name) == {}


@pytest.mark.parametrize("kind", SETTINGS)
@every_version(IncrementalAlterConfigsRequest)
def test_a_setting_is_set_and_deleted(wire: Wire, version: int, kind: int) -> None:
    name, (setting, first, second) = named(wire, kind), SETTINGS[kind]
    result = AlterConfigsResourceResponse(error_message=None, resource_type=kind, resource_name=name)
    expected = as_of(IncrementalAlterConfigsResponse(responses=[result]), version)
    for value in (first, second):
        assert wire.call(increments(kind, name, (setting, SET, value)), version) == expected
        assert overrides(wire, kind, name) == {setting: value}
    for _ in range(2):
        assert wire.call(increments(kind, name, (setting, DELETE, None)), version) == expected
        assert overrides(wire, kind, name) == {}


@ENDS
def test_what_a_replacement_does_not_name_goes_back_to_its_default(wire: Wire, version: int) -> None:
    topic = make_topic(wire, retention_ms="5000", segment_ms="7000")
    assert replace(wire, TOPIC, topic.name, version, retention_ms="6000").error_code == ErrorCode.NONE
    assert overrides(wire, TOPIC, topic.name) == {"retention.ms": "6000"}


@INCREMENTAL_ENDS
def test_what_an_increment_does_not_name_stays_as_it_is(wire: Wire, version: int) -> None:
    topic = make_topic(wire, retention_ms="5000", segment_ms="7000")
    steps = ("retention.ms", SET, "6000"), ("max.message.bytes", SET, "99")
    assert increment(wire, TOPIC, topic.name, *steps, version=version).error_code == ErrorCode.NONE
    expected = {"max.message.bytes": "99", "retention.ms": "6000", "segment.ms": "7000"}
    assert overrides(wire, TOPIC, topic.name) == expected


@ENDS
def test_a_replacement_can_be_tried_out(wire: Wire, topic: Topic, version: int) -> None:
    good = replacement(TOPIC, topic.name, [("retention.ms", "5000")], validate_only=True)
    bad = replacement(TOPIC, topic.name, [("retention.ms", "soon")], validate_only=True)
    assert wire.call(good, version).responses[0].error_code == ErrorCode.NONE
    assert wire.call(bad, version).responses[0].error_code == ErrorCode.INVALID_CONFIG
    assert overrides(wire, TOPIC, topic.name) == {}


@INCREMENTAL_ENDS
@pytest.mark.parametrize("kind", SETTINGS)
def test_an_increment_can_be_tried_out(wire: Wire, version: int, kind: int) -> None:
    name, (setting, value, _) = named(wire, kind), SETTINGS[kind]
    request = increments(kind, name, (setting, SET, value), validate_only=True)
    assert wire.call(request, version).responses[0].error_code == ErrorCode.NONE
    assert overrides(wire, kind, name) == {}


@INCREMENTAL_ENDS
def test_a_list_grows_and_shrinks(wire: Wire, version: int) -> None:
    topic = make_topic(wire)

    def step(operation: int, value: str) -> str | None:
        increment(wire, TOPIC, topic.name, ("cleanup.policy", operation, value), version=version)
        return described(wire, TOPIC, topic.name)["cleanup.policy"].value

    assert step(APPEND, "compact") == "delete,compact"  # the list begins with the default
    assert step(APPEND, "compact,delete") == "delete,compact"
    assert step(SUBTRACT, "delete,delete") == "compact"
    assert step(SUBTRACT, "delete") == "compact"
    assert step(SET, "compact,compact") == "compact"
    assert step(APPEND, " delete ") == "compact,delete"
    assert step(APPEND, "") == step(APPEND, ",compact") == "compact,delete"  # refused: an entry is empty
    assert step(SET, "") == step(APPEND, "") == step(SUBTRACT, "") == ""


@INCREMENTAL_ENDS
def test_one_wrong_setting_leaves_the_whole_resource_as_it_is(wire: Wire, version: int) -> None:
    topic, other = make_topic(wire), make_topic(wire)
    request = increments(TOPIC, topic.name, ("retention.ms", SET, "5000"), ("segment.ms", SET, "soon"))
    request.resources += increments(TOPIC, other.name, ("retention.ms", SET, "5000")).resources
    codes = [result.error_code for result in wire.call(request, version).responses]
    assert codes == [ErrorCode.INVALID_CONFIG, ErrorCode.NONE]
    assert overrides(wire, TOPIC, topic.name) == {}
    assert overrides(wire, TOPIC, other.name) == {"retention.ms": "5000"}


@INCREMENTAL_ENDS
def test_no_resources_are_answered_with_none(wire: Wire, version: int) -> None:
    assert wire.call(IncrementalAlterConfigsRequest(), version) == IncrementalAlterConfigsResponse()
    assert wire.call(AlterConfigsRequest(), version) == AlterConfigsResponse()


@INCREMENTAL_ENDS
def test_settings_keep_to_each_other_over_several_changes(wire: Wire, topic: Topic, version: int) -> None:
    configure(wire, TOPIC, topic.name, min_compaction_lag_ms="50")
    result = increment(wire, TOPIC, topic.name, ("max.compaction.lag.ms", SET, "49"), version=version)
    assert result.error_code == ErrorCode.INVALID_CONFIG


# Both APIs refuse


def refusals(kind: int, name: str, value: str | None, setting: str, version: int, wire: Wire) -> list[int]:
    """Return what both APIs answer to the same wish."""
    responses = [
        wire.call(replacement(kind, name, [(setting, value)]), version),
        wire.call(increments(kind, name, (setting, SET, value)), min(version, 1)),
    ]
    for (result,) in (response.responses for response in responses):
        assert (result.resource_type, result.resource_name) == (kind, name)
        assert result.error_message or result.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return [response.responses[0].error_code for response in responses]


@ENDS
@pytest.mark.parametrize(
    ("kind", "setting", "value", "code"),
    [
        (TOPIC, "no.such", "1", ErrorCode.INVALID_CONFIG),
        (TOPIC, "retention.ms", "soon", ErrorCode.INVALID_CONFIG),
        (TOPIC, "segment.bytes", "1", ErrorCode.INVALID_CONFIG),
        (TOPIC, "retention.ms", None, ErrorCode.INVALID_REQUEST),
        (TOPIC, "remote.storage.enable", "true", ErrorCode.INVALID_CONFIG),
        (BROKER, "num.partitions", "5", ErrorCode.INVALID_REQUEST),
        (BROKER, "log.retention.ms", "soon", ErrorCode.INVALID_REQUEST),
        (BROKER, "log.retention.ms", "0", ErrorCode.INVALID_REQUEST),
        (BROKER, "log.segment.bytes", "1", ErrorCode.INVALID_REQUEST),
        (BROKER, "log.retention.ms", None, ErrorCode.INVALID_REQUEST),
        (BROKER, "ssl.keystore.location", "/key", ErrorCode.INVALID_REQUEST),
        (BROKER, "listeners", "SSL://:0", ErrorCode.INVALID_REQUEST),
        (BROKER, "listeners", "", ErrorCode.INVALID_REQUEST),
        (GROUP, "no.such", "1", ErrorCode.INVALID_CONFIG),
        (GROUP, "consumer.session.timeout.ms", "soon", ErrorCode.INVALID_CONFIG),
        (GROUP, "consumer.session.timeout.ms", "1", ErrorCode.INVALID_CONFIG),
        (GROUP, "consumer.session.timeout.ms", None, ErrorCode.INVALID_REQUEST),
        (CLIENT_METRICS, "no.such", "1", ErrorCode.INVALID_REQUEST),
        (CLIENT_METRICS, "interval.ms", "99", ErrorCode.INVALID_REQUEST),
        (CLIENT_METRICS, "interval.ms", "3600001", ErrorCode.INVALID_REQUEST),
        (CLIENT_METRICS, "interval.ms", "soon", ErrorCode.INVALID_CONFIG),
        (CLIENT_METRICS, "match", "client_id", ErrorCode.INVALID_CONFIG),
        (CLIENT_METRICS, "match", "who=me", ErrorCode.INVALID_CONFIG),
        (CLIENT_METRICS, "match", "client_id=(", ErrorCode.INVALID_CONFIG),
        (CLIENT_METRICS, "metrics", None, ErrorCode.INVALID_REQUEST),
    ],
)
def test_a_bad_setting_is_refused(
    wire: Wire, version: int, kind: int, setting: str, value: str | None, code: ErrorCode
) -> None:
    name = named(wire, kind)
    assert refusals(kind, name, value, setting, version, wire) == [code, code]
    assert overrides(wire, kind, name) == {}


@ENDS
@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [
        (TOPIC, "nowhere", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (TOPIC, "a b", ErrorCode.INVALID_TOPIC_EXCEPTION),
        (TOPIC, "", ErrorCode.INVALID_REQUEST),
        (BROKER, "2", ErrorCode.INVALID_REQUEST),
        (BROKER, "one", ErrorCode.INVALID_REQUEST),
        (BROKER, "-1", ErrorCode.INVALID_REQUEST),
        (GROUP, "", ErrorCode.INVALID_REQUEST),
        (CLIENT_METRICS, "", ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_has_no_settings_is_refused(wire: Wire, version: int, kind: int, name: str, code: ErrorCode) -> None:
    setting, value, _ = SETTINGS[kind]
    assert refusals(kind, name, value, setting, version, wire) == [code, code]


@ENDS
@pytest.mark.parametrize("kind", [0, 1, 99, -1])
def test_an_unknown_type_of_resource_is_refused(wire: Wire, version: int, kind: int) -> None:
    assert refusals(kind, "1", "1", "x", version, wire) == [ErrorCode.INVALID_REQUEST] * 2


@ENDS
def test_a_replacement_knows_no_loggers(wire: Wire, version: int) -> None:
    result = replace(wire, BROKER_LOGGER, "1", version, root="INFO")
    assert result.error_code == ErrorCode.INVALID_REQUEST


@ENDS
def test_a_setting_that_is_wrong_is_told_before_a_topic_that_does_not_exist(wire: Wire, version: int) -> None:
    code = ErrorCode.INVALID_CONFIG
    assert refusals(TOPIC, "nowhere", "soon", "retention.ms", version, wire) == [code, code]


@ENDS
def test_what_is_named_twice_is_not_changed(wire: Wire, topic: Topic, version: int) -> None:
    replaced = replacement(TOPIC, topic.name, [("retention.ms", "5000")])
    replaced.resources *= 2
    incremented = increments(TOPIC, topic.name, ("retention.ms", SET, "5000"))
    incremented.resources *= 2
    twice = ("retention.ms", "5000"), ("retention.ms", "6000")
    for request, count in (
        (replaced, 2),
        (incremented, 2),
        (replacement(TOPIC, topic.name, twice), 1),
        (increments(TOPIC, topic.name, *((setting, SET, value) for setting, value in twice)), 1),
    ):
        responses = wire.call(request, min(version, request.versions.highest)).responses
        assert [result.error_code for result in responses] == [ErrorCode.INVALID_REQUEST] * count
    assert overrides(wire, TOPIC, topic.name) == {}


@pytest.mark.parametrize(("kind", "setting"), [(TOPIC, "leader.replication.throttled.replicas"), (BROKER, "x")])
def test_a_value_of_more_than_32767_characters_is_refused(wire: Wire, kind: int, setting: str) -> None:
    """Which only the newest versions can carry."""
    value = ",".join(f"{i}:1" for i in range(6000))
    assert refusals(kind, named(wire, kind), value, setting, 2, wire) == [ErrorCode.INVALID_CONFIG] * 2


# Only increments


@INCREMENTAL_ENDS
@pytest.mark.parametrize(
    ("kind", "setting", "operation", "value", "code"),
    [
        (TOPIC, "retention.ms", APPEND, "1", ErrorCode.INVALID_CONFIG),
        (TOPIC, "retention.ms", SUBTRACT, "1", ErrorCode.INVALID_CONFIG),
        (TOPIC, "no.such", APPEND, "1", ErrorCode.INVALID_CONFIG),
        (TOPIC, "cleanup.policy", APPEND, "keep", ErrorCode.INVALID_CONFIG),
        (TOPIC, "cleanup.policy", APPEND, None, ErrorCode.INVALID_REQUEST),
        (TOPIC, "retention.ms", 4, "1", ErrorCode.INVALID_REQUEST),
        (TOPIC, "retention.ms", -1, "1", ErrorCode.INVALID_REQUEST),
        (BROKER, "log.retention.ms", APPEND, "1", ErrorCode.INVALID_CONFIG),
        (BROKER, "log.retention.ms", SUBTRACT, "1", ErrorCode.INVALID_CONFIG),
        (BROKER, "log.retention.ms", 4, "1", ErrorCode.INVALID_REQUEST),
        (GROUP, "consumer.session.timeout.ms", APPEND, "1", ErrorCode.INVALID_CONFIG),
        (CLIENT_METRICS, "interval.ms", SUBTRACT, "1", ErrorCode.INVALID_CONFIG),
    ],
)
def test_a_step_that_makes_no_sense_is_refused(
    wire: Wire, version: int, kind: int, setting: str, operation: int, value: str | None, code: ErrorCode
) -> None:
    name = named(wire, kind)
    result = increment(wire, kind, name, (setting, operation, value), version=version)
    assert result.error_code == code
    assert result.error_message
    assert overrides(wire, kind, name) == {}


@INCREMENTAL_ENDS
def test_a_list_cannot_grow_beyond_what_a_value_may_have(wire: Wire, topic: Topic, version: int) -> None:
    step = ("leader.replication.throttled.replicas", APPEND, ",".join(f"{i}:1" for i in range(4000)))
    assert increment(wire, TOPIC, topic.name, step, version=version).error_code == ErrorCode.NONE
    step = ("leader.replication.throttled.replicas", APPEND, ",".join(f"{i}:1" for i in range(4000, 8000)))
    assert increment(wire, TOPIC, topic.name, step, version=version).error_code == ErrorCode.INVALID_CONFIG


@INCREMENTAL_ENDS
def test_a_setting_that_nobody_knows_is_kept_for_a_broker_and_never_shown(wire: Wire, version: int) -> None:
    for operation, shown in ((SET, True), (DELETE, False)):
        assert increment(wire, BROKER, "1", ("my.plugin", operation, "x"), version=version).error_code == 0
        config = described(wire, BROKER, "1").get("my.plugin")
        assert (config is not None) == shown
        assert config is None or (config.value, config.is_sensitive, config.config_source) == (None, True, 2)


@both_ends(IncrementalAlterConfigsRequest)
@pytest.mark.parametrize(
    "names", [["n" * 32_767], ["ä" * 16_000, "\U0001f600" * 8_000], [f"n{i}" for i in range(9999)]]
)
@pytest.mark.parametrize("value", ["v", None])
def test_a_message_that_repeats_long_names_can_be_sent(
    wire: Wire, version: int, names: list[str], value: str | None
) -> None:
    topic = make_topic(wire)
    result = increment(wire, TOPIC, topic.name, *((name, SET, value) for name in names), version=version)
    assert result.error_code == (ErrorCode.INVALID_REQUEST if value is None else ErrorCode.INVALID_CONFIG)
    assert len(result.error_message.encode()) <= 32_767
    assert overrides(wire, TOPIC, topic.name) == {}
