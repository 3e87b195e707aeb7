"""Who leads now and where: what Produce and Fetch add to NOT_LEADER_OR_FOLLOWER (KIP-951)."""

from ..primitives import int32, string
from ..schema import Struct, since


class LeaderIdAndEpoch(Struct):
    """The present leader of a partition; -1 where it is not known."""

    leader_id: int32 = since("0+", -1)
    leader_epoch: int32 = since("0+", -1)


class NodeEndpoint(Struct):
    """Where this client can reach a broker."""

    node_id: int32 = since("0+")
    host: string = since("0+")
    port: int32 = since("0+")
    rack: string | None = since("0+", None)
