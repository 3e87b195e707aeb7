"""kafka-get-offsets and kafka-delete-records: where a log begins and ends."""

import json
from pathlib import Path

import pytest
from support.kafka_tools import Printed, Tools


def delete_before(run: Tools, folder: Path, topic: str, offsets: dict[int, int]) -> Printed:
    partitions = [{"topic": topic, "partition": partition, "offset": offset} for partition, offset in offsets.items()]
    file = folder / "offsets.json"
    file.write_text(json.dumps({"version": 1, "partitions": partitions}))
    return run(f"kafka-delete-records --offset-json-file {file}")


@pytest.mark.parametrize(
    ("time", "offsets"),
    [
        ("-1", ("0:3", "1:1")),
        ("-2", ("0:0", "1:0")),
        ("earliest", ("0:0", "1:0")),
        ("latest", ("0:3", "1:1")),
        ("max-timestamp", ("0:1", "1:0")),
        ("earliest-local", ("0:0", "1:0")),
        ("latest-tiered", ()),
        ("0", ("0:0", "1:0")),
        ("1001", ("0:1",)),
        ("3000", ("0:1",)),
        ("3001", ()),
    ],
)
def test_offsets_are_found_by_time(run: Tools, records: str, time: str, offsets: tuple[str, ...]) -> None:
    found = run(f"kafka-get-offsets --topic {records} --time {time}")

    assert (found.lines, found.status) == ([f"{records}:{offset}" for offset in offsets], 0)


def test_offsets_are_found_for_some_partitions(run: Tools, records: str) -> None:
    assert run(f"kafka-get-offsets --topic {records} --partitions 0").lines == [f"{records}:0:3"]
    assert run(f"kafka-get-offsets --topic-partitions {records}:1-2").lines == [f"{records}:1:1"]


def test_offsets_of_an_unknown_topic_are_not_found(run: Tools) -> None:
    answer = run("kafka-get-offsets --topic nosuch")

    assert answer.status == 1
    assert answer.lines + answer.errors == [
        "Error occurred: Could not match any topic-partitions with the specified filters"
    ]


def test_records_are_deleted_up_to_an_offset(run: Tools, tmp_path: Path, records: str) -> None:
    deleted = delete_before(run, tmp_path, records, {0: 2, 1: -1}).lines
    assert deleted[:2] == ["Executing records delete operation", "Records delete operation completed:"]
    assert sorted(deleted[2:]) == [
        f"partition: {records}-0 low_watermark: 2",
        f"partition: {records}-1 low_watermark: 1",
    ]
    assert run(f"kafka-get-offsets --topic {records} --time earliest").lines == [f"{records}:0:2", f"{records}:1:1"]
    consumed = run(f"kafka-console-consumer --topic {records} --from-beginning --max-messages 1")
    assert consumed.lines == ["c"]


def test_records_that_are_gone_are_deleted_again(run: Tools, tmp_path: Path, records: str) -> None:
    for offset in (2, 1):
        assert delete_before(run, tmp_path, records, {0: offset}).lines[2:] == [
            f"partition: {records}-0 low_watermark: 2"
        ]


def test_records_beyond_the_end_are_not_deleted(run: Tools, tmp_path: Path, records: str) -> None:
    assert delete_before(run, tmp_path, records, {0: 4}).lines[2:] == [
        f"partition: {records}-0 error: org.apache.kafka.common.errors.OffsetOutOfRangeException: "
        "The requested offset is not within the range of offsets maintained by the server."
    ]
    assert run(f"kafka-get-offsets --topic {records} --time earliest").lines == [f"{records}:0:0", f"{records}:1:0"]
