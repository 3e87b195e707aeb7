"""kafka-consumer-groups and kafka-groups, with groups of both protocols: classic and consumer (KIP-848)."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from support.apache_kafka import ApacheKafka
from support.kafka_tools import Printed, Tools
from support.process import BrokerProcess

START_TIMEOUT_S = 20
RECORDS = [("a", 0, 1000), ("b", 0, 3000), ("c", 0, 2000), ("d", 1, 1000)]  # value, partition, timestamp
ENDS = {0: 3, 1: 1}
OFFSETS_HEAD = "GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID"
VERBOSE_OFFSETS_HEAD = OFFSETS_HEAD.replace("PARTITION ", "PARTITION LEADER-EPOCH ")
STATE_HEAD = "GROUP COORDINATOR (ID) ASSIGNMENT-STRATEGY STATE #MEMBERS"
VERBOSE_STATE_HEAD = "GROUP COORDINATOR (ID) ASSIGNMENT-STRATEGY STATE GROUP-EPOCH TARGET-ASSIGNMENT-EPOCH #MEMBERS"
MEMBERS_HEAD = "GROUP CONSUMER-ID HOST CLIENT-ID #PARTITIONS"
VERBOSE = " CURRENT-EPOCH CURRENT-ASSIGNMENT TARGET-EPOCH TARGET-ASSIGNMENT"
RESET_HEAD = "GROUP TOPIC PARTITION NEW-OFFSET"
DELETE_HEAD = "TOPIC PARTITION STATUS"
FALLING_BACK = "Warn: Partition {} from topic {} is empty. Falling back to latest known offset."
ERRORS = "org.apache.kafka.common.errors."
NOT_FOUND = f"{ERRORS}GroupIdNotFoundException: The group id does not exist."
NOT_EMPTY = f"{ERRORS}GroupNotEmptyException: The group is not empty."
NO_SUCH_PARTITION = f"{ERRORS}UnknownTopicOrPartitionException: This server does not host this topic-partition."
SUBSCRIBED = (
    f"{ERRORS}GroupSubscribedToTopicException: "
    "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it."
)


@dataclass
class Groups:
    """Makes groups of one protocol, whose members have client id ``member``. ``received``: what came to any."""

    bootstrap: str
    protocol: str
    consumers: list[Consumer] = field(default_factory=list)
    received: list[tuple[int, int, bytes]] = field(default_factory=list)

    @property
    def assignor(self) -> str:
        return "range" if self.protocol == "classic" else "uniform"

    def join(self, group: str, topic: str, **settings: str) -> Consumer:
        chosen = {"partition.assignment.strategy": "range"} if self.protocol == "classic" else {}
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": group,
                "group.protocol": self.protocol,
                "client.id": "member",
                "enable.auto.commit": False,
                **chosen,
                **{name.replace("_", "."): value for name, value in settings.items()},
            }
        )
        self.consumers.append(consumer)
        assigned: list[object] = []
        consumer.subscribe([topic], on_assign=lambda _, partitions: assigned.extend(partitions))
        for _ in range(START_TIMEOUT_S * 10):
            self.poll(consumer)
            if assigned:
                return consumer
        raise AssertionError(f"no partition was assigned in {START_TIMEOUT_S} s")

    def poll(self, consumer: Consumer) -> None:
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            self.received.append((message.partition(), message.offset(), message.value()))


@pytest.fixture(params=["classic", "consumer"])
def groups(request: pytest.FixtureRequest, server: BrokerProcess | ApacheKafka) -> Iterator[Groups]:
    groups = Groups(server.bootstrap, request.param)
    yield groups
    for consumer in groups.consumers:
        consumer.close()


@pytest.fixture
def written(server: BrokerProcess | ApacheKafka, name: str) -> str:
    """A topic with some records from 1970, which are kept all the same."""
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    topic = NewTopic(name, num_partitions=2, config={"retention.ms": "-1"})
    admin.create_topics([topic])[name].result(START_TIMEOUT_S)
    producer = Producer({"bootstrap.servers": server.bootstrap})
    for value, partition, timestamp in RECORDS:
        producer.produce(name, value, partition=partition, timestamp=timestamp)
        assert producer.flush(START_TIMEOUT_S) == 0
    return name


@pytest.fixture
def group(groups: Groups, written: str) -> str:
    """An empty group of the name of its topic, which it has read to the end."""
    consumer = groups.join(written, written)
    consumer.commit(offsets=[TopicPartition(written, *end) for end in ENDS.items()], asynchronous=False)
    consumer.close()
    return written


@pytest.fixture
def live_group(groups: Groups, written: str) -> str:
    """A group of the name of its topic with one member, and no committed offset."""
    groups.join(written, written)
    return written


def plain(printed: Printed) -> list[str]:
    """The lines in order, the head first, with the ids that members get as ID."""
    lines = [re.sub(r"\S+( one)? /127\.0\.0\.1 ", r"ID\1 /127.0.0.1 ", line) for line in printed.lines]
    return sorted(lines, key=lambda line: (not line.startswith(("Error", "Warn", "GROUP ", "TOPIC ")), line))


def committed(run: Tools, group: str) -> list[str]:
    return [line.split()[3] for line in plain(run(f"kafka-consumer-groups --describe --group {group}"))[1:]]


def reset(run: Tools, group: str, how: str) -> list[str]:
    return plain(run(f"kafka-consumer-groups --reset-offsets --group {group} {how}"))


def plan(group: str, *offsets: int) -> list[str]:
    """What is printed of a plan for the partitions of the topic of the group's name."""
    return [RESET_HEAD, *(f"{group} {group} {partition} {offset}" for partition, offset in enumerate(offsets))]


