"""The broker ends and comes back: producers and consumers go on, and nothing that was promised is lost."""

import gc
import threading
from collections.abc import Iterator

import pytest
from support.clients.confluent import create_topic
from support.clients.contract import TIMEOUT_S, Library, Record
from support.clients.every import LIBRARIES
from support.clients.journal import Journal
from support.clients.member import Member, members
from support.process import BrokerProcess

# kafka-python leaves the sockets of connections that failed to the garbage collector.
pytestmark = [
    pytest.mark.conform,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*unclosed <socket:pytest.PytestUnraisableExceptionWarning"),
]

PARTITIONS = 3
RECORDS = 600
ENDS = ("SIGTERM", "SIGKILL")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Let what a client leaves behind be found in this test, not in another one."""
    yield
    gc.collect()


class Writing:
    """Writes numbers with acks=all in a thread, ``BATCH`` at a time, each batch acknowledged before the next."""

    BATCH = 6

    def __init__(self, client: Library, bootstrap: str, topic: str) -> None:
        self._progress = threading.Condition()
        self._acknowledged = 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(client, bootstrap, topic), daemon=True)
        self._thread.start()

    def _run(self, client: Library, bootstrap: str, topic: str) -> None:
        try:
            producer = client.open_producer(bootstrap)
            try:
                for first in range(0, RECORDS, self.BATCH):
                    for n in range(first, first + self.BATCH):
                        producer.send(topic, Record(f"{n}".encode(), partition=n % PARTITIONS))
                    producer.flush()
                    with self._progress:
                        self._acknowledged = first + self.BATCH
                        self._progress.notify_all()
            finally:
                producer.close()
        except Exception as error:
            with self._progress:
                self._error = error
                self._progress.notify_all()

    def until(self, count: int) -> None:
        """Wait until so many records are acknowledged."""
        with self._progress:
            came = self._progress.wait_for(lambda: self._error or self._acknowledged >= count, TIMEOUT_S)
            if self._error is not None:
                raise self._error
            assert came, f"{self._acknowledged} of {count} records acknowledged in {TIMEOUT_S} s"

    def end(self) -> None:
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive()


def _cases() -> Iterator[object]:
    """Every client with both ends; the short form takes each client once and each end at least once."""
    for at, client in enumerate(LIBRARIES):
        for end in ENDS:
            is_short = end == ENDS[at % 2]
            yield pytest.param(client, end, marks=[] if is_short else pytest.mark.slow)


@pytest.mark.parametrize(("client", "end"), list(_cases()))
def test_clients_go_on_through_a_restart_and_lose_and_repeat_nothing(
    client: Library, end: str, broker: BrokerProcess
) -> None:
    create_topic(broker.bootstrap, "topic", PARTITIONS)
    journal = Journal()
    writing = Writing(client, broker.bootstrap, "topic")
    with members() as add:
        add(Member("consumer", journal, lambda: client.open_consumer(broker.bootstrap, "topic", "group")))
        journal.until("some records", lambda journal: len(journal.received) >= RECORDS // 10)
        writing.until(RECORDS // 5)

        if end == "SIGTERM":
            assert broker.stop() == 0
        else:
            broker.kill()
        broker.start()

        writing.until(RECORDS)
        writing.end()
        journal.until_received({f"{n}".encode() for n in range(RECORDS)})
        journal.until_committed(journal.ends())

    assert journal.repeated == []
    in_the_log = client.read(broker.bootstrap, "topic", RECORDS)
    for partition in range(PARTITIONS):
        numbers = [int(r.value or b"-1") for r in in_the_log if r.partition == partition]
        assert numbers == list(range(partition, RECORDS, PARTITIONS))

    consumer = client.open_consumer(broker.bootstrap, "topic", "group")
    try:
        committed = {partition: consumer.committed(partition) for partition in range(PARTITIONS)}
    finally:
        consumer.close()
    assert committed == dict.fromkeys(range(PARTITIONS), RECORDS // PARTITIONS)
