"""OffsetCommit and OffsetFetch: how far a group has come."""

from __future__ import annotations

from collections.abc import Sequence

from ...protocol.errors import ErrorCode
from ...protocol.messages.group_offsets import (
    OffsetCommitRequest,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)
from ..context import Context
from ..errors import ApiError
from ..groups import FetchedOffset, OffsetToCommit
from ..registry import Answer, handles

_TOPIC_IDS_SINCE = 10
_SEVERAL_GROUPS_SINCE = 8


def _commit_refused(request: OffsetCommitRequest, code: ErrorCode) -> OffsetCommitResponse:
    return OffsetCommitResponse(
        topics=[_committed(topic, [code] * len(topic.partitions)) for topic in request.topics]
    )


def _committed(topic: OffsetCommitRequestTopic, codes: list[ErrorCode]) -> OffsetCommitResponseTopic:
    return OffsetCommitResponseTopic(
        name=topic.name,
        topic_id=topic.topic_id,
        partitions=[
            OffsetCommitResponsePartition(partition_index=asked.partition_index, error_code=code)
            for asked, code in zip(topic.partitions, codes, strict=True)
        ],
    )


@handles(OffsetCommitRequest, refuse=_commit_refused)
def offset_commit(request: OffsetCommitRequest, context: Context) -> Answer:
    """Commit what names an existing partition; the others get their own errors (KafkaApis.handleOffsetCommit)."""
    broker = context.broker
    codes: list[list[ErrorCode]] = []
    offsets: list[OffsetToCommit] = []
    places: list[tuple[int, int]] = []
    for at, topic in enumerate(request.topics):
        codes.append([])
        for asked in topic.partitions:
            try:
                partition = broker.topics.partition(topic.name, topic.topic_id, asked.partition_index)
            except ApiError as error:
                codes[at].append(error.code)
                continue
            places.append((at, len(codes[at])))
            codes[at].append(ErrorCode.NONE)
            offsets.append(
                OffsetToCommit(
                    partition.topic,
                    asked.partition_index,
                    asked.committed_offset,
                    asked.committed_leader_epoch,
                    asked.committed_metadata,
                )
            )
    results = broker.groups.commit_offsets(
        request.group_id,
        request.member_id,
        request.group_instance_id,
        request.generation_id_or_member_epoch,
        offsets,
        retention_time_ms=request.retention_time_ms,
        api_version=context.api_version,
    )
    for (at, index), code in zip(places, results, strict=True):
        codes[at][index] = code
    topics = [_committed(topic, codes[at]) for at, topic in enumerate(request.topics)]
    return broker.when_committed(OffsetCommitResponse(topics=topics))


def _fetch_refused(request: OffsetFetchRequest, code: ErrorCode) -> OffsetFetchResponse:
    return OffsetFetchResponse(
        error_code=code,
        groups=[OffsetFetchResponseGroup(group_id=group.group_id, error_code=code) for group in request.groups],
    )


@handles(OffsetFetchRequest, refuse=_fetch_refused)
def offset_fetch(request: OffsetFetchRequest, context: Context) -> OffsetFetchResponse:
    """Read committed offsets; -1 where there is none."""
    if context.api_version >= _SEVERAL_GROUPS_SINCE:
        # Who asks again for all offsets of a group gets them once: a small request could ask for gigabytes.
        asked = {(group.group_id, index if group.topics else -1): group for index, group in enumerate(request.groups)}
        groups = [_fetch_group(group, request.require_stable, context) for group in asked.values()]
        return OffsetFetchResponse(groups=groups)
    wanted = (
        None
        if request.topics is None
        else [(topic.name, index) for topic in request.topics for index in topic.partition_indexes]
    )
    fetched = context.broker.groups.fetch_offsets(request.group_id, wanted, request.require_stable)
    return OffsetFetchResponse(
        topics=[
            OffsetFetchResponseTopic(
                name=name,
                partitions=[
                    OffsetFetchResponsePartition(
                        partition_index=offset.partition,
                        committed_offset=offset.offset,
                        committed_leader_epoch=offset.leader_epoch,
                        metadata=offset.metadata,
                        error_code=offset.error,
                    )
                    for offset in offsets
                ],
            )
            for name, offsets in _by_topic(fetched)
        ]
    )


def _by_topic(offsets: Sequence[FetchedOffset]) -> list[tuple[str, list[FetchedOffset]]]:
    by_topic: dict[str, list[FetchedOffset]] = {}
    for offset in offsets:
        by_topic.setdefault(offset.topic, []).append(offset)
    return list(by_topic.items())


def _fetch_group(asked: OffsetFetchRequestGroup, require_stable: bool, context: Context) -> OffsetFetchResponseGroup:
    groups, topics = context.broker.groups, context.broker.topics
    if error := groups.check_offset_fetch(asked.group_id, asked.member_id, asked.member_epoch):
        return OffsetFetchResponseGroup(group_id=asked.group_id, error_code=error)
    if asked.topics is None:
        found = [
            _fetched(OffsetFetchRequestTopics(name=name, topic_id=topic.topic_id), offsets)
            for name, offsets in _by_topic(groups.fetch_offsets(asked.group_id, None, require_stable))
            if (topic := topics.get(name)) is not None
        ]
        return OffsetFetchResponseGroup(group_id=asked.group_id, topics=found)
    found = []
    for wanted in asked.topics:
        by_id = context.api_version >= _TOPIC_IDS_SINCE
        topic = topics.with_id(wanted.topic_id) if by_id else None
        if by_id and topic is None:
            unknown = [
                FetchedOffset("", index, error=ErrorCode.UNKNOWN_TOPIC_ID) for index in wanted.partition_indexes
            ]
            found.append(_fetched(wanted, unknown))
            continue
        name = topic.name if topic is not None else wanted.name
        offsets = groups.fetch_offsets(
            asked.group_id, [(name, index) for index in wanted.partition_indexes], require_stable
        )
        found.append(_fetched(wanted, list(offsets)))
    return OffsetFetchResponseGroup(group_id=asked.group_id, topics=found)


def _fetched(topic: OffsetFetchRequestTopics, offsets: list[FetchedOffset]) -> OffsetFetchResponseTopics:
    return OffsetFetchResponseTopics(
        name=topic.name,
        topic_id=topic.topic_id,
        partitions=[
            OffsetFetchResponsePartitions(
                partition_index=offset.partition,
                committed_offset=offset.offset,
                committed_leader_epoch=offset.leader_epoch,
                metadata=offset.metadata,
                error_code=offset.error,
            )
            for offset in offsets
        ],
    )
