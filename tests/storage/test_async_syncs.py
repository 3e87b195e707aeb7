"""Syncs that the kernel does side by side."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from barnabas.storage.async_syncs import AsyncSyncs


@pytest.fixture
def syncs() -> Iterator[AsyncSyncs]:
    try:
        syncs = AsyncSyncs()
    except OSError as error:
        pytest.skip(str(error))
    yield syncs
    syncs.close()


@pytest.fixture
def descriptors(tmp_path: Path) -> Iterator[list[int]]:
    opened = [os.open(tmp_path / str(number), os.O_RDWR | os.O_CREAT) for number in range(AsyncSyncs.SYNCS_MAX)]
    for descriptor in opened:
        os.pwrite(descriptor, b"content", 0)
    yield opened
    for descriptor in opened:
        os.close(descriptor)


def test_as_many_as_are_allowed_are_synced_again_and_again(syncs, descriptors):
    for count in (1, AsyncSyncs.SYNCS_MAX, 3):
        assert syncs.begin(descriptors[:count]) == count
        assert syncs.wait(count) == [None] * count


def test_a_file_may_be_closed_meanwhile(syncs, tmp_path):
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.pwrite(descriptor, b"content", 0)
    assert syncs.begin([descriptor]) == 1
    os.close(descriptor)
    assert syncs.wait(1) == [None]


def test_it_ends_before_what_cannot_be_synced(syncs, descriptors):
    reading, writing = os.pipe()
    assert syncs.begin([*descriptors[:2], writing, *descriptors[2:]]) == 2
    assert syncs.wait(2) == [None, None]
    assert syncs.begin([-1, *descriptors]) == 0
    assert syncs.wait(0) == []
    for descriptor in (reading, writing):
        os.close(descriptor)


def test_when_the_kernel_does_not_tell_nothing_is_synced_and_no_more_is_begun(syncs, descriptors, monkeypatch):
    assert syncs.begin(descriptors[:2]) == 2
    with monkeypatch.context() as patch:
        patch.setattr(syncs, "_calls", syncs._calls._replace(getevents=-1))
        assert [error and error.errno for error in syncs.wait(2)] == [errno.ENOSYS] * 2
    assert syncs.begin(descriptors[:2]) == 0


def test_more_than_are_allowed_are_not_begun(syncs, descriptors):
    assert syncs.begin([*descriptors, *descriptors]) == AsyncSyncs.SYNCS_MAX
    assert syncs.wait(AsyncSyncs.SYNCS_MAX) == [None] * AsyncSyncs.SYNCS_MAX
