"""WriteTxnMarkers for a partition of ``__consumer_offsets``: it decides about the offsets of a transaction."""

import uuid
from typing import Any

import pytest
from support.apache_kafka import ApacheKafka
from support.calls import make_topic, wait_until
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.broker.partitions.internal import CONSUMER_OFFSETS, partition_for
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.find_coordinator import FindCoordinatorRequest
from barnabas.protocol.messages.group_offsets import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from barnabas.protocol.messages.producer_ids import InitProducerIdRequest
from barnabas.protocol.messages.transaction_offsets import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from barnabas.protocol.messages.transactions import (
    AddOffsetsToTxnRequest,
    EndTxnRequest,
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
)

NOTHING = -1


class Transaction:
    """A transaction that has an offset of a group, 5 of partition 0, and speaks version 1 of transactions."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.topic = make_topic(wire).name
        self.group_id, self.transactional_id = str(uuid.uuid4()), str(uuid.uuid4())
        for key, kind in ((self.group_id, 0), (self.transactional_id, 1)):
            asked = FindCoordinatorRequest(coordinator_keys=[key], key_type=kind)
            wait_until(lambda asked=asked: not wire.call(asked, 6).coordinators[0].error_code)  # type: ignore[misc]
        self.producer_id, self.epoch = -1, -1
        wait_until(lambda: self._init() and self.epoch > 0)
        wait_until(lambda: not wire.call(AddOffsetsToTxnRequest(**self._identity), 3).error_code)
        wait_until(lambda: self._commit() == ErrorCode.NONE)

    def _init(self) -> bool:
        asked = InitProducerIdRequest(transactional_id=self.transactional_id, transaction_timeout_ms=60_000)
        answer = self._wire.call(asked, 5)
        self.producer_id, self.epoch = answer.producer_id, answer.producer_epoch
        return not answer.error_code

    @property
    def _identity(self) -> dict[str, Any]:
        return {
            "transactional_id": self.transactional_id,
            "producer_id": self.producer_id,
            "producer_epoch": self.epoch,
            "group_id": self.group_id,
        }

    def _commit(self) -> int:
        partition = TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=5, committed_metadata="")
        topics = [TxnOffsetCommitRequestTopic(name=self.topic, partitions=[partition])]
        (answered,) = self._wire.call(TxnOffsetCommitRequest(**self._identity, topics=topics), 4).topics
        return answered.partitions[0].error_code  # type: ignore[no-any-return]

    def mark(self, *, is_commit: bool, epoch: int | None = None, move: int = 0) -> int:
        """Write a marker into the group's partition, or one ``move`` further on, and return the error."""
        described = MetadataRequest(topics=[MetadataRequestTopic(name=CONSUMER_OFFSETS)])
        count = len(self._wire.call(described, 12).topics[0].partitions)
        index = (partition_for(self.group_id, count) + move) % count
        marker = WritableTxnMarker(
            producer_id=self.producer_id,
            producer_epoch=self.epoch if epoch is None else epoch,
            transaction_result=is_commit,
            topics=[WritableTxnMarkerTopic(name=CONSUMER_OFFSETS, partition_indexes=[index])],
            coordinator_epoch=0,
        )
        (answered,) = self._wire.call(WriteTxnMarkersRequest(markers=[marker]), 1).markers
        (result,) = answered.topics[0].partitions
        return result.error_code  # type: ignore[no-any-return]

    def end(self, *, is_commit: bool) -> int:
        identity = {name: value for name, value in self._identity.items() if name != "group_id"}
        return self._wire.call(EndTxnRequest(**identity, committed=is_commit), 4).error_code  # type: ignore[no-any-return]

    def fetch(self) -> tuple[int, int]:
        """Return the error and the offset that a reader gets who wants nothing undecided."""
        topic = OffsetFetchRequestTopics(name=self.topic, partition_indexes=[0])
        group = OffsetFetchRequestGroup(group_id=self.group_id, topics=[topic])
        (found,) = self._wire.call(OffsetFetchRequest(groups=[group], require_stable=True), 9).groups
        (partition,) = found.topics[0].partitions
        return partition.error_code, partition.committed_offset

    def wait_for(self, offset: int) -> None:
        """Wait until the offset is decided: Kafka shows it a moment after the marker is there."""
        wait_until(lambda: self.fetch() == (ErrorCode.NONE, offset))


@pytest.fixture
def transaction(server: BrokerProcess | ApacheKafka) -> Any:
    with Wire(server.port) as wire:
        yield Transaction(wire)


@pytest.mark.parametrize(("is_commit", "offset"), [(True, 5), (False, NOTHING)])
def test_a_marker_decides_about_the_offsets(transaction: Transaction, is_commit: bool, offset: int) -> None:
    assert transaction.fetch() == (ErrorCode.UNSTABLE_OFFSET_COMMIT, NOTHING)
    assert transaction.mark(is_commit=is_commit) == ErrorCode.NONE
    transaction.wait_for(offset)


@pytest.mark.parametrize("is_commit", [True, False])
def test_the_end_of_the_transaction_changes_nothing_any_more(transaction: Transaction, is_commit: bool) -> None:
    assert transaction.mark(is_commit=not is_commit) == ErrorCode.NONE
    assert transaction.end(is_commit=is_commit) == ErrorCode.NONE
    transaction.wait_for(NOTHING if is_commit else 5)


def test_a_marker_in_the_partition_of_other_groups_decides_nothing(transaction: Transaction) -> None:
    assert transaction.mark(is_commit=True, move=1) == ErrorCode.NONE
    assert transaction.fetch() == (ErrorCode.UNSTABLE_OFFSET_COMMIT, NOTHING)


def test_a_marker_of_an_earlier_epoch_is_refused(transaction: Transaction) -> None:
    assert transaction.mark(is_commit=True, epoch=transaction.epoch - 1) == ErrorCode.INVALID_PRODUCER_EPOCH
    assert transaction.fetch() == (ErrorCode.UNSTABLE_OFFSET_COMMIT, NOTHING)
