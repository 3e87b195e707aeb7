"""Members of a group: in a thread, as an application polls; or in a process, which can be killed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .contract import TIMEOUT_S, Consumer, Library, Received
from .journal import Journal
from .kcat import ASSIGNED, PARTITION, SETTINGS, received

_TESTS = Path(__file__).parents[2]


def consume(
    consumer: Consumer, name: str, journal: Any, is_over: Callable[[], bool], does_commit: bool = True
) -> None:
    """Poll and commit what came, until it is over; a commit that fails is as if there had been none."""
    while not is_over():
        records = consumer.poll(0.2)
        journal.assigned(name, consumer.assignment())
        if not records:
            continue
        journal.got(name, records)
        if not does_commit:
            continue
        try:
            consumer.commit()
        except Exception:
            continue  # the broker is away, or the group rebalances: these records come again
        journal.commits({record.partition: record.offset + 1 for record in records})


class Member:
    """A consumer in a thread."""

    def __init__(self, name: str, journal: Journal, open_consumer: Callable[[], Consumer], does_commit: bool = True):
        self.name = name
        self._consumer: Consumer | None = None
        self._journal = journal
        self._open = open_consumer
        self._does_commit = does_commit
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._consumer = consumer = self._open()
            try:
                consume(consumer, self.name, self._journal, self._ends, self._does_commit)
            finally:
                self._journal.gone(self.name)
                consumer.close()
        except Exception as error:
            self._journal.failed(self.name, error)

    def rebalances(self) -> int:
        """Return how many times partitions were given to it."""
        assert self._consumer is not None
        return self._consumer.rebalances

    def _ends(self) -> bool:
        return self._is_over.is_set()

    def leave(self) -> None:
        """Close the consumer. Does nothing the second time."""
        self._is_over.set()
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive(), f"{self.name} does not end"


class ProcessMember:
    """A consumer in a process of its own: a library's with manual commits, or ``kcat -G`` with automatic ones."""

    def __init__(self, name: str, journal: Journal, client: str, bootstrap: str, topic: str, group: str) -> None:
        self.name = name
        self._journal = journal
        self._is_ending = False
        if client == "kcat":
            command = ["kcat", "-b", bootstrap, "-J", "-u", *SETTINGS, *_KCAT_SETTINGS, "-G", group, topic]
        else:
            command = [sys.executable, "-m", "support.clients.member", client, bootstrap, topic, group]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(_TESTS)},
        )
        self._readers = [
            threading.Thread(target=self._read, args=(self._process.stdout, self._printed), daemon=True),
            threading.Thread(target=self._read, args=(self._process.stderr, self._said), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, take: Callable[[str], None]) -> None:
        with contextlib.suppress(ValueError):
            for line in stream:
                take(line.strip())

    def _printed(self, line: str) -> None:
        printed = json.loads(line)
        if "topic" in printed:
            self._journal.got(self.name, [received(line)])
        elif "got" in printed:
            self._journal.got(self.name, [Received(*at, b"", value.encode(), ()) for *at, value in printed["got"]])
        elif "commits" in printed:
            self._journal.commits({int(partition): offset for partition, offset in printed["commits"].items()})
        elif "assigned" in printed and not self._is_ending:
            self._journal.assigned(self.name, frozenset(printed["assigned"]))

    def _said(self, line: str) -> None:
        found = ASSIGNED.search(line)
        if found and not self._is_ending:
            self._journal.assigned(self.name, frozenset(map(int, PARTITION.findall(found.group(1)))))

    def leave(self) -> None:
        self._end(self._process.terminate)

    def kill(self) -> None:
        self._end(self._process.kill)

    def pause(self) -> None:
        """Stop the process where it stands; it says nothing any more, and does not leave."""
        self._journal.gone(self.name)
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def _end(self, how: Callable[[], None]) -> None:
        self._is_ending = True
        self._journal.gone(self.name)
        how()
        self._process.wait(TIMEOUT_S)
        for reader in self._readers:
            reader.join(TIMEOUT_S)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


_KCAT_SETTINGS = [
    f"-X{name}={value}"
    for name, value in {
        "auto.offset.reset": "earliest",
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 500,
        "auto.commit.interval.ms": 200,
        "partition.assignment.strategy": "range",
    }.items()
]


@contextlib.contextmanager
def members(*initial: Member | ProcessMember) -> Iterator[Callable[..., Any]]:
    """Give ``add(member)``; at the end all leave."""
    everybody: list[Member | ProcessMember] = list(initial)

    def add(member: Member | ProcessMember) -> Member | ProcessMember:
        everybody.append(member)
        return member

    try:
        yield add
    finally:
        for member in everybody:
            member.leave()


class _Printed:
    """A journal that prints, for the process that started this one."""

    def assigned(self, name: str, partitions: frozenset[int]) -> None:
        self._print(assigned=sorted(partitions))

    def got(self, name: str, records: list[Received]) -> None:
        self._print(got=[[r.partition, r.offset, r.timestamp_ms, (r.value or b"").decode()] for r in records])

    def commits(self, offsets: dict[int, int]) -> None:
        self._print(commits=offsets)

    def _print(self, **what: object) -> None:
        print(json.dumps(what), flush=True)


def _main(client: str, bootstrap: str, topic: str, group: str) -> None:
    warnings.simplefilter("ignore")
    from .every import BY_NAME

    library: Library = BY_NAME[client]  # type: ignore[assignment]
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    consumer = library.open_consumer(bootstrap, topic, group)
    try:
        consume(consumer, client, _Printed(), over.is_set)
    finally:
        consumer.close()


if __name__ == "__main__":
    _main(*sys.argv[1:])
