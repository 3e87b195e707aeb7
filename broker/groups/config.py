"""What an operator can set about groups."""

from dataclasses import dataclass

# A member has at least this long for its next step, whatever rebalance timeout it names: with a timeout of 0 it would
# be expelled before its SyncGroup can arrive.
STEP_MS_MIN = 1_000


@dataclass(frozen=True, slots=True)
class GroupCoordinatorConfig:
    """Kafka's settings of the same names (``group.min.session.timeout.ms`` and so on), with Kafka's defaults."""

    group_min_session_timeout_ms: int = 6_000
    group_max_session_timeout_ms: int = 1_800_000
    group_max_size: int = 2**31 - 1
    group_initial_rebalance_delay_ms: int = 3_000
    offset_metadata_max_bytes: int = 4_096
    offsets_retention_minutes: int = 7 * 24 * 60
    consumer_group_max_size: int = 2**31 - 1
    consumer_migration_policy: str = "bidirectional"
    consumer_assignors: tuple[str, ...] = ("uniform", "range")
