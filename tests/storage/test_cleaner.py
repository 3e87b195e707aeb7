"""The process that compacts."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.compacting import carry_out, keyed_batch, plan_for
from support.logs import START_MS, LogFolder, Settings, append, sync

from barnabas.storage.cleaner import NICENESS, CleanerProcess, CleaningFailed, limited
from barnabas.storage.clock import ManualClock
from barnabas.storage.compaction import Cleaned, Plan

NOW = START_MS + 10_000


@pytest.fixture
def worker() -> Iterator[CleanerProcess]:
    worker = CleanerProcess()
    yield worker
    worker.stop()


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A log of four segments, with all kinds of things in it."""
    log = LogFolder(tmp_path / "data", Settings(is_compacted=True), ManualClock(START_MS)).open()
    for number in range(40):
        producer = {"producer_id": 5, "producer_epoch": 0, "base_sequence": number}
        append(log, keyed_batch((b"\xff%d" % (number % 7), b"x" * 300), timestamp=START_MS, **producer))
        if number % 10 == 9:
            log.roll()
    sync(log)
    log.let_go()
    return plan_for(log, NOW)


def cleaned_files(plan: Plan) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(plan.directory).glob("*.cleaned")}


def slow(plan: Plan) -> Plan:
    """So slow that it takes hours."""
    return plan._replace(bytes_per_second=1.0)


def wait_for(what: Any) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_does_what_would_be_done_here(worker, plan):
    wanted = [*carry_out(plan)]
    files = cleaned_files(plan)
    assert files
    assert list(worker.clean(plan)) == wanted
    assert cleaned_files(plan) == files


def test_who_does_not_want_the_rest_ends_the_process(worker, plan):
    steps = worker.clean(plan._replace(segment_bytes=1))
    assert next(steps) == Cleaned([0])
    process = worker._process
    steps.close()
    assert process.poll() is not None
    assert list(worker.clean(plan))


def test_it_is_one_process_for_many_plans(worker, plan):
    list(worker.clean(plan))
    first = worker._process
    list(worker.clean(plan))
    assert worker._process is first


# Errors


def test_a_segment_that_is_missing_is_an_error_of_the_system(worker, plan):
    (Path(plan.directory) / f"{10:020d}.log").unlink()
    with pytest.raises(CleaningFailed, match="FileNotFoundError") as caught:
        list(worker.clean(plan))
    assert caught.value.number == errno.ENOENT


def test_a_damaged_batch_is_an_error_without_a_number(worker, plan):
    path = Path(plan.directory) / f"{10:020d}.log"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(CleaningFailed, match="BatchCorrupt") as caught:
        list(worker.clean(plan))
    assert caught.value.number is None


def test_it_is_nicer_than_who_serves_clients(worker, plan):
    list(worker.clean(plan))
    ours, its = (os.getpriority(os.PRIO_PROCESS, pid) for pid in (0, worker._process.pid))
    assert its == min(ours + NICENESS, 19)


def test_it_goes_on_after_an_error(worker, plan):
    with pytest.raises(CleaningFailed):
        list(worker.clean(plan._replace(bases=[5])))
    process = worker._process
    assert list(worker.clean(plan))
    assert worker._process is process


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process")
def test_a_write_that_fails_is_told_with_the_number_of_its_error(worker, plan):
    list(worker.clean(plan))
    resource.prlimit(worker._process.pid, resource.RLIMIT_FSIZE, (100, 100))
    with pytest.raises(CleaningFailed) as caught:
        list(worker.clean(plan))
    assert caught.value.number == errno.EFBIG


# Ends


def test_one_that_was_killed_fails_and_the_next_plan_has_another(worker, plan):
    list(worker.clean(plan))
    first = worker._process
    threading.Timer(0.3, lambda: os.kill(first.pid, signal.SIGKILL)).start()
    with pytest.raises(CleaningFailed, match="ended with status -9"):
        list(worker.clean(slow(plan)))
    assert list(worker.clean(plan))
    assert worker._process is not first


def test_one_that_was_killed_while_it_had_nothing_to_do_is_replaced(worker, plan):
    list(worker.clean(plan))
    first = worker._process
    first.kill()
    first.wait()
    assert list(worker.clean(plan))


