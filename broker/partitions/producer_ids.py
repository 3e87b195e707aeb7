"""Producer ids, handed out one by one from blocks that the catalog gives out once and never again."""

from ...storage.catalog import Catalog

# As Kafka's controllers do; what a crash leaves of a block is lost, and there are 2**63 ids.
BLOCK_SIZE = 1000


class ProducerIds:
    """The producer ids of this broker."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._next = self._end = 0

    def take(self) -> int:
        """Return an id that nobody has had. Raises CatalogError."""
        if self._next == self._end:
            self._next = self._catalog.allocate_producer_ids(BLOCK_SIZE)
            # An id must not come again after a power failure either; this happens once in a thousand producers.
            self._catalog.sync()
            self._end = self._next + BLOCK_SIZE
        taken = self._next
        self._next += 1
        return taken
