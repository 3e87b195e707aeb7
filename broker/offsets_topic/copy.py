"""Writes the copy: what is committed to the catalog within some milliseconds is one batch for each partition."""

from __future__ import annotations

import asyncio
import logging
import math
import struct
from collections import deque
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from ...protocol.records import Codec, UnsupportedCodec, build_keyed_batch
from ...storage.catalog import Change, Consequence, PartitionsAdded, TopicCreated, TopicRemoved
from ...storage.errors import CatalogError, StorageError
from ..partitions.internal import CONSUMER_OFFSETS, partition_for
from .comparison import Comparison
from .records import COPIED, STRING_BYTES_MAX, GroupRecord, group_id_of, records_of

if TYPE_CHECKING:
    from ..broker import Broker
    from ..partitions.partition import Partition
    from ..partitions.topics import Topic

# A batch has at most so many records and bytes of them, but for a single record that is larger.
BATCH_RECORDS_MAX, BATCH_BYTES_MAX = 1_000, 512 * 2**10
# How many changes are written in one turn of the event loop. A topic that is deleted can make a million.
CHANGES_PER_TURN = 500
# How long to wait for more before what was committed is written: a batch costs half as much as a commit.
LINGER_S = 0.01
# The same where each batch is synced: syncs hold up the acknowledgements that wait for the disk.
DURABLE_LINGER_S = 0.1
# How long to wait before the topic is tried again that could not be written, a disk being full, say.
RETRY_S = 10.0
# How often the log repeats one kind of problem, and how much of a group's id it shows.
COMPLAINT_INTERVAL_S = 300.0
SHOWN_LENGTH_MAX = 100

_partition_for = lru_cache(maxsize=10_000)(partition_for)
_NOTED = COPIED | {TopicCreated, TopicRemoved, PartitionsAdded}

logger = logging.getLogger(__name__)


