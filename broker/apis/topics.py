"""CreateTopics and DeleteTopics."""

from __future__ import annotations

import logging
from collections import Counter

from ...protocol.errors import ErrorCode
from ...protocol.messages.topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from ...protocol.primitives import ZERO_UUID
from ..config import ConfigError, TopicConfig, validate_topic_overrides
from ..context import Context
from ..errors import ApiError, code_for, message_for
from ..partitions.assignment import check_assignment
from ..partitions.topics import CLUSTER_METADATA_TOPIC, PARTITIONS_PER_REQUEST_MAX, UNHOSTED
from ..registry import handles

logger = logging.getLogger(__name__)

_BY_ID_SINCE = 6
_TOPIC_DELETION_DISABLED_SINCE = 3
_DEFAULT = -1


def _create_refused(request: CreateTopicsRequest, code: ErrorCode) -> CreateTopicsResponse:
    return CreateTopicsResponse(
        topics=[CreatableTopicResult(name=topic.name, error_code=code) for topic in request.topics]
    )


@handles(
    CreateTopicsRequest,
    refuse=_create_refused,
    leaves_out="one broker, so one replica; there are no policy classes",
)
async def create_topics(request: CreateTopicsRequest, context: Context) -> CreateTopicsResponse:
    """Make each topic for itself (ReplicationControlManager.createTopics)."""
    times_named = Counter(topic.name for topic in request.topics)
    results = []
    room = PARTITIONS_PER_REQUEST_MAX
    for asked in {topic.name: topic for topic in request.topics}.values():
        try:
            if times_named[asked.name] > 1:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
            count = _check(asked, context)
            room -= count
            if room < 0:
                raise ApiError(
                    ErrorCode.POLICY_VIOLATION,
                    "Excessively large number of partitions per request.",
                )
            results.append(_create(asked, count, request.validate_only, context))
        except Exception as error:
            results.append(
                CreatableTopicResult(name=asked.name, error_code=code_for(error), error_message=message_for(error))
            )
    await context.broker.synced()
    return CreateTopicsResponse(topics=results)


def _check(asked: CreatableTopic, context: Context) -> int:
    """Return how many partitions the topic gets. Raises ApiError."""
    if asked.name == CLUSTER_METADATA_TOPIC:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"Creation of internal topic {asked.name} is prohibited.")
    context.broker.topics.check_name(asked.name)
    if asked.assignments:
        return _check_assignments(asked, context.broker.node_id)
    if asked.replication_factor == 0 or asked.replication_factor < _DEFAULT:
        raise ApiError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        )
    wanted = asked.replication_factor
    if wanted == _DEFAULT:
        wanted = context.broker.config.int("default.replication.factor")
    if wanted > 1:
        raise ApiError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"Unable to replicate the partition {wanted} time(s): The target replication factor of {wanted} cannot be"
            " reached because only 1 broker(s) are registered.",
        )
    if asked.num_partitions == 0 or asked.num_partitions < _DEFAULT:
        raise ApiError(ErrorCode.INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value.")
    if asked.num_partitions == _DEFAULT:
        return context.broker.config.int("num.partitions")
    return asked.num_partitions


def _check_assignments(asked: CreatableTopic, node_id: int) -> int:
    for what, given in (("replication factor", asked.replication_factor), ("numPartitions", asked.num_partitions)):
        if given != _DEFAULT:
            raise ApiError(
                ErrorCode.INVALID_REQUEST,
                f"A manual partition assignment was specified, but {what} was not set to -1.",
            )
    indexes = [assignment.partition_index for assignment in asked.assignments]
    if sorted(indexes) != list(range(len(indexes))):
        raise ApiError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT, "partitions should be a consecutive 0-based integer sequence"
        )
    for assignment in asked.assignments:
        check_assignment(assignment.broker_ids, node_id)
    return len(indexes)


def _create(asked: CreatableTopic, count: int, validate_only: bool, context: Context) -> CreatableTopicResult:
    broker = context.broker
    configs: dict[str, str] = {}
    for given in asked.configs:
        if given.value is None:
            raise ApiError(ErrorCode.INVALID_CONFIG, f"Null value not supported for topic configs: {given.name}")
        configs[given.name] = given.value
    try:
        validate_topic_overrides(configs, broker.config)
        config = TopicConfig(configs, broker.config)
    except ConfigError as error:
        raise ApiError(ErrorCode.INVALID_CONFIG, str(error)) from None
    if validate_only:
        topic_id = broker.topics.new_id()
    else:
        topic_id = broker.topics.create(asked.name, count, configs).topic_id
        logger.info("topic %s created (partitions: %d) by %s", asked.name, count, context.client)
    return CreatableTopicResult(
        name=asked.name,
        topic_id=topic_id,
        error_message=None,
        num_partitions=count,
        replication_factor=1,
        configs=[
            CreatableTopicConfigs(
                name=entry.name,
                value=entry.value,
                read_only=entry.is_read_only,
                config_source=entry.source,
                is_sensitive=entry.is_sensitive,
            )
            for entry in sorted(config.entries(), key=lambda entry: entry.name)
        ],
    )


def _delete_refused(request: DeleteTopicsRequest, code: ErrorCode) -> DeleteTopicsResponse:
    asked = request.topics or [DeleteTopicState(name=name) for name in request.topic_names]
    return DeleteTopicsResponse(
        responses=[DeletableTopicResult(name=topic.name, topic_id=topic.topic_id, error_code=code) for topic in asked]
    )


@handles(DeleteTopicsRequest, refuse=_delete_refused)
async def delete_topics(request: DeleteTopicsRequest, context: Context) -> DeleteTopicsResponse:
    """Delete each topic for itself, by name or by id (ControllerApis.deleteTopics)."""
    broker = context.broker
    if not broker.config.bool("delete.topic.enable"):
        is_known = context.api_version >= _TOPIC_DELETION_DISABLED_SINCE
        return _delete_refused(request, ErrorCode.TOPIC_DELETION_DISABLED if is_known else ErrorCode.INVALID_REQUEST)
    by_id = context.api_version >= _BY_ID_SINCE
    asked = request.topics if by_id else [DeleteTopicState(name=name) for name in request.topic_names]
    times_named = Counter((topic.name, topic.topic_id) for topic in asked)
    results = []
    for (name, topic_id), times in times_named.items():
        result = DeletableTopicResult(name=name, topic_id=topic_id)
        try:
            if name is not None and topic_id != ZERO_UUID:
                raise ApiError(ErrorCode.INVALID_REQUEST, "You may not specify both topic name and topic id.")
            if name is None and topic_id == ZERO_UUID:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Neither topic name nor id were specified.")
            if times > 1:
                raise ApiError(ErrorCode.INVALID_REQUEST, f"Duplicate topic {'id' if name is None else 'name'}.")
            topic = broker.topics.find(name, topic_id)
            if {(topic.name, ZERO_UUID), (None, topic.topic_id)} <= times_named.keys():
                raise ApiError(
                    ErrorCode.INVALID_REQUEST, "The provided topic name maps to an ID that was already supplied."
                )
            result.name, result.topic_id = topic.name, topic.topic_id
            broker.topics.delete([topic.name])
            logger.info("topic %s deleted by %s", topic.name, context.client)
        except Exception as error:
            code = code_for(error)
            result.error_code, result.error_message = code, message_for(error) or UNHOSTED.get(code)
        results.append(result)
    await broker.synced()
    return DeleteTopicsResponse(responses=results)
