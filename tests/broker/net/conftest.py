"""One broker for the tests of a module, which must end without trouble."""

from collections.abc import Iterator

import pytest
from support.calls import Topic, make_topic
from support.hostile import assert_untroubled
from support.process import BrokerProcess, running
from support.wire import Wire


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    data_dir = tmp_path_factory.mktemp("broker") / "data"
    with running(data_dir, "-c", "group.initial.rebalance.delay.ms=0", "--log-level", "warning") as process:
        yield process
        assert_untroubled(process)


@pytest.fixture
def topic(wire: Wire) -> Topic:
    return make_topic(wire)
