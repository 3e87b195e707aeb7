"""Levels of features that are changed (KIP-584), and what clients speak then.

Apache Kafka 4.3.1 answers the same requests so: tests/interop/test_features.py.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.answers import refusals, request
from support.calls import fresh, make_topic
from support.process import BrokerProcess, running
from support.transaction_steps import Speaker
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from barnabas.protocol.messages.cluster import UpdateFeaturesRequest, UpdateFeaturesResponse
from barnabas.protocol.messages.consumer_groups import ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest

T, G = "transaction.version", "group.version"
UPGRADE, SAFE, UNSAFE = 1, 2, 3
INITIAL = {"group.version": 1, "metadata.version": 30, "transaction.version": 2}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    """A broker for each test: the others go on with the levels that a cluster begins with."""
    with running(tmp_path / "data") as process:
        yield process


@pytest.fixture
def wire(broker: BrokerProcess) -> Iterator[Wire]:
    with Wire(broker.port) as connection:
        yield connection


def told(wire: Wire) -> ApiVersionsResponse:
    return wire.call(ApiVersionsRequest(client_software_name="a", client_software_version="1"), 4)  # type: ignore[no-any-return]


def levels(wire: Wire) -> dict[str, int]:
    assert all(one.max_version_level == one.min_version_level for one in told(wire).finalized_features)
    return {feature.name: feature.max_version_level for feature in told(wire).finalized_features}


def update(wire: Wire, *updates: tuple[str, int, int], validate_only: bool = False) -> UpdateFeaturesResponse:
    changes = [{"feature": name, "max_version_level": level, "upgrade_type": kind} for name, level, kind in updates]
    asked = request(UpdateFeaturesRequest, feature_updates=changes, validate_only=validate_only)
    return wire.call(asked, 2)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", [SAFE, UNSAFE])
def test_a_level_is_lowered_and_raised(wire: Wire, kind: int) -> None:
    for level in (1, 0):
        assert update(wire, (T, level, kind)) == UpdateFeaturesResponse(error_message=None)
        assert levels(wire).get(T, 0) == level
    for level in (1, 2):
        assert update(wire, (T, level, UPGRADE)) == UpdateFeaturesResponse(error_message=None)
        assert levels(wire) == INITIAL | {T: level}


def test_clients_are_told_that_there_are_newer_levels(wire: Wire) -> None:
    """A client believes the levels with the highest epoch that any broker has told it."""
    epochs = [told(wire).finalized_features_epoch]
    for level, kind in ((1, SAFE), (1, SAFE), (2, UPGRADE)):
        update(wire, (T, level, kind))
        epochs.append(told(wire).finalized_features_epoch)
    assert [epoch - epochs[0] for epoch in epochs] == [0, 1, 1, 2]


def test_the_range_stays_the_same(wire: Wire) -> None:
    before = told(wire).supported_features
    update(wire, (T, 1, SAFE), (G, 0, SAFE))
    assert told(wire).supported_features == before


@pytest.mark.parametrize(
    ("updates", "validate_only"),
    [
        ([(T, 1, SAFE)], True),
        ([(T, 1, UPGRADE)], False),
        ([(T, 1, SAFE), (G, 9, UPGRADE)], False),
        ([(T, 1, SAFE), ("no.such", 1, UPGRADE)], False),
        ([(T, 1, 0)], False),
    ],
    ids=["validated only", "without a downgrade", "with a level too high", "with an unknown one", "unknown type"],
)
def test_levels_stay(wire: Wire, updates: list[tuple[str, int, int]], validate_only: bool) -> None:
    assert bool(update(wire, *updates, validate_only=validate_only).error_code) != validate_only
    assert levels(wire) == INITIAL


def test_a_downgrade_does_not_raise(wire: Wire) -> None:
    update(wire, (T, 0, SAFE))
    assert update(wire, (T, 1, SAFE)).error_code == ErrorCode.INVALID_UPDATE_VERSION
    assert T not in levels(wire)


@pytest.mark.parametrize("end", [BrokerProcess.stop, BrokerProcess.kill], ids=["stop", "kill"])
def test_levels_survive_the_end_of_the_process(broker: BrokerProcess, end: Callable[[BrokerProcess], object]) -> None:
    with Wire(broker.port) as wire:
        update(wire, (T, 1, SAFE), (G, 0, SAFE))
        epoch = told(wire).finalized_features_epoch
    end(broker)
    broker.start()
    with Wire(broker.port) as wire:
        assert levels(wire) == {"metadata.version": 30, T: 1}
        assert told(wire).finalized_features_epoch == epoch
        update(wire, (T, 2, UPGRADE))
        assert told(wire).finalized_features_epoch > epoch


def test_without_group_version_nobody_speaks_the_consumer_protocol(wire: Wire) -> None:
    joining = request(
        ConsumerGroupHeartbeatRequest,
        group_id=fresh("group"),
        member_id="m",
        topic_partitions=[],
        rebalance_timeout_ms=1000,
        subscribed_topic_names=["a"],
    )
    describing = request(ConsumerGroupDescribeRequest, group_ids=[joining.group_id])  # type: ignore[attr-defined]
    for level, code in ((0, [ErrorCode.UNSUPPORTED_VERSION]), (1, [])):
        update(wire, (G, level, UPGRADE if level else SAFE))
        for asked in (joining, describing):
            assert [refusal.code for refusal in refusals(wire.call(asked, 1))] == code


@pytest.mark.parametrize(
    ("steps", "epochs"),
    [
        ([1, "init", "add", "produce", "offsets", "commit", "add", "produce", "abort"], [0] * 8),
        ([2, "init", "produce 2", 1, "produce 2", "offsets 2", "commit 2"], [0, 0, 0, 0, 1]),
        ([2, "init", "produce 2", 1, "add", "produce", "commit", "init"], [0, 0, 0, 0, 0, 1]),
        ([0, "init", "add", "produce", 2, "produce", "commit"], [0, 0, 0, 0, 0]),
    ],
    ids=["the old protocol", "lowered, goes on in the new", "lowered, goes on in the old", "raised"],
)
def test_a_transaction_goes_on_when_the_level_changes(wire: Wire, steps: list[str | int], epochs: list[int]) -> None:
    speaker = Speaker(wire, fresh("speaker"), make_topic(wire))
    outcomes = []
    for step in steps:
        if isinstance(step, int):
            kind = UPGRADE if step > levels(wire).get(T, 0) else SAFE
            assert not update(wire, (T, step, kind)).error_code
        else:
            outcomes.append(speaker(step))
    assert outcomes == list(map(str, epochs))
