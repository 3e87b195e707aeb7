"""Admin calls that fail, by name: a request and its version each. ``prepare`` makes the topics and groups in them."""

import re
from typing import Any, NamedTuple

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.acls import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest
from barnabas.protocol.messages.alter_configs import (
    AlterConfigsRequest,
    IncrementalAlterConfigsRequest,
    ListConfigResourcesRequest,
)
from barnabas.protocol.messages.client_quotas import AlterClientQuotasRequest, DescribeClientQuotasRequest
from barnabas.protocol.messages.cluster import (
    DescribeQuorumRequest,
    RemoveRaftVoterRequest,
    UnregisterBrokerRequest,
    UpdateFeaturesRequest,
)
from barnabas.protocol.messages.configs import DescribeConfigsRequest
from barnabas.protocol.messages.consumer_groups import ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest
from barnabas.protocol.messages.delegation_tokens import (
    CreateDelegationTokenRequest,
    DescribeDelegationTokenRequest,
)
from barnabas.protocol.messages.delete_records import DeleteRecordsRequest
from barnabas.protocol.messages.find_coordinator import FindCoordinatorRequest
from barnabas.protocol.messages.group_admin import DeleteGroupsRequest, DescribeGroupsRequest
from barnabas.protocol.messages.group_membership import LeaveGroupRequest
from barnabas.protocol.messages.group_offsets import OffsetCommitRequest
from barnabas.protocol.messages.list_offsets import ListOffsetsRequest, OffsetForLeaderEpochRequest
from barnabas.protocol.messages.log_dirs import AlterReplicaLogDirsRequest
from barnabas.protocol.messages.offset_delete import OffsetDeleteRequest
from barnabas.protocol.messages.partitions import (
    AlterPartitionReassignmentsRequest,
    CreatePartitionsRequest,
    DescribeTopicPartitionsRequest,
    ElectLeadersRequest,
)
from barnabas.protocol.messages.producer_ids import InitProducerIdRequest
from barnabas.protocol.messages.scram_credentials import (
    AlterUserScramCredentialsRequest,
    DescribeUserScramCredentialsRequest,
)
from barnabas.protocol.messages.topics import CreateTopicsRequest, DeleteTopicsRequest
from barnabas.protocol.messages.transaction_admin import DescribeProducersRequest, DescribeTransactionsRequest
from barnabas.protocol.schema import Request

from .answers import refusals, request
from .calls import (
    APPEND,
    BROKER,
    BROKER_LOGGER,
    CLIENT_METRICS,
    DELETE,
    GROUP,
    SET,
    SUBTRACT,
    commit_request,
    make_topic,
    wait_until,
)
from .calls import TOPIC as A_TOPIC
from .wire import Wire

TOPIC, DOTTED, NOWHERE = "refused-calls", "refused.calls.dotted", "refused-nowhere"
PARTITIONS = 3
EMPTY_GROUP = "refused-empty-group"
LONG = "x" * 250
PATIENCE_MS = 10_000


class Call(NamedTuple):
    request: Request
    version: int


def prepare(wire: Wire) -> None:
    """Make the topics and the group that the calls name."""
    topic = make_topic(wire, PARTITIONS, TOPIC)
    make_topic(wire, 1, DOTTED)
    # Apache Kafka makes the topics of its coordinators when they are asked for, and is not at once ready then.
    coordinators = [request(FindCoordinatorRequest, key_type=kind, coordinator_keys=[EMPTY_GROUP]) for kind in (0, 1)]
    wait_until(lambda: not any(map(refusals, (wire.call(asked, 6) for asked in coordinators))))
    wait_until(lambda: not refusals(wire.call(commit_request(EMPTY_GROUP, topic, (0, 0)), 10)))
    begun = request(InitProducerIdRequest, transactional_id="refused-calls", transaction_timeout_ms=60_000)
    wait_until(lambda: not refusals(wire.call(begun, 5)))


def create(name: str, partitions: int = -1, factor: int = -1, **others: Any) -> Call:
    topic = {"name": name, "num_partitions": partitions, "replication_factor": factor}
    others["configs"] = [{"name": key, "value": value} for key, value in others.pop("configs", {}).items()]
    return Call(request(CreateTopicsRequest, topics=[topic | others], validate_only=True), 7)


def assigned(*brokers: list[int], first: int = 0) -> list[dict[str, Any]]:
    return [{"partition_index": index, "broker_ids": ids} for index, ids in enumerate(brokers, first)]


