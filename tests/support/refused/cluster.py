"""Calls about the cluster, its partitions and features that are refused."""

from barnabas.protocol.messages.cluster import (
    DescribeQuorumRequest,
    RemoveRaftVoterRequest,
    UnregisterBrokerRequest,
)
from barnabas.protocol.messages.list_offsets import ListOffsetsRequest, OffsetForLeaderEpochRequest
from barnabas.protocol.messages.log_dirs import AlterReplicaLogDirsRequest

from ..answers import request
from .building import NOWHERE, TOPIC, Call, delete_records, elect, feature, reassign

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
