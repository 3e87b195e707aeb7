"""Power failures while logs are compacted: of each key the last acknowledged record is there, and none comes back."""

from pathlib import Path

import pytest
from support.compacting_workload import CompactingWorkload
from support.power_failures import LONG_SEEDS, run_all


@pytest.mark.parametrize(
    "seeds",
    [pytest.param(range(50), id="short"), pytest.param(range(LONG_SEEDS), id="long", marks=pytest.mark.slow)],
)
def test_the_last_record_of_each_key_is_there_when_the_power_is_back(seeds: range, fast_path: Path) -> None:
    run_all(CompactingWorkload, seeds, fast_path)


@pytest.mark.parametrize(
    "seeds",
    [pytest.param(range(15), id="short"), pytest.param(range(LONG_SEEDS // 5), id="long", marks=pytest.mark.slow)],
)
def test_also_where_names_are_lost_in_any_order_while_logs_are_compacted(seeds: range, fast_path: Path) -> None:
    run_all(CompactingWorkload, seeds, fast_path, any_order=True)
