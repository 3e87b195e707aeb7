"""Members of many kinds that come, go, die and sleep: each value is processed, and again only for a reason."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.clients.churn import PARTITIONS, churning
from support.clients.confluent import create_topic
from support.clients.programs import build, session_settings
from support.process import running

TOPIC = "counted"


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
        build(tmp_path, "CountingMember", "counting")
    with running(tmp_path / "data", *session_settings(form.session_timeout_ms)) as broker:
        create_topic(broker.bootstrap, TOPIC, PARTITIONS)
        with churning(tmp_path, broker, TOPIC, form.kinds, seed, form.session_timeout_ms) as churn:
            churn.run(form.duration_s, form.pause_s, form.broker_kills, form.pace_s)
            churn.finish()
            print(churn.summary())
            complaints = churn.check()
            assert not complaints, f"{len(complaints)} complaints, the first:\n" + "\n".join(complaints[:20])
