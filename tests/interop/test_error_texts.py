"""Admin calls that fail do so with the same error and the same text, which suites and scripts match on."""

from typing import Any

import pytest
from support import refused_calls
from support.beside_kafka import Both
from support.recorded import REFUSALS, recorded
from support.wire import Wire

Answers = dict[str, list[list[Any]]]


@pytest.fixture(scope="module")
def answers(both: Both) -> tuple[Answers, Answers]:
    """What Apache Kafka and Barnabas answer."""
    found = []
    for broker in both.brokers:
        with Wire(broker.port) as wire:
            refused_calls.prepare(wire)
            found.append(refused_calls.answers(wire))
    return found[0], found[1]


@pytest.mark.parametrize("call", refused_calls.CALLS)
def test_a_call_is_refused_alike(answers: tuple[Answers, Answers], call: str) -> None:
    kafka, ours = answers
    assert ours[call] == refused_calls.expected(kafka)[call]


def test_what_differs_on_purpose_does_differ(answers: tuple[Answers, Answers]) -> None:
    kafka, ours = answers
    assert [call for call in refused_calls.OURS if ours[call] == kafka[call]] == []


def test_the_record_is_what_kafka_answers(answers: tuple[Answers, Answers]) -> None:
    assert recorded(REFUSALS) == answers[0]
