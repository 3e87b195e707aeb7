"""Group commit: logs and the catalog are brought to the disk; who asks meanwhile shares the next time.

What is in one file is synced by the kernel, while the event loop goes on. What several logs have taken goes to the
journal, so that one sync does for all of them. The rest is for a thread.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from . import files
from .journal import Journal
from .sync_job import Done, Journaled, Syncable, SyncJob, Tail, Wanted
from .sync_thread import SyncThread

if TYPE_CHECKING:
    from .async_syncs import AsyncSyncs

logger = logging.getLogger(__name__)


class Loop(Protocol):
    """What an event loop does for those who wait for a descriptor that can be read."""

    def add_reader(self, fd: int, callback: Callable[[], object], /) -> Any: ...
    def remove_reader(self, fd: int, /) -> Any: ...


# What the journal has of a log, and who waits for that.
_Together = tuple[Journaled, Tail, list[Done]]


class _Alone(NamedTuple):
    """A file that the kernel syncs."""

    target: Syncable
    job: SyncJob
    waiting: list[Done]


class Flusher:
    """Waits for the disk so that nobody else has to. It belongs to the thread that owns what it brings there.

    ``deliver`` runs a function in that thread (``loop.call_soon_threadsafe``). No file is synced twice at a time: an
    error of the disk is told to one of those who sync it, and it would not be known which.
    """

    def __init__(self, deliver: Callable[[Callable[[], None]], object], journal: Journal | None = None) -> None:
        self._deliver = deliver
        self._journal = journal
        self._thread = SyncThread(self._tell)
        self._loop: Loop | None = None
        self._kernel: AsyncSyncs | None = None
        # What the kernel is syncing, and whose files that are: the journal is of many.
        self._begun: dict[int, _Alone | list[_Together]] = {}
        self._in_kernel: set[Syncable] = set()
        # Behind which of these those gather that can be committed together.
        self._gate = -1
        # What the thread has, with the last request for it.
        self._in_thread: Wanted = {}
        self._later: Wanted = {}

    def attach(self, loop: Loop) -> None:
        """Have the kernel sync what it can from now on, and hear of it from the loop of this thread."""
        self._loop = loop

    def detach(self) -> None:
        """Have nothing begun by the kernel any more, and hear of what it does in ``stop`` only."""
        loop, self._loop = self._loop, None
        if loop is not None and self._kernel is not None:
            loop.remove_reader(self._kernel.told)

    def request(self, target: Syncable, done: Done | None = None) -> None:
        """Have ``target`` brought to the disk as it is now; ``done`` is called with None, or with what went wrong."""
        self.request_all({target: [] if done is None else [done]})

    def share(self, target: Syncable, done: Done) -> bool:
        """As ``request``, if others have to come to an end before; say whether that is so."""
        if self._loop is None:
            return False
        if target in self._in_kernel or (self._gate in self._begun and isinstance(target, Journaled)):
            self._postpone(target, [done])
            return True
        return False

    def request_all(self, wanted: Wanted) -> None:
        """As ``request``, many at once; ``wanted`` is the flusher's afterwards."""
        if self._loop is not None:
            wanted = self._begin(wanted)
        if wanted:
            self._in_thread |= wanted
            self._thread.request_all(wanted)

    def stop(self) -> None:
        """Finish what was requested and end the thread; blocks. What is requested afterwards is not done.

        May be called from another thread than the owner's, after ``detach``.
        """
        if self._kernel is not None:
            ended = []
            while self._begun:
                ended += [(self._begun.pop(number), error) for number, error in self._kernel.ended(must_wait=True)]
            self._kernel.close()
            for begun, error in ended:
                if error is not None and isinstance(begun, _Alone):
                    begun.job.fail(error)  # before it is synced again: the owner may hear of it only then
                if error is None or isinstance(begun, _Alone):
                    self._in_owner(partial(self._note_end, begun, error))
                else:
                    self._note_end(begun, error)
        later, self._later = self._later, {}
        if later:
            self._thread.request_all(later)
        self._thread.stop()

    def _begin(self, wanted: Wanted) -> Wanted:
        """Begin what the kernel can do of what somebody waits for, and return what is for the thread."""
        wanted = self._commit(wanted) if self._journal is not None else wanted
        for_thread: Wanted = {}
        for target, waiting in wanted.items():
            if target in self._in_kernel:
                self._postpone(target, waiting)
            elif not waiting or target in self._in_thread or not self._begin_alone(target, waiting):
                for_thread[target] = waiting
        return for_thread

    def _postpone(self, target: Syncable, waiting: list[Done]) -> None:
        """Ask again when the kernel has ended something."""
        self._later.setdefault(target, []).extend(waiting)

    def _commit(self, wanted: Wanted) -> Wanted:
        """Commit several logs by one sync of the journal, and return what has to be synced where it is.

        Who comes meanwhile waits for the next time.
        """
        journal = self._journal
        assert journal is not None
        if not journal.is_ready:
            several = sum(isinstance(target, Journaled) and bool(waiting) for target, waiting in wanted.items()) > 1
            return {**wanted, journal: []} if several and journal.begin() else wanted
        rest: Wanted = {}
        found: list[_Together] = []
        kept: list[list[Done]] = []
        for target, waiting in wanted.items():
            if not waiting or not isinstance(target, Journaled):
                rest[target] = waiting
            elif self._gate in self._begun:
                self._postpone(target, waiting)
            elif (tail := target.tail()) is None:
                rest[target] = waiting
            elif not tail.batches:  # it was committed for others
                target.keep(tail)
                kept.append(waiting)
            else:
                found.append((target, tail, waiting))
        if len(found) == 1 and found[0][0] not in self._in_thread and found[0][0] not in self._in_kernel:
            target, _, waiting = found[0]
            if not self._begin_alone(target, waiting, is_gate=True):
                rest[target] = waiting
        elif found:
            rest |= self._write(found, journal)
        for waiting in kept:
            _tell_all(waiting, None)
        return rest

    def _write(self, found: list[_Together], journal: Journal) -> Wanted:
        """Write to the journal and begin to sync it; return what cannot be committed that way."""
        count = journal.append([tail for _, tail, _ in found])
        number = self._begin_sync(journal.descriptor) if count else None
        if number is None:
            return {target: waiting for target, _, waiting in found}
        self._gate = number
        self._begun[number] = found[:count]
        for target, _, waiting in found[count:]:
            self._postpone(target, waiting)
        return {}

    def _begin_alone(self, target: Syncable, waiting: list[Done], is_gate: bool = False) -> bool:
        """Sync what is in one file, now or when the kernel has ended something; say whether it will."""
        try:
            job = target.sync_job()
        except Exception as error:  # whoever does it in the thread meets it again
            logger.debug("%s", error)
            return False
        if job.file is None or job.file.descriptor < 0:
            return False
        number = self._begin_sync(job.file.descriptor)
        if number is not None:
            self._begun[number] = _Alone(target, job, waiting)
            self._in_kernel.add(target)
            if is_gate:
                self._gate = number
        elif self._begun:
            self._postpone(target, waiting)
        else:
            return False
        return True

    def _begin_sync(self, descriptor: int) -> int | None:
        """Begin to sync a file and return a number for that, None when the kernel cannot."""
        if self._kernel is None and self._loop is not None:
            try:
                kernel = files.async_syncs()
                self._loop.add_reader(kernel.told, self._take_note)
            except OSError as error:
                logger.info("the kernel does not sync in the background, threads do: %s", error)
                self._loop = None
            else:
                self._kernel = kernel
        return None if self._kernel is None else self._kernel.begin(descriptor)

    def _take_note(self) -> None:
        """Hear what the kernel has done, and go on with what waits for that."""
        assert self._kernel is not None
        # All of them before anybody is told, who may have others begun.
        for begun, error in [(self._begun.pop(number), error) for number, error in self._kernel.ended()]:
            self._note_end(begun, error)
        later, self._later = self._later, {}
        if later:
            self.request_all(later)

    def _note_end(self, begun: _Alone | list[_Together], error: OSError | None) -> None:
        if isinstance(begun, _Alone):
            self._in_kernel.remove(begun.target)
            _told(begun.job, error, begun.waiting)
        elif error is None:
            for target, tail, waiting in begun:
                target.keep(tail)
                _tell_all(waiting, None)
        else:
            assert self._journal is not None
            self._journal.fail(error)
            for target, _, waiting in begun:
                self._postpone(target, waiting)

    def _tell(
        self, target: Syncable, requests: list[list[Done]], job: SyncJob | None, failure: Exception | None
    ) -> None:
        """Pass on what became of a sync; in the thread."""
        self._in_owner(partial(self._told_by_thread, target, requests, job, failure))

    def _in_owner(self, work: Callable[[], None]) -> None:
        try:
            self._deliver(work)
        except RuntimeError:
            # The loop is gone: the broker was stopped at once, and whoever waited with it.
            logger.debug("a sync finished after the event loop")

    def _told_by_thread(
        self, target: Syncable, requests: list[list[Done]], job: SyncJob | None, failure: Exception | None
    ) -> None:
        if self._in_thread.get(target) is requests[-1]:
            del self._in_thread[target]
        _told(job, failure, [done for waiting in requests for done in waiting])


def _told(job: SyncJob | None, failure: Exception | None, waiting: list[Done]) -> None:
    """Take note of what came of a sync; in the owner's thread."""
    outcome = failure
    if job is not None and failure is None:
        try:
            job.finish()
        except Exception as error:
            logger.exception("cannot finish a sync")
            outcome = error
    elif job is not None and isinstance(failure, OSError):
        outcome = job.fail(failure)
    _tell_all(waiting, outcome)


def _tell_all(waiting: list[Done], outcome: Exception | None) -> None:
    for done in waiting:
        try:
            done(outcome)
        except Exception:  # the others wait all the same
            logger.exception("a callback failed after a sync")
