"""Group commit: a thread brings logs and the catalog to the disk; who asks meanwhile shares its next turn. Where
there are several to bring it has the kernel do it side by side, because a disk can do much at a time."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, Protocol

from . import files
from .errors import StorageError
from .mapped_file import MappedFile, descriptors_of

if TYPE_CHECKING:
    from .async_syncs import AsyncSyncs

logger = logging.getLogger(__name__)

Done = Callable[[Exception | None], None]


class SyncJob(NamedTuple):
    """``work`` blocks until the disk has it; then ``finish`` is delivered, or ``fail`` with the disk's error.

    ``file``: the only thing that ``work`` would sync. Who does that instead calls ``fail`` before the next sync.
    """

    work: Callable[[], None]
    finish: Callable[[], None]
    fail: Callable[[OSError], Exception]
    file: MappedFile | None = None


class Syncable(Protocol):
    """What a flusher can bring to the disk."""

    def sync_job(self) -> SyncJob: ...


# Whom to tell about each; nobody may want to know.
Wanted = dict[Syncable, list[Done]]


class Flusher:
    """The thread that waits for the disk so that nobody else has to.

    ``deliver`` runs a function in the thread that owns the state (``loop.call_soon_threadsafe``).
    """

    def __init__(self, deliver: Callable[[Callable[[], None]], object]) -> None:
        self._deliver = deliver
        self._requests: SimpleQueue[Wanted | None] = SimpleQueue()
        self._pending: Wanted = {}  # the thread's own
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._kernel: AsyncSyncs | None = None  # the thread's own

    def request(self, target: Syncable, done: Done | None = None) -> None:
        """Have ``target`` brought to the disk as it is now; ``done`` is called with None, or with what went wrong."""
        self.request_all({target: [] if done is None else [done]})

    def request_all(self, wanted: Wanted) -> None:
        """As ``request``, many at once; ``wanted`` is the flusher's afterwards."""
        self._requests.put(wanted)
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="flusher", daemon=True)
                    self._thread.start()

    def stop(self) -> None:
        """Finish what was requested and end the thread; blocks. What is requested afterwards is not done."""
        self._requests.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        is_stopping = False
        with suppress(OSError):
            self._kernel = files.async_syncs()
        while True:
            while not is_stopping and (not self._pending or not self._requests.empty()):
                wanted = self._requests.get()
                if wanted is None:
                    is_stopping = True
                    break
                self._note(wanted)
            if not self._pending:
                break
            self._turn()
        if self._kernel is not None:
            self._kernel.close()

    def _note(self, wanted: Wanted) -> None:
        for target, waiting in wanted.items():
            if target in self._pending:
                self._pending[target] += waiting
            else:
                self._pending[target] = waiting

    def _turn(self) -> None:
        """Sync what somebody waits for, and one of the others: a checkpoint of a thousand logs must not hold up the
        one that is waited for."""
        pending = self._pending
        background = next((target for target, waiting in pending.items() if not waiting), None)
        wanted = {target: waiting for target, waiting in pending.items() if waiting}
        for target in wanted:
            del pending[target]
        for target, waiting in self._sync_together(wanted).items():
            self._sync(target, waiting)
        if background is not None:
            self._sync(background, pending.pop(background))

    def _sync_together(self, wanted: Wanted) -> Wanted:
        """Have the kernel sync the files of several, and return what is left to do."""
        if self._kernel is None or len(wanted) < 2:
            return wanted
        jobs = [(target, *found) for target in wanted if (found := _file_job(target)) is not None]
        at_a_time = self._kernel.SYNCS_MAX
        for first in range(0, len(jobs), at_a_time):
            some = jobs[first : first + at_a_time]
            with descriptors_of(file for _, _, file in some) as descriptors:
                begun = some[: self._kernel.begin(descriptors)]
            for (target, job, _), error in zip(begun, self._kernel.wait(len(begun)), strict=True):
                failure = None if error is None else job.fail(error)
                self._tell(job, failure, wanted.pop(target))
        return wanted

    def _sync(self, target: Syncable, waiting: list[Done]) -> None:
        job: SyncJob | None = None
        failure: Exception | None = None
        try:
            job = target.sync_job()
            job.work()
        except Exception as error:  # whatever it is, somebody waits for the answer, and others for this thread
            failure = error
            if not isinstance(error, OSError | StorageError):
                logger.exception("a sync failed")
            elif isinstance(error, StorageError) and not waiting:
                logger.error("%s", error)
        self._tell(job, failure, waiting)

    def _tell(self, job: SyncJob | None, failure: Exception | None, waiting: list[Done]) -> None:
        try:
            self._deliver(partial(_told, job, failure, waiting))
        except RuntimeError:
            # The loop is gone: the broker was stopped at once, and whoever waited with it.
            logger.debug("a sync finished after the event loop")


def _file_job(target: Syncable) -> tuple[SyncJob, MappedFile] | None:
    """Return what to do, if that is to sync one file, and the file."""
    try:
        job = target.sync_job()
    except Exception as error:  # whoever does it alone meets it again
        logger.debug("%s", error)
        return None
    return (job, job.file) if job.file is not None else None


def _told(job: SyncJob | None, failure: Exception | None, waiting: list[Done]) -> None:
    """Take note of what came of a sync; in the owner's thread."""
    outcome = failure
    if job is not None and failure is None:
        try:
            job.finish()
        except Exception as error:
            logger.exception("a sync could not be finished")
            outcome = error
    elif job is not None and isinstance(failure, OSError):
        outcome = job.fail(failure)
    for done in waiting:
        try:
            done(outcome)
        except Exception:  # the others wait all the same
            logger.exception("who waited for a sync failed")
