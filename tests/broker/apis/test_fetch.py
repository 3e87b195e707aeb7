import time
from collections.abc import Iterator
from typing import Any

import pytest
from support.calls import (
    Topic,
    as_of,
    batch,
    both_ends,
    every_version,
    fetch,
    fetch_request,
    fetched,
    make_topic,
    placed,
    produce,
    produce_request,
)
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.fetch import (
    EpochEndOffset,
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
)
from barnabas.protocol.messages.leadership import LeaderIdAndEpoch
from barnabas.protocol.messages.topics import DeleteTopicsRequest

# A test that has to wait this long hangs, and the connection to the broker ends it.
FOR_EVER_MS = 600_000

ENDS = both_ends(FetchRequest)
BY_NAME = both_ends(FetchRequest, until=12)
BY_ID = both_ends(FetchRequest, since=13)
NOWHERE = Topic("nowhere", b"nowhere_________")


def data(**values: Any) -> PartitionData:
    """Return a partition without error as it is answered to a consumer that reads uncommitted."""
    return PartitionData(**{"partition_index": 0, "aborted_transactions": None, "records": b"", **values})


def error_data(code: ErrorCode, **values: Any) -> PartitionData:
    return data(error_code=code, high_watermark=-1, **values)


# What is read


@every_version(FetchRequest)
@pytest.mark.parametrize("isolation_level", [0, 1])
def test_batches_are_read(wire: Wire, topic: Topic, version: int, isolation_level: int) -> None:
    produce(wire, topic, batch())
    produce(wire, topic, batch())
    expected = FetchResponse(
        responses=[
            FetchableTopicResponse(
                topic=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    data(
                        high_watermark=6,
                        last_stable_offset=6,
                        log_start_offset=0,
                        aborted_transactions=[] if isolation_level else None,
                        records=placed(batch(), 0) + placed(batch(), 3),
                    )
                ],
            )
        ]
    )
    request = fetch_request((topic, 0, 0), isolation_level=isolation_level)
    assert wire.call(request, version) == as_of(expected, version)


@ENDS
def test_an_offset_within_a_batch_gets_the_whole_batch(wire: Wire, topic: Topic, version: int) -> None:
    for _ in range(3):
        produce(wire, topic, batch())
    assert fetch(wire, topic, 4, version).records == placed(batch(), 3) + placed(batch(), 6)


@ENDS
def test_the_end_of_the_log_is_empty_and_no_error(wire: Wire, topic: Topic, version: int) -> None:
    expected = data(high_watermark=3, last_stable_offset=3, log_start_offset=0)
    produce(wire, topic, batch())
    assert fetch(wire, topic, 3, version) == as_of_partition(expected, version)


def as_of_partition(partition: PartitionData, version: int) -> PartitionData:
    response = FetchResponse(responses=[FetchableTopicResponse(partitions=[partition])])
    return fetched(as_of(response, version))[0]


@ENDS
@pytest.mark.parametrize("offset", [4, 2**63 - 1, -1, -(2**63)])
def test_an_offset_outside_the_log_is_out_of_range(wire: Wire, topic: Topic, version: int, offset: int) -> None:
    produce(wire, topic, batch())
    result = fetch(wire, topic, offset, version, max_wait_ms=FOR_EVER_MS)
    assert result == as_of_partition(error_data(ErrorCode.OFFSET_OUT_OF_RANGE), version)


# What is not there


@BY_NAME
def test_an_unknown_name_is_told_at_once(wire: Wire, version: int) -> None:
    expected = as_of_partition(error_data(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), version)
    assert fetch(wire, NOWHERE, version=version, max_wait_ms=FOR_EVER_MS) == expected


@BY_ID
@pytest.mark.parametrize("topic_id", [NOWHERE.topic_id, bytes(16)], ids=["unknown", "zero"])
def test_an_unknown_id_is_told_at_once(wire: Wire, version: int, topic_id: bytes) -> None:
    response = wire.call(fetch_request((Topic("", topic_id), 0, 0), max_wait_ms=FOR_EVER_MS), version)
    assert response.error_code == ErrorCode.NONE
    assert response.responses == [
        FetchableTopicResponse(topic_id=topic_id, partitions=[error_data(ErrorCode.UNKNOWN_TOPIC_ID)])
    ]


