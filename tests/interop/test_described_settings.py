"""Every setting of every resource is described alike: value, source, synonyms, type, and whether it can change."""

from collections.abc import Iterator
from typing import Any

import pytest
from support import described_settings
from support.apache_kafka import ApacheKafka
from support.described_settings import DIFFERS, GIVEN, collect, for_the_record, without_differences
from support.process import running
from support.recorded import SETTINGS, plain, recorded
from support.wire import Wire

Collected = dict[str, Any]


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Collected, Collected]]:
    """What Apache Kafka and Barnabas say."""
    folder = tmp_path_factory.mktemp("settings")
    flags = [argument for setting in GIVEN for argument in ("-c", setting)]
    with (
        ApacheKafka.running(folder / "kafka", *GIVEN) as kafka,
        running(folder / "ours", *flags) as ours,
        Wire(kafka.port) as kafka_wire,
        Wire(ours.port) as wire,
    ):
        yield plain(collect(kafka_wire)), plain(collect(wire))


@pytest.mark.parametrize("resource", described_settings.RESOURCES)
@pytest.mark.parametrize("part", ["fresh", "changed", "set"])
def test_settings_are_described_alike(collected: tuple[Collected, Collected], part: str, resource: str) -> None:
    kafka, ours = (without_differences(one)[part][resource] for one in collected)
    assert ours == kafka


def test_what_cannot_be_set_is_refused_alike(collected: tuple[Collected, Collected]) -> None:
    kafka, ours = (one["refused"] for one in collected)
    assert ours == kafka


def test_what_differs_on_purpose_does_differ(collected: tuple[Collected, Collected]) -> None:
    kafka, ours = collected
    alike = [
        (title, name)
        for title, names in DIFFERS.items()
        for name in names
        if all(kafka[part][title].get(name) == ours[part][title].get(name) for part in ("fresh", "changed", "set"))
    ]
    assert alike == []


def test_the_record_is_what_kafka_says(collected: tuple[Collected, Collected]) -> None:
    assert recorded(SETTINGS) == for_the_record(collected[0])
