"""Each call of storage to the file system fails once: what was acknowledged stays, and the rest goes on."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.log_model import LogModel
from support.log_workload import Complaints, Workload, one_thread
from support.logs import Settings, note_log_starts

from barnabas.storage import files
from barnabas.storage.errors import StorageError
from barnabas.storage.segments import SegmentedLog

# A sync that fails is never tried again, whatever the error: the kernel forgets what it could not write. A file is
# opened for it.
SYNCS = {"sync", "sync_directory"}
Step = Callable[["FaultyWorkload", SegmentedLog, LogModel], None]


class FaultyWorkload(Workload):
    """Does what a script says on the log "t-0"; a call fails, or writes half of what it should, when it is its turn.

    ``number``: which call, from 0 on. ``hit``: its name, when it has been.
    """

    def __init__(self, path: Path, complaints: Complaints, number: int, error: int, is_short: bool) -> None:
        super().__init__(path, Random(1), complaints)
        self.settings = Settings(segment_bytes=1200, index_interval_bytes=100, is_durable=True)
        self.left = number
        self.error, self.is_short = error, is_short
        self.is_armed = False
        self.hit = ""

    def _before(self, name: str) -> None:
        if self.is_armed and not self.hit and not self.is_short:
            if not self.left:
                self.hit = name if not self.is_in_background or name != "open_file" else "sync"
                raise OSError(self.error, os.strerror(self.error))
            self.left -= 1

    def _acknowledge(self, model: LogModel, end: int, error: Exception | None) -> None:
        if error is None:
            super()._acknowledge(model, end, None)

    def _expect_no_complaints(self) -> None:
        pass

    def patch(self, patch: pytest.MonkeyPatch) -> None:
        """To be called when the disk is installed."""
        self.disk.before = self._before
        pwrite, preadv = files.pwrite, files.preadv
        rest_at = -1

        def write_half(descriptor: int, content: memoryview, position: int) -> int:
            nonlocal rest_at
            if self.is_armed and self.is_short and self.hit != "over":
                if self.hit:
                    self.hit = "over"
                    if position == rest_at:  # what is only room for others is not written to its end
                        raise OSError(self.error, os.strerror(self.error))
                    return pwrite(descriptor, content, position)
                if not self.left:
                    self.hit = "pwrite"
                    rest_at = position + len(content) // 2
                    return pwrite(descriptor, memoryview(content)[: len(content) // 2], position)
                self.left -= 1
            return pwrite(descriptor, content, position)

        def read(*arguments: Any) -> int:
            self._before("preadv")
            return preadv(*arguments)

        patch.setattr(files, "pwrite", write_half)
        patch.setattr(files, "preadv", read)

    def play(self, script: list[Step]) -> None:
        """Do everything; the logs are what they should be after the step that fails, and in the end."""
        self._start()
        for step in script:
            had_failed = bool(self.hit)
            in_flight = [model.in_flight for model in self.models]
            self.is_armed = True
            try:
                step(self, self.logs[0], self.models[0])
            except StorageError:
                if not self.hit or (had_failed and not self._is_any_offline()):
                    raise  # nothing had failed, or something goes on failing
                self._take_back(in_flight)
            self.is_armed = False
            if self.hit and not had_failed:
                self._check_logs()
        self._check_logs()
        offline = [log.offline for log in self.logs]
        if self.error == errno.ENOSPC and self.hit not in SYNCS:
            assert offline == [None, None], "space is back, and the log is not"
        assert None in offline, "one log's error took both offline"

    def _check_logs(self) -> None:
        for log, model in zip(self.logs, self.models, strict=True):
            if log.offline is None:
                model.check(log)

    def _is_any_offline(self) -> bool:
        return any(log.offline is not None for log in self.logs)

    def _take_back(self, in_flight: list[bytearray | None]) -> None:
        """What was being done has failed. ``in_flight``: what was already undecided, in logs that were offline."""
        for log, model, before in zip(self.logs, self.models, in_flight, strict=True):
            if log.offline is None:
                model.in_flight = None  # nothing of it may ever be seen
            elif before is not None:
                model.in_flight = before
            if log.log_start_offset == model.start_asked:
                model.start = model.start_asked

    def restart(self, *_: object) -> None:
        """Stop and start. When one of them fails it is as after a crash, and the next start succeeds."""
        assert self.data_dir is not None
        self.data_dir.flusher.detach()
        self.data_dir.close()
        self.data_dir = None
        for model in self.models:
            model.stop(is_clean=False)
        try:
            self._start()
        except (OSError, StorageError):
            if not self.hit:
                raise
            self._abandon()
            self.is_armed = False
            self._start()


def data(producer_id: int, partition: int = 0) -> Step:
    return lambda workload, *_: workload._append_data(
        workload.logs[partition], workload.models[partition], producer_id
    )


def marker(producer_id: int, is_commit: bool) -> Step:
    def run(workload: Workload, log: SegmentedLog, model: LogModel) -> None:
        workload._append_marker(log, model, producer_id, model.producer(producer_id).epoch, is_commit)

    return run


def sync(workload: Workload, log: SegmentedLog, model: LogModel) -> None:
    """Both logs, together."""
    workload.sync_all()
    finish(workload)


def finish(workload: Workload, *_: object) -> None:
    for _ in range(8):
        workload.flush()
        workload.hear()
        workload.deliver()
        workload.remove()


def delete(back: int) -> Step:
    def run(workload: Workload, log: SegmentedLog, model: LogModel) -> None:
        assert workload.data_dir is not None
        model.start_asked = max(model.start, model.end - back)
        log.delete_before(model.start_asked)
        model.start = model.start_asked
        note_log_starts(workload.data_dir)
        model.start_noted = model.start_synced = model.start

    return run


PART: list[Step] = [
    *(data(-1), data(11), data(0), data(12), marker(11, False), data(1, partition=1), sync),
    *(data(-1), data(0), data(11), data(-1), marker(12, True), marker(11, False), FaultyWorkload.leader_changes),
    *(data(-1), data(-1), FaultyWorkload.checkpoint, finish, data(13), data(0), data(-1), delete(4), finish),
    *(data(1, partition=1), data(-1), marker(13, False), sync, data(-1), data(1, partition=1), sync, data(-1)),
]
SCRIPT: list[Step] = [*PART, FaultyWorkload.restart, *PART[-14:], sync]


def outcomes(
    folder: Path, error: int, is_short: bool, stride: int, end: Callable[[FaultyWorkload], None]
) -> Iterator[FaultyWorkload]:
    """Play the script with each call failing in turn, until there are no more calls, each time with an ``end``.

    ``stride``: from one to the next.
    """
    for number in count(0, stride):
        path = folder / str(number)
        path.mkdir()
        with one_thread() as complaints:
            workload = FaultyWorkload(path / "0", complaints, number, error, is_short)
            try:
                with workload.disk.installed(), pytest.MonkeyPatch.context() as patch:
                    workload.patch(patch)
                    workload.play(SCRIPT)
                    end(workload)
                if not workload.hit:
                    return
                yield workload
            except BaseException as failure:
                failure.add_note(f"call number {number}: {workload.hit}")
                raise
        shutil.rmtree(path)


# The short run lets every thirteenth call fail.
STRIDES = [pytest.param(13, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)]
FAULTS = [
    pytest.param(errno.ENOSPC, False, id="no space"),
    pytest.param(errno.ENOSPC, True, id="no space in the middle of a write"),
    pytest.param(errno.EIO, False, id="broken disk"),
    pytest.param(errno.EIO, True, id="broken disk in the middle of a write"),
    pytest.param(errno.EMFILE, False, id="no descriptors"),
]


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize(("error", "is_short"), FAULTS)
def test_any_call_may_fail_and_the_next_start_finds_what_was_written(fast_path, error, is_short, stride):
    def end(workload: FaultyWorkload) -> None:
        workload.restart()
        workload._stop()

    assert sum(stride for _ in outcomes(fast_path, error, is_short, stride, end)) > 50


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize(("error", "is_short"), FAULTS)
def test_any_call_may_fail_and_then_the_power(fast_path, error, is_short, stride):
    for number, workload in enumerate(outcomes(fast_path, error, is_short, stride, FaultyWorkload._abandon)):
        workload.random = Random(number)
        workload.lose_power(workload.disk.root.with_name("1"), any_order=False)
        with workload.disk.installed():
            workload._start()
            workload._stop()
