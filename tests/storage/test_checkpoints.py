"""The small text files."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barnabas.protocol.records import build_batch, read_header
from barnabas.storage import files
from barnabas.storage.checkpoints import LeaderEpochs, read_offsets, write_offsets
from barnabas.storage.errors import StorageError

GARBAGE = [
    b"",
    b"\n",
    b"0\n",
    b"1\n0\n",
    b"0\n2\n0 0\n",
    b"0\n0\n0 0\n",
    b"0\n1\nx y\n",
    b"0\n1\nt 0\n",
    b"0\n1\nt 0 1 2\n",
    b"0\n1\nt 0 x\n",
    b"0\none\n0 0\n",
    b"\0" * 40,
    b"\xff\xfe\xfd",
    b"0\n1\n\xff 0 0\n",
]

TOPICS = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789._-", min_size=1, max_size=20)


@pytest.fixture
def epochs(tmp_path: Path) -> LeaderEpochs:
    """Epochs 2, 3 and 7 begin at 10, 20 and 30; the leader has epoch 9 and the log ends at 40."""
    epochs = LeaderEpochs(tmp_path / "leader-epoch-checkpoint")
    for epoch, start in ((2, 10), (3, 20), (7, 30)):
        epochs.assign(epoch, start)
    return epochs


@pytest.mark.parametrize(
    ("requested", "answer"),
    [
        pytest.param(-1, (-1, -1), id="no epoch"),
        pytest.param(0, (0, 10), id="below the first: ends where the first begins"),
        pytest.param(1, (1, 10), id="just below the first"),
        pytest.param(2, (2, 20), id="the first"),
        pytest.param(3, (3, 30), id="in the middle"),
        pytest.param(5, (3, 30), id="between two: the one before"),
        pytest.param(7, (7, 40), id="the last that wrote"),
        pytest.param(8, (7, 40), id="between the last that wrote and the leader's"),
        pytest.param(9, (9, 40), id="the leader's, which has not written"),
        pytest.param(10, (-1, -1), id="above the leader's"),
    ],
)
def test_an_epoch_ends_where_the_next_begins(epochs, requested, answer):
    """KIP-101, KIP-279; LeaderEpochFileCache.endOffsetFor."""
    assert epochs.end_of(requested, 9, 40) == answer


def test_the_leaders_epoch_ends_at_the_log_end(epochs):
    assert epochs.end_of(7, 7, 45) == (7, 45)


def test_without_any_epoch_only_the_leaders_is_known(tmp_path):
    epochs = LeaderEpochs(tmp_path / "file")
    assert (epochs.latest, epochs.end_of(0, 0, 5), epochs.end_of(1, 0, 5)) == (-1, (0, 5), (-1, -1))


@pytest.mark.parametrize(("offset", "epoch"), [(0, -1), (9, -1), (10, 2), (19, 2), (20, 3), (30, 7), (10**9, 7)])
def test_every_offset_has_the_epoch_that_began_last_before_it(epochs, offset, epoch):
    assert epochs.epoch_at(offset) == epoch


def test_only_a_newer_epoch_is_assigned(epochs):
    for epoch in (7, 5, -1):
        epochs.assign(epoch, 99)
    assert epochs.starts == [(2, 10), (3, 20), (7, 30)]


@pytest.mark.parametrize(("offset", "left"), [(100, 3), (31, 3), (30, 2), (11, 1), (10, 0), (0, 0)])
def test_recalling_drops_the_epochs_that_begin_there_or_later(epochs, tmp_path, offset, left):
    epochs.recall(offset, [])
    assert len(epochs.starts) == left
    assert LeaderEpochs(tmp_path / "leader-epoch-checkpoint").starts == epochs.starts


def test_recalling_takes_the_epochs_of_the_batches_that_are_there(epochs, tmp_path):
    epochs.recall(
        20,
        [read_header(build_batch([], base_offset=at, last_offset=at, leader_epoch=at // 4)) for at in range(20, 27)],
    )
    assert epochs.starts == [(2, 10), (5, 20), (6, 24)]
    assert LeaderEpochs(tmp_path / "leader-epoch-checkpoint").starts == epochs.starts


def test_an_epoch_without_a_record_gives_way_to_the_next(epochs):
    epochs.assign(8, 50)
    epochs.assign(9, 50)
    assert epochs.starts == [(2, 10), (3, 20), (7, 30), (9, 50)]


def test_the_epoch_file_is_kafkas(epochs, tmp_path):
    assert (tmp_path / "leader-epoch-checkpoint").read_bytes() == b"0\n3\n2 10\n3 20\n7 30\n"


@given(offsets=st.dictionaries(st.tuples(TOPICS, st.integers(0, 10**6)), st.integers(0, 2**63 - 1), max_size=20))
def test_offsets_are_read_as_they_were_written(tmp_path_factory, offsets):
    path = tmp_path_factory.getbasetemp() / "offsets"
    write_offsets(path, offsets)
    assert read_offsets(path) == offsets


def test_the_offset_file_is_kafkas(tmp_path):
    write_offsets(tmp_path / "file", {("a-b", 0): 5, ("t", 12): 0})
    assert (tmp_path / "file").read_bytes() == b"0\n2\na-b 0 5\nt 12 0\n"


def test_no_file_is_an_empty_one(tmp_path):
    assert read_offsets(tmp_path / "file") == {}
    assert LeaderEpochs(tmp_path / "file").starts == []


@pytest.mark.parametrize("content", GARBAGE)
def test_garbage_is_refused(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(StorageError, match="file"):
        read_offsets(path)


@pytest.mark.parametrize("content", [c for c in GARBAGE if c != b"0\n1\nt 0\n"] + [b"0\n1\nt 0\n", b"0\n1\n1 2 3\n"])
def test_a_garbled_epoch_file_is_refused(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(StorageError, match="file"):
        LeaderEpochs(path)


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.replace(path, b"old", is_synced=True)

    def fail(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(files, "sync", fail)
    with pytest.raises(OSError, match="no"):
        files.replace(path, b"new", is_synced=True)
    assert path.read_text() == "old"