def test_one_that_reads_no_more_fails_and_can_be_stopped(worker, plan):
    worker._process = subprocess.Popen(
        [sys.executable, "-c", "import os, time; os.close(0); print(flush=True); time.sleep(60)"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    worker._process.stdout.readline()
    with pytest.raises(CleaningFailed) as caught:
        list(worker.clean(plan))
    assert caught.value.number == errno.EPIPE
    worker.stop()


def test_it_is_stopped_from_another_thread_whatever_it_does(worker, plan):
    failures: list[CleaningFailed] = []

    def work() -> None:
        try:
            list(worker.clean(slow(plan)))
        except CleaningFailed as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: worker._process is not None)
    process = worker._process
    worker.stop()
    thread.join(30)
    assert len(failures) == 1
    assert process.poll() is not None


def test_what_was_stopped_starts_no_more_processes(worker, plan):
    """It may be stopped a moment before the thread that has the plan gets to it."""
    worker.stop()
    with pytest.raises(CleaningFailed, match="stopped"):
        list(worker.clean(plan))
    worker.stop()


def test_it_ends_when_its_parent_does(plan):
    """The parent is killed while its cleaner works: nobody stops that, and its pipes say nothing."""
    script = (
        "import json, sys; from barnabas.storage.cleaner import CleanerProcess; from barnabas.storage.compaction"
        " import Plan; worker = CleanerProcess(); print(worker._running().pid, flush=True);"
        " list(worker.clean(Plan(**json.loads(sys.stdin.readline()))))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.stdin.write(json.dumps(slow(plan)._asdict()) + "\n")
        parent.stdin.flush()
        wait_for(lambda: cleaned_files(plan) or len(os.listdir(f"/proc/{pid}/fd")) > 3)
        parent.kill()
    wait_for(lambda: not is_running(pid))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_ends_when_there_are_no_more_plans(worker, plan):
    list(worker.clean(plan))
    process = worker._process
    process.stdin.close()
    assert process.wait(30) == 0
    process.stdout.close()
    worker._process = None


# Speed


def rests_of(clock: ManualClock, bytes_per_second: float) -> tuple[Callable[[int], None], list[float]]:
    """What keeps to a speed by a clock that goes on as long as it rests, and its rests."""
    rests: list[float] = []

    def rest(seconds: float) -> None:
        assert seconds >= 0
        rests.append(seconds)
        clock.advance(seconds)

    return limited(bytes_per_second, lambda: False, clock, rest), rests


def test_it_is_not_faster_than_it_may_be():
    clock = ManualClock()
    pace, rests = rests_of(clock, 1000)
    for number in range(1, 101):
        pace(200)
        assert clock.monotonic() >= number * 0.2 - 0.06
    assert clock.monotonic() <= 20
    assert max(rests) <= 1.0


def test_one_that_is_slow_by_itself_never_rests():
    clock = ManualClock()
    pace, rests = rests_of(clock, 1000)
    for _ in range(100):
        clock.advance(0.2)
        pace(200)
    assert rests == []


def test_a_large_batch_is_one_long_rest_in_steps_of_a_second():
    clock = ManualClock()
    pace, rests = rests_of(clock, 1000)
    pace(4500)
    assert rests[:4] == [1.0, 1.0, 1.0, 1.0]
    assert clock.monotonic() >= 4.4


@pytest.mark.parametrize("bytes_per_second", [0.0, -5.0])
def test_a_speed_of_nothing_is_a_byte_per_second(bytes_per_second):
    clock = ManualClock()
    pace, _ = rests_of(clock, bytes_per_second)
    pace(30)
    assert clock.monotonic() == pytest.approx(30, abs=1)


@pytest.mark.parametrize("bytes_per_second", [1000.0, 1e300])
def test_it_looks_whether_it_is_over_when_it_rests_and_every_few_megabytes(bytes_per_second):
    clock = ManualClock()
    asked = []
    pace = limited(bytes_per_second, lambda: asked.append(1) is None and len(asked) > 3, clock, clock.advance)
    with pytest.raises(SystemExit):
        for _ in range(100):
            pace(2**20)
    assert len(asked) == 4
