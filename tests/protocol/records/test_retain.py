"""Batches that compaction thins out, against the list of their records and against other readers."""

import contextlib
import zlib
from types import SimpleNamespace
from typing import Any

import cramjam
import kafka.codec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatch as KafkaPythonBatch

from barnabas.protocol.records import (
    BATCH_OVERHEAD,
    HEADER,
    BatchCorrupt,
    BatchHeader,
    Codec,
    Record,
    TimestampType,
    build_batch,
    emptied,
    end_transaction_marker,
    keyed,
    read_end_transaction_marker,
    read_header,
    records,
    retain,
    retain_marker,
    verify,
)

HORIZON = 1_700_000_500_000
KEYS = st.none() | st.binary(max_size=3) | st.binary(min_size=130, max_size=140)
VALUES = st.none() | st.binary(max_size=40) | st.just(b"x" * 300)
HEADERS = st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=20)), max_size=3)
TIMES = st.integers(-1, 2**41)


@pytest.fixture(autouse=True, scope="module")
def _snappy_for_kafka_python():
    with pytest.MonkeyPatch.context() as patch:
        raw = SimpleNamespace(
            compress=lambda data: bytes(cramjam.snappy.compress_raw(data)),
            decompress=lambda data: bytes(cramjam.snappy.decompress_raw(data)),
        )
        patch.setattr(kafka.codec, "snappy", raw)
        yield


@st.composite
def batches(draw: Any) -> bytes:
    """Any data batch that a log may hold, one that was thinned out before among them."""
    base_offset = draw(st.integers(0, 2**62) | st.integers(0, 300))
    offset = base_offset + draw(st.integers(0, 200))
    some = []
    for _ in range(draw(st.integers(1, 8))):
        some.append(Record(offset, draw(TIMES), draw(KEYS), draw(VALUES), draw(HEADERS)))
        offset += 1 + draw(st.integers(0, 100))
    producer = draw(st.sampled_from([(-1, -1, -1), (0, 0, 0), (2**63 - 1, 2**15 - 1, 2**31 - 1)]))
    return build_batch(
        some,
        base_offset=base_offset,
        codec=draw(st.sampled_from(Codec)),
        timestamp_type=draw(st.sampled_from(TimestampType)),
        producer_id=producer[0],
        producer_epoch=producer[1],
        base_sequence=producer[2],
        leader_epoch=draw(st.integers(-1, 9)),
        is_transactional=producer[0] > 0,
        last_offset=offset + draw(st.integers(0, 9)),
        delete_horizon_ms=draw(st.sampled_from([None, None, HORIZON - 7])),
    )


def thinned(batch: bytes, kept: set[int]) -> bytes | None:
    result = retain(memoryview(batch), read_header(batch), lambda offset, _, __: offset in kept, HORIZON)
    return None if result is None else bytes(result)


def lasting(header: BatchHeader) -> BatchHeader:
    """What of a header thinning out does not change."""
    changing = {"batch_length": 0, "crc": 0, "base_timestamp": 0, "max_timestamp": 0, "records_count": 0}
    return header._replace(attributes=header.attributes & ~0x40, **changing)


# What stays


@settings(max_examples=300, deadline=None)
@given(batches(), st.data())
def test_what_is_wanted_stays_and_nothing_else(batch: bytes, data: st.DataObject) -> None:
    header, before = read_header(batch), list(records(batch))
    kept = data.draw(st.sets(st.sampled_from([record.offset for record in before])))
    wanted = [record for record in before if record.offset in kept]
    result = thinned(batch, kept)
    if not kept:
        assert result is None
        return
    assert result is not None
    after = verify(result)
    assert list(records(result)) == wanted
    assert lasting(after) == lasting(header)
    assert after.records_count == len(wanted)
    has_tombstone = any(record.value is None for record in wanted)
    if header.delete_horizon_ms is None:
        assert after.delete_horizon_ms == (HORIZON if has_tombstone else None)
    else:
        assert after.delete_horizon_ms == header.delete_horizon_ms
    if header.timestamp_type is TimestampType.LOG_APPEND_TIME:
        assert after.max_timestamp == header.max_timestamp
    else:
        assert after.max_timestamp == max(record.timestamp for record in wanted)
    if wanted == before and (not has_tombstone or header.delete_horizon_ms is not None):
        assert result == batch
    assert thinned(result, kept) == result  # the next time there is nothing to do


