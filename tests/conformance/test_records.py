"""What a record consists of comes back from the broker as it was written, whatever the client."""

import pytest
from support.clients.confluent import create_topic
from support.clients.contract import Client, Library, Record, Refused
from support.clients.every import CLIENTS, LIBRARIES
from support.process import BrokerProcess

pytestmark = pytest.mark.conform

MESSAGE_TOO_LARGE = 10
MESSAGE_MAX_BYTES = 1_048_588  # Kafka's message.max.bytes
# One uncompressed record without key and headers: 61 bytes of batch header, 11 bytes around the value.
LARGEST_VALUE_BYTES = MESSAGE_MAX_BYTES - 61 - 11

RECORDS = [
    Record(b"value"),
    Record(b"value", b"key"),
    Record(None, b"tombstone"),
    Record(b"", b"empty value"),
    Record(b""),
    Record(b"value", b"key", (("name", b"1"), ("name", b"2"), ("other", b""))),
    Record(b"value", b"key", (("null", None), ("", b"no name"), ("null", b"not null"))),
    Record(b"value", b"key", timestamp_ms=1_600_000_000_123),
    Record(b"value", b"key", timestamp_ms=0),
    Record("žluťoučký \U0001f40e".encode(), "klíč".encode(), (("jméno", "hodnota ň".encode()),)),
]


@pytest.mark.parametrize("client", CLIENTS)
def test_keys_values_headers_and_timestamps_come_back(
    client: Client, shared_broker: BrokerProcess, topic: str
) -> None:
    written = [record for record in RECORDS if client.can_write(record)]

    client.produce(shared_broker.bootstrap, topic, written)
    received = client.read(shared_broker.bootstrap, topic, len(written))

    assert [(r.key, r.value, r.headers) for r in received] == [(r.key, r.value, r.headers) for r in written]
    assert [r.offset for r in received] == list(range(len(written)))
    for sent, got in zip(written, received, strict=True):
        assert sent.timestamp_ms in (None, got.timestamp_ms)
        assert got.timestamp_ms >= 0


@pytest.mark.parametrize("client", CLIENTS)
def test_a_record_of_just_max_message_bytes_is_taken(
    client: Client, shared_broker: BrokerProcess, topic: str
) -> None:
    value = b"x" * LARGEST_VALUE_BYTES

    client.produce(shared_broker.bootstrap, topic, [Record(value)], request_bytes_max=3_000_000)
    (received,) = client.read(shared_broker.bootstrap, topic, 1)

    assert received.value == value


@pytest.mark.parametrize("client", CLIENTS)
def test_a_record_of_one_byte_too_many_is_refused(client: Client, shared_broker: BrokerProcess, topic: str) -> None:
    value = b"x" * (LARGEST_VALUE_BYTES + 1)

    with pytest.raises(Refused) as refused:
        client.produce(shared_broker.bootstrap, topic, [Record(value)], request_bytes_max=3_000_000)

    assert refused.value.code == MESSAGE_TOO_LARGE


@pytest.mark.parametrize("client", CLIENTS)
def test_a_named_partition_gets_the_record(client: Client, shared_broker: BrokerProcess, topic: str) -> None:
    create_topic(shared_broker.bootstrap, topic, 4)
    written = [Record(f"{n}".encode(), partition=n % 4) for n in range(8)]

    client.produce(shared_broker.bootstrap, topic, written)
    received = client.read(shared_broker.bootstrap, topic, len(written))

    by_partition = {p: [r.value for r in received if r.partition == p] for p in range(4)}
    assert by_partition == {p: [f"{p}".encode(), f"{p + 4}".encode()] for p in range(4)}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_key_stays_in_its_partition(client: Client, shared_broker: BrokerProcess, topic: str) -> None:
    create_topic(shared_broker.bootstrap, topic, 5)
    keys = [f"key-{n}".encode() for n in range(20)]

    for turn in (b"first", b"second"):
        client.produce(shared_broker.bootstrap, topic, [Record(turn, key) for key in keys])
    received = client.read(shared_broker.bootstrap, topic, 2 * len(keys))

    where = {turn: {r.key: r.partition for r in received if r.value == turn} for turn in (b"first", b"second")}
    assert where[b"first"] == where[b"second"]
    assert where[b"first"].keys() == set(keys)
    assert len(set(where[b"first"].values())) > 1


def test_clients_that_hash_as_kafka_does_agree_where_a_key_belongs(shared_broker: BrokerProcess, topic: str) -> None:
    create_topic(shared_broker.bootstrap, topic, 5)
    keys = [f"key-{n}".encode() for n in range(20)]

    def partitions(library: Library) -> dict[bytes | None, int]:
        producer = library.open_producer(shared_broker.bootstrap, murmur2=True)
        try:
            for key in keys:
                producer.send(topic, Record(library.name.encode(), key))
            producer.flush()
        finally:
            producer.close()
        read = library.read(shared_broker.bootstrap, topic, len(keys) * (LIBRARIES.index(library) + 1))
        return {r.key: r.partition for r in read if r.value == library.name.encode()}

    first, second, third = map(partitions, LIBRARIES)

    assert first == second == third
    assert first.keys() == set(keys)
