"""A partition that this broker leads: what may be appended to it, and who waits for it to grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ...protocol.errors import ErrorCode
from ...protocol.records import (
    ATTRIBUTES_OFFSET,
    LOG_OVERHEAD,
    NO_TIMESTAMP,
    BatchCorrupt,
    BatchHeader,
    Codec,
    RecordsTooLarge,
    TimestampType,
    UnknownMagic,
    crc32c,
    outlines,
    read_header,
    recompress,
    set_max_timestamp,
    stamp_append_time,
)
from ...storage.errors import LogOffline, OffsetNotInLog
from ...storage.unwritten import UnwrittenLog
from ..config import TopicConfig
from ..errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ...storage.log import Appended, LogSettings, PartitionLog, Slice

_CODECS = {"uncompressed": Codec.NONE, **{codec.name.lower(): codec for codec in Codec if codec}}
FOREVER_MS = 2**63 - 1
# Kafka keeps these two for its coordinators.
INTERNAL_TOPICS = frozenset({"__consumer_offsets", "__transaction_state"})
# DeleteRecords: all there is.
HIGH_WATERMARK = -1
# The isolation level of a reader that must not see what is undecided (KIP-98); the other one is 0.
READ_COMMITTED = 1
# How far a batch may expand, and how many records it may have, where it has to be opened: that happens in the event
# loop and takes a quarter of a second. Honest batches of the default size expand to a few MiB.
OPENED_BYTES_MAX = 32 * 2**20
OPENED_RECORDS_MAX = 250_000


class RecordsRefused(ApiError):
    """The log's rules refuse a batch. ``records``: which of its records break them, (index, reason) each."""

    def __init__(self, code: ErrorCode, message: str, records: Sequence[tuple[int, str]] = ()) -> None:
        super().__init__(code, message)
        self.records = records


class TransactionGuard(Protocol):
    """Says whether a producer may write within a transaction."""

    def check(self, topic: str, index: int, header: BatchHeader, is_known: bool) -> None:
        """Raises ApiError. ``is_known``: whether the partition remembers the producer."""
        ...


class GrowthWatcher(Protocol):
    """Somebody who wants to know when a partition grows, or is gone."""

    def grew(self, size_bytes: int, is_stable: bool) -> None:
        """``is_stable``: no transaction is open in the partition."""
        ...

    def gone(self) -> None: ...


