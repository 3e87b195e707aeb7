"""Where the log begins, in answers that refuse a batch: what Apache Kafka 4.3 says."""

from typing import Any

import pytest
from support.calls import Topic, batch, both_ends, delete_records, make_topic, now_ms, produce
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.produce import ProduceRequest

from .test_produce import patched

IDEMPOTENT = {"producer_id": 777_777, "producer_epoch": 1}


@both_ends(ProduceRequest, since=5)
@pytest.mark.parametrize(
    ("header", "code"),
    [
        pytest.param({"timestamp": 2**60}, ErrorCode.INVALID_TIMESTAMP, id="from the future"),
        pytest.param({**IDEMPOTENT, "base_sequence": 10}, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, id="out of order"),
        pytest.param(
            {**IDEMPOTENT, "producer_epoch": 0, "base_sequence": 3}, ErrorCode.INVALID_PRODUCER_EPOCH, id="stale"
        ),
    ],
)
def test_a_batch_that_the_log_refuses_is_told_where_the_log_begins(
    wire: Wire, topic: Topic, version: int, header: dict[str, Any], code: ErrorCode
) -> None:
    produce(wire, topic, batch(timestamp=now_ms(), base_sequence=0, **IDEMPOTENT))
    assert delete_records(wire, topic, 2).error_code == 0
    refused = produce(wire, topic, batch(**{"timestamp": now_ms(), **header}), version)
    assert (refused.error_code, refused.log_start_offset) == (code, 2)


@both_ends(ProduceRequest, since=5)
@pytest.mark.parametrize(
    ("sent", "code", "offset"),
    [
        pytest.param(patched(0, ">q", 1), ErrorCode.INVALID_RECORD, 2, id="base offset"),
        pytest.param(batch() + batch(), ErrorCode.INVALID_RECORD, -1, id="two batches"),
        pytest.param(b"", ErrorCode.INVALID_RECORD, -1, id="no batch"),
        pytest.param(batch()[:-1] + b"?", ErrorCode.CORRUPT_MESSAGE, -1, id="corrupt"),
        pytest.param(batch(bytes(1_100)), ErrorCode.MESSAGE_TOO_LARGE, -1, id="too large"),
    ],
)
def test_a_batch_that_does_not_reach_the_log_is_not(
    wire: Wire, version: int, sent: bytes, code: ErrorCode, offset: int
) -> None:
    topic = make_topic(wire, max_message_bytes="1000")
    produce(wire, topic, batch(timestamp=now_ms()))
    assert delete_records(wire, topic, 2).error_code == 0
    refused = produce(wire, topic, sent, version)
    assert (refused.error_code, refused.log_start_offset) == (code, offset)


@both_ends(ProduceRequest, since=5)
def test_a_batch_without_a_key_is_told_where_a_compacted_log_begins(wire: Wire, version: int) -> None:
    topic = make_topic(wire, cleanup_policy="compact,delete")
    produce(wire, topic, batch(keys=[b"k"] * 3, timestamp=now_ms()))
    assert delete_records(wire, topic, 2).error_code == 0
    refused = produce(wire, topic, batch(timestamp=now_ms()), version)
    assert (refused.error_code, refused.log_start_offset) == (ErrorCode.INVALID_RECORD, 2)
