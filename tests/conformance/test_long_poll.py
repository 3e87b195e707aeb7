"""An idle consumer is given a new record when it comes, not when its fetch would have ended."""

import time

import pytest
from support.clients.contract import Library, Received, Record
from support.clients.every import LIBRARIES
from support.process import BrokerProcess

pytestmark = pytest.mark.conform

# Long enough for a busy machine: the record must come before the fetch would have been answered without it.
FETCH_WAIT_S = 25.0


@pytest.mark.parametrize("client", LIBRARIES)
def test_an_idle_consumer_gets_a_record_before_its_fetch_ends(
    client: Library, shared_broker: BrokerProcess, topic: str
) -> None:
    bootstrap = shared_broker.bootstrap
    client.produce(bootstrap, topic, [Record(b"first")])
    consumer = client.open_consumer(bootstrap, topic, topic, fetch_wait_ms=int(FETCH_WAIT_S * 1000))
    producer = client.open_producer(bootstrap)
    try:
        received: list[Received] = []
        while not received:
            received = consumer.poll(1)
        consumer.commit()
        assert consumer.poll(0.5) == []  # now a fetch is waiting at the broker

        began = time.monotonic()
        producer.send(topic, Record(b"second"))
        producer.flush()
        while len(received) < 2:
            received += consumer.poll(1)
        took = time.monotonic() - began
    finally:
        producer.close()
        consumer.close()

    assert [record.value for record in received] == [b"first", b"second"]
    assert took < FETCH_WAIT_S
