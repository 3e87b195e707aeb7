"""The journal: what one sync of it commits is found after a power failure, and no more than is true."""

import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.logs import TOPIC_ID, DataDirProcess, append, batch, batches_of, read_all

from barnabas.protocol.records import assign, read_header
from barnabas.storage import files, journal
from barnabas.storage.catalog import StoredTopic, TopicCreated
from barnabas.storage.checker import check
from barnabas.storage.errors import StorageError
from barnabas.storage.flusher import Flusher
from barnabas.storage.journal import FILE_NAMES, Journal, left_in
from barnabas.storage.sync_job import LogId, Tail

OTHER_ID = bytes(range(16, 32))
KEY, OTHER_KEY = (TOPIC_ID, 0), (OTHER_ID, 3)


class Logs:
    """What the owner of a journal knows: up to where each log is on the disk, and which were to be synced."""

    def __init__(self) -> None:
        self.synced: dict[LogId, int] = {}
        self.full: list[LogId] = []

    def has_all(self, key: LogId, end_offset: int) -> bool:
        return self.synced.get(key, 0) >= end_offset


@pytest.fixture
def logs() -> Logs:
    return Logs()


@pytest.fixture
def made(tmp_path: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.setattr(journal, "FILE_BYTES", 4096)
    made = Journal(tmp_path, {}, logs.has_all, logs.full.extend)
    make(made)
    yield made
    made.close()


def make(made: Journal) -> None:
    job = made.sync_job()
    job.work()
    job.finish()


def tail(key: LogId, base_offset: int, counts: tuple[int, ...] = (1,), size: int = 50, epoch: int = 7) -> Tail:
    """A tail with a batch of each of ``counts``."""
    content, offset = bytearray(), base_offset
    for count in counts:
        one = batch(count, size, fill=offset % 256)
        assign(memoryview(one), 0, read_header(one), offset, epoch)
        content += one
        offset += count
    return Tail(key, base_offset, offset, memoryview(content))


def found(directory: Path, key: LogId, offset: int) -> Tail | None:
    redo = left_in(directory).get(key)
    return None if redo is None else redo.at(offset)


def same(one: Tail | None, other: Tail) -> bool:
    return one is not None and one[:3] == other[:3] and one.batches == other.batches


def test_what_was_written_is_found(made, tmp_path):
    first, other, second = tail(KEY, 5, (1, 2)), tail(OTHER_KEY, 0), tail(KEY, 8)
    assert made.append([first, other]) == 2
    assert made.append([second]) == 1
    assert same(found(tmp_path, KEY, 5), first)
    assert same(found(tmp_path, OTHER_KEY, 0), other)
    assert same(found(tmp_path, KEY, 8), second)
    assert [found(tmp_path, KEY, offset) for offset in (0, 4, 9, 100)] == [None] * 4


def test_a_log_may_have_the_first_batches_of_a_tail(made, tmp_path):
    whole = tail(KEY, 5, (1, 2, 3))
    made.append([whole])
    for offset in (6, 8):
        part = found(tmp_path, KEY, offset)
        assert part is not None
        headers = [header for header, _ in batches_of(part.batches)]
        assert (headers[0].base_offset, headers[-1].next_offset, part.end_offset) == (offset, 11, 11)
    assert found(tmp_path, KEY, 7) is None  # in the middle of a batch


def test_without_files_there_is_nothing(tmp_path):
    assert left_in(tmp_path) == {}


@pytest.mark.parametrize("content", [b"", b"\0" * 10, bytes(4096), b"BjC1", b"BjC1" + b"\xff" * 200, b"no" * 2000])
def test_what_is_no_journal_is_nothing(tmp_path, content):
    (tmp_path / FILE_NAMES[0]).write_bytes(content)
    assert left_in(tmp_path) == {}


def test_of_a_group_that_was_not_wholly_written_only_what_is_true_is_found(made, tmp_path):
    """Any sectors of it may be what was there before."""
    random = Random(1)
    before = tail(KEY, 0, (2,))
    made.append([before])
    old = (tmp_path / FILE_NAMES[0]).read_bytes()
    torn, other = tail(KEY, 2, (1, 1, 1), 300), tail(OTHER_KEY, 9, (1, 1), 300)
    made.append([torn, other])
    new = (tmp_path / FILE_NAMES[0]).read_bytes()
    for _ in range(300):
        content = bytearray(old)
        for sector in range(0, len(new), 64):
            if random.random() < 0.8:
                content[sector : sector + 64] = new[sector : sector + 64]
        (tmp_path / FILE_NAMES[0]).write_bytes(content)
        assert same(found(tmp_path, KEY, 0), before)
        for whole in (torn, other):
            part = found(tmp_path, whole.key, whole.base_offset)
            if part is not None:
                assert whole.batches[: len(part.batches)] == part.batches
                assert [header for header, _ in batches_of(part.batches)][-1].next_offset == part.end_offset


def test_the_files_take_turns_when_the_logs_have_what_is_in_them(made, logs, tmp_path):
    turns = 0
    for offset in range(200):
        logs.synced[KEY] = max(0, offset - 10)
        assert made.append([tail(KEY, offset)]) == 1
        turns += len(logs.full)
        logs.full.clear()
        for kept in range(max(0, offset - 10), offset + 1):
            assert found(tmp_path, KEY, kept) is not None
    assert turns > 5
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == dict.fromkeys(FILE_NAMES, 4096)


def test_nothing_is_written_over_what_a_log_still_needs(made, logs, tmp_path):
    offset = 0
    while made.append([tail(KEY, offset), tail(OTHER_KEY, 1)]):
        offset += 1
    assert set(logs.full) == {KEY, OTHER_KEY}  # so that there will be room
    assert offset > 10
    assert all(found(tmp_path, KEY, kept) is not None for kept in range(offset))
    logs.synced[KEY] = offset
    assert not made.append([tail(KEY, offset), tail(OTHER_KEY, 1)])
    logs.synced[OTHER_KEY] = 2
    assert made.append([tail(KEY, offset), tail(OTHER_KEY, 1)]) == 2
    assert found(tmp_path, KEY, offset) is not None


def test_a_group_has_a_limit(made, monkeypatch):
    monkeypatch.setattr(journal, "FILE_BYTES", 2**22)
    assert made.append([tail(KEY, 0)] * 501) == 500
    assert made.append([tail(KEY, 0, size=400_000)] * 4) == 2


@pytest.mark.parametrize("is_short", [False, True], ids=["error", "short write"])
def test_after_an_error_it_is_not_used_any_more(made, logs, tmp_path, monkeypatch, caplog, is_short):
    made.append([tail(KEY, 0)])

    def refuse(*_: object) -> int:
        if is_short:
            return 5
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(files, "pwritev", refuse)
        assert made.append([tail(KEY, 1)]) == 0
    assert (made.is_ready, made.begin(), logs.full) == (False, False, [KEY])
    assert "cannot write the journal" in caplog.text
    assert found(tmp_path, KEY, 0) is not None


def test_it_is_not_made_where_there_is_little_space(tmp_path, logs, monkeypatch):
    monkeypatch.setattr(journal, "SPACE_MIN_FACTOR", 2**40)
    refused = Journal(tmp_path, {}, logs.has_all, logs.full.extend)
    assert refused.begin()
    job = refused.sync_job()
    with pytest.raises(OSError, match="too little free space") as error:
        job.work()
    job.fail(error.value)
    assert (refused.is_ready, refused.begin(), list(tmp_path.iterdir())) == (False, False, [])


def test_what_could_not_be_made_is_removed(tmp_path, logs, monkeypatch):
    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(journal, "FILE_BYTES", 4096)
    refused = Journal(tmp_path, {}, logs.has_all, logs.full.extend)
    job = refused.sync_job()
    with monkeypatch.context() as patch:
        patch.setattr(files, "sync", refuse)
        with pytest.raises(OSError, match="broken") as error:
            job.work()
    job.fail(error.value)
    assert (refused.is_ready, list(tmp_path.iterdir())) == (False, [])


def test_it_is_made_anew_only_when_the_logs_have_what_a_crash_left(made, logs, tmp_path):
    made.append([tail(KEY, 0, (3,)), tail(OTHER_KEY, 0)])
    loaded = Journal(tmp_path, left_in(tmp_path), logs.has_all, logs.full.extend)
    assert not loaded.begin()
    loaded.forget(OTHER_KEY)
    assert not loaded.begin()
    loaded.recovered(KEY, 3)
    assert not loaded.begin()
    loaded.tidy()
    assert left_in(tmp_path).keys() == {KEY, OTHER_KEY}
    logs.synced[KEY] = 3
    assert loaded.begin()
    loaded.tidy()  # not any more: its files may be there already
    assert left_in(tmp_path) != {}
    make(loaded)
    assert left_in(tmp_path) == {}
    assert not loaded.begin()
    loaded.close()


def test_what_a_crash_left_goes_when_the_logs_have_it(made, logs, tmp_path):
    made.append([tail(KEY, 0, (3,))])
    loaded = Journal(tmp_path, left_in(tmp_path), logs.has_all, logs.full.extend)
    loaded.recovered(KEY, 2)
    logs.synced[KEY] = 2
    loaded.tidy()
    assert not list(tmp_path.iterdir())
    assert loaded.begin()


def test_batches_of_another_time_are_not_taken(made, tmp_path):
    made.append([tail(KEY, 4, (1, 1), epoch=7)])
    redo = left_in(tmp_path)[KEY]
    assert same(redo.at(4, 7), tail(KEY, 4, (1, 1), epoch=7))
    assert redo.at(4, 8) is None


def test_after_an_error_nobody_waits_though_the_file_cannot_be_closed(made, logs, monkeypatch):
    def refuse(*_: object) -> int:
        raise OSError(errno.EIO, "broken")

    made.append([tail(KEY, 0)])
    with monkeypatch.context() as patch:
        patch.setattr(files, "pwritev", refuse)
        patch.setattr(files, "close", refuse)
        assert made.append([tail(KEY, 1)]) == 0
    assert logs.full == [KEY]


# In a data directory.


@pytest.fixture
def process(tmp_path: Path) -> Iterator[DataDirProcess]:
    process = DataDirProcess(tmp_path / "data")
    yield process
    process.stop()


class Loop:
    def add_reader(self, fd: int, callback: Any) -> None:
        self.callback = callback

    def remove_reader(self, fd: int) -> None:
        pass


def committed(flusher: Flusher, loop: Loop, *logs: Any) -> list[Exception | None]:
    outcomes: list[Exception | None] = []
    flusher.request_all({log: [outcomes.append] for log in logs})
    while len(outcomes) < len(logs):
        if flusher._begun:
            loop.callback()
    return outcomes


def test_several_logs_are_committed_together_and_recovered_from_that(process, caplog):
    caplog.set_level(logging.INFO, "barnabas")
    data_dir = process.start()
    for name, topic_id in (("t", TOPIC_ID), ("u", OTHER_ID)):
        data_dir.catalog.commit(TopicCreated(StoredTopic(topic_id, name, 1, 0, {})))
    loop = Loop()
    data_dir.flusher.attach(loop)
    logs = [process.open("t"), process.open("u", 0, OTHER_ID)]
    for log in logs:  # of new logs the names have to be synced, too
        append(log, batch(2))
    assert committed(data_dir.flusher, loop, *logs) == [None, None]
    synced_bytes = logs[0].size_bytes
    while not data_dir._journal.is_ready:
        pass
    for round_ in range(3):
        for log in logs:
            append(log, batch(1, fill=round_))
        assert committed(data_dir.flusher, loop, *logs) == [None, None]
    assert [(log.recovery_point, log.durable_offset, log.log_end_offset) for log in logs] == [(2, 5, 5)] * 2
    assert all(log.is_dirty for log in logs)
    expected = [read_all(log) for log in logs]
    paths = [log._active.path(".log") for log in logs]
    data_dir.flusher.detach()
    process.crash()
    notes = [finding.text for finding in check(process.path).findings]
    assert notes == ["has batches of 2 partitions; the next start writes what they lost"]
    os.truncate(paths[0], synced_bytes)
    content = bytearray(paths[1].read_bytes())
    content[synced_bytes + 20 : synced_bytes + 70] = bytes(50)
    paths[1].write_bytes(content)

    process.start()
    for log, before in zip((process.open("t"), process.open("u", 0, OTHER_ID)), expected, strict=True):
        assert (read_all(log), log.recovery_point, log.log_end_offset) == (before, 0, 5)
    assert caplog.text.count("lost bytes from the journal") == 2
    assert not list(process.path.glob("*/*.damaged"))
    process.stop()
    assert not [path for path in process.path.iterdir() if path.name in FILE_NAMES]


def test_a_clean_start_has_no_journal_even_if_one_came_back(process):
    process.start()
    process.stop()
    for name in FILE_NAMES:
        (process.path / name).write_bytes(b"BjC1 of another time")
    process.start()
    assert not [path for path in process.path.iterdir() if path.name in FILE_NAMES]


def test_the_journal_ends_with_the_topics_it_is_of(process):
    data_dir = process.start()
    data_dir.catalog.commit(TopicCreated(StoredTopic(TOPIC_ID, "t", 1, 0, {})))
    log = process.open("t")
    append(log, batch())
    assert not data_dir._has_all((TOPIC_ID, 0), 1)
    data_dir.remove_log("t", 0)
    assert data_dir._has_all((TOPIC_ID, 0), 1)


def crashed_with_a_journal(process: DataDirProcess) -> list[bytes]:
    """Leave the log of t-0 with the first of five batches, and the journal with the others."""
    data_dir = process.start()
    data_dir.catalog.commit(TopicCreated(StoredTopic(TOPIC_ID, "t", 1, 0, {})))
    log = process.open()
    for number in range(5):
        append(log, batch(fill=number))
    expected = read_all(log)
    path = log._active.path(".log")
    made = data_dir._journal
    make(made)
    made.append([Tail((TOPIC_ID, 0), 1, 5, memoryview(b"".join(expected[1:])))])
    process.crash()
    os.truncate(path, len(expected[0]))
    return expected


def test_a_journal_that_cannot_be_read_is_not_taken_for_an_empty_one(process, monkeypatch):
    expected = crashed_with_a_journal(process)
    read = files.read

    def refuse(path: Path) -> bytes:
        if path.name in FILE_NAMES:
            raise OSError(errno.EIO, "Input/output error")
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(files, "read", refuse)
        with pytest.raises(StorageError, match=r"cannot read .*commits-0.journal.*move it away"):
            process.start()
        assert "cannot read" in str([finding for finding in check(process.path).findings if finding.is_problem])
    process.start()
    assert read_all(process.open()) == expected


def test_the_journal_is_there_for_a_folder_that_is_no_topics_yet(process):
    """The catalog was lost; the folder is taken in by ``adopt``, which checks all of it."""
    expected = crashed_with_a_journal(process)
    for path in process.path.glob("catalog.sqlite*"):
        path.unlink()
    process.start()
    process.stop()
    assert (process.path / FILE_NAMES[0]).exists()
    data_dir = process.start()
    log = data_dir.open_log("t", 0, TOPIC_ID, process.settings, is_sound=False)
    assert read_all(log) == expected
    process.stop()
    assert not (process.path / FILE_NAMES[0]).exists()


def test_a_partition_that_was_never_opened_can_be_deleted(process):
    crashed_with_a_journal(process)
    data_dir = process.start()
    data_dir.remove_log("t", 0, TOPIC_ID)
    assert data_dir._journal.begin()