@ENDS
@pytest.mark.parametrize("index", [1, -1])
def test_an_unknown_partition_is_told(wire: Wire, topic: Topic, version: int, index: int) -> None:
    (result,) = fetched(wire.call(fetch_request((topic, index, 0)), version))
    assert (result.partition_index, result.error_code) == (index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


# How much


@ENDS
def test_the_first_batch_may_exceed_all_limits_and_the_request_order_decides_which(wire: Wire, version: int) -> None:
    topics = [make_topic(wire) for _ in range(4)]
    for topic in topics[1:]:
        produce(wire, topic, batch(bytes(100)))
    asked = [(topics[0], 0, 0), (topics[3], 0, 0), (topics[1], 0, 0), (topics[2], 0, 0)]

    response = wire.call(fetch_request(*asked, max_bytes=1, partition_max_bytes=1), version)

    by_id = version >= 13
    named = [answered.topic_id if by_id else answered.topic for answered in response.responses]
    assert named == [topic.topic_id if by_id else topic.name for topic, _, _ in asked]
    assert [len(partition.records) for partition in fetched(response)] == [0, len(batch(bytes(100))), 0, 0]
    assert [partition.error_code for partition in fetched(response)] == [0, 0, 0, 0]
    assert [partition.high_watermark for partition in fetched(response)] == [0, 1, 1, 1]


@ENDS
@pytest.mark.parametrize("limit", [0, -1, -(2**31)])
def test_limits_of_nothing_still_yield_the_first_batch(wire: Wire, topic: Topic, version: int, limit: int) -> None:
    produce(wire, topic, batch())
    result = fetch(wire, topic, version=version, max_bytes=limit, partition_max_bytes=limit)
    assert result.records == placed(batch(), 0)


@ENDS
def test_partitions_have_budgets_and_share_the_one_of_the_request(wire: Wire, version: int) -> None:
    topics = [make_topic(wire) for _ in range(3)]
    size = len(batch())
    for topic in topics:
        for _ in range(4):
            produce(wire, topic, batch())
    asked = [(topic, 0, 0) for topic in topics]

    def counts(**limits: int) -> list[int]:
        response = wire.call(fetch_request(*asked, **limits), version)
        return [len(partition.records) // size for partition in fetched(response)]

    assert counts(partition_max_bytes=2 * size) == [2, 2, 2]
    assert counts(partition_max_bytes=3 * size - 1) == [2, 2, 2]
    assert counts(max_bytes=6 * size) == [4, 2, 0]
    assert counts(max_bytes=size, partition_max_bytes=4 * size) == [1, 0, 0]


@ENDS
def test_several_partitions_of_one_topic_keep_their_order(wire: Wire, version: int) -> None:
    topic = make_topic(wire, partitions=3)
    wire.call(produce_request(topic, (0, batch()), (2, batch())), 13)
    request = FetchRequest(
        topics=[
            FetchTopic(
                topic=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    FetchPartition(partition=index, fetch_offset=0, partition_max_bytes=1000)
                    for index in (2, 9, 1, 0)
                ],
            )
        ],
    )
    results = fetched(wire.call(request, version))
    assert [(result.partition_index, result.error_code, len(result.records) > 0) for result in results] == [
        (2, 0, True),
        (9, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, False),
        (1, 0, False),
        (0, 0, True),
    ]


def test_the_broker_has_a_limit_of_its_own(tmp_path: Any) -> None:
    with running(tmp_path / "data", "-c", "fetch.max.bytes=1024") as broker, Wire(broker.port) as wire:
        topic = make_topic(wire)
        for _ in range(4):
            produce(wire, topic, batch(bytes(300)))
        size = len(batch(bytes(300)))
        assert len(fetch(wire, topic).records) == 1024 // size * size


# How long


@ENDS
def test_nobody_waits_for_more_when_there_is_more_than_fits(wire: Wire, topic: Topic, version: int) -> None:
    """Kafka's DelayedFetch counts what there is to read, whole batches or not."""
    for _ in range(3):
        produce(wire, topic, batch())
    budget = 3 * len(batch()) - 1
    for limits in ({"max_bytes": budget}, {"partition_max_bytes": budget, "min_bytes": budget}):
        request = fetch_request((topic, 0, 0), **{"max_wait_ms": FOR_EVER_MS, "min_bytes": 10**6, **limits})
        (result,) = fetched(wire.call(request, version))
        assert len(result.records) == 2 * len(batch())


@ENDS
def test_an_answer_waits_for_max_wait(wire: Wire, topic: Topic, version: int) -> None:
    produce(wire, topic, batch())
    started = time.monotonic()
    (result,) = fetched(wire.call(fetch_request((topic, 0, 3), max_wait_ms=200), version))
    assert time.monotonic() - started >= 0.19
    assert (result.error_code, result.records, result.high_watermark) == (ErrorCode.NONE, b"", 3)


@ENDS
@pytest.mark.parametrize("max_wait_ms", [0, -1])
def test_who_does_not_want_to_wait_does_not(wire: Wire, topic: Topic, version: int, max_wait_ms: int) -> None:
    (result,) = fetched(wire.call(fetch_request((topic, 0, 0), max_wait_ms=max_wait_ms), version))
    assert result.records == b""


@ENDS
def test_no_minimum_means_no_waiting(wire: Wire, topic: Topic, version: int) -> None:
    request = fetch_request((topic, 0, 0), max_wait_ms=FOR_EVER_MS, min_bytes=0)
    assert [result.records for result in fetched(wire.call(request, version))] == [b""]


@ENDS
def test_no_partitions_means_no_waiting(wire: Wire, version: int) -> None:
    assert fetched(wire.call(fetch_request(max_wait_ms=FOR_EVER_MS), version)) == []


@ENDS
def test_an_append_wakes_who_waits(wire: Wire, other: Wire, topic: Topic, version: int) -> None:
    wire.send(fetch_request((topic, 0, 0), max_wait_ms=FOR_EVER_MS), version)
    time.sleep(0.05)
    produce(other, topic, batch())
    (result,) = fetched(wire.receive(FetchRequest, version))
    assert (result.records, result.high_watermark) == (placed(batch(), 0), 3)


@ENDS
def test_an_append_to_any_of_the_partitions_wakes_who_waits(
    wire: Wire, other: Wire, topic: Topic, version: int
) -> None:
    second = make_topic(other)
    wire.send(fetch_request((topic, 0, 0), (second, 0, 0), max_wait_ms=FOR_EVER_MS), version)
    time.sleep(0.05)
    produce(other, second, batch())
    assert [len(result.records) > 0 for result in fetched(wire.receive(FetchRequest, version))] == [False, True]


@ENDS
def test_who_waits_for_min_bytes_is_not_woken_by_less(wire: Wire, other: Wire, topic: Topic, version: int) -> None:
    size = len(batch())
    produce(other, topic, batch())
    wire.send(fetch_request((topic, 0, 0), max_wait_ms=FOR_EVER_MS, min_bytes=2 * size + 1), version)
    time.sleep(0.05)
    produce(other, topic, batch())
    wire.socket.settimeout(0.1)
    with pytest.raises(TimeoutError):
        wire.receive_frame()
    wire.socket.settimeout(20)
    produce(other, topic, batch())
    (result,) = fetched(wire.receive(FetchRequest, version))
    assert len(result.records) == 3 * size


@ENDS
def test_min_bytes_is_capped_by_max_bytes(wire: Wire, topic: Topic, version: int) -> None:
    produce(wire, topic, batch())
    request = fetch_request((topic, 0, 0), max_wait_ms=FOR_EVER_MS, min_bytes=10**6, max_bytes=len(batch()))
    (result,) = fetched(wire.call(request, version))
    assert len(result.records) == len(batch())


@ENDS
def test_an_error_of_one_partition_answers_at_once(wire: Wire, topic: Topic, version: int) -> None:
    request = fetch_request((topic, 0, 0), (topic, 7, 0), max_wait_ms=FOR_EVER_MS)
    results = fetched(wire.call(request, version))
    assert [result.error_code for result in results] == [0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]


@ENDS
def test_the_deletion_of_the_topic_wakes_who_waits(wire: Wire, other: Wire, topic: Topic, version: int) -> None:
    wire.send(fetch_request((topic, 0, 0), max_wait_ms=FOR_EVER_MS), version)
    time.sleep(0.05)
    other.call(DeleteTopicsRequest(topic_names=[topic.name]), 1)
    (result,) = fetched(wire.receive(FetchRequest, version))
    by_id = version >= 13
    unknown = ErrorCode.UNKNOWN_TOPIC_ID if by_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert result == as_of_partition(error_data(unknown), version)


# Leader epochs


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BrokerProcess, Topic]]:
    """A broker and a topic with offsets 0-2 of leader epoch 0, and 3-5 of epoch 1."""
    with running(tmp_path_factory.mktemp("crashed") / "data") as process:
        with Wire(process.port) as wire:
            topic = make_topic(wire)
            produce(wire, topic, batch())
        process.kill()
        process.start()
        with Wire(process.port) as wire:
            produce(wire, topic, batch())
        yield process, topic


