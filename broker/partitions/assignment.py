"""Which brokers hold a partition, when a client decides it; here it can only be this one."""

from collections.abc import Sequence

from ...protocol.errors import ErrorCode
from ..errors import ApiError


def check_assignment(broker_ids: Sequence[int], node_id: int, replication_factor: int | None = None) -> None:
    """Raises ApiError: INVALID_REPLICA_ASSIGNMENT (ReplicationControlManager.validateManualPartitionAssignment)."""
    if not broker_ids:
        raise _invalid("The manual partition assignment includes an empty replica list.")
    for broker_id in sorted(broker_ids):
        if broker_id != node_id:
            raise _invalid(
                f"The manual partition assignment includes broker {broker_id}, but no such broker is registered."
            )
    if len(set(broker_ids)) < len(broker_ids):
        raise _invalid(f"The manual partition assignment includes the broker {node_id} more than once.")
    if replication_factor is not None and len(broker_ids) != replication_factor:
        raise _invalid(
            f"The manual partition assignment includes a partition with {len(broker_ids)} replica(s), but this is"
            f" not consistent with previous partitions, which have {replication_factor} replica(s)."
        )


def _invalid(message: str) -> ApiError:
    return ApiError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)
