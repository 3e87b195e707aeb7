"""Committed offsets that are forgotten one by one (KIP-496)."""

import struct
from collections.abc import Callable

import pytest
from support.calls import (
    Topic,
    commit,
    committed_offset,
    fresh,
    join_alone,
    make_topic,
    stable_alone,
)
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.group_membership import JoinGroupRequestProtocol
from barnabas.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)


def forget(wire: Wire, group: str, *asked: tuple[str, int]) -> OffsetDeleteResponse:
    topics = [
        OffsetDeleteRequestTopic(name=name, partitions=[OffsetDeleteRequestPartition(partition_index=index)])
        for name, index in asked
    ]
    return wire.call(OffsetDeleteRequest(group_id=group, topics=topics), 0)  # type: ignore[no-any-return]


def answer(topic: Topic, *results: tuple[int, int]) -> OffsetDeleteResponse:
    partitions = [OffsetDeleteResponsePartition(partition_index=index, error_code=code) for index, code in results]
    return OffsetDeleteResponse(topics=[OffsetDeleteResponseTopic(name=topic.name, partitions=partitions)])


@pytest.fixture
def group(wire: Wire, topic: Topic) -> str:
    """An empty group that has committed offset 5."""
    name = fresh("group")
    commit(wire, name, topic, (0, 5))
    return name


def subscribed(topic: Topic) -> list[JoinGroupRequestProtocol]:
    """A consumer's subscription, version 0."""
    name = topic.name.encode()
    metadata = struct.pack(">hih", 0, 1, len(name)) + name + struct.pack(">i", -1)
    return [JoinGroupRequestProtocol(name="range", metadata=metadata)]


def test_an_offset_is_forgotten_and_others_are_not(wire: Wire) -> None:
    topic, group = make_topic(wire, partitions=2), fresh("group")
    commit(wire, group, topic, (0, 5), (1, 7))
    assert forget(wire, group, (topic.name, 0)) == answer(topic, (0, ErrorCode.NONE))
    assert [committed_offset(wire, group, topic, index) for index in (0, 1)] == [-1, 7]


def test_what_was_never_committed_is_forgotten_too(wire: Wire, group: str) -> None:
    other = make_topic(wire)
    assert forget(wire, group, (other.name, 0)) == answer(other, (0, ErrorCode.NONE))


@pytest.mark.parametrize("index", [1, -1])
def test_an_unknown_partition_is_told(wire: Wire, topic: Topic, group: str, index: int) -> None:
    response = forget(wire, group, (topic.name, index))
    assert response == answer(topic, (index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))


@pytest.mark.parametrize("name", ["nowhere", "", "a b"])
def test_an_unknown_topic_is_told_and_others_are_forgotten(wire: Wire, topic: Topic, group: str, name: str) -> None:
    response = forget(wire, group, (name, 0), (topic.name, 0))
    codes = {one.name: one.partitions[0].error_code for one in response.topics}
    assert codes == {name: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, topic.name: ErrorCode.NONE}
    assert committed_offset(wire, group, topic) == -1


def test_an_unknown_group_is_told(wire: Wire, topic: Topic) -> None:
    for asked in ((topic.name, 0), ("nowhere", 0)):
        response = forget(wire, "nobody", asked)
        assert response == OffsetDeleteResponse(error_code=ErrorCode.GROUP_ID_NOT_FOUND)


def test_a_group_without_a_name_is_refused(wire: Wire, topic: Topic) -> None:
    response = forget(wire, "", (topic.name, 0))
    assert response == OffsetDeleteResponse(error_code=ErrorCode.INVALID_GROUP_ID)


def test_a_topic_that_a_member_reads_keeps_its_offsets(wire: Wire, topic: Topic) -> None:
    other = make_topic(wire)
    member = stable_alone(wire, protocols=subscribed(topic))
    for one in (topic, other):
        commit(
            wire, member.group_id, one, (0, 5), member_id=member.member_id,
            generation_id_or_member_epoch=member.generation_id,
        )  # fmt: skip
    response = forget(wire, member.group_id, (topic.name, 0), (other.name, 0))
    codes = {one.name: one.partitions[0].error_code for one in response.topics}
    assert codes == {topic.name: ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, other.name: ErrorCode.NONE}
    assert [committed_offset(wire, member.group_id, one) for one in (topic, other)] == [5, -1]


def test_a_group_of_another_kind_keeps_its_offsets_while_it_has_members(wire: Wire, topic: Topic) -> None:
    member = join_alone(wire, protocol_type="connect")
    response = forget(wire, member.group_id, (topic.name, 0))
    assert response == OffsetDeleteResponse(error_code=ErrorCode.NON_EMPTY_GROUP)


def test_nothing_to_forget_is_no_error(wire: Wire, group: str) -> None:
    assert forget(wire, group) == OffsetDeleteResponse()


@pytest.mark.parametrize("end", [BrokerProcess.stop, BrokerProcess.kill], ids=["stop", "kill"])
def test_what_was_forgotten_stays_so_when_the_process_ends(
    broker: BrokerProcess, end: Callable[[BrokerProcess], object]
) -> None:
    with Wire(broker.port) as wire:
        topic, group = make_topic(wire, partitions=2), fresh("group")
        commit(wire, group, topic, (0, 5), (1, 7))
        forget(wire, group, (topic.name, 0))
    end(broker)
    broker.start()
    with Wire(broker.port) as wire:
        assert [committed_offset(wire, group, topic, index) for index in (0, 1)] == [-1, 7]
