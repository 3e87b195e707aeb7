"""What Apache Kafka answered, kept beside the tests, so that they can compare without it.

``PYTHONPATH=tests python -m support.recorded`` asks an Apache Kafka anew and writes the files.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from . import described_settings, refused_calls
from .apache_kafka import ApacheKafka
from .wire import Wire

_FOLDER = Path(__file__).parent / "recorded"
SETTINGS, REFUSALS = "kafka_settings", "kafka_refusals"


def recorded(name: str) -> dict[str, Any]:
    """Return a record: SETTINGS as ``described_settings.for_the_record`` has it, REFUSALS by the name of the call."""
    return json.loads((_FOLDER / f"{name}.json").read_text())  # type: ignore[no-any-return]


def plain(value: Any) -> Any:
    """Return ``value`` as it comes back from a record: without tuples and enums."""
    return json.loads(json.dumps(value))


def _write(name: str, content: dict[str, Any]) -> None:
    """Write a record with a line for each setting or call."""

    def lines(value: Any, depth: int) -> str:
        if not isinstance(value, dict):
            return json.dumps(value)
        margin = " " * depth
        inner = ",\n".join(f"{margin} {json.dumps(key)}: {lines(one, depth + 1)}" for key, one in value.items())
        return f"{{\n{inner}\n{margin}}}" if inner else "{}"

    _FOLDER.mkdir(exist_ok=True)
    (_FOLDER / f"{name}.json").write_text(lines(content, 0) + "\n")


def record() -> None:
    with tempfile.TemporaryDirectory() as folder:
        with (
            ApacheKafka.running(Path(folder) / "settings", *described_settings.GIVEN) as kafka,
            Wire(kafka.port) as wire,
        ):
            _write(SETTINGS, described_settings.for_the_record(described_settings.collect(wire)))
        with ApacheKafka.running(Path(folder) / "refusals") as kafka, Wire(kafka.port) as wire:
            refused_calls.prepare(wire)
            _write(REFUSALS, refused_calls.answers(wire))


if __name__ == "__main__":
    record()
