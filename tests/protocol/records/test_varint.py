import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.protocol.records import BatchCorrupt
from barnabas.protocol.records.varint import read_varint, read_varlong, write_varint

INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)


def written(value):
    out = bytearray()
    write_varint(out, value)
    return bytes(out)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (-1, "01"),
        (1, "02"),
        (63, "7e"),
        (-64, "7f"),
        (64, "8001"),
        (8191, "fe7f"),
        (2**31 - 1, "feffffff0f"),
        (-(2**31), "ffffffff0f"),
        (2**63 - 1, "feffffffffffffffff01"),
        (-(2**63), "ffffffffffffffffff01"),
    ],
)
def test_integers_are_written_as_the_protocol_guide_says(value, encoded):
    assert written(value).hex() == encoded


@settings(deadline=None)
@given(INT32, st.binary(max_size=3))
def test_an_int32_reads_as_it_was_written(value, before):
    data = before + written(value) + b"\xff"
    assert read_varint(data, len(before)) == (value, len(data) - 1)


@settings(deadline=None)
@given(INT64, st.binary(max_size=3))
def test_an_int64_reads_as_it_was_written(value, before):
    data = before + written(value) + b"\xff"
    assert read_varlong(data, len(before)) == (value, len(data) - 1)


@settings(deadline=None)
@given(INT64)
def test_a_cut_integer_is_corrupt(value):
    data = written(value)
    for cut in range(len(data)):
        with pytest.raises(BatchCorrupt):
            read_varlong(data[:cut], 0)


@settings(deadline=None)
@given(INT64)
def test_kafka_python_writes_the_same_bytes(value):
    from kafka.record.util import encode_varint

    out = bytearray()
    encode_varint(value, out.append)
    assert out == written(value)


def test_an_integer_that_is_too_long_or_too_large_is_corrupt():
    for read, encoded in [
        (read_varint, "808080808000"),
        (read_varint, "ffffffff1f"),
        (read_varlong, "8080808080808080808000"),
        (read_varlong, "ffffffffffffffffff03"),
    ]:
        with pytest.raises(BatchCorrupt):
            read(bytes.fromhex(encoded), 0)


def test_a_position_behind_the_end_is_corrupt():
    for read in (read_varint, read_varlong):
        with pytest.raises(BatchCorrupt):
            read(b"\0", 1)
