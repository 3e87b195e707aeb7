import struct

import pytest

from barnabas.protocol.records import (
    BatchCorrupt,
    ControlType,
    EndTransactionMarker,
    Record,
    build_batch,
    control_type,
    end_transaction_marker,
    end_transaction_marker_in,
    read_end_transaction_marker,
    records,
    verify,
)


def marker(**changes):
    fields = {"commit": True, "producer_id": 9, "producer_epoch": 3, "coordinator_epoch": 4, "timestamp": 1000}
    return end_transaction_marker(**fields | changes)


def control(key, value, **fields):
    return build_batch([Record(0, 0, key, value)], is_control=True, **fields)


@pytest.mark.parametrize(("commit", "kind"), [(True, ControlType.COMMIT), (False, ControlType.ABORT)])
def test_a_marker_tells_how_the_transaction_ended_kip_98(commit, kind):
    assert read_end_transaction_marker(marker(commit=commit)) == EndTransactionMarker(kind, 4)
    (record,) = records(marker(commit=commit))
    assert end_transaction_marker_in(record) == EndTransactionMarker(kind, 4)


def test_a_marker_is_a_transactional_control_batch_of_one_record_without_sequence():
    batch = marker(base_offset=77, leader_epoch=5)
    header = verify(batch)
    assert header.is_control
    assert header.is_transactional
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (9, 3, -1)
    assert (header.base_offset, header.last_offset, header.records_count) == (77, 77, 1)
    assert header.partition_leader_epoch == 5
    assert list(records(batch)) == [Record(77, 1000, b"\0\0\0\x01", b"\0\0\0\0\0\x04")]


@pytest.mark.parametrize("commit", [True, False])
def test_kafka_python_and_aiokafka_understand_a_marker(commit):
    from aiokafka.record.control_record import ABORT_MARKER, COMMIT_MARKER, ControlRecord
    from aiokafka.record.default_records import DefaultRecordBatch as Aiokafka
    from kafka.record.default_records import DefaultRecordBatch as KafkaPython

    batch = marker(commit=commit)
    (theirs,) = list(KafkaPython(batch))
    assert (theirs.commit, theirs.abort) == (commit, not commit)
    aiokafka = Aiokafka(batch)
    assert aiokafka.is_control_batch
    (record,) = list(aiokafka)
    assert ControlRecord.parse(record.key) == (COMMIT_MARKER if commit else ABORT_MARKER)


def test_a_control_batch_about_something_else_is_no_marker():
    assert read_end_transaction_marker(control(struct.pack(">hh", 0, 2), b"leader")) is None
    assert read_end_transaction_marker(control(struct.pack(">hh", 0, 99), b"future")) is None


def test_a_control_batch_that_compaction_emptied_is_no_marker():
    assert read_end_transaction_marker(build_batch([], last_offset=0, is_control=True)) is None


def test_a_later_version_only_adds_fields():
    batch = control(struct.pack(">hhi", 1, 1, 5), struct.pack(">hiq", 2, 8, 5))
    assert read_end_transaction_marker(batch) == EndTransactionMarker(ControlType.COMMIT, 8)


@pytest.mark.parametrize("key", [None, b"", b"\0\0\0", struct.pack(">hh", -1, 1)])
def test_a_malformed_key_is_corrupt(key):
    with pytest.raises(BatchCorrupt):
        control_type(key)
    with pytest.raises(BatchCorrupt):
        read_end_transaction_marker(control(key, b"\0\0\0\0\0\x04"))


@pytest.mark.parametrize("value", [None, b"", b"\0\0\0\0\0", struct.pack(">hi", -1, 4)])
def test_a_malformed_value_is_corrupt(value):
    with pytest.raises(BatchCorrupt):
        read_end_transaction_marker(control(struct.pack(">hh", 0, 1), value))


def test_a_batch_of_data_is_not_read_as_a_marker():
    with pytest.raises(BatchCorrupt):
        read_end_transaction_marker(build_batch([Record(0, 0, b"\0\0\0\x01", b"\0\0\0\0\0\x04")]))
