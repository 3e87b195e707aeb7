import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.protocol.records import (
    BATCH_OVERHEAD,
    CRC_OFFSET,
    HEADER,
    BatchCorrupt,
    Codec,
    Record,
    RecordsTooLarge,
    TimestampType,
    UnsupportedCodec,
    build_batch,
    crc32c,
    max_timestamp_record,
    offset_of_timestamp,
    outlines,
    read_header,
    records,
    stamp_append_time,
    verify,
)

SOME = [
    Record(100, 5000, b"key", b"value", [("trace", b"1"), ("trace", None), ("", b"")]),
    Record(101, 4000, None, b"x" * 300),
    Record(105, 7000, b"gone", None),
    Record(106, 7000, b"", b""),
]


def batch_of(codec=Codec.NONE, some=SOME, **fields):
    return build_batch(some, base_offset=100, codec=codec, **fields)


def batch_from(payload, count, **fields):
    """A batch with a valid header and CRC around any payload."""
    header = read_header(batch_of())._replace(batch_length=len(payload) + 49, records_count=count, **fields)
    batch = bytearray(HEADER.pack(*header) + payload)
    batch[CRC_OFFSET : CRC_OFFSET + 4] = crc32c(batch[21:]).to_bytes(4, "big")
    verify(batch)
    return bytes(batch)


def read_or_corrupt(buf):
    """Read everything that reads records; anything but BatchCorrupt fails the test."""
    readers = [records, outlines, lambda b: [offset_of_timestamp(b, 6000)], lambda b: [max_timestamp_record(b)]]
    corrupt = 0
    for read in readers:
        try:
            list(read(buf))
        except BatchCorrupt:
            corrupt += 1
    return corrupt


@pytest.mark.parametrize("codec", Codec)
def test_records_are_read_as_they_were_written(codec):
    assert list(records(batch_of(codec))) == SOME
    assert list(records(memoryview(bytearray(batch_of(codec))))) == SOME


def test_records_reads_the_first_batch_only():
    assert list(records(batch_of() + batch_of(some=SOME[:1]))) == SOME


def test_the_buffer_may_change_while_its_records_are_read():
    buf = bytearray(batch_of())
    walk = records(buf)
    assert next(walk) == SOME[0]
    buf.clear()
    assert list(walk) == SOME[1:]


def test_records_of_a_batch_with_a_delete_horizon_keep_their_timestamps_kip_534():
    batch = batch_of(delete_horizon_ms=999_999)
    assert read_header(batch).delete_horizon_ms == 999_999
    assert list(records(batch)) == SOME


def test_header_keys_that_are_not_utf_8_survive_a_rewrite():
    plain = batch_of(some=[Record(100, 0, None, None, [("aä€", b"v")])])
    raw = plain[BATCH_OVERHEAD:].replace("aä€".encode(), b"\xff\xfe\xed\xa0\x80a")
    batch = batch_from(raw, 1, base_timestamp=0, max_timestamp=0, last_offset_delta=0)
    assert batch_of(some=list(records(batch))) == batch


@pytest.mark.parametrize("codec", Codec)
def test_outlines_tell_the_timestamps_and_which_keys_are_null(codec):
    assert list(outlines(batch_of(codec))) == [(record.timestamp, record.key is None) for record in SOME]


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize(
    ("timestamp", "found"),
    [(0, (100, 5000)), (5000, (100, 5000)), (5001, (105, 7000)), (7000, (105, 7000)), (7001, None)],
)
def test_the_first_record_of_a_timestamp_or_later_is_found(codec, timestamp, found):
    assert offset_of_timestamp(batch_of(codec), timestamp) == found


def test_records_before_the_log_start_are_not_found_by_timestamp():
    assert offset_of_timestamp(batch_of(), 0, log_start_offset=101) == (101, 4000)
    assert offset_of_timestamp(batch_of(), 5000, log_start_offset=101) == (105, 7000)
    assert offset_of_timestamp(batch_of(), 5000, log_start_offset=107) is None


@pytest.mark.parametrize("codec", Codec)
def test_the_max_timestamp_belongs_to_the_first_record_that_has_it_kip_734(codec):
    assert max_timestamp_record(batch_of(codec)) == (105, 7000)


def test_with_append_time_the_max_timestamp_belongs_to_the_first_record():
    buf = bytearray(batch_of())
    stamp_append_time(buf, 0, 123)
    assert max_timestamp_record(buf) == (100, 123)
    assert offset_of_timestamp(buf, 123) == (100, 123)
    assert offset_of_timestamp(buf, 124) is None


def test_a_max_timestamp_that_no_record_has_is_not_found():
    assert max_timestamp_record(batch_of(max_timestamp=8000)) is None
    assert max_timestamp_record(build_batch([], last_offset=5, max_timestamp=8000)) is None


@pytest.mark.parametrize("codec", Codec)
def test_a_batch_cut_at_any_byte_is_corrupt(codec):
    batch = batch_of(codec)
    for cut in range(len(batch)):
        assert read_or_corrupt(batch[:cut]) == 4


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("flip", [0xFF, 0x01, 0x80])
def test_a_batch_with_any_byte_flipped_reads_or_is_corrupt_and_raises_nothing_else(codec, flip):
    batch = bytearray(batch_of(codec))
    for position in range(len(batch)):
        batch[position] ^= flip
        read_or_corrupt(batch)
        batch[position] ^= flip


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120), st.integers(-1, 2**31 - 1), st.sampled_from(range(8)))
def test_rubbish_in_a_valid_batch_reads_or_is_corrupt_and_raises_nothing_else(payload, count, attributes):
    read_or_corrupt(batch_from(payload, count, attributes=attributes))


