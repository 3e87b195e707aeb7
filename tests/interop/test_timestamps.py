"""Offsets are found by the same timestamps in Barnabas as in Apache Kafka, for the same batches."""

import random
import time
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import pytest
from confluent_kafka import Producer
from support.beside_kafka import EARLIEST, FAR_AHEAD, LONG_AGO, MAX_TIMESTAMP, SPECIAL, Both, Found, Pair, Side
from support.calls import end_offset, wait_until

from barnabas.protocol.records import Codec, Record, build_batch

FIRST_MS = 1_700_000_000_000
MINUTE_MS, DAY_MS = 60_000, 86_400_000
BATCHES = 14
BIG = 440_000  # two batches of them fill a segment, whatever they are compressed with
SMALL = {"segment_bytes": str(2**20), "segment_ms": str(2**62)}
PLAIN = "plain"  # the producer that has no transactions
TIMEOUT_S = 60
# Brokers that set the timestamps are given time, so that batches differ in it by more than one ms on both sides.
TICK_S = 0.004

timestamp_types = pytest.mark.parametrize("timestamp_type", ["CreateTime", "LogAppendTime"])


def timestamps(chance: random.Random, number: int) -> list[int]:
    """The timestamps of a batch: out of order, repeated, all the same, none."""
    count = chance.randint(3, 12)
    some = [FIRST_MS + (number + at) * DAY_MS + chance.randint(0, 1) for at in range(5)] + [number, number + 1]
    style = chance.choice(["any", "equal", "rising", "falling", "sparse"] + ["none"] * (number % 2))
    stamps = [chance.choice(some) for _ in range(count)]
    match style:
        case "equal":
            return stamps[:1] * count
        case "rising" | "falling":
            return sorted(stamps, reverse=style == "falling")
        case "sparse":
            return [stamps[0], *(chance.choice((stamp, -1)) for stamp in stamps[1:])]
        case "none":  # never all of a segment's: Kafka's search goes no further than such a segment
            return [-1] * count
    return stamps


