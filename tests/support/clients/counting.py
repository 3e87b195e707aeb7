"""A member of a group in a process of its own, which writes down what it processed before it commits it.

Its journal is a file of JSON lines, each written by one call, so that a SIGKILL loses none.
"""

import json
import os
import random
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

from .contract import Consumer, Library

WORK_S = 0.02
PAUSE_AFTER_ERROR_S = 0.2
DEBUG = "LIBRDKAFKA_DEBUG"  # such as "cgrp,protocol": what it tells of consumer groups lies beside the journals


class FileJournal:
    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def note(self, **what: object) -> None:
        os.write(self._file, json.dumps({"at": time.time(), **what}).encode() + b"\n")


def open_consumer(kind: str, bootstrap: str, topic: str, group: str, session_timeout_ms: int) -> Consumer:
    """``kind``: a library, or ``confluent-consumer`` for confluent-kafka with the consumer protocol."""
    if kind == "confluent-consumer":
        from .confluent import ConfluentConsumer

        settings: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "group.protocol": "consumer",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "reconnect.backoff.max.ms": 500,
            "log_level": 2,
        }
        if DEBUG in os.environ:
            settings |= {"debug": os.environ[DEBUG], "log_level": 7}
        return ConfluentConsumer(topic, settings)
    from .every import BY_NAME

    library: Library = BY_NAME[kind]  # type: ignore[assignment]
    return library.open_consumer(bootstrap, topic, group, session_timeout_ms=session_timeout_ms)


def count(consumer: Consumer, journal: FileJournal, is_over: threading.Event, chance: random.Random) -> None:
    """Process and commit batch after batch."""
    while not is_over.is_set():
        try:
            records = consumer.poll(0.2)
        except Exception as error:
            journal.note(error=f"poll: {error!r}")
            time.sleep(PAUSE_AFTER_ERROR_S)
            continue
        if not records:
            continue
        journal.note(processed=[[r.partition, r.offset, (r.value or b"").decode()] for r in records])
        time.sleep(chance.uniform(0, WORK_S))
        offsets: dict[int, int] = {}
        for record in records:
            offsets[record.partition] = record.offset + 1
        journal.note(commits=offsets)
        try:
            consumer.commit()
        except Exception as error:
            journal.note(refused=repr(error))
        else:
            journal.note(committed=True)


def main(kind: str, bootstrap: str, topic: str, group: str, path: str, session_timeout_ms: str, seed: str) -> None:
    warnings.simplefilter("ignore")
    is_over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: is_over.set())
    journal = FileJournal(path)
    consumer: Consumer | None = None
    while consumer is None and not is_over.is_set():
        try:
            consumer = open_consumer(kind, bootstrap, topic, group, int(session_timeout_ms))
        except Exception as error:
            journal.note(error=f"open: {error!r}")
            time.sleep(PAUSE_AFTER_ERROR_S)
    if consumer is None:
        return
    journal.note(opened=Path(path).stem)
    try:
        count(consumer, journal, is_over, random.Random(seed))
    finally:
        consumer.close()
    journal.note(closed=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
