"""What ``on_commit`` is told beyond the changes themselves."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.catalog_contents import CONSUMERS, READER

from barnabas.storage.catalog import (
    CommittedOffset,
    ConsumerGroupStored,
    ConsumerMembersStored,
    Erased,
    GroupForgotten,
    GroupRemoved,
    GroupStored,
    OffsetsCommitted,
    OffsetsDecided,
    OffsetsPrepared,
    OffsetsRemoved,
    StoredGroup,
    TopicRemoved,
)
from barnabas.storage.catalog.sqlite import SqliteCatalog
from barnabas.storage.clock import ManualClock
from barnabas.storage.errors import CatalogError

CLASSIC = GroupStored(StoredGroup("g", "consumer", 1, "range", None, 5, ()))


class Heard(list[Any]):
    """All that was told, in a row."""

    def __call__(self, changes: Sequence[Any]) -> None:
        self += changes


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def catalog(tmp_path: Path, heard: Heard) -> Iterator[SqliteCatalog]:
    catalog = SqliteCatalog(tmp_path / "catalog.sqlite", ManualClock())
    catalog.on_commit = heard
    yield catalog
    catalog.close()


def offset(topic: str, partition: int = 0, committed: int = 5) -> CommittedOffset:
    return CommittedOffset(topic, partition, committed, -1, "", 7, -1)


def test_a_removed_topic_takes_offsets_of_all_groups(catalog: SqliteCatalog, heard: Heard) -> None:
    catalog.commit(OffsetsCommitted("a", [offset("t"), offset("kept")]), OffsetsCommitted("b", [offset("t", 1)]))
    heard.clear()
    catalog.commit(TopicRemoved("t"))
    assert heard == [TopicRemoved("t"), OffsetsRemoved("a", [("t", 0)]), OffsetsRemoved("b", [("t", 1)])]


def test_a_removed_group_takes_its_offsets(catalog: SqliteCatalog, heard: Heard) -> None:
    catalog.commit(CLASSIC, OffsetsCommitted("g", [offset("t")]))
    heard.clear()
    catalog.commit(GroupRemoved("g"))
    erased = Erased("g", True, False, [], set())
    assert heard == [GroupRemoved("g"), OffsetsRemoved("g", [("t", 0)]), erased]


def test_a_forgotten_consumer_group_takes_members_and_expressions(catalog: SqliteCatalog, heard: Heard) -> None:
    catalog.commit(ConsumerGroupStored(CONSUMERS), ConsumerMembersStored("c", [READER]))
    heard.clear()
    catalog.commit(GroupForgotten("c"))
    assert heard == [GroupForgotten("c"), Erased("c", False, True, ["r"], {"o.*"})]


def test_an_expression_that_nobody_has_any_more_is_erased(catalog: SqliteCatalog, heard: Heard) -> None:
    catalog.commit(ConsumerGroupStored(CONSUMERS))
    heard.clear()
    without = ConsumerGroupStored(CONSUMERS._replace(resolved={}))
    catalog.commit(without)
    assert heard == [without, Erased("c", False, False, (), {"o.*"})]


@pytest.mark.parametrize("is_commit", [True, False])
def test_offsets_of_a_transaction_are_committed_with_its_end(
    catalog: SqliteCatalog, heard: Heard, is_commit: bool
) -> None:
    catalog.commit(OffsetsPrepared("a", 1, [offset("t")]), OffsetsPrepared("b", 1, [offset("t", 1)]))
    assert sorted(catalog.groups_pending(1)) == ["a", "b"]
    heard.clear()
    decided = OffsetsDecided(1, is_commit)
    catalog.commit(decided)
    committed = [OffsetsCommitted("a", [offset("t")]), OffsetsCommitted("b", [offset("t", 1)])]
    assert heard == [decided, *(committed if is_commit else [])]
    assert [bool(catalog.offsets(group)) for group in "ab"] == [is_commit, is_commit]
    assert catalog.groups_pending(1) == []


def test_only_the_groups_that_are_named_are_decided(catalog: SqliteCatalog) -> None:
    catalog.commit(OffsetsPrepared("a", 1, [offset("t")]), OffsetsPrepared("b", 1, [offset("t")]))
    catalog.commit(OffsetsDecided(1, True, {"b"}))
    assert [len(catalog.offsets(group)) for group in "ab"] == [0, 1]
    assert catalog.groups_pending(1) == ["a"]


def test_nothing_is_told_of_a_commit_that_was_refused(catalog: SqliteCatalog, heard: Heard) -> None:
    with pytest.raises(CatalogError):
        catalog.commit(CLASSIC, GroupStored(CLASSIC.group._replace(group_id=None)))  # type: ignore[arg-type]
    assert heard == []


def test_where_the_copy_is_outlives_the_process(catalog: SqliteCatalog, tmp_path: Path) -> None:
    assert catalog.copied_to == ""
    catalog.note_copied_to("somewhere 5")
    catalog.close()
    again = SqliteCatalog(tmp_path / "catalog.sqlite", ManualClock())
    assert again.copied_to == "somewhere 5"
    again.close()


def test_one_group_can_be_asked_for(catalog: SqliteCatalog) -> None:
    catalog.commit(CLASSIC, ConsumerGroupStored(CONSUMERS), ConsumerMembersStored("c", [READER]))
    catalog.commit(OffsetsCommitted("simple", [offset("t")]))
    assert sorted(catalog.group_ids()) == ["c", "g", "simple"]
    assert [[len(found("c")), len(found("g"))] for found in (catalog.groups, catalog.consumer_groups)] == [
        [0, 1],
        [1, 0],
    ]
    assert [member.member_id for _, member, _ in catalog.consumer_members("c")] == ["r"]