class Partition:
    """One partition. Its log is opened when it is first needed, and made when it is first written to.

    ``unwritten``: returns the folder of a partition that was never written to, None when there may be records.
    ``is_durable``: see TopicConfig.
    """

    __slots__ = (
        "_log",
        "_offline",
        "_open",
        "_readable_before",
        "_unwritten",
        "_unwritten_log",
        "config",
        "index",
        "is_durable",
        "is_gone",
        "leader_epoch",
        "topic",
        "watchers",
    )

    def __init__(
        self,
        topic: str,
        index: int,
        leader_epoch: int,
        config: TopicConfig,
        open_log: Callable[[LogSettings], PartitionLog],
        unwritten: Callable[[], Path | None] = lambda: None,
    ) -> None:
        self.topic = topic
        self.index = index
        self.leader_epoch = leader_epoch
        self.config = config
        self.is_durable = config.is_durable
        self.watchers: set[GrowthWatcher] = set()
        self._open = open_log
        self._unwritten = unwritten
        self._log: PartitionLog | None = None
        self._unwritten_log: UnwrittenLog | None = None
        self._offline: LogOffline | None = None
        self._readable_before = 0
        self.is_gone = False

    @property
    def log(self) -> PartitionLog:
        """Raises LogOffline when the files cannot be used."""
        if self._log is not None:
            return self._log
        if self._offline is None and self._unwritten_log is None and (folder := self._unwritten()) is not None:
            self._unwritten_log = UnwrittenLog(folder, self._opened)
        if self._offline is not None or self._unwritten_log is None:
            return self._opened()
        return self._unwritten_log

    def _opened(self) -> PartitionLog:
        """Open the log, or make it. Raises LogOffline."""
        if self._log is None:
            if self._offline is not None:
                raise self._offline
            try:
                self._log = self._open(self.config)
            except LogOffline as error:
                if not error.may_pass:
                    self._offline = error
                raise
            self._unwritten_log = None
        return self._log

    @property
    def is_open(self) -> bool:
        return self._log is not None

    @property
    def offline_reason(self) -> str | None:
        """Why the files cannot be used until the next start, None while they can or nobody has tried."""
        if self._log is not None:
            return self._log.offline
        return None if self._offline is None else str(self._offline)

    def configure(self, config: TopicConfig) -> None:
        """Go on with other settings."""
        self.config = config
        if self._log is not None:
            # Consumers have seen what could be read before records began to wait for the disk.
            self._readable_before = self.high_watermark
            self._log.configure(config)
        self.is_durable = config.is_durable

    @property
    def high_watermark(self) -> int:
        """Up to where consumers may read: with one replica all there is, or all that the disk has."""
        log = self.log
        return max(log.durable_offset, self._readable_before) if self.is_durable else log.log_end_offset

    @property
    def last_stable_offset(self) -> int:
        """Up to where a reader may go that must not see what is undecided (KIP-98)."""
        return min(self.log.last_stable_offset, self.high_watermark)

    def check_leader_epoch(self, current_leader_epoch: int) -> None:
        """Compare what the client believes; -1 is no belief (KIP-320). Raises ApiError."""
        if current_leader_epoch < 0 or current_leader_epoch == self.leader_epoch:
            return
        if current_leader_epoch < self.leader_epoch:
            raise ApiError(ErrorCode.FENCED_LEADER_EPOCH)
        raise ApiError(ErrorCode.UNKNOWN_LEADER_EPOCH)

    def append(self, batch: memoryview, now_ms: int, guard: TransactionGuard | None = None) -> Appended:
        """Append the one batch that ``batch`` is; ``now_ms`` bounds its timestamps.

        ``guard``: is asked about the first batch of a transaction in this partition. The batch itself is opened only
        where its header does not say enough. Raises ApiError, BatchCorrupt and what ``PartitionLog.append`` raises.
        The rules are those of Kafka's UnifiedLog and LogValidator.
        """
        header = self._check(batch)
        log = self._log or self.log
        if header.attributes > Codec.ZSTD and header.is_transactional:
            self._check_transaction(header, log, guard)
        if self._must_be_opened(header, now_ms):
            header = self._check_records(batch, header, now_ms)
            batch, header = self._compressed(batch, header)
        if self.config.message_timestamp_type == "LogAppendTime":
            stamp_append_time(batch, 0, now_ms)
            header = read_header(batch)
            appended = log.append(batch, header, self.leader_epoch)
            if appended.append_time_ms < 0:
                appended = appended._replace(append_time_ms=now_ms)
        else:
            appended = log.append(batch, header, self.leader_epoch)
        if self.watchers and not self.is_durable:
            self.grew(len(batch))
        return appended

    def _check_transaction(self, header: BatchHeader, log: PartitionLog, guard: TransactionGuard | None) -> None:
        """A producer with an open transaction goes on; the first batch has to be announced (KIP-890)."""
        entry = log.producers.entries.get(header.producer_id)
        if entry is not None and entry.current_txn_first_offset >= 0 and entry.epoch == header.producer_epoch:
            return
        if entry is not None and entry.epoch == header.producer_epoch and log.producers.check(header) is not None:
            return  # it was sent again, and its transaction has ended
        if guard is None:
            raise ApiError(ErrorCode.INVALID_TXN_STATE, "the batch belongs to no transactional id")
        guard.check(self.topic, self.index, header, entry is not None)

    def end_transaction(self, marker: bytes, must_bump: bool) -> Appended:
        """Append the control batch that ends a transaction here; see ``PartitionLog.end_transaction``."""
        batch = memoryview(bytearray(marker))
        if self.config.message_timestamp_type == "LogAppendTime":
            stamp_append_time(batch, 0, read_header(batch).max_timestamp)  # it has just been made
        written = self.log.end_transaction(batch, self.leader_epoch, must_bump)
        if not self.is_durable:
            self.grew(len(marker))
        return written

    def append_own(self, batch: bytearray, now_ms: int) -> None:
        """Append a batch that the broker itself has made. Raises what ``PartitionLog.append`` raises."""
        view = memoryview(batch)
        if self.config.message_timestamp_type == "LogAppendTime":
            stamp_append_time(view, 0, now_ms)
        self.log.append(view, read_header(view), self.leader_epoch)
        if self.watchers and not self.is_durable:
            self.grew(len(batch))

    def grew(self, size_bytes: int) -> None:
        """Tell everybody who waits that there is more to read."""
        is_stable = not self.log.producers.open
        for watcher in tuple(self.watchers):
            watcher.grew(size_bytes, is_stable)

    def _must_be_opened(self, header: BatchHeader, now_ms: int) -> bool:
        """False when the header says all that the rules of the topic ask for, which is the usual case."""
        config = self.config
        if config.is_compacted:
            return True
        if config.compression_type != "producer" and header.codec is not _CODECS[config.compression_type]:
            return True
        if config.message_timestamp_type == "LogAppendTime":
            return False
        newest = now_ms + config.message_timestamp_after_max_ms
        return (
            # The first record is later than the latest: sarama before 1.45.1 states none.
            header.max_timestamp < header.base_timestamp
            or header.max_timestamp > newest
            or config.message_timestamp_before_max_ms != FOREVER_MS
        )

    def _check_records(self, batch: memoryview, header: BatchHeader, now_ms: int) -> BatchHeader:
        """Look at each record, as Kafka does with those of all batches; return the header, which may have been put
        right about the latest timestamp.
        """
        if header.records_count > OPENED_RECORDS_MAX:  # the Java client sends it again in halves
            raise ApiError(
                ErrorCode.MESSAGE_TOO_LARGE,
                f"a batch of {header.records_count} records, {OPENED_RECORDS_MAX} can be looked at",
            )
        config = self.config
        is_stamped = config.message_timestamp_type == "LogAppendTime"
        oldest = now_ms - config.message_timestamp_before_max_ms
        newest = now_ms + config.message_timestamp_after_max_ms
        latest = NO_TIMESTAMP
        wrong: list[tuple[int, str]] = []
        code = ErrorCode.INVALID_RECORD
        try:
            for index, (timestamp, is_keyless) in enumerate(outlines(batch, OPENED_BYTES_MAX)):
                if timestamp > latest:
                    latest = timestamp
                if is_keyless and config.is_compacted:
                    wrong.append((index, "Compacted topic cannot accept message without key"))
                elif not (oldest <= timestamp <= newest or timestamp == NO_TIMESTAMP or is_stamped):
                    wrong.append((index, f"timestamp {timestamp} is not between {max(oldest, 0)} and {newest}"))
                    code = ErrorCode.INVALID_TIMESTAMP
        except RecordsTooLarge:
            raise
        except BatchCorrupt as error:  # the producer wrote what it meant to: it is no use to send it again
            raise RecordsRefused(ErrorCode.INVALID_RECORD, str(error)) from None
        if wrong:
            raise RecordsRefused(code, "One or more records have been rejected", wrong)
        if latest == header.max_timestamp or is_stamped:
            return header
        set_max_timestamp(batch, 0, latest)
        return read_header(batch)

    def _compressed(self, batch: memoryview, header: BatchHeader) -> tuple[memoryview, BatchHeader]:
        """Return the batch in the codec that the topic wants (``compression.type``)."""
        codec = _CODECS.get(self.config.compression_type, header.codec)
        if header.codec is codec:
            return batch, header
        batch = memoryview(recompress(batch, codec, self.config.compression_level))
        self._check_size(len(batch))
        return batch, read_header(batch)

    @property
    def must_sync(self) -> bool:
        """True when so much is not on disk yet that the next acknowledgement waits for it (``flush.messages``)."""
        if self.is_durable:
            return True
        log = self.log
        return log.log_end_offset - log.durable_offset >= self.config.flush_messages

    def _check(self, batch: memoryview) -> BatchHeader:
        size = len(batch)
        try:
            header = read_header(batch)
        except UnknownMagic as error:
            raise ApiError(ErrorCode.INVALID_RECORD, str(error)) from None
        if header.batch_length + LOG_OVERHEAD != size:
            raise ApiError(ErrorCode.INVALID_RECORD, "a partition takes exactly one record batch per request")
        if header.base_offset:
            raise RecordsRefused(ErrorCode.INVALID_RECORD, f"the base offset is {header.base_offset} instead of 0")
        self._check_size(size)
        if crc32c(batch[ATTRIBUTES_OFFSET:]) != header.crc:
            raise BatchCorrupt("the CRC of the batch does not match its bytes")
        if header.attributes > Codec.ZSTD or header.attributes < 0:
            self._check_attributes(header)
        if header.records_count <= 0 or header.last_offset_delta != header.records_count - 1:
            raise RecordsRefused(
                ErrorCode.INVALID_RECORD,
                f"{header.records_count} records with a last offset delta of {header.last_offset_delta}",
            )
        if header.producer_id >= 0 and (header.base_sequence < 0 or header.producer_epoch < 0):
            raise RecordsRefused(
                ErrorCode.INVALID_RECORD, "an idempotent producer's batch needs an epoch and a sequence"
            )
        return header

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self.config.max_message_bytes:
            raise ApiError(
                ErrorCode.MESSAGE_TOO_LARGE,
                f"a batch of {size_bytes} bytes, max.message.bytes is {self.config.max_message_bytes}",
            )

    def _check_attributes(self, header: BatchHeader) -> None:
        """Look at attributes that say more than which codec it is."""
        if header.is_control:
            raise RecordsRefused(ErrorCode.INVALID_RECORD, "clients cannot write control batches")
        if header.is_transactional and header.producer_id < 0:
            raise RecordsRefused(ErrorCode.INVALID_RECORD, "a transactional batch needs a producer id")
        if header.timestamp_type is TimestampType.LOG_APPEND_TIME:
            raise RecordsRefused(ErrorCode.INVALID_TIMESTAMP, "only the broker sets log append times")
        header.codec  # noqa: B018 - raises for a codec that does not exist

    def read(self, fetch_offset: int, max_bytes: int, at_least_one: bool, end_offset: int | None = None) -> Slice:
        """Return batches from ``fetch_offset`` to ``end_offset`` or the high watermark; see ``PartitionLog.read``."""
        return self.log.read(
            fetch_offset, max_bytes, at_least_one, self.high_watermark if end_offset is None else end_offset
        )

    def delete_records(self, offset: int) -> int:
        """Delete what lies before ``offset``, -1 for the high watermark; return the new log start offset (KIP-107).

        Raises ApiError, OffsetNotInLog, LogOffline.
        """
        if self.topic in INTERNAL_TOPICS:
            raise ApiError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"records of {self.topic} cannot be deleted")
        if self.config.is_compacted and "delete" not in self.config.list("cleanup.policy"):
            raise ApiError(ErrorCode.POLICY_VIOLATION, "a topic that is compacted and nothing else keeps its records")
        high_watermark = self.high_watermark
        if offset == HIGH_WATERMARK:
            offset = high_watermark
        if not 0 <= offset <= high_watermark:
            raise OffsetNotInLog(f"offset {offset} is not between 0 and the high watermark, {high_watermark}")
        return self.log.delete_before(offset)

    def forget(self) -> None:
        """Tell everybody who waits that the partition is gone, or that the broker stops."""
        self.is_gone = True
        self._unwritten_log = None  # a circle of references would wait for the garbage collector
        for watcher in tuple(self.watchers):
            watcher.gone()
