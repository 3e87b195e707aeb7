"""ConsumerGroupHeartbeat and ConsumerGroupDescribe: groups whose partitions the broker assigns (KIP-848)."""

from __future__ import annotations

from collections.abc import Iterable

from ...protocol.errors import ErrorCode
from ...protocol.messages.consumer_groups import (
    Assignment,
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
    ConsumerGroupDescribeResponseAssignment,
    ConsumerGroupDescribeResponseTopicPartitions,
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    DescribedGroup,
    Member,
    TopicPartitions,
)
from ...storage.errors import CatalogError
from ..authorized import GROUP_OPERATIONS, NOT_ASKED
from ..context import Context
from ..errors import ApiError, message_for
from ..features import GROUP_VERSION
from ..groups import DescribedConsumerGroup, HeartbeatRequest, Partitions
from ..registry import Answer, handles

_PROTOCOLS = "group.coordinator.rebalance.protocols"
# Which protocol a member speaks (v1+).
_CLASSIC_MEMBER, _CONSUMER_MEMBER = 0, 1


@handles(ConsumerGroupHeartbeatRequest)
def consumer_group_heartbeat(request: ConsumerGroupHeartbeatRequest, context: Context) -> Answer:
    """Join, live or leave (GroupCoordinatorService.consumerGroupHeartbeat)."""
    if not _is_enabled(context):
        return ConsumerGroupHeartbeatResponse(error_code=ErrorCode.UNSUPPORTED_VERSION)
    try:
        result = context.broker.groups.consumer_heartbeat(_read(request, context), context.api_version)
    except ApiError as error:
        return ConsumerGroupHeartbeatResponse(error_code=error.code, error_message=message_for(error))
    except CatalogError as error:
        return ConsumerGroupHeartbeatResponse(
            error_code=ErrorCode.COORDINATOR_NOT_AVAILABLE, error_message=str(error)
        )
    assignment = None
    if result.assignment is not None:
        assignment = Assignment(
            topic_partitions=[
                TopicPartitions(topic_id=topic_id, partitions=sorted(indexes))
                for topic_id, indexes in result.assignment.items()
            ]
        )
    return context.broker.when_committed(
        ConsumerGroupHeartbeatResponse(
            member_id=result.member_id,
            member_epoch=result.member_epoch,
            heartbeat_interval_ms=result.heartbeat_interval_ms,
            assignment=assignment,
        )
    )


def _is_enabled(context: Context) -> bool:
    """Say whether clients may use the consumer protocol. Its APIs are advertised in any case, as in Kafka."""
    broker = context.broker
    return "consumer" in broker.config.list(_PROTOCOLS) and broker.features.level(GROUP_VERSION) > 0


def _read(request: ConsumerGroupHeartbeatRequest, context: Context) -> HeartbeatRequest:
    names = request.subscribed_topic_names
    return HeartbeatRequest(
        request.group_id,
        request.member_id,
        request.member_epoch,
        request.instance_id,
        request.rack_id,
        request.rebalance_timeout_ms,
        None if names is None else tuple(names),
        request.subscribed_topic_regex,
        request.server_assignor,
        _owned(request.topic_partitions),
        context.client_id or "",
        f"/{context.session.client_host}",
    )


def _owned(topics: Iterable[TopicPartitions] | None) -> Partitions | None:
    return None if topics is None else {topic.topic_id: frozenset(topic.partitions) for topic in topics}


def _describe_refused(request: ConsumerGroupDescribeRequest, code: ErrorCode) -> ConsumerGroupDescribeResponse:
    return ConsumerGroupDescribeResponse(
        groups=[DescribedGroup(group_id=group_id, error_code=code) for group_id in request.group_ids]
    )


@handles(ConsumerGroupDescribeRequest, refuse=_describe_refused)
def consumer_group_describe(request: ConsumerGroupDescribeRequest, context: Context) -> ConsumerGroupDescribeResponse:
    """Describe groups with what their members have and should have; one that is named twice is described once."""
    if not _is_enabled(context):
        return _describe_refused(request, ErrorCode.UNSUPPORTED_VERSION)
    groups = []
    for group_id in dict.fromkeys(request.group_ids):
        try:
            if not group_id:
                raise ApiError(ErrorCode.INVALID_GROUP_ID, "")
            described = _describe(context.broker.groups.describe_consumer_group(group_id), context)
            if request.include_authorized_operations:
                described.authorized_operations = GROUP_OPERATIONS
        except ApiError as error:
            described = DescribedGroup(group_id=group_id, error_code=error.code, error_message=message_for(error))
        groups.append(described)
    return ConsumerGroupDescribeResponse(groups=groups)


def _describe(group: DescribedConsumerGroup, context: Context) -> DescribedGroup:
    return DescribedGroup(
        group_id=group.group_id,
        group_state=group.state,
        group_epoch=group.epoch,
        assignment_epoch=group.assignment_epoch,
        assignor_name=group.assignor,
        members=[
            Member(
                member_id=member.member_id,
                instance_id=member.instance_id,
                rack_id=member.rack_id,
                member_epoch=member.member_epoch,
                client_id=member.client_id,
                client_host=member.client_host,
                subscribed_topic_names=list(member.topic_names),
                subscribed_topic_regex=member.regex,
                assignment=_assignment(member.assigned, context),
                target_assignment=_assignment(member.target, context),
                member_type=_CLASSIC_MEMBER if member.is_classic else _CONSUMER_MEMBER,
            )
            for member in group.members
        ],
        authorized_operations=NOT_ASKED,
    )


def _assignment(assignment: Partitions, context: Context) -> ConsumerGroupDescribeResponseAssignment:
    """Return an assignment with the names of its topics; those that were deleted meanwhile are left out."""
    return ConsumerGroupDescribeResponseAssignment(
        topic_partitions=[
            ConsumerGroupDescribeResponseTopicPartitions(
                topic_id=topic_id, topic_name=topic.name, partitions=sorted(indexes)
            )
            for topic_id, indexes in assignment.items()
            if (topic := context.broker.topics.with_id(topic_id)) is not None
        ]
    )
