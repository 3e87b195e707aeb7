import mmap
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.protocol.records import (
    BATCH_OVERHEAD,
    HEADER,
    LOG_OVERHEAD,
    BatchCorrupt,
    BatchHeader,
    Codec,
    Record,
    TimestampType,
    UnknownMagic,
    UnsupportedCodec,
    assign,
    build_batch,
    headers,
    increment_sequence,
    read_header,
    records,
    set_max_timestamp,
    stamp_append_time,
    verify,
)

BATCH = build_batch([Record(n, 1000 + n, b"key", b"value" * n) for n in range(3)], producer_id=7, producer_epoch=1)
NOT_COVERED = {*range(8), *range(12, 16)}  # base offset and leader epoch: the broker's to change


def header_with(**fields):
    return read_header(BATCH)._replace(**fields)


def test_the_header_has_61_bytes():
    assert HEADER.size == BATCH_OVERHEAD == 61


def test_a_header_reads_at_any_position_of_any_kind_of_buffer():
    with mmap.mmap(-1, 4096) as mapped:
        mapped[5 : 5 + len(BATCH)] = BATCH
        padded = b"12345" + BATCH
        for buf in (padded, bytearray(padded), memoryview(padded), mapped):
            assert read_header(buf, 5) == read_header(BATCH)


def test_the_header_tells_sizes_offsets_and_producer():
    header = read_header(BATCH)
    assert header.size_bytes == len(BATCH) == header.batch_length + LOG_OVERHEAD
    assert (header.base_offset, header.last_offset, header.next_offset) == (0, 2, 3)
    assert (header.base_timestamp, header.max_timestamp) == (1000, 1002)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (7, 1, -1)
    assert (header.magic, header.records_count, header.partition_leader_epoch) == (2, 3, -1)


@pytest.mark.parametrize("codec", Codec)
def test_the_attributes_name_the_codec(codec):
    assert header_with(attributes=0x78 | codec).codec is codec


@pytest.mark.parametrize("number", [5, 6, 7])
def test_a_codec_that_kafka_does_not_define_is_unsupported(number):
    with pytest.raises(UnsupportedCodec):
        _ = header_with(attributes=number).codec


def test_each_flag_of_the_attributes_has_its_own_bit():
    def flags(attributes):
        header = header_with(attributes=attributes, base_timestamp=55)
        return (header.timestamp_type, header.is_transactional, header.is_control, header.delete_horizon_ms)

    assert flags(0) == (TimestampType.CREATE_TIME, False, False, None)
    assert flags(0x08) == (TimestampType.LOG_APPEND_TIME, False, False, None)
    assert flags(0x10) == (TimestampType.CREATE_TIME, True, False, None)
    assert flags(0x20) == (TimestampType.CREATE_TIME, False, True, None)
    assert flags(0x40) == (TimestampType.CREATE_TIME, False, False, 55)


@pytest.mark.parametrize(
    ("base", "delta", "last"),
    [(-1, 5, -1), (0, 0, 0), (10, 5, 15), (2**31 - 1, 0, 2**31 - 1), (2**31 - 1, 1, 0), (2**31 - 3, 5, 2)],
)
def test_sequences_wrap_to_zero(base, delta, last):
    assert header_with(base_sequence=base, last_offset_delta=delta).last_sequence == last


