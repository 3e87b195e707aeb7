from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import (
    TOPIC,
    Topic,
    as_of,
    batch,
    both_ends,
    configure,
    delete_records,
    delete_request,
    every_version,
    fetch,
    make_topic,
    now_ms,
    produce,
    wait_until,
)
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)
from barnabas.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from barnabas.protocol.messages.topics import DeleteTopicsRequest, DeleteTopicState
from barnabas.protocol.records import Codec, Record, build_batch

ENDS = both_ends(DeleteRecordsRequest)
EARLIEST, LATEST = -2, -1


@pytest.fixture
def filled(wire: Wire) -> Topic:
    """Offsets 0-2, 3-5, 6-8."""
    topic = make_topic(wire)
    for timestamp in (1000, 2000, 3000):
        produce(wire, topic, batch(timestamp=timestamp))
    return topic


def answer(*results: tuple[str, int, int, ErrorCode]) -> DeleteRecordsResponse:
    """Answer with (topic, partition, low watermark, error)."""
    return DeleteRecordsResponse(
        topics=[
            DeleteRecordsTopicResult(
                name=name,
                partitions=[
                    DeleteRecordsPartitionResult(partition_index=index, low_watermark=low_watermark, error_code=code)
                ],
            )
            for name, index, low_watermark, code in results
        ]
    )


def offset_of(wire: Wire, topic: Topic, timestamp: int) -> int:
    partition = ListOffsetsPartition(partition_index=0, timestamp=timestamp, current_leader_epoch=-1)
    request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=topic.name, partitions=[partition])])
    (answered,) = wire.call(request, 7).topics
    return int(answered.partitions[0].offset)


def assert_begins_at(wire: Wire, topic: Topic, start: int, end: int = 9) -> None:
    """Every API says so, and nothing before ``start`` can be read."""
    assert (offset_of(wire, topic, EARLIEST), offset_of(wire, topic, LATEST)) == (start, end)
    for offset in range(end + 1):
        result = fetch(wire, topic, offset)
        is_there = offset >= start
        assert result.error_code == (ErrorCode.NONE if is_there else ErrorCode.OFFSET_OUT_OF_RANGE)
        assert (result.log_start_offset, result.high_watermark) == ((start, end) if is_there else (-1, -1))
        assert bool(result.records) == (start <= offset < end)


@every_version(DeleteRecordsRequest)
@pytest.mark.parametrize(("offset", "start"), [(0, 0), (1, 1), (3, 3), (8, 8), (9, 9), (-1, 9)])
def test_a_log_begins_where_it_is_told_to(wire: Wire, filled: Topic, version: int, offset: int, start: int) -> None:
    response = wire.call(delete_request((filled.name, 0, offset)), version)
    assert response == as_of(answer((filled.name, 0, start, ErrorCode.NONE)), version)
    assert_begins_at(wire, filled, start)


@ENDS
def test_a_log_never_begins_earlier_again(wire: Wire, filled: Topic, version: int) -> None:
    for offset, start in ((5, 5), (4, 5), (0, 5), (6, 6)):
        assert delete_records(wire, filled, offset, version).low_watermark == start
    assert_begins_at(wire, filled, 6)


@ENDS
def test_an_offset_that_the_log_has_not_reached_is_refused(wire: Wire, filled: Topic, version: int) -> None:
    for offset in (10, 2**63 - 1, -2, -(2**63)):
        response = wire.call(delete_request((filled.name, 0, offset)), version)
        assert response == as_of(answer((filled.name, 0, -1, ErrorCode.OFFSET_OUT_OF_RANGE)), version)
    assert_begins_at(wire, filled, 0)


@ENDS
def test_an_unknown_topic_or_partition_is_told(wire: Wire, filled: Topic, version: int) -> None:
    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    asked = [("nowhere", 0), ("", 0), ("a b", 0), (filled.name, 1), (filled.name, -1)]
    for name, index in asked:
        response = wire.call(delete_request((name, index, 0)), version)
        assert response == as_of(answer((name, index, -1, code)), version)


