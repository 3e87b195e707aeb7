"""A join that fails half way leaves the group as it was, in memory and in the catalog."""

import logging
from typing import Any

import pytest
from support.consumer_members import beat, join
from support.topics import default_times

from barnabas.broker.errors import ApiError
from barnabas.broker.groups import GroupCoordinator, GroupCoordinatorConfig, GroupTimes
from barnabas.broker.groups.consumer.assignors import ASSIGNORS
from barnabas.protocol.errors import ErrorCode as E

from .test_migration import CLASSIC, classic_group


@pytest.fixture(autouse=True)
def topic(groups: Any) -> bytes:
    """The topic "t" with four partitions."""
    return groups.topics.make("t", 4)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default assignor fails."""

    def fail(*_: Any) -> Any:
        raise KeyError("the assignor")

    monkeypatch.setitem(ASSIGNORS, "uniform", fail)


def described(groups: Any) -> Any:
    return groups.coordinator.describe_consumer_group("g")


def assert_unchanged_by(groups: Any, call: Any) -> None:
    before = groups.coordinator.list_groups(), described(groups)
    with pytest.raises(KeyError):
        call()
    assert (groups.coordinator.list_groups(), described(groups)) == before
    groups.crash()
    assert (groups.coordinator.list_groups(), described(groups)) == before


def test_a_group_whose_first_join_fails_does_not_exist(groups, broken, caplog):
    caplog.set_level(logging.INFO)
    with pytest.raises(KeyError):
        join(groups, "one")
    assert groups.coordinator.list_groups() == []
    assert not [record for record in caplog.records if "epoch" in record.message]
    groups.crash()
    assert groups.coordinator.list_groups() == []


def test_a_group_that_a_second_member_cannot_join_is_as_before(groups, request):
    join(groups, "one")
    request.getfixturevalue("broken")
    assert_unchanged_by(groups, lambda: join(groups, "two"))


def test_a_static_member_that_cannot_come_back_keeps_its_place(groups, request):
    join(groups, "one", instance_id="i")
    beat(groups, "one", -2, instance_id="i")
    request.getfixturevalue("broken")
    assert_unchanged_by(groups, lambda: join(groups, "two", "other", instance_id="i"))


def test_a_group_that_a_classic_member_cannot_join_is_as_before(groups, request):
    join(groups, "one")
    request.getfixturevalue("broken")
    assert_unchanged_by(groups, lambda: groups.join(**CLASSIC))


def test_a_classic_group_that_cannot_be_upgraded_stays_classic(groups, request):
    old = classic_group(groups)
    request.getfixturevalue("broken")
    with pytest.raises(KeyError):
        join(groups, "new")
    assert [group.group_type for group in groups.coordinator.list_groups()] == ["classic"]
    assert groups.heartbeat(old) is E.NONE


def test_a_member_whose_times_cannot_be_told_does_not_join(groups):
    def times(group_id: str) -> GroupTimes:
        if groups.is_broken:
            raise ValueError(f"the settings of {group_id}")
        return default_times(group_id)

    groups.is_broken = True
    groups.coordinator = GroupCoordinator(
        groups.catalog, groups.clock, GroupCoordinatorConfig(), groups.topics, times
    )
    with pytest.raises(ValueError, match="settings of g"):
        join(groups, "one")
    assert groups.coordinator.list_groups() == []
    groups.is_broken = False
    join(groups, "two")
    assert [member.member_id for member in described(groups).members] == ["two"]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"member_id": "unknown"}, E.UNKNOWN_MEMBER_ID),
        ({"protocol_type": ""}, E.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocols": ()}, E.INCONSISTENT_GROUP_PROTOCOL),
    ],
)
def test_an_empty_consumer_group_gives_way_only_to_a_member_that_can_join(groups, fields, error):
    epoch = join(groups, "one").member_epoch
    groups.commit("one", epoch, offset=7, api_version=9)
    beat(groups, "one", -1)
    before = described(groups)

    assert groups.join(**fields).error is error

    assert described(groups) == before
    groups.join(**CLASSIC)
    with pytest.raises(ApiError):
        described(groups)
    assert groups.committed() == 7
