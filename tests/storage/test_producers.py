"""Kafka's rules for idempotent producers (KIP-98), and the snapshot file."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.logs import START_MS, batch

from barnabas.protocol.records import BatchHeader, crc32c, end_transaction_marker, read_header
from barnabas.storage.errors import ProducerEpochStale, SequenceOutOfOrder
from barnabas.storage.producers import ProducerStates, SnapshotCorrupt

LAST = 2**31 - 1


def header(base_sequence: int, count: int = 1, epoch: int = 3, producer_id: int = 7) -> BatchHeader:
    content = batch(count, 1, START_MS + base_sequence, producer_id, epoch, base_sequence)
    return read_header(content)


class Partition:
    """Numbers the records of batches that it takes; answers with the first offset, as a log does."""

    def __init__(self) -> None:
        self.states = ProducerStates()
        self.end = 0

    def send(self, batch: BatchHeader) -> int:
        repeated = self.states.check(batch)
        if repeated is not None:
            return repeated.first_offset
        offset = self.end
        self.states.remember(batch, offset)
        self.end += batch.last_offset_delta + 1
        return offset


@pytest.fixture
def partition() -> Partition:
    """Has taken seven batches of two records each, sequences 0 to 13."""
    partition = Partition()
    for sequence in range(0, 14, 2):
        partition.send(header(sequence, 2))
    return partition


@pytest.mark.parametrize("sequence", [4, 6, 8, 10, 12])
def test_each_of_the_last_five_batches_is_answered_with_its_first_offset(partition, sequence):
    assert partition.send(header(sequence, 2)) == sequence
    assert partition.end == 14


@pytest.mark.parametrize(
    ("base_sequence", "count"),
    [
        pytest.param(2, 2, id="a duplicate that is older than the last five"),
        pytest.param(0, 2, id="the first of all"),
        pytest.param(15, 1, id="a gap of one"),
        pytest.param(100, 1, id="a large gap"),
        pytest.param(12, 1, id="a part of a remembered batch"),
        pytest.param(12, 3, id="more than a remembered batch"),
        pytest.param(11, 2, id="across two remembered batches"),
        pytest.param(LAST, 1, id="the largest sequence"),
    ],
)
def test_what_neither_follows_nor_repeats_is_out_of_order(partition, base_sequence, count):
    with pytest.raises(SequenceOutOfOrder):
        partition.send(header(base_sequence, count))
    assert partition.send(header(14)) == 14


def test_after_the_largest_sequence_comes_0():
    partition = Partition()
    assert partition.send(header(LAST - 1, 2)) == 0
    with pytest.raises(SequenceOutOfOrder):
        partition.send(header(1))
    assert partition.send(header(0)) == 2
    assert partition.send(header(LAST - 1, 2)) == 0


def test_a_batch_may_run_across_the_largest_sequence():
    partition = Partition()
    assert partition.send(header(LAST - 1, 4)) == 0  # sequences 2147483646, 2147483647, 0, 1
    assert partition.send(header(LAST - 1, 4)) == 0
    with pytest.raises(SequenceOutOfOrder):
        partition.send(header(0))
    assert partition.send(header(2)) == 4


@pytest.mark.parametrize("sequence", [1, 14, LAST])
def test_a_new_epoch_must_begin_at_0(partition, sequence):
    with pytest.raises(SequenceOutOfOrder):
        partition.send(header(sequence, epoch=4))
    assert partition.send(header(0, epoch=4)) == 14


def test_a_new_epoch_forgets_the_batches_of_the_old(partition):
    partition.send(header(0, 2, epoch=4))
    with pytest.raises(SequenceOutOfOrder):
        partition.send(header(12, 2, epoch=4))
    with pytest.raises(ProducerEpochStale):
        partition.send(header(12, 2, epoch=3))


@pytest.mark.parametrize("sequence", [0, 12, 14])
def test_a_lower_epoch_is_stale_whatever_its_sequence(partition, sequence):
    with pytest.raises(ProducerEpochStale):
        partition.send(header(sequence, 2, epoch=2))


@pytest.mark.parametrize("sequence", [0, 5, LAST])
def test_a_producer_that_is_not_known_may_begin_anywhere(partition, sequence):
    assert partition.send(header(sequence, producer_id=8)) == 14


def test_a_producer_that_expired_may_begin_anywhere(partition):
    """KIP-360."""
    partition.states.expire(before_ms=START_MS + 12)
    assert 7 in partition.states.entries
    partition.states.expire(before_ms=START_MS + 13)
    assert partition.send(header(99)) == 14


def test_a_producer_with_an_open_transaction_does_not_expire(partition):
    partition.states.entries[7].current_txn_first_offset = 12
    partition.states.expire(before_ms=START_MS + 10**6)
    assert 7 in partition.states.entries


def test_producers_do_not_disturb_each_other():
    partition = Partition()
    offsets = {
        (producer, sequence): partition.send(header(sequence, producer_id=producer))
        for sequence in range(10)
        for producer in range(5)
    }
    for producer in range(5):
        for sequence in range(5, 10):
            assert partition.send(header(sequence, producer_id=producer)) == offsets[producer, sequence]
        with pytest.raises(SequenceOutOfOrder):
            partition.send(header(4, producer_id=producer))


def test_a_control_batch_changes_the_epoch_and_takes_no_sequence(partition):
    marker = end_transaction_marker(
        commit=True, producer_id=7, producer_epoch=4, coordinator_epoch=0, timestamp=START_MS + 50
    )
    partition.states.remember(read_header(marker), 14)
    entry = partition.states.entries[7]
    assert (entry.epoch, entry.last_timestamp, list(entry.batches)) == (4, START_MS + 50, [])
    partition.end = 15
    with pytest.raises(SequenceOutOfOrder):
        partition.send(header(14, epoch=4))
    assert partition.send(header(0, epoch=4)) == 15


def test_the_snapshot_is_kafkas_to_the_byte(partition, tmp_path):
    """ProducerStateManager.writeSnapshot: version, CRC-32C of all that follows, and the last batch of each."""
    path = tmp_path / "00000000000000000014.snapshot"
    partition.states.write_snapshot(path)
    entry = struct.pack(">qhiqiqiq", 7, 3, 13, 13, 1, START_MS + 12, -1, -1)
    body = struct.pack(">i", 1) + entry
    assert path.read_bytes() == struct.pack(">hI", 1, crc32c(body)) + body
    assert [path.name for path in tmp_path.iterdir()] == ["00000000000000000014.snapshot"]


def test_a_producer_without_data_batches_survives_in_a_snapshot(tmp_path):
    states = ProducerStates()
    marker = end_transaction_marker(commit=False, producer_id=7, producer_epoch=4, coordinator_epoch=0, timestamp=9)
    states.remember(read_header(marker), 14)
    states.write_snapshot(tmp_path / "1.snapshot")
    entry = ProducerStates.read_snapshot(tmp_path / "1.snapshot").entries[7]
    assert (entry.epoch, entry.last_timestamp, list(entry.batches)) == (4, 9, [])


@given(
    sent=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=40),
    first=st.sampled_from([0, LAST - 10]),
)
def test_a_snapshot_and_the_log_before_it_bring_everything_back(tmp_path_factory, sent, first):
    partition = Partition()
    following: dict[int, int] = {}
    batches = []
    for producer, count in sent:
        sequence = following.setdefault(producer, first)
        content = header(sequence, count, producer_id=producer)
        batches.append(content._replace(base_offset=partition.end))
        partition.send(content)
        following[producer] = (sequence + count) & LAST
    path = tmp_path_factory.getbasetemp() / "a.snapshot"
    partition.states.write_snapshot(path)
    states = ProducerStates.read_snapshot(path)
    for producer, entry in partition.states.entries.items():
        assert list(states.entries[producer].batches) == [entry.batches[-1]]
    states.recall(batches)
    assert {p: list(e.batches) for p, e in states.entries.items()} == {
        p: list(e.batches) for p, e in partition.states.entries.items()
    }


def test_batches_of_an_older_epoch_are_not_recalled(partition, tmp_path):
    earlier = [header(sequence, 2)._replace(base_offset=sequence) for sequence in range(0, 14, 2)]
    partition.send(header(0, 1, epoch=4))
    partition.states.write_snapshot(tmp_path / "1.snapshot")
    states = ProducerStates.read_snapshot(tmp_path / "1.snapshot")
    states.recall(earlier)
    assert [batch.first_offset for batch in states.entries[7].batches] == [14]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:5],
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: b"\0\2" + content[2:],
        lambda content: content[:20] + bytes([content[20] ^ 1]) + content[21:],
        lambda content: bytes(len(content)),
    ],
)
def test_a_damaged_snapshot_is_refused(partition, tmp_path: Path, damage):
    path = tmp_path / "1.snapshot"
    partition.states.write_snapshot(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SnapshotCorrupt):
        ProducerStates.read_snapshot(path)
