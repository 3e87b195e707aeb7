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
        self._pending: dict[Syncable, list[list[Done]]] = {}  # the thread's own
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def request_all(self, wanted: Wanted) -> None:
        """Have some brought to the disk as they are now; may be called from any thread."""
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

    def _note(self, wanted: Wanted) -> None:
        for target, waiting in wanted.items():
            self._pending.setdefault(target, []).append(waiting)

    def _turn(self) -> None:
        """Sync what somebody waits for, and one of the others: a checkpoint of a thousand logs must not hold up the
        one that is waited for."""
        pending = self._pending
        background = next((target for target, requests in pending.items() if not any(requests)), None)
        for target in [target for target, requests in pending.items() if any(requests)]:
            self._sync(target, pending.pop(target))
        if background is not None:
            self._sync(background, pending.pop(background))

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
