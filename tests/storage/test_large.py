"""Logs and directories of a size that no test can fill: what opening them looks at does not grow with it."""

import os
from pathlib import Path

import pytest
from support.logs import START_MS, LogFolder, Settings, append, batch, read_all

from barnabas.protocol.records import ATTRIBUTES_OFFSET, BATCH_OVERHEAD, HEADER, LOG_OVERHEAD, MAGIC, crc32c
from barnabas.storage import recovery, segment
from barnabas.storage.file_pool import FilePool
from barnabas.storage.producers import ProducerStates
from barnabas.storage.recovery import open_log
from barnabas.storage.segment import file_name

SEGMENT_BYTES = 2**30
BATCH_BYTES = 2**20
# What follows the CRC in the header of each batch: one record of one time and of no producer.
REST = (0, 0, START_MS, START_MS, -1, -1, -1, 1)


def write_sparse(folder: Path, count: int) -> None:
    """Segments of a GiB each, in batches of a MiB of which only the header is on the disk."""
    folder.mkdir()
    per_segment = SEGMENT_BYTES // BATCH_BYTES
    covered = HEADER.pack(0, 0, 0, MAGIC, 0, *REST)[ATTRIBUTES_OFFSET:] + bytes(BATCH_BYTES - BATCH_OVERHEAD)
    crc = crc32c(covered)
    for number in range(count):
        base = number * per_segment
        with (folder / file_name(base, ".log")).open("wb") as file:
            for at in range(per_segment):
                header = HEADER.pack(base + at, BATCH_BYTES - LOG_OVERHEAD, 0, MAGIC, crc, *REST)
                os.pwrite(file.fileno(), header, at * BATCH_BYTES)
            file.truncate(SEGMENT_BYTES)
        index = b"".join(
            at.to_bytes(4, "big") + (at * BATCH_BYTES).to_bytes(4, "big") for at in range(1, per_segment, 8)
        )
        (folder / file_name(base, ".index")).write_bytes(index)
        (folder / file_name(base, ".timeindex")).write_bytes(START_MS.to_bytes(8, "big") + bytes(4))


class Looks:
    """Counts the batch headers that are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        monkeypatch.setattr(segment, "read_header", self._counted(segment.read_header))
        monkeypatch.setattr(recovery, "read_header", self._counted(recovery.read_header))

    def _counted(self, read):  # type: ignore[no-untyped-def]
        def look(*arguments):  # type: ignore[no-untyped-def]
            self.count += 1
            return read(*arguments)

        return look


@pytest.mark.parametrize("how", ["stop", "crash"])
def test_what_opening_looks_at_does_not_grow_with_the_log(tmp_path, monkeypatch, how):
    """100 GiB and 1 GiB, apart from the last segment, which is as small in both."""
    looks = {}
    for size in (1, 100):
        folder = LogFolder(tmp_path / str(size), Settings(segment_bytes=SEGMENT_BYTES))
        write_sparse(folder.partition, size)
        end = size * SEGMENT_BYTES // BATCH_BYTES
        with (folder.partition / file_name(end, ".log")).open("wb"):
            pass
        ProducerStates().write_snapshot(folder.partition / file_name(end, ".snapshot"))
        log = folder.open(end)
        contents = [batch(), batch()]
        for content in contents:
            append(log, content)
        if how == "stop":
            folder.close(log)
        else:
            log.close()
        with monkeypatch.context() as patch:
            counted = Looks(patch)
            again = folder.open(None if how == "stop" else end)
            looks[size] = counted.count
        assert again.log_end_offset == end + 2
        assert again.size_bytes > size * SEGMENT_BYTES
        assert bytes(again.read(end, 10_000, True).batches) == b"".join(contents)
        middle = again.read(end // 2, 1, True)
        assert len(middle.batches) == BATCH_BYTES
        again.let_go()
    assert looks[100] <= looks[1] + 10


def test_reading_all_of_a_log_opens_no_more_files_than_the_pool_has(tmp_path):
    folder = LogFolder(tmp_path / "data", Settings(segment_bytes=150))
    pool = FilePool(5)
    log = open_log(folder.partition, folder.settings, folder.clock, lambda _: None, None, pool=pool)
    contents = [batch(size=60) for _ in range(200)]
    before = len(os.listdir("/proc/self/fd"))
    for content in contents:
        append(log, content)
    assert read_all(log, 1) == contents
    assert len(log.segments) == 200
    assert len(os.listdir("/proc/self/fd")) <= before + 10
    log.let_go()
