"""Metadata and DescribeCluster: who is there and who leads what."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache, partial

from ...protocol.codec import Encode, encoder
from ...protocol.errors import ErrorCode
from ...protocol.messages.metadata import (
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
from ...protocol.primitives import ZERO_UUID
from ...protocol.schema import Struct
from ..authorized import CLUSTER_OPERATIONS, NOT_ASKED, TOPIC_OPERATIONS
from ..context import Context
from ..errors import ApiError, code_for
from ..partitions.internal import creation_of
from ..partitions.partition import INTERNAL_TOPICS
from ..partitions.topics import PARTITIONS_PER_REQUEST_MAX, Topic
from ..registry import Answer, handles

_BROKERS, _CONTROLLERS = 1, 2


def _refused(request: MetadataRequest, code: ErrorCode) -> MetadataResponse:
    return MetadataResponse(
        error_code=code,
        topics=[
            # Before v12 the name of a response cannot be null.
            MetadataResponseTopic(error_code=code, name=topic.name or "", topic_id=topic.topic_id)
            for topic in request.topics or ()
        ],
    )


@handles(
    MetadataRequest,
    refuse=_refused,
    leaves_out=(
        "a topic made by asking for it is answered at once, unless `barnabas.auto.create.topics.at.once` is false;"
        " Kafka says UNKNOWN_TOPIC_OR_PARTITION first"
    ),
)
def metadata(request: MetadataRequest, context: Context) -> Answer:
    """Describe the topics that are named, or all of them (KafkaApis.handleTopicMetadataRequest).

    One that is named twice is described once. One that does not exist is made when both the request and
    ``auto.create.topics.enable`` allow it. It can be used at once and is answered so, unlike in Kafka, unless
    ``barnabas.auto.create.topics.at.once`` is false: the answer is UNKNOWN_TOPIC_OR_PARTITION then, as in Kafka.
    """
    broker = context.broker
    version = context.api_version
    asked = request.topics
    wants_all = asked is None or (version == 0 and not asked)
    if asked and version < 12 and any(topic.name is None or topic.topic_id != ZERO_UUID for topic in asked):
        return _refused(request, ErrorCode.INVALID_REQUEST)
    topics_before = len(broker.topics)
    describe = partial(
        _describe,
        version=version,
        with_operations=request.include_topic_authorized_operations,
        node_id=broker.node_id,
    )
    may_create = request.allow_auto_topic_creation and broker.config.bool("auto.create.topics.enable")
    found: list[MetadataResponseTopic | bytes] = (
        [describe(topic) for topic in broker.topics]
        if wants_all or asked is None
        else [
            _find(topic, context, may_create, describe)
            for topic in {(topic.topic_id, topic.name): topic for topic in asked}.values()
        ]
    )
    host, port = context.session.endpoint
    response = MetadataResponse(
        brokers=[
            MetadataResponseBroker(
                node_id=broker.node_id, host=host, port=port, rack=broker.config.optional_string("broker.rack")
            )
        ],
        cluster_id=broker.cluster_id,
        controller_id=broker.node_id,
        topics=found,
        cluster_authorized_operations=(
            CLUSTER_OPERATIONS if request.include_cluster_authorized_operations else NOT_ASKED
        ),
    )
    return response if len(broker.topics) == topics_before else _when_synced(response, context)


async def _when_synced(response: MetadataResponse, context: Context) -> MetadataResponse:
    await context.broker.synced()
    return response


def _find(
    asked: MetadataRequestTopic, context: Context, may_create: bool, describe: Callable[[Topic], bytes]
) -> MetadataResponseTopic | bytes:
    topics = context.broker.topics
    try:
        if asked.topic_id != ZERO_UUID:
            return describe(topics.find(None, asked.topic_id))
        name = asked.name
        if name is None:
            raise ApiError(ErrorCode.INVALID_REQUEST, "a topic is named or has an id")
        topic = topics.get(name)
        if topic is None:
            topics.check_name_form(name)
            if not may_create:
                raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            topics.check_name(name)
            topic = topics.create(name, *creation_of(name, context.broker.config))
            if not context.broker.config.bool("barnabas.auto.create.topics.at.once"):
                raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return describe(topic)
    except Exception as error:
        name = None if asked.topic_id != ZERO_UUID else asked.name
        return MetadataResponseTopic(error_code=code_for(error), name=name, topic_id=asked.topic_id)


def _describe(topic: Topic, version: int, with_operations: bool, node_id: int) -> bytes:
    """Return what there is to say of a topic, encoded: it is said again and again."""
    described = topic.described.get((version, with_operations))
    if described is None:
        told = MetadataResponseTopic(
            name=topic.name,
            topic_id=topic.topic_id,
            is_internal=topic.name in INTERNAL_TOPICS,
            partitions=[
                _describe_partition(version, partition.index, partition.leader_epoch, node_id)
                for partition in topic.partitions
            ],
            topic_authorized_operations=TOPIC_OPERATIONS if with_operations else NOT_ASKED,
        )
        described = b"".join(_encoder(MetadataResponseTopic, version)(told))
        topic.described[version, with_operations] = described
    return described


@lru_cache(maxsize=PARTITIONS_PER_REQUEST_MAX)
def _describe_partition(version: int, index: int, leader_epoch: int, node_id: int) -> bytes:
    """Return what there is to say of a partition, encoded: the same of the first one of every topic, and so on."""
    told = MetadataResponsePartition(
        partition_index=index,
        leader_id=node_id,
        leader_epoch=leader_epoch,
        replica_nodes=[node_id],
        isr_nodes=[node_id],
    )
    return b"".join(_encoder(MetadataResponsePartition, version)(told))


@cache
def _encoder(struct: type[Struct], version: int) -> Encode:
    return encoder(struct, version, version in MetadataRequest.flexible)


@handles(DescribeClusterRequest)
def describe_cluster(request: DescribeClusterRequest, context: Context) -> DescribeClusterResponse:
    """Describe this cluster of one. Endpoint type 2, controllers, is for controller listeners (KIP-919)."""
    broker = context.broker
    if request.endpoint_type != _BROKERS:
        wrong = ErrorCode.MISMATCHED_ENDPOINT_TYPE
        code = wrong if request.endpoint_type == _CONTROLLERS else ErrorCode.UNSUPPORTED_ENDPOINT_TYPE
        return DescribeClusterResponse(error_code=code, error_message="this is a broker's endpoint")
    host, port = context.session.endpoint
    return DescribeClusterResponse(
        cluster_id=broker.cluster_id,
        controller_id=broker.node_id,
        brokers=[
            DescribeClusterBroker(
                broker_id=broker.node_id, host=host, port=port, rack=broker.config.optional_string("broker.rack")
            )
        ],
        cluster_authorized_operations=(
            CLUSTER_OPERATIONS if request.include_cluster_authorized_operations else NOT_ASKED
        ),
    )
