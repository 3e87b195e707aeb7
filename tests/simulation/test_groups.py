"""Members of many kinds that come, go, die and sleep: each value is processed, and again only for a reason."""

import os
import random
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.apache_kafka import install
from support.clients import churn as churn_module
from support.clients.churn import PARTITIONS, churning
from support.clients.confluent import create_topic
from support.process import running

SEED_VARIABLE = "TEST_SEED"
TOPIC = "counted"
GO = Path(__file__).parents[1] / "interop" / "go"


@dataclass(frozen=True)
class Form:
    """How long, with whom, how often the broker is killed. ``pace_s``: from one event to the next."""

    duration_s: float
    kinds: list[str]
    broker_kills: int
    pause_s: float
    pace_s: float
    session_timeout_ms: int


SHORT = Form(
    duration_s=16,
    kinds=["kafka-python", "aiokafka", "confluent-kafka", *3 * ["confluent-consumer"]],
    broker_kills=1,
    pause_s=7,
    pace_s=0.8,
    session_timeout_ms=4000,
)
EVERYBODY = ["kafka-python", "confluent-consumer", "aiokafka", "java-consumer", "confluent-kafka", "franz-consumer"]
EVERYBODY += ["java-classic", "confluent-consumer", "franz-classic", "java-consumer"]
MEMBERS = int(os.environ.get("GROUPS_MEMBERS") or 20)
LONG = Form(
    duration_s=float(os.environ.get("GROUPS_DURATION_S") or 600),
    kinds=[EVERYBODY[number % len(EVERYBODY)] for number in range(MEMBERS)],
    broker_kills=0,
    pause_s=120,
    pace_s=1.5,
    session_timeout_ms=6000,
)
WITH_BROKER_KILLS = replace(LONG, broker_kills=int(os.environ.get("GROUPS_BROKER_KILLS") or 5))


@pytest.fixture
def seed() -> int:
    """Where all randomness comes from; set TEST_SEED to run with the one that was printed."""
    seed = int(os.environ.get(SEED_VARIABLE) or random.randrange(2**32))
    print(f"{SEED_VARIABLE}={seed}")
    return seed


def build_members(folder: Path) -> None:
    """Compile the member in Java and the one in Go."""
    source = Path(churn_module.__file__).with_name("CountingMember.java")
    javac = ["javac", "--release", "17", "-cp", f"{install() / 'libs'}/*", "-d", str(folder / "classes"), str(source)]
    subprocess.run(javac, check=True)
    subprocess.run(["go", "build", "-o", str(folder / "franz-go"), "./counting"], cwd=GO, check=True)


def broker_settings(session_timeout_ms: int) -> list[str]:
    """Sessions of this length for both protocols."""
    settings = {
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
        pytest.param(WITH_BROKER_KILLS, id="long-with-broker-kills", marks=pytest.mark.slow),
    ],
)
def test_every_value_is_processed_and_again_only_when_its_member_was_cut_off_before_the_commit(
    form: Form, tmp_path: Path, seed: int
) -> None:
    if form is not SHORT:
        build_members(tmp_path)
    with running(tmp_path / "data", *broker_settings(form.session_timeout_ms)) as broker:
        create_topic(broker.bootstrap, TOPIC, PARTITIONS)
        with churning(tmp_path, broker, TOPIC, form.kinds, seed, form.session_timeout_ms) as churn:
            churn.run(form.duration_s, form.pause_s, form.broker_kills, form.pace_s)
            churn.finish()
            print(churn.summary())
            complaints = churn.check()
            assert not complaints, f"{len(complaints)} complaints, the first:\n" + "\n".join(complaints[:20])
