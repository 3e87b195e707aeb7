"""One broker for all tests of a module; they keep out of each other's way by names."""

from collections.abc import Iterator

import pytest
from support.calls import Topic, make_topic
from support.process import BrokerProcess, running
from support.wire import Wire


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    data_dir = tmp_path_factory.mktemp("broker") / "data"
    with running(data_dir, "-c", "group.initial.rebalance.delay.ms=0", "-c", "num.partitions=2") as process:
        yield process
    log = process.log.read_text()
    assert "Traceback" not in log
    assert "unexpected error" not in log


@pytest.fixture
def other(broker: BrokerProcess) -> Iterator[Wire]:
    """A second connection to ``broker``."""
    with Wire(broker.port) as connection:
        yield connection


@pytest.fixture
def topic(wire: Wire) -> Topic:
    """An empty topic with one partition."""
    return make_topic(wire)
