from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import Topic, as_of, batch, both_ends, every_version, make_topic, produce, produce_request
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.list_offsets import (
    EpochEndOffset,
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
    ListOffsetsTopicResponse,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
    OffsetForLeaderTopicResult,
)
from barnabas.protocol.messages.producer_ids import InitProducerIdRequest
from barnabas.protocol.records import Codec

ENDS = both_ends(ListOffsetsRequest)
NOWHERE = Topic("nowhere", bytes(16))
SPECIAL_SINCE = {-1: 0, -2: 0, -3: 7, -4: 8, -5: 9, -6: 11}


def request_for(
    topic: Topic, timestamp: int, partition: int = 0, current_leader_epoch: int = -1, isolation_level: int = 0
) -> ListOffsetsRequest:
    asked = ListOffsetsPartition(
        partition_index=partition, timestamp=timestamp, current_leader_epoch=current_leader_epoch
    )
    return ListOffsetsRequest(
        replica_id=-1, isolation_level=isolation_level, topics=[ListOffsetsTopic(name=topic.name, partitions=[asked])]
    )


def answer(
    topic: Topic, timestamp: int = -1, offset: int = -1, epoch: int = -1, code: int = 0, partition: int = 0
) -> ListOffsetsResponse:
    return ListOffsetsResponse(
        topics=[
            ListOffsetsTopicResponse(
                name=topic.name,
                partitions=[
                    ListOffsetsPartitionResponse(
                        partition_index=partition,
                        error_code=code,
                        timestamp=timestamp,
                        offset=offset,
                        leader_epoch=epoch,
                    )
                ],
            )
        ]
    )


@pytest.fixture(scope="module")
def filled(broker: BrokerProcess) -> Topic:
    """Offsets 0-2 at 1000 ms, 3-5 at 3000 ms, 6-8 at 2000 ms."""
    with Wire(broker.port) as wire:
        topic = make_topic(wire)
        for timestamp, codec in ((1000, Codec.NONE), (3000, Codec.GZIP), (2000, Codec.NONE)):
            produce(wire, topic, batch(timestamp=timestamp, codec=codec))
    return topic


@every_version(ListOffsetsRequest)
@pytest.mark.parametrize("isolation_level", [0, 1])
@pytest.mark.parametrize(
    ("timestamp", "found_timestamp", "offset", "epoch"),
    [
        pytest.param(-1, -1, 9, 0, id="latest"),
        pytest.param(-2, -1, 0, 0, id="earliest"),
        pytest.param(-3, 3000, 3, 0, id="max timestamp"),
        pytest.param(-4, -1, 0, 0, id="earliest local"),
        pytest.param(-5, -1, -1, -1, id="latest tiered"),
        pytest.param(-6, -1, -1, -1, id="earliest pending upload"),
        pytest.param(0, 1000, 0, 0, id="0"),
        pytest.param(1000, 1000, 0, 0, id="1000"),
        pytest.param(1001, 3000, 3, 0, id="1001"),
        pytest.param(3000, 3000, 3, 0, id="3000"),
        pytest.param(3001, -1, -1, -1, id="3001"),
        pytest.param(2**63 - 1, -1, -1, -1, id="the end of time"),
    ],
)
def test_an_offset_is_found_by_its_timestamp(
    wire: Wire,
    filled: Topic,
    version: int,
    isolation_level: int,
    timestamp: int,
    found_timestamp: int,
    offset: int,
    epoch: int,
) -> None:
    expected = answer(filled, found_timestamp, offset, epoch)
    if version < SPECIAL_SINCE.get(timestamp, 0):
        expected = answer(filled, code=ErrorCode.UNSUPPORTED_VERSION)
    request = request_for(filled, timestamp, isolation_level=isolation_level)
    assert wire.call(request, version) == as_of(expected, version)


@every_version(ListOffsetsRequest)
@pytest.mark.parametrize("timestamp", [-7, -100, -(2**63)])
def test_other_negative_timestamps_are_no_timestamps(wire: Wire, filled: Topic, version: int, timestamp: int) -> None:
    expected = answer(filled, code=ErrorCode.UNSUPPORTED_VERSION)
    assert wire.call(request_for(filled, timestamp), version) == as_of(expected, version)