def test_groups_are_listed_by_state_and_type(run: Tools, groups: Groups, group: str) -> None:
    live = f"{group}-live"
    groups.join(live, group)
    type_ = groups.protocol.capitalize()
    other = "consumer" if groups.protocol == "classic" else "classic"

    def listed(options: str) -> list[str]:
        lines = run(f"kafka-consumer-groups --list {options}").lines
        return sorted(line for line in lines if line.startswith(group))

    assert listed("") == [group, live]
    assert listed("--state") == [f"{group} Empty", f"{live} Stable"]
    assert listed("--type") == [f"{group} {type_}", f"{live} {type_}"]
    assert listed("--state --type") == [f"{group} {type_} Empty", f"{live} {type_} Stable"]
    assert listed("--state empty") == [f"{group} Empty"]
    assert listed(f"--state Stable,Empty --type {groups.protocol}") == listed("--state --type")
    assert listed(f"--type {other}") == []


def test_groups_are_listed_by_kafka_groups(run: Tools, groups: Groups, group: str) -> None:
    line = f"{group} {groups.protocol.capitalize()} consumer"

    for options in ("", "--consumer", f"--group-type {groups.protocol}", "--protocol consumer"):
        printed = run(f"kafka-groups --list {options}")
        assert printed.lines[0] == "GROUP TYPE PROTOCOL"
        assert line in printed.lines
    assert line not in run("kafka-groups --list --share").lines


def test_an_empty_group_is_described(run: Tools, groups: Groups, group: str) -> None:
    describe = f"kafka-consumer-groups --describe --group {group}"
    assignor = "-" if groups.protocol == "classic" else "uniform"
    for options, lines in {
        "": [OFFSETS_HEAD, f"{group} {group} 0 3 3 0 - - -", f"{group} {group} 1 1 1 0 - - -"],
        "--offsets --verbose": [
            VERBOSE_OFFSETS_HEAD,
            f"{group} {group} 0 - 3 3 0 - - -",
            f"{group} {group} 1 - 1 1 0 - - -",
        ],
        "--state": [STATE_HEAD, f"{group} BOOTSTRAP (1) {assignor} Empty 0"],
        "--members": [MEMBERS_HEAD],
        "--members --verbose": [MEMBERS_HEAD + VERBOSE],
    }.items():
        printed = run(f"{describe} {options}")
        assert plain(printed) == lines
        assert printed.errors == [f"Consumer group '{group}' has no active members."]


def test_a_group_with_a_member_is_described(run: Tools, groups: Groups, live_group: str) -> None:
    describe = f"kafka-consumer-groups --describe --group {live_group}"
    group = live_group
    for options, lines in {
        "": [
            OFFSETS_HEAD,
            f"{group} {group} 0 - 3 - ID /127.0.0.1 member",
            f"{group} {group} 1 - 1 - ID /127.0.0.1 member",
        ],
        "--offsets --verbose": [
            VERBOSE_OFFSETS_HEAD,
            f"{group} {group} 0 - - 3 - ID /127.0.0.1 member",
            f"{group} {group} 1 - - 1 - ID /127.0.0.1 member",
        ],
        "--state": [STATE_HEAD, f"{group} BOOTSTRAP (1) {groups.assignor} Stable 1"],
        "--members": [MEMBERS_HEAD, f"{group} ID /127.0.0.1 member 2"],
    }.items():
        printed = run(f"{describe} {options}")
        assert plain(printed) == lines
        assert printed.errors == []


@pytest.mark.parametrize("groups", ["classic"], indirect=True)
def test_a_classic_group_has_no_epochs(run: Tools, live_group: str) -> None:
    describe = f"kafka-consumer-groups --describe --group {live_group}"

    assert plain(run(f"{describe} --members --verbose")) == [
        MEMBERS_HEAD + VERBOSE,
        f"{live_group} ID /127.0.0.1 member 2 - {live_group}:0,1 - -",
    ]
    assert plain(run(f"{describe} --state --verbose")) == [
        VERBOSE_STATE_HEAD,
        f"{live_group} BOOTSTRAP (1) range Stable - - 1",
    ]


