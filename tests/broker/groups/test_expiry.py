"""When offsets and groups go (rule 4.14)."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.consumer_members import heartbeat_request
from support.topics import KnownTopics, default_times

from barnabas.broker.groups import (
    GroupCoordinator,
    GroupCoordinatorConfig,
    JoinRequest,
    JoinResult,
    OffsetToCommit,
    SyncRequest,
)
from barnabas.storage.catalog import OffsetsCommitted, OffsetsDecided
from barnabas.storage.catalog.sqlite import SqliteCatalog
from barnabas.storage.clock import ManualClock

HOUR = 3600.0
WEEK = 7 * 24 * HOUR


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def catalog(tmp_path: Path, clock: ManualClock) -> Iterator[SqliteCatalog]:
    made = SqliteCatalog(tmp_path / "catalog", clock)
    yield made
    made.close()


@pytest.fixture
def groups(catalog: SqliteCatalog, clock: ManualClock) -> GroupCoordinator:
    return GroupCoordinator(
        catalog, clock, GroupCoordinatorConfig(group_initial_rebalance_delay_ms=0), KnownTopics(), default_times
    )


def subscription(*topics: str) -> bytes:
    names = b"".join(struct.pack(">h", len(topic)) + topic.encode() for topic in topics)
    return struct.pack(">hi", 0, len(topics)) + names + struct.pack(">i", -1)


def join(groups: GroupCoordinator, *topics: str, session_s: int = 10) -> JoinResult:
    """Make a group "g" of one consumer that is Stable."""
    results: list[JoinResult] = []
    request = JoinRequest(
        "g", "", None, "c", "/h", session_s * 1000, -1, "consumer", [("range", subscription(*topics))]
    )
    groups.join_group(request, results.append)
    groups.advance()
    groups.advance()
    (result,) = results
    sync = SyncRequest("g", result.member_id, None, result.generation_id, None, None, {result.member_id: b""})
    groups.sync_group(sync, lambda _: None)
    return result


def commit(groups: GroupCoordinator, topic: str, joined: JoinResult | None = None, retention_ms: int = -1) -> None:
    member, generation = (joined.member_id, joined.generation_id) if joined else ("", -1)
    errors = groups.commit_offsets(
        "g", member, None, generation, [OffsetToCommit(topic, 0, 5)], retention_time_ms=retention_ms
    )
    assert list(errors) == [0]


def committed(groups: GroupCoordinator) -> list[str]:
    return [offset.topic for offset in groups.fetch_offsets("g", None)]


def test_offsets_of_a_group_that_only_commits_go_a_week_after_the_commit(
    groups: GroupCoordinator, clock: ManualClock
) -> None:
    commit(groups, "t")
    clock.advance(WEEK - 1)
    groups.expire()
    assert committed(groups) == ["t"]
    clock.advance(1)
    groups.expire()
    assert committed(groups) == []
    assert groups.list_groups() == []


def test_the_week_counts_from_when_the_group_became_empty(groups: GroupCoordinator, clock: ManualClock) -> None:
    joined = join(groups, "t")
    commit(groups, "t", joined)
    clock.advance(9)
    groups.heartbeat("g", joined.member_id, None, joined.generation_id)
    clock.advance(10)
    groups.advance()  # the session ends
    clock.advance(WEEK - 1)
    groups.expire()
    assert committed(groups) == ["t"]
    clock.advance(1)
    groups.expire()
    assert (committed(groups), groups.list_groups()) == ([], [])


def test_a_group_at_work_keeps_the_offsets_of_what_it_reads_only(
    groups: GroupCoordinator, clock: ManualClock
) -> None:
    joined = join(groups, "t", session_s=1800)
    commit(groups, "t", joined)
    commit(groups, "old", joined)
    for _ in range(8 * 24 * 4):
        clock.advance(HOUR / 4)
        groups.heartbeat("g", joined.member_id, None, joined.generation_id)
        groups.advance()
    groups.expire()
    assert committed(groups) == ["t"]
    assert [group.state for group in groups.list_groups()] == ["Stable"]


def test_a_commit_may_name_its_own_retention(groups: GroupCoordinator, clock: ManualClock) -> None:
    commit(groups, "short", retention_ms=1000)
    commit(groups, "usual")
    clock.advance(2)
    groups.expire()
    assert committed(groups) == ["usual"]


def test_an_empty_group_without_offsets_goes_also_from_the_catalog(
    groups: GroupCoordinator, catalog: SqliteCatalog, clock: ManualClock
) -> None:
    join(groups, "t")
    assert len(catalog.groups()) == 1
    clock.advance(11)
    groups.advance()
    groups.expire()
    assert (groups.list_groups(), catalog.groups()) == ([], [])


def test_so_does_a_group_of_the_consumer_protocol(groups: GroupCoordinator, catalog: SqliteCatalog) -> None:
    whole = {"rebalance_timeout_ms": 10_000, "topic_names": ("t",), "owned": {}}
    groups.consumer_heartbeat(heartbeat_request("m", 0, **whole), 1)
    groups.expire()
    assert len(catalog.consumer_groups()) == 1
    groups.consumer_heartbeat(heartbeat_request("m", -1), 1)
    groups.expire()
    assert (groups.list_groups(), catalog.consumer_groups()) == ([], [])


@pytest.mark.parametrize("uses_consumer_protocol", [False, True])
def test_a_group_stays_while_a_transaction_may_commit_offsets_for_it(
    groups: GroupCoordinator, catalog: SqliteCatalog, clock: ManualClock, uses_consumer_protocol: bool
) -> None:
    if uses_consumer_protocol:
        whole = {"rebalance_timeout_ms": 10_000, "topic_names": ("t",), "owned": {}}
        groups.consumer_heartbeat(heartbeat_request("m", 0, **whole), 1)
        groups.consumer_heartbeat(heartbeat_request("m", -1), 1)
    groups.commit_offsets("g", "", None, -1, [OffsetToCommit("t", 0, 5)], producer_id=7)
    clock.advance(2 * WEEK)
    groups.expire()
    assert len(groups.list_groups()) == 1
    catalog.commit(OffsetsDecided(7, is_commit=True))
    assert committed(groups) == ["t"]


def test_a_group_that_was_only_asked_for_a_member_id_goes_with_that_id(
    groups: GroupCoordinator, clock: ManualClock
) -> None:
    request = JoinRequest(
        "g",
        "",
        None,
        "c",
        "/h",
        10_000,
        -1,
        "consumer",
        [("range", subscription("t"))],
        requires_known_member_id=True,
    )
    groups.join_group(request, lambda _: None)
    groups.expire()
    assert len(groups.list_groups()) == 1
    clock.advance(11)
    groups.advance()
    groups.expire()
    assert groups.list_groups() == []


def test_an_absurd_retention_is_as_good_as_none(
    groups: GroupCoordinator, catalog: SqliteCatalog, clock: ManualClock
) -> None:
    commit(groups, "t", retention_ms=2**63 - 1)
    clock.advance(100 * WEEK)
    groups.expire()
    assert committed(groups) == ["t"]
    catalog.commit(OffsetsCommitted("g", []))
