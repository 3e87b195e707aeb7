import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.protocol.framing import (
    CONTROL_FRAME_BYTES_MAX,
    FIRST_BUFFER_BYTES,
    LARGE_BYTES,
    POOL_BYTES_MAX,
    SCRATCH_BYTES,
    BufferPool,
    FrameReader,
    FrameTooLarge,
)
from barnabas.protocol.primitives import MalformedMessage

LIMIT = 2**20
PRODUCE, OTHER = 0, 3


def reader(pool: BufferPool | None = None, scratch_bytes: int = SCRATCH_BYTES) -> FrameReader:
    return FrameReader(memoryview(bytearray(scratch_bytes)), pool or BufferPool(2**26), LIMIT)


def frame(size: int, key: int = PRODUCE, fill: int = 1) -> bytes:
    """Return a frame of ``size`` bytes behind its length."""
    return struct.pack(">ih", size, key) + bytes([fill % 256]) * (size - 2)


def receive(reader: FrameReader, data: bytes) -> list[bytes]:
    """Hand ``data`` over as a socket does, in as many pieces as the buffers make of it."""
    got = []
    position = 0
    while position < len(data):
        buffer = reader.buffer()
        piece = data[position : position + len(buffer)]
        buffer[: len(piece)] = piece
        position += len(piece)
        reader.received(len(piece))
        while (found := reader.next_frame()) is not None:
            got.append(bytes(found))
        reader.keep()
    return got


SIZES = st.one_of(
    st.integers(10, 200),
    st.integers(LARGE_BYTES - 8, LARGE_BYTES + 8),
    st.integers(LARGE_BYTES, 3 * LARGE_BYTES),
    st.integers(SCRATCH_BYTES - 8, SCRATCH_BYTES + 8),
)


@given(
    sizes=st.lists(SIZES, min_size=1, max_size=8),
    cuts=st.lists(st.one_of(st.integers(1, 20), st.integers(1, SCRATCH_BYTES)), min_size=1, max_size=6),
)
@settings(deadline=None, max_examples=150)
def test_frames_come_out_whatever_the_pieces_they_came_in(sizes: list[int], cuts: list[int]) -> None:
    frames = [frame(size, fill=index) for index, size in enumerate(sizes)]
    stream, under_test = b"".join(frames), reader()
    got: list[bytes] = []
    position, turn = 0, 0
    while position < len(stream):
        size = max(cuts[turn % len(cuts)], len(stream) // 2000)
        got += receive(under_test, stream[position : position + size])
        position += size
        turn += 1
    assert got == [each[4:] for each in frames]
    assert under_test.unread_bytes == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 70_000)), min_size=1, max_size=40))
@settings(deadline=None, max_examples=60)
def test_connections_that_share_the_scratch_buffer_do_not_mix(turns: list[tuple[int, int]]) -> None:
    scratch, pool = memoryview(bytearray(SCRATCH_BYTES)), BufferPool(2**26)
    readers = [FrameReader(scratch, pool, LIMIT) for _ in range(4)]
    streams = [
        b"".join(frame(size, fill=index) for size in (10, 70_000, 65_536, 100, 65_537) * 9) for index in range(4)
    ]
    positions = [0] * 4
    got: list[list[bytes]] = [[], [], [], []]
    for index, size in [*turns, *[(index, SCRATCH_BYTES) for _ in range(9) for index in range(4)]]:
        got[index] += receive(readers[index], streams[index][positions[index] : positions[index] + size])
        positions[index] += size
    for index in range(4):
        whole, at = [], 0
        for each in got[index]:
            assert streams[index][at + 4 : at + 4 + len(each)] == each
            at += 4 + len(each)
            whole.append(each)
        assert len(whole) == 45


def test_a_frame_can_be_written_to() -> None:
    """Offsets and epochs are put into record batches where they are."""
    under_test = reader()
    for size in (100, LARGE_BYTES + 1):
        data = frame(size)
        buffer = under_test.buffer()
        first = data[: min(len(buffer), 90)]
        buffer[: len(first)] = first
        under_test.received(len(first))
        assert under_test.next_frame() is None
        under_test.keep()
        rest = data[len(first) :]
        while rest:
            buffer = under_test.buffer()
            piece, rest = rest[: len(buffer)], rest[len(buffer) :]
            buffer[: len(piece)] = piece
            under_test.received(len(piece))
            found = under_test.next_frame()
            if found is None:
                under_test.keep()
        assert found is not None
        found[5] = 99
        assert not found.readonly


@pytest.mark.parametrize("size", [-(2**31), -1, 0, 1, 9])
def test_a_size_below_that_of_a_header_is_refused(size: int) -> None:
    with pytest.raises(MalformedMessage):
        receive(reader(), struct.pack(">i", size) + bytes(20))


