"""Files that are open while they are used, and no more of them than the pool allows."""

import errno
import gc
import mmap
import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from barnabas.storage import files, mapped_file
from barnabas.storage.errors import FULL
from barnabas.storage.file_pool import FilePool
from barnabas.storage.mapped_file import MappedFile


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
            assert file.view(0, 9) == b"content %d" % number if number < 10 else True
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
    view = file.view(0, 7)
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


# Maps


def no_map(*_: object, **__: object) -> None:
    raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))


def test_a_map_is_not_much_longer_than_its_file(tmp_path):
    pool = FilePool(1)
    file = make(tmp_path, pool, 0)
    assert file.view(0, 7, 2**30) == b"content"
    assert pool.mapped_bytes <= 2**20
    os.truncate(tmp_path / "0", 100 * 2**20)
    assert file.view(0, 100 * 2**20, 2**30)[:7] == b"content"
    assert 100 * 2**20 < pool.mapped_bytes <= 120 * 2**20
    file.forget_map()
    file.view(0, 7)
    assert pool.mapped_bytes == 100 * 2**20


def test_reading_does_not_change_the_length_of_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "truncate", lambda *_: pytest.fail("the file was truncated"))
    assert make(tmp_path, FilePool(1), 0).view(0, 7, 2**30) == b"content"


def test_maps_are_counted_until_their_last_view_is_gone(tmp_path):
    pool = FilePool(2)
    file = make(tmp_path, pool, 0)
    views = [file.view(0, 7), file.view(0, 7, 2**30)]
    file.close()
    assert pool.mapped_bytes > 0
    del views
    assert pool.mapped_bytes == 0


@pytest.mark.parametrize("capacity", [0, 4096])
def test_a_file_is_read_without_a_map_where_there_can_be_none(tmp_path, monkeypatch, caplog, capacity):
    monkeypatch.setattr("barnabas.storage.mapped_file._mapped", no_map)
    pool = FilePool(2)
    mapped = [make(tmp_path, pool, number) for number in range(2)]
    for file in mapped:
        assert file.view(2, 9, capacity) == b"ntent %d" % mapped.index(file)
    assert [record.getMessage().count("cannot be mapped") for record in caplog.records] == [1]


def test_other_maps_go_when_there_is_no_address_space_left(tmp_path, monkeypatch):
    pool = FilePool(2)
    first, second = make(tmp_path, pool, 0), make(tmp_path, pool, 1)
    first.view(0, 7)
    whole = mapped_file._mapped

    def mapped(*arguments: int) -> object:
        return no_map() if pool.mapped_bytes else whole(*arguments)

    monkeypatch.setattr(mapped_file, "_mapped", mapped)
    assert isinstance(second.view(0, 7).obj, mmap.mmap)
    assert first.view(0, 7) == b"content"


def test_maps_take_no_more_than_they_may(tmp_path):
    pool = FilePool(10, map_bytes_max=25)
    mapped = [make(tmp_path, pool, number) for number in range(10)]
    for _ in range(2):
        for file in mapped:
            assert isinstance(file.view(0, 9).obj, mmap.mmap)
            assert pool.mapped_bytes <= 25


def test_a_file_that_is_larger_than_maps_may_be_is_read_by_copies(tmp_path):
    pool = FilePool(1, map_bytes_max=5)
    assert isinstance(make(tmp_path, pool, 0).view(0, 9).obj, bytes)


def test_a_map_is_tried_again_after_some_copies(tmp_path, monkeypatch):
    file = make(tmp_path, FilePool(1), 0)
    with monkeypatch.context() as patch:
        patch.setattr(mapped_file, "_mapped", no_map)
        assert isinstance(file.view(0, 7).obj, bytes)
    for _ in range(mapped_file._COPIES_BEFORE_RETRY):
        assert file.view(0, 7) == b"content"
    assert isinstance(file.view(0, 7).obj, mmap.mmap)


def test_a_copy_that_there_is_no_memory_for_is_an_error_that_passes(tmp_path, monkeypatch):
    def no_memory(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(mapped_file, "_mapped", no_map)
    monkeypatch.setattr(files, "pread", no_memory)
    with pytest.raises(OSError) as caught:
        make(tmp_path, FilePool(1), 0).view(0, 7)
    assert caught.value.errno in FULL


def test_a_file_that_another_program_has_cut_is_an_error_and_no_signal(tmp_path):
    file = make(tmp_path, FilePool(1), 0)
    os.truncate(tmp_path / "0", 3)
    with pytest.raises(OSError, match="ends before position 7"):
        file.view(0, 7)


def test_a_copy_goes_on_after_a_short_read(tmp_path, monkeypatch):
    pread = os.pread
    monkeypatch.setattr(mapped_file, "_mapped", no_map)
    monkeypatch.setattr(files, "pread", lambda fd, size, position: pread(fd, min(size, 2), position))
    assert make(tmp_path, FilePool(1), 0).view(0, 9) == b"content 0"
