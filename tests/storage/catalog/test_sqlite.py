"""The SQLite catalog: what it keeps, refuses and survives."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.catalog_contents import CONSUMERS, EMPTY, PARTS, READER, TRANSACTION, dump

from barnabas.storage import files
from barnabas.storage.catalog import (
    Change,
    ClassicMember,
    CommittedOffset,
    ConsumerGroupStored,
    ConsumerMembersRemoved,
    ConsumerMembersStored,
    CoordinatorEpochRaised,
    GroupForgotten,
    GroupMember,
    GroupRemoved,
    GroupStored,
    LeaderEpochsBumped,
    OffsetsCommitted,
    OffsetsDecided,
    OffsetsPrepared,
    OffsetsRemoved,
    PartitionsAdded,
    QuotasStored,
    ResourceConfigured,
    ScramCredential,
    ScramCredentialStored,
    StoredGroup,
    StoredTopic,
    TargetsStored,
    TopicConfigured,
    TopicCreated,
    TopicRemoved,
    TransactionRemoved,
    TransactionStored,
    sqlite,
)
from barnabas.storage.catalog.sqlite import MIGRATIONS, SqliteCatalog
from barnabas.storage.clock import ManualClock, SystemClock
from barnabas.storage.errors import CatalogError

ORDERS = StoredTopic(b"o" * 16, "orders", 3, 0, {"cleanup.policy": "compact", "retention.ms": "-1"})
EVENTS = StoredTopic(b"e" * 16, "events", 1, 5, {})
MEMBER = GroupMember("m-1", "instance", "client", "/127.0.0.1", 45_000, 300_000, b"\0meta", b"\xffassigned")
OLD_READER = READER._replace(member_id="o", classic=ClassicMember(9, (("range", b"\0"),)))
QUOTAS = QuotasStored((("client-id", None), ("user", "alice")), {"producer_byte_rate": 1e6})
CREDENTIAL = ScramCredential("alice", 1, 4096, b"salt", b"stored", b"server")
GROUP = StoredGroup("g", "consumer", 7, "range", "m-1", 1_700_000_000_000, [MEMBER])


def offset(topic: str = "orders", partition: int = 0, value: int = 42, metadata: str = "") -> CommittedOffset:
    return CommittedOffset(topic, partition, value, 3, metadata, 1_700_000_000_000, -1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.sqlite"


@pytest.fixture
def catalog(path: Path) -> Iterator[SqliteCatalog]:
    catalog = SqliteCatalog(path, SystemClock())
    yield catalog
    catalog.close()


def test_a_topic_comes_back_as_it_was_created(catalog):
    catalog.commit(TopicCreated(ORDERS), TopicCreated(EVENTS))
    assert catalog.topics() == [EVENTS, ORDERS]


def test_a_topic_goes_with_the_offsets_committed_for_it(catalog):
    catalog.commit(TopicCreated(ORDERS), OffsetsCommitted("g", [offset("orders"), offset("events")]))
    catalog.commit(TopicRemoved("orders"))
    assert catalog.topics() == []
    assert catalog.offsets("g") == [offset("events")]


def test_the_configs_of_a_topic_are_replaced(catalog):
    catalog.commit(TopicCreated(ORDERS))
    catalog.commit(TopicConfigured("orders", {"retention.ms": "5"}))
    assert catalog.topics()[0].configs == {"retention.ms": "5"}


def test_all_leader_epochs_are_bumped(catalog):
    catalog.commit(TopicCreated(ORDERS), TopicCreated(EVENTS), LeaderEpochsBumped())
    assert [topic.leader_epoch for topic in catalog.topics()] == [6, 1]


def test_the_leader_epoch_of_one_topic_is_bumped(catalog):
    catalog.commit(TopicCreated(ORDERS), TopicCreated(EVENTS), LeaderEpochsBumped("orders"))
    assert {topic.name: topic.leader_epoch for topic in catalog.topics()} == {"events": 5, "orders": 1}


def test_a_group_comes_back_as_it_was_stored_and_is_replaced_as_a_whole(catalog):
    catalog.commit(GroupStored(GROUP))
    assert catalog.groups() == [GROUP]
    empty = StoredGroup("g", "", 8, None, None, 5, [])
    catalog.commit(GroupStored(empty))
    assert catalog.groups() == [empty]


def test_a_consumer_group_comes_back_as_it_was_stored(catalog):
    catalog.commit(ConsumerGroupStored(CONSUMERS), ConsumerMembersStored("c", [READER, OLD_READER]))
    catalog.commit(TargetsStored("c", {"r": PARTS}), ConsumerMembersStored("c", [READER._replace(epoch=9)]))
    assert catalog.consumer_groups() == [CONSUMERS]
    assert catalog.consumer_members() == [("c", OLD_READER, {}), ("c", READER._replace(epoch=9), PARTS)]
    catalog.commit(ConsumerMembersRemoved("c", ["r"]))
    assert catalog.consumer_members() == [("c", OLD_READER, {})]


@pytest.mark.parametrize("change", [GroupForgotten("c"), GroupRemoved("c")])
def test_a_group_that_is_forgotten_leaves_its_offsets(catalog, change):
    catalog.commit(ConsumerGroupStored(CONSUMERS), ConsumerMembersStored("c", [READER]))
    catalog.commit(OffsetsCommitted("c", [offset()]), change)
    assert (catalog.consumer_groups(), catalog.consumer_members()) == ([], [])
    assert len(catalog.offsets("c")) == isinstance(change, GroupForgotten)


def test_a_group_goes_with_its_members_and_offsets(catalog):
    catalog.commit(GroupStored(GROUP), OffsetsCommitted("g", [offset()]))
    catalog.commit(GroupRemoved("g"))
    assert dump(catalog) == EMPTY
    catalog.commit(GroupStored(GROUP._replace(members=[])))
    assert catalog.groups()[0].members == []


def test_a_transactional_id_comes_back_as_it_was_stored(catalog):
    catalog.commit(TransactionStored(TRANSACTION))
    assert catalog.transactions() == [TRANSACTION]
    other = TRANSACTION._replace(state="Empty", partitions=frozenset(), groups=frozenset())
    catalog.commit(TransactionStored(other))
    assert catalog.transactions() == [other]
    catalog.commit(TransactionRemoved("t"))
    assert catalog.transactions() == []


def test_the_coordinator_epoch_is_0_until_it_is_raised(catalog):
    assert catalog.coordinator_epoch() == 0
    for epoch in (7, 2**31 - 1):
        catalog.commit(CoordinatorEpochRaised(epoch))
        assert catalog.coordinator_epoch() == epoch


@pytest.mark.parametrize("is_commit", [True, False])
def test_prepared_offsets_count_when_that_is_decided(catalog, is_commit):
    old, new = offset(value=1), offset(value=2)
    catalog.commit(OffsetsCommitted("g", [old]), OffsetsPrepared("g", 7, [new]), OffsetsPrepared("h", 8, [new]))
    assert (catalog.offsets("g"), catalog.pending_offsets("g")) == ([old], [("orders", 0)])
    assert catalog.groups_with_offsets() == ["g", "h"]
    catalog.commit(OffsetsDecided(7, is_commit))
    assert (catalog.offsets("g"), catalog.pending_offsets("g")) == ([new if is_commit else old], [])
    assert catalog.pending_offsets("h") == [("orders", 0)]


@pytest.mark.parametrize("change", [TopicRemoved("orders"), GroupRemoved("g")])
def test_prepared_offsets_go_with_their_topic_and_their_group(catalog, change):
    catalog.commit(TopicCreated(ORDERS), OffsetsPrepared("g", 7, [offset()]), change)
    assert catalog.pending_offsets("g") == []


def test_offsets_are_overwritten_and_removed_one_by_one(catalog):
    catalog.commit(OffsetsCommitted("g", [offset(partition=n, metadata="é\0\U0001f600") for n in range(3)]))
    catalog.commit(OffsetsCommitted("g", [offset(partition=1, value=2**63 - 1)]))
    catalog.commit(OffsetsRemoved("g", [("orders", 0), ("orders", 9)]))
    wanted = [offset(partition=1, value=2**63 - 1), offset(partition=2, metadata="é\0\U0001f600")]
    assert catalog.offsets("g") == wanted
    assert catalog.offset("g", "orders", 1) == wanted[0]
    assert catalog.offset("g", "orders", 0) is None
    assert catalog.groups_with_offsets() == ["g"]


@pytest.mark.parametrize(
    "change",
    [
        TopicCreated(ORDERS),
        TopicRemoved("events"),
        TopicConfigured("events", {"a": "b"}),
        PartitionsAdded("events", 4),
        ResourceConfigured(4, "", {"a": "b"}),
        QUOTAS,
        ScramCredentialStored(CREDENTIAL),
        ConsumerGroupStored(CONSUMERS),
        ConsumerMembersStored("c", [READER]),
        GroupForgotten("old"),
        LeaderEpochsBumped(),
        GroupStored(GROUP),
        GroupRemoved("old"),
        OffsetsCommitted("g", [offset()]),
        OffsetsRemoved("old", [("events", 0)]),
        OffsetsPrepared("g", 7, [offset()]),
        TransactionStored(TRANSACTION),
    ],
    ids=lambda change: type(change).__name__,
)
@pytest.mark.parametrize("bad_first", [True, False])
def test_one_change_that_is_refused_undoes_all(catalog, change: Change, bad_first):
    """The same topic twice breaks the primary key."""
    catalog.commit(
        TopicCreated(EVENTS), GroupStored(GROUP._replace(group_id="old")), OffsetsCommitted("old", [offset("events")])
    )
    before = dump(catalog)
    bad = TopicCreated(StoredTopic(b"x" * 16, "twice", 1, 0, {}))
    with pytest.raises(CatalogError, match="refused a commit"):
        catalog.commit(*((bad, bad, change) if bad_first else (change, bad, bad)))
    assert dump(catalog) == before
    catalog.commit(change)
    assert dump(catalog) != before


def test_a_topic_id_belongs_to_one_topic(catalog):
    catalog.commit(TopicCreated(ORDERS))
    with pytest.raises(CatalogError):
        catalog.commit(TopicCreated(EVENTS._replace(topic_id=ORDERS.topic_id)))


def test_a_full_disk_refuses_the_commit_and_nothing_else(catalog):
    catalog.commit(TopicCreated(ORDERS))
    (pages,) = catalog._db.execute("PRAGMA page_count").fetchone()
    catalog._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(CatalogError, match="full"):
        catalog.commit(OffsetsCommitted("g", [offset(partition=n, metadata="x" * 1000) for n in range(100)]))
    assert (catalog.topics(), catalog.offsets("g")) == ([ORDERS], [])
    catalog._db.execute("PRAGMA max_page_count = 1000000")
    catalog.commit(OffsetsCommitted("g", [offset()]))
    assert catalog.offsets("g") == [offset()]


def test_the_cluster_id_is_drawn_once(path):
    first = SqliteCatalog(path, ManualClock(seed=1))
    drawn = first.cluster_id()
    first.close()
    second = SqliteCatalog(path, ManualClock(seed=2))
    assert second.cluster_id() == drawn
    assert len(drawn) == 22
    second.close()


def test_a_newer_schema_is_refused_and_left_alone(path):
    SqliteCatalog(path, SystemClock()).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    with pytest.raises(CatalogError, match="newer version"):
        SqliteCatalog(path, SystemClock())
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
    db.close()


def test_a_migration_that_was_interrupted_happens_again(path, monkeypatch):
    migrations = (*MIGRATIONS, "CREATE TABLE extra (a); CREATE TABLE topics (b)")
    monkeypatch.setattr("barnabas.storage.catalog.sqlite.MIGRATIONS", migrations)
    with pytest.raises(CatalogError, match="topics already exists"):
        SqliteCatalog(path, SystemClock())
    fixed = (*MIGRATIONS, "CREATE TABLE extra (a)")
    monkeypatch.setattr("barnabas.storage.catalog.sqlite.MIGRATIONS", fixed)
    catalog = SqliteCatalog(path, SystemClock())
    assert catalog._rows("PRAGMA user_version") == [(len(MIGRATIONS) + 1,)]
    catalog.close()


@pytest.mark.parametrize("content", [b"not a database" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_catalog_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(CatalogError, match="cannot open the catalog"):
        SqliteCatalog(path, SystemClock())
    assert path.read_bytes() == content


def test_a_damaged_page_is_a_catalog_error_when_it_is_met(path):
    catalog = SqliteCatalog(path, SystemClock())
    catalog.commit(
        TopicCreated(ORDERS),
        GroupStored(GROUP),
        OffsetsCommitted("g", [offset()]),
        ResourceConfigured(4, "", {"a": "b"}),
        QUOTAS,
        ScramCredentialStored(CREDENTIAL),
        ConsumerGroupStored(CONSUMERS),
        ConsumerMembersStored("c", [READER]),
        TransactionStored(TRANSACTION),
        OffsetsPrepared("g", 7, [offset()]),
    )
    catalog.close()
    size = path.stat().st_size
    for page in range(1, size // 4096):
        content = path.read_bytes()
        path.write_bytes(content[: page * 4096] + b"\xff" * 4096 + content[(page + 1) * 4096 :])
        met = 0
        try:
            catalog = SqliteCatalog(path, SystemClock())
            try:
                dump(catalog)
                catalog.cluster_id()
                catalog.commit(OffsetsRemoved("g", [("orders", 0)]), TopicRemoved("orders"))
                catalog.allocate_producer_ids(1)
            finally:
                catalog.close()
        except CatalogError:
            met += 1
        assert met == 1
        path.write_bytes(content)


def test_an_open_catalog_that_was_refused_holds_no_file(path):
    SqliteCatalog(path, SystemClock()).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(CatalogError):
        SqliteCatalog(path, SystemClock())
    assert set(os.listdir("/proc/self/fd")) <= before


COMMIT_AND_DIE = """
import os, signal, sys
from pathlib import Path
from barnabas.storage.catalog import OffsetsCommitted, CommittedOffset
from barnabas.storage.catalog.sqlite import SqliteCatalog
from barnabas.storage.clock import SystemClock
catalog = SqliteCatalog(Path(sys.argv[1]), SystemClock())
for value in range(int(sys.argv[2])):
    catalog.commit(OffsetsCommitted("g", [CommittedOffset("t", p, value, -1, "", 0, -1) for p in range(10)]))
    if value % 50 == 25:
        catalog.checkpoint()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("commits", [1, 30, 170])
