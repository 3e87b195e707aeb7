"""Settings of everything but topics, as the catalog keeps them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from barnabas.broker.config import Dynamics
from barnabas.broker.errors import ApiError
from barnabas.broker.resources import ResourceType, StoredConfigs, check_node_id, find
from barnabas.protocol.errors import ErrorCode
from barnabas.storage.catalog.sqlite import SqliteCatalog
from barnabas.storage.clock import ManualClock

BROKER, GROUP, METRICS = ResourceType.BROKER, ResourceType.GROUP, ResourceType.CLIENT_METRICS


class OnlyItsId:
    """What ``find`` looks at in a broker before it looks at settings."""

    node_id = 7


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[SqliteCatalog]:
    opened = SqliteCatalog(tmp_path / "catalog.sqlite", ManualClock(0))
    yield opened
    opened.close()


def test_settings_are_kept_by_type_and_name(catalog):
    stored = StoredConfigs(catalog)
    stored.replace(GROUP, "a", {"x": "1"})
    stored.replace(METRICS, "a", {"y": "2"})
    for known in (stored, StoredConfigs(catalog)):
        assert (known.of(GROUP, "a"), known.of(METRICS, "a"), known.of(GROUP, "b")) == ({"x": "1"}, {"y": "2"}, {})
        assert (list(known.names(GROUP)), list(known.names(BROKER))) == (["a"], [])


def test_what_has_no_settings_any_more_is_forgotten(catalog):
    stored = StoredConfigs(catalog)
    for configs in ({"x": "1"}, {"x": "2", "z": ""}, {}, {}):
        stored.replace(GROUP, "a", configs)
        for known in (stored, StoredConfigs(catalog)):
            assert known.of(GROUP, "a") == configs
            assert list(known.names(GROUP)) == (["a"] if configs else [])


def test_the_settings_of_all_brokers_and_of_one_are_told_together(catalog):
    stored = StoredConfigs(catalog)
    stored.replace(BROKER, "", {"x": "1"})
    stored.replace(BROKER, "7", {"x": "2"})
    assert stored.dynamics(7) == Dynamics({"x": "1"}, {"x": "2"})
    assert stored.dynamics(8) == Dynamics({"x": "1"}, {})


@pytest.mark.parametrize("name", ["7", "07", "+7"])
def test_a_broker_is_named_by_its_number(name):
    check_node_id(OnlyItsId(), name, "expected {}, not {}")


@pytest.mark.parametrize("name", ["8", "-7", "", "x", "7x", "7.0"])
def test_another_broker_is_refused(name):
    with pytest.raises(ApiError) as caught:
        check_node_id(OnlyItsId(), name, "expected {}, not {}")
    assert caught.value.code is ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize(("kind", "name"), [(0, "x"), (8, "7"), (99, "x"), (GROUP, ""), (METRICS, ""), (BROKER, "8")])
def test_what_has_no_settings_is_not_found(kind, name):
    with pytest.raises(ApiError) as caught:
        find(OnlyItsId(), kind, name)
    assert caught.value.code is ErrorCode.INVALID_REQUEST
