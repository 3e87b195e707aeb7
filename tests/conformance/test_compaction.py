"""A compacted topic, read by each client, is the map of the last values of its keys."""

import gc
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from support.calls import wait_until
from support.clients.confluent import Confluent, create_topic
from support.clients.contract import CODECS, TIMEOUT_S, Client, Library, Received, Record
from support.clients.every import CLIENTS, LIBRARIES
from support.process import BrokerProcess, running

# kafka-python leaves the sockets of connections that failed to the garbage collector.
pytestmark = [
    pytest.mark.conform,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*unclosed <socket:pytest.PytestUnraisableExceptionWarning"),
]

OPTIONS = ("-c", "log.cleaner.backoff.ms=50", "-c", "log.segment.delete.delay.ms=0")
# A segment is as small as it may be, or as short, whichever comes first.
COMPACTED = {
    "cleanup_policy": "compact",
    "min_cleanable_dirty_ratio": "0.01",
    "segment_bytes": str(2**20),
    "segment_ms": "100",
}
KEYS = 40
VALUE_BYTES = 3000
ISOLATION_LEVELS = ("read_uncommitted", "read_committed")
END = b"end"  # a key of records that are there for others not to be the last ones
NUMBER = "number"

Map = dict[bytes, bytes]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Let what a client leaves behind be found in this test, not in another one."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """One broker that looks for something to compact all the time."""
    with running(tmp_path_factory.mktemp("shared") / "data", *OPTIONS) as process:
        yield process


class Source:
    """Makes random records, each with its number in a header, and knows all that it made of each key."""

    def __init__(self, seed: str, keys: int = KEYS) -> None:
        self._chance = random.Random(seed)
        self._keys = keys
        self._counter = itertools.count()
        self.made: dict[bytes, dict[int, bytes | None]] = {}

    def record(self) -> Record:
        key, number = b"key-%d" % self._chance.randrange(self._keys), next(self._counter)
        padding = self._chance.randbytes(VALUE_BYTES // 2).hex().encode()
        value = None if self._chance.random() < 0.1 else b"%s:%d:%s" % (key, number, padding)
        self.made.setdefault(key, {})[number] = value
        return Record(value, key, ((NUMBER, b"%d" % number),), partition=0)

    def last_values(self) -> Map:
        last = {key: made[max(made)] for key, made in self.made.items()}
        return {key: value for key, value in last.items() if value is not None}


def readers(codec: str = "none") -> list[Client]:
    """The clients that are here and know the codec."""
    return [client for client in CLIENTS if not client.missing(codec)]


def last_values(received: list[Received]) -> Map:
    """What a reader makes of a topic that was read from its beginning."""
    offsets = [each.offset for each in received]
    assert all(before < after for before, after in itertools.pairwise(offsets)), offsets
    last = {each.key: each.value for each in received if each.key != END}
    return {key: value for key, value in last.items() if key is not None and value is not None}


def settle(broker: BrokerProcess, topic: str, isolation_level: str = "read_uncommitted") -> None:
    """Wait until each key is there once. What is written meanwhile makes segments and dirt."""
    reader = Confluent()

    def is_settled() -> bool:
        reader.produce(broker.bootstrap, topic, [Record(b"." * VALUE_BYTES, END, partition=0)])
        keys = Counter(each.key for each in reader.read_all(broker.bootstrap, topic, isolation_level))
        return max((count for key, count in keys.items() if key != END), default=0) <= 1

    wait_until(is_settled, TIMEOUT_S)


def _writers() -> Iterator[object]:
    """Every client with every codec; the short form has each codec and each client."""
    for (c, codec), (w, writer) in itertools.product(enumerate(CODECS), enumerate(CLIENTS)):
        yield pytest.param(codec, writer, marks=[] if c % len(CLIENTS) == w else pytest.mark.slow)


@pytest.mark.parametrize(("codec", "writer"), list(_writers()))
def test_each_client_reads_the_last_values_that_a_client_wrote(
    codec: str, writer: Client, shared_broker: BrokerProcess, topic: str
) -> None:
    create_topic(shared_broker.bootstrap, topic, 1, **COMPACTED, delete_retention_ms="0")
    source = Source(topic)
    for _ in range(4):
        # kcat needs a process for each set of headers, and for tombstones.
        records = [source.record()._replace(headers=()) for _ in range(100)]
        records.sort(key=lambda record: record.value is None)
        for record in records:
            numbers = source.made[record.key or b""]
            numbers[max(numbers) + 1] = record.value
        writer.produce(shared_broker.bootstrap, topic, records, codec=codec)
        time.sleep(0.1)
    settle(shared_broker, topic)

    for reader in readers(codec):
        assert last_values(reader.read_all(shared_broker.bootstrap, topic)) == source.last_values(), reader.name


class Writing:
    """A producer in a thread, which writes ten records at a time until it is told to end."""

    PAUSE_S = 0.02

    def __init__(self, client: Library, bootstrap: str, topic: str, codec: str, keys: int) -> None:
        self.source = Source(topic, keys)
        self._acknowledged: dict[bytes, int] = {}
        self._is_over = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(client, bootstrap, topic, codec), daemon=True)
        self._thread.start()

    def _run(self, client: Library, bootstrap: str, topic: str, codec: str) -> None:
        try:
            producer = client.open_producer(bootstrap, codec=codec)
            try:
                while not self._is_over.wait(self.PAUSE_S):
                    records = [self.source.record() for _ in range(10)]
                    for record in records:
                        producer.send(topic, record)
                    producer.flush()
                    for record in records:
                        self._acknowledged[record.key or b""] = int(record.headers[0][1] or b"")
            finally:
                producer.close()
        except Exception as error:
            self._error = error

    def acknowledged(self) -> dict[bytes, int]:
        """The number of the last record of each key that is known to be in the log."""
        assert self._thread.is_alive() == (not self._is_over.is_set()), repr(self._error)
        return dict(self._acknowledged)

    def end(self) -> None:
        self._is_over.set()
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive()
        assert self._error is None, repr(self._error)


def check_read(reader: Client, bootstrap: str, topic: str, writing: Writing) -> int:
    """Read everything: of each key comes at last what was last at some time meanwhile; return how many came."""
    at_first = writing.acknowledged()
    received = reader.read_all(bootstrap, topic)
    offsets = [each.offset for each in received]
    assert all(before < after for before, after in itertools.pairwise(offsets)), reader.name
    last: dict[bytes, int] = {}
    for each in received:
        key, number = each.key or b"", int(each.headers[0][1] or b"")
        assert writing.source.made[key][number] == each.value, (reader.name, each)
        assert number > last.get(key, -1), (reader.name, each)
        last[key] = number
    late = {key: (number, last.get(key)) for key, number in at_first.items() if last.get(key, -1) < number}
    assert not late, (reader.name, late)
    return len(received)


def _lives() -> Iterator[object]:
    """Every library writes for a while, with kills and without; the short form has one short life."""
    yield pytest.param(LIBRARIES[2], "lz4", KEYS, 6, 2, id="short")
    for client, codec in zip(LIBRARIES, ("gzip", "zstd", "lz4"), strict=True):
        # So many keys that what is left of them is more than a segment.
        yield pytest.param(client, codec, 20 * KEYS, 40, 0, id=client.name, marks=pytest.mark.slow)
        yield pytest.param(client, codec, 20 * KEYS, 60, 12, id=f"{client.name}-killed", marks=pytest.mark.slow)


@pytest.mark.parametrize(("writer", "codec", "keys", "seconds", "kills"), list(_lives()))
def test_readers_see_every_key_while_the_topic_is_written_and_compacted(
    writer: Library, codec: str, keys: int, seconds: float, kills: int, tmp_path: Path, topic: str
) -> None:
    chance = random.Random(topic)
    with running(tmp_path / "data", *OPTIONS) as broker:
        create_topic(broker.bootstrap, topic, 1, **COMPACTED)
        writing = Writing(writer, broker.bootstrap, topic, codec, keys)
        wait_until(writing.acknowledged, TIMEOUT_S)
        turns = itertools.cycle(readers(codec))
        begin, killed, most = time.monotonic(), 0, 0
        while (elapsed := time.monotonic() - begin) < seconds or killed < kills:
            if elapsed > (killed + chance.random()) * seconds / (kills + 1) and killed < kills:
                broker.kill()
                broker.start()
                killed += 1
            most = max(most, check_read(next(turns), broker.bootstrap, topic, writing))
        writing.end()
        settle(broker, topic)

        for reader in readers(codec):
            received = reader.read_all(broker.bootstrap, topic)
            assert last_values(received) == writing.source.last_values(), reader.name
        made = sum(map(len, writing.source.made.values()))
        print(f"{made} records, of which at most {most} were read at once, and {len(received)} in the end")
        assert most < made


def test_of_aborted_transactions_nothing_is_left_in_a_compacted_topic(
    shared_broker: BrokerProcess, topic: str
) -> None:
    create_topic(shared_broker.bootstrap, topic, 1, **COMPACTED, delete_retention_ms="0")
    expected = _write_in_transactions(shared_broker.bootstrap, topic, 24)
    for reader in readers():
        assert last_values(reader.read_all(shared_broker.bootstrap, topic, "read_committed")) == expected, reader.name
    settle(shared_broker, topic)

    for reader, isolation_level in itertools.product(readers(), ISOLATION_LEVELS):
        received = reader.read_all(shared_broker.bootstrap, topic, isolation_level)
        assert last_values(received) == expected, (reader.name, isolation_level)

    # And again, over what is compacted.
    expected |= _write_in_transactions(shared_broker.bootstrap, topic, 12, keys=KEYS // 2)
    shared_broker.kill()
    shared_broker.start()
    for reader in readers():
        assert last_values(reader.read_all(shared_broker.bootstrap, topic, "read_committed")) == expected, reader.name
    settle(shared_broker, topic)
    for reader, isolation_level in itertools.product(readers(), ISOLATION_LEVELS):
        received = reader.read_all(shared_broker.bootstrap, topic, isolation_level)
        assert last_values(received) == expected, (reader.name, isolation_level)


def _write_in_transactions(bootstrap: str, topic: str, count: int, keys: int = KEYS) -> Map:
    """Commit every other transaction of two producers at a time; return the last values of what is committed."""
    producers = []
    for name in ("one", "two"):
        producers.append(Producer({"bootstrap.servers": bootstrap, "transactional.id": f"{topic}-{name}"}))
        producers[-1].init_transactions(TIMEOUT_S)
    expected: Map = {}
    chance = random.Random(f"{topic} {count}")
    for number in range(count):
        for producer in producers:
            producer.begin_transaction()
        written: list[Map] = [{}, {}]
        for _ in range(20):
            which = chance.randrange(2)
            key = b"key-%d" % chance.randrange(keys)
            value = b"%d:%s" % (number, chance.randbytes(VALUE_BYTES // 2).hex().encode())
            producers[which].produce(topic, value, key, partition=0)
            producers[which].flush(TIMEOUT_S)
            written[which][key] = value
        for which, producer in enumerate(producers):
            is_committed = (number + which) % 2 == 0
            end: Callable[[float], None] = producer.commit_transaction if is_committed else producer.abort_transaction
            end(TIMEOUT_S)
        time.sleep(0.02)
        expected |= written[number % 2]
    return expected
