"""kafka-consumer-groups and kafka-groups, with groups of the classic protocol."""

import re
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, TopicPartition
from support.kafka_tools import Printed, Tools

OFFSETS_HEAD = "GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID"
RESET_HEAD = "GROUP TOPIC PARTITION NEW-OFFSET"
DELETE_HEAD = "TOPIC PARTITION STATUS"
NOT_FOUND = "org.apache.kafka.common.errors.GroupIdNotFoundException: The group id does not exist."
SUBSCRIBED = (
    "org.apache.kafka.common.errors.GroupSubscribedToTopicException: "
    "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it."
)


Join = Callable[[str, str], Consumer]


@pytest.fixture
def group(join: Join, records: str) -> str:
    """An empty group of the name of its topic, which it has read to the end."""
    consumer = join(records, records)
    ends = [TopicPartition(records, 0, 3), TopicPartition(records, 1, 1)]
    consumer.commit(offsets=ends, asynchronous=False)
    consumer.close()
    return records


@pytest.fixture
def live_group(join: Join, records: str) -> str:
    """A group of the name of its topic with one member, client id ``member``, and no committed offset."""
    join(records, records)
    return records


def plain(printed: Printed) -> list[str]:
    """The lines, with member ids as ID."""
    return [re.sub(r"member-[0-9a-f-]{36}", "ID", line) for line in printed.lines]


def reset(run: Tools, group: str, how: str, scope: str = "") -> list[str]:
    scope = scope or f"--topic {group}"
    return sorted(plain(run(f"kafka-consumer-groups --reset-offsets --group {group} {scope} {how}")))


def test_an_empty_group_is_listed_with_its_state_and_type(run: Tools, group: str) -> None:
    assert group in run("kafka-consumer-groups --list").lines
    assert f"{group} Empty" in run("kafka-consumer-groups --list --state").lines
    assert f"{group} Classic" in run("kafka-consumer-groups --list --type").lines
    assert f"{group} Empty" in run("kafka-consumer-groups --list --state empty").lines
    assert group not in " ".join(run("kafka-consumer-groups --list --state stable").lines)
    assert f"{group} Classic consumer" in run("kafka-groups --list --consumer").lines
    assert f"{group} Classic consumer" in run("kafka-groups --list --group-type classic").lines


def test_an_empty_group_is_described(run: Tools, group: str) -> None:
    describe = f"kafka-consumer-groups --describe --group {group}"
    nobody = f"Consumer group '{group}' has no active members."

    offsets = run(describe)
    assert [*offsets.lines[:1], *sorted(offsets.lines[1:])] == [
        OFFSETS_HEAD,
        f"{group} {group} 0 3 3 0 - - -",
        f"{group} {group} 1 1 1 0 - - -",
    ]
    assert offsets.errors == [nobody]
    assert run(f"{describe} --state").lines == [
        "GROUP COORDINATOR (ID) ASSIGNMENT-STRATEGY STATE #MEMBERS",
        f"{group} BOOTSTRAP (1) - Empty 0",
    ]
    assert run(f"{describe} --members").lines == ["GROUP CONSUMER-ID HOST CLIENT-ID #PARTITIONS"]


def test_a_group_with_a_member_is_described(run: Tools, live_group: str) -> None:
    describe = f"kafka-consumer-groups --describe --group {live_group}"

    assert sorted(plain(run(describe))) == sorted(
        [
            OFFSETS_HEAD,
            f"{live_group} {live_group} 0 - 3 - ID /127.0.0.1 member",
            f"{live_group} {live_group} 1 - 1 - ID /127.0.0.1 member",
        ]
    )
    assert plain(run(f"{describe} --state"))[1:] == [f"{live_group} BOOTSTRAP (1) range Stable 1"]
    assert plain(run(f"{describe} --members --verbose")) == [
        "GROUP CONSUMER-ID HOST CLIENT-ID #PARTITIONS "
        "CURRENT-EPOCH CURRENT-ASSIGNMENT TARGET-EPOCH TARGET-ASSIGNMENT",
        f"{live_group} ID /127.0.0.1 member 2 - {live_group}:0,1 - -",
    ]


def test_an_unknown_group_is_not_found(run: Tools, name: str) -> None:
    described = run(f"kafka-consumer-groups --describe --group {name}")
    assert (described.lines + described.errors)[0] == (
        "Error: Executing consumer group command failed due to "
        f"org.apache.kafka.common.errors.GroupIdNotFoundException: Group {name} not found."
    )
    deleted = run(f"kafka-consumer-groups --delete --group {name}")
    assert deleted.lines + deleted.errors == [
        "Error: Deletion of some consumer groups failed:",
        f"* Group '{name}' could not be deleted due to: {NOT_FOUND}",
    ]


