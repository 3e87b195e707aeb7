"""``__consumer_offsets`` shows the truth after a crash, after a disk that failed, and when it was switched off."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import Topic, commit, make_topic, stable_alone, wait_until
from support.offsets_topic import TOPIC, State, find_coordinator, offsets, state, wait_for_offsets, written
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.messages.group_admin import DeleteGroupsRequest
from barnabas.protocol.messages.topics import DeleteTopicsRequest, DeleteTopicState

SETTINGS = ("-c", "offsets.topic.num.partitions=2", "-c", "group.initial.rebalance.delay.ms=0")
OFF = ("-c", "barnabas.offsets.topic.enable=false")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def broker(data_dir: Path) -> Iterator[BrokerProcess]:
    with running(data_dir, *SETTINGS) as process:
        yield process
    assert "Traceback" not in process.log.read_text()


def folders(data_dir: Path) -> list[Path]:
    return sorted(data_dir.glob(f"{TOPIC}-*"))


def delete_group(wire: Wire, group_id: str) -> None:
    (deleted,) = wire.call(DeleteGroupsRequest(groups_names=[group_id]), 2).results
    assert deleted.error_code == 0


def fill(wire: Wire) -> tuple[Topic, State]:
    """Make groups in both partitions and return what stands in the topic."""
    find_coordinator(wire)
    topic = make_topic(wire)
    for number in range(10):
        commit(wire, f"many-{number}", topic, (0, number))
    member = stable_alone(wire)
    expected = {(topic.name, 0): 9}
    wait_for_offsets(wire, "many-9", expected)
    wait_until(lambda: any(group_id == member.group_id for _, group_id, _ in state(wire)))
    return topic, state(wire)


def test_a_stop_loses_nothing_and_a_start_adds_nothing(broker: BrokerProcess) -> None:
    with Wire(broker.port) as wire:
        topic, _ = fill(wire)
        for number in range(100):
            commit(wire, "many-1", topic, (0, number))
    assert broker.stop() == 0
    broker.start()
    with Wire(broker.port) as wire:
        before = written(wire)
        assert offsets(wire, "many-1") == {(topic.name, 0): 99}
        commit(wire, "many-1", topic, (0, 1000))
        wait_for_offsets(wire, "many-1", {(topic.name, 0): 1000})
        assert len(written(wire)) == len(before) + 1


@pytest.mark.parametrize("mode", ["default", "durable"])
def test_a_kill_after_an_answer_loses_nothing(data_dir: Path, mode: str) -> None:
    durable = ("-c", "barnabas.acknowledge.durable=true") if mode == "durable" else ()
    with running(data_dir, *SETTINGS, *durable) as broker:
        with Wire(broker.port) as wire:
            topic, _ = fill(wire)
            commit(wire, "many-1", topic, (0, 77))
        broker.kill()
        broker.start()
        with Wire(broker.port) as wire:
            wait_for_offsets(wire, "many-1", {(topic.name, 0): 77})


@pytest.mark.parametrize("crash_in", ["records", "tombstones"])
def test_what_a_crash_took_of_the_topic_is_written_again(
    broker: BrokerProcess, data_dir: Path, tmp_path: Path, crash_in: str
) -> None:
    with Wire(broker.port) as wire:
        topic, before = fill(wire)
        assert broker.stop() == 0
    old = tmp_path / "old"
    old.mkdir()
    for folder in folders(data_dir):
        shutil.copytree(folder, old / folder.name)
    broker.start()
    with Wire(broker.port) as wire:
        if crash_in == "records":
            for number in range(5):
                commit(wire, f"many-{number}", topic, (0, 100 + number))
            commit(wire, "new", topic, (0, 7))
            wait_for_offsets(wire, "new", {(topic.name, 0): 7})
        else:
            for number in range(5):
                delete_group(wire, f"many-{number}")
            wait_for_offsets(wire, "many-4", {})
        after = state(wire)
        assert after != before
    broker.kill()
    for folder in folders(data_dir):
        shutil.rmtree(folder)
        shutil.copytree(old / folder.name, folder)
    broker.start()
    with Wire(broker.port) as wire:
        wait_until(lambda: state(wire) == after)


def test_a_topic_that_is_made_anew_gets_all_groups(broker: BrokerProcess) -> None:
    with Wire(broker.port) as wire:
        _, before = fill(wire)
        asked = DeleteTopicsRequest(topics=[DeleteTopicState(name=TOPIC)], timeout_ms=1000)
        assert wire.call(asked, 6).responses[0].error_code == 0
        find_coordinator(wire)
        wait_until(lambda: state(wire) == before)


def test_groups_from_before_the_topic_are_written_when_it_is_made(broker: BrokerProcess) -> None:
    with Wire(broker.port) as wire:
        topic = make_topic(wire)
        commit(wire, "early", topic, (0, 5))
        find_coordinator(wire)
        wait_for_offsets(wire, "early", {(topic.name, 0): 5})


def test_a_group_with_a_name_too_long_for_the_topic_keeps_no_other_group_from_it(
    broker: BrokerProcess, data_dir: Path
) -> None:
    with Wire(broker.port) as wire:
        topic = make_topic(wire)
        for number in range(10):
            commit(wire, f"early-{number}", topic, (0, number))
            commit(wire, f"{number}{'g' * 40_000}", topic, (0, number))
        find_coordinator(wire)
        for number in range(10):
            wait_for_offsets(wire, f"early-{number}", {(topic.name, 0): number})
        commit(wire, f"0{'g' * 40_000}", topic, (0, 7))
        commit(wire, "late", topic, (0, 5))
        wait_for_offsets(wire, "late", {(topic.name, 0): 5})
    (told,) = [line for line in broker.log.read_text().splitlines() if "cannot copy" in line]
    _, _, group_id = told.partition("cannot copy group ")
    assert group_id[1:] == (
        f"{'g' * 99}... to {TOPIC}: a name or the metadata of an offset is longer than 32767 bytes"
    )
    assert broker.stop() == 0
    broker.start()
    with Wire(broker.port) as wire:
        before = len(written(wire))
        commit(wire, "late", topic, (0, 6))
        wait_for_offsets(wire, "late", {(topic.name, 0): 6})
        assert len(written(wire)) == before + 1


def test_nothing_is_written_where_it_is_switched_off_and_all_when_it_is_on_again(data_dir: Path) -> None:
    with running(data_dir, *SETTINGS) as broker, Wire(broker.port) as wire:
        topic, before = fill(wire)
    with running(data_dir, *SETTINGS, *OFF) as broker, Wire(broker.port) as wire:
        commit(wire, "many-1", topic, (0, 77))
        commit(wire, "new", topic, (0, 8))
        delete_group(wire, "many-2")
        assert state(wire) == before
    with running(data_dir, *SETTINGS) as broker, Wire(broker.port) as wire:
        wait_for_offsets(wire, "new", {(topic.name, 0): 8})
        wait_until(lambda: (offsets(wire, "many-1"), offsets(wire, "many-2")) == ({(topic.name, 0): 77}, {}))


def test_commits_go_on_while_the_topic_cannot_be_written_and_it_heals(broker: BrokerProcess, data_dir: Path) -> None:
    with Wire(broker.port) as wire:
        find_coordinator(wire)
        topic = make_topic(wire)
    assert broker.stop() == 0
    for index in range(2):
        (data_dir / f"{TOPIC}-{index}").write_text("no folder can be made here")
    broker.start()
    with Wire(broker.port) as wire:
        for number in range(10):
            commit(wire, f"many-{number}", topic, (0, number))
        commit(wire, "many-1", topic, (0, 70))
    log = broker.log.read_text()
    assert log.count("cannot write to __consumer_offsets-") == 1
    assert broker.stop() == 0
    for index in range(2):
        (data_dir / f"{TOPIC}-{index}").unlink()
    broker.start()
    with Wire(broker.port) as wire:
        expected = {f"many-{number}": {(topic.name, 0): number} for number in range(10)}
        expected["many-1"] = {(topic.name, 0): 70}
        wait_until(lambda: {group_id: offsets(wire, group_id) for group_id in expected} == expected)


def test_the_topic_is_compacted(data_dir: Path) -> None:
    small = ("-c", f"offsets.topic.segment.bytes={2**20}", "-c", "log.cleaner.backoff.ms=50")
    with running(data_dir, *SETTINGS, *small) as broker, Wire(broker.port) as wire:
        find_coordinator(wire)
        topic = make_topic(wire)
        for number in range(600):
            commit(wire, "group", topic, (0, number), metadata="x" * 4000)
        wait_for_offsets(wire, "group", {(topic.name, 0): 599})
        wait_until(lambda: len(written(wire)) < 300)
        assert offsets(wire, "group") == {(topic.name, 0): 599}
    assert "Traceback" not in broker.log.read_text()


@pytest.mark.parametrize("codec", ["1", "3"])
def test_the_codec_of_the_topic_can_be_chosen(data_dir: Path, codec: str) -> None:
    with running(data_dir, *SETTINGS, "-c", f"offsets.topic.compression.codec={codec}") as broker:
        with Wire(broker.port) as wire:
            topic, before = fill(wire)
        broker.kill()
        broker.start()
        with Wire(broker.port) as wire:
            commit(wire, "last", topic, (0, 1))
            wait_for_offsets(wire, "last", {(topic.name, 0): 1})
            assert before.items() <= state(wire).items()
