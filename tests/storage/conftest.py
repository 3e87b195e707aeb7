"""Where the tests of storage put their files."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture
def fast_path() -> Iterator[Path]:
    """A folder on a file system in memory, where there is one, for tests that write thousands of logs."""
    path = Path(tempfile.mkdtemp(prefix="barnabas-", dir=MEMORY if MEMORY.is_dir() else None))
    yield path
    shutil.rmtree(path)