def delete(*topics: dict[str, Any]) -> Call:
    return Call(request(DeleteTopicsRequest, topics=list(topics), timeout_ms=PATIENCE_MS), 6)


def grow(name: str, count: int, assignments: list[list[int]] | None = None) -> Call:
    brokers = None if assignments is None else [{"broker_ids": ids} for ids in assignments]
    topics = [{"name": name, "count": count, "assignments": brokers}]
    return Call(request(CreatePartitionsRequest, topics=topics, timeout_ms=PATIENCE_MS, validate_only=True), 3)


def alter(kind: int, name: str, *steps: tuple[str, int, str | None], times: int = 1) -> Call:
    configs = [{"name": setting, "config_operation": how, "value": value} for setting, how, value in steps]
    resource = {"resource_type": kind, "resource_name": name, "configs": configs}
    return Call(request(IncrementalAlterConfigsRequest, resources=[resource] * times, validate_only=True), 1)


def replace(kind: int, name: str, **configs: str | None) -> Call:
    pairs = [{"name": setting.replace("_", "."), "value": value} for setting, value in configs.items()]
    resource = {"resource_type": kind, "resource_name": name, "configs": pairs}
    return Call(request(AlterConfigsRequest, resources=[resource], validate_only=True), 2)


def describe(kind: int, name: str) -> Call:
    resource = {"resource_type": kind, "resource_name": name, "configuration_keys": None}
    return Call(request(DescribeConfigsRequest, resources=[resource]), 4)


def elect(topic: str, partition: int, kind: int = 0) -> Call:
    asked = [{"topic": topic, "partitions": [partition]}]
    return Call(request(ElectLeadersRequest, election_type=kind, topic_partitions=asked), 2)


def reassign(topic: str, partition: int, replicas: list[int] | None) -> Call:
    asked = [{"name": topic, "partitions": [{"partition_index": partition, "replicas": replicas}]}]
    return Call(request(AlterPartitionReassignmentsRequest, topics=asked), 1)


def feature(name: str, level: int, upgrade_type: int = 1, version: int = 2) -> Call:
    update = {"feature": name, "max_version_level": level, "upgrade_type": upgrade_type}
    if version == 0:
        del update["upgrade_type"]
    return Call(request(UpdateFeaturesRequest, feature_updates=[update], validate_only=version > 0), version)


def quota(entity: dict[str, str | None], *ops: tuple[str, float]) -> Call:
    parts = [{"entity_type": kind, "entity_name": name} for kind, name in entity.items()]
    changes = [{"key": key, "value": value} for key, value in ops]
    return Call(request(AlterClientQuotasRequest, entries=[{"entity": parts, "ops": changes}], validate_only=True), 1)


def quotas_of(*components: tuple[str, int, str | None]) -> Call:
    asked = [{"entity_type": kind, "match_type": how, "match": match} for kind, how, match in components]
    return Call(request(DescribeClientQuotasRequest, components=asked), 1)


def scram(*upsertions: tuple[str, int, int], deletions: tuple[tuple[str, int], ...] = ()) -> Call:
    stored = [
        {"name": user, "mechanism": mechanism, "iterations": count, "salt": b"s", "salted_password": b"p"}
        for user, mechanism, count in upsertions
    ]
    deleted = [{"name": user, "mechanism": mechanism} for user, mechanism in deletions]
    return Call(request(AlterUserScramCredentialsRequest, upsertions=stored, deletions=deleted), 0)


def delete_records(topic: str, partition: int, offset: int) -> Call:
    asked = [{"name": topic, "partitions": [{"partition_index": partition, "offset": offset}]}]
    return Call(request(DeleteRecordsRequest, topics=asked, timeout_ms=PATIENCE_MS), 2)


def forget_offset(group: str, topic: str, partition: int) -> Call:
    asked = [{"name": topic, "partitions": [{"partition_index": partition}]}]
    return Call(request(OffsetDeleteRequest, group_id=group, topics=asked), 0)


ACL = {
    "resource_type": 2,
    "resource_name": "x",
    "principal": "User:a",
    "host": "*",
    "operation": 3,
    "permission_type": 3,
}
ACL_FILTER = {
    "resource_type_filter": 1,
    "resource_name_filter": None,
    "principal_filter": None,
    "host_filter": None,
    "operation": 1,
    "permission_type": 1,
}

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

