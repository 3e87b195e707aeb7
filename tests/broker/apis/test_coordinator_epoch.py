"""The broker ends transactions though WriteTxnMarkers has written markers with a higher coordinator epoch."""

from pathlib import Path

import pytest
from support.calls import Topic, batch, fetch, fresh, make_topic, now_ms, produce_request, wait_until
from support.process import running
from support.wire import Wire

from barnabas.protocol.messages.producer_ids import InitProducerIdRequest
from barnabas.protocol.messages.transaction_admin import DescribeTransactionsRequest
from barnabas.protocol.messages.transactions import (
    EndTxnRequest,
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
)
from barnabas.protocol.records import headers, read_end_transaction_marker

INT32_MAX = 2**31 - 1


class Producer:
    """A transactional producer of partition 0 of a topic, which has written two batches and a marker between them."""

    def __init__(self, wire: Wire, topic: Topic, coordinator_epoch: int, timeout_ms: int = 60_000) -> None:
        self.name, self.topic = fresh("transactional"), topic
        begun = wire.call(InitProducerIdRequest(transactional_id=self.name, transaction_timeout_ms=timeout_ms), 5)
        assert begun.error_code == 0
        self.identity = {"producer_id": begun.producer_id, "producer_epoch": begun.producer_epoch}
        self.write(wire, 0)
        self.mark(wire, coordinator_epoch)
        self.write(wire, 1)

    def write(self, wire: Wire, sequence: int) -> None:
        records = batch(b"a", timestamp=now_ms(), base_sequence=sequence, is_transactional=True, **self.identity)
        request = produce_request(self.topic, (0, records))
        request.transactional_id = self.name
        (answered,) = wire.call(request, 12).responses
        assert answered.partition_responses[0].error_code == 0

    def mark(self, wire: Wire, coordinator_epoch: int) -> None:
        topics = [WritableTxnMarkerTopic(name=self.topic.name, partition_indexes=[0])]
        marker = WritableTxnMarker(**self.identity, topics=topics, coordinator_epoch=coordinator_epoch)
        (answered,) = wire.call(WriteTxnMarkersRequest(markers=[marker]), 1).markers
        assert answered.topics[0].partitions[0].error_code == 0

    def state(self, wire: Wire) -> str:
        (state,) = wire.call(DescribeTransactionsRequest(transactional_ids=[self.name]), 0).transaction_states
        return str(state.transaction_state)


def marker_epochs(wire: Wire, topic: Topic) -> list[int]:
    """Return the coordinator epochs of the markers in partition 0."""
    records = bytes(fetch(wire, topic).records)
    batches = [records[at : at + header.size_bytes] for at, header in headers(records) if header.is_control]
    return [marker.coordinator_epoch for each in batches if (marker := read_end_transaction_marker(each))]


@pytest.mark.parametrize(("by_hand", "next_epoch"), [(5, 6), (INT32_MAX, INT32_MAX)])
def test_a_transaction_ends_behind_a_marker_with_a_higher_coordinator_epoch(
    tmp_path: Path, by_hand: int, next_epoch: int
) -> None:
    with running(tmp_path / "data") as broker:
        with Wire(broker.port) as wire:
            topic = make_topic(wire)
            producer = Producer(wire, topic, by_hand)
            ended = wire.call(EndTxnRequest(transactional_id=producer.name, **producer.identity, committed=True), 5)
            assert ended.error_code == 0
            assert producer.state(wire) == "CompleteCommit"
            assert marker_epochs(wire, topic) == [by_hand, next_epoch]
        broker.stop()
        broker.start()
        with Wire(broker.port) as wire:
            other = make_topic(wire)
            ended = Producer(wire, other, next_epoch)
            wire.call(EndTxnRequest(transactional_id=ended.name, **ended.identity, committed=False), 5)
            assert marker_epochs(wire, other) == [next_epoch, next_epoch]
    assert "ERROR" not in broker.log.read_text()


@pytest.mark.parametrize("restarts", [False, True])
def test_a_transaction_times_out_behind_a_marker_with_a_higher_coordinator_epoch(
    tmp_path: Path, restarts: bool
) -> None:
    with running(tmp_path / "data") as broker, Wire(broker.port) as wire:
        topic = make_topic(wire)
        producer = Producer(wire, topic, 5, timeout_ms=2_000)
        if restarts:
            broker.kill()
            broker.start()
        with Wire(broker.port) as after:
            wait_until(lambda: producer.state(after) == "CompleteAbort")
            assert marker_epochs(after, topic) == [5, 6]
