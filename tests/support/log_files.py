"""What is put into log files, what brokers and Kafka's DumpLogSegments find in them."""

import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from support.apache_kafka import run_tool

TIMEOUT_S = 60
HOUR_MS = 3_600_000
LATEST, EARLIEST, MAX_TIMESTAMP = -1, -2, -3
DUMP = "org.apache.kafka.tools.DumpLogSegments"
INDEXES = (".index", ".timeindex")
FILES = (".log", *INDEXES, ".snapshot")
ABORTED = ".txnindex"  # of segments that have the end of an aborted transaction

_COMPLAINT = re.compile(
    r"Mismatches in|mismatch|out of order| is followed by |not found|isvalid: false|invalid bytes"
    r"|Exception|Error|Ignoring unknown|WARN|Index offset:|Indexed offset:"
)
# Kafka 4.3 says so of every segment that does not begin at 0, its own included.
_NO_COMPLAINT = re.compile(r"\s*-1 is followed by \d+")
_RECORD = re.compile(
    r"\| offset: (\d+) (?:CreateTime|LogAppendTime): (\d+) keySize: -?\d+ valueSize: -?\d+ sequence: -?\d+"
    r" headerKeys: \[(.*?)\](?: key: (key \d+))?(?: payload: (.*))?"
)
_BATCH = re.compile(
    r"baseOffset: (\d+) .* producerId: (-?\d+) producerEpoch: (-?\d+) .* isTransactional: (true|false) "
)
_MARKER = re.compile(r"\| offset: \d+ .* endTxnMarker: (COMMIT|ABORT) coordinatorEpoch: \d+")
_ABORTED = re.compile(r"version: 0 producerId: (\d+) firstOffset: (\d+) lastOffset: (\d+) lastStableOffset: (\d+)")


class Written(NamedTuple):
    """A record with what the log added."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    def dumped(self) -> "Written":
        """As DumpLogSegments shows it: an empty value is none, the values of headers are left out."""
        return self._replace(value=self.value or None, headers=tuple((name, None) for name, _ in self.headers))


class Batch(NamedTuple):
    """A batch in the log. ``marker``: how it ends a transaction, COMMIT or ABORT; empty for data."""

    base_offset: int
    producer_id: int
    producer_epoch: int
    is_transactional: bool
    marker: str = ""


class Aborted(NamedTuple):
    """An entry of a ``.txnindex`` file."""

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


def create(bootstrap: str, topic: str, config: dict[str, str]) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 1, config=config)])[topic].result(TIMEOUT_S)


def records(topic: str, count: int, keys: int = 10**6) -> Iterator[dict[str, Any]]:
    """What to produce: values that no codec makes small, no keys and no values among them, times out of order."""
    chance = random.Random(f"{topic} {count}")
    first_ms = int(time.time() * 1000) - HOUR_MS
    for number in range(count):
        headers = [("a", chance.randbytes(3)), ("b", None), ("a", b"")][: number % 4]
        special = number % 50 if keys > count else -1
        yield {
            "key": None if special == 7 else b"key %d" % chance.randrange(keys),
            "value": {8: None, 9: b""}.get(special, chance.randbytes(chance.randint(400, 800)).hex().encode()),
            "headers": headers,
            "timestamp": first_ms + number * 100 + chance.randint(0, 2000),
        }


def write(
    bootstrap: str,
    topic: str,
    count: int = 1500,
    codec: str = "none",
    keys: int = 10**6,
    until: Callable[[int], bool] | None = None,
    **settings: Any,
) -> list[Written]:
    """Produce ``count`` records in many batches and return them as they were acknowledged.

    ``until``: is told how many were acknowledged and says when to stop; what is under way then is given up.
    """
    acknowledged: list[Written] = []
    idempotent = {"enable.idempotence": True, "compression.type": codec, "batch.num.messages": 20, "linger.ms": 5}
    producer = Producer({"bootstrap.servers": bootstrap, **idempotent, **settings})
    transactional = "transactional.id" in settings
    if transactional:
        producer.init_transactions(TIMEOUT_S)
        producer.begin_transaction()
    for sent in records(topic, count, keys):

        def taken(error: KafkaError | None, message: Any, sent: dict[str, Any] = sent) -> None:
            if error is None:
                time_ms = message.timestamp()[1]
                headers = tuple(sent["headers"])
                acknowledged.append(Written(message.offset(), time_ms, sent["key"], sent["value"], headers))

        producer.produce(topic, partition=0, on_delivery=taken, **sent)
        producer.poll(0 if until is None else 0.001)
        if until is not None and until(len(acknowledged)):
            break
    if until is None:
        assert producer.flush(TIMEOUT_S) == 0
        assert len(acknowledged) == count
    else:
        producer.purge()
        producer.flush(TIMEOUT_S)
    if transactional:
        producer.commit_transaction(TIMEOUT_S)
    return sorted(acknowledged)


def read(bootstrap: str, topic: str, isolation_level: str = "read_uncommitted") -> list[Written]:
    """All records of a topic's only partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": isolation_level,
            "check.crcs": True,
        }
    )
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    found: list[Written] = []
    try:
        while True:
            message = consumer.poll(TIMEOUT_S)
            assert message is not None, f"nothing came after {found[-1:]}"
            error = message.error()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                return found
            headers = tuple(message.headers() or ())
            found.append(Written(message.offset(), message.timestamp()[1], message.key(), message.value(), headers))
    finally:
        consumer.close()


