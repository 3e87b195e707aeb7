"""Groups and committed offsets that are taken out of a ``__consumer_offsets`` from elsewhere."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import (
    Topic,
    batch,
    commit,
    commit_request,
    committed_offset,
    make_topic,
    produce,
    stable_alone,
    wait_until,
)
from support.logs import START_MS, LogFolder
from support.moved_folders import adopt, check
from support.offsets_topic import TOPIC, find_coordinator, offsets, wait_for_offsets
from support.process import running
from support.wire import Wire

from barnabas.broker.offsets_topic.adoption import FoundGroups, Taken
from barnabas.broker.partitions.adoption import adopt as adopt_here
from barnabas.protocol.group_records import OffsetCommitValue, offset_key, offset_value, value
from barnabas.protocol.messages.group_admin import ListGroupsRequest
from barnabas.protocol.records import Record, build_batch, end_transaction_marker, read_header
from barnabas.storage.catalog import StoredTopic, TopicCreated
from barnabas.storage.catalog.sqlite import SqliteCatalog
from barnabas.storage.clock import ManualClock
from barnabas.storage.datadir import DataDir
from barnabas.storage.errors import CatalogError, LogOffline, StorageError
from barnabas.storage.segments import SegmentedLog

SETTINGS = ("-c", "offsets.topic.num.partitions=2", "-c", "group.initial.rebalance.delay.ms=0")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SegmentedLog]:
    folder = LogFolder(tmp_path / "log")
    opened = folder.open()
    yield opened
    folder.close(opened)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[SqliteCatalog]:
    """A catalog that knows the topic "t" with two partitions."""
    catalog = SqliteCatalog(tmp_path / "catalog.sqlite", ManualClock(START_MS))
    catalog.commit(TopicCreated(StoredTopic(b"t" * 16, "t", 2, 0, {})))
    yield catalog
    catalog.close()


def write(log: SegmentedLog, partition: int, offset: int | None, producer_id: int = -1, sequence: int = 0) -> None:
    """Write an offset of "g", or a tombstone; in a transaction if there is a producer."""
    content = None if offset is None else offset_value(offset, 0, "note", START_MS, -1)
    record = Record(0, START_MS, offset_key("g", "t", partition), content)
    of_transaction = {"producer_epoch": 0, "base_sequence": sequence, "is_transactional": True}
    batch = bytearray(build_batch([record], producer_id=producer_id, **(of_transaction if producer_id >= 0 else {})))
    log.append(memoryview(batch), read_header(batch), 0)


def end(log: SegmentedLog, producer_id: int, commit: bool) -> None:
    marker = end_transaction_marker(
        commit=commit, producer_id=producer_id, producer_epoch=0, coordinator_epoch=0, timestamp=START_MS
    )
    log.end_transaction(memoryview(bytearray(marker)), 0, False)


def taken(log: SegmentedLog, catalog: SqliteCatalog) -> tuple[Taken, dict[int, int]]:
    groups = FoundGroups()
    groups.read(log)
    result = groups.store(catalog, START_MS)
    return result, {each.partition: each.offset for each in catalog.offsets("g")}


def test_the_newest_offset_counts_and_a_tombstone_takes_it_away(log: SegmentedLog, catalog: SqliteCatalog) -> None:
    for partition, offset in ((0, 1), (0, 2), (1, 3), (1, None)):
        write(log, partition, offset)
    assert taken(log, catalog) == (Taken(1, 1, 0), {0: 2})


def test_a_transaction_counts_when_it_was_committed(log: SegmentedLog, catalog: SqliteCatalog) -> None:
    write(log, 0, 5, producer_id=1)
    write(log, 1, 6, producer_id=2)
    end(log, 2, commit=False)
    end(log, 1, commit=True)
    write(log, 1, 7, producer_id=3)  # and is not over yet
    assert taken(log, catalog) == (Taken(1, 1, 0), {0: 5})


def test_a_later_commit_wins_over_a_transaction_that_ends_behind_it(
    log: SegmentedLog, catalog: SqliteCatalog
) -> None:
    write(log, 0, 5, producer_id=1)
    write(log, 0, 9)
    end(log, 1, commit=True)
    assert taken(log, catalog) == (Taken(1, 1, 0), {0: 9})


def test_offsets_of_unknown_partitions_and_what_is_no_record_of_a_group_are_left_out(
    log: SegmentedLog, catalog: SqliteCatalog
) -> None:
    write(log, 2, 5)
    write(log, 0, 1)
    for key, content in (
        (b"", b""),
        (b"\0\1\0\5g", b"too short"),
        (offset_key("g", "t", 1), b"\0\x63unknown version"),
        (offset_key("g", "t", 1), b""),
        (b"\0\x63key", b"of what comes later"),
    ):
        batch = bytearray(build_batch([Record(0, START_MS, key, content)]))
        log.append(memoryview(batch), read_header(batch), 0)
    assert taken(log, catalog) == (Taken(1, 1, 1), {0: 1})


def test_old_and_new_versions_of_values_are_read(log: SegmentedLog, catalog: SqliteCatalog) -> None:
    stored = OffsetCommitValue(
        offset=5, leader_epoch=1, metadata="x", commit_timestamp=2, expire_timestamp=9, topic_id=b"i" * 16
    )
    for index, version in enumerate((1, 4)):
        record = Record(0, START_MS, offset_key("g", "t", index), value(stored, version))
        batch = bytearray(build_batch([record]))
        log.append(memoryview(batch), read_header(batch), 0)
    taken(log, catalog)
    found = [(each.offset, each.leader_epoch, each.metadata, each.commit_ms, each.expire_ms) for each in
             catalog.offsets("g")]  # fmt: skip
    assert found == [(5, -1, "x", 2, 9), (5, 1, "x", 2, -1)]


def test_groups_of_another_directory_are_adopted_with_their_offsets(tmp_path: Path) -> None:
    with running(tmp_path / "elsewhere", *SETTINGS) as broker, Wire(broker.port) as wire:
        find_coordinator(wire)
        topic, other = make_topic(wire, name="t"), make_topic(wire, name="other")
        commit(wire, "simple", topic, (0, 5))
        commit(wire, "simple", other, (0, 6))
        commit(wire, "here", topic, (0, 7))
        member = stable_alone(wire)
        identity = {"member_id": member.member_id, "generation_id_or_member_epoch": member.generation_id}
        commit(wire, member.group_id, topic, (0, 8), **identity)
        wait_for_offsets(wire, member.group_id, {("t", 0): 8})
    data_dir = tmp_path / "data"
    with running(data_dir, *SETTINGS) as broker, Wire(broker.port) as wire:
        elsewhere = make_topic(wire, name="elsewhere")
        commit(wire, "here", elsewhere, (0, 1))
    for folder in (tmp_path / "elsewhere").glob(f"{TOPIC}-*"):
        shutil.copytree(folder, data_dir / folder.name)
    (data_dir / "t-0").mkdir()
    (data_dir / "t-0" / f"{0:020}.log").touch()

    adopted = adopt(data_dir)

    assert (adopted.returncode, adopted.stderr.count("settings of these topics")) == (0, 1)
    of_topic, of_offsets = adopted.stdout.splitlines()
    assert of_topic == "t: 1 partition, 0 records"
    told = "2 groups with 2 committed offsets taken in, 1 offsets of partitions that are not here left out"
    assert of_offsets.startswith(f"{TOPIC}: ")
    assert of_offsets.endswith(f"; {told}")
    assert adopt(data_dir).stdout == "every partition folder belongs to a topic already\n"
    with running(data_dir, *SETTINGS) as broker, Wire(broker.port) as wire:
        topic = Topic("t", bytes(16))
        assert [committed_offset(wire, group, topic) for group in ("simple", "here", member.group_id)] == [5, -1, 8]
        listed = {group.group_id: group.group_state for group in wire.call(ListGroupsRequest(), 5).groups}
        assert listed == {"simple": "Empty", "here": "Empty", member.group_id: "Empty"}
        wait_until(lambda: offsets(wire, "here") == {("elsewhere", 0): 1})
        wait_until(lambda: offsets(wire, "simple") == {("t", 0): 5})
    assert check(data_dir).endswith("all is well\n")


@pytest.mark.parametrize(
    ("step", "error"),
    [
        pytest.param((DataDir, "open_log"), LogOffline("the disk failed"), id="open"),
        pytest.param((FoundGroups, "read"), StorageError("the disk failed"), id="read"),
        pytest.param((FoundGroups, "store"), CatalogError("the disk failed"), id="store"),
    ],
)
def test_an_adoption_that_fails_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: tuple[type, str], error: StorageError
) -> None:
    data_dir = tmp_path / "data"
    with running(data_dir, *SETTINGS) as broker, Wire(broker.port) as wire:
        find_coordinator(wire)
        topic = make_topic(wire, name="t")
        produce(wire, topic, batch())
        commit(wire, "g", topic, (0, 5))
        wire.call(commit_request("watcher", Topic(TOPIC, bytes(16)), (1, 6)), 9)  # by the name of the topic
        wait_for_offsets(wire, "watcher", {(TOPIC, 1): 6})
        wait_for_offsets(wire, "g", {("t", 0): 5})
    for path in data_dir.glob("catalog.sqlite*"):
        path.unlink()

    original = getattr(*step)

    def fail(self: object, *given: object, **named: object) -> object:
        if step[1] != "open_log" or given[:2] == (TOPIC, 1):
            raise error
        return original(self, *given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(*step, fail)
        assert adopted_here(data_dir) == [("t", "", None), (TOPIC, "the disk failed", None)]
    assert adopted_here(data_dir) == [(TOPIC, "", Taken(2, 2, 0))]


def adopted_here(data_dir: Path) -> list[tuple[str, str, Taken | None]]:
    clock = ManualClock(START_MS)
    opened = DataDir(data_dir, clock, 1, lambda told: told())
    try:
        return [(each.topic, each.problem, each.groups) for each in adopt_here(opened, clock)]
    finally:
        opened.close()
