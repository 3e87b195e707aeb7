"""A broker whose data directory is moved, removed or made read-only stops within seconds."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.calls import batch, fetch, make_topic, produce, wait_until
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode

# Without these capabilities root obeys the modes of files, too.
IS_ROOT = os.geteuid() == 0
SETPRIV = shutil.which("setpriv")
OBEYING = (SETPRIV, "--bounding-set=-dac_override,-dac_read_search") if IS_ROOT and SETPRIV else ()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    broker = BrokerProcess(tmp_path / "data", launcher=OBEYING).start()
    yield broker
    if broker.is_running():
        broker.kill()


def assert_it_ended(broker: BrokerProcess, reason: str) -> None:
    assert broker.wait() == 1
    (line,) = [line for line in broker.log.read_text().splitlines() if " INFO " not in line]
    assert line.endswith(
        f"the data directory {broker.data_dir} {reason}: nothing can be kept any more; shutting down"
    )


def test_a_data_directory_that_was_moved(broker: BrokerProcess, tmp_path: Path) -> None:
    with Wire(broker.port) as wire:
        topic = make_topic(wire)
        for _ in range(5):
            produce(wire, topic, batch())
        broker.data_dir.rename(tmp_path / "moved")
    assert_it_ended(broker, "was moved or removed")
    assert not broker.data_dir.exists()
    (tmp_path / "moved").rename(broker.data_dir)
    broker.start()
    with Wire(broker.port) as wire:
        assert fetch(wire, topic, 0).high_watermark == 15
    assert broker.stop() == 0


def test_a_data_directory_that_was_removed(broker: BrokerProcess) -> None:
    while broker.data_dir.exists():  # the broker may make a file meanwhile
        shutil.rmtree(broker.data_dir, ignore_errors=True)
    assert broker.wait() == 1
    assert "was moved or removed: nothing can be kept any more; shutting down" in broker.log.read_text()
    assert not broker.data_dir.exists()


@pytest.mark.skipif(IS_ROOT and not SETPRIV, reason="nothing is forbidden to root")
def test_a_data_directory_that_became_read_only(broker: BrokerProcess) -> None:
    broker.data_dir.chmod(0o555)
    assert_it_ended(broker, "has become read-only")
    broker.data_dir.chmod(0o755)


def test_what_is_acknowledged_until_then_is_in_the_directory_that_was_moved(
    broker: BrokerProcess, tmp_path: Path
) -> None:
    acknowledged = 0
    with Wire(broker.port) as wire, suppress(OSError, EOFError):
        topic = make_topic(wire)
        broker.data_dir.rename(tmp_path / "moved")
        while produce(wire, topic, batch()).error_code == ErrorCode.NONE:
            acknowledged += 1
    assert broker.wait() == 1
    assert not broker.data_dir.exists()
    moved = BrokerProcess(tmp_path / "moved").start()
    with Wire(moved.port) as wire:
        assert fetch(wire, topic, 0).high_watermark >= 3 * acknowledged
    moved.stop()


def test_a_partition_whose_folder_was_removed_takes_no_more_records(broker: BrokerProcess) -> None:
    with Wire(broker.port) as wire:
        topic, other = make_topic(wire), make_topic(wire)
        produce(wire, topic, batch())
        shutil.rmtree(broker.data_dir / f"{topic.name}-0")
        wait_until(lambda: produce(wire, topic, batch()).error_code == ErrorCode.KAFKA_STORAGE_ERROR)
        assert produce(wire, other, batch()).error_code == ErrorCode.NONE
    assert f"{topic.name}-0 is offline until the next start" in broker.log.read_text()
