"""Calls about topics and partitions that are refused."""

from barnabas.protocol.messages.partitions import (
    CreatePartitionsRequest,
    DescribeTopicPartitionsRequest,
)
from barnabas.protocol.messages.topics import CreateTopicsRequest

from ..answers import request
from .building import LONG, NOWHERE, PATIENCE_MS, TOPIC, Call, assigned, create, delete, grow

TOPICS = {
    "create: exists": create(TOPIC),
    "create: collides": create("refused_calls_dotted"),
    "create: empty name": create(""),
    "create: dot": create("."),
    "create: two dots": create(".."),
    "create: long name": create(LONG),
    "create: illegal name": create("a b$"),
    "create: cluster metadata": create("__cluster_metadata"),
    "create: no partitions": create(NOWHERE, 0),
    "create: negative partitions": create(NOWHERE, -2),
    "create: no replicas": create(NOWHERE, 1, 0),
    "create: negative replicas": create(NOWHERE, 1, -2),
    "create: many replicas": create(NOWHERE, 1, 3),
    "create: many partitions": create(NOWHERE, 10_001, 1),
    "create: twice": Call(
        request(CreateTopicsRequest, topics=[{"name": NOWHERE, "num_partitions": 1, "replication_factor": 1}] * 2), 7
    ),
    "create: assignment and count": create(NOWHERE, 1, -1, assignments=assigned([1])),
    "create: assignment and factor": create(NOWHERE, -1, 1, assignments=assigned([1])),
    "create: assignment not from 0": create(NOWHERE, assignments=assigned([1], first=1)),
    "create: assignment to nobody": create(NOWHERE, assignments=assigned([])),
    "create: assignment to another": create(NOWHERE, assignments=assigned([7])),
    "create: assignment twice to one": create(NOWHERE, assignments=assigned([1, 1])),
    "create: assignments differ": create(NOWHERE, assignments=assigned([1], [1, 1])),
    "create: unknown setting": create(NOWHERE, configs={"no.such": "1"}),
    "create: no number": create(NOWHERE, configs={"retention.ms": "abc"}),
    "create: too small": create(NOWHERE, configs={"segment.bytes": "10"}),
    "create: unknown word": create(NOWHERE, configs={"cleanup.policy": "shred"}),
    "create: misspelt setting": create(NOWHERE, configs={"retention.mss": "1"}),
    "create: null setting": create(NOWHERE, configs={"retention.ms": None}),
    "create: two settings wrong": create(NOWHERE, configs={"retention.ms": "abc", "no.such": "1"}),
    "create: lags": create(NOWHERE, configs={"min.compaction.lag.ms": "9", "max.compaction.lag.ms": "5"}),
    "delete: unknown name": delete({"name": NOWHERE}),
    "delete: unknown id": delete({"topic_id": b"\1" * 16}),
    "delete: neither": delete({}),
    "delete: both": delete({"name": TOPIC, "topic_id": b"\1" * 16}),
    "delete: twice": delete({"name": TOPIC}, {"name": TOPIC}),
    "delete: id twice": delete({"topic_id": b"\1" * 16}, {"topic_id": b"\1" * 16}),
    "delete: empty name": delete({"name": ""}),
    "delete: illegal name": delete({"name": "a b$"}),
    "grow: unknown topic": grow(NOWHERE, 4),
    "grow: same": grow(TOPIC, 3),
    "grow: fewer": grow(TOPIC, 1),
    "grow: none": grow(TOPIC, 0),
    "grow: negative": grow(TOPIC, -1),
    "grow: too many": grow(TOPIC, 20_000),
    "grow: fewer assignments": grow(TOPIC, 5, [[1]]),
    "grow: more assignments": grow(TOPIC, 4, [[1], [1]]),
    "grow: unknown broker": grow(TOPIC, 4, [[7]]),
    "grow: two replicas": grow(TOPIC, 4, [[1, 1]]),
    "grow: nobody": grow(TOPIC, 4, [[]]),
    "grow: twice": Call(
        request(
            CreatePartitionsRequest,
            topics=[{"name": TOPIC, "count": 4, "assignments": None}] * 2,
            timeout_ms=PATIENCE_MS,
        ),
        3,
    ),
    "describe partitions: unknown": Call(request(DescribeTopicPartitionsRequest, topics=[{"name": NOWHERE}]), 0),
    "describe partitions: illegal": Call(request(DescribeTopicPartitionsRequest, topics=[{"name": "a b$"}]), 0),
}
