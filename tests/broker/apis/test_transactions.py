"""Transactions as producers ask for them: what belongs to them, how they end, and who sees what (KIP-98, KIP-890)."""

from typing import Any, NamedTuple

import pytest
from support.calls import (
    Topic,
    batch,
    both_ends,
    every_version,
    fetch,
    fetch_request,
    fresh,
    make_topic,
    now_ms,
    produce_request,
)
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from barnabas.protocol.messages.produce import PartitionProduceResponse, ProduceRequest
from barnabas.protocol.messages.producer_ids import InitProducerIdRequest
from barnabas.protocol.messages.topics import DeleteTopicsRequest
from barnabas.protocol.messages.transaction_admin import (
    DescribeProducersRequest,
    DescribeTransactionsRequest,
    ListTransactionsRequest,
    TopicRequest,
)
from barnabas.protocol.messages.transactions import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnRequestAddPartitionsToTxnTopic,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
    EndTxnRequest,
    EndTxnResponse,
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
)
from barnabas.protocol.records import ControlType, TimestampType, read_end_transaction_marker, verify

READ_COMMITTED = 1


class Producer(NamedTuple):
    name: str
    id: int
    epoch: int

    def identity(self, **other: Any) -> dict[str, Any]:
        return {"transactional_id": self.name, "producer_id": self.id, "producer_epoch": self.epoch} | other


def begin(wire: Wire, name: str = "") -> Producer:
    name = name or fresh("transactional")
    answer = wire.call(InitProducerIdRequest(transactional_id=name, transaction_timeout_ms=60_000), 5)
    assert answer.error_code == 0
    return Producer(name, answer.producer_id, answer.producer_epoch)


def add(wire: Wire, producer: Producer, version: int, *partitions: tuple[str, int], **other: Any) -> dict[Any, int]:
    """Return the error of each partition."""
    identity = producer.identity(**other)
    if version < 4:
        old = {f"v3_and_below_{field}": value for field, value in identity.items()}
        topics = [AddPartitionsToTxnTopic(name=name, partitions=[index]) for name, index in partitions]
        results = wire.call(
            AddPartitionsToTxnRequest(**old, v3_and_below_topics=topics), version
        ).results_by_topic_v3_and_below
    else:
        new_topics = [
            AddPartitionsToTxnRequestAddPartitionsToTxnTopic(name=name, partitions=[index])
            for name, index in partitions
        ]
        transaction = AddPartitionsToTxnTransaction(**{"verify_only": False, **identity}, topics=new_topics)
        (answered,) = wire.call(AddPartitionsToTxnRequest(transactions=[transaction]), version).results_by_transaction
        results = answered.topic_results
    return {
        (topic.name, each.partition_index): each.partition_error_code
        for topic in results
        for each in topic.results_by_partition
    }


def write(
    wire: Wire, producer: Producer, topic: Topic, sequence: int = 0, version: int = 12, **header: Any
) -> PartitionProduceResponse:
    """Append two records within a transaction."""
    identity = {"producer_id": producer.id, "producer_epoch": producer.epoch}
    records = batch(b"a", b"b", base_sequence=sequence, is_transactional=True, **{**identity, **header})
    request = produce_request(topic, (0, records))
    request.transactional_id = producer.name
    (answered,) = wire.call(request, version).responses
    (result,) = answered.partition_responses
    return result  # type: ignore[no-any-return]


def end(wire: Wire, producer: Producer, committed: bool, version: int = 5, **other: Any) -> EndTxnResponse:
    return wire.call(EndTxnRequest(**producer.identity(**other), committed=committed), version)  # type: ignore[no-any-return]


def latest(wire: Wire, topic: Topic, isolation_level: int) -> int:
    asked = ListOffsetsTopic(name=topic.name, partitions=[ListOffsetsPartition(partition_index=0, timestamp=-1)])
    request = ListOffsetsRequest(replica_id=-1, isolation_level=isolation_level, topics=[asked])
    offset: int = wire.call(request, 7).topics[0].partitions[0].offset
    return offset