@settings(max_examples=100, deadline=None)
@given(batches())
def test_it_is_asked_with_offset_key_and_whether_there_is_a_value(batch: bytes) -> None:
    asked = []

    def keeps(offset: int, key: bytes | None, has_value: bool) -> bool:
        asked.append((offset, key, has_value))
        return False

    assert retain(memoryview(batch), read_header(batch), keeps, HORIZON) is None
    assert asked == [(record.offset, record.key, record.value is not None) for record in records(batch)]
    assert list(keyed(memoryview(batch), read_header(batch))) == [(offset, key) for offset, key, _ in asked]


@settings(max_examples=150, deadline=None)
@given(batches(), st.data())
def test_other_clients_read_what_stays(batch: bytes, data: st.DataObject) -> None:
    before = list(records(batch))
    kept = data.draw(st.sets(st.sampled_from([record.offset for record in before]), min_size=1))
    result = thinned(batch, kept)
    assert result is not None
    theirs = KafkaPythonBatch(result)
    assert theirs.validate_crc()
    assert [(r.offset, r.timestamp, r.key, r.value, list(r.headers)) for r in theirs] == [
        (r.offset, r.timestamp, r.key, r.value, r.headers) for r in before if r.offset in kept
    ]


def test_the_view_may_go_beyond_the_batch() -> None:
    batch = build_batch([Record(0, 5, b"a", b"1"), Record(1, 6, b"b", b"2")])
    beyond = memoryview(batch + b"what follows")
    for codec_kept in ({0}, {1}):
        result = retain(beyond, read_header(batch), lambda offset, _, __, kept=codec_kept: offset in kept, 0)
        assert result is not None
        assert [record.offset for record in records(result)] == sorted(codec_kept)
    assert [key for _, key in keyed(beyond, read_header(batch))] == [b"a", b"b"]


# Tombstones and markers (KIP-534)


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("timestamp_type", list(TimestampType))
def test_a_tombstone_gets_a_horizon_and_keeps_its_time_kip_534(codec: Codec, timestamp_type: TimestampType) -> None:
    some = [Record(3, 100, b"a", None), Record(4, 90, b"b", b"x"), Record(5, 80, None, b"y")]
    batch = build_batch(some, base_offset=3, codec=codec, timestamp_type=timestamp_type)
    result = thinned(batch, {3, 4})
    assert result is not None
    header = verify(result)
    assert (header.delete_horizon_ms, header.max_timestamp, header.last_offset) == (HORIZON, 100, 5)
    wanted = [100, 90] if timestamp_type is TimestampType.CREATE_TIME else [100, 100]
    assert [record.timestamp for record in records(result)] == wanted


def test_a_tombstone_that_goes_needs_no_horizon() -> None:
    batch = build_batch([Record(0, 5, b"a", None), Record(1, 6, b"b", b"2")])
    result = thinned(batch, {1})
    assert result is not None
    assert verify(result).delete_horizon_ms is None


@pytest.mark.parametrize("is_commit", [True, False])
def test_a_marker_gets_a_horizon_once(is_commit: bool) -> None:
    marker = end_transaction_marker(
        commit=is_commit, producer_id=7, producer_epoch=2, coordinator_epoch=5, timestamp=99, base_offset=40
    )
    result = bytes(retain_marker(memoryview(marker), read_header(marker), HORIZON))
    header = verify(result)
    assert (header.delete_horizon_ms, header.max_timestamp, header.is_control) == (HORIZON, 99, True)
    assert lasting(header) == lasting(read_header(marker))
    assert read_end_transaction_marker(result) == read_end_transaction_marker(marker)
    assert list(records(result)) == list(records(marker))
    assert bytes(retain_marker(memoryview(result), header, HORIZON + 1)) == result


# What stands for a batch


@settings(max_examples=100, deadline=None)
@given(batches())
def test_an_emptied_batch_stands_for_its_offsets_and_its_sequence(batch: bytes) -> None:
    header = read_header(batch)
    result = emptied(header)
    after = verify(result)
    assert len(result) == BATCH_OVERHEAD
    assert list(records(result)) == []
    assert (after.records_count, after.codec, after.delete_horizon_ms) == (0, Codec.NONE, None)
    assert (after.base_timestamp, after.max_timestamp) == (-1, header.max_timestamp)
    assert lasting(after)._replace(attributes=0) == lasting(header)._replace(attributes=0)
    assert (after.is_transactional, after.timestamp_type) == (header.is_transactional, header.timestamp_type)
    assert (after.last_sequence, after.next_offset) == (header.last_sequence, header.next_offset)
    assert emptied(after) == result
    assert thinned(result, {after.base_offset}) is None


