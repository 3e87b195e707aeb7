from types import SimpleNamespace

import cramjam
import kafka.codec
import pytest
from aiokafka.record.default_records import DefaultRecordBatch as AiokafkaBatch
from aiokafka.record.default_records import DefaultRecordBatchBuilder as AiokafkaBuilder
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy as AiokafkaPureBuilder
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatch as KafkaPythonBatch
from kafka.record.default_records import DefaultRecordBatchBuilder as KafkaPythonBuilder

from barnabas.protocol.records import (
    BATCH_OVERHEAD,
    Codec,
    Record,
    TimestampType,
    build_batch,
    build_keyed_batch,
    decompress,
    outlines,
    read_header,
    recompress,
    records,
    verify,
)

BUILDERS = {"aiokafka": AiokafkaBuilder, "aiokafka, pure": AiokafkaPureBuilder, "kafka-python": KafkaPythonBuilder}
READERS = {"aiokafka": AiokafkaBatch, "kafka-python": KafkaPythonBatch}
LEADER_EPOCH = {"aiokafka": -1, "aiokafka, pure": -1, "kafka-python": 0}  # what each leaves for the broker to fill in

HEADERS = st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=20)), max_size=3)
CONTENT = st.none() | st.binary(max_size=100)
# The first timestamp of a batch and the steps from there; other clients know no negative ones.
TIMES = st.integers(0, 2**41)


@st.composite
def record_lists(draw, base_offset=0, gaps=0):
    offset = base_offset
    result = []
    for _ in range(draw(st.integers(1, 8))):
        result.append(Record(offset, draw(TIMES), draw(CONTENT), draw(CONTENT), draw(HEADERS)))
        offset += 1 + draw(st.integers(0, gaps))
    return result