# From the beginning to the end


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("committed", [True, False])
def test_a_transaction_is_seen_when_it_has_ended_and_not_before(
    wire: Wire, topic: Topic, version: int, committed: bool
) -> None:
    producer = begin(wire)
    if version < 5:
        assert add(wire, producer, 3, (topic.name, 0)) == {(topic.name, 0): 0}
    assert write(wire, producer, topic, version=12 if version >= 5 else 11).error_code == 0
    undecided = fetch(wire, topic, isolation_level=READ_COMMITTED)
    assert (undecided.records, undecided.last_stable_offset, undecided.high_watermark) == (b"", 0, 2)
    assert (latest(wire, topic, READ_COMMITTED), latest(wire, topic, 0)) == (0, 2)
    assert len(fetch(wire, topic).records) > 0

    ended = end(wire, producer, committed, version)

    bump = 1 if version >= 5 else 0
    assert ended.error_code == 0
    if bump:
        assert (ended.producer_id, ended.producer_epoch) == (producer.id, producer.epoch + 1)
    decided = fetch(wire, topic, isolation_level=READ_COMMITTED)
    assert (decided.last_stable_offset, decided.high_watermark) == (3, 3)
    aborted = [(each.producer_id, each.first_offset) for each in decided.aborted_transactions]
    assert aborted == ([] if committed else [(producer.id, 0)])
    assert fetch(wire, topic).aborted_transactions is None
    marker = read_end_transaction_marker(fetch(wire, topic, offset=2).records)
    assert marker is not None
    assert marker.type is (ControlType.COMMIT if committed else ControlType.ABORT)


@pytest.mark.parametrize("timestamp_type", ["CreateTime", "LogAppendTime"])
def test_a_marker_has_the_timestamp_type_of_its_topic(wire: Wire, timestamp_type: str) -> None:
    topic = make_topic(wire, message_timestamp_type=timestamp_type)
    producer, before = begin(wire), now_ms()
    write(wire, producer, topic)
    end(wire, producer, True)
    header = verify(fetch(wire, topic, offset=2).records)
    assert header.timestamp_type is (
        TimestampType.LOG_APPEND_TIME if timestamp_type == "LogAppendTime" else TimestampType.CREATE_TIME
    )
    assert before <= header.max_timestamp <= now_ms()


def test_the_oldest_open_transaction_holds_back_what_comes_after_it(wire: Wire, topic: Topic) -> None:
    first, second = begin(wire), begin(wire)
    write(wire, first, topic)
    write(wire, second, topic)
    end(wire, second, True)
    assert fetch(wire, topic, isolation_level=READ_COMMITTED).last_stable_offset == 0
    end(wire, first, False)
    decided = fetch(wire, topic, isolation_level=READ_COMMITTED)
    assert decided.last_stable_offset == 6
    assert [(each.producer_id, each.first_offset) for each in decided.aborted_transactions] == [(first.id, 0)]


def test_a_fetch_that_waits_is_answered_when_the_transaction_ends(wire: Wire, other: Wire, topic: Topic) -> None:
    producer = begin(wire)
    write(wire, producer, topic)
    request = fetch_request((topic, 0, 0), max_wait_ms=10_000, isolation_level=READ_COMMITTED)
    other.send(request, 18)
    for sequence in (2, 4):
        write(wire, producer, topic, sequence)
    end(wire, producer, True)
    answered = other.receive(type(request), 18)
    assert len(answered.responses[0].partitions[0].records) > 0


def test_records_of_an_open_transaction_do_not_end_the_wait(wire: Wire, other: Wire, topic: Topic) -> None:
    """Nor do those that come behind it; what was decided before it counts as ever."""
    request = fetch_request((topic, 0, 0), max_wait_ms=10_000, isolation_level=READ_COMMITTED)
    other.send(request, 18)
    producer = begin(wire)
    write(wire, producer, topic)
    wire.call(produce_request(topic, (0, batch())), 12)
    other.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        other.receive_frame()
    other.socket.settimeout(10)
    end(wire, producer, False)
    result = other.receive(type(request), 18).responses[0].partitions[0]
    assert (result.last_stable_offset, len(result.aborted_transactions)) == (6, 1)


def test_a_batch_that_is_sent_again_is_not_appended_again(wire: Wire, topic: Topic) -> None:
    producer = begin(wire)
    first, again = write(wire, producer, topic), write(wire, producer, topic)
    assert (first.error_code, again.error_code, again.base_offset) == (0, 0, first.base_offset)
    end(wire, producer, True, 4)
    assert write(wire, producer, topic).base_offset == 0
    assert latest(wire, topic, 0) == 3