@ENDS
def test_an_unsupported_timestamp_is_noticed_before_an_unknown_topic(wire: Wire, version: int) -> None:
    expected = answer(NOWHERE, code=ErrorCode.UNSUPPORTED_VERSION)
    assert wire.call(request_for(NOWHERE, -7), version) == as_of(expected, version)


@ENDS
@pytest.mark.parametrize(
    ("timestamp", "offset", "epoch"), [(-1, 0, 0), (-2, 0, 0), (-3, -1, -1), (0, -1, -1), (-4, 0, 0)]
)
def test_an_empty_log_has_a_start_and_an_end(
    wire: Wire, topic: Topic, version: int, timestamp: int, offset: int, epoch: int
) -> None:
    expected = answer(topic, -1, offset, epoch)
    if version < SPECIAL_SINCE.get(timestamp, 0):
        expected = answer(topic, code=ErrorCode.UNSUPPORTED_VERSION)
    assert wire.call(request_for(topic, timestamp), version) == as_of(expected, version)


@ENDS
@pytest.mark.parametrize("timestamp", [-1, -2, 0])
def test_an_unknown_topic_or_partition_is_told(wire: Wire, filled: Topic, version: int, timestamp: int) -> None:
    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert wire.call(request_for(NOWHERE, timestamp), version) == as_of(answer(NOWHERE, code=code), version)
    expected = as_of(answer(filled, code=code, partition=5), version)
    assert wire.call(request_for(filled, timestamp, partition=5), version) == expected


@ENDS
def test_a_partition_that_is_named_twice_is_refused(wire: Wire, filled: Topic, version: int) -> None:
    request = request_for(filled, -1)
    request.topics.append(request_for(filled, -2).topics[0])
    other = make_topic(wire)
    request.topics.append(request_for(other, -1).topics[0])
    response = wire.call(request, version)
    codes = {(topic.name, partition.error_code) for topic in response.topics for partition in topic.partitions}
    assert codes == {(filled.name, ErrorCode.INVALID_REQUEST), (other.name, ErrorCode.NONE)}


@ENDS
def test_no_topics_are_answered_with_none(wire: Wire, version: int) -> None:
    assert wire.call(ListOffsetsRequest(replica_id=-1), version) == ListOffsetsResponse()


@ENDS
def test_records_of_one_batch_are_told_apart(wire: Wire, topic: Topic, version: int) -> None:
    from barnabas.protocol.records import Record, build_batch

    stamps = [100, 300, 200]
    produce(wire, topic, build_batch(Record(i, stamp, None, b"v") for i, stamp in enumerate(stamps)))
    assert wire.call(request_for(topic, 150), version) == as_of(answer(topic, 300, 1, 0), version)
    if version >= 7:
        assert wire.call(request_for(topic, -3), version) == as_of(answer(topic, 300, 1, 0), version)


@ENDS
def test_the_first_record_has_the_max_timestamp_when_none_has_a_timestamp(
    wire: Wire, topic: Topic, version: int
) -> None:
    for _ in range(2):
        produce(wire, topic, batch(timestamp=-1))
    assert wire.call(request_for(topic, 0), version) == as_of(answer(topic), version)
    if version >= 7:
        assert wire.call(request_for(topic, -3), version) == as_of(answer(topic, -1, 0, 0), version)


# Leader epochs


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BrokerProcess, Topic]]:
    """Offsets 0-2 of leader epoch 0, 3-5 of epoch 2; epoch 1 wrote nothing, and epoch 3 has not yet."""
    with running(tmp_path_factory.mktemp("crashed") / "data") as process:
        with Wire(process.port) as wire:
            topic = make_topic(wire)
            produce(wire, topic, batch())
        for epoch in (1, 2, 3):
            process.kill()
            process.start()
            if epoch == 2:
                with Wire(process.port) as wire:
                    produce(wire, topic, batch(timestamp=2000))
        yield process, topic


@both_ends(ListOffsetsRequest, since=4)
@pytest.mark.parametrize(
    ("timestamp", "found_timestamp", "offset", "epoch"),
    [(-1, -1, 6, 3), (-2, -1, 0, 0), (0, 1000, 0, 0), (1500, 2000, 3, 2)],
)
def test_the_leader_epoch_is_that_of_the_offset(
    crashed: tuple[BrokerProcess, Topic],
    version: int,
    timestamp: int,
    found_timestamp: int,
    offset: int,
    epoch: int,
) -> None:
    broker, topic = crashed
    with Wire(broker.port) as wire:
        response = wire.call(request_for(topic, timestamp), version)
    assert response == as_of(answer(topic, found_timestamp, offset, epoch), version)