@pytest.fixture(autouse=True, scope="module")
def _snappy_for_kafka_python():
    """kafka-python wants python-snappy, which we do not install; its framing is what is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        raw = SimpleNamespace(
            compress=lambda data: bytes(cramjam.snappy.compress_raw(data)),
            decompress=lambda data: bytes(cramjam.snappy.decompress_raw(data)),
        )
        patch.setattr(kafka.codec, "snappy", raw)
        yield


def built_by(name, some, codec=Codec.NONE, transactional=False, producer=(-1, -1, -1)):
    builder = BUILDERS[name](2, int(codec), int(transactional), *producer, 2**20)
    for record in some:
        assert builder.append(record.offset, record.timestamp, record.key, record.value, record.headers)
    return bytes(builder.build())


def fields(record):
    return (record.offset, record.timestamp, record.key, record.value, list(record.headers))


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(Codec),
    st.integers(0, 2**62),
    st.data(),
    st.sampled_from(TimestampType),
    st.booleans(),
    st.tuples(st.integers(-1, 2**63 - 1), st.integers(-1, 2**15 - 1), st.integers(-1, 2**31 - 1)),
)
def test_what_is_built_reads_back(codec, base_offset, data, timestamp_type, transactional, producer):
    some = data.draw(record_lists(base_offset, gaps=1000))
    batch = build_batch(
        some,
        base_offset=base_offset,
        codec=codec,
        timestamp_type=timestamp_type,
        is_transactional=transactional,
        producer_id=producer[0],
        producer_epoch=producer[1],
        base_sequence=producer[2],
        leader_epoch=3,
    )
    header = verify(batch)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == producer
    assert (header.codec, header.is_transactional, header.is_control) == (codec, transactional, False)
    assert (header.base_offset, header.last_offset) == (base_offset, some[-1].offset)
    assert (header.records_count, header.partition_leader_epoch) == (len(some), 3)
    assert header.max_timestamp == max(record.timestamp for record in some)
    assert list(outlines(batch)) == [(record.timestamp, record.key is None) for record in some]
    if timestamp_type is TimestampType.LOG_APPEND_TIME:
        for record in some:
            record.timestamp = header.max_timestamp
    assert list(records(batch)) == some


@pytest.mark.parametrize("name", BUILDERS)
@settings(max_examples=50, deadline=None)
@given(some=record_lists(), transactional=st.booleans())
def test_the_bytes_are_those_that_other_clients_write(name, some, transactional):
    producer = (2**40, 5, 77)
    ours = build_batch(
        some,
        producer_id=producer[0],
        producer_epoch=producer[1],
        base_sequence=producer[2],
        is_transactional=transactional,
        leader_epoch=LEADER_EPOCH[name],
    )
    assert ours == built_by(name, some, transactional=transactional, producer=producer)


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("name", BUILDERS)
@settings(max_examples=25, deadline=None)
@given(some=record_lists())
def test_what_other_clients_build_is_read_here(name, codec, some):
    some.append(Record(len(some), 0, b"padding", b"shrink me " * 100))  # they send as it is what does not shrink
    batch = built_by(name, some, codec)
    assert verify(batch).codec is codec
    assert list(records(batch)) == some
    assert decompress(codec, batch[BATCH_OVERHEAD:]) == build_batch(some)[BATCH_OVERHEAD:]


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("name", READERS)
@settings(max_examples=25, deadline=None)
@given(some=record_lists(base_offset=1000, gaps=3))
def test_what_is_built_here_is_read_by_other_clients(name, codec, some):
    batch = READERS[name](build_batch(some, base_offset=1000, codec=codec))
    assert batch.validate_crc()
    assert batch.compression_type == codec
    assert [fields(record) for record in batch] == [fields(record) for record in some]


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("name", READERS)
def test_batches_of_several_compressed_blocks_are_read_by_other_clients(name, codec):
    some = [Record(n, n, b"%d" % n, bytes(range(256)) * 20) for n in range(60)]  # 300 KB
    batch = READERS[name](build_batch(some, codec=codec))
    assert [fields(record) for record in batch] == [fields(record) for record in some]


def test_a_thinned_out_batch_keeps_its_last_offset_and_sequence():
    batch = build_batch([Record(12, 5, b"k", b"v")], base_offset=10, last_offset=19, base_sequence=7, producer_id=1)
    header = verify(batch)
    assert (header.base_offset, header.last_offset, header.records_count) == (10, 19, 1)
    assert (header.base_sequence, header.last_sequence) == (7, 16)
    assert [record.offset for record in records(batch)] == [12]


@pytest.mark.parametrize("codec", Codec)
def test_a_batch_that_lost_all_records_is_a_header_alone(codec):
    batch = build_batch([], base_offset=10, last_offset=19, max_timestamp=77, codec=codec)
    header = verify(batch)
    assert len(batch) == BATCH_OVERHEAD
    assert (header.codec, header.records_count, header.last_offset) == (Codec.NONE, 0, 19)
    assert (header.base_timestamp, header.max_timestamp) == (-1, 77)


def test_a_delete_horizon_takes_the_place_of_the_base_timestamp_kip_534():
    batch = build_batch([Record(0, 5, b"k", None)], delete_horizon_ms=1000)
    header = read_header(batch)
    assert (header.base_timestamp, header.max_timestamp, header.delete_horizon_ms) == (1000, 5, 1000)
    assert [record.timestamp for record in records(batch)] == [5]


@pytest.mark.parametrize(
    ("some", "options"),
    [
        ([], {}),
        ([Record(4, 0, None, None)], {"base_offset": 5}),
        ([Record(2, 0, None, None), Record(1, 0, None, None)], {}),
        ([Record(2**31, 0, None, None)], {}),
        ([Record(3, 0, None, None)], {"last_offset": 2}),
        ([Record(3, 0, None, None)], {"last_offset": 2**31}),
        ([Record(0, -(2**63), None, None), Record(1, 2**63 - 1, None, None)], {}),
    ],
    ids=["no record", "before the base", "descending", "too far", "behind the last", "last too far", "timestamps"],
)
def test_what_has_no_place_in_a_batch_is_refused(some, options):
    with pytest.raises(ValueError, match="batch"):
        build_batch(some, **options)


@pytest.mark.parametrize("source", list(Codec))
@pytest.mark.parametrize("target", list(Codec))
def test_a_batch_can_be_given_another_codec_and_nothing_else_changes(source: Codec, target: Codec) -> None:
    given = [Record(i, 1000 + i, b"key", b"value " * 40, [("h", b"x")]) for i in range(9)]
    batch = build_batch(given, codec=source, producer_id=7, producer_epoch=1, base_sequence=3)
    changed = recompress(batch, target)
    header = verify(changed)
    assert header.codec is target
    assert list(records(changed)) == list(records(batch))
    assert header._replace(batch_length=0, crc=0, attributes=0) == read_header(batch)._replace(
        batch_length=0, crc=0, attributes=0
    )


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP])
@pytest.mark.parametrize("sizes", [[0], [1, 2], [62, 63, 64, 127, 128, 129], [5_000, 0], [1] * 300])
def test_a_keyed_batch_is_what_build_batch_makes_of_its_records(codec: Codec, sizes: list[int]) -> None:
    pairs = [(bytes(size), None if size == 1 else b"v" * size) for size in sizes]
    expected = build_batch([Record(at, 1234, *pair) for at, pair in enumerate(pairs)], codec=codec)
    assert bytes(build_keyed_batch(pairs, 1234, codec)) == expected
