"""Partitions to which nothing was ever written: they have no folder, and answer as empty ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import Topic, batch, commit, delete_records, fetch, make_topic, produce, produce_request
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.find_coordinator import FindCoordinatorRequest
from barnabas.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from barnabas.protocol.messages.log_dirs import DescribeLogDirsRequest
from barnabas.protocol.messages.transaction_admin import DescribeProducersRequest, TopicRequest

LATEST, EARLIEST, MAX_TIMESTAMP = -1, -2, -3


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    with running(tmp_path / "data") as process:
        yield process


def folders(broker: BrokerProcess) -> list[str]:
    return sorted(path.name for path in broker.data_dir.iterdir() if path.is_dir())


def listed(wire: Wire, topic: Topic, timestamp: int) -> tuple[int, int, int]:
    partition = ListOffsetsPartition(partition_index=0, timestamp=timestamp, current_leader_epoch=-1)
    asked = ListOffsetsTopic(name=topic.name, partitions=[partition])
    (found,) = wire.call(ListOffsetsRequest(replica_id=-1, topics=[asked]), 11).topics[0].partitions
    return found.error_code, found.offset, found.leader_epoch


def ask_everything(wire: Wire, topic: Topic) -> None:
    empty = fetch(wire, topic)
    assert (empty.error_code, empty.high_watermark, empty.log_start_offset, bytes(empty.records)) == (0, 0, 0, b"")
    assert fetch(wire, topic, 1).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    epoch = listed(wire, topic, LATEST)[2]
    assert listed(wire, topic, LATEST) == listed(wire, topic, EARLIEST) == (0, 0, epoch)
    assert listed(wire, topic, 1000) == listed(wire, topic, MAX_TIMESTAMP) == (0, -1, -1)
    of_epoch = OffsetForLeaderPartition(partition=0, leader_epoch=epoch, current_leader_epoch=epoch)
    asked = OffsetForLeaderTopic(topic=topic.name, partitions=[of_epoch])
    (end,) = wire.call(OffsetForLeaderEpochRequest(replica_id=-1, topics=[asked]), 4).topics[0].partitions
    assert (end.error_code, end.leader_epoch, end.end_offset) == (0, epoch, 0)
    (described,) = wire.call(DescribeLogDirsRequest(topics=None), 4).results
    sizes = {found.name: [each.partition_size for each in found.partitions] for found in described.topics}
    assert sizes[topic.name] == [0, 0, 0]
    producers = DescribeProducersRequest(topics=[TopicRequest(name=topic.name, partition_indexes=[0])])
    (known,) = wire.call(producers, 0).topics[0].partitions
    assert (known.error_code, known.active_producers) == (0, [])
    assert delete_records(wire, topic, -1).low_watermark == 0


def test_a_partition_without_records_answers_as_an_empty_one_and_has_no_folder(broker: BrokerProcess) -> None:
    with Wire(broker.port) as wire:
        topic = make_topic(wire, partitions=3)
        ask_everything(wire, topic)
        assert folders(broker) == []


def test_a_crash_leaves_no_folders_of_partitions_without_records(broker: BrokerProcess) -> None:
    with Wire(broker.port) as wire:
        topic = make_topic(wire, partitions=3)
    broker.kill()
    broker.start()
    with Wire(broker.port) as wire:
        ask_everything(wire, topic)
        assert folders(broker) == []
        wire.call(produce_request(topic, (1, batch(b"x"))), 13)
        assert folders(broker) == [f"{topic.name}-1"]
    assert broker.stop() == 0
    broker.start()
    assert folders(broker) == [f"{topic.name}-1"]


def test_the_folder_is_made_by_the_first_record(broker: BrokerProcess) -> None:
    with Wire(broker.port) as wire:
        topic = make_topic(wire, partitions=3)
        fetch(wire, topic)
        assert produce(wire, topic, batch(b"x")).base_offset == 0
        assert folders(broker) == [f"{topic.name}-0"]
        assert fetch(wire, topic).high_watermark == 1


def test_a_refused_batch_makes_no_folder(broker: BrokerProcess) -> None:
    with Wire(broker.port) as wire:
        topic = make_topic(wire, cleanup_policy="compact")
        assert produce(wire, topic, batch(b"without a key")).error_code == ErrorCode.INVALID_RECORD
        assert folders(broker) == []


def test_the_first_group_makes_no_folder_of_partitions_that_have_nothing_of_it(broker: BrokerProcess) -> None:
    with Wire(broker.port) as wire:
        topic = make_topic(wire)
        wire.call(FindCoordinatorRequest(coordinator_keys=["group"], key_type=0), 6)
        commit(wire, "group", topic, (0, 5))
    assert broker.stop() == 0
    assert len(folders(broker)) <= 1
    broker.start()
    broker.kill()
    broker.start()
    assert len(folders(broker)) <= 1
