"""A transaction coordinator on a manual clock."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.transactions import Transactions


@pytest.fixture
def transactions(tmp_path: Path) -> Iterator[Transactions]:
    made = Transactions(tmp_path)
    yield made
    made.catalog.close()
