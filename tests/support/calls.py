"""What the tests of the APIs have in common: versions to try, batches to send, and the usual requests."""

import itertools
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import pytest

from barnabas.protocol import codec
from barnabas.protocol.messages.alter_configs import (
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsRequestAlterableConfig,
    IncrementalAlterConfigsRequestAlterConfigsResource,
)
from barnabas.protocol.messages.configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
)
from barnabas.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from barnabas.protocol.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData
from barnabas.protocol.messages.group_membership import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    SyncGroupRequest,
    SyncGroupRequestAssignment,
)
from barnabas.protocol.messages.group_offsets import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetFetchRequest,
    OffsetFetchRequestTopic,
)
from barnabas.protocol.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    TopicProduceData,
)
from barnabas.protocol.messages.topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from barnabas.protocol.records import Record, assign, build_batch, read_header
from barnabas.protocol.schema import Message, Request

from .wire import Wire

M = TypeVar("M", bound=Message)

# Types of resources that have settings (ConfigResource.Type), and what becomes of a setting (AlterConfigOp.OpType).
TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = range(4)

_numbers = itertools.count()


class Topic(NamedTuple):
    """A topic that a test made."""

    name: str
    topic_id: bytes


def fresh(prefix: str) -> str:
    """Return a name that no other test in this process uses."""
    return f"{prefix}-{next(_numbers)}"


def every_version(request: type[Request], since: int = 0) -> pytest.MarkDecorator:
    """Run a test with each ``version`` of the API."""
    low, high = request.versions
    return pytest.mark.parametrize("version", range(max(low, since), high + 1), ids="v{}".format)


def both_ends(request: type[Request], since: int = 0, until: int = 2**15) -> pytest.MarkDecorator:
    """Run a test with the oldest and the newest ``version`` of the API."""
    low, high = max(request.versions.lowest, since), min(request.versions.highest, until)
    return pytest.mark.parametrize("version", [low, high], ids="v{}".format)