def test_an_emptied_marker_is_a_control_batch_about_nothing() -> None:
    marker = end_transaction_marker(
        commit=False, producer_id=7, producer_epoch=2, coordinator_epoch=5, timestamp=99, base_offset=40
    )
    result = emptied(read_header(marker))
    assert verify(result).is_control
    assert read_end_transaction_marker(result) is None


# Hostile bytes

SAMPLE = [
    Record(10, 1_700_000_000_000, b"key", b"value" * 3, [("h", b"x"), ("i", None)]),
    Record(12, 1_700_000_000_500, b"k" * 70, None),
    Record(13, 1_699_999_999_000, None, b"v"),
    Record(90, 1_700_000_100_000, b"", b""),
]


def sample(codec: Codec, **options: Any) -> bytes:
    return build_batch(SAMPLE, base_offset=8, codec=codec, last_offset=95, producer_id=1, base_sequence=4, **options)


def check_hostile(content: bytes) -> None:
    """All that may happen to bytes that are not what they should be is BatchCorrupt, or a sound batch."""
    view = memoryview(content)
    try:
        header = read_header(content)
    except BatchCorrupt:
        return
    with contextlib.suppress(BatchCorrupt):
        for offset, key in keyed(view, header):
            assert isinstance(offset, int)
            assert key is None or isinstance(key, bytes)
    try:
        readable = list(records(view))
    except BatchCorrupt:
        readable = None
    for keeps in (
        lambda offset, _, __: True,
        lambda offset, _, __: offset % 2 == 0,
        lambda offset, _, has_value: has_value,
        lambda offset, _, has_value: not has_value,
    ):
        try:
            result = retain(view, header, keeps, HORIZON)
        except BatchCorrupt:
            continue
        if result is None or (result is view and readable is None):
            continue
        after = read_header(result) if result is view else verify(result)
        if readable is not None:
            wanted = [record for record in readable if keeps(record.offset, None, record.value is not None)]
            assert list(records(result)) == wanted
            assert after.last_offset == header.last_offset
    with contextlib.suppress(BatchCorrupt):
        if not header.last_offset_delta < 0:
            verify(retain_marker(view, header, HORIZON)) if header.delete_horizon_ms is None else None
    verify(emptied(header))


@pytest.mark.parametrize("codec", list(Codec))
def test_every_byte_may_be_any_other(codec: Codec) -> None:
    batch = sample(codec)
    for position in range(len(batch)):
        for mask in (0x01, 0x40, 0xFF):
            content = bytearray(batch)
            content[position] ^= mask
            check_hostile(bytes(content))


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("horizon", [None, HORIZON])
def test_a_batch_may_be_cut_anywhere(codec: Codec, horizon: int | None) -> None:
    batch = sample(codec, delete_horizon_ms=horizon)
    for cut in range(len(batch)):
        check_hostile(batch[:cut])
        if cut >= BATCH_OVERHEAD:
            header = read_header(batch)._replace(batch_length=cut - 12)
            check_hostile(HEADER.pack(*header) + batch[BATCH_OVERHEAD:cut])


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=60), st.integers(-2, 9), st.integers(-2, 2**31 - 1), st.sampled_from([Codec.NONE, Codec.GZIP])
)
def test_the_records_may_be_any_bytes(body: bytes, count: int, delta: int, codec: Codec) -> None:
    body = zlib.compress(body, wbits=31) if codec is Codec.GZIP else body
    header = BatchHeader(5, 49 + len(body), 0, 2, 0, codec, delta, 100, 200, -1, -1, -1, count)
    check_hostile(HEADER.pack(*header) + body)


@pytest.mark.parametrize("extreme", [-(2**63), 2**63 - 1])
@pytest.mark.parametrize("field", ["base_timestamp", "max_timestamp", "base_offset"])
def test_numbers_of_the_header_may_be_extreme(field: str, extreme: int) -> None:
    for codec in (Codec.NONE, Codec.LZ4):
        batch = sample(codec)
        header = read_header(batch)._replace(**{field: extreme})
        check_hostile(HEADER.pack(*header) + batch[BATCH_OVERHEAD:])


@pytest.mark.parametrize(("times", "horizon"), [((-(2**63), -1), HORIZON), ((2**63 - 1, 5), -1)])
def test_a_timestamp_that_is_too_far_from_the_horizon_is_no_other_error(times: tuple[int, int], horizon: int) -> None:
    some = [Record(0, times[0], b"a", None), Record(1, times[0], b"b", None)]
    batch = build_batch(some)
    with pytest.raises(BatchCorrupt):
        retain(memoryview(batch), read_header(batch), lambda *_: True, horizon)
