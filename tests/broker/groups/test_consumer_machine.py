"""Members of the consumer protocol, whatever they do: see ConsumerMachine."""

import pytest
from support.consumer_machine import ConsumerMachine, play


@pytest.fixture
def machine(make_groups):
    return lambda: ConsumerMachine(make_groups(group_initial_rebalance_delay_ms=0))


def test_no_partition_is_read_twice_or_forgotten_whatever_happens(machine):
    play(machine, examples=200, steps=40)


@pytest.mark.slow
def test_no_partition_is_read_twice_or_forgotten_for_thousands_of_steps(machine):
    play(machine, examples=2_000, steps=80)
