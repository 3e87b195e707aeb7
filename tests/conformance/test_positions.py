"""Where a consumer reads: commits, restarts, seeking, and looking up times."""

from collections.abc import Callable

import pytest
from support.clients.contract import Client, Consumer, Library, Received, Record
from support.clients.every import BY_NAME, LIBRARIES, short_with
from support.clients.kcat import Kcat
from support.process import BrokerProcess

pytestmark = pytest.mark.conform

START_MS = 1_700_000_000_000


def _write(client: Client, broker: BrokerProcess, topic: str, first: int, last: int) -> None:
    records = [Record(f"{n}".encode(), timestamp_ms=START_MS + 1000 * n) for n in range(first, last)]
    client.produce(broker.bootstrap, topic, records)


def _take(consumer: Consumer, count: int, poll_s: float = 1) -> list[int]:
    """Poll until ``count`` records have come and return their numbers."""
    received: list[Received] = []
    polls = 0
    while len(received) < count:
        received += consumer.poll(poll_s)
        polls += 1
        assert polls < 60 + count, f"only {len(received)} of {count} records"
    return [int(record.value or b"-1") for record in received]


@pytest.mark.parametrize("client", LIBRARIES)
def test_a_consumer_goes_on_where_the_last_commit_was(
    client: Library, shared_broker: BrokerProcess, topic: str
) -> None:
    _write(client, shared_broker, topic, 0, 10)
    consumer = client.open_consumer(shared_broker.bootstrap, topic, topic)
    try:
        assert _take(consumer, 10) == list(range(10))
        consumer.commit()
        assert consumer.committed(0) == 10
        _write(client, shared_broker, topic, 10, 15)
        assert _take(consumer, 5) == list(range(10, 15))  # and no commit
    finally:
        consumer.close()

    consumer = client.open_consumer(shared_broker.bootstrap, topic, topic)
    try:
        assert consumer.committed(0) == 10
        assert _take(consumer, 5) == list(range(10, 15))
        consumer.commit()
        assert consumer.committed(0) == 15
    finally:
        consumer.close()


@pytest.mark.parametrize("client", LIBRARIES)
def test_a_consumer_that_commits_by_itself_goes_on_where_it_stopped(
    client: Library, shared_broker: BrokerProcess, topic: str
) -> None:
    for turn in range(2):
        first, last = 10 * turn, 10 * turn + 10
        _write(client, shared_broker, topic, first, last)
        consumer = client.open_consumer(shared_broker.bootstrap, topic, topic, auto_commit=True)
        try:
            assert _take(consumer, 10) == list(range(first, last))
        finally:
            consumer.close()


@pytest.mark.parametrize("client", short_with(LIBRARIES, "aiokafka"))
def test_a_group_that_never_committed_has_no_position(
    client: Library, shared_broker: BrokerProcess, topic: str
) -> None:
    _write(client, shared_broker, topic, 0, 3)
    consumer = client.open_consumer(shared_broker.bootstrap, topic, topic)
    try:
        assert _take(consumer, 3) == [0, 1, 2]
        assert consumer.committed(0) is None
    finally:
        consumer.close()


@pytest.mark.parametrize("client", short_with(LIBRARIES, "kafka-python"))
def test_a_consumer_can_replay_from_the_beginning_an_offset_or_a_time(
    client: Library, shared_broker: BrokerProcess, topic: str
) -> None:
    _write(client, shared_broker, topic, 0, 10)
    consumer = client.open_consumer(shared_broker.bootstrap, topic, topic)
    try:
        assert _take(consumer, 10) == list(range(10))

        consumer.seek_to_beginning()
        assert _take(consumer, 10) == list(range(10))

        consumer.seek(0, 7)
        assert _take(consumer, 3) == [7, 8, 9]

        since = consumer.offset_for_time(0, START_MS + 4001)
        assert since == 5
        consumer.seek(0, since)
        assert _take(consumer, 5) == [5, 6, 7, 8, 9]
    finally:
        consumer.close()


@pytest.mark.parametrize("client", short_with(LIBRARIES, "kafka-python"))
def test_a_time_leads_to_the_first_record_that_is_not_older(
    client: Library, shared_broker: BrokerProcess, topic: str
) -> None:
    _write(client, shared_broker, topic, 0, 10)
    consumer = client.open_consumer(shared_broker.bootstrap, topic, topic)
    try:
        _take(consumer, 10)
        ask: Callable[[int], int | None] = lambda ms: consumer.offset_for_time(0, START_MS + ms)  # noqa: E731
        found = [ask(-1), ask(0), ask(1), ask(9000), ask(9001)]
    finally:
        consumer.close()

    # Past the last record there is none; librdkafka reports that as the end, which is not an offset.
    assert found == [0, 0, 1, 9, None]


@pytest.mark.parametrize("kcat", [BY_NAME["kcat"]])
def test_kcat_finds_and_replays_from_a_time(kcat: Kcat, shared_broker: BrokerProcess, topic: str) -> None:
    _write(LIBRARIES[0], shared_broker, topic, 0, 10)

    found = kcat.run(shared_broker.bootstrap, "-Q", "-t", f"{topic}:0:{START_MS + 4001}")
    replayed = kcat.run(shared_broker.bootstrap, "-C", "-t", topic, "-o", f"s@{START_MS + 7000}", "-e", "-q")

    assert found.split() == [topic, "[0]", "offset", "5"]
    assert replayed.split() == ["7", "8", "9"]


@pytest.mark.parametrize("kcat", [BY_NAME["kcat"]])
def test_kcat_in_a_group_goes_on_where_it_stopped(kcat: Kcat, shared_broker: BrokerProcess, topic: str) -> None:
    read = ["-G", topic, topic, "-q", "-X", "auto.offset.reset=earliest", "-c", "5"]
    _write(LIBRARIES[0], shared_broker, topic, 0, 10)

    first = kcat.run(shared_broker.bootstrap, *read)
    second = kcat.run(shared_broker.bootstrap, *read)

    assert (first.split(), second.split()) == (["0", "1", "2", "3", "4"], ["5", "6", "7", "8", "9"])
