"""Settings of a topic count from the moment they are changed, and still after a restart and after a crash."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.calls import (
    TOPIC,
    Topic,
    batch,
    configure,
    end_offset,
    fetch,
    make_topic,
    now_ms,
    overrides,
    produce,
    produce_request,
)
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.topics import DeleteTopicsRequest, DeleteTopicState
from barnabas.protocol.records import Codec, Record, build_batch, read_header

HOUR_MS = 3_600_000


def large() -> bytes:
    return batch(b"x" * 2000)


def old() -> bytes:
    return batch(timestamp=now_ms() - HOUR_MS)


def ahead() -> bytes:
    return batch(timestamp=now_ms() + HOUR_MS // 2)


# A setting, a batch that is taken without it, and what is answered with it.
REFUSING = [
    pytest.param({"max_message_bytes": "1000"}, large, ErrorCode.MESSAGE_TOO_LARGE, id="max.message.bytes"),
    pytest.param({"cleanup_policy": "compact"}, batch, ErrorCode.INVALID_RECORD, id="cleanup.policy"),
    pytest.param(
        {"message_timestamp_before_max_ms": "60000"}, old, ErrorCode.INVALID_TIMESTAMP, id="timestamps too old"
    ),
    pytest.param(
        {"message_timestamp_after_max_ms": "60000"}, ahead, ErrorCode.INVALID_TIMESTAMP, id="timestamps ahead"
    ),
]


@pytest.mark.parametrize(("settings", "make", "code"), REFUSING)
def test_a_setting_that_refuses_batches_does_so_at_once(
    wire: Wire, other: Wire, topic: Topic, settings: dict[str, str], make: Callable[[], bytes], code: ErrorCode
) -> None:
    assert produce(wire, topic, make()).error_code == ErrorCode.NONE
    configure(other, TOPIC, topic.name, **settings)
    assert produce(wire, topic, make()).error_code == code
    configure(other, TOPIC, topic.name, **dict.fromkeys(settings))
    assert produce(wire, topic, make()).error_code == ErrorCode.NONE


def test_the_broker_stamps_records_from_when_it_is_asked_to(wire: Wire, topic: Topic) -> None:
    before = now_ms()
    assert produce(wire, topic, batch()).log_append_time_ms == -1
    configure(wire, TOPIC, topic.name, message_timestamp_type="LogAppendTime")
    assert produce(wire, topic, batch()).log_append_time_ms >= before
    configure(wire, TOPIC, topic.name, message_timestamp_type="CreateTime")
    assert produce(wire, topic, batch()).log_append_time_ms == -1
    stamps = [read_header(fetch(wire, topic, offset, max_bytes=1).records).max_timestamp for offset in (0, 3, 6)]
    assert (stamps[0], stamps[2]) == (1000, 1000)
    assert stamps[1] >= before


def test_batches_are_compressed_from_when_it_is_asked_for(wire: Wire, topic: Topic) -> None:
    produce(wire, topic, batch())
    configure(wire, TOPIC, topic.name, compression_type="gzip")
    produce(wire, topic, batch())
    codecs = [read_header(fetch(wire, topic, offset, max_bytes=1).records).codec for offset in (0, 3)]
    assert codecs == [Codec.NONE, Codec.GZIP]


def segments(broker: BrokerProcess, topic: Topic) -> list[str]:
    return sorted(path.stem.lstrip("0") for path in (broker.data_dir / f"{topic.name}-0").glob("*.log"))


def test_segments_become_smaller_at_once(broker: BrokerProcess, wire: Wire, topic: Topic) -> None:
    half = batch(b"x" * 600_000)
    for _ in range(2):
        produce(wire, topic, half)
    assert segments(broker, topic) == [""]
    configure(wire, TOPIC, topic.name, segment_bytes=str(2**20))
    for _ in range(3):
        produce(wire, topic, half)
    assert segments(broker, topic) == ["", "2", "3", "4"]
    configure(wire, TOPIC, topic.name, segment_bytes=None)
    for _ in range(2):
        produce(wire, topic, half)
    assert segments(broker, topic) == ["", "2", "3", "4"]
    assert [fetch(wire, topic, offset).error_code for offset in range(7)] == [ErrorCode.NONE] * 7


def test_segments_become_shorter_lived_at_once(broker: BrokerProcess, wire: Wire, topic: Topic) -> None:
    for hours in range(2):
        produce(wire, topic, batch(b"v", timestamp=hours * HOUR_MS))
    assert segments(broker, topic) == [""]
    configure(wire, TOPIC, topic.name, segment_ms=str(HOUR_MS))
    produce(wire, topic, batch(b"v", timestamp=2 * HOUR_MS))
    assert segments(broker, topic) == ["", "2"]


def test_what_was_readable_stays_so_when_records_begin_to_wait_for_the_disk(wire: Wire, topic: Topic) -> None:
    produce(wire, topic, batch())
    configure(wire, TOPIC, topic.name, flush_messages="1")
    assert end_offset(wire, topic) == 3
    produce(wire, topic, batch())
    assert end_offset(wire, topic) == 6
    configure(wire, TOPIC, topic.name, flush_messages=None)
    produce(wire, topic, batch())
    assert end_offset(wire, topic) == 9


def test_settings_hold_for_every_partition_opened_or_not(wire: Wire) -> None:
    topic = make_topic(wire, partitions=3)
    wire.call(produce_request(topic, (1, large())), 13)
    configure(wire, TOPIC, topic.name, max_message_bytes="1000")
    (answered,) = wire.call(produce_request(topic, *((index, large()) for index in range(3))), 13).responses
    assert [result.error_code for result in answered.partition_responses] == [ErrorCode.MESSAGE_TOO_LARGE] * 3


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_settings_survive_the_end_of_the_process(tmp_path: Path, how: str) -> None:
    with running(tmp_path / "data") as broker:
        with Wire(broker.port) as wire:
            changed, cleared = make_topic(wire), make_topic(wire, max_message_bytes="1000")
            configure(wire, TOPIC, changed.name, max_message_bytes="1000", retention_ms="7000")
            configure(wire, TOPIC, cleared.name, max_message_bytes=None)
        getattr(broker, how)()
        broker.start()
        with Wire(broker.port) as wire:
            assert overrides(wire, TOPIC, changed.name) == {"max.message.bytes": "1000", "retention.ms": "7000"}
            assert overrides(wire, TOPIC, cleared.name) == {}
            assert produce(wire, changed, large()).error_code == ErrorCode.MESSAGE_TOO_LARGE
            assert produce(wire, cleared, large()).error_code == ErrorCode.NONE


def test_a_topic_that_is_made_again_has_none_of_the_old_settings(wire: Wire) -> None:
    topic = make_topic(wire)
    configure(wire, TOPIC, topic.name, max_message_bytes="1000")
    wire.call(DeleteTopicsRequest(topics=[DeleteTopicState(name=topic.name)]), 6)
    again = make_topic(wire, name=topic.name)
    assert overrides(wire, TOPIC, again.name) == {}
    assert produce(wire, again, large()).error_code == ErrorCode.NONE


def test_records_without_a_timestamp_are_never_too_old(wire: Wire, topic: Topic) -> None:
    configure(wire, TOPIC, topic.name, message_timestamp_before_max_ms="0")
    assert produce(wire, topic, build_batch([Record(0, -1, None, b"v")])).error_code == ErrorCode.NONE