# What belongs to it


@every_version(AddPartitionsToTxnRequest)
def test_partitions_are_added_all_or_none(wire: Wire, topic: Topic, version: int) -> None:
    producer = begin(wire)
    known, unknown = (topic.name, 0), (topic.name, 9)
    assert add(wire, producer, version, known, unknown) == {
        known: ErrorCode.OPERATION_NOT_ATTEMPTED,
        unknown: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    }
    assert add(wire, producer, version, known) == {known: 0}
    assert add(wire, producer, version, known) == {known: 0}


@both_ends(AddPartitionsToTxnRequest, since=4)
def test_other_brokers_may_only_ask(wire: Wire, topic: Topic, version: int) -> None:
    producer, known = begin(wire), (topic.name, 0)
    assert add(wire, producer, version, known, verify_only=True) == {known: ErrorCode.TRANSACTION_ABORTABLE}
    add(wire, producer, version, known)
    assert add(wire, producer, version, known, verify_only=True) == {known: 0}


WRONG = [
    ({"transactional_id": "unknown"}, ErrorCode.INVALID_PRODUCER_ID_MAPPING),
    ({"producer_id": 2**60}, ErrorCode.INVALID_PRODUCER_ID_MAPPING),
    ({"transactional_id": ""}, ErrorCode.INVALID_REQUEST),
]


def fenced(version: int) -> ErrorCode:
    return ErrorCode.PRODUCER_FENCED if version >= 2 else ErrorCode.INVALID_PRODUCER_EPOCH


@both_ends(AddPartitionsToTxnRequest)
@pytest.mark.parametrize(("field", "code"), WRONG)
def test_partitions_of_somebody_else(
    wire: Wire, topic: Topic, version: int, field: dict[str, Any], code: ErrorCode
) -> None:
    producer = begin(wire)
    assert add(wire, producer, version, (topic.name, 0), **field) == {(topic.name, 0): code}
    begin(wire, producer.name)
    assert add(wire, producer, version, (topic.name, 0)) == {(topic.name, 0): fenced(version)}


@both_ends(AddOffsetsToTxnRequest)
@pytest.mark.parametrize(("field", "code"), WRONG)
def test_groups(wire: Wire, version: int, field: dict[str, Any], code: ErrorCode) -> None:
    producer = begin(wire)

    def ask(**other: Any) -> int:
        request = AddOffsetsToTxnRequest(**producer.identity(**other), group_id="g")
        return wire.call(request, version).error_code  # type: ignore[no-any-return]

    assert ask() == 0
    assert ask(**field) == code
    begin(wire, producer.name)
    assert ask() == fenced(version)


# What is written outside of one


@pytest.mark.parametrize(
    ("version", "code"), [(3, ErrorCode.INVALID_TXN_STATE), (11, ErrorCode.TRANSACTION_ABORTABLE)]
)
def test_a_partition_that_was_not_added(wire: Wire, topic: Topic, version: int, code: ErrorCode) -> None:
    assert write(wire, begin(wire), topic, version=version).error_code == code


@both_ends(ProduceRequest, since=3, until=12)
def test_a_producer_that_was_replaced_writes_nothing(wire: Wire, topic: Topic, version: int) -> None:
    producer = begin(wire)
    begin(wire, producer.name)
    assert write(wire, producer, topic, version=version).error_code == ErrorCode.INVALID_PRODUCER_EPOCH
    unknown = producer._replace(name="unknown")
    assert write(wire, unknown, topic, version=version).error_code == ErrorCode.INVALID_PRODUCER_ID_MAPPING


def test_a_batch_without_a_transactional_id(wire: Wire, topic: Topic) -> None:
    records = batch(producer_id=5, producer_epoch=0, base_sequence=0, is_transactional=True)
    (answered,) = wire.call(produce_request(topic, (0, records)), 12).responses
    assert answered.partition_responses[0].error_code == ErrorCode.INVALID_TXN_STATE


def test_a_batch_outside_of_the_open_transaction(wire: Wire, topic: Topic) -> None:
    producer = begin(wire)
    write(wire, producer, topic)
    records = batch(producer_id=producer.id, producer_epoch=producer.epoch, base_sequence=2)
    (answered,) = wire.call(produce_request(topic, (0, records)), 12).responses
    assert answered.partition_responses[0].error_code == ErrorCode.INVALID_TXN_STATE


def test_a_transaction_does_not_begin_in_the_middle(wire: Wire, topic: Topic) -> None:
    result = write(wire, begin(wire), topic, sequence=5)
    assert result.error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


# The end


@both_ends(EndTxnRequest)
@pytest.mark.parametrize(("field", "code"), WRONG)
def test_the_end_of_somebody_elses(wire: Wire, version: int, field: dict[str, Any], code: ErrorCode) -> None:
    producer = begin(wire)
    assert end(wire, producer, True, version, **field).error_code == code
    assert end(wire, producer, True, version).error_code == ErrorCode.INVALID_TXN_STATE
    begin(wire, producer.name)
    assert end(wire, producer, True, version).error_code == fenced(version)


@both_ends(WriteTxnMarkersRequest)
def test_markers_are_written_as_they_are_asked_for(wire: Wire, topic: Topic, version: int) -> None:
    producer = begin(wire)
    write(wire, producer, topic)

    def mark(coordinator_epoch: int, epoch: int, *indexes: int) -> list[int]:
        marker = WritableTxnMarker(
            producer_id=producer.id,
            producer_epoch=epoch,
            transaction_result=False,
            topics=[WritableTxnMarkerTopic(name=topic.name, partition_indexes=list(indexes))],
            coordinator_epoch=coordinator_epoch,
        )
        (answered,) = wire.call(WriteTxnMarkersRequest(markers=[marker]), version).markers
        return [each.error_code for each in answered.topics[0].partitions]

    assert mark(7, 5, 0, 9) == [0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
    assert latest(wire, topic, READ_COMMITTED) == 3
    assert mark(7, 4, 0) == [ErrorCode.INVALID_PRODUCER_EPOCH]
    assert mark(6, 5, 0) == [ErrorCode.TRANSACTION_COORDINATOR_FENCED]


# What operators see


def test_transactions_are_listed_and_described(wire: Wire, topic: Topic) -> None:
    producer = begin(wire)

    def seen() -> str:
        (state,) = wire.call(DescribeTransactionsRequest(transactional_ids=[producer.name]), 0).transaction_states
        assert (state.error_code, state.producer_id) == (0, producer.id)
        assert state.transaction_timeout_ms == 60_000
        parts = [(each.topic, each.partitions) for each in state.topics]
        assert parts == ([(topic.name, [0])] if state.transaction_state == "Ongoing" else [])
        assert (state.transaction_start_time_ms > 0) is (state.transaction_state != "Empty")
        return str(state.transaction_state)

    def listed(**filters: Any) -> bool:
        states = wire.call(ListTransactionsRequest(**filters), 2).transaction_states
        return producer.name in [each.transactional_id for each in states]

    assert seen() == "Empty"
    write(wire, producer, topic)
    assert seen() == "Ongoing"
    assert listed()
    assert listed(state_filters=["Ongoing", "Nonsense"], producer_id_filters=[producer.id, 7])
    assert listed(transactional_id_pattern=f"{producer.name[:5]}.*")
    assert not listed(transactional_id_pattern="other.*")
    assert not listed(state_filters=["Empty"])
    assert not listed(producer_id_filters=[7])
    assert not listed(duration_filter=50_000)
    end(wire, producer, True)
    assert seen() == "CompleteCommit"


def test_a_partition_tells_where_transactions_began(wire: Wire, topic: Topic) -> None:
    def began() -> tuple[int, int]:
        asked = [TopicRequest(name=topic.name, partition_indexes=[0])]
        (described,) = wire.call(DescribeProducersRequest(topics=asked), 0).topics[0].partitions
        (state,) = described.active_producers
        return state.current_txn_start_offset, state.coordinator_epoch

    producer = begin(wire)
    write(wire, producer, topic)
    assert began() == (0, -1)
    end(wire, producer, True)
    assert began() == (-1, 0)


def test_a_transaction_may_be_of_a_topic_that_is_gone(wire: Wire) -> None:
    producer = begin(wire)
    gone, stays = make_topic(wire), make_topic(wire)
    for topic in (gone, stays):
        write(wire, producer, topic)
    wire.call(DeleteTopicsRequest(topic_names=[gone.name], timeout_ms=1000), 5)
    assert end(wire, producer, True).error_code == 0
    assert latest(wire, stays, READ_COMMITTED) == 3
