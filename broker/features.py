"""Feature levels (KIP-584): what this broker can be told to run at, and what it runs at."""

from typing import NamedTuple


class Feature(NamedTuple):
    """A feature, the levels that are supported, and the one that is finalized; 0 means off."""

    name: str
    min_version: int
    max_version: int
    finalized_version: int


# Kafka 4.3-IV0; and the oldest that Kafka 4 knows, 3.3-IV3. There is no metadata log here whose format this could
# choose: it tells the tools which Kafka they are dealing with.
METADATA_VERSION = Feature("metadata.version", 7, 30, 30)

# A feature is here from the change on that builds it: clients use what is finalized. Groups of the consumer protocol
# (KIP-848) need group.version 1; with transaction.version 2 each end of a transaction brings a new epoch (KIP-890).
GROUP_VERSION = Feature("group.version", 0, 1, 1)
TRANSACTION_VERSION = Feature("transaction.version", 0, 2, 2)
FEATURES = {feature.name: feature for feature in (GROUP_VERSION, METADATA_VERSION, TRANSACTION_VERSION)}
# How often a level has been changed; clients ignore features without one.
FINALIZED_EPOCH = 0