CONFIGS = {
    "topic: unknown topic": alter(A_TOPIC, NOWHERE, ("retention.ms", SET, "1")),
    "topic: no name": alter(A_TOPIC, "", ("retention.ms", SET, "1")),
    "topic: illegal name": alter(A_TOPIC, "a b$", ("retention.ms", SET, "1")),
    "topic: unknown setting": alter(A_TOPIC, TOPIC, ("no.such", SET, "1")),
    "topic: unknown setting deleted": alter(A_TOPIC, TOPIC, ("no.such", DELETE, None)),
    "topic: no number": alter(A_TOPIC, TOPIC, ("retention.ms", SET, "abc")),
    "topic: no int": alter(A_TOPIC, TOPIC, ("segment.bytes", SET, "99999999999")),
    "topic: empty": alter(A_TOPIC, TOPIC, ("retention.ms", SET, "")),
    "topic: too small": alter(A_TOPIC, TOPIC, ("segment.bytes", SET, "10")),
    "topic: negative": alter(A_TOPIC, TOPIC, ("retention.ms", SET, "-2")),
    "topic: too large": alter(A_TOPIC, TOPIC, ("min.cleanable.dirty.ratio", SET, "1.5")),
    "topic: no boolean": alter(A_TOPIC, TOPIC, ("preallocate", SET, "yes")),
    "topic: no double": alter(A_TOPIC, TOPIC, ("min.cleanable.dirty.ratio", SET, "half")),
    "topic: unknown policy": alter(A_TOPIC, TOPIC, ("cleanup.policy", SET, "shred")),
    "topic: unknown codec": alter(A_TOPIC, TOPIC, ("compression.type", SET, "brotli")),
    "topic: gzip level": alter(A_TOPIC, TOPIC, ("compression.gzip.level", SET, "10")),
    "topic: lz4 level": alter(A_TOPIC, TOPIC, ("compression.lz4.level", SET, "0")),
    "topic: timestamp type": alter(A_TOPIC, TOPIC, ("message.timestamp.type", SET, "Never")),
    "topic: throttled replicas": alter(A_TOPIC, TOPIC, ("leader.replication.throttled.replicas", SET, "a:b")),
    "topic: remote storage": alter(A_TOPIC, TOPIC, ("remote.storage.enable", SET, "true")),
    "topic: lags": alter(A_TOPIC, TOPIC, ("min.compaction.lag.ms", SET, "9"), ("max.compaction.lag.ms", SET, "5")),
    "topic: append to a number": alter(A_TOPIC, TOPIC, ("retention.ms", APPEND, "1")),
    "topic: subtract from a number": alter(A_TOPIC, TOPIC, ("retention.ms", SUBTRACT, "1")),
    "topic: append an unknown word": alter(A_TOPIC, TOPIC, ("cleanup.policy", APPEND, "shred")),
    "topic: append to an unknown setting": alter(A_TOPIC, TOPIC, ("no.such", APPEND, "1")),
    "topic: null": alter(A_TOPIC, TOPIC, ("retention.ms", SET, None)),
    "topic: nulls": alter(A_TOPIC, TOPIC, ("retention.ms", SET, None), ("cleanup.policy", APPEND, None)),
    "topic: setting twice": alter(A_TOPIC, TOPIC, ("retention.ms", SET, "1"), ("retention.ms", SET, "2")),
    "topic: unknown operation": alter(A_TOPIC, TOPIC, ("retention.ms", 9, "1")),
    "topic: twice": alter(A_TOPIC, TOPIC, ("retention.ms", SET, "1"), times=2),
    "topic replaced: unknown setting": replace(A_TOPIC, TOPIC, no_such="1"),
    "topic replaced: null": replace(A_TOPIC, TOPIC, retention_ms=None),
    "topic replaced: no number": replace(A_TOPIC, TOPIC, retention_ms="abc"),
    "topic replaced: unknown topic": replace(A_TOPIC, NOWHERE, retention_ms="1"),
    "broker: read-only": alter(BROKER, "1", ("node.id", SET, "3")),
    "broker: two read-only": alter(BROKER, "1", ("node.id", SET, "3"), ("broker.rack", SET, "x")),
    "broker: no number": alter(BROKER, "1", ("log.retention.ms", SET, "abc")),
    "broker: no number for all": alter(BROKER, "", ("log.retention.ms", SET, "abc")),
    "broker: too small": alter(BROKER, "1", ("log.segment.bytes", SET, "10")),
    "broker: another": alter(BROKER, "7", ("log.retention.ms", SET, "1")),
    "broker: no id": alter(BROKER, "one", ("log.retention.ms", SET, "1")),
    "broker: per broker for all": alter(BROKER, "", ("sasl.jaas.config", SET, "x")),
    "broker: listeners for all": alter(BROKER, "", ("listeners", SET, "PLAINTEXT://:9092")),
    "broker: ssl without listener": alter(BROKER, "1", ("ssl.keystore.location", SET, "x")),
    "broker: threads grow": alter(BROKER, "1", ("num.io.threads", SET, "999")),
    "broker: threads shrink": alter(BROKER, "1", ("num.io.threads", SET, "1")),
    "broker: cleaner threads": alter(BROKER, "1", ("log.cleaner.threads", SET, "9")),
    "broker: min.insync.replicas": alter(BROKER, "1", ("min.insync.replicas", SET, "1")),
    "broker: min.insync.replicas removed": alter(BROKER, "", ("min.insync.replicas", DELETE, None)),
    "broker: append to a number": alter(BROKER, "1", ("log.retention.ms", APPEND, "1")),
    "broker: append to an unknown setting": alter(BROKER, "1", ("no.such", APPEND, "1")),
    "broker: subtract from a number": alter(BROKER, "1", ("log.retention.ms", SUBTRACT, "1")),
    "broker: append for a listener": alter(BROKER, "1", ("listener.name.x.sasl.enabled.mechanisms", APPEND, "PLAIN")),
    "broker: no number for a listener": alter(BROKER, "1", ("listener.name.x.max.connections", SET, "abc")),
    "broker: throttle": alter(BROKER, "1", ("leader.replication.throttled.rate", SET, "-1")),
    "broker: min.insync.replicas of none": alter(BROKER, "", ("min.insync.replicas", SET, "0")),
    "brokers replaced: min.insync.replicas left out": replace(BROKER, "", compression_type="lz4"),
    "broker: null": alter(BROKER, "1", ("log.retention.ms", SET, None)),
    "broker: max.connections": alter(BROKER, "1", ("max.connections", SET, "-1")),
    "broker: lags": alter(
        BROKER, "1", ("log.cleaner.min.compaction.lag.ms", SET, "9"), ("log.cleaner.max.compaction.lag.ms", SET, "5")
    ),
    "group: no name": alter(GROUP, "", ("consumer.session.timeout.ms", SET, "50000")),
    "group: unknown setting": alter(GROUP, "g", ("no.such", SET, "1")),
    "group: no number": alter(GROUP, "g", ("consumer.session.timeout.ms", SET, "abc")),
    "group: too small": alter(GROUP, "g", ("consumer.session.timeout.ms", SET, "1")),
    "group: too large": alter(GROUP, "g", ("consumer.session.timeout.ms", SET, "1000000")),
    "group: heartbeat": alter(GROUP, "g", ("consumer.heartbeat.interval.ms", SET, "1")),
    "group: zero": alter(GROUP, "g", ("consumer.heartbeat.interval.ms", SET, "0")),
    "group: offset reset": alter(GROUP, "g", ("share.auto.offset.reset", SET, "none")),
    "group: isolation": alter(GROUP, "g", ("share.isolation.level", SET, "none")),
    "group: standby replicas": alter(GROUP, "g", ("streams.num.standby.replicas", SET, "99")),
    "metrics: no name": alter(CLIENT_METRICS, "", ("interval.ms", SET, "1000")),
    "metrics: unknown setting": alter(CLIENT_METRICS, "m", ("no.such", SET, "1")),
    "metrics: short": alter(CLIENT_METRICS, "m", ("interval.ms", SET, "1")),
    "metrics: no number": alter(CLIENT_METRICS, "m", ("interval.ms", SET, "abc")),
    "metrics: no pattern": alter(CLIENT_METRICS, "m", ("match", SET, "client_id")),
    "metrics: unknown match": alter(CLIENT_METRICS, "m", ("match", SET, "who=x")),
    "metrics: bad regex": alter(CLIENT_METRICS, "m", ("match", SET, "client_id=(")),
    "logger: unknown": alter(BROKER_LOGGER, "1", ("no.such", SET, "INFO")),
    "logger: unknown level": alter(BROKER_LOGGER, "1", ("root", SET, "LOUD")),
    "logger: append": alter(BROKER_LOGGER, "1", ("root", APPEND, "INFO")),
    "logger: root deleted": alter(BROKER_LOGGER, "1", ("root", DELETE, None)),
    "logger: another broker": alter(BROKER_LOGGER, "7", ("root", SET, "INFO")),
    "unknown type": alter(99, "x", ("a", SET, "1")),
    "unknown type replaced": replace(99, "x", a="1"),
    "logger replaced": replace(BROKER_LOGGER, "1", root="INFO"),
    "describe: unknown topic": describe(A_TOPIC, NOWHERE),
    "describe: illegal topic": describe(A_TOPIC, "a b$"),
    "describe: no topic": describe(A_TOPIC, ""),
    "describe: another broker": describe(BROKER, "7"),
    "describe: no broker id": describe(BROKER, "one"),
    "describe: no group": describe(GROUP, ""),
    "describe: no subscription": describe(CLIENT_METRICS, ""),
    "describe: no logger": describe(BROKER_LOGGER, ""),
    "describe: logger of another": describe(BROKER_LOGGER, "7"),
    "describe: unknown type": describe(99, "x"),
    "list: unknown type": Call(request(ListConfigResourcesRequest, resource_types=[99]), 1),
}

