"""Records that are gone when the broker starts again: nobody reads other ones in their place."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import Topic, batch, commit, committed_offset, fetch, make_topic, produce
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.list_offsets import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    """A broker with a topic of nine records in three batches, whose group has read six; it is stopped."""
    broker = BrokerProcess(tmp_path / "data").start()
    with Wire(broker.port) as wire:
        topic = make_topic(wire, name="t")
        for _ in range(3):
            produce(wire, topic, batch())
        commit(wire, "g", topic, (0, 6))
    broker.stop()
    broker.log.write_text("")
    yield broker
    if broker.is_running():
        broker.stop()


def leader_epoch(wire: Wire) -> int:
    answered = wire.call(MetadataRequest(topics=[MetadataRequestTopic(name="t")]), 12)
    (topic,) = answered.topics
    (partition,) = topic.partitions
    return partition.leader_epoch  # type: ignore[no-any-return]


def end_of_epoch(wire: Wire, epoch: int) -> int:
    """What a consumer compares with its position when it hears of a new leader epoch (KIP-320)."""
    asked = OffsetForLeaderPartition(partition=0, leader_epoch=epoch, current_leader_epoch=leader_epoch(wire))
    request = OffsetForLeaderEpochRequest(replica_id=-2, topics=[OffsetForLeaderTopic(topic="t", partitions=[asked])])
    (answered,) = wire.call(request, 4).topics
    assert answered.partitions[0].error_code == 0
    return answered.partitions[0].end_offset  # type: ignore[no-any-return]


def topic(broker: BrokerProcess, wire: Wire) -> Topic:
    answered = wire.call(MetadataRequest(topics=[MetadataRequestTopic(name="t")]), 12)
    return Topic("t", answered.topics[0].topic_id)


@pytest.mark.parametrize("is_folder_left", [True, False])
def test_a_group_goes_on_behind_the_records_that_are_gone(broker: BrokerProcess, is_folder_left: bool) -> None:
    folder = broker.data_dir / "t-0"
    if is_folder_left:
        (folder / f"{0:020d}.log").unlink()
    else:
        shutil.rmtree(folder)
    broker.start()
    said = broker.log.read_text()
    assert "t-0: all records before offset 9 are gone" in said
    assert "1 partition has lost records (see the errors above)" in said
    with Wire(broker.port) as wire:
        lost = topic(broker, wire)
        assert leader_epoch(wire) == 1
        assert fetch(wire, lost, committed_offset(wire, "g", lost)).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
        assert fetch(wire, lost, 0).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
        assert produce(wire, lost, batch()).base_offset == 9
        assert fetch(wire, lost, 9).log_start_offset == 9
        assert end_of_epoch(wire, 0) == 9
    broker.stop()
    broker.log.write_text("")
    broker.start()
    assert broker.log.read_text() == ""
    with Wire(broker.port) as wire:
        assert leader_epoch(wire) == 1
        assert fetch(wire, lost, 9).high_watermark == 12


def test_consumers_learn_that_the_end_of_a_log_was_cut(broker: BrokerProcess) -> None:
    path = broker.data_dir / "t-0" / f"{0:020d}.log"
    os.truncate(path, path.stat().st_size // 3)
    broker.start()
    with Wire(broker.port) as wire:
        cut = topic(broker, wire)
        assert fetch(wire, cut, 6).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
        assert (
            "t-0: the records from offset 3 to 8 are missing; the log goes on at offset 3" in broker.log.read_text()
        )
        for offset in (3, 6):
            assert produce(wire, cut, batch()).base_offset == offset
        # A consumer that has read up to 6 under the old leader knows now that what is there is something else.
        assert leader_epoch(wire) == 1
        assert end_of_epoch(wire, 0) == 3


def test_after_a_crash_the_records_are_missed_as_well(broker: BrokerProcess) -> None:
    broker.start()
    with Wire(broker.port) as wire:
        produce(wire, topic(broker, wire), batch())
    broker.kill()
    shutil.rmtree(broker.data_dir / "t-0")
    broker.start()
    assert "t-0: all records before offset 9 are gone" in broker.log.read_text()
    with Wire(broker.port) as wire:
        assert leader_epoch(wire) == 1
        assert produce(wire, topic(broker, wire), batch()).base_offset == 9
        assert end_of_epoch(wire, 0) == 9
