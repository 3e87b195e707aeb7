"""The tools that look at the cluster and its one broker: what is there, and what a cluster without security refuses.

Left out, for it is the Raft quorum's own business: offsets, epochs and ids in kafka-metadata-quorum, and in
kafka-features all but metadata.version. Of kafka-acls and kafka-delegation-tokens: the refusal.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.apache_kafka import ApacheKafka
from support.kafka_tools import Printed, Tools
from support.process import BrokerProcess

KAFKA_4_3 = {
    "Produce(0)": "0 to 13",
    "Fetch(1)": "4 to 18",
    "ListOffsets(2)": "1 to 11",
    "Metadata(3)": "0 to 13",
    "OffsetCommit(8)": "2 to 10",
    "OffsetFetch(9)": "1 to 10",
    "FindCoordinator(10)": "0 to 6",
    "JoinGroup(11)": "0 to 9",
    "Heartbeat(12)": "0 to 4",
    "LeaveGroup(13)": "0 to 5",
    "SyncGroup(14)": "0 to 5",
    "DescribeGroups(15)": "0 to 6",
    "ListGroups(16)": "0 to 5",
    "ApiVersions(18)": "0 to 4",
    "CreateTopics(19)": "2 to 7",
    "DeleteTopics(20)": "1 to 6",
    "DeleteRecords(21)": "0 to 2",
    "InitProducerId(22)": "0 to 5",
    "OffsetForLeaderEpoch(23)": "2 to 4",
    "DescribeConfigs(32)": "1 to 4",
    "AlterConfigs(33)": "0 to 2",
    "DescribeLogDirs(35)": "1 to 5",
    "CreatePartitions(37)": "0 to 3",
    "DeleteGroups(42)": "0 to 2",
    "ElectLeaders(43)": "0 to 2",
    "IncrementalAlterConfigs(44)": "0 to 1",
    "AlterPartitionReassignments(45)": "0 to 1",
    "ListPartitionReassignments(46)": "0",
    "OffsetDelete(47)": "0",
    "DescribeClientQuotas(48)": "0 to 1",
    "AlterClientQuotas(49)": "0 to 1",
    "DescribeQuorum(55)": "0 to 2",
    "UpdateFeatures(57)": "0 to 2",
    "DescribeCluster(60)": "0 to 2",
    "DescribeProducers(61)": "0",
    "ListConfigResources(74)": "0 to 1",
    "DescribeTopicPartitions(75)": "0",
}


def refusal(printed: Printed) -> str:
    """The first line of a tool that failed."""
    assert printed.status == 1
    return (printed.lines + printed.errors)[0]


@pytest.fixture
def write(tmp_path: Path) -> "Writer":
    return Writer(tmp_path)


class Writer:
    """Writes the JSON files that some tools read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, **content: object) -> Path:
        file = self._folder / "input.json"
        file.write_text(json.dumps({"version": 1, **content}))
        return file


def log_dir(server: BrokerProcess | ApacheKafka) -> str:
    return str(server.data_dir)


def described_log_dirs(printed: Printed) -> Any:
    assert printed.lines[:2] == [
        "Querying brokers for log directories information",
        "Received log directory information from brokers 1",
    ]
    return json.loads(printed.lines[2])


def test_the_size_of_each_partition_is_told(run: Tools, server: BrokerProcess | ApacheKafka, records: str) -> None:
    described = described_log_dirs(run(f"kafka-log-dirs --describe --topic-list {records}"))

    (broker,) = described["brokers"]
    (folder,) = broker["logDirs"]
    assert (broker["broker"], folder["logDir"], folder["error"]) == (1, log_dir(server), None)
    assert sorted(folder["partitions"], key=lambda partition: str(partition["partition"])) == [
        {"partition": f"{records}-0", "size": 3 * 69, "offsetLag": 0, "isFuture": False},
        {"partition": f"{records}-1", "size": 69, "offsetLag": 0, "isFuture": False},
    ]


def test_an_unknown_topic_has_no_size(run: Tools, server: BrokerProcess | ApacheKafka) -> None:
    assert described_log_dirs(run("kafka-log-dirs --describe --topic-list nosuch")) == {
        "version": 1,
        "brokers": [{"broker": 1, "logDirs": [{"partitions": [], "error": None, "logDir": log_dir(server)}]}],
    }


