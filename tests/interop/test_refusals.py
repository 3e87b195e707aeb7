"""What Produce takes and what it refuses: Barnabas answers as Apache Kafka does, and keeps the same records."""

import random
import time
from typing import NamedTuple

import pytest
from support.beside_kafka import Both, Pair, Side
from support.calls import now_ms

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.records import (
    ATTRIBUTES_OFFSET,
    BATCH_OVERHEAD,
    CRC_OFFSET,
    HEADER,
    LOG_OVERHEAD,
    Codec,
    Record,
    TimestampType,
    build_batch,
    compress,
    crc32c,
    read_header,
)

HOUR_MS = 3_600_000
# Timestamps in here are relative to the time of the test.
NOW, OLD, LATE, NONE = 0, -HOUR_MS, 2 * HOUR_MS, -(2**62)
NO_OLD = {"message_timestamp_before_max_ms": "60000"}
COMPACT = {"cleanup_policy": "compact"}
APPEND_TIME = {"message_timestamp_type": "LogAppendTime"}
GZIP, UNCOMPRESSED = {"compression_type": "gzip"}, {"compression_type": "uncompressed"}

codecs = pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name)


class Said(NamedTuple):
    """What a broker says of a batch, and what it has of it then; ``kept``: offset, timestamp, key and value."""

    error_code: ErrorCode
    base_offset: int
    log_start_offset: int
    is_stamped: bool
    wrong_records: list[int]
    codecs: list[Codec]
    kept: list[tuple[int, int, bytes | None, bytes | None]]


def says(side: Side, sent: bytes) -> Said:
    before = now_ms()
    answer = side.produce(sent)
    batches = side.batches()
    is_stamped = answer.log_append_time_ms != -1
    records = [record for batch in batches for record in batch.records]
    if is_stamped:
        assert before <= answer.log_append_time_ms <= now_ms()
        assert {record.timestamp for record in records} == {answer.log_append_time_ms}
    assert all(error.batch_index_error_message for error in answer.record_errors)
    assert answer.error_message or not answer.record_errors
    return Said(
        ErrorCode(answer.error_code),
        answer.base_offset,
        answer.log_start_offset,
        is_stamped,
        [error.batch_index for error in answer.record_errors],
        [batch.header.codec for batch in batches],
        [(record.offset, 0 if is_stamped else record.timestamp, record.key, record.value) for record in records],
    )


def assert_same(pair: Pair, sent: bytes, code: ErrorCode = ErrorCode.NONE) -> Said:
    kafka, ours = (says(side, sent) for side in pair)
    assert ours == kafka
    assert ours.error_code == code
    return ours


def dated(stamps: list[int], keys: str = "", stated: int | None = None, codec: Codec = Codec.NONE) -> bytes:
    """A batch with a record per timestamp. ``keys``: "k" for a record with a key, "-" for one without, "0" for an
    empty one; ``stated``: what the header says is the latest timestamp.
    """
    now = now_ms()

    def of(stamp: int) -> int:
        return -1 if stamp == NONE else now + stamp

    given = {"k": b"k", "-": None, "0": b""}
    some = [
        Record(offset, of(stamp), given[key], b"v%d" % offset)
        for offset, (stamp, key) in enumerate(zip(stamps, keys or "k" * len(stamps), strict=True))
    ]
    return build_batch(some, max_timestamp=stated if stated is None else of(stated), codec=codec)


class Case(NamedTuple):
    """A topic and what is sent to it, and what Kafka says of it; see ``dated``."""

    name: str
    settings: dict[str, str]
    stamps: list[int]
    code: ErrorCode = ErrorCode.NONE
    keys: str = ""
    stated: int | None = None


