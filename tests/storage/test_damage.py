"""Every file cut at every byte, every byte flipped: what is read afterwards is right, or the damage is reported."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

import pytest
from support.logs import LogFolder, Settings, append, batch, read_all

from barnabas.protocol.records import BatchCorrupt, headers, read_header, verify
from barnabas.storage import recovery, segment
from barnabas.storage.checkpoints import read_offsets, write_offsets
from barnabas.storage.errors import StorageError
from barnabas.storage.segments import SegmentedLog

SEGMENTS = 4
RECOVERY_POINTS = (0, 9, 22, 28, 1000)
# The short run looks at every eleventh byte; a batch has 86, so that it comes to all fields.
STRIDES = [pytest.param(11, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)]


class Damaged:
    """A folder with a log of several segments, whose files are damaged one by one."""

    def __init__(self, path: Path, caplog: pytest.LogCaptureFixture, stride: int) -> None:
        self.folder = LogFolder(path, Settings(segment_bytes=420, index_interval_bytes=90))
        self.caplog = caplog
        self.stride = stride
        log = self.folder.open()
        for number in range(14):
            producer = number % 2
            append(log, batch(2, 5, 1000 + number, producer, 0, number // 2 * 2), leader_epoch=number // 6)
        self.batches = read_all(log)
        self.folder.close(log)
        self.files = self.folder.files()
        self.logs = sorted(name for name in self.files if name.endswith(".log"))
        assert len(self.logs) == SEGMENTS
        assert all(len(self.files[f"{name[:20]}.index"]) >= 8 for name in self.logs[:-1])

    def names(self, suffix: str) -> list[str]:
        return sorted(name for name in self.files if name.endswith(suffix))

    def put(self, name: str, content: bytes) -> None:
        self.folder.restore(self.files | {name: content})
        self.caplog.clear()

    def reports(self) -> list[str]:
        return [record.getMessage() for record in self.caplog.records if record.levelno >= logging.WARNING]

    def cuts(self, name: str) -> Iterator[int]:
        for size in range(0, len(self.files[name]), self.stride):
            self.put(name, self.files[name][:size])
            yield size

    def flips(self, name: str, mask: int) -> Iterator[int]:
        for position in range(0, len(self.files[name]), self.stride):
            content = bytearray(self.files[name])
            content[position] ^= mask
            self.put(name, bytes(content))
            yield position

    def positions(self, name: str) -> Iterator[int]:
        return (position for position, _ in headers(self.files[name]))

    def check_recovery(self, recovery_point: int) -> None:
        """Recover and read: it is a prefix, or what is left with a word about it; nothing whole is thrown away."""
        before = self._content("*.log")
        log = self.folder.open(recovery_point)
        found = read_all(log)
        if [_known(content) for content in found] != [_known(content) for content in self.batches[: len(found)]]:
            assert self.reports() != []
            known = iter([_checked(content) for content in self.batches])
            assert all(_checked(content) in known for content in found), "something was made up, or is out of order"
        after = b"".join(found) + self._content("*.damaged")
        assert all(content in after for content in self.batches if content in before), "whole batches are gone"
        self.check_that_life_goes_on(log)

    def _content(self, pattern: str) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.folder.partition.glob(pattern)))

    def check_that_life_goes_on(self, log: SegmentedLog, beside: str = "") -> None:
        """``beside``: the file that was damaged, when it is one that nobody has to repair."""
        end = log.log_end_offset
        for number in range(2):
            assert append(log, batch(3, 20, 5000), leader_epoch=9).base_offset == end + 3 * number
        assert log.batch_at_or_after(5000) is not None
        self.folder.close(log)
        assert [finding for finding in self.folder.problems() if finding.path.name != beside] == []

    def check_reading(self, recovery_point: int | None) -> None:
        """Open without looking at what was damaged: what is read is right, or an error is raised."""
        try:
            log = self.folder.open(recovery_point)
        except StorageError:
            return
        for offset in range(0, min(log.log_end_offset, 28), 2):
            for max_bytes in (1, 250, 10_000):
                with suppress(StorageError, BatchCorrupt):
                    content = bytes(log.read(offset, max_bytes, True).batches)
                    self._check_first(content, offset)
        for number in range(14):
            with suppress(StorageError, BatchCorrupt):
                found = log.batch_at_or_after(1000 + number)
                if found is not None:
                    assert verify(found).max_timestamp >= 1000 + number
        log.let_go()

    def _check_first(self, content: bytes, offset: int) -> None:
        """The first batch is the right one, or its CRC is wrong, which is for the consumer to see."""
        header = read_header(content)
        verify(content[: header.size_bytes])
        wanted = self.batches[offset // 2]
        if header.base_offset == read_header(wanted).base_offset:
            assert _checked(content[: header.size_bytes]) == _checked(wanted)


def _known(content: bytes) -> bytes:
    """All of a batch but its leader epoch, where a flipped byte is nothing that anybody can see."""
    return content[:12] + content[16:]


def _checked(content: bytes) -> bytes:
    """What the CRC covers."""
    return content[21:]


@pytest.fixture(params=STRIDES)
def damaged(
    request: pytest.FixtureRequest, fast_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Damaged:
    for module in (recovery, segment):  # so that indexes which are rebuilt get entries too
        monkeypatch.setattr(module, "INDEX_INTERVAL_BYTES", 90)
    return Damaged(fast_path / "data", caplog, request.param)


@pytest.mark.parametrize("number", range(SEGMENTS))
def test_a_log_cut_at_any_byte_recovers_a_prefix_or_reports_the_damage(damaged, number):
    for _ in damaged.cuts(damaged.logs[number]):
        damaged.check_recovery(0)


@pytest.mark.parametrize("recovery_point", RECOVERY_POINTS)
def test_the_last_segment_cut_at_any_byte_recovers_a_prefix_from_any_recovery_point(damaged, recovery_point):
    for _ in damaged.cuts(damaged.logs[-1]):
        damaged.check_recovery(recovery_point)


@pytest.mark.parametrize("mask", [0x01, pytest.param(0x80, marks=pytest.mark.slow), 0xFF])
@pytest.mark.parametrize("number", range(SEGMENTS))
def test_a_log_with_any_byte_flipped_recovers_a_prefix_or_reports_the_damage(damaged, number, mask):
    for _ in damaged.flips(damaged.logs[number], mask):
        damaged.check_recovery(0)


@pytest.mark.parametrize("recovery_point", [None, *RECOVERY_POINTS])
@pytest.mark.parametrize("number", range(SEGMENTS))
def test_damage_in_a_log_that_nobody_looked_for_is_an_error_when_it_is_read(damaged, number, recovery_point):
    for _ in damaged.cuts(damaged.logs[number]):
        damaged.check_reading(recovery_point)
    for mask in (0x01, 0xFF):
        for _ in damaged.flips(damaged.logs[number], mask):
            damaged.check_reading(recovery_point)


@pytest.mark.parametrize("length", [-(2**31), -12, -1, 0, 1, 48, 49, 2**31 - 1])
@pytest.mark.parametrize("recovery_point", [None, *RECOVERY_POINTS])
def test_a_length_that_makes_no_sense_ends_no_loop_and_starts_none(damaged, length, recovery_point):
    name = damaged.logs[1]
    for position in damaged.positions(name):
        content = bytearray(damaged.files[name])
        content[position + 8 : position + 12] = length.to_bytes(4, "big", signed=True)
        damaged.put(name, bytes(content))
        damaged.check_reading(recovery_point)
        damaged.put(name, bytes(content))
        damaged.check_recovery(0)


@pytest.mark.parametrize("recovery_point", [None, *RECOVERY_POINTS])
@pytest.mark.parametrize("suffix", [".index", ".timeindex", ".snapshot"])
def test_damage_beside_the_log_hides_nothing_in_it(damaged, suffix, recovery_point):
    for name in damaged.names(suffix):
        for _ in chain(damaged.cuts(name), damaged.flips(name, 0x01), damaged.flips(name, 0x80)):
            log = damaged.folder.open(recovery_point)
            assert read_all(log, 1) == damaged.batches
            assert [log.batch_at_or_after(1000 + number) for number in range(14)] == damaged.batches
            assert log.batch_of_max_timestamp() == damaged.batches[-1]
            for content in damaged.batches[-10:]:
                assert append(log, bytearray(content)).base_offset == read_header(content).base_offset
            damaged.check_that_life_goes_on(log, beside=name)


@pytest.mark.parametrize("recovery_point", [None, 0])
def test_damage_in_the_leader_epochs_leaves_the_log_alone(damaged, recovery_point):
    name = "leader-epoch-checkpoint"
    for _ in chain(damaged.cuts(name), damaged.flips(name, 0x01), damaged.flips(name, 0x80)):
        log = damaged.folder.open(recovery_point)
        assert read_all(log) == damaged.batches
        for epoch in range(-1, 12):
            log.epochs.end_of(epoch, 9, log.log_end_offset)
        damaged.check_that_life_goes_on(log)


def test_a_recovery_point_file_cut_or_flipped_anywhere_is_read_or_refused(tmp_path):
    path = tmp_path / "recovery-point-offset-checkpoint"
    write_offsets(path, {("t", 0): 28, ("a-b", 12): 5})
    whole = path.read_bytes()
    damages = [whole[:size] for size in range(len(whole))]
    damages += [
        whole[:at] + bytes([whole[at] ^ mask]) + whole[at + 1 :]
        for at in range(len(whole))
        for mask in (1, 0x80, 255)
    ]
    for content in damages:
        path.write_bytes(content)
        with suppress(StorageError):
            assert all(isinstance(offset, int) for offset in read_offsets(path).values())


def test_the_indexes_of_what_was_cut_off_go_with_it(tmp_path):
    """They are written again unsynced: after a power failure the old ones could be there again."""
    folder = LogFolder(tmp_path / "data", Settings(index_interval_bytes=0))
    log = folder.open()
    for _ in range(3):
        append(log, batch())
    folder.close(log)
    path = log.segments[0].path(".log")
    path.write_bytes(path.read_bytes()[:-1])
    again = folder.open(0)
    assert not [name for name in folder.files() if name.endswith("index")]
    folder.close(again)
    assert folder.problems() == []
