"""Group commit: logs and the catalog are brought to the disk; who asks meanwhile shares the next time.

What is in one file is synced by the kernel, which does many at a time while the event loop goes on, and all else by a
thread.
"""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from . import files
from .sync_job import Done, Syncable, SyncJob, Wanted
from .sync_thread import SyncThread

if TYPE_CHECKING:
    from .async_syncs import AsyncSyncs

logger = logging.getLogger(__name__)


class Loop(Protocol):
    """What an event loop does for those who wait for a descriptor that can be read."""

    def add_reader(self, fd: int, callback: Callable[[], object], /) -> Any: ...
    def remove_reader(self, fd: int, /) -> Any: ...


class _Begun(NamedTuple):
    """A sync that the kernel is doing."""

    target: Syncable
    job: SyncJob
    waiting: list[Done]


class Flusher:
    """Waits for the disk so that nobody else has to. It belongs to the thread that owns what it brings there.

    ``deliver`` runs a function in that thread (``loop.call_soon_threadsafe``). No target is synced twice at a time:
    an error of the disk is told to one of those who sync a file, and it would not be known which.
    """

    def __init__(self, deliver: Callable[[Callable[[], None]], object]) -> None:
        self._deliver = deliver
        self._thread = SyncThread(self._tell)
        self._loop: Loop | None = None
        self._kernel: AsyncSyncs | None = None
        self._begun: dict[int, _Begun] = {}
        # What the kernel is syncing, and what the thread has, with the last request for it.
        self._in_kernel: set[Syncable] = set()
        self._in_thread: Wanted = {}
        self._later: Wanted = {}

    def join(self, loop: Loop) -> None:
        """Have the kernel sync what it can from now on, and hear of it from the loop of this thread."""
        self._loop = loop

    def leave(self) -> None:
        """Have nothing begun by the kernel any more, and hear of what it does in ``stop`` only."""
        loop, self._loop = self._loop, None
        if loop is not None and self._kernel is not None:
            loop.remove_reader(self._kernel.told)

    def request(self, target: Syncable, done: Done | None = None) -> None:
        """Have ``target`` brought to the disk as it is now; ``done`` is called with None, or with what went wrong."""
        self.request_all({target: [] if done is None else [done]})

    def request_all(self, wanted: Wanted) -> None:
        """As ``request``, many at once; ``wanted`` is the flusher's afterwards."""
        if self._loop is not None:
            wanted = self._begin(wanted)
            self._in_thread |= wanted
        if wanted:
            self._thread.request_all(wanted)

    def stop(self) -> None:
        """Finish what was requested and end the thread; blocks. What is requested afterwards is not done.

        May be called from another thread than the owner's, after ``leave``.
        """
        if self._kernel is not None:
            while self._begun:
                for begun, error in self._ended(must_wait=True):
                    # Before it is synced again, and the owner has not heard of it yet.
                    failure = None if error is None else begun.job.fail(error)
                    self._tell(begun.target, [begun.waiting], begun.job, failure)
            self._kernel.close()
        if self._later:
            self._thread.request_all(self._later)
        self._thread.stop()

    def _begin(self, wanted: Wanted) -> Wanted:
        """Have the kernel sync what somebody waits for and is in one file, and return what is for the thread."""
        for_thread: Wanted = {}
        found: list[_Begun] = []
        descriptors: list[int] = []
        for target, waiting in wanted.items():
            if target in self._in_kernel:
                self._later.setdefault(target, []).extend(waiting)
                continue
            job = _file_job(target) if waiting and target not in self._in_thread else None
            if job is None or job.file is None:
                for_thread[target] = waiting
            else:
                found.append(_Begun(target, job, waiting))
                descriptors.append(job.file.descriptor)
        if found:
            numbers = self._numbers_of(descriptors)
            for number, begun in zip(numbers, found, strict=False):
                self._begun[number] = begun
                self._in_kernel.add(begun.target)
            # As long as there are others, it will be heard of their end.
            rest = self._later if self._begun else for_thread
            rest |= {begun.target: begun.waiting for begun in found[len(numbers) :]}
        return for_thread

    def _numbers_of(self, descriptors: list[int]) -> list[int]:
        """Begin to sync files and return numbers for the first of them, which are those that were begun."""
        if self._kernel is None:
            assert self._loop is not None
            try:
                self._kernel = files.async_syncs()
            except OSError as error:
                logger.debug("syncs are not done by the kernel: %s", error)
                self._loop = None
                return []
            self._loop.add_reader(self._kernel.told, self._take_note)
        return self._kernel.begin(descriptors)

    def _take_note(self) -> None:
        """Hear what the kernel has done, and go on with what waits for that."""
        for begun, error in self._ended():
            _told(begun.job, error, begun.waiting)
        later, self._later = self._later, {}
        if later:
            self.request_all(later)

    def _ended(self, must_wait: bool = False) -> Iterator[tuple[_Begun, OSError | None]]:
        assert self._kernel is not None
        for number, error in self._kernel.ended(must_wait):
            begun = self._begun.pop(number)
            self._in_kernel.remove(begun.target)
            yield begun, error

    def _tell(
        self, target: Syncable, requests: list[list[Done]], job: SyncJob | None, failure: Exception | None
    ) -> None:
        """Pass on what became of a sync; from any thread."""
        try:
            self._deliver(partial(self._told_by_thread, target, requests, job, failure))
        except RuntimeError:
            # The loop is gone: the broker was stopped at once, and whoever waited with it.
            logger.debug("a sync finished after the event loop")

    def _told_by_thread(
        self, target: Syncable, requests: list[list[Done]], job: SyncJob | None, failure: Exception | None
    ) -> None:
        if self._in_thread.get(target) is requests[-1]:
            del self._in_thread[target]
        _told(job, failure, [done for waiting in requests for done in waiting])


def _file_job(target: Syncable) -> SyncJob | None:
    """Return what to do, if that is to sync one file that is open."""
    try:
        job = target.sync_job()
    except Exception as error:  # whoever does it alone meets it again
        logger.debug("%s", error)
        return None
    return job if job.file is not None and job.file.descriptor >= 0 else None


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
