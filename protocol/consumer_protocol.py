"""What consumers put into the opaque fields of JoinGroup and SyncGroup (the embedded protocol "consumer")."""

from .primitives import data, int32, string
from .schema import Struct, since

VERSION_MAX = 3


class TopicPartition(Struct):
    """Partitions of one topic."""

    topic: string = since("0+")
    partitions: list[int32] = since("0+")


class ConsumerProtocolSubscription(Struct):
    """A member's metadata in JoinGroup, after an int16 with its version."""

    topics: list[string] = since("0+")
    user_data: data | None = since("0+", None)
    owned_partitions: list[TopicPartition] = since("1+")
    generation_id: int32 = since("2+", -1)
    rack_id: string | None = since("3+", None)


class ConsumerProtocolAssignment(Struct):
    """A member's assignment in SyncGroup, after an int16 with its version."""

    assigned_partitions: list[TopicPartition] = since("0+")
    user_data: data | None = since("0+", None)
