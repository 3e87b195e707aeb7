"""Producer ids, handed out one by one from blocks that the catalog gives out once and never again."""

from collections.abc import Awaitable, Callable

from ...storage.catalog import Catalog

# As Kafka's controllers do; what a crash leaves of a block is lost, and there are 2**63 ids.
BLOCK_SIZE = 1000


class ProducerIds:
    """The producer ids of this broker. ``synced`` returns when the catalog is on the disk."""

    def __init__(self, catalog: Catalog, synced: Callable[[], Awaitable[None]]) -> None:
        self._catalog = catalog
        self._synced = synced
        self._next = self._end = 0

    async def take(self) -> int:
        """Return an id that nobody has had. Raises CatalogError."""
        while self._next == self._end:
            first = self._catalog.allocate_producer_ids(BLOCK_SIZE)
            # An id must not come again after a power failure either. Whoever asks meanwhile takes a block as well.
            await self._synced()
            self._next, self._end = first, first + BLOCK_SIZE
        taken = self._next
        self._next += 1
        return taken