@pytest.mark.parametrize("read", [records, outlines])
@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("count", [-1, 0, 3, 5, 2**31 - 1])
def test_another_number_of_records_than_the_header_says_is_corrupt(read, codec, count):
    with pytest.raises(BatchCorrupt):
        list(read(batch_from(batch_of(codec)[BATCH_OVERHEAD:], count, attributes=codec)))


@pytest.mark.parametrize("read", [records, outlines])
def test_a_negative_number_of_records_is_corrupt_though_there_are_none(read):
    with pytest.raises(BatchCorrupt):
        list(read(batch_from(b"", -1)))


@pytest.mark.parametrize("codec", Codec)
def test_a_batch_without_records_reads_as_none(codec):
    assert list(records(batch_from(b"", 0, attributes=codec))) == []
    assert list(outlines(build_batch([], last_offset=3))) == []


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("empty", ""),
        ("key reaches behind the record", "00 00 00 04 61"),
        ("key reaches behind the record, into the next", "00 00 00 10 61 01 00"),
        ("value reaches behind", "00 00 00 01 04 61"),
        ("no header count", "00 00 00 01 01"),
        ("negative header count", "00 00 00 01 01 01"),
        ("more headers than bytes", "00 00 00 01 01 7e"),
        ("header without key", "00 00 00 01 01 02 01 01"),
        ("header key reaches behind", "00 00 00 01 01 02 06 61"),
        ("header value reaches behind", "00 00 00 01 01 02 00 06 61"),
        ("header without value", "00 00 00 01 01 02 00"),
        ("bytes behind the headers", "00 00 00 01 01 00 00"),
        ("offset delta before the batch", "00 00 01 01 01 00"),
        ("offset delta behind the batch", "00 00 0e 01 01 00"),
        ("varint without end", "00 00 ff ff ff ff ff ff 01 01 00"),
    ],
)
def test_a_malformed_record_is_corrupt(what, body):
    content = bytes.fromhex(body)
    fine = bytes.fromhex("00 00 00 01 01 00")

    def framed(*contents):
        return b"".join(bytes([len(each) * 2]) + each for each in contents)

    assert len(list(records(batch_from(framed(fine, fine), 2)))) == 2
    for payload in (framed(content), framed(content, fine)):
        with pytest.raises(BatchCorrupt):
            list(records(batch_from(payload, 1 + (payload != framed(content)))))


@pytest.mark.parametrize("payload", ["0a 00 00 00 04 61 0c 00 00 00 01 01 00", "04 00 00 00 01 01 00"])
def test_a_key_that_reaches_behind_its_record_is_corrupt_for_outlines_too(payload):
    with pytest.raises(BatchCorrupt):
        list(outlines(batch_from(bytes.fromhex(payload), 2)))


@pytest.mark.parametrize("length", ["01", "0e", "feffffff0f", "ffffffff0f"])
@pytest.mark.parametrize("read", [records, outlines])
def test_a_record_length_beyond_the_batch_is_corrupt(read, length):
    with pytest.raises(BatchCorrupt):
        list(read(batch_from(bytes.fromhex(length) + bytes(6), 1)))


def test_offsets_and_timestamps_beyond_64_bits_are_corrupt():
    record = bytes.fromhex("0c 00 02 00 01 01 00")  # timestamp delta 1
    for fields in (
        {"base_offset": 2**63 - 1, "last_offset_delta": 1},
        {"base_timestamp": 2**63 - 1},
        {"last_offset_delta": -1},
    ):
        with pytest.raises(BatchCorrupt):
            list(records(batch_from(record, 1, **fields)))


@pytest.mark.parametrize("number", [5, 6, 7])
def test_an_unknown_codec_is_unsupported(number):
    with pytest.raises(UnsupportedCodec):
        next(records(batch_from(b"abc", 1, attributes=number)))


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD])
def test_a_bomb_in_a_batch_is_too_large(codec):
    batch = build_batch([Record(0, 0, None, bytes(2**21))], codec=codec)
    for read in (records, outlines):
        with pytest.raises(RecordsTooLarge):
            list(read(batch, max_bytes=2**20))


@pytest.mark.parametrize("codec", list(Codec))
def test_a_record_with_more_headers_than_allowed_is_too_large(codec):
    batch = build_batch([Record(0, 0, None, b"", [("", None)] * 100)], codec=codec)
    assert len(next(records(batch, max_headers=100)).headers) == 100
    with pytest.raises(RecordsTooLarge):
        list(records(batch, max_headers=99))


def test_records_compare_by_their_fields_and_print_them():
    assert Record(1, 2, b"k", None) == Record(1, 2, b"k", None, [])
    assert Record(1, 2, b"k", None) != Record(1, 2, b"k", b"")
    assert Record(1, 2, b"k", None) != (1, 2, b"k", None)
    assert repr(Record(1, 2, b"k", None)) == (
        "Record(offset=1, timestamp=2, key=b'k', value=None, headers=[], attributes=0)"
    )


def test_the_timestamp_type_of_a_built_batch_decides_the_timestamp_of_its_records():
    batch = batch_of(timestamp_type=TimestampType.LOG_APPEND_TIME, max_timestamp=9999)
    assert {record.timestamp for record in records(batch)} == {9999}