def as_of(message: M, version: int) -> M:
    """Return what is left of ``message`` on its way through ``version``: the rest has its defaults."""
    return codec.decode(type(message), version, codec.encode(message, version))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def wait_until(holds: Callable[[], bool], timeout_s: float = 120) -> None:
    """Wait for what happens in the background."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def batch(*values: bytes | None, keys: Iterable[bytes | None] = (), timestamp: int = 1000, **header: Any) -> bytes:
    """Return a batch with a record per value, or three records; ``timestamp`` in ms for all of them."""
    pairs = itertools.zip_longest(values or (b"a", b"b", b"c"), keys)
    return build_batch(
        [Record(offset, timestamp, key, value) for offset, (value, key) in enumerate(pairs)],
        **header,
    )


def placed(sent: bytes, base_offset: int, leader_epoch: int = 0) -> bytes:
    """Return the batch as a consumer gets it back."""
    copy = bytearray(sent)
    assign(copy, 0, read_header(copy), base_offset, leader_epoch)
    return bytes(copy)


def make_topic(wire: Wire, partitions: int = 1, name: str = "", **configs: str) -> Topic:
    """Create a topic; settings are given with underscores instead of dots."""
    name = name or fresh("topic")
    request = CreateTopicsRequest(
        topics=[
            CreatableTopic(
                name=name,
                num_partitions=partitions,
                replication_factor=1,
                configs=[
                    CreatableTopicConfig(name=key.replace("_", "."), value=value) for key, value in configs.items()
                ],
            )
        ]
    )
    (result,) = wire.call(request, 7).topics
    assert result.error_code == 0, result
    return Topic(name, result.topic_id)


def increments(
    kind: int, name: str, *steps: tuple[str, int, str | None], validate_only: bool = False
) -> IncrementalAlterConfigsRequest:
    """Ask to change one resource; a step is (setting, operation, value)."""
    configs = [
        IncrementalAlterConfigsRequestAlterableConfig(name=setting, config_operation=operation, value=value)
        for setting, operation, value in steps
    ]
    resource = IncrementalAlterConfigsRequestAlterConfigsResource(
        resource_type=kind, resource_name=name, configs=configs
    )
    return IncrementalAlterConfigsRequest(resources=[resource], validate_only=validate_only)


def increment(
    wire: Wire, kind: int, name: str, *steps: tuple[str, int, str | None], version: int = 1
) -> AlterConfigsResourceResponse:
    """Change one resource and return its result."""
    (result,) = wire.call(increments(kind, name, *steps), version).responses
    return result  # type: ignore[no-any-return]


def configure(wire: Wire, kind: int, name: str, **configs: str | None) -> None:
    """Set settings, given with underscores instead of dots; None puts one back."""
    steps = [
        (setting.replace("_", "."), DELETE if value is None else SET, value) for setting, value in configs.items()
    ]
    result = increment(wire, kind, name, *steps)
    assert result.error_code == 0, result


def described(wire: Wire, kind: int, name: str, version: int = 4) -> dict[str, DescribeConfigsResourceResult]:
    """Return the settings of one resource by name, with their synonyms."""
    asked = DescribeConfigsResource(resource_type=kind, resource_name=name, configuration_keys=None)
    request = DescribeConfigsRequest(resources=[asked], include_synonyms=True)
    (result,) = wire.call(request, version).results
    assert result.error_code == 0, result
    return {config.name: config for config in result.configs}


def overrides(wire: Wire, kind: int, name: str) -> dict[str, str | None]:
    """Return what was set on one resource itself, without what every cluster has from the start (KIP-966)."""
    given = {"min.insync.replicas"} if kind == BROKER and not name else set()
    own = {TOPIC: 1, BROKER: 2 if name else 3, CLIENT_METRICS: 7, GROUP: 8}[kind]
    return {
        config.name: synonym.value
        for config in described(wire, kind, name).values()
        for synonym in config.synonyms
        if synonym.source == own and synonym.name == config.name not in given
    }


def produce_request(topic: Topic, *batches: tuple[int, bytes | None], acks: int = -1) -> ProduceRequest:
    """Ask to append (partition, batch) pairs to one topic."""
    return ProduceRequest(
        acks=acks,
        timeout_ms=1000,
        topic_data=[
            TopicProduceData(
                name=topic.name,
                topic_id=topic.topic_id,
                partition_data=[PartitionProduceData(index=index, records=records) for index, records in batches],
            )
        ],
    )


def produce(wire: Wire, topic: Topic, records: bytes | None, version: int = 13) -> PartitionProduceResponse:
    """Append to partition 0 and return its result."""
    (answered,) = wire.call(produce_request(topic, (0, records)), version).responses
    (result,) = answered.partition_responses
    return result  # type: ignore[no-any-return]


def fetch_request(
    *asked: tuple[Topic, int, int],
    max_wait_ms: int = 0,
    min_bytes: int = 1,
    max_bytes: int = 2**20,
    partition_max_bytes: int = 2**20,
    **partition: Any,
) -> FetchRequest:
    """Ask for (topic, partition, offset) triples, each under a topic entry of its own."""
    isolation_level = partition.pop("isolation_level", 0)
    return FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=min_bytes,
        max_bytes=max_bytes,
        isolation_level=isolation_level,
        topics=[
            FetchTopic(
                topic=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    FetchPartition(
                        partition=index, fetch_offset=offset, partition_max_bytes=partition_max_bytes, **partition
                    )
                ],
            )
            for topic, index, offset in asked
        ],
    )


def fetched(response: FetchResponse) -> list[PartitionData]:
    """Return the partitions of a response in a row."""
    return [partition for topic in response.responses for partition in topic.partitions]


def fetch(wire: Wire, topic: Topic, offset: int = 0, version: int = 18, **options: Any) -> PartitionData:
    """Read partition 0 and return its result."""
    (result,) = fetched(wire.call(fetch_request((topic, 0, offset), **options), version))
    return result


def delete_request(*asked: tuple[str, int, int]) -> DeleteRecordsRequest:
    """Ask to delete what lies before (topic name, partition, offset), each under a topic entry of its own."""
    return DeleteRecordsRequest(
        timeout_ms=1000,
        topics=[
            DeleteRecordsTopic(name=name, partitions=[DeleteRecordsPartition(partition_index=index, offset=offset)])
            for name, index, offset in asked
        ],
    )


def delete_records(wire: Wire, topic: Topic, offset: int, version: int = 2) -> DeleteRecordsPartitionResult:
    """Delete what lies before ``offset`` in partition 0 and return the result."""
    (answered,) = wire.call(delete_request((topic.name, 0, offset)), version).topics
    (result,) = answered.partitions
    return result  # type: ignore[no-any-return]


def end_offset(wire: Wire, topic: Topic) -> int:
    """Return how many records partition 0 has had."""
    return fetch(wire, topic).high_watermark


def join_request(group: str, member_id: str = "", **values: Any) -> JoinGroupRequest:
    """Ask to join with the protocol "range"."""
    return JoinGroupRequest(
        **{
            "group_id": group,
            "session_timeout_ms": 10_000,
            "rebalance_timeout_ms": 10_000,
            "member_id": member_id,
            "protocol_type": "consumer",
            "protocols": [JoinGroupRequestProtocol(name="range", metadata=b"metadata")],
            **values,
        }
    )


class Member(NamedTuple):
    """A member of a group, alone in it."""

    group_id: str
    member_id: str
    generation_id: int


def join_alone(wire: Wire, **values: Any) -> Member:
    """Make a group with one member that still has to ask for its assignment."""
    group = fresh("group")
    joined = wire.call(join_request(group, **values), 3 if "group_instance_id" not in values else 5)
    assert joined.error_code == 0, joined
    return Member(group, joined.member_id, joined.generation_id)


def stable_alone(wire: Wire, **values: Any) -> Member:
    """Make a group with one member that has its assignment."""
    member = join_alone(wire, **values)
    request = SyncGroupRequest(
        group_id=member.group_id,
        generation_id=member.generation_id,
        member_id=member.member_id,
        assignments=[SyncGroupRequestAssignment(member_id=member.member_id, assignment=b"assignment")],
    )
    assert wire.call(request, 3).error_code == 0
    return member


def commit_request(group: str, topic: Topic, *offsets: tuple[int, int], **values: Any) -> OffsetCommitRequest:
    """Ask to commit (partition, offset) pairs of one topic."""
    metadata = values.pop("metadata", "note")
    return OffsetCommitRequest(
        group_id=group,
        topics=[
            OffsetCommitRequestTopic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    OffsetCommitRequestPartition(
                        partition_index=index,
                        committed_offset=offset,
                        committed_leader_epoch=0,
                        committed_metadata=metadata,
                    )
                    for index, offset in offsets
                ],
            )
        ],
        **values,
    )


def commit(wire: Wire, group: str, topic: Topic, *offsets: tuple[int, int], **values: Any) -> None:
    """Commit (partition, offset) pairs of one topic."""
    response = wire.call(commit_request(group, topic, *offsets, **values), 10)
    assert all(result.error_code == 0 for result in response.topics[0].partitions), response


def committed_offset(wire: Wire, group: str, topic: Topic, partition: int = 0) -> int:
    """Return what a group has committed, -1 for nothing."""
    asked = OffsetFetchRequestTopic(name=topic.name, partition_indexes=[partition])
    (answered,) = wire.call(OffsetFetchRequest(group_id=group, topics=[asked]), 7).topics
    return answered.partitions[0].committed_offset  # type: ignore[no-any-return]
