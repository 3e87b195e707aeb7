"""Feature levels (KIP-584): what this broker can be told to run at, and what it runs at.

Clients learn the finalized levels from ApiVersions and speak accordingly. The broker follows a request's version: who
sends EndTxn v5 speaks version 2 of transactions, whatever level is finalized (as Kafka's TransactionVersion has it).
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..storage.catalog import Catalog, FeaturesFinalized


class Feature(NamedTuple):
    """A feature, the levels that are supported, and the one that a new cluster runs at; 0 means off."""

    name: str
    min_version: int
    max_version: int
    initial_version: int


# Kafka 4.3-IV0; and the oldest that Kafka 4 knows, 3.3-IV3. There is no metadata log here whose format this could
# choose: it tells the tools which Kafka they are dealing with.
METADATA_VERSION = Feature("metadata.version", 7, 30, 30)

# A feature is here from the change on that builds it: clients use what is finalized. Groups of the consumer protocol
# (KIP-848) need group.version 1; with transaction.version 2 each end of a transaction brings a new epoch (KIP-890).
GROUP_VERSION = Feature("group.version", 0, 1, 1)
TRANSACTION_VERSION = Feature("transaction.version", 0, 2, 2)
FEATURES = {feature.name: feature for feature in (GROUP_VERSION, METADATA_VERSION, TRANSACTION_VERSION)}


class Features:
    """The finalized levels.

    ``epoch``: how often they were changed. Clients believe the highest epoch that they have seen.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.epoch, self._levels = catalog.features()

    def level(self, feature: Feature) -> int:
        """Return the finalized level. One that a newer Barnabas left and this one does not know is cut off."""
        stored = self._levels.get(feature.name, feature.initial_version)
        return min(max(stored, feature.min_version), feature.max_version)

    def finalize(self, levels: Mapping[str, int]) -> None:
        """Run at ``levels`` from now on; they have been checked. Raises CatalogError."""
        changed = {name: level for name, level in levels.items() if level != self.level(FEATURES[name])}
        if changed:
            epoch, stored = self.epoch + 1, {**self._levels, **changed}
            self._catalog.commit(FeaturesFinalized(epoch, stored))
            self.epoch, self._levels = epoch, stored