CLUSTER = {
    "elect: not needed": elect(TOPIC, 0),
    "elect: unclean not needed": elect(TOPIC, 0, 1),
    "elect: unknown topic": elect(NOWHERE, 0),
    "elect: unknown partition": elect(TOPIC, 9),
    "elect: unknown kind": elect(TOPIC, 0, 7),
    "reassign: unknown topic": reassign(NOWHERE, 0, [1]),
    "reassign: unknown partition": reassign(TOPIC, 9, [1]),
    "reassign: unknown broker": reassign(TOPIC, 0, [7]),
    "reassign: nobody": reassign(TOPIC, 0, []),
    "reassign: twice": reassign(TOPIC, 0, [1, 1]),
    "reassign: negative": reassign(TOPIC, 0, [-1]),
    "reassign: none to cancel": reassign(TOPIC, 0, None),
    "feature: unknown": feature("no.such", 1),
    "feature: unknown type": feature("group.version", 1, 9),
    "feature: negative": feature("group.version", -1),
    "feature: beyond": feature("group.version", 9),
    "feature: downgrade without saying so": feature("group.version", 0),
    "feature: no downgrade": feature("transaction.version", 3, 2),
    "feature: metadata beyond": feature("metadata.version", 200),
    "feature: metadata below": feature("metadata.version", 1, 2),
    "feature: metadata zero": feature("metadata.version", 0, 2),
    "feature: metadata downgrade": feature("metadata.version", 7, 2),
    "feature: metadata unsafe downgrade": feature("metadata.version", 7, 3),
    "feature: metadata without saying so": feature("metadata.version", 7, 1),
    "unregister: unknown broker": Call(request(UnregisterBrokerRequest, broker_id=7), 0),
    "quorum: unknown topic": Call(
        request(DescribeQuorumRequest, topics=[{"topic_name": NOWHERE, "partitions": [{"partition_index": 0}]}]), 2
    ),
    "remove voter": Call(
        request(RemoveRaftVoterRequest, cluster_id=None, voter_id=2, voter_directory_id=b"\1" * 16), 0
    ),
    "log dirs: unknown folder": Call(
        request(
            AlterReplicaLogDirsRequest, dirs=[{"path": "/nowhere", "topics": [{"name": TOPIC, "partitions": [0]}]}]
        ),
        2,
    ),
    "delete records: unknown topic": delete_records(NOWHERE, 0, 0),
    "delete records: beyond": delete_records(TOPIC, 0, 100),
    "delete records: negative": delete_records(TOPIC, 0, -2),
    "offsets: unknown topic": Call(
        request(
            ListOffsetsRequest,
            replica_id=-1,
            topics=[{"name": NOWHERE, "partitions": [{"partition_index": 0, "timestamp": -1}]}],
        ),
        7,
    ),
    "epochs: unknown topic": Call(
        request(
            OffsetForLeaderEpochRequest,
            topics=[{"topic": NOWHERE, "partitions": [{"partition": 0, "leader_epoch": 0}]}],
        ),
        4,
    ),
}

