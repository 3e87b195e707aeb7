"""The bit fields of authorized operations (KIP-430). Nobody is denied anything yet, so they are what there is."""

# Not asked for: the lowest int32.
NOT_ASKED = -(2**31)


def _bits(*operations: int) -> int:
    return sum(1 << operation for operation in operations)


# AclOperation: 3 read, 4 write, 5 create, 6 delete, 7 alter, 8 describe, 9 cluster action, 10 describe configs,
# 11 alter configs, 12 idempotent write; per resource type as in Kafka's AclEntry.supportedOperations.
TOPIC_OPERATIONS = _bits(3, 4, 5, 6, 7, 8, 10, 11)
GROUP_OPERATIONS = _bits(3, 6, 8, 10, 11)
CLUSTER_OPERATIONS = _bits(5, 7, 8, 9, 10, 11, 12)