@pytest.mark.parametrize("groups", ["consumer"], indirect=True)
def test_a_consumer_group_begins_with_epoch_2(run: Tools, live_group: str) -> None:
    # KAFKA-20268: epoch 1 is the one of a group that nobody has been assigned anything in.
    describe = f"kafka-consumer-groups --describe --group {live_group}"

    assert plain(run(f"{describe} --members --verbose")) == [
        MEMBERS_HEAD + VERBOSE,
        f"{live_group} ID /127.0.0.1 member 2 2 {live_group}:0,1 2 {live_group}:0,1",
    ]
    assert plain(run(f"{describe} --state --verbose")) == [
        VERBOSE_STATE_HEAD,
        f"{live_group} BOOTSTRAP (1) uniform Stable 2 2 1",
    ]


@pytest.mark.parametrize("groups", ["consumer"], indirect=True)
def test_a_consumer_group_has_a_new_epoch_when_its_last_member_has_left(run: Tools, group: str) -> None:
    assert plain(run(f"kafka-consumer-groups --describe --group {group} --state --verbose")) == [
        VERBOSE_STATE_HEAD,
        f"{group} BOOTSTRAP (1) uniform Empty 3 2 0",
    ]


def test_a_static_member_is_described_with_its_instance(run: Tools, groups: Groups, written: str) -> None:
    groups.join(written, written, group_instance_id="one")

    assert plain(run(f"kafka-consumer-groups --describe --group {written} --members")) == [
        "GROUP CONSUMER-ID GROUP-INSTANCE-ID HOST CLIENT-ID #PARTITIONS",
        f"{written} ID one /127.0.0.1 member 2",
    ]


def test_an_unknown_group_is_not_found(run: Tools, name: str) -> None:
    for options in ("", "--members", "--state"):
        answer = run(f"kafka-consumer-groups --describe --group {name} {options}")
        assert (answer.lines + answer.errors)[0] == (
            "Error: Executing consumer group command failed due to "
            f"{ERRORS}GroupIdNotFoundException: Group {name} not found."
        )


@pytest.mark.parametrize(
    ("how", "offsets", "falls_back"),
    [
        ("--to-earliest", (0, 0), ()),
        ("--to-latest", (3, 1), ()),
        ("--to-current", (3, 1), ()),
        ("--to-offset 2", (2, 1), ()),
        ("--shift-by -1", (2, 0), ()),
        ("--shift-by -100", (0, 0), ()),
        ("--by-duration PT1S", (3, 1), (0, 1)),
        ("--to-datetime 1970-01-01T00:00:02.000", (1, 1), (1,)),
        ("--to-datetime 1970-01-01T00:00:00.000+00:00", (0, 0), ()),
        ("--to-datetime 2100-01-01T00:00:00.000+01:00", (3, 1), (0, 1)),
    ],
)
def test_offsets_are_reset(
    run: Tools, group: str, how: str, offsets: tuple[int, ...], falls_back: tuple[int, ...]
) -> None:
    expected = sorted(plan(group, *offsets)[:1] + [FALLING_BACK.format(partition, group) for partition in falls_back])

    for option, after in (("--dry-run", ENDS.values()), ("--execute", offsets)):
        assert reset(run, group, f"--topic {group} {how} {option}") == expected + plan(group, *offsets)[1:]
        assert committed(run, group) == [str(offset) for offset in after]


def test_a_reset_that_is_neither_tried_nor_executed_is_tried(run: Tools, group: str) -> None:
    printed = run(f"kafka-consumer-groups --reset-offsets --group {group} --topic {group} --to-earliest")

    assert plain(printed) == plan(group, 0, 0)
    assert printed.errors[0].startswith("WARN: No action will be performed as the --execute option is missing.")
    assert committed(run, group) == ["3", "1"]


def test_an_offset_beyond_the_end_is_taken_for_the_end(run: Tools, group: str) -> None:
    printed = run(f"kafka-consumer-groups --reset-offsets --group {group} --topic {group} --shift-by 100 --execute")
    assert plain(printed) == plan(group, 3, 1)
    assert sorted(printed.errors) == [
        f"WARN New offset (101) is higher than latest offset for topic partition {group}-1. Value will be set to 1",
        f"WARN New offset (103) is higher than latest offset for topic partition {group}-0. Value will be set to 3",
    ]


