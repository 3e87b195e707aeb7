"""What has settings, by name (KIP-1142; in v0 client metrics subscriptions alone, KIP-1000)."""

import pytest
from support.calls import (
    BROKER,
    BROKER_LOGGER,
    CLIENT_METRICS,
    GROUP,
    TOPIC,
    both_ends,
    configure,
    every_version,
    make_topic,
)
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.alter_configs import ListConfigResourcesRequest, ListConfigResourcesResponse

NAMES = {
    TOPIC: {"first", "second"},
    BROKER: {"1"},
    BROKER_LOGGER: {"1"},
    CLIENT_METRICS: {"subscription"},
    GROUP: {"group"},
}
EVERYTHING = {(kind, name) for kind, names in NAMES.items() for name in names}


@pytest.fixture(scope="module", autouse=True)
def _resources(broker: BrokerProcess) -> None:
    with Wire(broker.port) as wire:
        for name in NAMES[TOPIC]:
            make_topic(wire, name=name)
        configure(wire, GROUP, "group", consumer_session_timeout_ms="50000")
        configure(wire, CLIENT_METRICS, "subscription", interval_ms="1000")
        for kind, setting in ((GROUP, "share_session_timeout_ms"), (CLIENT_METRICS, "interval_ms")):
            configure(wire, kind, "gone", **{setting: "50000"})
            configure(wire, kind, "gone", **{setting: None})


def listed(response: ListConfigResourcesResponse) -> set[tuple[int, str]]:
    assert response.error_code == ErrorCode.NONE
    names = [(resource.resource_type, resource.resource_name) for resource in response.config_resources]
    assert len(names) == len(set(names))
    return set(names)


@every_version(ListConfigResourcesRequest)
def test_what_has_settings_is_listed(wire: Wire, version: int) -> None:
    expected = EVERYTHING if version else {(CLIENT_METRICS, "subscription")}
    assert listed(wire.call(ListConfigResourcesRequest(), version)) == expected


@both_ends(ListConfigResourcesRequest, since=1)
@pytest.mark.parametrize("kinds", [[kind] for kind in NAMES] + [[TOPIC, GROUP], [BROKER, BROKER], list(NAMES)])
def test_only_what_is_asked_for_is_listed(wire: Wire, version: int, kinds: list[int]) -> None:
    response = wire.call(ListConfigResourcesRequest(resource_types=kinds), version)
    assert listed(response) == {(kind, name) for kind, name in EVERYTHING if kind in kinds}


@both_ends(ListConfigResourcesRequest, since=1)
@pytest.mark.parametrize("kinds", [[0], [1], [64], [-1], [TOPIC, 99]])
def test_an_unknown_type_is_refused(wire: Wire, version: int, kinds: list[int]) -> None:
    response = wire.call(ListConfigResourcesRequest(resource_types=kinds), version)
    assert response == ListConfigResourcesResponse(error_code=ErrorCode.UNSUPPORTED_VERSION)
