"""CreateTopics and DeleteTopics."""

from ..primitives import boolean, int8, int16, int32, string, uuid
from ..schema import Request, Response, Struct, since


class CreatableReplicaAssignment(Struct):
    """The brokers that hold one partition, the preferred leader first."""

    partition_index: int32 = since("0+")
    broker_ids: list[int32] = since("0+")


class CreatableTopicConfig(Struct):
    """A setting of the topic."""

    name: string = since("0+")
    value: string | None = since("0+")


class CreatableTopic(Struct):
    """A topic to make. -1 partitions or replicas: the broker's default."""

    name: string = since("0+")
    num_partitions: int32 = since("0+")
    replication_factor: int16 = since("0+")
    assignments: list[CreatableReplicaAssignment] = since("0+")
    configs: list[CreatableTopicConfig] = since("0+")


class CreateTopicsRequest(Request, api_key=19, versions="2-7", flexible="5+"):
    """Make topics, or with ``validate_only`` only say whether it would work. ``timeout_ms`` milliseconds."""

    topics: list[CreatableTopic] = since("0+")
    timeout_ms: int32 = since("0+", 60000)
    validate_only: boolean = since("1+")


class CreatableTopicConfigs(Struct):
    """A setting that the topic now has, and where it comes from."""

    name: string = since("5+")
    value: string | None = since("5+")
    read_only: boolean = since("5+")
    config_source: int8 = since("5+", -1)
    is_sensitive: boolean = since("5+")


class CreatableTopicResult(Struct):
    """The topic that was made, or why not."""

    name: string = since("0+")
    topic_id: uuid = since("7+")
    error_code: int16 = since("0+")
    error_message: string | None = since("1+")
    topic_config_error_code: int16 = since("5+", tag=0)
    num_partitions: int32 = since("5+", -1)
    replication_factor: int16 = since("5+", -1)
    configs: list[CreatableTopicConfigs] | None = since("5+")


class CreateTopicsResponse(Response, answers=CreateTopicsRequest):
    """One result per topic."""

    throttle_time_ms: int32 = since("2+")
    topics: list[CreatableTopicResult] = since("0+")


class DeleteTopicState(Struct):
    """A topic by name or by id, never both."""

    name: string | None = since("6+", None)
    topic_id: uuid = since("6+")


class DeleteTopicsRequest(Request, api_key=20, versions="1-6", flexible="4+"):
    """Delete topics, from v6 by id too."""

    topics: list[DeleteTopicState] = since("6+")
    topic_names: list[string] = since("0-5")
    timeout_ms: int32 = since("0+")


class DeletableTopicResult(Struct):
    """The result for one topic."""

    name: string | None = since("0+", nullable="6+")
    topic_id: uuid = since("6+")
    error_code: int16 = since("0+")
    error_message: string | None = since("5+", None)


class DeleteTopicsResponse(Response, answers=DeleteTopicsRequest):
    """One result per topic."""

    throttle_time_ms: int32 = since("1+")
    responses: list[DeletableTopicResult] = since("0+")