@settings(deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_sequences_count_modulo_2_to_the_31(sequence, increment):
    assert increment_sequence(sequence, increment) == (sequence + increment) % 2**31


def test_a_batch_that_was_built_is_valid():
    assert verify(BATCH) == verify(memoryview(bytearray(BATCH))) == read_header(BATCH)


def test_every_truncation_is_corrupt():
    for cut in range(len(BATCH)):
        with pytest.raises(BatchCorrupt):
            verify(BATCH[:cut])
        if cut < BATCH_OVERHEAD:
            with pytest.raises(BatchCorrupt):
                read_header(BATCH[:cut])


def test_a_batch_with_something_behind_it_is_corrupt():
    with pytest.raises(BatchCorrupt):
        verify(BATCH + b"\0")


@pytest.mark.parametrize("flip", [0xFF, 0x01, 0x80])
def test_every_flipped_byte_that_the_broker_may_not_change_is_corrupt(flip):
    for position in range(len(BATCH)):
        broken = bytearray(BATCH)
        broken[position] ^= flip
        if position in NOT_COVERED:
            verify(broken)
        else:
            with pytest.raises(BatchCorrupt):
                verify(broken)


@pytest.mark.parametrize("length", [-(2**31), -1, 0, 48])
def test_a_length_that_holds_no_header_is_corrupt(length):
    with pytest.raises(BatchCorrupt) as caught:
        read_header(BATCH[:8] + struct.pack(">i", length) + BATCH[12:])
    assert not isinstance(caught.value, UnknownMagic)


@pytest.mark.parametrize("magic", [0, 1, 3, 255])
def test_another_magic_is_told_apart_even_in_a_message_shorter_than_a_header(magic):
    other = BATCH[:16] + bytes([magic]) + BATCH[17:]
    short = struct.pack(">qiIBb", 0, 14, 0, magic, 0) + struct.pack(">ii", -1, -1)  # an empty message of format 0
    for buf in (other, short):
        with pytest.raises(UnknownMagic):
            verify(buf)


def test_headers_walks_consecutive_batches():
    batches = [build_batch([Record(n, 0, None, b"v" * n)], base_offset=n) for n in range(5)]
    found = list(headers(b"".join(batches)))
    assert [header.base_offset for _, header in found] == [0, 1, 2, 3, 4]
    assert [position for position, _ in found] == [sum(map(len, batches[:n])) for n in range(5)]
    assert list(headers(b"".join(batches), found[3][0])) == found[3:]


def test_headers_leaves_out_a_batch_that_is_cut_at_any_byte():
    buf = BATCH * 3
    for cut in range(len(buf) + 1):
        assert [position for position, _ in headers(buf[:cut])] == [n * len(BATCH) for n in range(cut // len(BATCH))]


def test_headers_finds_a_batch_that_compaction_emptied_at_the_end():
    empty = build_batch([], base_offset=3, last_offset=4)
    assert [header.records_count for _, header in headers(BATCH + empty)] == [3, 0]


def test_headers_raises_where_no_batch_begins():
    walk = headers(BATCH + bytes(100))
    assert next(walk) == (0, read_header(BATCH))
    with pytest.raises(BatchCorrupt):
        next(walk)


def test_assign_changes_offset_and_epoch_and_leaves_the_batch_valid():
    buf = bytearray(BATCH * 2)
    assign(buf, len(BATCH), read_header(buf, len(BATCH)), 2**40, 9)
    assert buf[: len(BATCH)] == BATCH
    header = verify(memoryview(buf)[len(BATCH) :])
    assert header == read_header(BATCH)._replace(base_offset=2**40, partition_leader_epoch=9)


@pytest.mark.parametrize("codec", Codec)
def test_stamping_the_append_time_makes_it_the_time_of_every_record_kip_32(codec):
    batch = build_batch([Record(n, n, b"k", b"v") for n in range(3)], codec=codec)
    buf = bytearray(b"xx" + batch + b"yy")
    stamp_append_time(buf, 2, 123456)
    header = verify(memoryview(buf)[2:-2])
    assert header.timestamp_type is TimestampType.LOG_APPEND_TIME
    assert (header.codec, header.base_timestamp, header.max_timestamp) == (codec, 0, 123456)
    assert [record.timestamp for record in records(buf[2:-2])] == [123456] * 3
    assert (buf[:2], buf[-2:]) == (b"xx", b"yy")


@pytest.mark.parametrize("codec", Codec)
def test_a_max_timestamp_is_put_right_and_nothing_else(codec):
    some = [Record(n, n, b"k", b"v") for n in range(3)]
    buf = bytearray(b"xx" + build_batch(some, codec=codec, max_timestamp=-1) + b"yy")
    set_max_timestamp(buf, 2, 2)
    assert buf == b"xx" + build_batch(some, codec=codec) + b"yy"


def test_stamping_a_batch_that_is_not_there_as_a_whole_is_corrupt():
    with pytest.raises(BatchCorrupt):
        stamp_append_time(bytearray(BATCH[:-1]), 0, 1)
    with pytest.raises(BatchCorrupt):
        set_max_timestamp(bytearray(BATCH[:-1]), 0, 1)


def test_the_fields_have_the_order_of_the_wire():
    assert BatchHeader._make(HEADER.unpack_from(BATCH)) == read_header(BATCH)
    assert HEADER.pack(*read_header(BATCH)) == BATCH[:BATCH_OVERHEAD]
