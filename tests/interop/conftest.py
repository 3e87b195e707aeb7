"""What the interoperability suites share: each runs against Barnabas or, to compare, against Apache Kafka."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.apache_kafka import ApacheKafka
from support.beside_kafka import Both
from support.process import BrokerProcess, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/interop/" in item.path.as_posix():
            item.add_marker(pytest.mark.interop)
            if "/interop/python/" not in item.path.as_posix():
                item.add_marker(pytest.mark.slow)  # it needs what only its make target installs


@pytest.fixture(scope="session")
def against(request: pytest.FixtureRequest) -> str:
    """``barnabas`` or ``kafka``, as ``--against`` says."""
    return str(request.config.getoption("--against"))


@pytest.fixture(scope="session")
def server(against: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess | ApacheKafka]:
    """One broker, node 1, for the tests of a session, which have topics and groups of their own."""
    data_dir: Path = tmp_path_factory.mktemp(against) / "data"
    # Kafka has to be told its node id, and tells where the value comes from.
    server = running(data_dir, "-c", "node.id=1") if against == "barnabas" else ApacheKafka.running(data_dir)
    with server as process:
        yield process


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Apache Kafka and Barnabas, each with what tests give to both."""
    with Both.running(tmp_path_factory.mktemp("both")) as both:
        yield both
