"""``barnabas dump`` of snapshots, checkpoints and properties."""

from pathlib import Path

import pytest
from support.dumps import dumped, only, reasons
from support.logs import START_MS, TOPIC_ID, DataDirProcess, append, batch

from barnabas.storage.checkpoints import LeaderEpochs, write_offsets
from barnabas.storage.dump import Entry, LeaderEpoch, PartitionOffset, Problem, Producer, Property
from barnabas.storage.producers import BatchSequence, ProducerEntry, ProducerStates


def snapshot(path: Path, count: int) -> Path:
    states = ProducerStates()
    for number in range(count):
        entry = states.entries[100 + number] = ProducerEntry(number, START_MS + number)
        entry.coordinator_epoch = number - 1
        entry.current_txn_first_offset = 40 if number == 1 else -1
        if number != 2:
            entry.batches.append(BatchSequence(3, 5, 41, 43, START_MS))
    states.write_snapshot(path)
    return path


def test_each_producer_of_a_snapshot_is_shown(tmp_path):
    entries = dumped(snapshot(tmp_path / f"{44:020d}.snapshot", 3))

    assert reasons(entries) == []
    assert only(Producer, entries) == [
        Producer(100, 0, 5, 43, 2, START_MS, -1, -1),
        Producer(101, 1, 5, 43, 2, START_MS + 1, 0, 40),
        Producer(102, 2, -1, -1, 0, START_MS + 2, 1, -1),
    ]


def test_a_snapshot_that_is_cut_shows_what_is_there(tmp_path):
    path = snapshot(tmp_path / f"{44:020d}.snapshot", 3)
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        entries = dumped(path)
        assert len(only(Producer, entries)) == max(0, size - 10) // 46
        assert reasons(entries)


def test_a_snapshot_of_another_version_is_not_guessed_at(tmp_path):
    path = snapshot(tmp_path / f"{44:020d}.snapshot", 3)
    path.write_bytes(b"\0\2" + path.read_bytes()[2:])
    assert only(Problem, dumped(path)) == [Problem(0, "version 2 of a snapshot, only 1 is known", 148)]


def test_the_lines_of_checkpoints_are_shown(tmp_path):
    epochs = LeaderEpochs(tmp_path / "leader-epoch-checkpoint")
    epochs.assign(0, 0)
    epochs.assign(7, 2**40)
    write_offsets(tmp_path / "recovery-point-offset-checkpoint", {("t-x", 0): 5, ("t", 12): 2**40})

    entries = dumped(tmp_path)

    assert reasons(entries) == []
    assert only(LeaderEpoch, entries) == [(0, 0), (7, 2**40)]
    assert only(PartitionOffset, entries) == [("t-x", 0, 5), ("t", 12, 2**40)]


def test_an_empty_checkpoint_is_one(tmp_path):
    write_offsets(tmp_path / "log-start-offset-checkpoint", {})
    (tmp_path / "replication-offset-checkpoint").touch()  # Kafka makes it before it has something to say
    assert len(dumped(tmp_path)) == 2


@pytest.mark.parametrize(
    ("content", "shown", "reason"),
    [
        (b"0\n", 0, "the second line does not say how many there are"),
        (b"0\nmany\nt 0 1\n", 1, "the second line does not say how many there are"),
        (b"1\n1\nt 0 1\n", 0, "version '1' of a checkpoint"),
        (b"\xff\n", 0, "version '\\\\xff' of a checkpoint"),
        (b"0\n2\nt 0 1\n", 1, "the checkpoint says 2 lines, there are 1"),
        (b"0\n2\nt 0 1\nt 1\n", 1, "cannot read the line 't 1'"),
        (b"0\n2\nt 0 1\nt 1 1_0\n", 1, "cannot read the line 't 1 1_0'"),
        (b"0\n2\nt 0 1\nt 1 " + b"9" * 30 + b"\n", 1, f"cannot read the line 't 1 {'9' * 30}'"),
        (b"0\n2\nt 0 1\n" + b"x" * 5000 + b"\nt 1 1\n", 1, "a line has more than 4096 bytes"),
    ],
)
def test_checkpoints_that_make_no_sense_are_damage(tmp_path, content, shown, reason):
    path = tmp_path / "replication-offset-checkpoint"
    path.write_bytes(content)
    entries = dumped(path)
    assert len(only(PartitionOffset, entries)) == shown
    assert reason in reasons(entries)


def test_where_a_line_lies_that_cannot_be_read_is_said(tmp_path):
    path = tmp_path / "leader-epoch-checkpoint"
    path.write_bytes(b"0\n3\n0 0\nfirst second\n2 7\n")
    entries = dumped(path)
    assert only(LeaderEpoch, entries) == [(0, 0), (2, 7)]
    assert only(Problem, entries) == [Problem(8, "cannot read the line 'first second'")]


def test_properties_and_the_topic_id_are_shown(tmp_path):
    process = DataDirProcess(tmp_path / "data")
    process.start()
    append(process.open(), batch())
    process.stop()

    entries = dumped(process.path)

    assert reasons(entries) == []
    properties = dict(only(Property, entries))
    assert (properties["node.id"], properties["version"]) == ("1", "0")
    assert properties["topic_id"] == "AAECAwQFBgcICQoLDA0ODw"
    assert bytes(range(16)) == TOPIC_ID


def test_comments_and_empty_lines_are_no_properties(tmp_path):
    path = tmp_path / "meta.properties"
    path.write_bytes(b"#\n#Sat Jan 01=x\n\n a = b=c \r\nnonsense\n")
    entries: list[Entry] = dumped(path)
    assert only(Property, entries) == [("a", "b=c")]
    assert reasons(entries) == ["cannot read the line 'nonsense'"]
