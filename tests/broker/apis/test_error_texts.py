"""Admin calls that fail: what Barnabas answers, beside what Apache Kafka 4.3.1 answered (support/recorded)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import refused_calls
from support.process import running
from support.recorded import REFUSALS, recorded
from support.wire import Wire


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[list[Any]]]]:
    folder: Path = tmp_path_factory.mktemp("refusals")
    with running(folder / "data") as broker, Wire(broker.port) as wire:
        refused_calls.prepare(wire)
        yield refused_calls.answers(wire)


@pytest.mark.parametrize("call", refused_calls.CALLS)
def test_a_call_is_refused_as_kafka_refuses_it(answers: dict[str, list[list[Any]]], call: str) -> None:
    assert answers[call] == refused_calls.expected(recorded(REFUSALS))[call]