def test_a_crash_begins_a_new_leader_epoch(crashed: tuple[BrokerProcess, Topic]) -> None:
    broker, topic = crashed
    with Wire(broker.port) as wire:
        assert fetch(wire, topic).records == placed(batch(), 0, 0) + placed(batch(), 3, 1)


@both_ends(FetchRequest, since=9)
@pytest.mark.parametrize(
    ("epoch", "code"),
    [
        (-1, ErrorCode.NONE),
        (0, ErrorCode.FENCED_LEADER_EPOCH),
        (1, ErrorCode.NONE),
        (2, ErrorCode.UNKNOWN_LEADER_EPOCH),
        (2**31 - 1, ErrorCode.UNKNOWN_LEADER_EPOCH),
    ],
)
def test_the_leader_epoch_that_the_client_believes_in_is_checked(
    crashed: tuple[BrokerProcess, Topic], version: int, epoch: int, code: ErrorCode
) -> None:
    broker, topic = crashed
    with Wire(broker.port) as wire:
        request = fetch_request((topic, 0, 6), max_wait_ms=FOR_EVER_MS if code else 0, current_leader_epoch=epoch)
        (result,) = fetched(wire.call(request, version))
    assert (result.error_code, result.high_watermark) == (code, -1 if code else 6)


def test_a_fenced_client_is_told_the_leader(crashed: tuple[BrokerProcess, Topic]) -> None:
    """KIP-951."""
    broker, topic = crashed
    with Wire(broker.port) as wire:
        result = fetch(wire, topic, version=18, current_leader_epoch=0)
    assert result.current_leader == LeaderIdAndEpoch(leader_id=1, leader_epoch=1)