@ENDS
def test_a_topic_that_is_only_compacted_keeps_its_records(wire: Wire, version: int) -> None:
    topic = make_topic(wire, cleanup_policy="compact")
    produce(wire, topic, batch(keys=[b"a", b"b", b"c"]))
    for offset in (1, -1, 99):
        response = wire.call(delete_request((topic.name, 0, offset)), version)
        assert response == as_of(answer((topic.name, 0, -1, ErrorCode.POLICY_VIOLATION)), version)
    configure(wire, TOPIC, topic.name, cleanup_policy="compact,delete")
    assert delete_records(wire, topic, 1, version).low_watermark == 1


@ENDS
def test_a_topic_that_is_neither_compacted_nor_deleted_may_lose_records(wire: Wire, version: int) -> None:
    topic = make_topic(wire, cleanup_policy="")
    produce(wire, topic, batch())
    assert delete_records(wire, topic, 1, version).error_code == ErrorCode.NONE


@ENDS
def test_internal_topics_keep_their_records(wire: Wire, version: int) -> None:
    if version == 0:
        make_topic(wire, name="__consumer_offsets")
    response = wire.call(delete_request(("__consumer_offsets", 0, 0)), version)
    assert response == as_of(answer(("__consumer_offsets", 0, -1, ErrorCode.INVALID_TOPIC_EXCEPTION)), version)


@ENDS
def test_partitions_fail_independently(wire: Wire, filled: Topic, version: int) -> None:
    request = delete_request((filled.name, 0, 3), ("nowhere", 0, 3))
    request.topics[0].partitions.append(DeleteRecordsPartition(partition_index=7, offset=3))
    response = wire.call(request, version)
    results = {
        (topic.name, partition.partition_index, partition.low_watermark, partition.error_code)
        for topic in response.topics
        for partition in topic.partitions
    }
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert results == {(filled.name, 0, 3, 0), (filled.name, 7, -1, unknown), ("nowhere", 0, -1, unknown)}


@ENDS
def test_no_topics_are_answered_with_none(wire: Wire, version: int) -> None:
    assert wire.call(DeleteRecordsRequest(timeout_ms=1000), version) == DeleteRecordsResponse()


def test_deleted_records_are_not_found_by_their_time(wire: Wire, filled: Topic) -> None:
    delete_records(wire, filled, 4)
    assert [offset_of(wire, filled, timestamp) for timestamp in (0, 1500, 2000, 2500, 3500)] == [4, 4, 4, 6, -1]
    delete_records(wire, filled, -1)
    assert [offset_of(wire, filled, timestamp) for timestamp in (0, 3000)] == [-1, -1]


def test_a_deleted_record_has_the_max_timestamp_while_its_segment_is_there_as_in_kafka(wire: Wire) -> None:
    topic = make_topic(wire, segment_bytes=str(2**20))
    for stamps in ((7000, 6000), (3000, 5000, 4000)):
        sent = build_batch(Record(i, stamp, None, b"x" * 300_000) for i, stamp in enumerate(stamps))
        produce(wire, topic, sent)
    found = []
    for offset in (0, 1, 2, 3, 4, 5):
        delete_records(wire, topic, offset)
        found.append(offset_of(wire, topic, -3))
    assert found == [0, 0, 3, 3, 3, 3]


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP])
def test_a_search_by_time_goes_on_behind_a_batch_whose_late_record_is_deleted(wire: Wire, codec: Codec) -> None:
    topic = make_topic(wire)
    for stamps in ((3000, 5000, 3000), (2000, 4000, 2500)):
        sent = build_batch([Record(i, stamp, None, b"v") for i, stamp in enumerate(stamps)], codec=codec)
        produce(wire, topic, sent)
    delete_records(wire, topic, 2)
    assert [offset_of(wire, topic, timestamp) for timestamp in (0, 3000, 3001, 4000, 4001)] == [2, 2, 4, 4, -1]


def test_a_log_without_records_goes_on_where_it_ended(wire: Wire, filled: Topic) -> None:
    delete_records(wire, filled, -1)
    assert produce(wire, filled, batch()).base_offset == 9
    assert produce(wire, filled, batch()).log_start_offset == 9
    assert_begins_at(wire, filled, 9, 15)


