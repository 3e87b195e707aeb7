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


def begin(syncs: AsyncSyncs, descriptors: list[int]) -> list[int]:
    numbers = [syncs.begin(descriptor) for descriptor in descriptors]
    assert len({*numbers} - {None}) == len(descriptors)
    return [number for number in numbers if number is not None]


def wait_for(syncs: AsyncSyncs, count: int) -> dict[int, OSError | None]:
    ended: dict[int, OSError | None] = {}
    while len(ended) < count:
        assert select.select([syncs.told], [], [], TIMEOUT_S)[0]
        ended |= dict(syncs.ended())
    return ended


def test_as_many_as_are_allowed_are_synced_again_and_again(syncs, descriptors):
    for count in (1, AsyncSyncs.SYNCS_MAX, 3):
        numbers = begin(syncs, descriptors[:count])
        assert wait_for(syncs, count) == dict.fromkeys(numbers)
    assert syncs.ended() == []


def test_one_may_wait_for_them_without_a_loop(syncs, descriptors):
    left = set(begin(syncs, descriptors))
    while left:
        ended = syncs.ended(must_wait=True)
        assert ended
        left -= {number for number, _ in ended}


def test_a_file_may_be_closed_meanwhile(syncs, tmp_path):
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.pwrite(descriptor, b"content", 0)
    numbers = begin(syncs, [descriptor])
    os.close(descriptor)
    assert wait_for(syncs, 1) == dict.fromkeys(numbers)


def test_what_cannot_be_synced_is_not_begun(syncs, descriptors):
    reading, writing = os.pipe()
    assert (syncs.begin(writing), syncs.begin(-1)) == (None, None)
    numbers = begin(syncs, descriptors)
    assert wait_for(syncs, len(numbers)) == dict.fromkeys(numbers)
    for descriptor in (reading, writing):
        os.close(descriptor)


def test_when_the_kernel_does_not_tell_nothing_is_synced_and_no_more_is_begun(syncs, descriptors, monkeypatch):
    numbers = begin(syncs, descriptors[:2])
    with monkeypatch.context() as patch:
        patch.setattr(syncs, "_calls", syncs._calls._replace(getevents=-1))
        outcomes = syncs.ended()
    assert {number: error and error.errno for number, error in outcomes} == dict.fromkeys(numbers, errno.ENOSYS)
    assert syncs.begin(descriptors[0]) is None


def test_more_than_are_allowed_are_not_begun(syncs, descriptors):
    numbers = begin(syncs, descriptors)
    assert syncs.begin(descriptors[0]) is None
    assert wait_for(syncs, len(numbers)) == dict.fromkeys(numbers)
    assert syncs.begin(descriptors[0]) is not None
    wait_for(syncs, 1)
