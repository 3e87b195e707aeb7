"""Groups and their committed offsets: decisions on plain values, no network, no time but the clock's."""

from .classic import JoinRequest, SyncRequest
from .config import GroupCoordinatorConfig
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
    "DescribedGroup",
    "DescribedMember",
    "FetchedOffset",
    "GroupCoordinator",
    "GroupCoordinatorConfig",
    "JoinRequest",
    "JoinResult",
    "JoinedMember",
    "LeaveResult",
    "LeavingMember",
    "LeftMember",
    "ListedGroup",
    "OffsetDeleteResult",
    "OffsetToCommit",
    "SyncRequest",
    "SyncResult",
]