def test_the_epoch_of_deleted_records_ends_where_the_log_begins(wire: Wire, filled: Topic) -> None:
    delete_records(wire, filled, 4)
    asked = OffsetForLeaderPartition(partition=0, leader_epoch=0, current_leader_epoch=-1)
    request = OffsetForLeaderEpochRequest(
        replica_id=-1, topics=[OffsetForLeaderTopic(topic=filled.name, partitions=[asked])]
    )
    (answered,) = wire.call(request, 4).topics
    assert (answered.partitions[0].leader_epoch, answered.partitions[0].end_offset) == (0, 9)


def segments(broker: BrokerProcess, topic: Topic) -> list[int]:
    return sorted(int(path.stem) for path in (broker.data_dir / f"{topic.name}-0").glob("*.log"))


def test_whole_segments_vanish_from_the_folder(broker: BrokerProcess, wire: Wire) -> None:
    topic = make_topic(wire, segment_bytes=str(2**20), file_delete_delay_ms="500")
    for _ in range(4):
        produce(wire, topic, batch(b"x" * 600_000, b"y"))
    assert segments(broker, topic) == [0, 2, 4, 6]
    delete_records(wire, topic, 1)
    assert segments(broker, topic) == [0, 2, 4, 6]
    delete_records(wire, topic, 5)
    wait_until(lambda: segments(broker, topic) == [4, 6])
    folder = broker.data_dir / f"{topic.name}-0"
    wait_until(lambda: not list(folder.glob("*.deleted")))
    assert {int(path.stem) for path in folder.glob("0*")} == {4, 6}  # indexes and snapshots are gone too
    assert fetch(wire, topic, 5).error_code == ErrorCode.NONE
    delete_records(wire, topic, -1)
    wait_until(lambda: segments(broker, topic) == [6])
    assert produce(wire, topic, batch()).base_offset == 8


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with running(tmp_path_factory.mktemp("restarted") / "data") as process:
        yield process


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("start", [4, 9])
def test_what_was_deleted_stays_so_when_the_process_ends(restarted: BrokerProcess, how: str, start: int) -> None:
    with Wire(restarted.port) as wire:
        topic = make_topic(wire)
        for _ in range(3):
            produce(wire, topic, batch())
        delete_records(wire, topic, start)
    getattr(restarted, how)()
    restarted.start()
    with Wire(restarted.port) as wire:
        assert_begins_at(wire, topic, start)
        assert produce(wire, topic, batch()).base_offset == 9
        delete_records(wire, topic, 10)
    getattr(restarted, how)()
    restarted.start()
    with Wire(restarted.port) as wire:
        assert_begins_at(wire, topic, 10, 12)


def test_a_topic_that_is_made_again_begins_at_0_after_a_crash(restarted: BrokerProcess) -> None:
    with Wire(restarted.port) as wire:
        topic = make_topic(wire)
        produce(wire, topic, batch())
        delete_records(wire, topic, 2)
        wire.call(DeleteTopicsRequest(topics=[DeleteTopicState(name=topic.name)]), 6)
        again = make_topic(wire, name=topic.name)
        produce(wire, again, batch())
    restarted.kill()
    restarted.start()
    with Wire(restarted.port) as wire:
        assert_begins_at(wire, again, 0, 3)


@pytest.mark.slow
def test_deletions_survive_crash_after_crash(tmp_path: Path) -> None:
    with running(tmp_path / "data") as broker:
        with Wire(broker.port) as wire:
            topic = make_topic(wire, segment_bytes=str(2**20))
        start = end = 0
        for round in range(8):
            with Wire(broker.port) as wire:
                assert (offset_of(wire, topic, EARLIEST), offset_of(wire, topic, LATEST)) == (start, end)
                for _ in range(3):
                    produce(wire, topic, batch(b"x" * 400_000, timestamp=now_ms()))
                end += 3
                start = min(start + round, end)
                assert delete_records(wire, topic, start).low_watermark == start
                assert fetch(wire, topic, end - 1).error_code == ErrorCode.NONE or start == end
            broker.kill()
            broker.start()
        with Wire(broker.port) as wire:
            assert (offset_of(wire, topic, EARLIEST), offset_of(wire, topic, LATEST)) == (start, end)
