"""What stands in ``__consumer_offsets``, compared with the catalog; what is missing is written there."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ...protocol.group_records import group_of
from ...protocol.records import headers
from .reading import keyed_records, slices
from .records import GroupRecord, records_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...storage.catalog import Catalog
    from ..partitions.partition import Partition
    from ..partitions.topics import Topic

# How much is looked at in one turn of the event loop: some milliseconds.
GROUP_IDS_PER_TURN, GROUPS_PER_TURN, RECORDS_PER_TURN = 1_000, 20, 500
# The value of a record whose transaction may have been aborted: it differs from all others.
_UNDECIDED = b""

# The newest value of each key, by group.
Found = dict[str, dict[bytes, bytes]]


class Copy(Protocol):
    """Where records are written (OffsetsTopic)."""

    async def catch_up(self) -> None:
        """Write committed changes over several turns of the loop, until ``flush`` has little to do."""
        ...

    def flush(self) -> None:
        """Write all that was committed so far."""
        ...

    def write(self, partition: Partition, records: Sequence[GroupRecord]) -> None: ...

    def leave_out(self, group_id: str) -> None:
        """Tell that a group does not fit into Kafka's records."""
        ...


class Comparison:
    """Brings partitions up to date. Commits go on meanwhile: each group is compared within one turn of the loop,
    after all that was committed has been written."""

    def __init__(self, catalog: Catalog, copy: Copy, topic: Topic, partition_for: Callable[[str], int]) -> None:
        self._catalog = catalog
        self._copy = copy
        self._topic = topic
        self._partition_for = partition_for
        self._group_ids: dict[int, list[str]] | None = None

    async def run(self, index: int) -> None:
        """Write what partition ``index`` lacks, and tombstones for what it should not have.

        Raises StorageError, CatalogError.
        """
        partition = self._topic.partitions[index]
        found = await self._read(partition)
        groups = dict.fromkeys((*(await self._known()).get(index, ()), *found))
        for number, group_id in enumerate(groups):
            if not number % GROUPS_PER_TURN:
                await asyncio.sleep(0)
                await self._copy.catch_up()
            self._compare(partition, group_id, found.get(group_id, {}))

    async def _known(self) -> dict[int, list[str]]:
        """Return the groups that there were at the beginning, by partition. Later ones are written anyway."""
        if self._group_ids is None:
            self._group_ids = {}
            for number, group_id in enumerate(self._catalog.group_ids()):
                self._group_ids.setdefault(self._partition_for(group_id), []).append(group_id)
                if not number % GROUP_IDS_PER_TURN:
                    await asyncio.sleep(0)
        return self._group_ids

    def _compare(self, partition: Partition, group_id: str, found: dict[bytes, bytes]) -> None:
        self._copy.flush()
        is_here = self._partition_for(group_id) == partition.index
        try:
            wanted = records_in(self._catalog, group_id) if is_here else {}
        except (ValueError, struct.error):
            self._copy.leave_out(group_id)
            return
        missing = [GroupRecord(key, value) for key, value in wanted.items() if found.get(key) != value]
        missing += [GroupRecord(key, None) for key in found if key not in wanted]
        if missing:
            self._copy.write(partition, missing)

    async def _read(self, partition: Partition) -> Found:
        found: Found = {}
        number = 0
        for batches, _, warm in slices(partition.log):
            if warm is not None:
                await asyncio.to_thread(warm)
            for position, header in headers(batches):
                for record in keyed_records(batches[position:], header):
                    number += 1
                    if not number % RECORDS_PER_TURN:
                        await asyncio.sleep(0)
                    if (group_id := group_of(record.key)) is None:
                        continue
                    if header.is_transactional:
                        found.setdefault(group_id, {})[record.key] = _UNDECIDED
                    elif record.value is not None:
                        found.setdefault(group_id, {})[record.key] = record.value
                    elif group_id in found:
                        found[group_id].pop(record.key, None)
                await asyncio.sleep(0)
        return found
