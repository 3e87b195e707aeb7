"""Every setting of every resource, beside what Apache Kafka 4.3.1 said of it (support/recorded)."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.described_settings import GIVEN, RESOURCES, collect, for_the_record
from support.process import running
from support.recorded import SETTINGS, plain, recorded
from support.wire import Wire


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    flags = [argument for setting in GIVEN for argument in ("-c", setting)]
    with running(tmp_path_factory.mktemp("settings") / "data", *flags) as broker, Wire(broker.port) as wire:
        yield plain(for_the_record(collect(wire)))


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("part", ["fresh", "changed"])
def test_settings_are_described_as_kafka_describes_them(collected: dict[str, Any], part: str, resource: str) -> None:
    assert collected[part][resource] == recorded(SETTINGS)[part][resource]


def test_what_cannot_be_set_is_refused_as_kafka_refuses_it(collected: dict[str, Any]) -> None:
    assert collected["refused"] == recorded(SETTINGS)["refused"]
