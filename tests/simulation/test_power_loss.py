"""Power failures at any time: what was acknowledged by a sync is there afterwards, and the rest is a clean prefix."""

from pathlib import Path

import pytest
from support.log_workload import CommittingWorkload, Workload
from support.power_failures import LONG_SEEDS, run_all


@pytest.mark.parametrize(
    "seeds",
    [pytest.param(range(150), id="short"), pytest.param(range(LONG_SEEDS), id="long", marks=pytest.mark.slow)],
)
def test_what_was_acknowledged_is_there_when_the_power_is_back(seeds: range, fast_path: Path) -> None:
    run_all(Workload, seeds, fast_path)


@pytest.mark.parametrize(
    "seeds",
    [pytest.param(range(40), id="short"), pytest.param(range(LONG_SEEDS // 5), id="long", marks=pytest.mark.slow)],
)
def test_also_where_names_are_lost_in_any_order(seeds: range, fast_path: Path) -> None:
    run_all(Workload, seeds, fast_path, any_order=True)


@pytest.mark.parametrize("any_order", [False, True], ids=["in order", "any order"])
@pytest.mark.parametrize(
    "seeds",
    [pytest.param(range(40), id="short"), pytest.param(range(LONG_SEEDS // 5), id="long", marks=pytest.mark.slow)],
)
def test_also_what_the_journal_has(seeds: range, any_order: bool, fast_path: Path) -> None:
    run_all(CommittingWorkload, seeds, fast_path, any_order)
