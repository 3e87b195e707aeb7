"""The Java clients: each call of the drivers in this folder has the outcome that it has with Apache Kafka 4.3.

``expected/*.txt`` is what Apache Kafka answered, "call -> outcome", in the order of the calls. Left out until
Barnabas has them: share and streams groups. Transactions and groups have files of their own. Left out for good: what
only a cluster with an authorizer, SASL or a Raft quorum can answer, but for its refusals.
"""

import subprocess
from pathlib import Path

import pytest
from support.apache_kafka import ApacheKafka, install, run_tool
from support.process import BrokerProcess

HERE = Path(__file__).parent
DRIVERS = ("AdminCalls", "ConfigCalls", "GroupCalls", "ProducerCalls", "ConsumerCalls")
DRIVER_TIMEOUT_S = 300


def parsed(text: str) -> list[tuple[str, str]]:
    """The calls and their outcomes; of calls of one name, all but the first get a number."""
    calls: dict[str, str] = {}
    for line in text.splitlines():
        call, _, outcome = line.partition(" -> ")
        number = 2
        name = call
        while name in calls:
            name, number = f"{call} ({number})", number + 1
        calls[name] = outcome
    return list(calls.items())


def expected(driver: str) -> list[tuple[str, str]]:
    return parsed((HERE / "expected" / f"{driver}.txt").read_text())


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the compiled drivers."""
    folder = tmp_path_factory.mktemp("classes")
    sources = [str(source) for source in HERE.glob("*.java")]
    subprocess.run(
        ["javac", "--release", "17", "-cp", f"{install() / 'libs'}/*", "-d", str(folder), *sources], check=True
    )
    return folder


@pytest.fixture(scope="session")
def outcomes(classes: Path, server: BrokerProcess | ApacheKafka) -> "Outcomes":
    return Outcomes(classes, server.bootstrap)


class Outcomes:
    """Runs a driver when its first call is asked for."""

    def __init__(self, classes: Path, bootstrap: str) -> None:
        self._classes = classes
        self._bootstrap = bootstrap
        self._by_driver: dict[str, dict[str, str]] = {}

    def of(self, driver: str) -> dict[str, str]:
        if driver not in self._by_driver:
            done = run_tool(driver, self._bootstrap, classes=self._classes, timeout=DRIVER_TIMEOUT_S)
            self._by_driver[driver] = dict(parsed(done.stdout))
            print(done.stderr)
        return self._by_driver[driver]


@pytest.mark.parametrize(
    ("driver", "call", "outcome"),
    [(driver, call, outcome) for driver in DRIVERS for call, outcome in expected(driver)],
    ids=[f"{driver}-{call}" for driver in DRIVERS for call, _ in expected(driver)],
)
def test_a_call_has_the_outcome_that_it_has_with_apache_kafka(
    outcomes: Outcomes, driver: str, call: str, outcome: str
) -> None:
    assert outcomes.of(driver).get(call, "not called") == outcome


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_call_is_known(outcomes: Outcomes, driver: str) -> None:
    assert list(outcomes.of(driver)) == [call for call, _ in expected(driver)]
