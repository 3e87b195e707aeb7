"""What lies where on the disk (KIP-113, KIP-827), and that it stays there."""

import pytest
from support.calls import (
    Topic,
    as_of,
    batch,
    both_ends,
    delete_records,
    every_version,
    make_topic,
    produce,
    produce_request,
)
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirPartitionResult,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopic,
    AlterReplicaLogDirTopicResult,
    DescribableLogDirTopic,
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)

ENDS = both_ends(DescribeLogDirsRequest)
ALTER_ENDS = both_ends(AlterReplicaLogDirsRequest)
Sizes = dict[str, dict[int, int]]


def describe(wire: Wire, version: int, asked: dict[str, list[int]] | None) -> DescribeLogDirsResponse:
    topics = None
    if asked is not None:
        topics = [DescribableLogDirTopic(topic=name, partitions=indexes) for name, indexes in asked.items()]
    return wire.call(DescribeLogDirsRequest(topics=topics), version)  # type: ignore[no-any-return]


def sizes(response: DescribeLogDirsResponse) -> Sizes:
    (result,) = response.results
    assert (response.error_code, result.error_code) == (ErrorCode.NONE, ErrorCode.NONE)
    return {
        topic.name: {partition.partition_index: partition.partition_size for partition in topic.partitions}
        for topic in result.topics
    }


@every_version(DescribeLogDirsRequest)
def test_a_partition_is_described_with_its_size(broker: BrokerProcess, wire: Wire, version: int) -> None:
    topic, sent = make_topic(wire, partitions=3), batch(b"x" * 1000)
    wire.call(produce_request(topic, (0, sent), (2, sent)), 13)
    response = describe(wire, version, {topic.name: [0, 1]})
    partitions = [
        DescribeLogDirsPartition(partition_index=index, partition_size=size)
        for index, size in ((0, len(sent)), (1, 0))
    ]
    (result,) = response.results
    expected = DescribeLogDirsResponse(
        results=[
            DescribeLogDirsResult(
                log_dir=str(broker.data_dir.absolute()),
                topics=[DescribeLogDirsTopic(name=topic.name, partitions=partitions)],
                total_bytes=result.total_bytes,
                usable_bytes=result.usable_bytes,
            )
        ]
    )
    assert response == as_of(expected, version)
    if version >= 4:
        assert 0 < result.usable_bytes <= result.total_bytes


@ENDS
def test_everything_is_described_when_nothing_is_named(wire: Wire, version: int) -> None:
    topics = [make_topic(wire, partitions=2), make_topic(wire)]
    found = sizes(describe(wire, version, None))
    assert [found[topic.name] for topic in topics] == [{0: 0, 1: 0}, {0: 0}]


@ENDS
@pytest.mark.parametrize("asked", [{}, {"nowhere": [0]}, {"nowhere": []}])
def test_what_does_not_exist_is_left_out(wire: Wire, version: int, asked: dict[str, list[int]]) -> None:
    assert sizes(describe(wire, version, asked)) == {}


@ENDS
def test_partitions_that_do_not_exist_are_left_out(wire: Wire, topic: Topic, version: int) -> None:
    assert sizes(describe(wire, version, {topic.name: [0, 1, -1, 0]})) == {topic.name: {0: 0}}


@ENDS
def test_a_size_is_that_of_what_is_left(wire: Wire, version: int) -> None:
    topic, sent = make_topic(wire, segment_bytes=str(2**20)), batch(b"x" * 700_000)
    for _ in range(3):
        produce(wire, topic, sent)
    assert sizes(describe(wire, version, {topic.name: [0]})) == {topic.name: {0: 3 * len(sent)}}
    delete_records(wire, topic, 2)
    assert sizes(describe(wire, version, {topic.name: [0]})) == {topic.name: {0: len(sent)}}


def test_sizes_are_known_before_a_log_is_opened(broker: BrokerProcess) -> None:
    with Wire(broker.port) as wire:
        topic, sent = make_topic(wire), batch(b"x" * 1000)
        produce(wire, topic, sent)
    broker.stop()
    broker.start()
    with Wire(broker.port) as wire:
        assert sizes(describe(wire, 5, None))[topic.name] == {0: len(sent)}


# AlterReplicaLogDirs


def move(path: str, *partitions: tuple[str, int]) -> AlterReplicaLogDirsRequest:
    topics = [AlterReplicaLogDirTopic(name=name, partitions=[index]) for name, index in partitions]
    return AlterReplicaLogDirsRequest(dirs=[AlterReplicaLogDir(path=path, topics=topics)])


def moved(*results: tuple[str, int, ErrorCode]) -> AlterReplicaLogDirsResponse:
    return AlterReplicaLogDirsResponse(
        results=[
            AlterReplicaLogDirTopicResult(
                topic_name=name,
                partitions=[AlterReplicaLogDirPartitionResult(partition_index=index, error_code=code)],
            )
            for name, index, code in results
        ]
    )


@every_version(AlterReplicaLogDirsRequest)
def test_a_partition_may_move_to_where_it_is(broker: BrokerProcess, wire: Wire, topic: Topic, version: int) -> None:
    response = wire.call(move(str(broker.data_dir.absolute()), (topic.name, 0)), version)
    assert response == as_of(moved((topic.name, 0, ErrorCode.NONE)), version)


@ALTER_ENDS
@pytest.mark.parametrize("path", ["/nowhere", "", "relative"])
def test_there_is_no_other_directory(wire: Wire, topic: Topic, version: int, path: str) -> None:
    asked = (topic.name, 0), ("nowhere", 0)
    expected = moved(*((*one, ErrorCode.LOG_DIR_NOT_FOUND) for one in asked))
    assert wire.call(move(path, *asked), version) == as_of(expected, version)


@ALTER_ENDS
def test_what_does_not_exist_does_not_move(broker: BrokerProcess, wire: Wire, topic: Topic, version: int) -> None:
    for name, index in (("nowhere", 0), (topic.name, 1), (topic.name, -1)):
        response = wire.call(move(str(broker.data_dir.absolute()), (name, index)), version)
        expected = moved((name, index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
        assert response == as_of(expected, version)


@ALTER_ENDS
def test_a_topic_whose_name_leaves_no_room_for_a_suffix_does_not_move(
    broker: BrokerProcess, wire: Wire, version: int
) -> None:
    """KAFKA-4893: the folder of a partition that moves is called topic-0.<32 digits>-future."""
    name = f"{version}" * 214
    make_topic(wire, name=name)
    response = wire.call(move(str(broker.data_dir.absolute()), (name, 0)), version)
    assert response == as_of(moved((name, 0, ErrorCode.INVALID_TOPIC_EXCEPTION)), version)


@ALTER_ENDS
def test_nothing_to_move_is_no_error(wire: Wire, version: int) -> None:
    assert wire.call(AlterReplicaLogDirsRequest(), version) == AlterReplicaLogDirsResponse()
