"""Runs a workload through processes that end well, or not, and through power failures between them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from .log_model import BeginningLost
from .log_workload import Complaints, Workload, one_thread

LONG_SEEDS = int(os.environ.get("POWER_SEEDS") or 5000)
SEED = os.environ.get("TEST_SEED")
Make = Callable[[Path, Random, Complaints], Workload]


def run(make: Make, seed: int, folder: Path, any_order: bool = False) -> None:
    """A few processes one after the other; between them the power may fail. The last one ends well."""
    random = Random(seed)
    with one_thread() as complaints:
        workload = make(folder / "0", random, complaints)
        for number in range(1, random.randint(3, 7)):
            with workload.disk.installed():
                calls_max = random.choice([random.randint(0, 60), random.randint(0, 600), 10**9])
                workload.live(calls_max, random.choice([3, 30, 60]), random.random() < 0.3)
            if random.random() < 0.7:
                workload.lose_power(folder / str(number), any_order)
        for _ in range(2):
            with workload.disk.installed():
                assert workload.live(10**9, 10, ends_well=True)


def run_all(make: Make, seeds: range, folder: Path, any_order: bool = False) -> None:
    for seed in seeds if SEED is None else [int(SEED)]:
        path = folder / str(seed)
        path.mkdir()
        try:
            run(make, seed, path, any_order)
        except BeginningLost:
            assert any_order
        except BaseException:
            print(f"TEST_SEED={seed}")
            raise
        shutil.rmtree(path)
