"""A partition whose files cannot be used, and a disk that is not there: KAFKA_STORAGE_ERROR, and the rest goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import (
    Topic,
    batch,
    both_ends,
    delete_request,
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
from barnabas.protocol.messages.delete_records import DeleteRecordsRequest
from barnabas.protocol.messages.fetch import FetchRequest
from barnabas.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from barnabas.protocol.messages.log_dirs import DescribeLogDirsRequest
from barnabas.protocol.messages.produce import ProduceRequest
from barnabas.protocol.messages.transaction_admin import DescribeProducersRequest, TopicRequest

CODE = ErrorCode.KAFKA_STORAGE_ERROR


@pytest.fixture(scope="module")
def broken(broker: BrokerProcess) -> Topic:
    """A topic where a file stands in the place of the folder of its only partition."""
    with Wire(broker.port) as wire:
        topic = make_topic(wire)
    (broker.data_dir / f"{topic.name}-0").write_bytes(b"")
    return topic


@pytest.fixture(autouse=True)
def _others_go_on(wire: Wire) -> Iterator[None]:
    yield
    assert produce(wire, make_topic(wire), batch()).error_code == ErrorCode.NONE


@both_ends(ProduceRequest)
@pytest.mark.parametrize("acks", [1, -1])
def test_nothing_can_be_appended(wire: Wire, broken: Topic, version: int, acks: int) -> None:
    (answered,) = wire.call(produce_request(broken, (0, batch()), acks=acks), version).responses
    (result,) = answered.partition_responses
    assert (result.error_code, result.base_offset) == (CODE, -1)


@both_ends(ProduceRequest)
def test_a_refused_batch_for_it_does_not_hide_what_other_topics_took(wire: Wire, broken: Topic, version: int) -> None:
    good = make_topic(wire)
    request = produce_request(good, (0, batch()))
    request.topic_data += produce_request(broken, (0, placed(batch(), 5))).topic_data
    results = [answered.partition_responses[0] for answered in wire.call(request, version).responses]
    assert [result.base_offset for result in results] == [0, -1]
    assert (results[0].error_code, results[1].log_start_offset) == (ErrorCode.NONE, -1)
    assert results[1].error_code not in (ErrorCode.NONE, ErrorCode.UNKNOWN_SERVER_ERROR)


@both_ends(FetchRequest)
def test_nothing_can_be_read(wire: Wire, broken: Topic, version: int) -> None:
    (result,) = fetched(wire.call(fetch_request((broken, 0, 0)), version))
    assert (result.error_code, result.high_watermark, len(result.records or b"")) == (CODE, -1, 0)


@both_ends(ListOffsetsRequest)
@pytest.mark.parametrize("timestamp", [-2, -1, 0])
def test_no_offset_is_known(wire: Wire, broken: Topic, version: int, timestamp: int) -> None:
    partition = ListOffsetsPartition(partition_index=0, timestamp=timestamp, current_leader_epoch=-1)
    request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=broken.name, partitions=[partition])])
    (answered,) = wire.call(request, version).topics
    assert (answered.partitions[0].error_code, answered.partitions[0].offset) == (CODE, -1)


@both_ends(OffsetForLeaderEpochRequest)
def test_no_leader_epoch_is_known(wire: Wire, broken: Topic, version: int) -> None:
    asked = OffsetForLeaderPartition(partition=0, leader_epoch=0, current_leader_epoch=-1)
    request = OffsetForLeaderEpochRequest(
        replica_id=-1, topics=[OffsetForLeaderTopic(topic=broken.name, partitions=[asked])]
    )
    (answered,) = wire.call(request, version).topics
    assert (answered.partitions[0].error_code, answered.partitions[0].end_offset) == (CODE, -1)


@both_ends(DeleteRecordsRequest)
def test_nothing_can_be_deleted(wire: Wire, broken: Topic, version: int) -> None:
    (answered,) = wire.call(delete_request((broken.name, 0, -1)), version).topics
    assert (answered.partitions[0].error_code, answered.partitions[0].low_watermark) == (CODE, -1)


def test_no_producers_are_known(wire: Wire, broken: Topic) -> None:
    request = DescribeProducersRequest(topics=[TopicRequest(name=broken.name, partition_indexes=[0])])
    (answered,) = wire.call(request, 0).topics
    assert (answered.partitions[0].error_code, answered.partitions[0].active_producers) == (CODE, [])


@both_ends(DescribeLogDirsRequest)
def test_a_directory_that_is_gone_is_told(tmp_path: Path, version: int) -> None:
    with running(tmp_path / "data") as broker, Wire(broker.port) as wire:
        gone = broker.data_dir.rename(tmp_path / "elsewhere")
        (result,) = wire.call(DescribeLogDirsRequest(topics=None), version).results
        gone.rename(broker.data_dir)
        assert (result.error_code, result.log_dir, result.topics) == (CODE, str(broker.data_dir), [])