OUT_OF_TIME, INVALID = ErrorCode.INVALID_TIMESTAMP, ErrorCode.INVALID_RECORD
CASES = [
    Case("fine", {}, [NOW, OLD, NONE]),
    Case("old ones", NO_OLD, [NOW, OLD, NOW, OLD], OUT_OF_TIME),
    Case("late ones", {}, [NOW, LATE, NOW], OUT_OF_TIME),
    Case("late ones by a setting", {"message_timestamp_after_max_ms": "1000"}, [NOW, 60_000], OUT_OF_TIME),
    Case("old and late ones", NO_OLD, [OLD, LATE, NOW], OUT_OF_TIME),
    Case("no timestamps and no old ones", NO_OLD, [NONE, NOW, NONE]),
    Case("no keys", COMPACT, [NOW] * 6, INVALID, keys="-k-0--"),
    Case("empty keys", COMPACT, [NOW] * 2, keys="00"),
    Case("no keys and late ones", COMPACT, [NOW, LATE, LATE, NOW], OUT_OF_TIME, keys="-k-k"),
    Case("late ones and then no keys", COMPACT, [LATE, NOW], OUT_OF_TIME, keys="k-"),
    Case("no keys, compressed anew", COMPACT | GZIP, [NOW] * 3, INVALID, keys="k-k"),
    Case("old ones, compressed anew", NO_OLD | UNCOMPRESSED, [OLD, NOW], OUT_OF_TIME),
    Case("late and old ones where the broker sets the time", APPEND_TIME | NO_OLD, [LATE, OLD]),
    Case("no timestamps where the broker sets the time", APPEND_TIME, [NONE, NONE]),
    Case("no keys where the broker sets the time", APPEND_TIME | COMPACT, [LATE, NOW], INVALID, keys="-k"),
    Case("compressed anew where the broker sets the time", APPEND_TIME | GZIP, [LATE, NOW]),
    Case("late ones where no max timestamp is stated", {}, [NOW, LATE], OUT_OF_TIME, stated=NONE),
    Case("late ones where another max timestamp is stated", COMPACT, [NOW, LATE], OUT_OF_TIME, stated=NOW),
    Case("none late where a late max timestamp is stated", {}, [NOW, NOW], stated=LATE),
]


@codecs
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_records_are_taken_and_refused_alike(both: Both, case: Case, codec: Codec) -> None:
    sent = dated(case.stamps, case.keys, case.stated, codec)
    said = assert_same(both.make(**case.settings), sent, case.code)
    assert bool(said.wrong_records) == bool(case.code) != bool(said.kept)


def test_a_batch_that_comes_again_is_answered_with_the_time_of_the_first(both: Both) -> None:
    for settings in ({}, APPEND_TIME):
        pair = both.make(**settings)
        sent = build_batch([Record(0, 1000, b"k", b"v")], producer_id=10**6, producer_epoch=0, base_sequence=0)
        for side in pair:
            first = side.produce(sent)
            time.sleep(0.005)
            again = side.produce(sent)
            stamped = first.log_append_time_ms if settings else 1000
            assert (again.error_code, again.base_offset, again.log_append_time_ms) == (0, 0, stamped)


# Sizes

LARGE = b"0123456789" * 500
SHORT = {"max_message_bytes": "1000"}
ROOMY = {"max_message_bytes": str(2**22), "segment_bytes": str(2**20)}


@pytest.mark.parametrize(
    ("settings", "codec", "value", "code"),
    [
        pytest.param(SHORT, Codec.GZIP, LARGE, ErrorCode.NONE, id="small as it is"),
        pytest.param(SHORT, Codec.NONE, LARGE, ErrorCode.MESSAGE_TOO_LARGE, id="large as it is"),
        pytest.param(SHORT | GZIP, Codec.NONE, LARGE, ErrorCode.MESSAGE_TOO_LARGE, id="large as it comes"),
        pytest.param(SHORT | UNCOMPRESSED, Codec.GZIP, LARGE, ErrorCode.MESSAGE_TOO_LARGE, id="large as it is kept"),
        pytest.param(ROOMY, Codec.NONE, bytes(2**20), ErrorCode.RECORD_LIST_TOO_LARGE, id="more than a segment"),
        pytest.param(
            ROOMY | UNCOMPRESSED, Codec.ZSTD, bytes(2**20), ErrorCode.RECORD_LIST_TOO_LARGE,
            id="more than a segment as it is kept",
        ),
        pytest.param(ROOMY | GZIP, Codec.NONE, bytes(2**20), ErrorCode.NONE, id="less than a segment as it is kept"),
    ],
)  # fmt: skip
def test_a_batch_may_be_too_large_before_and_after_it_is_compressed_anew(
    both: Both, settings: dict[str, str], codec: Codec, value: bytes, code: ErrorCode
) -> None:
    assert_same(both.make(**settings), build_batch([Record(0, 1000, b"k", value)], codec=codec), code)


