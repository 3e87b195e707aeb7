"""What the runs with many real clients have in common."""

import os
import random

import pytest

SEED_VARIABLE = "TEST_SEED"


@pytest.fixture
def seed() -> int:
    """Where all randomness comes from; set TEST_SEED to run with the one that was printed."""
    seed = int(os.environ.get(SEED_VARIABLE) or random.randrange(2**32))
    print(f"{SEED_VARIABLE}={seed}")
    return seed
