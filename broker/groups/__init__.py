"""Groups and their committed offsets: decisions on plain values, no network, no time but the clock's."""

from ...storage.catalog import Partitions
from .classic import JoinRequest, SyncRequest
from .config import GroupCoordinatorConfig
from .consumer.deadlines import GroupTimes
from .consumer.groups import DescribedConsumerGroup
from .consumer.protocol import HeartbeatRequest, HeartbeatResult
from .coordinator import GroupCoordinator
from .results import (
    DescribedGroup,
    DescribedMember,
    FetchedOffset,
    JoinedMember,
    JoinResult,
    LeaveResult,
    LeavingMember,
    LeftMember,
    ListedGroup,
    OffsetDeleteResult,
    OffsetToCommit,
    SyncResult,
)

__all__ = [
    "DescribedConsumerGroup",
    "DescribedGroup",
    "DescribedMember",
    "FetchedOffset",
    "GroupCoordinator",
    "GroupCoordinatorConfig",
    "GroupTimes",
    "HeartbeatRequest",
    "HeartbeatResult",
    "JoinRequest",
    "JoinResult",
    "JoinedMember",
    "LeaveResult",
    "LeavingMember",
    "LeftMember",
    "ListedGroup",
    "OffsetDeleteResult",
    "OffsetToCommit",
    "Partitions",
    "SyncRequest",
    "SyncResult",
]
