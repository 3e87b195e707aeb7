"""Metadata and DescribeCluster: who is there and who leads what."""

from ..primitives import boolean, int8, int16, int32, string, uuid
from ..schema import Request, Response, Struct, since


class MetadataRequestTopic(Struct):
    """A topic asked for by name, or from v12 by id with a null name."""

    topic_id: uuid = since("10+")
    name: string | None = since("0+", nullable="10+")


class MetadataRequest(Request, api_key=3, versions="0-13", flexible="9+"):
    """Ask for brokers and topics. ``topics`` null: all; empty: none, but in v0 all."""

    topics: list[MetadataRequestTopic] | None = since("0+", nullable="1+")
    allow_auto_topic_creation: boolean = since("4+", True)
    include_cluster_authorized_operations: boolean = since("8-10")
    include_topic_authorized_operations: boolean = since("8+")


class MetadataResponseBroker(Struct):
    """A broker and where this client can reach it."""

    node_id: int32 = since("0+")
    host: string = since("0+")
    port: int32 = since("0+")
    rack: string | None = since("1+", None)


class MetadataResponsePartition(Struct):
    """A partition, its leader and its replicas. ``leader_id`` -1: nobody leads it."""

    error_code: int16 = since("0+")
    partition_index: int32 = since("0+")
    leader_id: int32 = since("0+")
    leader_epoch: int32 = since("7+", -1)
    replica_nodes: list[int32] = since("0+")
    isr_nodes: list[int32] = since("0+")
    offline_replicas: list[int32] = since("5+")


class MetadataResponseTopic(Struct):
    """A topic and its partitions, or the error that it met."""

    error_code: int16 = since("0+")
    name: string | None = since("0+", nullable="12+")
    topic_id: uuid = since("10+")
    is_internal: boolean = since("1+")
    partitions: list[MetadataResponsePartition | bytes] = since("0+")
    topic_authorized_operations: int32 = since("8+", -2147483648)


class MetadataResponse(Response, answers=MetadataRequest):
    """Brokers and topics as this client may see them."""

    throttle_time_ms: int32 = since("3+")
    brokers: list[MetadataResponseBroker] = since("0+")
    cluster_id: string | None = since("2+", None)
    controller_id: int32 = since("1+", -1)
    topics: list[MetadataResponseTopic | bytes] = since("0+")
    cluster_authorized_operations: int32 = since("8-10", -2147483648)
    error_code: int16 = since("13+")


class DescribeClusterRequest(Request, api_key=60, versions="0-2", flexible="0+"):
    """Ask for the brokers (endpoint type 1) or controllers (2) of the cluster."""

    include_cluster_authorized_operations: boolean = since("0+")
    endpoint_type: int8 = since("1+", 1)
    include_fenced_brokers: boolean = since("2+")


class DescribeClusterBroker(Struct):
    """A broker and where this client can reach it."""

    broker_id: int32 = since("0+")
    host: string = since("0+")
    port: int32 = since("0+")
    rack: string | None = since("0+", None)
    is_fenced: boolean = since("2+")


class DescribeClusterResponse(Response, answers=DescribeClusterRequest):
    """The cluster as this client may see it."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+", None)
    endpoint_type: int8 = since("1+", 1)
    cluster_id: string = since("0+")
    controller_id: int32 = since("0+", -1)
    brokers: list[DescribeClusterBroker] = since("0+")
    cluster_authorized_operations: int32 = since("0+", -2147483648)
