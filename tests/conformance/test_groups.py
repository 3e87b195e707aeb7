"""Consumers that share a topic: each record goes to one of them, and what one leaves another one takes over."""

from collections.abc import Callable, Iterable

import pytest
from support.clients.confluent import create_topic
from support.clients.contract import Client, Library, Record
from support.clients.every import BY_NAME, CLIENTS, LIBRARIES, short_with
from support.clients.journal import Journal
from support.clients.member import Member, ProcessMember, members
from support.process import BrokerProcess

pytestmark = pytest.mark.conform

PARTITIONS = 6
BATCH = 60
CONFLUENT: Library = next(library for library in LIBRARIES if library.name == "confluent-kafka")


class Topic:
    """A topic of some partitions, to which ``write`` adds one batch after the other, evenly."""

    def __init__(self, broker: BrokerProcess, name: str) -> None:
        self.name = name
        self.broker = broker
        self.written: set[bytes] = set()
        create_topic(broker.bootstrap, name, PARTITIONS)

    def write(self) -> set[bytes]:
        """Add a batch and return all values that have been written."""
        first = len(self.written)
        records = [Record(f"{n}".encode(), partition=n % PARTITIONS) for n in range(first, first + BATCH)]
        CONFLUENT.produce(self.broker.bootstrap, self.name, records)
        self.written |= {record.value for record in records if record.value is not None}
        return self.written

    def ends(self) -> dict[int, int]:
        return dict.fromkeys(range(PARTITIONS), len(self.written) // PARTITIONS)


@pytest.fixture
def shared(shared_broker: BrokerProcess, topic: str) -> Topic:
    return Topic(shared_broker, topic)


def _join(journal: Journal, topic: Topic) -> Callable[..., Member | ProcessMember]:
    def join(client: Client, name: str, process: bool = False, **settings: object) -> Member | ProcessMember:
        if process or client.name == "kcat":
            return ProcessMember(name, journal, client.name, topic.broker.bootstrap, topic.name, topic.name)
        library: Library = client  # type: ignore[assignment]
        return Member(
            name, journal, lambda: library.open_consumer(topic.broker.bootstrap, topic.name, topic.name, **settings)
        )

    return join


def _once(journal: Journal, values: Iterable[bytes]) -> bool:
    counts = journal.values()
    return counts.keys() == set(values) and set(counts.values()) == {1}


@pytest.mark.parametrize("client", short_with(CLIENTS, "kafka-python"))
def test_members_that_come_and_go_handle_each_record_once(client: Client, shared: Topic) -> None:
    journal = Journal()
    join = _join(journal, shared)
    with members() as add:
        add(join(client, "first"))
        journal.until_received(shared.write())
        journal.until_shared(PARTITIONS, "first")

        second = add(join(client, "second"))
        journal.until_shared(PARTITIONS, "first", "second")
        journal.until_received(shared.write())

        second.leave()
        journal.until_shared(PARTITIONS, "first")
        journal.until_received(shared.write())

    assert _once(journal, shared.written)
    assert journal.repeated == []
    assert {name for name, _ in journal.received} == {"first", "second"}


@pytest.mark.parametrize("client", short_with(LIBRARIES, "aiokafka"))
def test_what_the_members_committed_is_what_they_handled(client: Library, shared: Topic) -> None:
    journal = Journal()
    join = _join(journal, shared)
    with members() as add:
        add(join(client, "first"))
        add(join(client, "second"))
        journal.until_shared(PARTITIONS, "first", "second")
        journal.until_received(shared.write())
        journal.until_committed(shared.ends())

    consumer = client.open_consumer(shared.broker.bootstrap, shared.name, shared.name)
    try:
        assert {partition: consumer.committed(partition) for partition in range(PARTITIONS)} == shared.ends()
    finally:
        consumer.close()


@pytest.mark.parametrize("client", short_with(CLIENTS, "aiokafka"))
def test_the_others_take_over_from_a_member_that_was_killed(client: Client, shared: Topic) -> None:
    journal = Journal()
    join = _join(journal, shared)
    with members() as add:
        add(join(client, "survivor"))
        victim = add(join(client, "victim", process=True))
        journal.until_shared(PARTITIONS, "survivor", "victim")
        journal.until_received(shared.write())

        victim.kill()
        journal.until_received(shared.write())
        journal.until_shared(PARTITIONS, "survivor")

    assert journal.repeated == []
    assert journal.values().keys() == shared.written


@pytest.mark.slow
@pytest.mark.parametrize("client", LIBRARIES)
def test_the_others_take_over_from_a_member_that_fell_silent(client: Library, shared: Topic) -> None:
    journal = Journal()
    join = _join(journal, shared)
    with members() as add:
        silent = add(join(client, "silent", process=True))
        journal.until_shared(PARTITIONS, "silent")
        add(join(client, "other"))
        journal.until_shared(PARTITIONS, "other", "silent")

        silent.pause()
        journal.until_shared(PARTITIONS, "other")
        journal.until_received(shared.write())
        silent.resume()
        journal.until_shared(PARTITIONS, "other", "silent")
        journal.until_received(shared.write())

    assert journal.values().keys() == shared.written


@pytest.mark.parametrize("client", short_with(LIBRARIES, "confluent-kafka"))
def test_a_static_member_that_restarts_in_time_keeps_its_partitions_without_a_rebalance(
    client: Library, shared: Topic
) -> None:
    journal = Journal()
    join = _join(journal, shared)
    with members() as add:
        stays = add(join(client, "stays", instance_id="one", session_timeout_ms=60_000))
        journal.until_shared(PARTITIONS, "stays")
        first_life = add(join(client, "restarts", instance_id="two", session_timeout_ms=60_000))
        journal.until_shared(PARTITIONS, "stays", "restarts")
        before = dict(journal.assignments)
        journal.until_received(shared.write())
        rebalances = stays.rebalances()

        first_life.leave()
        add(join(client, "restarts", instance_id="two", session_timeout_ms=60_000))
        journal.until_shared(PARTITIONS, "stays", "restarts")
        journal.until_received(shared.write())

        assert stays.rebalances() == rebalances
        assert journal.assignments == before

    assert _once(journal, shared.written)


def test_members_of_three_libraries_share_a_topic(shared: Topic) -> None:
    journal = Journal()
    join = _join(journal, shared)
    with members() as add:
        for count, library in enumerate(LIBRARIES, 1):
            add(join(library, library.name))
            journal.until_shared(PARTITIONS, *(joined.name for joined in LIBRARIES[:count]))
            journal.until_received(shared.write())

    assert _once(journal, shared.written)
    assert journal.repeated == []
    assert {name for name, _ in journal.received} == {library.name for library in LIBRARIES}


@pytest.mark.parametrize("kcat", [BY_NAME["kcat"]])
def test_kcat_shares_a_topic_with_the_libraries(kcat: Client, shared: Topic) -> None:
    journal = Journal()
    join = _join(journal, shared)
    with members() as add:
        add(join(kcat, "kcat"))
        for library in LIBRARIES:
            add(join(library, library.name))
        journal.until_shared(PARTITIONS, "kcat", *(library.name for library in LIBRARIES))
        journal.until_received(shared.write())

    assert _once(journal, shared.written)
