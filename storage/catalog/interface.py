"""What a catalog can do, whichever database it lives in."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ..sync_job import SyncJob
from .changes import (
    Change,
    CommittedOffset,
    Consequence,
    ConsumerMember,
    Partitions,
    QuotaEntity,
    ScramCredential,
    StoredConsumerGroup,
    StoredGroup,
    StoredTopic,
    StoredTransaction,
)


class Catalog(Protocol):
    """Durable state outside the log.

    Reads see every earlier ``commit``. A commit survives the death of the process at once; whether it survives
    the death of the machine is known after ``sync``.

    ``on_commit`` is called after each commit with its changes, each followed by what follows from it; it must not
    raise.
    """

    on_commit: Callable[[Sequence[Change | Consequence]], None] | None

    def commit(self, *changes: Change) -> None:
        """Make all ``changes`` or none. Raises CatalogError when the database refuses (a full disk, say)."""
        ...

    def sync(self) -> None:
        """Block until what was committed has reached the disk; may be called from any thread."""
        ...

    def sync_job(self) -> SyncJob:
        """Return ``sync`` as a job for the flusher, which also tidies up when there is much of it."""
        ...

    def checkpoint(self) -> None:
        """Tidy up what commits leave behind; may take milliseconds, may be called from any thread."""
        ...

    @property
    def is_synced(self) -> bool:
        """True when everything that was committed has reached the disk."""
        ...

    @property
    def revision(self) -> int:
        """How many commits there have been since it was opened, and one for what was there."""
        ...

    def cluster_id(self) -> str:
        """Return the id that was drawn when the catalog was made (22 characters, URL-safe base64)."""
        ...

    def skip_producer_ids(self, largest: int) -> None:
        """Never give out ids up to ``largest``: somebody has had them. Raises CatalogError."""
        ...

    def allocate_producer_ids(self, count: int) -> int:
        """Take ``count`` producer ids that were never given out and return the first of them."""
        ...

    def topics(self) -> Sequence[StoredTopic]:
        """Return all topics, by name."""
        ...

    def configs(self) -> Mapping[tuple[int, str], Mapping[str, str]]:
        """Return the settings of everything but topics, by type and name of the resource."""
        ...

    def quotas(self) -> Mapping[QuotaEntity, Mapping[str, float]]:
        """Return all quotas, by entity."""
        ...

    def scram_credentials(self) -> Sequence[ScramCredential]:
        """Return all SCRAM credentials."""
        ...

    def features(self) -> tuple[int, Mapping[str, int]]:
        """Return how often the levels of features were changed, and the levels of those that were."""
        ...

    def groups(self, group_id: str | None = None) -> Sequence[StoredGroup]:
        """Return all groups, by id, or the one with ``group_id`` if there is one."""
        ...

    def consumer_groups(self, group_id: str | None = None) -> Sequence[StoredConsumerGroup]:
        """Return all consumer groups, by id; see ``groups``."""
        ...

    def consumer_members(self, group_id: str | None = None) -> Sequence[tuple[str, ConsumerMember, Partitions]]:
        """Return all members of consumer groups, or of one: group id, member, target."""
        ...

    def group_ids(self) -> Sequence[str]:
        """Return the ids of all groups, and of what has committed offsets without being one."""
        ...

    def groups_pending(self, producer_id: int) -> Sequence[str]:
        """Return the groups for which the transaction of a producer has prepared offsets."""
        ...

    @property
    def copied_to(self) -> str:
        """Where all groups and offsets stand a second time, as the last ``note_copied_to`` said; else empty."""
        ...

    def note_copied_to(self, place: str) -> None:
        """Raises CatalogError."""
        ...

    def offsets(self, group_id: str) -> Sequence[CommittedOffset]:
        """Return the group's committed offsets, by topic and partition."""
        ...

    def offset(self, group_id: str, topic: str, partition: int) -> CommittedOffset | None:
        """Return one committed offset, or None."""
        ...

    def pending_offsets(self, group_id: str) -> Sequence[tuple[str, int]]:
        """Return the (topic, partition) pairs that transactions have prepared an offset for in this group."""
        ...

    def transactions(self) -> Sequence[StoredTransaction]:
        """Return all transactional ids."""
        ...

    def coordinator_epoch(self) -> int:
        """Return the epoch of the transaction coordinator, 0 until it is raised."""
        ...

    def groups_with_offsets(self) -> Sequence[str]:
        """Return the ids of all groups that have at least one offset, committed or prepared."""
        ...

    def refuse(self, reason: str) -> None:
        """Make nothing last any more: commits fail from now on."""
        ...

    def close(self) -> None:
        """Let go of the database; every commit is on disk then."""
        ...