def test_the_log_dirs_of_an_unknown_broker_are_refused(run: Tools) -> None:
    assert refusal(run("kafka-log-dirs --describe --broker-list 1,7")) == (
        "ERROR: The given brokers do not exist from --broker-list: 7. Current existent brokers: 1"
    )


def test_the_versions_of_each_api_are_those_of_kafka(run: Tools) -> None:
    """Of the APIs that stand in docs/compatibility.md; SASL, ACLs and other groups come later."""
    printed = run("kafka-broker-api-versions")

    assert printed.lines[0] == "BOOTSTRAP (id: 1 rack: null isFenced: false) -> ("
    found = re.findall(r"^(\w+\(\d+\)): ([\d to]+?) \[usable", "\n".join(printed.lines), re.MULTILINE)
    assert {api: versions for api, versions in found if api in KAFKA_4_3} == KAFKA_4_3


def test_the_cluster_has_an_id_and_one_broker(run: Tools) -> None:
    assert re.fullmatch(r"Cluster ID: [\w-]{22}", "\n".join(run("kafka-cluster cluster-id").lines))
    listed = run("kafka-cluster list-endpoints").lines
    assert listed[0] == "ID HOST PORT RACK STATE ENDPOINT_TYPE"
    assert re.fullmatch(r"1 127\.0\.0\.1 \d+ null unfenced broker", listed[1])
    assert len(listed) == 2


def test_a_broker_that_is_not_there_is_not_unregistered(run: Tools) -> None:
    answer = run("kafka-cluster unregister --id 7")

    assert answer.status == 1
    assert (
        "org.apache.kafka.common.errors.BrokerIdNotRegisteredException: Broker ID 7 is not currently registered"
    ) in answer.errors


@pytest.mark.parametrize("kind", ["preferred", "unclean"])
def test_the_leader_of_a_partition_is_its_leader_already(run: Tools, topic: str, kind: str) -> None:
    elected = run(f"kafka-leader-election --election-type {kind} --topic {topic} --partition 0")

    assert (elected.lines, elected.status) == ([f"Valid replica already elected for partitions {topic}-0"], 0)


def test_a_leader_of_all_partitions_is_elected_in_silence(run: Tools, topic: str) -> None:
    assert run("kafka-leader-election --election-type preferred --all-topic-partitions") == Printed([], [], 0)


def test_a_leader_of_an_unknown_topic_is_not_elected(run: Tools) -> None:
    elected = run("kafka-leader-election --election-type preferred --topic nosuch --partition 0")

    assert refusal(elected) == (
        "Error completing leader election (PREFERRED) for partition: nosuch-0: "
        "org.apache.kafka.common.errors.UnknownTopicOrPartitionException: No such topic as nosuch"
    )


def test_a_reassignment_is_proposed_executed_and_verified(
    run: Tools, write: Writer, server: BrokerProcess | ApacheKafka, topic: str
) -> None:
    def assignment(log_dir: str) -> dict[str, object]:
        one = {"topic": topic, "replicas": [1], "log_dirs": [log_dir]}
        return {"version": 1, "partitions": [{**one, "partition": partition} for partition in (0, 1)]}

    topics = write(topics=[{"topic": topic}])
    proposed = run(f"kafka-reassign-partitions --generate --topics-to-move-json-file {topics} --broker-list 1").lines
    assert (proposed[0], proposed[2]) == (
        "Current partition replica assignment",
        "Proposed partition reassignment configuration",
    )
    assert json.loads(proposed[1]) == assignment(log_dir(server))
    assert json.loads(proposed[3]) == assignment("any")

    file = write(**json.loads(proposed[3]))
    executed = run(f"kafka-reassign-partitions --execute --reassignment-json-file {file}")
    assert executed.lines[-1] == f"Successfully started partition reassignments for {topic}-0,{topic}-1"
    assert run(f"kafka-reassign-partitions --verify --reassignment-json-file {file}").lines == [
        "Status of partition reassignment:",
        f"Reassignment of partition {topic}-0 is completed.",
        f"Reassignment of partition {topic}-1 is completed.",
        "Clearing broker-level throttles on broker 1",
        f"Clearing topic-level throttles on topic {topic}",
    ]
    cancelled = run(f"kafka-reassign-partitions --cancel --reassignment-json-file {file}")
    assert cancelled.lines[0] == "None of the specified partition reassignments are active."
    assert run("kafka-reassign-partitions --list").lines == ["No partition reassignments found."]