class OffsetsTopic:
    """See the package. ``barnabas.offsets.topic.enable`` switches it off.

    A partition is *behind* when a change may be missing in it: after a crash, or when its log could not be written.
    Then it is compared with the catalog, and gets what is missing; commits do not wait for it.
    """

    def __init__(self, broker: Broker, loop: asyncio.AbstractEventLoop) -> None:
        self._broker = broker
        self._loop = loop
        self._catalog = broker.catalog
        self._changes: deque[Change | Consequence] = deque()
        self._topic: Topic | None = None
        self._count = 0
        self._behind: set[int] = set()
        self._catching_up: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._complained_s: dict[str, float] = {}
        self._is_closed = False
        # Counts calls of _begin. A comparison stops when this number has changed.
        self._begun = 0
        self._linger_s = DURABLE_LINGER_S if broker.acknowledge_durable else LINGER_S
        if broker.config.bool("barnabas.offsets.topic.enable"):
            self._catalog.on_commit = self._note  # before the first request

    def start(self) -> None:
        """Find out whether something may be missing; it is written then."""
        if self._catalog.on_commit is None:
            self._note_copied_to("")
            return
        topic = self._broker.topics.get(CONSUMER_OFFSETS)
        if topic is None:
            return
        data_dir = self._broker.data_dir
        has_losses = any(log.loss for (name, _), log in data_dir.logs.items() if name == CONSUMER_OFFSETS)
        if data_dir.was_clean and not has_losses and self._catalog.copied_to == _place(topic):
            self._topic, self._count = topic, topic.partition_count
        else:
            self._begin(topic)

    def close(self) -> None:
        """Write what was committed and stop."""
        self._is_closed = True
        for task in (self._catching_up, self._retry):
            if task is not None:
                task.cancel()
        if self._catalog.on_commit is not None:
            while self._changes:
                self._write_or_fall_behind()
            self._catalog.on_commit = None

    # Writing

    def _note(self, changes: Sequence[Change | Consequence]) -> None:
        """Take note of what was committed; it is written after the answers."""
        for change in changes:
            if type(change) in _NOTED:
                if not self._changes:
                    self._loop.call_later(self._linger_s, self._flush_due)
                self._changes += changes
                return

    def _flush_due(self) -> None:
        if self._is_closed:
            return
        self._write_or_fall_behind()
        if self._changes:
            self._loop.call_soon(self._flush_due)

    def _write_or_fall_behind(self) -> None:
        try:
            self._write_some()
        except Exception:
            logger.exception("cannot write %s", CONSUMER_OFFSETS)
            for index in range(self._count):
                self._fall_behind(index)

    async def catch_up(self) -> None:
        """Write in pieces, each in its own turn of the loop, until at most one piece is left."""
        while len(self._changes) > CHANGES_PER_TURN:
            self._write_some()
            await asyncio.sleep(0)

    def flush(self) -> None:
        """Write all changes that are committed and not written yet."""
        while self._changes:
            self._write_some()

    def _write_some(self) -> None:
        changes = [self._changes.popleft() for _ in range(min(CHANGES_PER_TURN, len(self._changes)))]
        topic = self._broker.topics.get(CONSUMER_OFFSETS)
        if topic is None:
            self._topic = None
            return
        if topic is not self._topic or topic.partition_count != self._count:
            self._begin(topic)  # all of it is compared, and so gets these changes too
        records: dict[int, list[GroupRecord]] = {}
        for change in changes:
            try:
                written = records_of(change)
            except (ValueError, struct.error):
                self.leave_out(group_id_of(change))
                continue
            if written is not None:
                group_id, of_group = written
                records.setdefault(_partition_for(group_id, self._count), []).extend(of_group)
        for index, of_partition in records.items():
            self.write(topic.partitions[index], of_partition)

    def write(self, partition: Partition, records: Sequence[GroupRecord]) -> None:
        """Append the records to the partition. Where that fails it is behind."""
        codec = Codec(self._broker.config.int("offsets.topic.compression.codec"))
        now_ms = self._broker.clock.now_ms()
        try:
            for batch in _in_batches(records):
                partition.append_own(build_keyed_batch(batch, now_ms, codec), now_ms)
        except (StorageError, UnsupportedCodec) as error:
            self._complain(
                "cannot write to %s-%d for now, the catalog has all: %s", CONSUMER_OFFSETS, partition.index, error
            )
            self._fall_behind(partition.index)
            return
        if partition.is_durable:
            self._broker.sync_soon(partition.log, lambda error: None if error else partition.grew(0))

    def leave_out(self, group_id: str) -> None:
        """Log that a group does not fit into Kafka's records, whose strings have an int16 as their length."""
        self._complain(
            "cannot copy group %s to %s: a name or the metadata of an offset is longer than %d bytes",
            group_id if len(group_id) <= SHOWN_LENGTH_MAX else f"{group_id[:SHOWN_LENGTH_MAX]}...",
            CONSUMER_OFFSETS,
            STRING_BYTES_MAX,
        )

    # Catching up

    def _begin(self, topic: Topic) -> None:
        """Start on a topic with unknown content: compare every partition."""
        self._topic, self._count = topic, topic.partition_count
        self._begun += 1
        self._note_copied_to("")
        self._behind = set(range(self._count))
        self._catch_up()

    def _fall_behind(self, index: int) -> None:
        if not self._behind:
            self._note_copied_to("")
        self._behind.add(index)
        if self._retry is None and not self._is_closed:
            self._retry = self._loop.call_later(RETRY_S, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._catch_up()

    def _catch_up(self) -> None:
        if self._catching_up is None and not self._is_closed:
            self._catching_up = self._loop.create_task(self._compare())
            self._catching_up.add_done_callback(self._caught_up)

    async def _compare(self) -> None:
        """Compare each partition that is behind, until none is or what is left cannot be written."""
        while (topic := self._topic) is not None and self._behind:
            begun, before = self._begun, frozenset(self._behind)
            comparison = Comparison(self._catalog, self, topic, partial(_partition_for, partition_count=self._count))
            for index in sorted(before):
                self._behind.discard(index)
                try:
                    await comparison.run(index)
                except (StorageError, CatalogError) as error:
                    self._complain("cannot compare %s-%d with the catalog: %s", CONSUMER_OFFSETS, index, error)
                    self._fall_behind(index)
                if begun != self._begun:
                    break
            if begun == self._begun and self._behind >= before:
                return  # to be tried again later
        if topic is not None:
            self._note_copied_to(_place(topic))

    def _caught_up(self, task: asyncio.Task[None]) -> None:
        self._catching_up = None
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s could not be compared with the catalog", CONSUMER_OFFSETS, exc_info=error)
            for index in range(self._count):
                self._fall_behind(index)

    def _note_copied_to(self, place: str) -> None:
        try:
            if self._catalog.copied_to != place:
                self._catalog.note_copied_to(place)
        except CatalogError as error:
            self._complain("cannot note in the catalog whether %s is complete: %s", CONSUMER_OFFSETS, error)

    def _complain(self, message: str, *details: object) -> None:
        """Log one kind of problem, of which ``message`` is the key, at most once in COMPLAINT_INTERVAL_S."""
        now_s = self._broker.clock.monotonic()
        if now_s - self._complained_s.get(message, -math.inf) >= COMPLAINT_INTERVAL_S:
            self._complained_s[message] = now_s
            logger.warning(message, *details)


def _place(topic: Topic) -> str:
    """Identify the topic that the complete copy is in: its id and its partition count."""
    return f"{topic.topic_id.hex()} {topic.partition_count}"


def _in_batches(records: Sequence[GroupRecord]) -> list[list[GroupRecord]]:
    if len(records) == 1:
        return [[*records]]
    batches: list[list[GroupRecord]] = []
    room = 0
    for record in records:
        size = len(record.key) + len(record.value or b"")
        if not batches or len(batches[-1]) == BATCH_RECORDS_MAX or size > room:
            batches.append([])
            room = BATCH_BYTES_MAX
        batches[-1].append(record)
        room -= size
    return batches
