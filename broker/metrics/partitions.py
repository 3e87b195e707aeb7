"""The state of topics, partitions and their logs, looked at when somebody asks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from prometheus_client import Metric

    from ..partitions.partition import Partition
    from ..partitions.topics import Topics

# So many partitions at a time are looked at, about a millisecond of work.
PARTITIONS_PER_TURN = 200
TIMEOUT_S = 10.0


class _Log(NamedTuple):
    """What is known of a log that is open."""

    topic: str
    partition: int
    size_bytes: int
    segments: int
    start_offset: int
    end_offset: int


class _State(NamedTuple):
    topics: int
    partitions: int
    offline: list[tuple[str, int]]
    logs: list[_Log]


class PartitionCollector(Collector):
    """Collects in a thread of the HTTP server's what the event loop tells it."""

    def __init__(self, topics: Topics, loop: asyncio.AbstractEventLoop) -> None:
        self._topics = topics
        self._loop = loop

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        state = asyncio.run_coroutine_threadsafe(self._look(), self._loop).result(TIMEOUT_S)
        leading = state.partitions - len(state.offline)
        for name, value, text in (
            ("kafka_server_replicamanager_partitioncount", state.partitions, "Partitions of this broker."),
            ("kafka_server_replicamanager_leadercount", leading, "Partitions that this broker serves."),
            ("kafka_server_replicamanager_offlinereplicacount", len(state.offline), _OFFLINE),
            ("kafka_server_replicamanager_underreplicatedpartitions", 0, "Partitions that have lost a replica."),
            ("kafka_controller_kafkacontroller_offlinepartitionscount", len(state.offline), _OFFLINE),
            (
                "kafka_controller_kafkacontroller_activecontrollercount",
                1,
                "Whether this node decides for the cluster.",
            ),
            ("kafka_controller_kafkacontroller_globaltopiccount", state.topics, "Topics of the cluster."),
            ("kafka_controller_kafkacontroller_globalpartitioncount", state.partitions, "Partitions of the cluster."),
        ):
            yield GaugeMetricFamily(name, text, value)
        offline = GaugeMetricFamily("barnabas_partition_offline", _OFFLINE, labels=_LABELS)
        for topic, index in state.offline:
            offline.add_metric((topic, str(index)), 1)
        yield offline
        yield from _of_logs(state.logs)

    async def _look(self) -> _State:
        """Look at all partitions and let the others have their turns."""
        offline: list[tuple[str, int]] = []
        logs: list[_Log] = []
        partitions = 0
        topics = list(self._topics)
        for topic in topics:
            for partition in list(topic.partitions):
                partitions += 1
                if not partitions % PARTITIONS_PER_TURN:
                    await asyncio.sleep(0)
                if partition.offline_reason is not None:
                    offline.append((partition.topic, partition.index))
                if partition.is_open:
                    logs.append(_log(partition))
        return _State(len(topics), partitions, offline, logs)


_LABELS = ("topic", "partition")
_OFFLINE = "Partitions whose files cannot be used until the next start."


def _log(partition: Partition) -> _Log:
    log = partition.log
    return _Log(
        partition.topic, partition.index, log.size_bytes, log.segment_count, log.log_start_offset, log.log_end_offset
    )


def _of_logs(logs: list[_Log]) -> Iterator[Metric]:
    families = [
        GaugeMetricFamily(name, text, labels=_LABELS)
        for name, text in (
            ("kafka_log_log_size", "Bytes of record batches in a log that is open."),
            ("kafka_log_log_numlogsegments", "Segments of a log that is open."),
            ("kafka_log_log_logstartoffset", "The first offset of a log that is open."),
            ("kafka_log_log_logendoffset", "The next offset of a log that is open."),
        )
    ]
    for log in logs:
        labels = (log.topic, str(log.partition))
        for family, value in zip(families, log[2:], strict=True):
            family.add_metric(labels, value)
    return iter(families)
