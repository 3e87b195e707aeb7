import logging

import pytest

from barnabas.broker.repeats import INTERVAL_S, SUBJECTS_MAX, RepeatedErrors
from barnabas.storage.clock import ManualClock


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def repeated(clock):
    return RepeatedErrors(logging.getLogger("barnabas.test"), clock)


def messages(caplog):
    return [record.message for record in caplog.records]


def test_an_error_that_repeats_is_logged_once_an_hour(repeated, clock, caplog):
    for _ in range(3):
        repeated.warn("one", "full")
        clock.advance(INTERVAL_S / 2 - 1)
    assert messages(caplog) == ["full"]
    clock.advance(INTERVAL_S / 2)
    repeated.warn("one", "full")
    assert messages(caplog) == ["full", "full"]


def test_another_error_another_subject_and_one_that_was_over_are_logged_at_once(repeated, caplog):
    repeated.warn("one", "full")
    repeated.warn("two", "full")
    repeated.warn("one", "100% offline")
    repeated.forget("two")
    repeated.warn("two", "full")
    repeated.forget("unknown")
    assert messages(caplog) == ["full", "full", "100% offline", "full"]


def test_the_subjects_that_are_remembered_are_bounded(repeated, caplog):
    for number in range(SUBJECTS_MAX + 1):
        repeated.warn(str(number), "full")
    assert len(repeated._logged) == 1
