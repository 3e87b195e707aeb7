"""A chain of topics, each written from the one before in transactions: every value arrives once and in order."""

import os
import random
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.apache_kafka import install
from support.clients import chain as chain_module
from support.clients.chain import Stage, linking
from support.clients.churn import PARTITIONS
from support.clients.confluent import create_topic
from support.process import running

SEED_VARIABLE = "TEST_SEED"
GO = Path(__file__).parents[1] / "interop" / "go"


@dataclass(frozen=True)
class Form:
    """How long, with whom, how often the broker is killed and stopped. ``pace_s``: from one event to the next."""

    duration_s: float
    stages: list[Stage]
    broker_kills: int
    broker_stops: int
    pace_s: float
    session_timeout_ms: int
    settings: tuple[str, ...] = ()


SHORT = Form(
    duration_s=12,
    stages=[Stage(0, "classic", 2 * ["confluent-kafka"]), Stage(1, "classic", 2 * ["confluent-kafka"])],
    broker_kills=1,
    broker_stops=0,
    pace_s=1.5,
    session_timeout_ms=3000,
)
EVERYBODY = ["confluent-kafka", "java", "franz-go", "java"]
LONG = Form(
    duration_s=float(os.environ.get("TRANSACTIONS_DURATION_S") or 300),
    stages=[Stage(0, "classic", EVERYBODY), Stage(1, "consumer", EVERYBODY), Stage(2, "classic", EVERYBODY)],
    broker_kills=int(os.environ.get("TRANSACTIONS_BROKER_KILLS") or 10),
    broker_stops=3,
    pace_s=2.0,
    session_timeout_ms=6000,
)
DURABLE = replace(LONG, settings=("-c", "barnabas.acknowledge.durable=true"))


@pytest.fixture
def seed() -> int:
    """Where all randomness comes from; set TEST_SEED to run with the one that was printed."""
    seed = int(os.environ.get(SEED_VARIABLE) or random.randrange(2**32))
    print(f"{SEED_VARIABLE}={seed}")
    return seed


def build_members(folder: Path) -> None:
    """Compile the member in Java and the one in Go."""
    source = Path(chain_module.__file__).with_name("TransactingMember.java")
    javac = ["javac", "--release", "17", "-cp", f"{install() / 'libs'}/*", "-d", str(folder / "classes"), str(source)]
    subprocess.run(javac, check=True)
    subprocess.run(["go", "build", "-o", str(folder / "franz-go"), "./transacting"], cwd=GO, check=True)


def broker_settings(session_timeout_ms: int) -> list[str]:
    """Sessions of this length for both protocols."""
    settings = {
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": session_timeout_ms,
        "group.consumer.min.session.timeout.ms": session_timeout_ms,
        "group.consumer.session.timeout.ms": session_timeout_ms,
        "group.consumer.min.heartbeat.interval.ms": 500,
        "group.consumer.heartbeat.interval.ms": 500,
    }
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(SHORT, id="short"),
        pytest.param(LONG, id="long", marks=pytest.mark.slow),
        pytest.param(DURABLE, id="long-durable", marks=pytest.mark.slow),
    ],
)
def test_every_value_comes_through_the_chain_once_and_in_order(form: Form, tmp_path: Path, seed: int) -> None:
    if form is not SHORT:
        build_members(tmp_path)
    with running(tmp_path / "data", *broker_settings(form.session_timeout_ms), *form.settings) as broker:
        with linking(tmp_path, broker, form.stages, seed, form.session_timeout_ms) as chain:
            for topic in chain.topics:
                create_topic(broker.bootstrap, topic, PARTITIONS)
            chain.run(form.duration_s, form.broker_kills, form.broker_stops, form.pace_s)
            chain.finish()
            complaints = chain.check()
            print(chain.summary())
            assert not complaints, f"{len(complaints)} complaints, the first:\n" + "\n".join(complaints[:20])
        assert broker.stop() == 0
        checked = subprocess.run(
            [sys.executable, "-m", "barnabas", "check", str(broker.data_dir)], capture_output=True, text=True
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr
