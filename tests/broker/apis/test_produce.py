import struct
from typing import Any

import pytest
from support.calls import (
    Topic,
    as_of,
    batch,
    both_ends,
    end_offset,
    every_version,
    fetch,
    make_topic,
    now_ms,
    placed,
    produce,
    produce_request,
)
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.produce import (
    BatchIndexAndErrorMessage,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from barnabas.protocol.records import Codec, TimestampType, read_header, records, verify

ENDS = both_ends(ProduceRequest)
HOUR_MS = 3_600_000


def with_crc(changed: bytearray) -> bytes:
    """Return the batch with a CRC that fits what was changed in it."""
    from barnabas.protocol.records import crc32c

    struct.pack_into(">I", changed, 17, crc32c(bytes(changed[21:])))
    return bytes(changed)


def patched(position: int, format: str, value: int, **header: Any) -> bytes:
    changed = bytearray(batch(**header))
    struct.pack_into(format, changed, position, value)
    return with_crc(changed)


def assert_refused(wire: Wire, topic: Topic, sent: bytes | None, code: ErrorCode, version: int) -> Any:
    """Produce, expect the error in exactly the form of a failed partition, and nothing in the log."""
    before = end_offset(wire, topic)
    result = produce(wire, topic, sent, version)
    expected = PartitionProduceResponse(
        index=0,
        error_code=code,
        base_offset=-1,
        log_start_offset=result.log_start_offset,
        record_errors=result.record_errors,
        error_message=result.error_message,
    )
    assert result == expected
    assert result.log_start_offset in ((-1,) if version < 5 else (-1, 0))
    assert end_offset(wire, topic) == before
    return result


@every_version(ProduceRequest)
def test_batches_get_the_next_offsets(wire: Wire, topic: Topic, version: int) -> None:
    for base_offset in (0, 3):
        expected = ProduceResponse(
            responses=[
                TopicProduceResponse(
                    name=topic.name,
                    topic_id=topic.topic_id,
                    partition_responses=[
                        PartitionProduceResponse(
                            index=0, base_offset=base_offset, log_append_time_ms=-1, log_start_offset=0
                        )
                    ],
                )
            ]
        )
        assert wire.call(produce_request(topic, (0, batch())), version) == as_of(expected, version)
    assert fetch(wire, topic).records == placed(batch(), 0) + placed(batch(), 3)


@ENDS
@pytest.mark.parametrize("acks", [1, -1])
def test_both_kinds_of_acknowledgement_are_answered(wire: Wire, topic: Topic, version: int, acks: int) -> None:
    response = wire.call(produce_request(topic, (0, batch()), acks=acks), version)
    assert response.responses[0].partition_responses[0].error_code == ErrorCode.NONE


@ENDS
def test_acks_0_is_written_and_not_answered(wire: Wire, topic: Topic, version: int) -> None:
    wire.send(produce_request(topic, (0, batch()), acks=0), version)
    assert produce(wire, topic, batch(), version).base_offset == 3


@ENDS
def test_acks_0_with_an_error_closes_the_connection(broker: BrokerProcess, wire: Wire, version: int) -> None:
    nowhere = Topic("nowhere", b"nowhere_________")
    with Wire(broker.port) as doomed:
        doomed.send(produce_request(nowhere, (0, batch()), acks=0), version)
        with pytest.raises(ConnectionError):
            doomed.receive_frame()


@ENDS
@pytest.mark.parametrize("acks", [2, -2, 32767])
def test_other_acks_are_refused_per_partition(wire: Wire, topic: Topic, version: int, acks: int) -> None:
    response = wire.call(produce_request(topic, (0, batch()), acks=acks), version)
    failed = PartitionProduceResponse(index=0, error_code=ErrorCode.INVALID_REQUIRED_ACKS, base_offset=-1)
    assert response.responses[0].partition_responses == [failed]
    assert end_offset(wire, topic) == 0


@both_ends(ProduceRequest, until=12)
@pytest.mark.parametrize("name", ["nowhere", "not a name!"])
def test_an_unknown_name_is_told(wire: Wire, version: int, name: str) -> None:
    result = produce(wire, Topic(name, bytes(16)), batch(), version)
    assert result.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


@pytest.mark.parametrize("topic_id", [b"nowhere_________", bytes(16)], ids=["unknown", "zero"])
def test_an_unknown_id_is_told(wire: Wire, topic_id: bytes) -> None:
    response = wire.call(produce_request(Topic("", topic_id), (0, batch())), 13)
    assert response.responses[0].topic_id == topic_id
    assert response.responses[0].partition_responses == [
        PartitionProduceResponse(index=0, error_code=ErrorCode.UNKNOWN_TOPIC_ID, base_offset=-1)
    ]


@ENDS
@pytest.mark.parametrize("index", [1, -1, 2**31 - 1])
def test_an_unknown_partition_is_told(wire: Wire, topic: Topic, version: int, index: int) -> None:
    response = wire.call(produce_request(topic, (index, batch())), version)
    (result,) = response.responses[0].partition_responses
    assert (result.index, result.error_code) == (index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


@ENDS
@pytest.mark.parametrize("nothing", [None, b""])
def test_a_partition_without_a_batch_is_refused(
    wire: Wire, topic: Topic, version: int, nothing: bytes | None
) -> None:
    assert_refused(wire, topic, nothing, ErrorCode.INVALID_RECORD, version)


@ENDS
def test_two_batches_for_a_partition_are_refused(wire: Wire, topic: Topic, version: int) -> None:
    assert_refused(wire, topic, batch() + batch(), ErrorCode.INVALID_RECORD, version)


@ENDS
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(patched(16, ">b", 1), id="magic 1"),
        pytest.param(patched(16, ">b", 0), id="magic 0"),
        pytest.param(patched(16, ">b", 3), id="magic 3"),
        pytest.param(patched(0, ">q", 5), id="a base offset"),
        pytest.param(patched(0, ">q", -1), id="a negative base offset"),
        pytest.param(patched(57, ">i", 2), id="fewer records than offsets"),
        pytest.param(patched(57, ">i", 0), id="no records"),
        pytest.param(patched(57, ">i", -1), id="less than no records"),
        pytest.param(patched(23, ">i", 1), id="fewer offsets than records"),
        pytest.param(batch(is_control=True), id="a control batch"),
        pytest.param(batch(producer_id=5, producer_epoch=0), id="no sequence"),
        pytest.param(batch(producer_id=5, base_sequence=0), id="no epoch"),
        pytest.param(batch()[:-1], id="a batch cut short"),
    ],
)
def test_a_batch_that_clients_do_not_write_is_refused(wire: Wire, topic: Topic, version: int, sent: bytes) -> None:
    result = assert_refused(wire, topic, sent, ErrorCode.INVALID_RECORD, version)
    assert bool(result.error_message) == (version >= 8)


@ENDS
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(batch()[:-1] + b"\xff", id="a changed byte"),
        pytest.param(batch()[:17] + bytes(4) + batch()[21:], id="another CRC"),
        pytest.param(b"x", id="one byte"),
        pytest.param(batch()[:60], id="part of a header"),
        pytest.param(batch()[:8] + bytes(4) + batch()[12:], id="a length of 0"),
        pytest.param(batch()[:8] + b"\xff\xff\xff\xff" + batch()[12:], id="a negative length"),
    ],
)
def test_a_corrupt_batch_is_refused(wire: Wire, topic: Topic, version: int, sent: bytes) -> None:
    assert_refused(wire, topic, sent, ErrorCode.CORRUPT_MESSAGE, version)


def test_zstd_needs_version_7(wire: Wire, topic: Topic) -> None:
    sent = batch(codec=Codec.ZSTD)
    for version in range(3, 7):
        assert_refused(wire, topic, sent, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, version)
    for version in range(7, 14):
        assert produce(wire, topic, sent, version).error_code == ErrorCode.NONE


@ENDS
@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.SNAPPY, Codec.LZ4])
def test_compressed_batches_stay_as_they_are(wire: Wire, topic: Topic, version: int, codec: Codec) -> None:
    sent = batch(b"aaaa" * 100, b"bbbb" * 100, codec=codec)
    assert produce(wire, topic, sent, version).error_code == ErrorCode.NONE
    assert fetch(wire, topic).records == placed(sent, 0)


@ENDS
@pytest.mark.parametrize("number", [5, 6, 7])
def test_a_codec_that_does_not_exist_is_refused(wire: Wire, topic: Topic, version: int, number: int) -> None:
    result = produce(wire, topic, patched(21, ">h", number), version)
    assert result.error_code in (ErrorCode.INVALID_RECORD, ErrorCode.CORRUPT_MESSAGE)
    assert end_offset(wire, topic) == 0


@ENDS
def test_a_batch_of_exactly_max_message_bytes_fits(wire: Wire, version: int) -> None:
    sent = batch(bytes(500))
    topic = make_topic(wire, max_message_bytes=str(len(sent)))
    assert produce(wire, topic, sent, version).error_code == ErrorCode.NONE
    assert_refused(wire, topic, batch(bytes(501)), ErrorCode.MESSAGE_TOO_LARGE, version)


@ENDS
def test_a_batch_that_no_segment_holds_is_refused(wire: Wire, version: int) -> None:
    topic = make_topic(wire, segment_bytes=str(2**20), max_message_bytes=str(2**22))
    assert_refused(wire, topic, batch(bytes(2**20)), ErrorCode.RECORD_LIST_TOO_LARGE, version)


@ENDS
@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP, Codec.LZ4])
def test_a_compacted_topic_names_the_records_without_a_key(wire: Wire, version: int, codec: Codec) -> None:
    topic = make_topic(wire, cleanup_policy="compact")
    sent = batch(b"a", b"b", b"c", b"d", keys=[b"k", None, b"", None], codec=codec)

    result = assert_refused(wire, topic, sent, ErrorCode.INVALID_RECORD, version)

    if version >= 8:
        assert [error.batch_index for error in result.record_errors] == [1, 3]
        assert all(error.batch_index_error_message for error in result.record_errors)
        assert result.error_message
    else:
        assert (result.record_errors, result.error_message) == ([], None)
    assert produce(wire, topic, batch(b"a", keys=[b"k"], codec=codec), version).error_code == ErrorCode.NONE


@ENDS
def test_compaction_and_deletion_together_need_keys_too(wire: Wire, version: int) -> None:
    topic = make_topic(wire, cleanup_policy="delete,compact")
    assert_refused(wire, topic, batch(), ErrorCode.INVALID_RECORD, version)


@ENDS
@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP])
def test_a_timestamp_too_far_ahead_is_refused(wire: Wire, topic: Topic, version: int, codec: Codec) -> None:
    sent = batch(timestamp=now_ms() + HOUR_MS + 60_000, codec=codec)
    result = assert_refused(wire, topic, sent, ErrorCode.INVALID_TIMESTAMP, version)
    if version >= 8:
        assert [error.batch_index for error in result.record_errors] == [0, 1, 2]
        assert isinstance(result.record_errors[0], BatchIndexAndErrorMessage)
    assert produce(wire, topic, batch(timestamp=now_ms() + HOUR_MS - 60_000), version).error_code == ErrorCode.NONE


@ENDS
def test_a_timestamp_too_far_back_is_refused(wire: Wire, version: int) -> None:
    topic = make_topic(wire, message_timestamp_before_max_ms="1000")
    assert_refused(wire, topic, batch(timestamp=now_ms() - 60_000), ErrorCode.INVALID_TIMESTAMP, version)
    assert produce(wire, topic, batch(timestamp=now_ms()), version).error_code == ErrorCode.NONE
    assert produce(wire, topic, batch(timestamp=-1), version).error_code == ErrorCode.NONE


@ENDS
def test_only_the_broker_sets_append_times(wire: Wire, topic: Topic, version: int) -> None:
    sent = batch(timestamp_type=TimestampType.LOG_APPEND_TIME)
    assert_refused(wire, topic, sent, ErrorCode.INVALID_TIMESTAMP, version)


@every_version(ProduceRequest)
def test_a_log_append_time_topic_gets_the_time_of_the_broker(wire: Wire, version: int) -> None:
    topic = make_topic(wire, message_timestamp_type="LogAppendTime")
    before = now_ms()

    result = produce(wire, topic, batch(b"a", b"b", timestamp=5), version)

    assert before <= result.log_append_time_ms <= now_ms()
    stored = bytes(fetch(wire, topic).records)
    header = verify(stored)
    assert header.timestamp_type is TimestampType.LOG_APPEND_TIME
    assert header.max_timestamp == result.log_append_time_ms
    assert header.base_timestamp == 5
    assert [record.value for record in records(stored)] == [b"a", b"b"]


# Idempotent producers (KIP-98)


def numbered(first: int, *, producer: int, epoch: int = 0, timestamp: int = 1000, count: int = 2) -> bytes:
    values = [b"v"] * count
    return batch(*values, producer_id=producer, producer_epoch=epoch, base_sequence=first, timestamp=timestamp)


@every_version(ProduceRequest)
def test_a_batch_that_comes_again_is_answered_with_its_first_offset(wire: Wire, topic: Topic, version: int) -> None:
    produce(wire, topic, batch())
    sent = [numbered(first, producer=9, timestamp=1000 + first) for first in (0, 2, 4, 6, 8)]
    assert [produce(wire, topic, each, version).base_offset for each in sent] == [3, 5, 7, 9, 11]

    again = [produce(wire, topic, each, version) for each in sent]

    assert [result.error_code for result in again] == [ErrorCode.NONE] * 5
    assert [result.base_offset for result in again] == [3, 5, 7, 9, 11]
    assert [result.log_append_time_ms for result in again] == [1000, 1002, 1004, 1006, 1008]
    assert end_offset(wire, topic) == 13


@ENDS
def test_a_duplicate_older_than_five_batches_is_out_of_order(wire: Wire, topic: Topic, version: int) -> None:
    for first in range(0, 12, 2):
        produce(wire, topic, numbered(first, producer=9), version)
    assert_refused(wire, topic, numbered(0, producer=9), ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, version)


@ENDS
def test_a_gap_in_the_sequence_is_out_of_order(wire: Wire, topic: Topic, version: int) -> None:
    produce(wire, topic, numbered(0, producer=9), version)
    for first in (1, 3):
        assert_refused(wire, topic, numbered(first, producer=9), ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, version)
    assert produce(wire, topic, numbered(2, producer=9), version).base_offset == 2


@ENDS
def test_an_old_epoch_is_refused_and_a_new_one_begins_at_0(wire: Wire, topic: Topic, version: int) -> None:
    produce(wire, topic, numbered(0, producer=9, epoch=3), version)
    assert_refused(wire, topic, numbered(2, producer=9, epoch=2), ErrorCode.INVALID_PRODUCER_EPOCH, version)
    assert_refused(wire, topic, numbered(2, producer=9, epoch=4), ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, version)
    assert produce(wire, topic, numbered(0, producer=9, epoch=4), version).base_offset == 2


@ENDS
def test_an_unknown_producer_may_begin_anywhere_and_the_sequence_wraps(
    wire: Wire, topic: Topic, version: int
) -> None:
    assert produce(wire, topic, numbered(2**31 - 2, producer=9), version).base_offset == 0
    assert produce(wire, topic, numbered(0, producer=9), version).base_offset == 2
    assert produce(wire, topic, numbered(2**31 - 2, producer=9), version).base_offset == 0


@ENDS
def test_a_batch_across_the_wrap_is_followed_by_the_rest(wire: Wire, topic: Topic, version: int) -> None:
    assert produce(wire, topic, numbered(2**31 - 1, producer=9), version).base_offset == 0
    assert produce(wire, topic, numbered(1, producer=9), version).base_offset == 2


@ENDS
def test_a_transactional_batch_is_refused_while_there_are_no_transactions(
    wire: Wire, topic: Topic, version: int
) -> None:
    sent = batch(producer_id=9, producer_epoch=0, base_sequence=0, is_transactional=True)
    assert_refused(wire, topic, sent, ErrorCode.INVALID_TXN_STATE, version)


# Several partitions


@ENDS
def test_partitions_and_topics_fail_independently_and_keep_their_order(wire: Wire, version: int) -> None:
    first, second = make_topic(wire, partitions=3), make_topic(wire)
    nowhere = Topic("nowhere", b"nowhere_________")
    request = ProduceRequest(
        acks=-1,
        topic_data=[
            TopicProduceData(
                name=topic.name,
                topic_id=topic.topic_id,
                partition_data=[PartitionProduceData(index=index, records=sent) for index, sent in asked],
            )
            for topic, asked in [
                (second, [(0, batch())]),
                (nowhere, [(0, batch())]),
                (first, [(2, batch()), (1, b"?"), (9, batch()), (0, batch())]),
            ]
        ],
    )
    unknown = ErrorCode.UNKNOWN_TOPIC_ID if version >= 13 else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION

    response = wire.call(request, version)

    got = [
        [(result.index, result.error_code, result.base_offset) for result in answered.partition_responses]
        for answered in response.responses
    ]
    assert got == [
        [(0, 0, 0)],
        [(0, unknown, -1)],
        [(2, 0, 0), (1, ErrorCode.CORRUPT_MESSAGE, -1), (9, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1), (0, 0, 0)],
    ]


@ENDS
def test_a_request_without_topics_is_answered_without_topics(wire: Wire, version: int) -> None:
    assert wire.call(ProduceRequest(acks=-1), version) == ProduceResponse()


def test_internal_topics_are_only_written_by_the_admin_client(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = make_topic(wire, name="__consumer_offsets")
    for version in (3, 13):
        result = produce(wire, topic, batch(keys=[b"k"] * 3), version)
        assert result.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
    monkeypatch.setattr("support.wire.CLIENT_ID", b"__admin_client")
    assert produce(wire, topic, batch(keys=[b"k"] * 3)).error_code == ErrorCode.NONE


def test_what_was_acknowledged_is_there_after_a_crash_and_so_is_the_producer(
    broker: BrokerProcess, wire: Wire, topic: Topic
) -> None:
    sent = numbered(0, producer=9)
    produce(wire, topic, sent)
    wire.socket.close()
    broker.kill()
    broker.start()
    with Wire(broker.port) as again:
        assert produce(again, topic, sent).base_offset == 0
        assert end_offset(again, topic) == 2
        assert produce(again, topic, numbered(2, producer=9)).base_offset == 2
        assert read_header(bytes(fetch(again, topic, 2).records)).partition_leader_epoch == 1
