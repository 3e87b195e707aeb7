"""Settings of the broker that a client notices."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError
from support.clients.contract import CODECS, TIMEOUT_S, Client, Library, Record, Refused
from support.clients.every import BY_NAME, CLIENTS, LIBRARIES, short_with
from support.clients.kcat import Kcat
from support.process import BrokerProcess, running

pytestmark = pytest.mark.conform

UNKNOWN_TOPIC_OR_PARTITION = 3
# kafka-python waits for a topic as long as it may and then says that time is up; librdkafka has a code of its own.
UNKNOWN = {
    "kafka-python": {None, 7, UNKNOWN_TOPIC_OR_PARTITION},
    "aiokafka": {UNKNOWN_TOPIC_OR_PARTITION},
    "confluent-kafka": {KafkaError._UNKNOWN_TOPIC, UNKNOWN_TOPIC_OR_PARTITION},
}


@pytest.fixture(scope="module")
def strict_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """A broker that makes no topics by itself."""
    data_dir = tmp_path_factory.mktemp("strict") / "data"
    with running(data_dir, "-c", "auto.create.topics.enable=false") as process:
        yield process


@pytest.mark.parametrize("client", short_with(LIBRARIES, "confluent-kafka"))
def test_a_producer_is_told_that_the_topic_does_not_exist(client: Library, strict_broker: BrokerProcess) -> None:
    producer = client.open_producer(strict_broker.bootstrap, block_ms=2000)
    try:
        with pytest.raises(Refused) as refused:
            producer.send("nowhere", Record(b"value"))
            producer.flush()
    finally:
        producer.close()

    assert refused.value.code in UNKNOWN[client.name]
    assert not (strict_broker.data_dir / "nowhere-0").exists()


@pytest.mark.parametrize("kcat", [BY_NAME["kcat"]])
def test_kcat_is_told_that_the_topic_does_not_exist(kcat: Kcat, strict_broker: BrokerProcess) -> None:
    with pytest.raises(Refused, match="Unknown topic or partition"):
        kcat.run(strict_broker.bootstrap, "-C", "-t", "nowhere", "-p", "0", "-e")


def test_a_consumer_is_told_that_the_topic_does_not_exist(strict_broker: BrokerProcess) -> None:
    consumer = Consumer({"bootstrap.servers": strict_broker.bootstrap, "group.id": "group", "log_level": 2})
    try:
        consumer.subscribe(["nowhere"])
        message = consumer.poll(TIMEOUT_S)
    finally:
        consumer.close()

    assert message is not None
    assert message.error().code() == KafkaError.UNKNOWN_TOPIC_OR_PART


@pytest.mark.parametrize("client", short_with(CLIENTS, "aiokafka"))
@pytest.mark.parametrize("setting", ["zstd", "gzip", "uncompressed"])
def test_the_broker_can_have_a_compression_of_its_own(client: Client, setting: str, tmp_path: Path) -> None:
    records = [Record(b"the same text again and again " * 20, b"key") for _ in range(20)]
    with running(tmp_path / "data", "-c", f"compression.type={setting}") as broker:
        client.produce(broker.bootstrap, "topic", records, codec="lz4")
        received = client.read(broker.bootstrap, "topic", len(records))
    segment = (tmp_path / "data" / "topic-0" / f"{0:020}.log").read_bytes()

    assert [(r.key, r.value) for r in received] == [(r.key, r.value) for r in records]
    (attributes,) = struct.unpack_from(">h", segment, 21)
    assert CODECS[attributes & 7] == ("none" if setting == "uncompressed" else setting)
