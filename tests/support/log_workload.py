"""A broker's storage under a random workload, all of it in one thread, so that a seed tells all that happens."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random

import pytest

from barnabas.protocol.records import Record, build_batch, end_transaction_marker, read_header
from barnabas.storage import disposal, flusher, journal
from barnabas.storage.catalog import StoredTopic, TopicCreated
from barnabas.storage.checker import check
from barnabas.storage.clock import ManualClock
from barnabas.storage.datadir import DataDir
from barnabas.storage.layout import CLEAN_FILE
from barnabas.storage.log import Appended
from barnabas.storage.segments import SegmentedLog
from barnabas.storage.sync_job import Wanted
from barnabas.storage.sync_thread import SyncThread

from .log_model import LogModel
from .logs import START_MS, TOPIC_ID, Settings, note_log_starts
from .power import Disk, Stopped

PARTITIONS = 2
IDEMPOTENT, TRANSACTIONAL = (0, 1), (11, 12, 13)
# So that its files take turns.
JOURNAL_BYTES = 2000
# How often the owner of the logs does something while the flusher's thread is at work.
INTERLEAVED_PROBABILITY = 0.08


class Failed(BaseException):
    """Something that was done while the flusher's thread was at work went wrong."""


class SteppedThread(SyncThread):
    """Syncs when it is told to, in the caller's thread."""

    def request_all(self, wanted: Wanted) -> None:
        self._note(wanted)

    def turn(self) -> None:
        self._turn()

    def stop(self) -> None:
        while not self._is_idle():
            self._turn()


class SteppedExecutor:
    """Works when it is told to, in the caller's thread."""

    def __init__(self, *_: object) -> None:
        self.waiting: list[Callable[[], None]] = []

    def submit(self, work: Callable[[], None]) -> None:
        self.waiting.append(work)

    def turn(self) -> None:
        if self.waiting:
            self.waiting.pop(0)()

    def shutdown(self) -> None:
        while self.waiting:
            self.turn()


