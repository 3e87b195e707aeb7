"""What every test may use."""

import os
import random
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.process import BrokerProcess, running
from support.wire import Wire

with warnings.catch_warnings():
    # kafka-python warns about itself on Python 3.11 when it is imported.
    warnings.simplefilter("ignore")
    import kafka  # noqa: F401

# Without limits of time for an example: a busy machine is no failure.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

SEED_VARIABLE = "TEST_SEED"
MEMORY = Path("/dev/shm")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--against",
        choices=["barnabas", "kafka"],
        default="barnabas",
        help="which broker the tests in tests/interop run against",
    )


@pytest.fixture
def seed() -> int:
    """Where all randomness comes from; set TEST_SEED to run with the one that was printed."""
    seed = int(os.environ.get(SEED_VARIABLE) or random.randrange(2**32))
    print(f"{SEED_VARIABLE}={seed}")
    return seed


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    """A broker process with an empty data directory."""
    with running(tmp_path / "data") as process:
        yield process


@pytest.fixture
def wire(broker: BrokerProcess) -> Iterator[Wire]:
    """A connection to ``broker``."""
    with Wire(broker.port) as connection:
        yield connection


@pytest.fixture
def fast_path() -> Iterator[Path]:
    """A folder on a file system in memory, where there is one, for tests that write thousands of logs."""
    path = Path(tempfile.mkdtemp(prefix="barnabas-", dir=MEMORY if MEMORY.is_dir() else None))
    yield path
    shutil.rmtree(path)