def test_the_latest_offset_has_the_present_leader_epoch_where_an_older_record_is_undecided(tmp_path: Path) -> None:
    with running(tmp_path / "data") as broker:
        with Wire(broker.port) as wire:
            topic = make_topic(wire)
            named = wire.call(InitProducerIdRequest(transactional_id="t", transaction_timeout_ms=60_000), 5)
            identity = {"producer_id": named.producer_id, "producer_epoch": named.producer_epoch}
            request = produce_request(topic, (0, batch(base_sequence=0, is_transactional=True, **identity)))
            request.transactional_id = "t"
            assert wire.call(request, 12).responses[0].partition_responses[0].error_code == ErrorCode.NONE
        broker.kill()
        broker.start()
        with Wire(broker.port) as wire:
            response = wire.call(request_for(topic, -1, isolation_level=1), 11)
    assert response == answer(topic, -1, 0, 1)


@both_ends(ListOffsetsRequest, since=4)
@pytest.mark.parametrize(
    ("epoch", "code"),
    [
        (-1, ErrorCode.NONE),
        (2, ErrorCode.FENCED_LEADER_EPOCH),
        (3, ErrorCode.NONE),
        (4, ErrorCode.UNKNOWN_LEADER_EPOCH),
    ],
)
def test_the_leader_epoch_that_the_client_believes_in_is_checked(
    crashed: tuple[BrokerProcess, Topic], version: int, epoch: int, code: ErrorCode
) -> None:
    broker, topic = crashed
    with Wire(broker.port) as wire:
        response = wire.call(request_for(topic, -2, current_leader_epoch=epoch), version)
    expected = answer(topic, code=code) if code else answer(topic, -1, 0, 0)
    assert response == as_of(expected, version)


# OffsetForLeaderEpoch


def end_request(name: str, leader_epoch: int, current: int = -1, partition: int = 0) -> OffsetForLeaderEpochRequest:
    asked = OffsetForLeaderPartition(partition=partition, leader_epoch=leader_epoch, current_leader_epoch=current)
    return OffsetForLeaderEpochRequest(replica_id=-1, topics=[OffsetForLeaderTopic(topic=name, partitions=[asked])])


def end_answer(
    name: str, epoch: int = -1, end: int = -1, code: int = 0, partition: int = 0
) -> OffsetForLeaderEpochResponse:
    found = EpochEndOffset(partition=partition, leader_epoch=epoch, end_offset=end, error_code=code)
    return OffsetForLeaderEpochResponse(topics=[OffsetForLeaderTopicResult(topic=name, partitions=[found])])


@every_version(OffsetForLeaderEpochRequest)
@pytest.mark.parametrize(
    ("asked", "epoch", "end"),
    [(0, 0, 3), (1, 0, 3), (2, 2, 6), (3, 3, 6), (4, -1, -1), (-1, -1, -1)],
)
def test_the_end_of_a_leader_epoch_is_found(
    crashed: tuple[BrokerProcess, Topic], version: int, asked: int, epoch: int, end: int
) -> None:
    broker, topic = crashed
    with Wire(broker.port) as wire:
        response = wire.call(end_request(topic.name, asked), version)
    assert response == end_answer(topic.name, epoch, end)


@both_ends(OffsetForLeaderEpochRequest)
@pytest.mark.parametrize(
    ("current", "code"), [(2, ErrorCode.FENCED_LEADER_EPOCH), (4, ErrorCode.UNKNOWN_LEADER_EPOCH)]
)
def test_the_end_of_an_epoch_is_not_told_to_who_believes_in_another_leader(
    crashed: tuple[BrokerProcess, Topic], version: int, current: int, code: ErrorCode
) -> None:
    broker, topic = crashed
    with Wire(broker.port) as wire:
        response = wire.call(end_request(topic.name, 0, current), version)
    assert response == end_answer(topic.name, code=code)


@both_ends(OffsetForLeaderEpochRequest)
def test_epochs_of_what_does_not_exist_are_told_so(wire: Wire, topic: Topic, version: int) -> None:
    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert wire.call(end_request("nowhere", 0), version) == end_answer("nowhere", code=code)
    response = wire.call(end_request(topic.name, 0, partition=1), version)
    assert response == end_answer(topic.name, code=code, partition=1)
