from pathlib import Path
from typing import Any

import pytest
from support.calls import as_of, both_ends, every_version, make_topic
from support.process import running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)

TOPIC, BROKER = 2, 4
FROM_TOPIC, FROM_CLUSTER, FROM_FILE, DEFAULT = 1, 3, 4, 5
LONG, INT, LIST = 5, 3, 7
ENDS = both_ends(DescribeConfigsRequest)


def ask(kind: int, name: str, keys: list[str] | None = None, **values: bool) -> DescribeConfigsRequest:
    resource = DescribeConfigsResource(resource_type=kind, resource_name=name, configuration_keys=keys)
    return DescribeConfigsRequest(resources=[resource], **values)


def described(wire: Wire, version: int, *asked: Any, **values: bool) -> dict[str, DescribeConfigsResourceResult]:
    (result,) = wire.call(ask(*asked, **values), version).results
    assert result.error_code == ErrorCode.NONE
    return {config.name: config for config in result.configs}


@every_version(DescribeConfigsRequest)
@pytest.mark.parametrize("include_synonyms", [False, True])
def test_a_setting_of_a_topic_has_its_sources(wire: Wire, version: int, include_synonyms: bool) -> None:
    topic = make_topic(wire, retention_ms="5000")
    response = wire.call(ask(TOPIC, topic.name, ["retention.ms"], include_synonyms=include_synonyms), version)
    synonyms = [
        DescribeConfigsSynonym(name="retention.ms", value="5000", source=FROM_TOPIC),
        *response.results[0].configs[0].synonyms[1:],
    ]
    expected = DescribeConfigsResponse(
        results=[
            DescribeConfigsResult(
                resource_type=TOPIC,
                resource_name=topic.name,
                configs=[
                    DescribeConfigsResourceResult(
                        name="retention.ms",
                        value="5000",
                        config_source=FROM_TOPIC,
                        config_type=LONG,
                        synonyms=synonyms if include_synonyms else [],
                        documentation=None,
                    )
                ],
            )
        ]
    )
    assert response == as_of(expected, version)
    if include_synonyms:
        assert [synonym.source for synonym in synonyms[1:]] == [DEFAULT] * (len(synonyms) - 1)


@ENDS
@pytest.mark.parametrize("keys", [None, []])
def test_without_keys_all_settings_are_described(wire: Wire, version: int, keys: list[str] | None) -> None:
    topic = make_topic(wire)
    configs = described(wire, version, TOPIC, topic.name, keys)
    assert len(configs) == 33
    sources = {name: config.config_source for name, config in configs.items()}
    assert sources.pop("min.insync.replicas") == FROM_CLUSTER
    assert set(sources.values()) == {DEFAULT}
    assert not any(config.read_only or config.is_sensitive or config.synonyms for config in configs.values())


@ENDS
def test_keys_that_do_not_exist_are_left_out(wire: Wire, version: int) -> None:
    topic = make_topic(wire)
    assert list(described(wire, version, TOPIC, topic.name, ["cleanup.policy", "no.such"])) == ["cleanup.policy"]
    assert described(wire, version, TOPIC, topic.name, ["no.such"]) == {}


@both_ends(DescribeConfigsRequest, since=3)
def test_documentation_comes_when_asked_for(wire: Wire, version: int) -> None:
    topic = make_topic(wire)
    for resource in ((TOPIC, topic.name), (BROKER, "1")):
        configs = described(wire, version, *resource, include_documentation=True)
        assert all(config.documentation for config in configs.values())
        configs = described(wire, version, *resource)
        assert all(config.documentation is None for config in configs.values())


@ENDS
def test_a_broker_describes_itself(wire: Wire, version: int) -> None:
    configs = described(wire, version, BROKER, "1", include_synonyms=True)
    given, untouched = configs["num.partitions"], configs["message.max.bytes"]
    assert (given.value, given.config_source, given.read_only) == ("2", FROM_FILE, True)
    assert [(synonym.name, synonym.value, synonym.source) for synonym in given.synonyms] == [
        ("num.partitions", "2", FROM_FILE),
        ("num.partitions", "1", DEFAULT),
    ]
    assert (untouched.value, untouched.config_source, untouched.read_only) == ("1048588", DEFAULT, False)
    assert [(synonym.value, synonym.source) for synonym in untouched.synonyms] == [("1048588", DEFAULT)]


@ENDS
def test_all_brokers_have_one_dynamic_setting_from_the_start(wire: Wire, version: int) -> None:
    (config,) = described(wire, version, BROKER, "").values()
    assert (config.name, config.value, config.config_source) == ("min.insync.replicas", "1", FROM_CLUSTER)


@ENDS
@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [
        (TOPIC, "nowhere", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (TOPIC, "", ErrorCode.INVALID_TOPIC_EXCEPTION),
        (TOPIC, "a b", ErrorCode.INVALID_TOPIC_EXCEPTION),
        (BROKER, "2", ErrorCode.INVALID_REQUEST),
        (BROKER, "one", ErrorCode.INVALID_REQUEST),
        (0, "x", ErrorCode.INVALID_REQUEST),
        (8, "2", ErrorCode.INVALID_REQUEST),
        (8, "", ErrorCode.INVALID_REQUEST),
        (16, "", ErrorCode.INVALID_REQUEST),
        (32, "", ErrorCode.INVALID_REQUEST),
        (99, "x", ErrorCode.INVALID_REQUEST),
        (-1, "x", ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_cannot_be_described_is_told_so(wire: Wire, version: int, kind: int, name: str, code: ErrorCode) -> None:
    topic = make_topic(wire)
    request = ask(kind, name)
    request.resources += ask(TOPIC, topic.name).resources
    refused, found = wire.call(request, version).results
    assert (refused.resource_type, refused.resource_name, refused.error_code) == (kind, name, code)
    assert refused.configs == []
    assert (found.error_code, found.resource_name) == (ErrorCode.NONE, topic.name)


@ENDS
def test_a_resource_that_is_named_twice_is_described_once(wire: Wire, version: int) -> None:
    """Else a small request has a huge answer: all settings with their documentation, again and again."""
    request = ask(BROKER, "1")
    request.resources *= 3
    assert [result.resource_name for result in wire.call(request, version).results] == ["1"]


def test_a_topic_has_what_the_broker_was_given(tmp_path: Path) -> None:
    with running(tmp_path / "data", "-c", "log.retention.hours=2") as broker, Wire(broker.port) as wire:
        topic = make_topic(wire)
        for version in range(1, 5):
            config = described(wire, version, TOPIC, topic.name, include_synonyms=True)["retention.ms"]
            # As in Kafka nothing is told of a value that came under another name than log.retention.ms.
            assert (config.value, config.config_source, config.synonyms) == ("7200000", DEFAULT, [])
