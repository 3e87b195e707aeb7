"""Power failures at any time: what was acknowledged by a sync is there afterwards, and the rest is a clean prefix."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from support.log_model import BeginningLost
from support.log_workload import Workload, one_thread

MEMORY = Path("/dev/shm")
LONG_SEEDS = int(os.environ.get("POWER_SEEDS") or 5000)
SEED = os.environ.get("TEST_SEED")


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="barnabas-", dir=MEMORY if MEMORY.is_dir() else None))
    yield path
    shutil.rmtree(path)


def run(seed: int, folder: Path, any_order: bool = False) -> None:
    """A few processes one after the other; between them the power may fail. The last one ends well."""
    random = Random(seed)
    with one_thread() as complaints:
        workload = Workload(folder / "0", random, complaints)
        for number in range(1, random.randint(3, 7)):
            with workload.disk.installed():
                calls_max = random.choice([random.randint(0, 60), random.randint(0, 600), 10**9])
                workload.live(calls_max, random.choice([3, 30, 60]), random.random() < 0.3)
            if random.random() < 0.7:
                workload.lose_power(folder / str(number), any_order)
        for _ in range(2):
            with workload.disk.installed():
                assert workload.live(10**9, 10, ends_well=True)


def run_all(seeds: range, folder: Path, any_order: bool = False) -> None:
    for seed in seeds if SEED is None else [int(SEED)]:
        path = folder / str(seed)
        path.mkdir()
        try:
            run(seed, path, any_order)
        except BeginningLost:
            assert any_order
        except BaseException:
            print(f"TEST_SEED={seed}")
            raise
        shutil.rmtree(path)


@pytest.mark.parametrize(
    "seeds",
    [pytest.param(range(150), id="short"), pytest.param(range(LONG_SEEDS), id="long", marks=pytest.mark.slow)],
)
def test_what_was_acknowledged_is_there_when_the_power_is_back(seeds: range, folder: Path) -> None:
    run_all(seeds, folder)


@pytest.mark.parametrize(
    "seeds",
    [pytest.param(range(40), id="short"), pytest.param(range(LONG_SEEDS // 5), id="long", marks=pytest.mark.slow)],
)
def test_also_where_names_are_lost_in_any_order(seeds: range, folder: Path) -> None:
    run_all(seeds, folder, any_order=True)
