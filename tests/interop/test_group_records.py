"""``__consumer_offsets`` of Apache Kafka and of Barnabas: readers see the same, and each takes over the other's."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from support.apache_kafka import ApacheKafka
from support.calls import wait_until
from support.group_calls import COMMITTED, PARTITIONS, Shown, committed, dumped, formatted, make_groups
from support.moved_folders import adopt, check, copy, replace
from support.offsets_topic import TOPIC, find_coordinator, offsets
from support.process import running
from support.wire import Wire

from barnabas.protocol.messages.group_offsets import OffsetFetchRequest, OffsetFetchRequestTopic

OFFSETS_PARTITIONS = 5
SETTINGS = ("-c", f"offsets.topic.num.partitions={OFFSETS_PARTITIONS}", "-c", "node.id=1")
FORMATTERS = ("OffsetsMessageFormatter", "GroupMetadataMessageFormatter")
# What an aborted transaction wrote stands in Kafka's topic, and the formatter reads what is not committed, too.
ABORTED = '1 {"group": "transactional", "partition": 2, "topic": "t"}'


class Side:
    """What a broker showed, and its data directory after it has stopped."""

    def __init__(self, data_dir: Path, formatted: dict[str, Shown]) -> None:
        self.data_dir = data_dir
        self.formatted = formatted


@pytest.fixture(scope="module")
def of_kafka(tmp_path_factory: pytest.TempPathFactory) -> Side:
    data_dir = tmp_path_factory.mktemp("of-kafka") / "data"
    with ApacheKafka.running(data_dir) as kafka:
        make_groups(kafka.bootstrap)
        assert committed(kafka.bootstrap) == COMMITTED
        shown = {formatter: formatted(kafka.bootstrap, formatter) for formatter in FORMATTERS}
        kafka.stop()
    return Side(data_dir, shown)


@pytest.fixture(scope="module")
def of_barnabas(tmp_path_factory: pytest.TempPathFactory) -> Side:
    data_dir = tmp_path_factory.mktemp("of-barnabas") / "data"
    with running(data_dir, *SETTINGS) as broker:
        make_groups(broker.bootstrap)
        assert committed(broker.bootstrap) == COMMITTED
        shown = {formatter: formatted(broker.bootstrap, formatter) for formatter in FORMATTERS}
    assert check(data_dir).endswith("all is well\n")
    return Side(data_dir, shown)


def without_aborted(shown: Shown) -> Shown:
    return {key: value for key, value in shown.items() if key != ABORTED}


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_kafkas_formatters_show_the_same(of_kafka: Side, of_barnabas: Side, formatter: str) -> None:
    ours = of_barnabas.formatted[formatter]
    assert ours
    assert without_aborted(ours) == without_aborted(of_kafka.formatted[formatter])


def test_the_dump_tool_decodes_the_same(of_kafka: Side, of_barnabas: Side) -> None:
    ours, theirs = dumped(of_barnabas.data_dir), dumped(of_kafka.data_dir)
    assert {key.split()[0] for key in ours} == {"1", "2", "3", "5", "6", "7", "8", "16"}
    assert without_aborted(ours) == without_aborted(theirs)


@pytest.fixture
def adopted(of_kafka: Side, tmp_path: Path) -> Iterator[Path]:
    copy(of_kafka.data_dir, tmp_path / "data")
    taken = adopt(tmp_path / "data")
    print(taken.stdout, taken.stderr)
    assert taken.returncode == 0
    count = sum(map(len, COMMITTED.values()))
    assert f" with {count} committed offsets" in taken.stdout
    yield tmp_path / "data"
    assert check(tmp_path / "data").endswith("all is well\n")


def test_the_offsets_of_kafkas_groups_are_adopted(adopted: Path) -> None:
    with running(adopted, "-c", "node.id=1") as broker:
        assert committed(broker.bootstrap) == COMMITTED
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        listed = admin.list_consumer_groups().result(30)
        states = {each.group_id: (each.type.name, each.state.name) for each in listed.valid}
        assert states["classic"] == ("CLASSIC", "EMPTY")
        assert states["modern"] == states["regex"] == ("CONSUMER", "EMPTY")
        with Wire(broker.port) as wire:  # and the topic goes on where Kafka left it
            for group_id, expected in COMMITTED.items():
                wait_until(lambda group_id=group_id, expected=expected: offsets(wire, group_id) == expected)  # type: ignore[misc]


def test_kafka_finds_the_offsets_in_a_directory_of_barnabas(of_barnabas: Side, tmp_path: Path) -> None:
    with ApacheKafka.running(tmp_path / "kafka") as kafka:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        for made in admin.create_topics([NewTopic("t", PARTITIONS, 1)]).values():
            made.result(60)
        with Wire(kafka.port) as wire:
            wait_until(lambda: _is_found(wire))
        wait_until(lambda: len(list(kafka.data_dir.glob(f"{TOPIC}-*"))) == OFFSETS_PARTITIONS)
        assert kafka.stop() == 143
        for index in range(OFFSETS_PARTITIONS):
            folder = of_barnabas.data_dir / f"{TOPIC}-{index}"
            if folder.exists():  # a partition without records has none
                replace(folder, kafka.data_dir / folder.name)
        before = len(kafka.log.read_text())  # as it stops Kafka complains of what it was loading
        kafka.start()
        with Wire(kafka.port) as wire:
            wait_until(lambda: _committed(wire) == COMMITTED, 60)
        assert "ERROR" not in kafka.log.read_text()[before:]


def _is_found(wire: Wire) -> bool:
    try:
        find_coordinator(wire)
    except AssertionError:
        return False
    return True


def _committed(wire: Wire) -> dict[str, dict[tuple[str, int], int]]:
    """Return what the groups have committed; nothing while Kafka loads them."""
    asked = [OffsetFetchRequestTopic(name="t", partition_indexes=list(range(PARTITIONS)))]
    found: dict[str, dict[tuple[str, int], int]] = {}
    for group in COMMITTED:
        topics = wire.call(OffsetFetchRequest(group_id=group, topics=asked), 7).topics
        offsets = {
            ("t", each.partition_index): each.committed_offset for topic in topics for each in topic.partitions
        }
        found[group] = {partition: offset for partition, offset in offsets.items() if offset >= 0}
    return found