def test_a_reassignment_to_an_unknown_broker_is_refused(run: Tools, write: Writer, topic: str) -> None:
    file = write(partitions=[{"topic": topic, "partition": 0, "replicas": [2]}])

    executed = run(f"kafka-reassign-partitions --execute --reassignment-json-file {file}")

    assert refusal(executed) == "Error: Unknown broker id 2"


def test_a_reassignment_of_an_unknown_topic_is_refused(run: Tools, write: Writer) -> None:
    file = write(partitions=[{"topic": "nosuch", "partition": 0, "replicas": [1]}])

    executed = run(f"kafka-reassign-partitions --execute --reassignment-json-file {file}")

    assert refusal(executed) == (
        "Error: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: Topic nosuch not found."
    )


def test_the_quorum_is_this_one_node(run: Tools) -> None:
    status = dict(line.split(": ", 1) for line in run("kafka-metadata-quorum describe --status").lines)

    assert (status["LeaderId"], status["MaxFollowerLag"], status["CurrentObservers"]) == ("1", "0", "[]")
    assert [voter["id"] for voter in json.loads(status["CurrentVoters"])] == [1]

    replication = run("kafka-metadata-quorum describe --replication").lines
    assert replication[0] == "NodeId DirectoryId LogEndOffset Lag LastFetchTimestamp LastCaughtUpTimestamp Status"
    assert re.fullmatch(r"1 \S{22} \d+ 0 \d+ \d+ Leader", replication[1])
    assert len(replication) == 2


def test_the_features_are_those_of_kafka_4_3(run: Tools) -> None:
    features = run("kafka-features describe")

    assert features.status == 0
    finalized = re.search(r"Feature: metadata\.version .* FinalizedVersionLevel: (\S+)", "\n".join(features.lines))
    assert finalized is not None
    assert finalized.group(1) == "4.3-IV0"


def test_an_unknown_feature_is_not_upgraded(run: Tools) -> None:
    assert refusal(run("kafka-features upgrade --feature nosuch=1")).startswith(
        "Could not upgrade nosuch to 1. The update failed for all features since the following feature had an error: "
        "Invalid update version 1 for feature nosuch."
    )


@pytest.mark.parametrize("action", ["--list", "--add --allow-principal User:a --operation Read --topic any"])
def test_acls_are_refused_without_an_authorizer(run: Tools, action: str) -> None:
    assert refusal(run(f"kafka-acls {action}")) == (
        "Error while executing ACL command: "
        "org.apache.kafka.common.errors.SecurityDisabledException: No Authorizer is configured on the broker"
    )


def test_delegation_tokens_are_refused_without_authentication(run: Tools, tmp_path: Path) -> None:
    empty = tmp_path / "empty.properties"
    empty.write_text("")
    answer = run(f"kafka-delegation-tokens --describe --command-config {empty}")

    assert any(
        "UnsupportedByAuthenticationException: Delegation Token requests are not allowed" in line
        for line in answer.lines + answer.errors
    )


def test_the_producers_of_a_partition_are_described(run: Tools, topic: str) -> None:
    assert run(f"kafka-console-producer --topic {topic}", input="x\n").status == 0  # idempotent by default
    described = [
        run(f"kafka-transactions describe-producers --topic {topic} --partition {partition}").lines
        for partition in (0, 1)
    ]

    head = "ProducerId ProducerEpoch LatestCoordinatorEpoch LastSequence LastTimestamp CurrentTransactionStartOffset"
    assert [lines[0] for lines in described] == [head, head]
    (producer,) = described[0][1:] + described[1][1:]
    assert re.fullmatch(r"\d+ 0 -1 0 \d{13} None", producer)
