"""The cluster's own administration: quorum, features, brokers. There is one node, which is all of it."""

from __future__ import annotations

from ...protocol.errors import ErrorCode
from ...protocol.messages.cluster import (
    AddRaftVoterRequest,
    AddRaftVoterResponse,
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    DescribeQuorumResponsePartitionData,
    DescribeQuorumResponseTopicData,
    FeatureUpdateKey,
    Listener,
    Node,
    RemoveRaftVoterRequest,
    RemoveRaftVoterResponse,
    ReplicaState,
    UnregisterBrokerRequest,
    UnregisterBrokerResponse,
    UpdatableFeatureResult,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from ..context import Context
from ..features import FEATURES, METADATA_VERSION
from ..partitions.topics import CLUSTER_METADATA_TOPIC
from ..registry import handles

_UPGRADE, _SAFE_DOWNGRADE, _UNSAFE_DOWNGRADE = 1, 2, 3
_RESULTS_UNTIL = 1


@handles(
    DescribeQuorumRequest,
    leaves_out="the quorum is this broker; there is no metadata log, its offsets count changes since the start",
)
def describe_quorum(request: DescribeQuorumRequest, context: Context) -> DescribeQuorumResponse:
    """Describe a quorum of one voter (KIP-595). Its metadata is in the catalog; offsets count what was committed."""
    broker = context.broker
    asked = [(topic.topic_name, [data.partition_index for data in topic.partitions]) for topic in request.topics]
    if asked != [(CLUSTER_METADATA_TOPIC, [0])]:
        return DescribeQuorumResponse(
            error_message=None,
            topics=[
                DescribeQuorumResponseTopicData(
                    topic_name=name,
                    partitions=[
                        DescribeQuorumResponsePartitionData(
                            partition_index=index,
                            error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                            error_message="This server does not host this topic-partition.",
                        )
                        for index in indexes
                    ],
                )
                for name, indexes in asked
            ],
        )
    now_ms = broker.clock.now_ms()
    voter = ReplicaState(
        replica_id=broker.node_id,
        replica_directory_id=broker.data_dir.directory_id,
        log_end_offset=broker.catalog.revision,
        last_fetch_timestamp=now_ms,
        last_caught_up_timestamp=now_ms,
    )
    quorum = DescribeQuorumResponsePartitionData(
        partition_index=0,
        error_message=None,
        leader_id=broker.node_id,
        leader_epoch=1,
        high_watermark=broker.catalog.revision,
        current_voters=[voter],
    )
    host, port = context.session.endpoint
    listener = Listener(name=context.session.listener, host=host, port=port)
    return DescribeQuorumResponse(
        error_message=None,
        topics=[DescribeQuorumResponseTopicData(topic_name=CLUSTER_METADATA_TOPIC, partitions=[quorum])],
        nodes=[Node(node_id=broker.node_id, listeners=[listener])],
    )


@handles(
    UpdateFeaturesRequest,
    leaves_out="metadata.version stands at 4.3, group.version at 1; neither can be lowered, and there are no others",
)
def update_features(request: UpdateFeaturesRequest, context: Context) -> UpdateFeaturesResponse:
    """Accept levels that are what they are (FeatureControlManager); none can be changed, so nothing is kept."""
    for update in request.feature_updates:
        reason = _refusal(update, context.api_version)
        if reason:
            return UpdateFeaturesResponse(
                error_code=ErrorCode.INVALID_UPDATE_VERSION,
                error_message="The update failed for all features since the following feature had an error: "
                f"Invalid update version {update.max_version_level} for feature {update.feature}. {reason}",
            )
    results = request.feature_updates if context.api_version <= _RESULTS_UNTIL else ()
    return UpdateFeaturesResponse(
        error_message=None,
        results=[UpdatableFeatureResult(feature=update.feature, error_message=None) for update in results],
    )


def _refusal(update: FeatureUpdateKey, version: int) -> str:
    """Return what is wrong about an update, nothing if it changes nothing."""
    upgrade_type = update.upgrade_type
    if version == 0:
        upgrade_type = _SAFE_DOWNGRADE if update.allow_downgrade else _UPGRADE
    wanted = update.max_version_level
    if upgrade_type not in (_UPGRADE, _SAFE_DOWNGRADE, _UNSAFE_DOWNGRADE):
        return "The controller does not support the given upgrade type."
    if wanted < 0:
        return "A feature version cannot be less than 0."
    feature = FEATURES.get(update.feature)
    if feature is None:
        return "Local controller does not support this feature."
    if wanted != 0 and not feature.min_version <= wanted <= feature.max_version:
        return f"Local controller only supports versions {feature.min_version}-{feature.max_version}"
    if wanted < feature.finalized_version:
        if upgrade_type == _UPGRADE:
            return (
                "Can't downgrade the version of this feature without setting the upgrade type to either safe or"
                " unsafe downgrade."
            )
        what = "of metadata.version" if feature is METADATA_VERSION else "of this feature"
        return f"A downgrade {what} is not supported."
    return ""


@handles(
    UnregisterBrokerRequest,
    leaves_out="this broker cannot be unregistered; it is the only one",
)
def unregister_broker(request: UnregisterBrokerRequest, context: Context) -> UnregisterBrokerResponse:
    """Refuse: other brokers there are none, and this one is in use."""
    if request.broker_id != context.broker.node_id:
        return UnregisterBrokerResponse(
            error_code=ErrorCode.BROKER_ID_NOT_REGISTERED,
            error_message=f"Broker ID {request.broker_id} is not currently registered",
        )
    return UnregisterBrokerResponse(
        error_code=ErrorCode.INVALID_REQUEST, error_message="The only broker of a cluster cannot be unregistered."
    )


_FIXED_QUORUM = "The quorum of this cluster is this broker, and cannot be changed."


@handles(
    AddRaftVoterRequest,
    leaves_out="UNSUPPORTED_VERSION, as from Kafka with kraft.version 0",
)
def add_raft_voter(request: AddRaftVoterRequest, context: Context) -> AddRaftVoterResponse:
    """Refuse as a cluster does whose kraft.version is 0 (KIP-853)."""
    del request, context
    return AddRaftVoterResponse(error_code=ErrorCode.UNSUPPORTED_VERSION, error_message=_FIXED_QUORUM)


@handles(
    RemoveRaftVoterRequest,
    leaves_out="as AddRaftVoter",
)
def remove_raft_voter(request: RemoveRaftVoterRequest, context: Context) -> RemoveRaftVoterResponse:
    """Refuse as a cluster does whose kraft.version is 0 (KIP-853)."""
    del request, context
    return RemoveRaftVoterResponse(error_code=ErrorCode.UNSUPPORTED_VERSION, error_message=_FIXED_QUORUM)