SECURITY = {
    "acls: described": Call(request(DescribeAclsRequest, **ACL_FILTER), 3),
    "acls: created": Call(request(CreateAclsRequest, creations=[ACL]), 3),
    "acls: deleted": Call(request(DeleteAclsRequest, filters=[ACL_FILTER]), 3),
    "token: created": Call(
        request(CreateDelegationTokenRequest, owner_principal_type=None, owner_principal_name=None), 3
    ),
    "token: described": Call(request(DescribeDelegationTokenRequest, owners=None), 3),
    "scram: no user": scram(("", 1, 4096)),
    "scram: unknown mechanism": scram(("u", 0, 4096)),
    "scram: few iterations": scram(("u", 1, 1)),
    "scram: many iterations": scram(("u", 1, 100_000)),
    "scram: twice": scram(("u", 1, 4096), ("u", 2, 4096)),
    "scram: unknown mechanism, then again": scram(("u", 0, 4096), ("u", 1, 4096)),
    "scram: no user twice": scram(("", 1, 4096), ("", 1, 4096)),
    "scram: again, with an unknown mechanism": scram(("u", 1, 4096), ("u", 0, 4096)),
    "scram: unknown deleted": scram(deletions=(("u", 1),)),
    "scram: unknown deleted, then stored": scram(("u", 1, 4096), deletions=(("u", 1),)),
    "scram: unknown described": Call(request(DescribeUserScramCredentialsRequest, users=[{"name": "u"}]), 0),
    "scram: described twice": Call(request(DescribeUserScramCredentialsRequest, users=[{"name": "u"}] * 2), 0),
    "quota: unknown key": quota({"user": "u"}, ("no_such", 1.0)),
    "quota: not positive": quota({"user": "u"}, ("producer_byte_rate", 0.0)),
    "quota: fraction": quota({"user": "u"}, ("producer_byte_rate", 1.5)),
    "quota: key twice": quota({"user": "u"}, ("producer_byte_rate", 1.0), ("producer_byte_rate", 2.0)),
    "quota: entity twice": Call(
        request(
            AlterClientQuotasRequest,
            entries=[{"entity": [{"entity_type": "user", "entity_name": "u"}], "ops": []}] * 2,
        ),
        1,
    ),
    "quota: unknown entity": quota({"who": "u"}, ("producer_byte_rate", 1.0)),
    "quota: no entity": quota({}, ("producer_byte_rate", 1.0)),
    "quota: empty name": quota({"user": ""}, ("producer_byte_rate", 1.0)),
    "quota: user and address": quota({"user": "u", "ip": "127.0.0.1"}, ("connection_creation_rate", 1.0)),
    "quota: no address": quota({"ip": "not an address"}, ("connection_creation_rate", 1.0)),
    "quota: too large": quota({"ip": "127.0.0.1"}, ("connection_creation_rate", 3e9)),
    "quotas: unknown entity": quotas_of(("who", 0, "x")),
    "quotas: no entity": quotas_of(("", 0, "x")),
    "quotas: unknown match": quotas_of(("user", 9, None)),
    "quotas: null": quotas_of(("user", 0, None)),
    "quotas: default with a name": quotas_of(("user", 1, "x")),
    "quotas: any with a name": quotas_of(("user", 2, "x")),
    "quotas: twice": quotas_of(("user", 0, "x"), ("user", 0, "y")),
    "quotas: user and address": quotas_of(("user", 0, "x"), ("ip", 0, "127.0.0.1")),
}

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

