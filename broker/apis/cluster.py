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
    leaves_out="metadata.version stands at 4.3; of the others there are group.version and transaction.version",
)
async def update_features(request: UpdateFeaturesRequest, context: Context) -> UpdateFeaturesResponse:
    """Finalize other levels, all or none (FeatureControlManager). A feature that is named twice gets the last one."""
    broker = context.broker
    updates = {update.feature: update for update in request.feature_updates}
    for update in updates.values():
        fault = _fault(update, context)
        if fault:
            return UpdateFeaturesResponse(
                error_code=ErrorCode.INVALID_UPDATE_VERSION,
                error_message=f"The update failed for all features since the following feature had an error: {fault}",
            )
    if not request.validate_only:
        broker.features.finalize({name: update.max_version_level for name, update in updates.items()})
        await broker.synced()
    results = updates if context.api_version <= _RESULTS_UNTIL else ()
    return UpdateFeaturesResponse(
        error_message=None,
        results=[UpdatableFeatureResult(feature=name, error_message=ErrorCode.NONE.name) for name in results],
    )


def _fault(update: FeatureUpdateKey, context: Context) -> str:
    """Return what is wrong about an update in Kafka's words, nothing if nothing is."""
    wanted, feature = update.max_version_level, FEATURES.get(update.feature)
    upgrade_type = update.upgrade_type  # _UPGRADE in v0, whose allow_downgrade Kafka no longer heeds
    controller = f"Local controller {context.broker.node_id}"
    reason = ""
    if upgrade_type not in (_UPGRADE, _SAFE_DOWNGRADE, _UNSAFE_DOWNGRADE):
        reason = "The controller does not support the given upgrade type."
    elif wanted < 0:
        reason = "A feature version cannot be less than 0."
    elif feature is None:
        reason = f"{controller} does not support this feature."
    elif not feature.min_version <= wanted <= feature.max_version:
        reason = f"{controller} only supports versions {feature.min_version}-{feature.max_version}"
    elif wanted < context.broker.features.level(feature):
        if upgrade_type == _UPGRADE:
            reason = (
                "Can't downgrade the version of this feature without setting the upgrade type to either safe or"
                " unsafe downgrade."
            )
        elif feature is METADATA_VERSION:
            return _metadata_downgrade(context.broker.features.level(feature), wanted, upgrade_type)
    elif wanted > context.broker.features.level(feature) and upgrade_type != _UPGRADE:
        reason = "Can't downgrade to a newer version."
    return f"Invalid update version {wanted} for feature {update.feature}. {reason}" if reason else ""


def _metadata_downgrade(present: int, wanted: int, upgrade_type: int) -> str:
    if upgrade_type == _UNSAFE_DOWNGRADE:
        reason = "Unsafe metadata downgrade is not supported in this version."
    else:
        reason = "Refusing to perform the requested downgrade because it might delete metadata information."
    return f"Unsupported metadata.version downgrade from {present} to {wanted}. {reason}"


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
