from pathlib import Path

import pytest
from support.calls import Topic, as_of, both_ends, every_version, fresh, make_topic
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.metadata import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)

NOT_ASKED = -(2**31)
TOPIC_OPERATIONS = sum(1 << n for n in (3, 4, 5, 6, 7, 8, 10, 11))
CLUSTER_OPERATIONS = sum(1 << n for n in (5, 7, 8, 9, 10, 11, 12))
ENDS = both_ends(MetadataRequest)


def named(*names: str | None, create: bool = False, **values: bool) -> MetadataRequest:
    return MetadataRequest(
        topics=[MetadataRequestTopic(name=name) for name in names], allow_auto_topic_creation=create, **values
    )


def described(topic: Topic, partitions: int = 1, epoch: int = 0) -> MetadataResponseTopic:
    return MetadataResponseTopic(
        name=topic.name,
        topic_id=topic.topic_id,
        partitions=[
            MetadataResponsePartition(
                partition_index=index, leader_id=1, leader_epoch=epoch, replica_nodes=[1], isr_nodes=[1]
            )
            for index in range(partitions)
        ],
    )


def cluster_of(wire: Wire) -> str:
    cluster_id: str = wire.call(named(), 13).cluster_id
    assert len(cluster_id) == 22
    return cluster_id


def answer(wire: Wire, broker: BrokerProcess, *topics: MetadataResponseTopic) -> MetadataResponse:
    return MetadataResponse(
        brokers=[MetadataResponseBroker(node_id=1, host="127.0.0.1", port=broker.port)],
        cluster_id=cluster_of(wire),
        controller_id=1,
        topics=list(topics),
    )


@every_version(MetadataRequest)
def test_a_topic_is_described_by_its_name(broker: BrokerProcess, wire: Wire, version: int) -> None:
    topic = make_topic(wire, partitions=3)
    expected = answer(wire, broker, described(topic, 3))
    assert wire.call(named(topic.name), version) == as_of(expected, version)


@every_version(MetadataRequest)
def test_all_topics_are_described(broker: BrokerProcess, wire: Wire, topic: Topic, version: int) -> None:
    request = MetadataRequest(topics=None if version else [], allow_auto_topic_creation=True)
    response = wire.call(request, version)
    assert as_of(MetadataResponse(topics=[described(topic)]), version).topics[0] in response.topics
    assert all(found.error_code == 0 for found in response.topics)


@every_version(MetadataRequest, since=1)
def test_an_empty_list_describes_the_brokers_only(broker: BrokerProcess, wire: Wire, version: int) -> None:
    assert wire.call(named(), version) == as_of(answer(wire, broker), version)


@every_version(MetadataRequest, since=12)
def test_a_topic_is_described_by_its_id(broker: BrokerProcess, wire: Wire, topic: Topic, version: int) -> None:
    unknown = b"nowhere_________"
    request = MetadataRequest(
        topics=[
            MetadataRequestTopic(name=None, topic_id=topic.topic_id),
            MetadataRequestTopic(name=None, topic_id=unknown),
        ]
    )
    missing = MetadataResponseTopic(error_code=ErrorCode.UNKNOWN_TOPIC_ID, name=None, topic_id=unknown)
    assert wire.call(request, version) == as_of(answer(wire, broker, described(topic), missing), version)


@pytest.mark.parametrize("version", [10, 11])
def test_before_version_12_a_topic_has_a_name_and_no_id(wire: Wire, topic: Topic, version: int) -> None:
    for asked in (
        MetadataRequestTopic(name=None, topic_id=topic.topic_id),
        MetadataRequestTopic(name=None),
        MetadataRequestTopic(name=topic.name, topic_id=topic.topic_id),
    ):
        response = wire.call(MetadataRequest(topics=[asked]), version)
        (result,) = response.topics
        assert (result.error_code, result.name) == (ErrorCode.INVALID_REQUEST, asked.name or "")


@ENDS
def test_unknown_topics_are_told_and_not_made(broker: BrokerProcess, wire: Wire, topic: Topic, version: int) -> None:
    if version < 4:
        pytest.skip("asking for a topic makes it")
    name = fresh("nowhere")
    missing = MetadataResponseTopic(error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, name=name)
    expected = as_of(answer(wire, broker, missing, described(topic)), version)
    for _ in range(2):
        assert wire.call(named(name, topic.name), version) == expected


@ENDS
@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("name", ["", ".", "..", "a b", "a/b", "ä", "a" * 250])
def test_a_name_that_no_topic_can_have_is_told(wire: Wire, version: int, create: bool, name: str) -> None:
    (result,) = wire.call(named(name, create=create), version).topics
    assert (result.error_code, result.name, result.partitions) == (ErrorCode.INVALID_TOPIC_EXCEPTION, name, [])


