"""Calls about groups, offsets and transactions that are refused."""

from barnabas.protocol.messages.consumer_groups import ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest
from barnabas.protocol.messages.find_coordinator import FindCoordinatorRequest
from barnabas.protocol.messages.group_admin import DeleteGroupsRequest, DescribeGroupsRequest
from barnabas.protocol.messages.group_membership import LeaveGroupRequest
from barnabas.protocol.messages.group_offsets import OffsetCommitRequest
from barnabas.protocol.messages.producer_ids import InitProducerIdRequest
from barnabas.protocol.messages.transaction_admin import DescribeProducersRequest, DescribeTransactionsRequest

from ..answers import request
from .building import EMPTY_GROUP, NOWHERE, TOPIC, Call, forget_offset

GROUPS = {
    "groups deleted: unknown": Call(request(DeleteGroupsRequest, groups_names=["refused-no-group"]), 2),
    "groups deleted: no name": Call(request(DeleteGroupsRequest, groups_names=[""]), 2),
    "groups described: unknown": Call(request(DescribeGroupsRequest, groups=["refused-no-group"]), 6),
    "consumer groups described: unknown": Call(
        request(ConsumerGroupDescribeRequest, group_ids=["refused-no-group"]), 1
    ),
    "consumer groups described: no name": Call(request(ConsumerGroupDescribeRequest, group_ids=[""]), 1),
    "consumer groups described: classic": Call(request(ConsumerGroupDescribeRequest, group_ids=[EMPTY_GROUP]), 1),
    "heartbeat: no group": Call(
        request(ConsumerGroupHeartbeatRequest, group_id="", member_id="m", topic_partitions=None), 1
    ),
    "heartbeat: no member": Call(
        request(ConsumerGroupHeartbeatRequest, group_id="refused-g", member_id="", topic_partitions=None), 1
    ),
    "heartbeat: unknown group": Call(
        request(
            ConsumerGroupHeartbeatRequest, group_id="refused-g", member_id="m", member_epoch=5, topic_partitions=None
        ),
        1,
    ),
    "heartbeat: no timeout": Call(
        request(
            ConsumerGroupHeartbeatRequest,
            group_id="refused-g",
            member_id="m",
            topic_partitions=[],
            subscribed_topic_names=["a"],
        ),
        1,
    ),
    "heartbeat: no topics": Call(
        request(
            ConsumerGroupHeartbeatRequest,
            group_id="refused-g",
            member_id="m",
            topic_partitions=[],
            rebalance_timeout_ms=1000,
        ),
        1,
    ),
    "heartbeat: owns at the start": Call(
        request(
            ConsumerGroupHeartbeatRequest,
            group_id="refused-g",
            member_id="m",
            topic_partitions=[{"topic_id": b"\1" * 16, "partitions": [0]}],
            rebalance_timeout_ms=1000,
            subscribed_topic_names=["a"],
        ),
        1,
    ),
    "heartbeat: unknown assignor": Call(
        request(
            ConsumerGroupHeartbeatRequest,
            group_id="refused-g",
            member_id="m",
            topic_partitions=[],
            rebalance_timeout_ms=1000,
            subscribed_topic_names=["a"],
            server_assignor="none",
        ),
        1,
    ),
    "heartbeat: bad regex": Call(
        request(
            ConsumerGroupHeartbeatRequest,
            group_id="refused-g",
            member_id="m",
            topic_partitions=[],
            rebalance_timeout_ms=1000,
            subscribed_topic_regex="(",
        ),
        1,
    ),
    "heartbeat: empty instance": Call(
        request(
            ConsumerGroupHeartbeatRequest,
            group_id="refused-g",
            member_id="m",
            instance_id="",
            topic_partitions=[],
            rebalance_timeout_ms=1000,
            subscribed_topic_names=["a"],
        ),
        1,
    ),
    "heartbeat: empty rack": Call(
        request(
            ConsumerGroupHeartbeatRequest,
            group_id="refused-g",
            member_id="m",
            rack_id="",
            topic_partitions=[],
            rebalance_timeout_ms=1000,
            subscribed_topic_names=["a"],
        ),
        1,
    ),
    "leave: unknown group": Call(
        request(LeaveGroupRequest, group_id="refused-no-group", members=[{"member_id": "m"}]), 5
    ),
    "offsets deleted: unknown group": forget_offset("refused-no-group", TOPIC, 0),
    "offsets deleted: unknown topic": forget_offset(EMPTY_GROUP, NOWHERE, 0),
    "offsets deleted: unknown partition": forget_offset(EMPTY_GROUP, TOPIC, 9),
    "commit: unknown topic": Call(
        request(
            OffsetCommitRequest,
            group_id=EMPTY_GROUP,
            topics=[{"name": NOWHERE, "partitions": [{"partition_index": 0, "committed_metadata": ""}]}],
        ),
        9,
    ),
    "commit: unknown member": Call(
        request(
            OffsetCommitRequest,
            group_id=EMPTY_GROUP,
            member_id="m",
            generation_id_or_member_epoch=1,
            topics=[{"name": TOPIC, "partitions": [{"partition_index": 0, "committed_metadata": ""}]}],
        ),
        9,
    ),
    "coordinator: unknown kind": Call(request(FindCoordinatorRequest, key_type=9, coordinator_keys=["x"]), 6),
    "coordinator: unknown kind, old": Call(request(FindCoordinatorRequest, key_type=9, key="x"), 3),
    "producer id: no transactional id": Call(
        request(InitProducerIdRequest, transactional_id="", transaction_timeout_ms=1000), 5
    ),
    "producer id: timeout": Call(
        request(InitProducerIdRequest, transactional_id="refused-t", transaction_timeout_ms=10**9), 5
    ),
    "transactions: unknown": Call(request(DescribeTransactionsRequest, transactional_ids=["refused-t"]), 0),
    "transactions: no name": Call(request(DescribeTransactionsRequest, transactional_ids=[""]), 0),
    "producers: unknown topic": Call(
        request(DescribeProducersRequest, topics=[{"name": NOWHERE, "partition_indexes": [0]}]), 0
    ),
    "producers: illegal topic": Call(
        request(DescribeProducersRequest, topics=[{"name": "a b$", "partition_indexes": [0]}]), 0
    ),
    "producers: unknown partition": Call(
        request(DescribeProducersRequest, topics=[{"name": TOPIC, "partition_indexes": [9]}]), 0
    ),
}
