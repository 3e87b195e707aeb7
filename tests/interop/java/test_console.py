"""kafka-console-producer and kafka-console-consumer: records in at one terminal, out at another."""

from collections.abc import Callable

import pytest
from support.kafka_tools import Tools

Refused = Callable[..., None]

PRINT_ALL = " ".join(
    f"--formatter-property print.{field}=true" for field in ("key", "partition", "offset", "headers")
)
QUIET = "--timeout-ms 2000"


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_lines_come_out_as_they_went_in(run: Tools, topic: str, codec: str) -> None:
    lines = [f"line {number}" for number in range(50)]
    produced = run(f"kafka-console-producer --topic {topic} --compression-codec {codec}", input="\n".join(lines))
    assert (produced.lines, produced.errors, produced.status) == ([], [], 0)

    consumed = run(f"kafka-console-consumer --topic {topic} --from-beginning --max-messages 50")

    assert (sorted(consumed.lines), consumed.status) == (sorted(lines), 0)
    assert consumed.errors == ["Processed a total of 50 messages"]


def test_keys_and_headers_come_out_with_partitions_and_offsets(run: Tools, topic: str) -> None:
    keys = "--reader-property parse.key=true --reader-property parse.headers=true"
    assert (
        run(f"kafka-console-producer --topic {topic} {keys}", input="h1:x,h2:y\tk1\tv1\nh1:z\tk3\tv3\n").status == 0
    )

    consumed = run(f"kafka-console-consumer --topic {topic} --from-beginning --max-messages 2 {PRINT_ALL}")

    assert sorted(consumed.lines) == [
        "Partition:0 Offset:0 h1:z k3 v3",
        "Partition:1 Offset:0 h1:x,h2:y k1 v1",
    ]


def test_a_line_without_a_key_is_refused_by_the_tool(run: Tools, topic: str) -> None:
    keys = "--reader-property parse.key=true --reader-property key.separator=:"
    produced = run(f"kafka-console-producer --topic {topic} {keys}", input="nokey\n")

    assert produced.status == 1
    assert produced.errors[-1].endswith("No key separator found on line number 1: 'nokey'")


def test_a_line_that_is_too_long_is_refused(run: Tools, refused: Refused, name: str) -> None:
    assert run(f"kafka-topics --create --topic {name} --config max.message.bytes=100").status == 0

    produced = run(f"kafka-console-producer --topic {name}", input="x" * 200 + "\n")

    head, _ = produced.errors
    assert head == f"ERROR Error when sending message to topic {name} with key: null, value: 200 bytes with error:"
    refused(produced, "RecordTooLargeException")


def test_a_keyless_line_is_refused_by_a_compacted_topic(run: Tools, refused: Refused, name: str) -> None:
    assert run(f"kafka-topics --create --topic {name} --config cleanup.policy=compact").status == 0

    produced = run(f"kafka-console-producer --topic {name}", input="nokey\n")

    head, _ = produced.errors
    assert head == f"ERROR Error when sending message to topic {name} with key: null, value: 5 bytes with error:"
    refused(produced, "InvalidRecordException", "Compacted topic", "without key")


def test_a_topic_is_made_by_producing_to_it(run: Tools, name: str) -> None:
    produced = run(f"kafka-console-producer --topic {name}", input="first\n")
    assert produced.status == 0

    consumed = run(f"kafka-console-consumer --topic {name} --from-beginning --max-messages 1")

    assert consumed.lines == ["first"]


def test_a_bad_topic_name_is_refused_to_producer_and_consumer(run: Tools) -> None:
    invalid = "org.apache.kafka.common.errors.InvalidTopicException: Invalid topics: [bad name]"

    assert run("kafka-console-producer --topic 'bad name'", input="x\n").errors[-1] == invalid
    consumed = run(f"kafka-console-consumer --topic 'bad name' {QUIET}")
    assert consumed.errors[-2:] == [invalid, "Processed a total of 0 messages"]


def test_one_partition_is_read_from_an_offset(run: Tools, records: str) -> None:
    consumed = run(f"kafka-console-consumer --topic {records} --partition 0 --offset 1 --max-messages 2")

    assert consumed.lines == ["b", "c"]


def test_an_offset_that_is_out_of_range_is_reset(run: Tools, records: str) -> None:
    earliest = "--command-property auto.offset.reset=earliest"
    consumed = run(f"kafka-console-consumer --topic {records} --partition 0 --offset 100 {earliest} --max-messages 3")

    assert consumed.lines == ["a", "b", "c"]


def test_a_partition_that_is_not_there_gives_nothing(run: Tools, records: str) -> None:
    consumed = run(f"kafka-console-consumer --topic {records} --partition 7 --offset 0 {QUIET}")

    assert (consumed.lines, consumed.errors[-1]) == ([], "Processed a total of 0 messages")


def test_topics_are_read_by_a_pattern(run: Tools, records: str) -> None:
    consumed = run(f"kafka-console-consumer --include '{records[:-1]}.' --from-beginning --max-messages 4")

    assert sorted(consumed.lines) == ["a", "b", "c", "d"]


def test_a_group_goes_on_where_it_was(run: Tools, records: str) -> None:
    group = f"--topic {records} --group {records} --from-beginning"
    assert sorted(run(f"kafka-console-consumer {group} --max-messages 4").lines) == ["a", "b", "c", "d"]
    assert run(f"kafka-console-producer --topic {records}", input="e\n").status == 0

    assert run(f"kafka-console-consumer {group} --max-messages 1").lines == ["e"]