@every_version(MetadataRequest)
def test_a_topic_is_made_by_asking_for_it(wire: Wire, version: int) -> None:
    """``num.partitions`` is 2 here. Before version 4 every request asks for it."""
    name = fresh("made")
    response = wire.call(named(name, create=True), version)
    topic_id = wire.call(named(name), 13).topics[0].topic_id
    assert response.topics == as_of(MetadataResponse(topics=[described(Topic(name, topic_id), 2)]), version).topics


def test_a_topic_may_be_made_and_be_unknown_at_first_as_in_kafka(tmp_path: Path) -> None:
    setting = "barnabas.auto.create.topics.at.once=false"
    with running(tmp_path / "data", "-c", setting) as broker, Wire(broker.port) as wire:
        for version in range(14):
            name = fresh("made")
            unknown = MetadataResponseTopic(error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, name=name)
            first = wire.call(named(name, create=True), version).topics
            assert first == as_of(MetadataResponse(topics=[unknown]), version).topics
            (second,) = wire.call(named(name, create=True), version).topics
            assert (second.error_code, second.name, len(second.partitions)) == (ErrorCode.NONE, name, 1)


def test_a_topic_that_nearly_exists_is_not_made(wire: Wire) -> None:
    name = fresh("a.b")
    make_topic(wire, name=name)
    near = name.replace(".", "_")
    assert wire.call(named(near, create=True), 13).topics[0].error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
    assert wire.call(named(near), 13).topics[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_a_topic_that_is_named_twice_is_described_once(wire: Wire, topic: Topic) -> None:
    """As in Kafka; else a small request for a large topic has a huge answer."""
    assert [found.name for found in wire.call(named(topic.name, topic.name), 13).topics] == [topic.name]


def test_nothing_is_made_where_the_broker_forbids_it(tmp_path: Path) -> None:
    with (
        running(tmp_path / "data", "-c", "auto.create.topics.enable=false", "-c", "broker.rack=r1") as broker,
        Wire(broker.port) as wire,
    ):
        for version in range(14):
            response = wire.call(named("nowhere", create=True), version)
            assert response.topics[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            assert response.brokers[0].rack == ("r1" if version >= 1 else None)


@every_version(MetadataRequest, since=8)
def test_authorized_operations_are_told_when_asked_for(wire: Wire, topic: Topic, version: int) -> None:
    request = named(topic.name, include_cluster_authorized_operations=True, include_topic_authorized_operations=True)
    response = wire.call(request, version)
    assert response.topics[0].topic_authorized_operations == TOPIC_OPERATIONS
    assert response.cluster_authorized_operations == (CLUSTER_OPERATIONS if version <= 10 else NOT_ASKED)
    response = wire.call(named(topic.name), version)
    assert response.topics[0].topic_authorized_operations == NOT_ASKED
    assert response.cluster_authorized_operations == NOT_ASKED


@ENDS
def test_internal_topics_are_marked(wire: Wire, version: int) -> None:
    (result,) = wire.call(named("__consumer_offsets", create=True), version).topics
    assert result.is_internal == (version >= 1)


def test_the_leader_epoch_is_that_after_the_last_crash(broker: BrokerProcess, wire: Wire, topic: Topic) -> None:
    wire.socket.close()
    broker.kill()
    broker.start()
    with Wire(broker.port) as again:
        (partition,) = again.call(named(topic.name), 13).topics[0].partitions
    assert partition.leader_epoch >= 1


@every_version(DescribeClusterRequest)
def test_the_cluster_is_described(broker: BrokerProcess, wire: Wire, version: int) -> None:
    expected = DescribeClusterResponse(
        cluster_id=cluster_of(wire),
        controller_id=1,
        brokers=[DescribeClusterBroker(broker_id=1, host="127.0.0.1", port=broker.port)],
    )
    assert wire.call(DescribeClusterRequest(), version) == as_of(expected, version)
    asked = wire.call(DescribeClusterRequest(include_cluster_authorized_operations=True), version)
    assert asked.cluster_authorized_operations == CLUSTER_OPERATIONS


@both_ends(DescribeClusterRequest, since=1)
@pytest.mark.parametrize(
    ("endpoint_type", "code"),
    [
        (2, ErrorCode.MISMATCHED_ENDPOINT_TYPE),
        (0, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE),
        (3, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE),
    ],
)
def test_controllers_are_not_described_here(wire: Wire, version: int, endpoint_type: int, code: ErrorCode) -> None:
    response = wire.call(DescribeClusterRequest(endpoint_type=endpoint_type), version)
    assert (response.error_code, response.brokers, response.controller_id) == (code, [], -1)
    assert response.error_message