@pytest.mark.parametrize(
    ("how", "offsets"),
    [
        ("--to-earliest", (0, 0)),
        ("--to-latest", (3, 1)),
        ("--to-current", (3, 1)),
        ("--to-offset 1", (1, 1)),
        ("--to-offset 100", (3, 1)),
        ("--shift-by -1", (2, 0)),
        ("--shift-by -100", (0, 0)),
        ("--to-datetime 1970-01-01T00:00:01.500Z", (1, 1)),
        ("--by-duration PT0S", (3, 1)),
    ],
)
def test_offsets_are_reset(run: Tools, group: str, how: str, offsets: tuple[int, int]) -> None:
    expected = [RESET_HEAD, *(f"{group} {group} {partition} {offset}" for partition, offset in enumerate(offsets))]

    answer = run(f"kafka-consumer-groups --reset-offsets --group {group} --topic {group} {how} --execute")

    assert sorted(line for line in answer.lines if not line.startswith("Warn")) == sorted(expected)
    described = run(f"kafka-consumer-groups --describe --group {group}").lines
    assert [line.split()[3] for line in sorted(described[1:])] == [str(offset) for offset in offsets]


def test_a_dry_run_changes_nothing(run: Tools, group: str) -> None:
    assert reset(run, group, "--to-earliest --dry-run", scope=f"--topic {group}:0") == sorted(
        [RESET_HEAD, f"{group} {group} 0 0"]
    )
    assert reset(run, group, "--to-current --export --dry-run", scope="--all-topics") == [
        f'"{group}",0,3',
        f'"{group}",1,1',
    ]


def test_offsets_are_reset_for_a_group_that_is_not_there_yet(run: Tools, records: str) -> None:
    assert reset(run, records, "--to-latest --execute") == sorted(
        [RESET_HEAD, f"{records} {records} 0 3", f"{records} {records} 1 1"]
    )
    assert f"{records} Classic" in run("kafka-groups --list").lines


def test_offsets_of_a_group_with_a_member_are_not_reset(run: Tools, live_group: str) -> None:
    answer = run(
        f"kafka-consumer-groups --reset-offsets --group {live_group} --topic {live_group} --to-earliest --execute"
    )

    assert answer.lines[-1:] == [RESET_HEAD]
    assert (
        f"Error: Assignments can only be reset if the group '{live_group}' is inactive, "
        "but the current state is Stable."
    ) in answer.lines + answer.errors


def test_offsets_of_an_unknown_topic_are_not_reset(run: Tools, group: str) -> None:
    answer = run(f"kafka-consumer-groups --reset-offsets --group {group} --topic nosuch --to-earliest --execute")

    assert (answer.lines + answer.errors)[0] == (
        "Error: Executing consumer group command failed due to This server does not host this topic-partition."
    )


def test_committed_offsets_are_deleted(run: Tools, group: str) -> None:
    delete = f"kafka-consumer-groups --delete-offsets --group {group}"

    assert run(f"{delete} --topic {group}:0").lines == [
        f"Request succeeded for deleting offsets from group {group}.",
        DELETE_HEAD,
        f"{group} 0 Successful",
    ]
    assert run(f"kafka-consumer-groups --describe --group {group}").lines[1:] == [f"{group} {group} 1 1 1 0 - - -"]
    assert run(f"{delete} --topic nosuch").lines[1:] == [
        DELETE_HEAD,
        "nosuch - Error: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: "
        "This server does not host this topic-partition.",
    ]


def test_committed_offsets_of_an_unknown_group_are_not_deleted(run: Tools, records: str) -> None:
    answer = run(f"kafka-consumer-groups --delete-offsets --group nosuch --topic {records}")

    assert "Error: The group id does not exist." in answer.lines + answer.errors
    assert answer.lines[-3:] == [DELETE_HEAD, *(f"{records} {partition} Error: {NOT_FOUND}" for partition in (0, 1))]


def test_committed_offsets_of_a_subscribed_topic_are_not_deleted(run: Tools, live_group: str) -> None:
    answer = run(f"kafka-consumer-groups --delete-offsets --group {live_group} --topic {live_group}")

    assert answer.lines[-3:] == [
        DELETE_HEAD,
        *(f"{live_group} {partition} Error: {SUBSCRIBED}" for partition in (0, 1)),
    ]


def test_a_group_is_deleted_when_it_is_empty(run: Tools, group: str) -> None:
    deleted = run(f"kafka-consumer-groups --delete --group {group}")

    assert deleted.lines == [f"Deletion of requested consumer groups ('{group}') was successful."]
    assert group not in run("kafka-consumer-groups --list").lines


def test_a_group_with_a_member_is_not_deleted(run: Tools, live_group: str) -> None:
    deleted = run(f"kafka-consumer-groups --delete --group {live_group}")

    assert deleted.lines + deleted.errors == [
        "Error: Deletion of some consumer groups failed:",
        f"* Group '{live_group}' could not be deleted due to: "
        "org.apache.kafka.common.errors.GroupNotEmptyException: The group is not empty.",
    ]


def test_a_state_that_does_not_exist_is_refused(run: Tools) -> None:
    answer = run("kafka-consumer-groups --list --state nonsense")

    assert answer.status == 1
    assert (answer.lines + answer.errors)[0].startswith("Invalid state list 'nonsense'. Valid states are: ")
