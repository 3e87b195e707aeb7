"""How the calls that are refused are built."""

from typing import Any, NamedTuple

from barnabas.protocol.messages.alter_configs import (
    AlterConfigsRequest,
    IncrementalAlterConfigsRequest,
)
from barnabas.protocol.messages.client_quotas import AlterClientQuotasRequest, DescribeClientQuotasRequest
from barnabas.protocol.messages.cluster import (
    UpdateFeaturesRequest,
)
from barnabas.protocol.messages.configs import DescribeConfigsRequest
from barnabas.protocol.messages.delete_records import DeleteRecordsRequest
from barnabas.protocol.messages.offset_delete import OffsetDeleteRequest
from barnabas.protocol.messages.partitions import (
    AlterPartitionReassignmentsRequest,
    CreatePartitionsRequest,
    ElectLeadersRequest,
)
from barnabas.protocol.messages.scram_credentials import (
    AlterUserScramCredentialsRequest,
)
from barnabas.protocol.messages.topics import CreateTopicsRequest, DeleteTopicsRequest
from barnabas.protocol.schema import Request

from ..answers import request

TOPIC, DOTTED, NOWHERE = "refused-calls", "refused.calls.dotted", "refused-nowhere"
PARTITIONS = 3
EMPTY_GROUP = "refused-empty-group"
LONG = "x" * 250
PATIENCE_MS = 10_000


class Call(NamedTuple):
    request: Request
    version: int


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
