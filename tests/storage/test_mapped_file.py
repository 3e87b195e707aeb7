"""Files that are open while they are used, and no more of them than the pool allows."""

import errno
import gc
import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from barnabas.storage import files
from barnabas.storage.mapped_file import FilePool, MappedFile


def make(tmp_path: Path, pool: FilePool, number: int) -> MappedFile:
    path = tmp_path / str(number)
    path.write_bytes(b"content %d" % number)
    return MappedFile(lambda: str(path), pool)


def descriptors() -> int:
    gc.collect()  # what other tests have left open is not closed while this one counts
    return len(os.listdir("/proc/self/fd"))


def test_no_more_files_are_open_than_the_pool_allows(tmp_path):
    pool = FilePool(3)
    before = descriptors()
    mapped = [make(tmp_path, pool, number) for number in range(20)]
    for _ in range(2):
        for number, file in enumerate(mapped):
            assert os.pread(file.fd, 20, 0) == b"content %d" % number
            assert file.view(0, 9, 0) == b"content %d" % number if number < 10 else True
            assert len(pool) <= 3
            assert descriptors() <= before + 6
    for file in mapped:
        file.close()
    assert (len(pool), descriptors()) == (0, before)


def test_what_is_used_stays_open(tmp_path):
    pool = FilePool(3)
    used = make(tmp_path, pool, 0)
    descriptor = used.fd
    for number in range(1, 10):
        assert make(tmp_path, pool, number).fd >= 0
        assert used.fd == descriptor


@pytest.mark.parametrize("limit", [1, 2])
def test_a_file_that_was_just_opened_is_open(tmp_path, limit):
    pool = FilePool(limit)
    for number in range(5):
        file = make(tmp_path, pool, number)
        assert os.pread(file.fd, 20, 0) == b"content %d" % number


def test_a_view_outlives_the_file_that_it_shows(tmp_path):
    file = make(tmp_path, FilePool(1), 0)
    view = file.view(0, 7, 0)
    file.close()
    (tmp_path / "0").unlink()
    assert view == b"content"


def test_a_file_that_grows_is_mapped_once(tmp_path):
    file = make(tmp_path, FilePool(1), 0)
    first = file.view(0, 7, 4096)
    os.pwrite(file.fd, b"more", 9)
    assert file.view(0, 13, 4096).obj is first.obj
    assert (tmp_path / "0").stat().st_size == 13


def test_a_file_that_left_the_pool_is_not_closed_by_it(tmp_path):
    pool = FilePool(1)
    file = make(tmp_path, pool, 0)
    descriptor = file.fd
    file.leave_pool()
    assert make(tmp_path, pool, 1).fd >= 0
    assert file.fd == descriptor
    file.close()


@pytest.mark.parametrize("is_opened_again", [False, True])
@pytest.mark.parametrize("error", [None, OSError(errno.EIO, "broken")])
def test_a_file_that_is_closed_while_it_is_synced_is_closed_afterwards(tmp_path, monkeypatch, is_opened_again, error):
    before = descriptors()
    file = make(tmp_path, FilePool(1), 0)
    first, synced = file.fd, []

    def sync(descriptor: int) -> None:
        for _ in range(1 + is_opened_again):
            file.close()
            if is_opened_again:
                assert file.fd != first
        assert os.pread(descriptor, 7, 0) == b"content"
        synced.append(descriptor)
        if error:
            raise error

    monkeypatch.setattr(files, "sync", sync)
    with pytest.raises(OSError, match="broken") if error else nullcontext():
        file.sync()
    assert synced == [first]
    assert descriptors() == before + is_opened_again
    file.close()
    assert descriptors() == before


def test_a_file_that_is_not_open_is_synced_by_its_name(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "sync", lambda descriptor: synced.append(os.pread(descriptor, 9, 0)))
    before = descriptors()
    make(tmp_path, FilePool(1), 3).sync()
    assert (synced, descriptors()) == ([b"content 3"], before)


def test_half_of_the_descriptors_are_left_to_others():
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 64 <= FilePool().limit <= 16_384
    if soft < 2**16:
        assert FilePool().limit * 2 <= max(soft // 2, 128)