@both_ends(FetchRequest, since=12)
@pytest.mark.parametrize(
    ("offset", "epoch", "diverging"),
    [
        (3, 0, None),
        (2, 0, None),
        (4, 0, EpochEndOffset(epoch=0, end_offset=3)),
        (6, 0, EpochEndOffset(epoch=0, end_offset=3)),
        (6, 1, None),
        (4, 1, None),
        (3, -1, None),
    ],
)
def test_a_client_whose_log_went_another_way_is_told_where(
    crashed: tuple[BrokerProcess, Topic], version: int, offset: int, epoch: int, diverging: EpochEndOffset | None
) -> None:
    """KIP-595."""
    broker, topic = crashed
    with Wire(broker.port) as wire:
        waits = 10_000 if diverging else 0
        result = fetch(wire, topic, offset, version, last_fetched_epoch=epoch, max_wait_ms=waits)
    assert result.error_code == ErrorCode.NONE
    assert result.diverging_epoch == (diverging or EpochEndOffset())
    assert result.high_watermark == 6
    assert len(result.records) == (0 if diverging or offset == 6 else (2 if offset < 3 else 1) * len(batch()))


@both_ends(FetchRequest, since=12)
def test_an_epoch_from_the_future_is_out_of_range(crashed: tuple[BrokerProcess, Topic], version: int) -> None:
    broker, topic = crashed
    with Wire(broker.port) as wire:
        result = fetch(wire, topic, 3, version, last_fetched_epoch=7, max_wait_ms=FOR_EVER_MS)
    assert (result.error_code, result.records) == (ErrorCode.OFFSET_OUT_OF_RANGE, b"")


def test_records_that_come_right_behind_a_fetch_are_not_missed(wire: Wire, topic: Topic) -> None:
    """Fetch and Produce arrive in one turn of the event loop, on two connections."""
    produced = 0
    with Wire(wire.socket.getpeername()[1]) as other:
        for _ in range(40):
            wire.send(fetch_request((topic, 0, produced), max_wait_ms=FOR_EVER_MS), 12)
            produce(other, topic, batch())
            (result,) = fetched(wire.receive(FetchRequest, 12))
            assert len(result.records) == len(batch())
            produced += 3
