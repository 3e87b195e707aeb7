"""The catalog read as a whole, and stored values to try it with."""

from typing import Any

from barnabas.storage.catalog import ConsumerMember, StoredConsumerGroup, StoredTransaction
from barnabas.storage.catalog.sqlite import SqliteCatalog

KINDS = "topics configs quotas scram consumers members groups offsets pending transactions coordinator features"
EMPTY: dict[str, Any] = {kind: {} for kind in KINDS.split()}
PARTS = {b"o" * 16: frozenset({0, 2})}
TRANSACTION = StoredTransaction(
    "t", 7, 7, -1, 2, 1, 60_000, "Ongoing", 2, frozenset({("orders", 1)}), frozenset({"g"}), 5, 6
)
CONSUMERS = StoredConsumerGroup("c", 3, 2, 2**55, {"o.*": frozenset({"orders"})}, -1)
READER = ConsumerMember(
    "r", "i", None, "client", "/::1", 9, ("orders",), "o.*", "range", 2, 1, "unrevoked", PARTS, {}, None
)


def dump(catalog: SqliteCatalog) -> dict[str, Any]:
    """Everything that can be read, in an order that does not matter."""
    group_ids = catalog.groups_with_offsets()
    return {
        "topics": {topic.name: topic for topic in catalog.topics()},
        "configs": dict(catalog.configs()),
        "quotas": dict(catalog.quotas()),
        "scram": {credential[:2]: credential for credential in catalog.scram_credentials()},
        "consumers": {group.group_id: group for group in catalog.consumer_groups()},
        "members": {
            (name, member.member_id): (member, target) for name, member, target in catalog.consumer_members()
        },
        "groups": {group.group_id: group for group in catalog.groups()},
        "pending": {each: sorted(pending) for each in group_ids if (pending := catalog.pending_offsets(each))},
        "features": dict(zip(("epoch", "levels"), catalog.features(), strict=True)) if catalog.features()[0] else {},
        "coordinator": {"epoch": epoch} if (epoch := catalog.coordinator_epoch()) else {},
        "transactions": {each.transactional_id: each for each in catalog.transactions()},
        "offsets": {each: {o[:2]: o for o in offsets} for each in group_ids if (offsets := catalog.offsets(each))},
    }