def test_offsets_of_some_partitions_are_reset(run: Tools, group: str) -> None:
    assert reset(run, group, f"--topic {group}:1 --to-earliest --execute") == [RESET_HEAD, f"{group} {group} 1 0"]
    assert committed(run, group) == ["3", "0"]
    assert reset(run, group, f"--topic {group}:0,1 --to-offset 1 --dry-run") == plan(group, 1, 1)
    assert reset(run, group, "--all-topics --to-latest --execute") == plan(group, 3, 1)
    assert reset(run, group, f"--topic {group}:7 --to-latest --dry-run") == [
        f'Error: Executing consumer group command failed due to The partitions "{group}-7" do not exist'
    ]


def test_a_plan_is_exported_and_executed_from_its_file(run: Tools, group: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.csv"
    exported = reset(run, group, f"--topic {group} --to-offset 1 --dry-run --export")
    assert exported == [f'"{group}",0,1', f'"{group}",1,1']
    file.write_text("\n".join([*exported[:1], f"{group},1,0", ""]))

    assert reset(run, group, f"--from-file {file} --dry-run") == plan(group, 1, 0)
    assert committed(run, group) == ["3", "1"]
    assert reset(run, group, f"--from-file {file} --execute") == plan(group, 1, 0)
    assert committed(run, group) == ["1", "0"]
    assert reset(run, group, f"--topic {group} --to-latest --execute --export") == [
        f'"{group}",0,3',
        f'"{group}",1,1',
    ]
    assert committed(run, group) == ["3", "1"]


def test_the_plans_of_two_groups_are_in_one_file(run: Tools, group: str, tmp_path: Path) -> None:
    other, file = f"{group}-other", tmp_path / "plan.csv"
    both = f"{group} --group {other}"
    exported = reset(run, both, f"--topic {group} --to-offset 1 --dry-run --export")
    assert exported == [f'"{who}","{group}",{partition},1' for who in sorted((group, other)) for partition in (0, 1)]
    file.write_text("\n".join([*exported, ""]))

    reset(run, both, f"--from-file {file} --execute")

    assert committed(run, group) == committed(run, other) == ["1", "1"]


def test_offsets_of_a_group_with_a_member_are_not_reset(run: Tools, live_group: str) -> None:
    for option in ("--dry-run", "--execute"):
        assert reset(run, live_group, f"--topic {live_group} --to-latest {option}") == [
            f"Error: Assignments can only be reset if the group '{live_group}' is inactive, "
            "but the current state is Stable.",
            RESET_HEAD,
        ]


def test_offsets_that_are_reset_are_where_the_next_member_begins(run: Tools, groups: Groups, group: str) -> None:
    reset(run, group, f"--topic {group}:0 --to-offset 2 --execute")

    consumer = groups.join(group, group)

    deadline = time.monotonic() + START_TIMEOUT_S
    while not groups.received and time.monotonic() < deadline:
        groups.poll(consumer)
    assert groups.received == [(0, 2, b"c")]


def test_committed_offsets_are_deleted(run: Tools, group: str) -> None:
    delete = f"kafka-consumer-groups --delete-offsets --group {group}"
    done = f"Request succeeded for deleting offsets from group {group}."

    assert run(f"{delete} --topic {group}:0").lines == [done, DELETE_HEAD, f"{group} 0 Successful"]
    assert run(f"{delete} --topic {group}:0").lines == [done, DELETE_HEAD, f"{group} 0 Successful"]
    assert committed(run, group) == ["1"]
    assert run(f"{delete} --topic {group}:5").lines[1:] == [DELETE_HEAD, f"{group} 5 Error: {NO_SUCH_PARTITION}"]
    assert run(f"{delete} --topic nosuch").lines[1:] == [DELETE_HEAD, f"nosuch - Error: {NO_SUCH_PARTITION}"]


def test_offsets_of_a_subscribed_topic_are_not_deleted(run: Tools, live_group: str) -> None:
    answer = run(f"kafka-consumer-groups --delete-offsets --group {live_group} --topic {live_group}")

    assert answer.lines == [
        "Error: Encountered some partition-level error, see the follow-up details.",
        DELETE_HEAD,
        *(f"{live_group} {partition} Error: {SUBSCRIBED}" for partition in (0, 1)),
    ]


def test_groups_are_deleted_when_they_are_empty(run: Tools, groups: Groups, group: str) -> None:
    live = f"{group}-live"
    groups.join(live, group)

    deleted = run(f"kafka-consumer-groups --delete --group {group} --group {live} --group {group}-nosuch")

    assert sorted(deleted.lines) == [
        f"* Group '{live}' could not be deleted due to: {NOT_EMPTY}",
        f"* Group '{group}-nosuch' could not be deleted due to: {NOT_FOUND}",
        "Error: Deletion of some consumer groups failed:",
        f"These consumer groups were deleted successfully: '{group}'",
    ]
    groups.consumers.pop().close()
    deleted = run(f"kafka-consumer-groups --delete --group {live}")
    assert deleted.lines == [f"Deletion of requested consumer groups ('{live}') was successful."]
