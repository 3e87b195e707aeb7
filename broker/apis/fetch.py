"""Fetch: read record batches, waiting for them if need be. The hot path: batches go out as views of the log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...protocol.errors import ErrorCode
from ...protocol.messages.fetch import (
    AbortedTransaction,
    EpochEndOffset,
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    PartitionData,
)
from ...protocol.messages.leadership import LeaderIdAndEpoch, NodeEndpoint
from ...protocol.primitives import ZERO_UUID
from ...storage.errors import OffsetNotInLog
from ..context import Context
from ..errors import ApiError, code_for
from ..partitions.fetch_sessions import FINAL_EPOCH, INITIAL_EPOCH, FetchSession
from ..partitions.partition import READ_COMMITTED, Partition
from ..registry import Answer, handles

if TYPE_CHECKING:
    from collections.abc import Callable

_TOPIC_IDS_SINCE_VERSION = 13
_LEADER_SINCE_VERSION = 16


def _refused(request: FetchRequest, code: ErrorCode) -> FetchResponse:
    if request.topics and request.topics[0].topic_id != ZERO_UUID:
        return FetchResponse(error_code=code)
    return FetchResponse(
        error_code=code,
        responses=[
            FetchableTopicResponse(
                topic=topic.topic,
                topic_id=topic.topic_id,
                partitions=[_failed(partition.partition, code) for partition in topic.partitions],
            )
            for topic in request.topics
        ],
    )


@handles(FetchRequest, refuse=_refused)
def fetch(request: FetchRequest, context: Context) -> Answer:
    """Read from every partition that is named, in that order (KafkaApis.handleFetchRequest, DelayedFetch).

    The first batch found may exceed all limits, so that every consumer gets on. The answer waits until there are
    ``min_bytes``, but not longer than ``max_wait_ms``, and not when a partition has an error. In a session (KIP-227)
    all its partitions are read, and those of which there is news are answered.
    """
    session = None
    if request.session_epoch != FINAL_EPOCH or request.session_id:
        try:
            session = context.broker.fetch_sessions.begin(request, context.api_version >= _TOPIC_IDS_SINCE_VERSION)
        except ApiError as error:
            return FetchResponse(error_code=error.code)
    reading = _Reading(request, context, session)
    reading.read()
    wanted = min(request.min_bytes, reading.max_bytes)
    if reading.readable_bytes >= wanted or request.max_wait_ms <= 0 or reading.must_answer or not reading.watched:
        return _answer(reading) if not reading.cold else _warmed(reading)
    return _wait(reading, wanted)


def _answer(reading: _Reading) -> FetchResponse:
    """Return the response, in a session only what is new."""
    request, response, session = reading.request, reading.response, reading.session
    if session is not None:
        if session.epoch != reading.epoch:  # the client sent its request again and did not wait for this answer
            return FetchResponse(
                error_code=ErrorCode.INVALID_FETCH_SESSION_EPOCH, session_id=session.session_id, responses=[]
            )
        response.responses = session.tell(response.responses)
    elif request.session_epoch == INITIAL_EPOCH:
        uses_topic_ids = reading.context.api_version >= _TOPIC_IDS_SINCE_VERSION
        session = reading.context.broker.fetch_sessions.make(request, uses_topic_ids, response.responses)
    if session is not None:
        response.session_id = session.session_id
    return response


class _Reading:
    """One pass over the partitions of a request, and what it found."""

    def __init__(self, request: FetchRequest, context: Context, session: FetchSession | None) -> None:
        self.request = request
        self.context = context
        self.session = session
        self.epoch = session.epoch if session is not None else FINAL_EPOCH
        self._wanted = request.topics if session is None else session.wanted()
        self.max_bytes = min(request.max_bytes, context.broker.config.int("fetch.max.bytes"))
        self.is_committed = request.isolation_level == READ_COMMITTED

    def end_of(self, partition: Partition) -> int:
        """Return up to where this reader may go."""
        return partition.last_stable_offset if self.is_committed else partition.high_watermark

    @property
    def has_moved(self) -> bool:
        """True when there is something else to read than when it was read."""
        return any(partition.is_gone or self.end_of(partition) != seen for partition, seen in self.watched)

    def read(self) -> None:
        self.found_bytes = self.readable_bytes = 0
        self.must_answer = self.context.broker.is_stopping
        self.cold: list[Callable[[], None]] = []
        self.watched: list[tuple[Partition, int]] = []
        self.endpoints: list[NodeEndpoint] = []
        topics = self.context.broker.topics
        responses = []
        for topic in self._wanted:
            results = []
            for asked in topic.partitions:
                try:
                    partition = topics.partition(topic.topic, topic.topic_id, asked.partition)
                    result = self._read(partition, asked)
                except Exception as error:
                    code = code_for(error)
                    if code is ErrorCode.UNKNOWN_TOPIC_ID and self.session is not None:
                        code = self.session.code_for_lost(topic.topic_id)
                    result = _failed(asked.partition, code)
                    self.must_answer = True
                    if result.error_code == ErrorCode.FENCED_LEADER_EPOCH:
                        self._name_leader(partition, result)
                results.append(result)
            responses.append(FetchableTopicResponse(topic=topic.topic, topic_id=topic.topic_id, partitions=results))
        self.response = FetchResponse(responses=responses, node_endpoints=self.endpoints)

    def _name_leader(self, partition: Partition, result: PartitionData) -> None:
        """Spare a client that is behind the Metadata request (KIP-951)."""
        if self.context.api_version < _LEADER_SINCE_VERSION:
            return
        node_id = self.context.broker.node_id
        result.current_leader = LeaderIdAndEpoch(leader_id=node_id, leader_epoch=partition.leader_epoch)
        host, port = self.context.session.endpoint
        self.endpoints = [NodeEndpoint(node_id=node_id, host=host, port=port)]

    def _read(self, partition: Partition, asked: FetchPartition) -> PartitionData:
        partition.check_leader_epoch(asked.current_leader_epoch)
        log = partition.log
        result = PartitionData(
            partition_index=asked.partition,
            high_watermark=partition.high_watermark,
            last_stable_offset=partition.last_stable_offset,
            log_start_offset=log.log_start_offset,
            aborted_transactions=None,
            records=b"",
        )
        end_offset = self.end_of(partition)
        if self.is_committed:
            result.aborted_transactions = []
        if asked.last_fetched_epoch >= 0 and self._diverges(partition, asked, result):
            return result
        budget = min(asked.partition_max_bytes, self.max_bytes - self.found_bytes)
        found = partition.read(asked.fetch_offset, budget, not self.found_bytes, end_offset)
        result.records = found.batches
        if self.is_committed and found.batches:
            result.aborted_transactions = [
                AbortedTransaction(producer_id=aborted.producer_id, first_offset=aborted.first_offset)
                for aborted in log.aborted(asked.fetch_offset, len(found.batches))
            ]
        self.found_bytes += len(found.batches)
        self.readable_bytes += found.readable_bytes
        if found.warm is not None:
            self.cold.append(found.warm)
        self.watched.append((partition, end_offset))
        return result

    def _diverges(self, partition: Partition, asked: FetchPartition, result: PartitionData) -> bool:
        """Tell a client whose log went another way where the two parted (KIP-595)."""
        log = partition.log
        epoch, end_offset = log.epochs.end_of(asked.last_fetched_epoch, partition.leader_epoch, log.log_end_offset)
        if epoch < 0 or asked.fetch_offset < log.log_start_offset:
            raise OffsetNotInLog(f"no end is known of leader epoch {asked.last_fetched_epoch}")
        if epoch < asked.last_fetched_epoch or end_offset < asked.fetch_offset:
            result.diverging_epoch = EpochEndOffset(epoch=epoch, end_offset=end_offset)
        else:
            return False
        self.must_answer = True
        return True


def _failed(index: int, code: ErrorCode) -> PartitionData:
    return PartitionData(
        partition_index=index, error_code=code, high_watermark=-1, aborted_transactions=None, records=b""
    )


async def _warmed(reading: _Reading) -> FetchResponse:
    """Read from the disk in a thread what is not in memory, so that sending it does not hold up everybody else."""
    for warm in reading.cold:
        await asyncio.to_thread(warm)
    return _answer(reading)


async def _wait(reading: _Reading, wanted_bytes: int) -> FetchResponse:
    watched = reading.watched
    missing_bytes = wanted_bytes - reading.readable_bytes
    wait = _StableWait(missing_bytes, reading, wanted_bytes) if reading.is_committed else _Wait(missing_bytes)
    for partition, _ in watched:
        partition.watchers.add(wait)
    timer = wait.loop.call_later(reading.request.max_wait_ms / 1000, wait.end)
    try:
        if reading.has_moved:
            # It happened in the turn of the loop between the reading and now, when nobody watched.
            reading.read()
            wait.reconsider(wanted_bytes - reading.readable_bytes, reading.must_answer)
        await wait.over
    finally:
        timer.cancel()
        for partition, _ in watched:
            partition.watchers.discard(wait)
    reading.read()
    return await _warmed(reading) if reading.cold else _answer(reading)


class _Wait:
    """Waits for partitions to grow by so many bytes together, or for one of them to be gone."""

    def __init__(self, missing_bytes: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = self.loop.create_future()
        self._missing_bytes = missing_bytes

    def grew(self, size_bytes: int, is_stable: bool) -> None:
        del is_stable
        self.reconsider(self._missing_bytes - size_bytes, must_end=False)

    def gone(self) -> None:
        self.end()

    def reconsider(self, missing_bytes: int, must_end: bool) -> None:
        self._missing_bytes = missing_bytes
        if missing_bytes <= 0 or must_end:
            self.end()

    def end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


class _StableWait(_Wait):
    """Waits for what is decided: records of open transactions do not count, and then count all at once.

    As long as nothing is undecided, which for most topics is always, it counts as the others do.
    """

    def __init__(self, missing_bytes: int, reading: _Reading, wanted_bytes: int) -> None:
        super().__init__(missing_bytes)
        self._reading = reading
        self._wanted_bytes = wanted_bytes
        self._has_undecided = any(
            partition.high_watermark != stable_offset for partition, stable_offset in reading.watched
        )

    def grew(self, size_bytes: int, is_stable: bool) -> None:
        if is_stable and not self._has_undecided:
            super().grew(size_bytes, is_stable)
            return
        self._has_undecided = True
        reading = self._reading
        if not self.over.done() and reading.has_moved:
            reading.read()
            self.reconsider(self._wanted_bytes - reading.readable_bytes, reading.must_answer)