class Complaints(logging.Handler):
    """What storage logs as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


@contextmanager
def one_thread() -> Iterator[Complaints]:
    """Have storage start no threads; what it complains of is collected and not printed."""
    complaints = Complaints()
    logger = logging.getLogger("barnabas.storage")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(complaints)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flusher, "SyncThread", SteppedThread)
        patch.setattr(journal, "FILE_BYTES", JOURNAL_BYTES)
        patch.setattr(disposal, "ThreadPoolExecutor", SteppedExecutor)
        yield complaints
    logger.removeHandler(complaints)
    logger.propagate = propagate


class Workload:
    """A data directory with the partitions "t-0" and up, the model of each log, and what may be done to them.

    ``disk``: what it writes to, to be installed while a process lives.
    """

    def __init__(
        self, path: Path, random: Random, complaints: Complaints, model: Callable[[], LogModel] = LogModel
    ) -> None:
        self.random = random
        self.complaints = complaints
        self.actions = ACTIONS
        self.clock = ManualClock(START_MS, random.randrange(2**32))
        self.models = [model() for _ in range(PARTITIONS)]
        self.settings = Settings(
            segment_bytes=random.choice([1500, 5000, 20_000]),
            segment_ms=random.choice([3000, 10**9]),
            index_interval_bytes=random.choice([100, 4096]),
            file_delete_delay_ms=random.choice([0, 2000]),
            is_durable=random.random() < 0.5,
            preallocate=random.random() < 0.2,
        )
        self.leader_epoch = 0
        self.data_dir: DataDir | None = None
        self.logs: list[SegmentedLog] = []
        self.is_in_background = False
        self.deliveries: list[Callable[[], None]] = []
        self.readers: dict[int, Callable[[], object]] = {}
        self.use(path)

    def use(self, path: Path) -> None:
        """Go on in a folder, all of which is on the disk."""
        path.mkdir(exist_ok=True)
        self.disk = Disk(path)

    def live(self, calls_max: int, actions: int, ends_well: bool) -> bool:
        """Start, do so many things, stop. Return False when the process ended at the call number ``calls_max``."""
        self.calls_left = calls_max
        self.disk.before = self._before
        try:
            self._start()
            for _ in range(actions):
                self.act()
            if ends_well:
                self._stop()
                return True
        except Stopped:
            pass
        self._abandon()
        return False

    def lose_power(self, path: Path, any_order: bool) -> None:
        """While no process is there. ``path``: the folder to go on in."""
        self.disk.fail(path, self.random, any_order)
        self.use(path)
        for model in self.models:
            model.has_lost_power = True

    def _before(self, name: str) -> None:
        self.calls_left -= 1
        if self.calls_left < 0:
            raise Stopped(name)
        if self.is_in_background and self.random.random() < INTERLEAVED_PROBABILITY:
            self.is_in_background = False
            try:
                self.act(OWNER)
            except Exception as error:  # nobody else may catch it
                raise Failed(repr(error)) from error
            self.is_in_background = True

    def _start(self) -> None:
        self.is_in_background = False
        self.deliveries.clear()
        self.readers.clear()
        self.logs = []
        self.data_dir = DataDir(self.disk.root, self.clock, 1, self.deliveries.append)
        if not self.data_dir.catalog.topics():
            configs = {"cleanup.policy": "compact"} if self.settings.is_compacted else {}
            self.data_dir.catalog.commit(TopicCreated(StoredTopic(TOPIC_ID, "t", PARTITIONS, 0, configs)))
        self.logs = [self.data_dir.open_log("t", number, TOPIC_ID, self.settings) for number in range(PARTITIONS)]
        assert not any(log.loss for log in self.logs), [log.loss for log in self.logs]
        self.data_dir.flusher.attach(self)
        if not self.data_dir.was_clean:
            self.data_dir.checkpoint()
        self.leader_epoch += 1
        self.complaints.found.clear()
        for log, model in zip(self.logs, self.models, strict=True):
            model.recover(log)
            if model.has_hidden:
                # As the coordinator does: a transaction of which nothing is left is ended all the same.
                known = {number for number, producer in model.producers().items() if producer.began is not None}
                for producer_id in log.producers.open.keys() - known:
                    self._append_marker(log, model, producer_id, log.producers.entries[producer_id].epoch, False)
            model.check(log)

    def add_reader(self, fd: int, callback: Callable[[], object]) -> None:
        self.readers[fd] = callback

    def remove_reader(self, fd: int) -> None:
        del self.readers[fd]

    def _stop(self) -> None:
        assert self.data_dir is not None
        self.data_dir.flusher.detach()
        self.data_dir.close()
        self.data_dir = None
        self._expect_no_complaints()
        assert (self.disk.root / CLEAN_FILE).exists()
        problems = [finding for finding in check(self.disk.root).findings if finding.is_problem]
        assert not problems, problems
        for model in self.models:
            model.stop(is_clean=True)

    def _abandon(self) -> None:
        """Nothing is left of the process but what it has written."""
        data_dir, self.data_dir = self.data_dir, None
        self.disk.close_all()
        if data_dir is not None:
            data_dir.catalog.close()
            with suppress(OSError):  # it may have come as far as that itself
                os.close(data_dir._lock)
        for model in self.models:
            model.stop(is_clean=False)

    def _expect_no_complaints(self) -> None:
        assert not self.complaints.found, self.complaints.found

    # What may be done.

    def act(self, actions: "Actions | None" = None) -> None:
        actions = actions or self.actions
        (action,) = self.random.choices([action for action, _ in actions], [weight for _, weight in actions])
        number = self.random.randrange(PARTITIONS)
        action(self, self.logs[number], self.models[number])
        self._expect_no_complaints()

    def append(self, log: SegmentedLog, model: LogModel) -> None:
        self._append_data(log, model, -1)

    def append_idempotent(self, log: SegmentedLog, model: LogModel) -> None:
        self._append_data(log, model, self.random.choice(IDEMPOTENT))

    def append_transactional(self, log: SegmentedLog, model: LogModel) -> None:
        self._append_data(log, model, self.random.choice(TRANSACTIONAL))

    def end_transaction(self, log: SegmentedLog, model: LogModel) -> None:
        producer_id = self.random.choice(TRANSACTIONAL)
        if producer_id in model.producers():
            is_commit, bump = self.random.random() < 0.5, self.random.randrange(2)
            self._append_marker(log, model, producer_id, model.producer(producer_id).epoch + bump, is_commit)

    def sync(self, log: SegmentedLog, model: LogModel) -> None:
        """Have the log synced; when that is done, what is there now is acknowledged in the durable mode."""
        assert self.data_dir is not None
        self.data_dir.flusher.request(log, partial(self._acknowledge, model, log.log_end_offset))

    def sync_all(self, *_: object) -> None:
        """As ``sync``, of every log."""
        assert self.data_dir is not None
        self.data_dir.flusher.request_all(
            {
                log: [partial(self._acknowledge, model, log.log_end_offset)]
                for log, model in zip(self.logs, self.models, strict=True)
            }
        )

    def _acknowledge(self, model: LogModel, end: int, error: Exception | None) -> None:
        assert error is None
        model.synced = max(model.synced, end)

    def checkpoint(self, *_: object) -> None:
        assert self.data_dir is not None
        self.data_dir.checkpoint()

    def delete(self, log: SegmentedLog, model: LogModel) -> None:
        assert self.data_dir is not None
        if self.data_dir.known.log_starts._writing.locked():
            return  # the flusher's thread would have to go on first
        bases = [header.base_offset for header, _ in model.history]
        offset = self.random.choice([self.random.randint(model.start, model.end), model.end, *bases[-3:]])
        model.start_asked = max(model.start, offset)
        assert log.delete_before(offset) == model.start_asked
        model.start = model.start_asked
        note_log_starts(self.data_dir)
        model.start_noted = model.start_synced = model.start

    def flush(self, *_: object) -> None:
        """The flusher's thread does something."""
        assert self.data_dir is not None
        thread = self.data_dir.flusher._thread
        assert isinstance(thread, SteppedThread)
        self.is_in_background = True
        thread.turn()
        self.is_in_background = False

    def hear(self, *_: object) -> None:
        """The owner of the logs hears of what the kernel did."""
        for callback in list(self.readers.values()):
            callback()

    def deliver(self, *_: object) -> None:
        """The owner of the logs hears of what the flusher did."""
        while self.deliveries:
            self.deliveries.pop(0)()

    def remove(self, *_: object) -> None:
        """The thread that removes files does something."""
        assert self.data_dir is not None
        background = self.data_dir.disposal._background
        assert isinstance(background, SteppedExecutor)
        self.is_in_background = True
        background.turn()
        self.is_in_background = False

    def time_passes(self, *_: object) -> None:
        assert self.data_dir is not None
        self.clock.advance(self.random.uniform(0, 2))
        self.data_dir.flush_due()

    def leader_changes(self, *_: object) -> None:
        self.leader_epoch += 1

    def check(self, log: SegmentedLog, model: LogModel) -> None:
        model.check(log)

    def _append_data(self, log: SegmentedLog, model: LogModel, producer_id: int) -> None:
        random = self.random
        producer = model.producer(producer_id)
        now = self.clock.now_ms()
        size = random.choice([10, 10, 200, self.settings.segment_bytes // 3])
        is_known = producer_id >= 0
        batch = build_batch(
            [
                Record(delta, now + random.randint(-9, 9), *self._content(size))
                for delta in range(random.choice([1, 1, 2]))
            ],
            producer_id=producer_id,
            producer_epoch=producer.epoch if is_known else -1,
            base_sequence=producer.next_sequence if is_known else -1,
            is_transactional=producer_id in TRANSACTIONAL,
        )
        model.in_flight = bytearray(batch)
        header = read_header(batch)
        appended = log.append(memoryview(model.in_flight), header, self.leader_epoch)
        assert appended == Appended(model.end, -1)
        self._appended(model)

    def _content(self, size: int) -> tuple[bytes | None, bytes | None]:
        """Return key and value of a record, about ``size`` bytes."""
        return None, self.random.randbytes(size)

    def _append_marker(
        self, log: SegmentedLog, model: LogModel, producer_id: int, epoch: int, is_commit: bool
    ) -> None:
        model.in_flight = bytearray(
            end_transaction_marker(
                commit=is_commit,
                producer_id=producer_id,
                producer_epoch=epoch,
                coordinator_epoch=0,
                timestamp=self.clock.now_ms(),
            )
        )
        appended = log.end_transaction(memoryview(model.in_flight), self.leader_epoch, False)
        assert appended == Appended(model.end, -1)
        self._appended(model)

    def _appended(self, model: LogModel) -> None:
        assert model.in_flight is not None
        model.take(model.in_flight)
        model.in_flight = None


Actions = list[tuple[Callable[[Workload, SegmentedLog, LogModel], None], int]]
# What the thread that owns the logs does, and how often; and the rest.
OWNER: Actions = [
    (Workload.append, 8),
    (Workload.append_idempotent, 8),
    (Workload.append_transactional, 8),
    (Workload.end_transaction, 7),
    (Workload.sync, 2),
    (Workload.sync_all, 8),
    (Workload.checkpoint, 2),
    (Workload.delete, 2),
    (Workload.deliver, 8),
    (Workload.hear, 10),
    (Workload.time_passes, 2),
    (Workload.leader_changes, 1),
    (Workload.check, 1),
]
ACTIONS: Actions = [*OWNER, (Workload.flush, 12), (Workload.remove, 3)]


class CommittingWorkload(Workload):
    """Has the logs committed together all the time, so that the journal has most of what was acknowledged."""

    def __init__(self, path: Path, random: Random, complaints: Complaints) -> None:
        super().__init__(path, random, complaints)
        self.settings.segment_bytes = 20_000
        self.actions = [
            (Workload.append, 15),
            (Workload.append_idempotent, 5),
            (Workload.append_transactional, 1),
            (Workload.end_transaction, 1),
            (Workload.sync_all, 20),
            (Workload.hear, 40),
            (Workload.deliver, 4),
            (Workload.flush, 4),
            (Workload.delete, 1),
        ]
