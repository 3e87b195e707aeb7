"""Committed offsets: who may commit, fetch and delete them. They live in the catalog and nowhere else."""

from collections.abc import Callable, Sequence

from ...protocol.errors import ErrorCode
from ...storage.catalog import Catalog, CommittedOffset, OffsetsCommitted, OffsetsPrepared, OffsetsRemoved
from ...storage.clock import Clock
from ...storage.errors import CatalogError
from .config import GroupCoordinatorConfig
from .group import Group, GroupState
from .results import FetchedOffset, OffsetDeleteResult, OffsetToCommit
from .subscription import CONSUMER_PROTOCOL_TYPE

FOREVER_MS = 2**63 - 1
NO_RETENTION_TIME = -1  # OffsetCommit: "use the broker's"


class Offsets:
    """Decides about one group's offsets at a time; the groups are handed in."""

    def __init__(self, catalog: Catalog, clock: Clock, config: GroupCoordinatorConfig) -> None:
        self._catalog = catalog
        self._clock = clock
        self._config = config

    def commit(
        self, group_id: str, offsets: Sequence[OffsetToCommit], retention_time_ms: int, producer_id: int
    ) -> Sequence[ErrorCode]:
        """Store what can be stored, all of it at once; return an error for each of ``offsets``.

        ``producer_id``: -1, or whose transaction decides whether they count.
        """
        commit_ms = self._clock.now_ms()
        expire_ms = -1 if retention_time_ms == NO_RETENTION_TIME else min(commit_ms + retention_time_ms, FOREVER_MS)
        errors, accepted = [], []
        for offset in offsets:
            topic, partition, committed, leader_epoch, metadata = offset
            if metadata and self._is_too_large(metadata):
                errors.append(ErrorCode.OFFSET_METADATA_TOO_LARGE)
                continue
            errors.append(ErrorCode.NONE)
            accepted.append(
                CommittedOffset(topic, partition, committed, leader_epoch, metadata or "", commit_ms, expire_ms)
            )
        if accepted:
            try:
                if producer_id < 0:
                    self._catalog.commit(OffsetsCommitted(group_id, accepted))
                else:
                    self._catalog.commit(OffsetsPrepared(group_id, producer_id, accepted))
            except CatalogError:
                return [error or ErrorCode.COORDINATOR_NOT_AVAILABLE for error in errors]
        return errors

    def _is_too_large(self, metadata: str) -> bool:
        """Count as Kafka does, in UTF-16 units and not in bytes."""
        size_max = self._config.offset_metadata_max_bytes
        if len(metadata) * 2 <= size_max:
            return False
        return len(metadata.encode("utf-16-le", "surrogatepass")) // 2 > size_max

    def fetch(
        self, group_id: str, partitions: Sequence[tuple[str, int]] | None, require_stable: bool
    ) -> Sequence[FetchedOffset]:
        """Return what is committed for ``partitions``, or everything (None), by topic and partition."""
        if partitions is None:
            found = [_fetched(offset) for offset in self._catalog.offsets(group_id)]
        else:
            found = [
                FetchedOffset(topic, partition) if offset is None else _fetched(offset)
                for topic, partition in partitions
                for offset in (self._catalog.offset(group_id, topic, partition),)
            ]
        pending = set(self._catalog.pending_offsets(group_id)) if require_stable else ()
        return (
            [
                FetchedOffset(each.topic, each.partition, error=ErrorCode.UNSTABLE_OFFSET_COMMIT)
                if (each.topic, each.partition) in pending
                else each
                for each in found
            ]
            if pending
            else found
        )

    def delete(self, group: Group, partitions: Sequence[tuple[str, int]]) -> OffsetDeleteResult:
        """Forget offsets of topics that no member reads."""
        if group.state is GroupState.DEAD:
            return OffsetDeleteResult(ErrorCode.GROUP_ID_NOT_FOUND)
        if group.state is not GroupState.EMPTY and group.protocol_type != CONSUMER_PROTOCOL_TYPE:
            return OffsetDeleteResult(ErrorCode.NON_EMPTY_GROUP)
        return self.forget(group.group_id, partitions, group.is_subscribed_to)

    def forget(
        self, group_id: str, partitions: Sequence[tuple[str, int]], is_subscribed_to: Callable[[str], bool]
    ) -> OffsetDeleteResult:
        """Forget offsets but those of topics that somebody in the group reads."""
        errors, removed = [], []
        for topic, partition in partitions:
            if is_subscribed_to(topic):
                errors.append(ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC)
            else:
                errors.append(ErrorCode.NONE)
                removed.append((topic, partition))
        if removed:
            try:
                self._catalog.commit(OffsetsRemoved(group_id, removed))
            except CatalogError:
                return OffsetDeleteResult(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        return OffsetDeleteResult(ErrorCode.NONE, errors)


def check_commit(
    group: Group, member_id: str, group_instance_id: str | None, generation_id: int, *, transactional: bool
) -> ErrorCode:
    """Return NONE when this member may commit now; within a transaction the group's state does not matter."""
    if group.state is GroupState.DEAD:
        return ErrorCode.COORDINATOR_NOT_AVAILABLE
    if generation_id < 0 and group.state is GroupState.EMPTY:
        return ErrorCode.NONE  # a consumer that assigns its partitions itself, or an administrator
    if generation_id >= 0 or member_id or group_instance_id is not None:
        if error := group.check_member(member_id, group_instance_id):
            return error
        if generation_id != group.generation_id:
            return ErrorCode.ILLEGAL_GENERATION
    elif not transactional:
        return ErrorCode.UNKNOWN_MEMBER_ID
    if group.state is GroupState.COMPLETING_REBALANCE and not transactional:
        return ErrorCode.REBALANCE_IN_PROGRESS
    return ErrorCode.NONE


def _fetched(offset: CommittedOffset) -> FetchedOffset:
    return FetchedOffset(offset.topic, offset.partition, offset.offset, offset.leader_epoch, offset.metadata)
