"""OffsetDelete: forget offsets that a group has committed (KIP-496)."""

from __future__ import annotations

from itertools import groupby

from ...protocol.errors import ErrorCode
from ...protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)
from ..context import Context
from ..registry import Answer, handles


@handles(OffsetDeleteRequest)
def offset_delete(request: OffsetDeleteRequest, context: Context) -> Answer:
    """Forget what exists and nobody in the group reads (KafkaApis.handleOffsetDeleteRequest)."""
    broker = context.broker
    codes: dict[tuple[str, int], ErrorCode] = {}
    for topic in request.topics:
        known = broker.topics.get(topic.name)
        for asked in topic.partitions:
            exists = known is not None and 0 <= asked.partition_index < len(known.partitions)
            code = ErrorCode.NONE if exists else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            codes[topic.name, asked.partition_index] = code
    existing = [key for key, code in codes.items() if not code]
    result = broker.groups.delete_offsets(request.group_id, existing)
    if result.error:
        return OffsetDeleteResponse(error_code=result.error)
    codes.update(zip(existing, result.partitions, strict=True))
    response = OffsetDeleteResponse(
        topics=[
            OffsetDeleteResponseTopic(
                name=name,
                partitions=[
                    OffsetDeleteResponsePartition(partition_index=key[1], error_code=codes[key]) for key in keys
                ],
            )
            for name, keys in groupby(codes, key=lambda key: key[0])
        ]
    )
    return broker.when_committed(response)
