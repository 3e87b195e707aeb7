"""Quorum, features and brokers of a cluster that is one node."""

import pytest
from support.calls import as_of, both_ends, every_version, make_topic, now_ms
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.cluster import (
    AddRaftVoterRequest,
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    DescribeQuorumResponsePartitionData,
    DescribeQuorumResponseTopicData,
    FeatureUpdateKey,
    Listener,
    Node,
    PartitionData,
    RemoveRaftVoterRequest,
    ReplicaState,
    TopicData,
    UnregisterBrokerRequest,
    UpdatableFeatureResult,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from barnabas.protocol.messages.metadata import DescribeClusterRequest

QUORUM_ENDS = both_ends(DescribeQuorumRequest)
FEATURE_ENDS = both_ends(UpdateFeaturesRequest)
METADATA_LOG = "__cluster_metadata"
FINALIZED, OLDEST = 30, 7
UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE = 1, 2, 3


def quorum(*asked: tuple[str, int]) -> DescribeQuorumRequest:
    return DescribeQuorumRequest(
        topics=[
            TopicData(topic_name=name, partitions=[PartitionData(partition_index=index)]) for name, index in asked
        ]
    )


@every_version(DescribeQuorumRequest)
def test_the_quorum_is_this_broker(broker: BrokerProcess, wire: Wire, version: int) -> None:
    before = now_ms()
    response = wire.call(quorum((METADATA_LOG, 0)), version)
    found = response.topics[0].partitions[0]
    (voter,) = found.current_voters
    if version >= 1:
        assert before <= voter.last_fetch_timestamp == voter.last_caught_up_timestamp <= now_ms()
    if version >= 2:
        assert voter.replica_directory_id != bytes(16)
    partition = DescribeQuorumResponsePartitionData(
        partition_index=0,
        error_message=None,
        leader_id=1,
        leader_epoch=1,
        high_watermark=found.high_watermark,
        current_voters=[
            ReplicaState(
                replica_id=1,
                replica_directory_id=voter.replica_directory_id,
                log_end_offset=found.high_watermark,
                last_fetch_timestamp=voter.last_fetch_timestamp,
                last_caught_up_timestamp=voter.last_caught_up_timestamp,
            )
        ],
    )
    expected = DescribeQuorumResponse(
        error_message=None,
        topics=[DescribeQuorumResponseTopicData(topic_name=METADATA_LOG, partitions=[partition])],
        nodes=[Node(node_id=1, listeners=[Listener(name="PLAINTEXT", host="127.0.0.1", port=broker.port)])],
    )
    assert response == as_of(expected, version)


@QUORUM_ENDS
def test_the_offset_of_the_quorum_grows_with_every_change(wire: Wire, version: int) -> None:
    def high_watermark() -> int:
        return wire.call(quorum((METADATA_LOG, 0)), version).topics[0].partitions[0].high_watermark  # type: ignore[no-any-return]

    before = high_watermark()
    make_topic(wire)
    assert high_watermark() > before


@QUORUM_ENDS
@pytest.mark.parametrize(
    "asked",
    [[("nowhere", 0)], [(METADATA_LOG, 1)], [("", 0)], [(METADATA_LOG, 0), (METADATA_LOG, 0)], [("t", 0), ("u", 3)]],
)
def test_another_log_has_no_quorum(wire: Wire, version: int, asked: list[tuple[str, int]]) -> None:
    response = wire.call(quorum(*asked), version)
    assert response.error_code == ErrorCode.NONE
    assert [
        (topic.topic_name, partition.partition_index, partition.error_code, partition.current_voters)
        for topic in response.topics
        for partition in topic.partitions
    ] == [(name, index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, []) for name, index in asked]


# Features


def features(
    *updates: tuple[str, int], upgrade_type: int = UPGRADE, allow_downgrade: bool = False
) -> UpdateFeaturesRequest:
    return UpdateFeaturesRequest(
        timeout_ms=1000,
        feature_updates=[
            FeatureUpdateKey(
                feature=name, max_version_level=level, upgrade_type=upgrade_type, allow_downgrade=allow_downgrade
            )
            for name, level in updates
        ],
    )


@every_version(UpdateFeaturesRequest)
def test_a_feature_may_stay_at_its_level(wire: Wire, version: int) -> None:
    result = UpdatableFeatureResult(feature="metadata.version", error_message="NONE")
    expected = UpdateFeaturesResponse(error_message=None, results=[result])
    response = wire.call(features(("metadata.version", FINALIZED)), version)
    assert response == as_of(expected, version)


def assert_stays(wire: Wire, version: int, request: UpdateFeaturesRequest) -> None:
    response = wire.call(request, version)
    assert response.error_code == ErrorCode.INVALID_UPDATE_VERSION
    assert response.error_message
    assert response.results == []


@FEATURE_ENDS
@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("metadata.version", FINALIZED + 1),
        ("metadata.version", FINALIZED - 1),
        ("metadata.version", OLDEST - 1),
        ("metadata.version", 0),
        ("metadata.version", -1),
        ("no.such.feature", 1),
        ("no.such.feature", 0),
        ("", 1),
    ],
)
def test_a_feature_cannot_have_another_level(wire: Wire, version: int, name: str, level: int) -> None:
    assert_stays(wire, version, features((name, level)))


@pytest.mark.parametrize("level", [FINALIZED - 1, OLDEST, 0])
def test_a_feature_cannot_be_downgraded(wire: Wire, level: int) -> None:
    assert_stays(wire, 0, features(("metadata.version", level), allow_downgrade=True))
    for version in (1, 2):
        for upgrade_type in (SAFE_DOWNGRADE, UNSAFE_DOWNGRADE):
            assert_stays(wire, version, features(("metadata.version", level), upgrade_type=upgrade_type))


@both_ends(UpdateFeaturesRequest, since=1)
@pytest.mark.parametrize("upgrade_type", [0, 4, -1])
def test_an_unknown_type_of_upgrade_is_refused(wire: Wire, version: int, upgrade_type: int) -> None:
    assert_stays(wire, version, features(("metadata.version", FINALIZED), upgrade_type=upgrade_type))


@FEATURE_ENDS
def test_no_features_to_update_is_no_error(wire: Wire, version: int) -> None:
    assert wire.call(features(), version) == UpdateFeaturesResponse(error_message=None)


# Brokers and voters


def test_another_broker_is_not_registered(wire: Wire) -> None:
    response = wire.call(UnregisterBrokerRequest(broker_id=2), 0)
    assert response.error_code == ErrorCode.BROKER_ID_NOT_REGISTERED
    assert response.error_message == "Broker ID 2 is not currently registered"


def test_the_only_broker_stays(wire: Wire) -> None:
    response = wire.call(UnregisterBrokerRequest(broker_id=1), 0)
    assert response.error_code == ErrorCode.INVALID_REQUEST
    assert response.error_message


def cluster_id(wire: Wire) -> str:
    return wire.call(DescribeClusterRequest(), 2).cluster_id  # type: ignore[no-any-return]


@both_ends(AddRaftVoterRequest)
def test_the_quorum_takes_no_voters(wire: Wire, version: int) -> None:
    request = AddRaftVoterRequest(
        cluster_id=cluster_id(wire), timeout_ms=1000, voter_id=2, voter_directory_id=b"d" * 16
    )
    response = wire.call(request, version)
    assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert response.error_message


def test_the_quorum_loses_no_voters(wire: Wire) -> None:
    request = RemoveRaftVoterRequest(cluster_id=cluster_id(wire), voter_id=1, voter_directory_id=b"d" * 16)
    response = wire.call(request, 0)
    assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert response.error_message