@pytest.mark.parametrize("key", [PRODUCE, OTHER, -1, 32767])
def test_a_frame_over_the_limit_is_refused_before_it_has_come(key: int) -> None:
    with pytest.raises(FrameTooLarge):
        receive(reader(), struct.pack(">ih", LIMIT + 1, key))
    assert receive(reader(), struct.pack(">ih", LIMIT, key)) == []


def test_only_produce_may_be_larger_than_the_limit_for_control_frames() -> None:
    scratch, pool = memoryview(bytearray(SCRATCH_BYTES)), BufferPool(2**30)
    size = CONTROL_FRAME_BYTES_MAX + 1
    assert receive(FrameReader(scratch, pool, 2**30), struct.pack(">ih", size, PRODUCE)) == []
    with pytest.raises(FrameTooLarge):
        receive(FrameReader(scratch, pool, 2**30), struct.pack(">ih", size, OTHER))
    assert receive(FrameReader(scratch, pool, 2**30), struct.pack(">ih", size - 1, OTHER)) == []


def test_nothing_is_decided_before_the_size_and_the_key_have_come() -> None:
    under_test = reader()
    for byte in struct.pack(">ih", LIMIT, PRODUCE)[:5]:
        assert receive(under_test, bytes([byte])) == []
    assert under_test.unread_bytes == 5


def test_frames_that_were_not_asked_for_are_kept() -> None:
    """As when an answer has to be waited for: what came behind it stays."""
    under_test = reader()
    data = frame(20, fill=1) + frame(30, fill=2) + frame(40, fill=3)[:25]
    under_test.buffer()[: len(data)] = data
    under_test.received(len(data))
    first = under_test.next_frame()
    assert first is not None
    assert bytes(first) == frame(20, fill=1)[4:]
    under_test.keep()
    assert under_test.unread_bytes == 34 + 25
    second = under_test.next_frame()
    assert second is not None
    assert bytes(second) == frame(30, fill=2)[4:]
    assert under_test.next_frame() is None
    under_test.keep()
    assert receive(under_test, frame(40, fill=3)[25:]) == [frame(40, fill=3)[4:]]


def test_a_starved_connection_goes_on_when_the_budget_is_back() -> None:
    pool = BufferPool(3 * FIRST_BUFFER_BYTES)
    hoarder, starved = reader(pool), reader(pool)
    receive(hoarder, frame(200_000)[:100_000])
    data = frame(200_000, fill=7)
    assert receive(starved, data[: 4 + FIRST_BUFFER_BYTES]) == []
    assert starved.is_starved
    assert starved.unread_bytes == FIRST_BUFFER_BYTES
    assert starved.next_frame() is None
    starved.keep()
    assert starved.is_starved
    assert pool.has_refused

    hoarder.release()

    assert starved.next_frame() is None
    starved.keep()
    assert not starved.is_starved
    assert receive(starved, data[4 + FIRST_BUFFER_BYTES :]) == [data[4:]]
    assert pool.out_bytes == 0


def test_a_large_frame_takes_memory_as_it_comes_and_not_as_it_is_announced() -> None:
    pool = BufferPool(2**30)
    slow = reader(pool)
    data = frame(900_000, fill=3)
    receive(slow, data[:1000])
    assert pool.out_bytes == FIRST_BUFFER_BYTES
    receive(slow, data[1000:400_000])
    assert pool.out_bytes == 4 * FIRST_BUFFER_BYTES
    assert slow.is_receiving_large
    assert receive(slow, data[400_000:]) == [data[4:]]
    assert (pool.out_bytes, slow.large_frames) == (0, 1)


def test_a_connection_without_a_first_buffer_is_starved_when_it_holds_too_much() -> None:
    pool = BufferPool(FIRST_BUFFER_BYTES)
    hoarder, late = reader(pool), reader(pool)
    receive(hoarder, frame(200_000)[:100_000])
    data = frame(200_000)
    receive(late, data[:1000])
    assert not late.is_starved
    receive(late, data[1000:70_000])
    assert late.is_starved


# The pool


def test_the_pool_gives_out_no_more_than_its_budget_but_always_one() -> None:
    pool = BufferPool(1000)
    large = pool.take(5000)
    assert large is not None
    assert len(large) >= 5000
    assert pool.take(1) is None
    pool.give_back(large)
    assert [pool.take(500) is not None for _ in range(2)] == [True, False]


def test_a_buffer_that_came_back_is_given_out_again() -> None:
    pool = BufferPool(2**30)
    first = pool.take(70_000)
    assert first is not None
    pool.give_back(first)
    assert pool.take(100_000) is first


def test_the_pool_keeps_only_so_much() -> None:
    pool = BufferPool(2**30)
    taken = [pool.take(2**24) for _ in range(8)]
    for buffer in taken:
        assert buffer is not None
        pool.give_back(buffer)
    again = [pool.take(2**24) for _ in range(8)]
    known = {id(buffer) for buffer in taken}
    assert sum(id(buffer) in known for buffer in again) == POOL_BYTES_MAX // 2**24
