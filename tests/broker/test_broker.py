"""The broker as a whole: what it says when it starts."""

import shutil
from pathlib import Path

from support.calls import batch, make_topic, produce
from support.process import BrokerProcess
from support.wire import Wire


def fill(broker: BrokerProcess) -> str:
    with Wire(broker.port) as wire:
        topic = make_topic(wire, partitions=2)
        produce(wire, topic, batch())
    return topic.name


def test_a_start_after_a_crash_says_what_was_checked(tmp_path: Path) -> None:
    broker = BrokerProcess(tmp_path / "data").start()
    fill(broker)
    broker.kill()
    broker.start()
    broker.stop()
    assert "the last stop was not clean: checked 1 partitions" in broker.log.read_text()


def test_a_clean_start_says_nothing(tmp_path: Path) -> None:
    broker = BrokerProcess(tmp_path / "data").start()
    fill(broker)
    broker.stop()
    broker.log.write_text("")
    broker.start()
    said = broker.log.read_text()
    broker.stop()
    assert said == ""


def test_folders_that_belong_to_no_topic_are_named(tmp_path: Path) -> None:
    broker = BrokerProcess(tmp_path / "data").start()
    name = fill(broker)
    broker.stop()
    shutil.copytree(tmp_path / "data" / f"{name}-0", tmp_path / "data" / "copied-0")
    broker.start()
    broker.stop()
    said = broker.log.read_text()
    assert "1 partition folders belong to no topic and are not served (barnabas adopt takes them in)" in said
    assert "copied-0" in said