@pytest.mark.parametrize("excess", [0, 1])
def test_max_message_bytes_counts_the_whole_batch(both: Both, excess: int) -> None:
    sent = dated([NOW])
    code = ErrorCode.MESSAGE_TOO_LARGE if excess else ErrorCode.NONE
    assert_same(both.make(max_message_bytes=str(len(sent) - excess)), sent, code)


LEVELS = [
    ("gzip", -1),
    ("gzip", 1),
    ("gzip", 9),
    ("lz4", 1),
    ("lz4", 9),
    ("lz4", 17),
    ("zstd", -5),
    ("zstd", 3),
    ("zstd", 19),
]


@pytest.mark.parametrize(("compression_type", "level"), LEVELS)
def test_a_level_makes_batches_about_as_small(both: Both, compression_type: str, level: int) -> None:
    chance = random.Random(3)
    value = b" ".join(b"word%d" % chance.randrange(3000) for _ in range(20_000))
    sent = build_batch([Record(0, 1000, b"k", value)], codec=Codec.SNAPPY)
    pair = both.make(compression_type=compression_type, **{f"compression_{compression_type}_level": str(level)})

    assert_same(pair, sent)

    (theirs,), (ours,) = pair.batches()
    assert ours.header.size_bytes == pytest.approx(theirs.header.size_bytes, rel=0.1)


# What cannot be read


def holding(payload: bytes, count: int, codec: Codec = Codec.NONE) -> bytes:
    """A batch of ``count`` records whose sizes and CRC are right, around anything."""
    header = read_header(dated([NOW] * count, codec=codec))
    header = header._replace(batch_length=BATCH_OVERHEAD - LOG_OVERHEAD + len(payload))
    batch = bytearray(HEADER.pack(*header) + payload)
    batch[CRC_OFFSET:ATTRIBUTES_OFFSET] = crc32c(memoryview(batch)[ATTRIBUTES_OFFSET:]).to_bytes(4, "big")
    return bytes(batch)


RUBBISH = b"\xff" * 30
RECORD = build_batch([Record(0, 1000, b"k", b"v")])[BATCH_OVERHEAD:]


@codecs
@pytest.mark.parametrize("there", [1, 3])
def test_the_header_tells_how_many_records_there_are(both: Both, codec: Codec, there: int) -> None:
    assert_same(both.make(**COMPACT), holding(compress(codec, RECORD * there), 2, codec), INVALID)


@pytest.mark.parametrize("settings", [COMPACT, UNCOMPRESSED])
@pytest.mark.parametrize("codec", list(Codec)[1:], ids=lambda codec: codec.name)
def test_what_is_compressed_has_to_be_records(both: Both, settings: dict[str, str], codec: Codec) -> None:
    assert_same(both.make(**settings), holding(compress(codec, RUBBISH), 2, codec), INVALID)


# What is known to differ: Kafka's answer and ours.
UNKNOWN, NOTHING = ErrorCode.UNKNOWN_SERVER_ERROR, ErrorCode.NONE


def claiming() -> bytes:
    return build_batch([Record(0, now_ms(), b"k", b"v")], timestamp_type=TimestampType.LOG_APPEND_TIME)


@pytest.mark.parametrize(
    ("settings", "sent", "codes"),
    [
        pytest.param({}, holding(RUBBISH, 2), (UNKNOWN, NOTHING), id="rubbish that is not looked at"),
        pytest.param(COMPACT, holding(RUBBISH, 2), (UNKNOWN, INVALID), id="rubbish"),
        *(
            pytest.param(COMPACT, holding(RUBBISH, 2, codec), (UNKNOWN, INVALID), id=f"not {codec.name}")
            for codec in list(Codec)[1:]
        ),
        pytest.param({}, dated([NOW, LATE], stated=NOW), (OUT_OF_TIME, NOTHING), id="late, not looked at"),
        pytest.param({}, claiming(), (NOTHING, OUT_OF_TIME), id="a log append time"),
        pytest.param(
            APPEND_TIME, claiming(), (OUT_OF_TIME, OUT_OF_TIME), id="a log append time where the broker sets it"
        ),
    ],
)
def test_what_differs_is_known(
    both: Both, settings: dict[str, str], sent: bytes, codes: tuple[ErrorCode, ErrorCode]
) -> None:
    assert tuple(side.produce(sent).error_code for side in both.make(**settings)) == codes
