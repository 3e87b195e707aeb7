"""The members in Java and in Go, and a broker that finds out soon when one of them is gone."""

import subprocess
from pathlib import Path

from support.apache_kafka import install

_GO = Path(__file__).parents[2] / "interop" / "go"


def build(folder: Path, java: str, go: str) -> None:
    """Compile the class ``java`` beside this file into ``classes``, and the package ``go`` into ``franz-go``."""
    source = Path(__file__).with_name(f"{java}.java")
    javac = ["javac", "--release", "17", "-cp", f"{install() / 'libs'}/*", "-d", str(folder / "classes"), str(source)]
    subprocess.run(javac, check=True)
    subprocess.run(["go", "build", "-o", str(folder / "franz-go"), f"./{go}"], cwd=_GO, check=True)


def session_settings(session_timeout_ms: int) -> list[str]:
    """Options of the broker: sessions of this length for both protocols."""
    settings = {
        "group.min.session.timeout.ms": session_timeout_ms,
        "group.consumer.min.session.timeout.ms": session_timeout_ms,
        "group.consumer.session.timeout.ms": session_timeout_ms,
        "group.consumer.min.heartbeat.interval.ms": 500,
        "group.consumer.heartbeat.interval.ms": 500,
    }
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
