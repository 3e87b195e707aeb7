"""Levels of features change alike, and transactions go on alike when transaction.version is lowered under them."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.answers import refusals, request
from support.beside_kafka import Both
from support.calls import fresh, make_topic, wait_until
from support.transaction_steps import Speaker
from support.wire import Wire

from barnabas.protocol.messages.api_versions import ApiVersionsRequest
from barnabas.protocol.messages.cluster import UpdateFeaturesRequest
from barnabas.protocol.messages.consumer_groups import ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest
from barnabas.protocol.messages.find_coordinator import FindCoordinatorRequest

T, G, M = "transaction.version", "group.version", "metadata.version"
UPGRADE, SAFE, UNSAFE = 1, 2, 3
KNOWN = {T: 2, G: 1, M: 30}
Update = tuple[str, int, int]


def finalized(wire: Wire) -> dict[str, int]:
    asked = ApiVersionsRequest(client_software_name="a", client_software_version="1")
    features = wire.call(asked, 4).finalized_features
    return {feature.name: feature.max_version_level for feature in features if feature.name in KNOWN}


def update(wire: Wire, *updates: Update, version: int = 2, validate_only: bool = False) -> list[Any]:
    """Return what is refused, what is told of each feature, and the levels afterwards."""
    changes = [{"feature": name, "max_version_level": level, "upgrade_type": kind} for name, level, kind in updates]
    if version == 0:
        changes = [{**change, "allow_downgrade": change.pop("upgrade_type") != UPGRADE} for change in changes]
    before = finalized(wire)
    validating = {} if version == 0 else {"validate_only": validate_only}
    answer = wire.call(request(UpdateFeaturesRequest, feature_updates=changes, **validating), version)
    if not answer.error_code and not validate_only:
        # Apache Kafka answers before its broker knows the new levels.
        wanted = {**before, **{name: level for name, level, _ in updates}}
        wait_until(lambda: finalized(wire) == {name: level for name, level in wanted.items() if level})
    told = [(result.feature, result.error_code, result.error_message) for result in answer.results]
    return [[*map(tuple, refusals(answer))], told, finalized(wire)]


@pytest.fixture
def wires(both: Both) -> Iterator[tuple[Wire, Wire]]:
    """Connections to both, which have all levels as they were afterwards."""
    kafka, ours = both.brokers
    with Wire(kafka.port) as kafka_wire, Wire(ours.port) as wire:
        yield kafka_wire, wire
        for one in (kafka_wire, wire):
            update(one, *((name, level, UPGRADE) for name, level in KNOWN.items()))


STEPS: list[tuple[tuple[Update, ...], dict[str, Any]]] = [
    (((T, 1, UPGRADE),), {}),
    (((T, 1, SAFE),), {"validate_only": True}),
    (((T, 1, UNSAFE),), {"validate_only": True}),
    (((T, 1, SAFE),), {}),
    (((T, 1, UPGRADE),), {}),
    (((T, 2, SAFE),), {}),
    (((T, 0, UNSAFE),), {}),
    (((T, 0, SAFE),), {}),
    (((T, 1, UNSAFE),), {}),
    (((T, 2, UPGRADE),), {"version": 1}),
    (((T, 1, SAFE),), {"version": 1}),
    (((T, 2, UPGRADE),), {"version": 0}),
    (((T, 1, SAFE),), {"version": 0}),
    (((T, 1, SAFE), (G, 0, SAFE)), {}),
    (((T, 2, UPGRADE), (G, 9, UPGRADE)), {}),
    (((T, 2, UPGRADE), (G, 1, UPGRADE)), {}),
    (((T, 1, SAFE), (T, 0, SAFE)), {}),
    (((T, -1, SAFE),), {}),
    (((T, 1, 0),), {}),
    (((M, 29, SAFE),), {}),
    (((M, 29, UNSAFE),), {}),
    (((M, 30, UPGRADE),), {}),
    ((), {}),
]


def test_levels_change_alike(wires: tuple[Wire, Wire]) -> None:
    for updates, how in STEPS:
        kafka, ours = (update(wire, *updates, **how) for wire in wires)
        assert ours == kafka, (updates, how)


def test_without_group_version_nobody_speaks_the_consumer_protocol(wires: tuple[Wire, Wire]) -> None:
    group = fresh("features")
    joining = request(
        ConsumerGroupHeartbeatRequest,
        group_id=group,
        member_id="m",
        topic_partitions=[],
        rebalance_timeout_ms=1000,
        subscribed_topic_names=["a"],
    )
    describing = request(ConsumerGroupDescribeRequest, group_ids=[group, "", "none"])
    answers = []
    for wire in wires:
        asked = request(FindCoordinatorRequest, key_type=0, coordinator_keys=[group])
        wait_until(lambda wire=wire, asked=asked: not refusals(wire.call(asked, 6)))
        wait_until(lambda wire=wire: wire.call(joining, 1).error_code == 0)
        told = []
        for level, kind in ((0, SAFE), (1, UPGRADE)):
            update(wire, (G, level, kind))
            told += [refusals(wire.call(asked, 1)) for asked in (joining, describing)]
        answers.append(told)
    assert answers[1] == answers[0]
    assert [len(refused) for refused in answers[1]] == [1, 3, 0, 2]


# A step, or the level that transaction.version is brought to.
TALES: dict[str, list[str | int]] = {
    "the new protocol": [2, "init", "produce 2", "offsets 2", "commit 2", "produce 2", "abort 2", "abort 2"],
    "the old protocol": [1, "init", "add", "produce", "offsets", "commit", "add", "produce", "abort", "init"],
    "the old protocol at level 0": [0, "init", "add", "produce", "commit", "offsets", "abort"],
    "the old protocol at level 2": [2, "init", "add", "produce", "commit", "add", "produce", "abort"],
    "lowered in flight, goes on in the new": [
        2,
        "init",
        "produce 2",
        1,
        "produce 2",
        "commit 2",
        "produce 2",
        "commit 2",
    ],
    "lowered in flight, goes on in the old": [2, "init", "produce 2", 0, "add", "produce", "commit", "add", "commit"],
    "lowered between transactions": [
        2,
        "init",
        "produce 2",
        "commit 2",
        1,
        "add",
        "produce",
        "commit",
        "add",
        "abort",
    ],
    "raised in flight, goes on in the old": [1, "init", "add", "produce", 2, "produce", "commit", "commit 2"],
    "raised in flight, goes on in the new": [0, "init", "add", "produce", 2, "produce 2", "offsets 2", "commit 2"],
    # At level 0 Kafka cannot store what the new protocol begins, and the transactional id is stuck.
    "the new protocol though it is lowered": [1, "init", "produce 2", "commit 2", "offsets 2", "abort 2", "commit 2"],
    "fenced while it is lowered": [2, "init", "produce 2", 1, "init", "add", "produce", "commit"],
    "not added": [1, "init", "produce"],
}


@pytest.mark.parametrize("tale", TALES)
def test_transactions_go_on_alike_when_the_level_changes(wires: tuple[Wire, Wire], tale: str) -> None:
    name = fresh("features")
    outcomes = []
    for wire in wires:
        topic = make_topic(wire, name=name)
        speaker = Speaker(wire, name, topic)
        outcome: list[Any] = []
        for step in TALES[tale]:
            if isinstance(step, int):
                update(wire, (T, step, UPGRADE if step > finalized(wire).get(T, 0) else UNSAFE))
            else:
                outcome.append((step, speaker(step)))
        outcomes.append(outcome)
    assert outcomes[1] == outcomes[0]