def batches(chance: random.Random) -> Iterator[bytes]:
    """Batches of all codecs for several segments."""
    codecs = [*Codec] * (BATCHES // len(Codec) + 1)
    chance.shuffle(codecs)
    for number in range(BATCHES):
        stamps = timestamps(chance, number)
        big = chance.randrange(len(stamps))
        yield build_batch(
            (
                Record(offset, stamp, b"k", chance.randbytes(BIG if offset == big else 10))
                for offset, stamp in enumerate(stamps)
            ),
            codec=codecs[number],
        )


def moments(pair: Pair) -> set[tuple[int, int]]:
    """What to ask each side: the time of each record as the side has it, one ms before and after, and the special."""
    asked = {(timestamp, timestamp) for timestamp in (*SPECIAL, LONG_AGO, FAR_AHEAD)}
    for offset, of_kafka in pair.kafka.stamps.items():
        of_ours = pair.ours.stamps[offset]
        asked |= {(of_kafka + shift, of_ours + shift) for shift in (-1, 0, 1) if of_kafka + shift >= 0}
    return asked


def assert_both_find_the_same(pair: Pair, isolation_level: int = 0) -> dict[tuple[int, int], Found]:
    found = {}
    for moment in sorted(moments(pair)):
        kafkas, found[moment] = (
            side.asked(timestamp, isolation_level) for side, timestamp in zip(pair, moment, strict=True)
        )
        if kafkas != found[moment]:
            assert kafkas == Found(0, -1, -1, None), (moment, found[moment])
            assert_kafka_was_misled(pair, moment, found[moment])
    return found


def assert_kafka_was_misled(pair: Pair, moment: tuple[int, int], found: Found) -> None:
    """Kafka goes no further than the first segment that has had a late enough record, though it be deleted."""
    kafka, ours = pair
    start = kafka.asked(EARLIEST).offset
    deleted = [stamp for offset, stamp in kafka.stamps.items() if kafka.segments[0] <= offset < start]
    assert moment[0] <= max(deleted, default=-1), (moment, found)
    right = min(offset for offset, stamp in ours.stamps.items() if offset >= start and stamp >= moment[1])
    assert found == Found(0, right, 0, True), moment


@timestamp_types
@pytest.mark.parametrize("compression_type", ["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"])
def test_offsets_are_found_by_the_same_timestamps(
    both: Both, seed: int, timestamp_type: str, compression_type: str
) -> None:
    chance = random.Random(f"{seed} {timestamp_type} {compression_type}")
    pair = both.make(**SMALL, message_timestamp_type=timestamp_type, compression_type=compression_type)
    for sent in batches(chance):
        pair.produce(sent)
        time.sleep(TICK_S)
    theirs, ours = pair.batches()
    assert len(ours) == BATCHES
    assert [batch.header.codec for batch in ours] == [batch.header.codec for batch in theirs]
    if timestamp_type == "CreateTime":
        assert [batch.records for batch in ours] == [batch.records for batch in theirs]
    assert len(pair.ours.segments) == BATCHES // 2
    assert pair.ours.segments == pair.kafka.segments
    assert len({found.offset for found in assert_both_find_the_same(pair).values()}) > 5

    for first, last in ((1, 2), (4, 9)):
        header = ours[chance.randint(first, last)].header
        pair.delete(header.base_offset + chance.randint(1, header.last_offset_delta))
        assert pair.ours.segments == pair.kafka.segments
        assert_both_find_the_same(pair)

    pair.delete(-1)
    assert_both_find_the_same(pair)


class Step(NamedTuple):
    """A record of a producer, and what becomes of its transaction then: commit, abort or nothing yet."""

    producer: str
    timestamp: int
    end: str


def steps(chance: random.Random) -> list[Step]:
    """Transactions of two producers that cross, and records without one; in the end one is open."""
    some = [
        Step(chance.choice("ab"), FIRST_MS + chance.randrange(50) * MINUTE_MS, chance.choice(("", "commit", "abort")))
        for _ in range(40)
    ]
    outside = [Step(PLAIN, FIRST_MS + number * MINUTE_MS, "") for number in range(0, 50, 10)]
    return [*some, *outside, Step("a", FIRST_MS - 1, ""), *(step for step in some if step.producer == "b"), *outside]


def take(taken: Side, bootstrap: str, steps: list[Step]) -> None:
    name = taken.topic.name
    producers = {who: Producer({"bootstrap.servers": bootstrap, "transactional.id": f"{name}-{who}"}) for who in "ab"}
    for producer in producers.values():
        producer.init_transactions(TIMEOUT_S)
    producers[PLAIN] = Producer({"bootstrap.servers": bootstrap})
    began: set[str] = set()
    ends = 0
    for number, (who, timestamp, end) in enumerate(steps, 1):
        producer = producers[who]
        if who not in {PLAIN, *began}:
            producer.begin_transaction()
            began.add(who)
        producer.produce(name, b"v", partition=0, timestamp=timestamp)
        assert producer.flush(TIMEOUT_S) == 0
        time.sleep(TICK_S)
        if end:
            (producer.commit_transaction if end == "commit" else producer.abort_transaction)(TIMEOUT_S)
            began.remove(who)
            ends += 1
        # Kafka answers before the marker is in the log.
        wait_until(partial(has_grown, taken, number + ends))
        time.sleep(TICK_S)


def has_grown(side: Side, end: int) -> bool:
    return end_offset(side.wire, side.topic) == end


@timestamp_types
def test_offsets_are_found_by_the_same_timestamps_among_transactions(
    both: Both, seed: int, timestamp_type: str
) -> None:
    pair = both.make(message_timestamp_type=timestamp_type)
    to_do = steps(random.Random(f"{seed} {timestamp_type}"))
    for side, broker in zip(pair, both.brokers, strict=True):
        take(side, broker.bootstrap, to_do)
    theirs, ours = pair.batches()
    assert [batch.header.attributes for batch in ours] == [batch.header.attributes for batch in theirs]

    committed = assert_both_find_the_same(pair, isolation_level=1)
    uncommitted = assert_both_find_the_same(pair, isolation_level=0)

    assert committed[-1, -1].offset < uncommitted[-1, -1].offset == len(pair.ours.stamps)
    assert any(committed[moment].offset == -1 != found.offset for moment, found in uncommitted.items())


# A max timestamp that no record has, and where it is put right; without a setting it is one that cannot be.
STATED = [
    *(pytest.param({}, stated, id=f"{name}, nothing set") for name, stated in (("none", -1), ("too far", FAR_AHEAD))),
    *(
        pytest.param({setting: value}, stated, id=f"{stated}, {setting}")
        for setting, value in (
            ("cleanup_policy", "compact"),
            ("message_timestamp_before_max_ms", str(10**15)),
            ("compression_type", "gzip"),
            ("message_timestamp_type", "LogAppendTime"),
        )
        for stated in (-1, 1500, 4000, FAR_AHEAD)
    ),
]


@pytest.mark.parametrize(("settings", "stated"), STATED)
def test_a_max_timestamp_that_no_record_has_is_put_right(both: Both, settings: dict[str, str], stated: int) -> None:
    pair = both.make(**settings)
    for codec in set(Codec) - ({Codec.GZIP} if "compression_type" in settings else set()):
        some = [Record(offset, stamp, b"k", b"v") for offset, stamp in enumerate((1000, 3000, 2000))]
        pair.produce(build_batch(some, max_timestamp=stated, codec=codec))
        time.sleep(TICK_S)
    theirs, ours = pair.batches()
    if settings.get("message_timestamp_type") != "LogAppendTime":
        assert {batch.header.max_timestamp for batch in (*theirs, *ours)} == {3000}
    assert_both_find_the_same(pair)


def test_the_first_record_has_the_max_timestamp_where_there_are_none(both: Both) -> None:
    pair = both.make()
    for _ in range(2):
        pair.produce(build_batch([Record(0, -1, b"k", b"v")]))
    pair.batches()
    assert assert_both_find_the_same(pair)[MAX_TIMESTAMP, MAX_TIMESTAMP] == Found(0, 0, 0, None)
