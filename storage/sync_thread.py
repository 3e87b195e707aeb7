"""A thread that brings logs and the catalog to the disk, one after the other."""

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

from .errors import StorageError
from .sync_job import Done, Syncable, SyncJob, Wanted

logger = logging.getLogger(__name__)

# Takes what was synced, whom each of the requests for it is to be told to, the job, None when not even that was to be
# had, and what went wrong.
Tell = Callable[[Syncable, list[list[Done]], SyncJob | None, Exception | None], None]


class SyncThread:
    """The thread that waits for the disk so that nobody else has to; who asks meanwhile shares its next turn.

    It is started when there is something to do. ``tell`` is called in it.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._requests: SimpleQueue[Wanted | None] = SimpleQueue()
        # The thread's own: what somebody waits for, and the rest.
        self._awaited: dict[Syncable, list[list[Done]]] = {}
        self._others: dict[Syncable, list[list[Done]]] = {}
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def request_all(self, wanted: Wanted) -> None:
        """Have some brought to the disk as they are now; may be called from any thread."""
        self._requests.put(wanted)
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="flusher", daemon=True)
                    thread.start()
                    self._thread = thread

    def stop(self) -> None:
        """Finish what was requested and end the thread; blocks. What is requested afterwards is not done."""
        self._requests.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        is_stopping = False
        while True:
            while not is_stopping and (self._is_idle() or not self._requests.empty()):
                wanted = self._requests.get()
                if wanted is None:
                    is_stopping = True
                    break
                self._note(wanted)
            if self._is_idle():
                break
            self._turn()

    def _is_idle(self) -> bool:
        return not (self._awaited or self._others)

    def _note(self, wanted: Wanted) -> None:
        for target, waiting in wanted.items():
            if waiting and target in self._others:
                self._awaited[target] = self._others.pop(target)
            pending = self._awaited if waiting or target in self._awaited else self._others
            pending.setdefault(target, []).append(waiting)

    def _turn(self) -> None:
        """Sync what somebody waits for, and one of the others: a checkpoint of a thousand logs must not hold up the
        one that is waited for."""
        awaited, self._awaited = self._awaited, {}
        for target, requests in awaited.items():
            self._sync(target, requests)
        if self._others:
            target = next(iter(self._others))
            self._sync(target, self._others.pop(target))

    def _sync(self, target: Syncable, requests: list[list[Done]]) -> None:
        job: SyncJob | None = None
        failure: Exception | None = None
        try:
            job = target.sync_job()
            job.work()
        except Exception as error:  # whatever it is, somebody waits for the answer, and others for this thread
            failure = error
            if not isinstance(error, OSError | StorageError):
                logger.exception("a sync failed")
            elif isinstance(error, StorageError) and not any(requests):
                logger.error("%s", error)
        self._tell(target, requests, job, failure)
