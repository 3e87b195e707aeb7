"""Syncs that the kernel does while we go on."""

import errno
import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from barnabas.storage.async_syncs import AsyncSyncs

TIMEOUT_S = 10


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


def wait_for(syncs: AsyncSyncs, count: int) -> dict[int, OSError | None]:
    ended: dict[int, OSError | None] = {}
    while len(ended) < count:
        assert select.select([syncs.told], [], [], TIMEOUT_S)[0]
        ended |= dict(syncs.ended())
    return ended


def test_as_many_as_are_allowed_are_synced_again_and_again(syncs, descriptors):
    for count in (1, AsyncSyncs.SYNCS_MAX, 3):
        numbers = syncs.begin(descriptors[:count])
        assert len(set(numbers)) == count
        assert wait_for(syncs, count) == dict.fromkeys(numbers)
    assert syncs.ended() == []


def test_others_are_begun_while_some_are_under_way(syncs, descriptors):
    numbers = [*syncs.begin(descriptors[:2]), *syncs.begin(descriptors[2:5])]
    assert len(set(numbers)) == 5
    assert wait_for(syncs, 5) == dict.fromkeys(numbers)


def test_one_may_wait_for_them_without_a_loop(syncs, descriptors):
    left = set(syncs.begin(descriptors))
    while left:
        ended = syncs.ended(must_wait=True)
        assert ended
        left -= {number for number, _ in ended}


def test_a_file_may_be_closed_meanwhile(syncs, tmp_path):
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.pwrite(descriptor, b"content", 0)
    numbers = syncs.begin([descriptor])
    os.close(descriptor)
    assert wait_for(syncs, 1) == dict.fromkeys(numbers)


def test_it_ends_before_what_cannot_be_synced(syncs, descriptors):
    reading, writing = os.pipe()
    numbers = syncs.begin([*descriptors[:2], writing, *descriptors[2:]])
    assert wait_for(syncs, 2) == dict.fromkeys(numbers)
    assert syncs.begin([-1, *descriptors]) == []
    for descriptor in (reading, writing):
        os.close(descriptor)


def test_when_the_kernel_does_not_tell_nothing_is_synced_and_no_more_is_begun(syncs, descriptors, monkeypatch):
    numbers = syncs.begin(descriptors[:2])
    with monkeypatch.context() as patch:
        patch.setattr(syncs, "_calls", syncs._calls._replace(getevents=-1))
        outcomes = syncs.ended()
    assert {number: error and error.errno for number, error in outcomes} == dict.fromkeys(numbers, errno.ENOSYS)
    assert syncs.begin(descriptors[:2]) == []


def test_more_than_are_allowed_are_not_begun(syncs, descriptors):
    assert len(syncs.begin([*descriptors, *descriptors])) == AsyncSyncs.SYNCS_MAX
    assert syncs.begin(descriptors) == []
    wait_for(syncs, AsyncSyncs.SYNCS_MAX)