CALLS = TOPICS | CONFIGS | CLUSTER | SECURITY | GROUPS

_BOUND = "the bound is told, too"
_CLUMSY = "Kafka wraps the message in that of another exception"
_SAYS_MORE = "Kafka says that the request is malformed"
# What Barnabas answers otherwise on purpose, by the name of the call, with the reason.
OURS: dict[str, tuple[str, ErrorCode, str]] = {
    "create: many replicas": (
        "no directories are cordoned here",
        ErrorCode.INVALID_REPLICATION_FACTOR,
        "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because"
        " only 1 broker(s) are registered.",
    ),
    "create: misspelt setting": (
        "the likely mistake is told, too",
        ErrorCode.INVALID_CONFIG,
        "Unknown topic config name: retention.mss; did you mean retention.ms?",
    ),
    "create: two settings wrong": (
        "every wrong setting is told, the one that Kafka tells first",
        ErrorCode.INVALID_CONFIG,
        "Unknown topic config name: no.such\n"
        "Invalid value abc for configuration retention.ms: Not a number of type LONG",
    ),
    "grow: too many": (
        "Kafka does not expect it",
        ErrorCode.POLICY_VIOLATION,
        "Excessively large number of partitions per request.",
    ),
    "topic: unknown operation": (
        "Kafka does not expect it",
        ErrorCode.INVALID_REQUEST,
        "Unknown operations type 9",
    ),
    "broker: threads grow": (
        _CLUMSY,
        ErrorCode.INVALID_REQUEST,
        "Dynamic thread count update validation failed for num.io.threads=999, value should not be greater than"
        " double the current value 8",
    ),
    "broker: threads shrink": (
        _CLUMSY,
        ErrorCode.INVALID_REQUEST,
        "Dynamic thread count update validation failed for num.io.threads=1, value should be at least half the"
        " current value 8",
    ),
    "broker: cleaner threads": (
        _CLUMSY,
        ErrorCode.INVALID_REQUEST,
        "Log cleaner threads cannot be increased to more than double the current value 1",
    ),
    "broker: lags": (
        "Kafka takes it, and then no topic can be made",
        ErrorCode.INVALID_REQUEST,
        "log.cleaner.min.compaction.lag.ms=9 (from the dynamic settings of this broker) must be at most"
        " log.cleaner.max.compaction.lag.ms (5)",
    ),
    "group: too small": (
        _BOUND,
        ErrorCode.INVALID_CONFIG,
        "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms (45000)",
    ),
    "group: too large": (
        _BOUND,
        ErrorCode.INVALID_CONFIG,
        "consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms (60000)",
    ),
    "group: heartbeat": (
        _BOUND,
        ErrorCode.INVALID_CONFIG,
        "consumer.heartbeat.interval.ms must be greater than or equal to group.consumer.min.heartbeat.interval.ms"
        " (5000)",
    ),
    "group: standby replicas": (
        _BOUND,
        ErrorCode.INVALID_CONFIG,
        "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas (2)",
    ),
    "describe: unknown type": (_SAYS_MORE, ErrorCode.INVALID_REQUEST, "Unknown resource type 99"),
    "reassign: none to cancel": (
        "Kafka leaves the text to the client",
        ErrorCode.NO_REASSIGNMENT_IN_PROGRESS,
        "No partition reassignment is in progress.",
    ),
    "remove voter": (
        "the quorum is this broker, as with kraft.version 0",
        ErrorCode.UNSUPPORTED_VERSION,
        "The quorum of this cluster is this broker, and cannot be changed.",
    ),
    "quota: key twice": (
        "Kafka complains about the entity",
        ErrorCode.INVALID_REQUEST,
        "Duplicate quota key for the entity ClientQuotaEntity(entries={user=u})",
    ),
    "heartbeat: bad regex": (
        "RE2 words it in another way than RE2/J",
        ErrorCode.INVALID_REGULAR_EXPRESSION,
        "SubscribedTopicRegex `(` is not a valid regular expression: missing ): (.",
    ),
    "coordinator: unknown kind": (
        _SAYS_MORE,
        ErrorCode.INVALID_REQUEST,
        "coordinators of type 9 are not supported",
    ),
    "coordinator: unknown kind, old": (
        _SAYS_MORE,
        ErrorCode.INVALID_REQUEST,
        "coordinators of type 9 are not supported",
    ),
}

_DIRECTORY_ID = re.compile(r"directoryId=[\w-]{22}")


def answers(wire: Wire) -> dict[str, list[list[Any]]]:
    """Return the errors of every call, as pairs of name and text."""
    return {
        name: [[refusal.code.name, _lasting(refusal.text)] for refusal in refusals(wire.call(*call))]
        for name, call in CALLS.items()
    }


def _lasting(text: str | None) -> str | None:
    """Return what is the same in each cluster."""
    return None if text is None else _DIRECTORY_ID.sub("directoryId=...", text)


def expected(of_kafka: dict[str, list[list[Any]]]) -> dict[str, list[list[Any]]]:
    """Return what Barnabas has to answer where Kafka answers ``of_kafka``."""
    ours = {name: [[code.name, text]] for name, (_, code, text) in OURS.items()}
    return {**of_kafka, **ours}
