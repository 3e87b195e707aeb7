"""Where Kafka keeps what it knows of a group."""

import pytest

from barnabas.broker.partitions.internal import partition_for


@pytest.mark.parametrize(
    ("group_id", "partition"),
    [
        # By the partitions in which Apache Kafka 4.3.1 wrote them; Java's hashes of some are negative.
        ("transactional", 0),
        ("simple", 1),
        ("modern", 1),
        ("classic", 2),
        ("classic-alive", 2),
        ("modern-deleted", 3),
        ("modern-alive", 4),
        # Java's smallest hash, -2**31, has no positive counterpart.
        ("polygenelubricants", 0),
        ("", 0),
    ],
)
def test_a_group_is_kept_in_the_partition_where_kafka_keeps_it(group_id: str, partition: int) -> None:
    assert partition_for(group_id, 5) == partition