def test_every_commit_survives_a_kill(path, commits):
    ended = subprocess.run([sys.executable, "-c", COMMIT_AND_DIE, path, str(commits)], check=False)
    assert ended.returncode == -9
    catalog = SqliteCatalog(path, SystemClock())
    assert [found.offset for found in catalog.offsets("g")] == [commits - 1] * 10
    assert catalog._rows("PRAGMA integrity_check") == [("ok",)]
    catalog.close()


def test_sync_makes_the_write_ahead_log_durable(catalog, monkeypatch):
    synced: list[str] = []
    monkeypatch.setattr(files, "sync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    catalog.commit(TopicCreated(ORDERS))
    catalog.sync()
    assert [Path(name).name for name in synced] == ["catalog.sqlite-wal"]


def test_sync_and_checkpoint_of_a_closed_catalog_do_nothing(path):
    catalog = SqliteCatalog(path, SystemClock())
    catalog.close()
    catalog.sync()
    catalog.checkpoint()
    catalog.close()


def test_a_checkpoint_that_fails_is_a_catalog_error(catalog, monkeypatch):
    class Broken:
        def execute(self, _: str) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        def close(self) -> None:
            pass

    monkeypatch.setattr(sqlite3, "connect", lambda *_, **__: Broken())
    with pytest.raises(CatalogError, match="disk I/O error"):
        catalog.checkpoint()


def test_a_checkpoint_empties_the_write_ahead_log_into_the_file(catalog, path):
    before = path.stat().st_size
    catalog.commit(OffsetsCommitted("g", [offset(partition=n, metadata="x" * 1000) for n in range(100)]))
    assert path.stat().st_size == before
    catalog.checkpoint()
    assert path.stat().st_size > before
    assert len(catalog.offsets("g")) == 100


@given(rounds=st.lists(st.lists(st.integers(1, 5000), max_size=4), min_size=1, max_size=5))
@settings(max_examples=15, deadline=None)
def test_producer_ids_never_come_twice(tmp_path_factory, rounds):
    path = tmp_path_factory.mktemp("ids") / "catalog.sqlite"
    given_out: list[range] = []
    for counts in rounds:
        catalog = SqliteCatalog(path, SystemClock())
        for count in counts:
            first = catalog.allocate_producer_ids(count)
            given_out.append(range(first, first + count))
        catalog.close()
    end = 0
    for block in given_out:
        assert block.start == end
        end = block.stop


def test_producer_ids_that_somebody_has_had_are_skipped(tmp_path):
    catalog = SqliteCatalog(tmp_path / "catalog.sqlite", SystemClock())
    catalog.skip_producer_ids(-1)
    assert catalog.allocate_producer_ids(10) == 0
    catalog.skip_producer_ids(5)
    assert catalog.allocate_producer_ids(10) == 10
    catalog.skip_producer_ids(20)
    catalog.close()
    again = SqliteCatalog(tmp_path / "catalog.sqlite", SystemClock())
    assert again.allocate_producer_ids(1) == 21
    again.close()


class Exclusive(SqliteCatalog):
    """As on a file system without shared maps, of which SQLite speaks when it opens the catalog."""

    def _open(self, *arguments: object) -> None:
        if not self._is_exclusive:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMMAP
            raise error
        super()._open(*arguments)


def test_a_catalog_needs_no_shared_map(path):
    catalog = Exclusive(path, SystemClock())
    catalog.commit(TopicCreated(ORDERS))
    catalog.checkpoint()
    assert sorted(file.name for file in path.parent.iterdir()) == ["catalog.sqlite", "catalog.sqlite-wal"]
    catalog.close()
    again = SqliteCatalog(path, SystemClock())
    assert again.topics() == [ORDERS]
    again.close()


def test_another_error_of_the_disk_is_told(path, monkeypatch):
    def broken(*_: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
        raise error

    monkeypatch.setattr(SqliteCatalog, "_open", broken)
    with pytest.raises(CatalogError, match="disk I/O error"):
        SqliteCatalog(path, SystemClock())


def test_checkpoints_do_not_hide_how_much_a_catalog_without_a_shared_map_has_grown(path, monkeypatch):
    monkeypatch.setattr(sqlite, "COMMITS_PER_CHECKPOINT", 10)
    catalog = Exclusive(path, SystemClock())
    for number in range(20):
        catalog.commit(OffsetsCommitted("g", [offset(partition=number)]))
        catalog.checkpoint()
    assert catalog.is_grown
    catalog.close()


def test_the_owner_of_a_catalog_without_a_shared_map_empties_its_write_ahead_log(path, monkeypatch):
    monkeypatch.setattr(sqlite, "COMMITS_PER_CHECKPOINT", 10)
    catalog = Exclusive(path, SystemClock())
    before = path.stat().st_size
    for number in range(20):
        catalog.commit(OffsetsCommitted("g", [offset(partition=number, metadata="x" * 4000)]))
    job = catalog.sync_job()
    job.work()
    assert path.stat().st_size == before
    job.finish()
    assert path.stat().st_size > before
    assert not catalog.is_grown
    catalog.close()


def test_a_checkpoint_makes_no_catalog_in_the_place_of_a_directory_that_was_moved(tmp_path):
    folder = tmp_path / "a b%41?"  # what would be something else in a URI
    folder.mkdir()
    catalog = SqliteCatalog(folder / "catalog", SystemClock())
    catalog.commit(TopicCreated(ORDERS))
    catalog.checkpoint()
    folder.rename(tmp_path / "moved")
    folder.mkdir()
    with pytest.raises(CatalogError):
        catalog.checkpoint()
    assert list(folder.iterdir()) == []
    catalog.close()
