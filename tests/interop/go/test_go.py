"""franz-go (kgo, kadm, kmsg) and sarama, the clients for Go: each test of theirs is one here.

Left out: transactions, groups of KIP-848 (`make groups` has one), share groups, ACLs, SASL, quotas and SCRAM.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.process import BrokerProcess

HERE = Path(__file__).parent
PROGRAMS = HERE.parents[2] / ".venv" / "interop" / "go"
SCENARIO = re.compile(r"^func (Test\w+)\(", re.MULTILINE)
SCENARIO_TIMEOUT_S = 90
BUILD_TIMEOUT_S = 600


def scenarios(client: str) -> list[str]:
    sources = sorted((HERE / client).glob("*_test.go"))
    return [name for source in sources for name in SCENARIO.findall(source.read_text())]


def build(client: str) -> Path:
    """Compile the tests of the client with the modules that go.mod names, and return the program."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed: 1.26 or newer is needed")
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    program = PROGRAMS / f"{client}.test"
    command = ["go", "test", "-c", "-o", str(program), f"./{client}"]
    built = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S)
    if built.returncode:
        pytest.fail(f"{' '.join(command)}\n{built.stdout}{built.stderr}", pytrace=False)
    return program


def run(program: Path, scenario: str, bootstrap: str, folder: Path) -> None:
    done = subprocess.run(
        [str(program), "-test.v", "-test.run", f"^{scenario}$", "-test.timeout", f"{SCENARIO_TIMEOUT_S}s"],
        cwd=folder,
        env={**os.environ, "BOOTSTRAP": bootstrap},
        capture_output=True,
        text=True,
        timeout=SCENARIO_TIMEOUT_S + 30,
    )
    if done.returncode or f"--- PASS: {scenario} " not in done.stdout:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


@pytest.fixture(scope="session")
def franz() -> Path:
    return build("franz")


@pytest.fixture(scope="session")
def sarama() -> Path:
    return build("sarama")


@pytest.mark.parametrize("scenario", scenarios("franz"))
def test_franz_go(scenario: str, franz: Path, server: BrokerProcess, tmp_path: Path) -> None:
    run(franz, scenario, server.bootstrap, tmp_path)


@pytest.mark.parametrize("scenario", scenarios("sarama"))
def test_sarama(scenario: str, sarama: Path, server: BrokerProcess, tmp_path: Path) -> None:
    run(sarama, scenario, server.bootstrap, tmp_path)