def found_by_time(bootstrap: str, topic: str, known: list[Written]) -> dict[int, tuple[int, int]]:
    """The answers of ListOffsets, (offset, timestamp), to several timestamps and to those of KIP-79 and KIP-734."""
    times = {record.timestamp_ms + more for record in known[:: max(1, len(known) // 20)] for more in (0, 1)}
    late = {max(record.timestamp_ms for record in known) + more for more in (0, 1)}
    specs = {EARLIEST: OffsetSpec.earliest(), LATEST: OffsetSpec.latest(), MAX_TIMESTAMP: OffsetSpec.max_timestamp()}
    specs |= {time_ms: OffsetSpec.for_timestamp(time_ms) for time_ms in sorted({0} | times | late)}
    admin = AdminClient({"bootstrap.servers": bootstrap})
    answers = {}
    for time_ms, spec in specs.items():
        (future,) = admin.list_offsets({TopicPartition(topic, 0): spec}).values()
        result = future.result(TIMEOUT_S)
        answers[time_ms] = (result.offset, result.timestamp)
    return answers


class Dumped(NamedTuple):
    """What DumpLogSegments said of the files of a data directory.

    ``records``, ``producers`` (the number of entries in snapshots), ``batches`` and ``aborted`` are those of a
    partition's folder.
    """

    complaints: list[str]
    records: dict[str, list[Written]]
    producers: dict[str, int]
    batches: dict[str, list[Batch]]
    aborted: dict[str, list[Aborted]]
    files: list[str]


def dump(data_dir: Path) -> Dumped:
    """Run the tool in each of its ways over every file of the partitions, Kafka's own left out."""
    files = [path for path in sorted(data_dir.glob("[!_]*-*/*")) if path.suffix in (*FILES, ABORTED)]
    assert files
    indexes = [path for path in files if path.suffix in INDEXES]
    whole = _run(files, "--deep-iteration", "--print-data-log")
    sanity = set(_run(indexes, "--index-sanity-check"))
    sane = [
        f"{path} passed sanity check." if path.stat().st_size or path.suffix != ".index" else f"{path} is empty."
        for path in indexes
    ]
    complaints = [*_complaints(whole), *_complaints(_run(indexes, "--verify-index-only"))]
    complaints += [f"not said: {line}" for line in sane if line not in sanity]
    return Dumped(complaints, *_parsed(whole), *_transactions(whole), [str(path) for path in files])


def _complaints(lines: list[str]) -> list[str]:
    return [line for line in lines if _COMPLAINT.search(line) and not _NO_COMPLAINT.fullmatch(line)]


def _run(files: list[Path], *options: str) -> list[str]:
    done = run_tool(DUMP, *options, "--files", ",".join(map(str, files)), timeout=300)
    return [*done.stdout.splitlines(), *done.stderr.splitlines(), *([f"Error: {done.status}"] if done.status else [])]


def _by_folder(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Each line with the folder of the file that it is about."""
    folder = ""
    for line in lines:
        if line.startswith("Dumping "):
            folder = Path(line.removeprefix("Dumping ")).parent.name
        else:
            yield folder, line


def _parsed(lines: list[str]) -> tuple[dict[str, list[Written]], dict[str, int]]:
    found: dict[str, list[Written]] = {}
    producers: dict[str, int] = {}
    for folder, line in _by_folder(lines):
        if line.startswith("producerId: "):
            producers[folder] = producers.get(folder, 0) + 1
        elif match := _RECORD.fullmatch(line):
            offset, timestamp_ms, names, key, value = match.groups()
            headers = tuple((name, None) for name in names.split(",") if name)
            content = (key.encode() if key else None, value.encode() if value else None)
            found.setdefault(folder, []).append(Written(int(offset), int(timestamp_ms), *content, headers))
    return found, producers


def _transactions(lines: list[str]) -> tuple[dict[str, list[Batch]], dict[str, list[Aborted]]]:
    batches: dict[str, list[Batch]] = {}
    aborted: dict[str, list[Aborted]] = {}
    for folder, line in _by_folder(lines):
        if match := _BATCH.match(line):
            *numbers, is_transactional = match.groups()
            batch = Batch(*map(int, numbers), is_transactional == "true")
            batches.setdefault(folder, []).append(batch)
        elif match := _MARKER.match(line):
            batches[folder][-1] = batches[folder][-1]._replace(marker=match[1])
        elif match := _ABORTED.fullmatch(line):
            aborted.setdefault(folder, []).append(Aborted(*map(int, match.groups())))
    return batches, aborted
