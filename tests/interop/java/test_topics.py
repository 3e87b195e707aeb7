"""kafka-topics: what a user sees who makes, looks at, changes and deletes topics."""

import re
from collections.abc import Callable

import pytest
from support.kafka_tools import Printed, Tools

Refused = Callable[..., None]


def described(printed: Printed) -> list[str]:
    """The lines of --describe without ids, and without what Kafka shows when ELR (KIP-966) is on."""
    lines = [re.sub(r"TopicId: \S{22} ", "", line) for line in printed.lines]
    return [re.sub(r"min\.insync\.replicas=1,?", "", line).strip() for line in lines]


def partition_line(topic: str, partition: int, elr: str = "") -> str:
    """``elr``: nobody, or "N/A" when the tool asked in a way that does not tell."""
    line = f"Topic: {topic} Partition: {partition} Leader: 1 Replicas: 1 Isr: 1 Elr: {elr} LastKnownElr: {elr}"
    return " ".join(line.split())


def refusal(printed: Printed) -> str:
    assert printed.status == 1
    (line,) = printed.lines
    return line.removeprefix("Error while executing topic command : ")


def test_a_topic_is_created_with_a_config_and_described(run: Tools, name: str) -> None:
    created = run(f"kafka-topics --create --topic {name} --partitions 3 --config retention.ms=1000000")
    assert (created.lines, created.status) == ([f"Created topic {name}."], 0)

    assert described(run(f"kafka-topics --describe --topic {name}")) == [
        f"Topic: {name} PartitionCount: 3 ReplicationFactor: 1 Configs: retention.ms=1000000",
        *(partition_line(name, partition) for partition in range(3)),
    ]


def test_a_topic_is_described_by_its_id(run: Tools, topic: str) -> None:
    found = re.search(r"TopicId: (\S{22}) ", run(f"kafka-topics --describe --topic {topic}").lines[0])
    assert found is not None

    assert described(run(f"kafka-topics --describe --topic-id {found.group(1)}")) == [
        f"Topic: {topic} PartitionCount: 2 ReplicationFactor: 1 Configs:",
        *(partition_line(topic, partition, elr="N/A") for partition in range(2)),
    ]


def test_an_unknown_topic_id_is_refused(run: Tools) -> None:
    answer = run("kafka-topics --describe --topic-id AAAAAAAAAAAAAAAAAAAAZw")

    assert refusal(answer) == "TopicId 'AAAAAAAAAAAAAAAAAAAAZw' does not exist as expected"


def test_a_topic_that_exists_is_refused_unless_told_otherwise(run: Tools, topic: str) -> None:
    assert refusal(run(f"kafka-topics --create --topic {topic}")) == f"Topic '{topic}' already exists."
    assert run(f"kafka-topics --create --if-not-exists --topic {topic}") == Printed([], [], 0)


def test_more_replicas_than_brokers_are_refused(run: Tools, refused: Refused, name: str) -> None:
    printed = run(f"kafka-topics --create --topic {name} --replication-factor 2")

    assert refusal(printed).startswith("Unable to replicate the partition 2 time(s): ")
    refused(printed, "InvalidReplicationFactorException", "2 time(s)", "1 broker")


@pytest.mark.parametrize(
    ("topic_name", "named"),
    [("bad name", "'.', '_' and '-'"), ("..", "'..'"), ("x" * 250, "249")],
    ids=["space", "dots", "long"],
)
def test_a_bad_topic_name_is_refused(run: Tools, refused: Refused, topic_name: str, named: str) -> None:
    printed = run(f"kafka-topics --create --topic '{topic_name}'")

    assert printed.status == 1
    assert printed.lines[-1].startswith("Error while executing topic command : ")
    refused(printed, "InvalidTopicException", named)


def test_a_name_that_collides_with_a_topic_is_refused(run: Tools, refused: Refused) -> None:
    assert run("kafka-topics --create --topic collides.here").lines[-1] == "Created topic collides.here."

    printed = run("kafka-topics --create --topic collides_here")

    assert printed.status == 1
    refused(printed, "InvalidTopicException", "Topic 'collides_here' collides with existing topic: collides.here")


def test_an_unknown_config_is_refused(run: Tools, name: str) -> None:
    created = run(f"kafka-topics --create --topic {name} --config no.such.config=1")

    assert refusal(created) == "Unknown topic config name: no.such.config"


def test_replicas_are_assigned_by_hand(run: Tools, name: str) -> None:
    created = run(f"kafka-topics --create --topic {name} --replica-assignment 1,1,1")
    assert (created.lines, created.status) == ([f"Created topic {name}."], 0)
    assert len(run(f"kafka-topics --describe --topic {name}").lines) == 4

    assert refusal(run(f"kafka-topics --create --topic {name}-2 --replica-assignment 1:2")) == (
        "The manual partition assignment includes broker 2, but no such broker is registered."
    )


def test_an_unknown_topic_is_refused_unless_told_otherwise(run: Tools, name: str) -> None:
    missing = f"Topic '{name}' does not exist as expected"
    for action in ("--describe", "--delete", "--alter --partitions 2"):
        assert refusal(run(f"kafka-topics {action} --topic {name}")) == missing
        assert run(f"kafka-topics {action} --if-exists --topic {name}") == Printed([], [], 0)


def test_a_topic_grows(run: Tools, topic: str) -> None:
    assert run(f"kafka-topics --alter --topic {topic} --partitions 4") == Printed([], [], 0)

    assert described(run(f"kafka-topics --describe --topic {topic}"))[0] == (
        f"Topic: {topic} PartitionCount: 4 ReplicationFactor: 1 Configs:"
    )
    assert described(run(f"kafka-topics --describe --topic {topic}"))[1:] == [
        partition_line(topic, partition) for partition in range(4)
    ]


def test_a_topic_does_not_shrink(run: Tools, topic: str) -> None:
    assert refusal(run(f"kafka-topics --alter --topic {topic} --partitions 1")) == (
        f"The topic {topic} currently has 2 partition(s); 1 would not be an increase."
    )
    assert refusal(run(f"kafka-topics --alter --topic {topic} --partitions 2")) == (
        "Topic already has 2 partition(s)."
    )


def test_new_partitions_are_assigned_by_hand(run: Tools, topic: str) -> None:
    grown = run(f"kafka-topics --alter --topic {topic} --partitions 3 --replica-assignment 1,1,1")
    assert grown == Printed([], [], 0)

    assert refusal(run(f"kafka-topics --alter --topic {topic} --partitions 4 --replica-assignment 1,1,1,7")) == (
        "The manual partition assignment includes broker 7, but no such broker is registered."
    )


def test_nothing_is_under_replicated(run: Tools, topic: str) -> None:
    for state in ("under-replicated", "unavailable", "under-min-isr"):
        assert run(f"kafka-topics --describe --{state}-partitions") == Printed([], [], 0)


def test_a_deleted_topic_is_listed_no_more(run: Tools, topic: str) -> None:
    assert topic in run("kafka-topics --list").lines
    assert run(f"kafka-topics --list --topic '{topic[:-2]}.*'").lines == [topic]

    assert run(f"kafka-topics --delete --topic {topic}") == Printed([], [], 0)

    assert topic not in run("kafka-topics --list --exclude-internal").lines
