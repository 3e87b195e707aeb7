"""A chain of topics, each written from the one before in transactions: every value arrives once and in order."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.clients.chain import Stage, linking
from support.clients.churn import PARTITIONS
from support.clients.confluent import create_topic
from support.clients.programs import build, session_settings
from support.process import running

AT_ONCE = ("-c", "group.initial.rebalance.delay.ms=0")


@dataclass(frozen=True)
class Form:
    """How long, with whom, how often the broker is killed and stopped. ``pace_s``: from one event to the next."""

    duration_s: float
    stages: list[Stage]
    broker_kills: int
    broker_stops: int
    pace_s: float
    session_timeout_ms: int
    settings: tuple[str, ...] = AT_ONCE


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
DURABLE = replace(LONG, settings=(*AT_ONCE, "-c", "barnabas.acknowledge.durable=true"))


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
        build(tmp_path, "TransactingMember", "transacting")
    with running(tmp_path / "data", *session_settings(form.session_timeout_ms), *form.settings) as broker:
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
