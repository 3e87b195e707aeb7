"""What operators look for: the producers of a partition, and transactions, of which there are none (KIP-664)."""

from collections.abc import Callable

import pytest
from support.calls import (
    Topic,
    as_of,
    batch,
    both_ends,
    delete_records,
    every_version,
    make_topic,
    produce,
    produce_request,
)
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.transaction_admin import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    ListTransactionsRequest,
    ListTransactionsResponse,
    PartitionResponse,
    ProducerState,
    TopicRequest,
    TopicResponse,
    TransactionState,
)


def describe(wire: Wire, name: str, *indexes: int) -> DescribeProducersResponse:
    request = DescribeProducersRequest(topics=[TopicRequest(name=name, partition_indexes=list(indexes))])
    return wire.call(request, 0)  # type: ignore[no-any-return]


def answer(name: str, *partitions: PartitionResponse) -> DescribeProducersResponse:
    return DescribeProducersResponse(topics=[TopicResponse(name=name, partitions=list(partitions))])


def state(producer_id: int, epoch: int, last_sequence: int, timestamp: int = 1000) -> ProducerState:
    return ProducerState(
        producer_id=producer_id,
        producer_epoch=epoch,
        last_sequence=last_sequence,
        last_timestamp=timestamp,
        coordinator_epoch=-1,
        current_txn_start_offset=-1,
    )


def idempotent(producer_id: int, sequence: int, epoch: int = 0, timestamp: int = 1000) -> bytes:
    return batch(producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence, timestamp=timestamp)


def test_producers_are_described(wire: Wire) -> None:
    topic = make_topic(wire, partitions=2)
    produce(wire, topic, idempotent(7, 0))
    produce(wire, topic, idempotent(7, 3, timestamp=2000))
    produce(wire, topic, idempotent(8, 0, epoch=4))
    wire.call(produce_request(topic, (1, batch())), 13)
    states = [state(7, 0, 5, 2000), state(8, 4, 2)]
    partitions = [PartitionResponse(partition_index=0, active_producers=states), PartitionResponse(partition_index=1)]
    assert describe(wire, topic.name, 0, 1) == answer(topic.name, *partitions)


def test_a_new_epoch_takes_the_place_of_the_old_one(wire: Wire, topic: Topic) -> None:
    produce(wire, topic, idempotent(7, 0))
    produce(wire, topic, idempotent(7, 0, epoch=1))
    (result,) = describe(wire, topic.name, 0).topics[0].partitions
    assert result.active_producers == [state(7, 1, 2)]


def test_producers_whose_records_were_deleted_are_remembered(wire: Wire, topic: Topic) -> None:
    """As in Kafka since KIP-360."""
    produce(wire, topic, idempotent(7, 0))
    delete_records(wire, topic, -1)
    (result,) = describe(wire, topic.name, 0).topics[0].partitions
    assert result.active_producers == [state(7, 0, 2)]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nowhere", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ("", ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("a b", ErrorCode.INVALID_TOPIC_EXCEPTION),
    ],
)
def test_an_unknown_topic_is_told(wire: Wire, name: str, code: ErrorCode) -> None:
    (result,) = describe(wire, name, 0).topics[0].partitions
    assert (result.partition_index, result.error_code, result.active_producers) == (0, code, [])


def test_an_unknown_partition_is_told(wire: Wire, topic: Topic) -> None:
    unknown = [
        PartitionResponse(partition_index=index, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) for index in (1, -1)
    ]
    known = PartitionResponse(partition_index=0)
    assert describe(wire, topic.name, 1, -1, 0) == answer(topic.name, *unknown, known)


def test_no_topics_are_answered_with_none(wire: Wire) -> None:
    assert wire.call(DescribeProducersRequest(), 0) == DescribeProducersResponse()


@pytest.mark.parametrize("end", [BrokerProcess.stop, BrokerProcess.kill], ids=["stop", "kill"])
def test_producers_are_remembered_when_the_process_ends(
    broker: BrokerProcess, end: Callable[[BrokerProcess], object]
) -> None:
    with Wire(broker.port) as wire:
        topic = make_topic(wire)
        produce(wire, topic, idempotent(7, 0))
    end(broker)
    broker.start()
    with Wire(broker.port) as wire:
        (result,) = describe(wire, topic.name, 0).topics[0].partitions
        assert result.active_producers == [state(7, 0, 2)]


# Transactions


@pytest.mark.parametrize(
    ("name", "code"), [("mine", ErrorCode.TRANSACTIONAL_ID_NOT_FOUND), ("", ErrorCode.INVALID_REQUEST)]
)
def test_no_transaction_is_found(wire: Wire, name: str, code: ErrorCode) -> None:
    response = wire.call(DescribeTransactionsRequest(transactional_ids=[name]), 0)
    state = TransactionState(error_code=code, transactional_id=name)
    assert response == DescribeTransactionsResponse(transaction_states=[state])


@every_version(ListTransactionsRequest)
def test_no_transactions_are_listed(wire: Wire, version: int) -> None:
    assert wire.call(ListTransactionsRequest(), version) == ListTransactionsResponse()
    request = ListTransactionsRequest(
        state_filters=["Ongoing", "ongoing", "Empty"],
        producer_id_filters=[7],
        duration_filter=5 if version >= 1 else -1,
        transactional_id_pattern="a.*" if version >= 2 else None,
    )
    expected = ListTransactionsResponse(unknown_state_filters=["ongoing"])
    assert wire.call(request, version) == as_of(expected, version)


@both_ends(ListTransactionsRequest, since=2)
def test_a_pattern_that_is_none_is_refused(wire: Wire, version: int) -> None:
    response = wire.call(ListTransactionsRequest(transactional_id_pattern="("), version)
    assert response == ListTransactionsResponse(error_code=ErrorCode.INVALID_REGULAR_EXPRESSION)
