"""What an operator reads in the log: one line an event, with the names of topic, group and client."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.calls import (
    BROKER,
    GROUP,
    SET,
    TOPIC,
    Topic,
    configure,
    delete_records,
    increment,
    join_request,
    make_topic,
    stable_alone,
    wait_until,
)
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.group_membership import LeaveGroupRequest
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from barnabas.protocol.messages.partitions import CreatePartitionsRequest, CreatePartitionsTopic
from barnabas.protocol.messages.topics import DeleteTopicsRequest, DeleteTopicState

CLIENT = "client 'wire' from 127.0.0.1"


def lines(broker: BrokerProcess, level: str = "INFO") -> list[str]:
    """Return the messages of a level that begin with the name of a logger of ours."""
    found = re.findall(rf"^\S+ \S+ {level} barnabas\S*: (.*)$", broker.log.read_text(), re.MULTILINE)
    broker.log.write_text("")
    return found


def grow(wire: Wire, name: str, count: int) -> None:
    (result,) = wire.call(
        CreatePartitionsRequest(topics=[CreatePartitionsTopic(name=name, count=count, assignments=None)]), 3
    ).results
    assert result.error_code == ErrorCode.NONE, result


def delete(wire: Wire, name: str) -> None:
    wire.call(DeleteTopicsRequest(topics=[DeleteTopicState(name=name)]), 6)


def ask_for(wire: Wire, name: str) -> None:
    request = MetadataRequest(topics=[MetadataRequestTopic(name=name)], allow_auto_topic_creation=True)
    wire.call(request, 12)


def test_topics_and_settings(broker: BrokerProcess, wire: Wire) -> None:
    steps: list[tuple[Callable[[], object], str]] = [
        (lambda: make_topic(wire, 3, "orders"), f"topic orders created (partitions: 3) by {CLIENT}"),
        (lambda: grow(wire, "orders", 5), f"topic orders grown (partitions: 5) by {CLIENT}"),
        (
            lambda: configure(wire, TOPIC, "orders", retention_ms="1000", cleanup_policy="compact"),
            f"settings of topic orders changed by {CLIENT}: cleanup.policy=compact, retention.ms=1000",
        ),
        (
            lambda: configure(wire, TOPIC, "orders", retention_ms=None),
            f"settings of topic orders changed by {CLIENT}: retention.ms has its default again",
        ),
        (
            lambda: configure(wire, GROUP, "billing", consumer_session_timeout_ms="50000"),
            f"settings of group billing changed by {CLIENT}: consumer.session.timeout.ms=50000",
        ),
        (lambda: delete(wire, "orders"), f"topic orders deleted by {CLIENT}"),
        (lambda: ask_for(wire, "later"), f"topic later created (partitions: 1) at the first request of {CLIENT}"),
    ]
    for step, said in steps:
        step()
        assert lines(broker) == [said]


def test_what_changes_nothing_is_not_told(broker: BrokerProcess, wire: Wire) -> None:
    make_topic(wire, name="orders", retention_ms="1000")
    lines(broker)
    configure(wire, TOPIC, "orders", retention_ms="1000")
    ask_for(wire, "orders")
    delete(wire, "nothing")
    assert lines(broker) == []


def test_long_texts_are_cut(broker: BrokerProcess, wire: Wire) -> None:
    names = [letter * 100_000 for letter in "abc"]
    assert increment(wire, BROKER, "1", *((name, SET, "v") for name in names)).error_code == ErrorCode.NONE
    shown = ", ".join(letter * 100 for letter in "abc")
    assert lines(broker) == [f"settings of broker 1 changed by {CLIENT}: {shown}"]
    group = 30_000 * "g"
    configure(wire, GROUP, group, consumer_session_timeout_ms="50000")
    (told,) = lines(broker)
    assert told.startswith("settings of group ggg")
    assert len(told) < 5_000


def test_each_rebalance_is_one_line(tmp_path: Path) -> None:
    with (
        running(tmp_path / "data", "-c", "group.initial.rebalance.delay.ms=0") as broker,
        Wire(broker.port) as wire,
    ):
        member = stable_alone(wire)
        told = [line for line in lines(broker) if line.startswith("group ")]
        assert len(told) == 1
        assert told[0].startswith(f"group {member.group_id}: generation 1 has 1 member; {member.member_id} is new")
        wire.call(LeaveGroupRequest(group_id=member.group_id, member_id=member.member_id), 0)
        wait_until(lambda: broker.log.read_text() != "")
        assert lines(broker) == [f"group {member.group_id} has no members any more; 1 member has left"]


def test_at_level_debug_connections_and_refusals_are_told(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--log-level", "debug") as broker:
        with Wire(broker.port) as wire:
            port = wire.socket.getsockname()[1]
            refused = delete_records(wire, Topic("nothing", bytes(16)), 0)
            assert refused.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            assert wire.call(join_request("billing", "stranger"), 5).error_code == ErrorCode.UNKNOWN_MEMBER_ID
        wait_until(lambda: " closed: " in broker.log.read_text())
        told = lines(broker, "DEBUG")
    assert f"connection from 127.0.0.1:{port} opened on PLAINTEXT" in told
    assert f"connection from 127.0.0.1:{port} closed: no error" in told
    assert "refused with UNKNOWN_TOPIC_OR_PARTITION: UNKNOWN_TOPIC_OR_PARTITION" in told


@pytest.mark.parametrize("level", ["info", "debug"])
def test_names_are_escaped(level: str, tmp_path: Path) -> None:
    with (
        running(tmp_path / "data", "-c", "group.initial.rebalance.delay.ms=0", "--log-level", level) as broker,
        Wire(broker.port) as wire,
    ):
        assert wire.call(join_request("evil\n\x1b[31m"), 3).error_code == ErrorCode.NONE
        text = broker.log.read_text()
    assert "\x1b" not in text
    assert "group evil\\n\\x1b[31m: generation 1" in text
