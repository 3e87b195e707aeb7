"""The catalog: everything a broker keeps that is not a record batch."""

from .changes import (
    Change,
    CommittedOffset,
    GroupMember,
    GroupRemoved,
    GroupStored,
    LeaderEpochsBumped,
    OffsetsCommitted,
    OffsetsRemoved,
    PartitionsAdded,
    ResourceConfigured,
    StoredGroup,
    StoredTopic,
    TopicConfigured,
    TopicCreated,
    TopicRemoved,
)
from .interface import Catalog

__all__ = [
    "Catalog",
    "Change",
    "CommittedOffset",
    "GroupMember",
    "GroupRemoved",
    "GroupStored",
    "LeaderEpochsBumped",
    "OffsetsCommitted",
    "OffsetsRemoved",
    "PartitionsAdded",
    "ResourceConfigured",
    "StoredGroup",
    "StoredTopic",
    "TopicConfigured",
    "TopicCreated",
    "TopicRemoved",
]
