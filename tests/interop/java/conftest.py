"""What the tests of the Java tools and clients share.

Where Barnabas has words of its own for an error, the class of the exception and what the message names count.
"""

import re
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from support.apache_kafka import ApacheKafka
from support.kafka_tools import Printed, Tools
from support.process import BrokerProcess

START_TIMEOUT_S = 20
ERROR_CLASS = re.compile(r"org\.apache\.kafka\.common\.(?:errors\.)?(\w+): (.*)")


@pytest.fixture(scope="session")
def run(server: BrokerProcess | ApacheKafka) -> Tools:
    """Runs one of Apache Kafka's command line tools against the broker."""
    return Tools(server.bootstrap)


Refused = Callable[..., None]


@pytest.fixture(scope="session")
def refused() -> Refused:
    """Asserts that a tool met an exception of a class, whose message, in whatever words, names what it is about."""

    def refused(printed: Printed, error: str, *named: str) -> None:
        told = [found.groups() for line in printed.errors if (found := ERROR_CLASS.search(line))]
        assert [name for name, _ in told] == [error], printed
        assert [word for word in named if word not in told[0][1]] == [], told[0][1]

    return refused


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name for a topic or group that no other test has; neither '.' nor '_', about which kafka-topics warns."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name.removeprefix("test_")).strip("-")


@pytest.fixture
def topic(server: BrokerProcess | ApacheKafka, name: str) -> str:
    """A topic of two partitions."""
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    for created in admin.create_topics([NewTopic(name, num_partitions=2)]).values():
        created.result(START_TIMEOUT_S)
    return name


@pytest.fixture
def records(server: BrokerProcess | ApacheKafka, topic: str) -> str:
    """``topic`` with records a, b, c (timestamps 1000, 3000, 2000) in partition 0 and d in partition 1."""
    producer = Producer({"bootstrap.servers": server.bootstrap})
    for value, partition, timestamp in [("a", 0, 1000), ("b", 0, 3000), ("c", 0, 2000), ("d", 1, 1000)]:
        producer.produce(topic, value, partition=partition, timestamp=timestamp)
        assert producer.flush(START_TIMEOUT_S) == 0
    return topic


@pytest.fixture
def join(server: BrokerProcess | ApacheKafka) -> Iterator[Callable[[str, str], Consumer]]:
    """Puts a live member with client id ``member`` into a group; it leaves when the test ends, if not before."""
    consumers: list[Consumer] = []

    def join(group: str, topic: str) -> Consumer:
        consumer = Consumer(
            {
                "bootstrap.servers": server.bootstrap,
                "group.id": group,
                "client.id": "member",
                "enable.auto.commit": False,
                "partition.assignment.strategy": "range",
            }
        )
        consumers.append(consumer)
        assigned: list[object] = []
        consumer.subscribe([topic], on_assign=lambda _, partitions: assigned.extend(partitions))
        for _ in range(START_TIMEOUT_S * 10):
            consumer.poll(0.1)
            if assigned:
                return consumer
        raise AssertionError(f"no partition was assigned in {START_TIMEOUT_S} s")

    yield join
    for consumer in consumers:
        consumer.close()
