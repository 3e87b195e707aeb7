"""kafkajs, the client for JavaScript: each test of it is one here.

Left out until Barnabas has them: transactions, ACLs and SASL. Not tried: @confluentinc/kafka-javascript, which wraps
librdkafka (tested by way of Python) and downloads a binary when it is installed.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.process import BrokerProcess

HERE = Path(__file__).parent
INSTALLED = HERE.parents[2] / ".venv" / "interop" / "javascript"
SCENARIO = re.compile(r'^test\("([^"]+)"', re.MULTILINE)
SCENARIO_TIMEOUT_S = 120
INSTALL_TIMEOUT_S = 600


def scenarios() -> list[tuple[str, str]]:
    sources = sorted(HERE.glob("*.test.js"))
    return [(source.name, name) for source in sources for name in SCENARIO.findall(source.read_text())]


@pytest.fixture(scope="session")
def scripts() -> Path:
    """The folder with the scripts and the packages that package.json names."""
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            pytest.skip(f"{command} is not installed: node 20 or newer is needed")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    wanted, done = (HERE / "package.json").read_text(), INSTALLED / "install.done"
    if not done.is_file() or done.read_text() != wanted:
        (INSTALLED / "package.json").write_text(wanted)
        install = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--prefix", str(INSTALLED)]
        installed = subprocess.run(install, cwd=INSTALLED, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S)
        if installed.returncode:
            pytest.fail(f"{' '.join(install)}\n{installed.stdout}{installed.stderr}", pytrace=False)
        done.write_text(wanted)
    for source in HERE.glob("*.js"):
        shutil.copy(source, INSTALLED)
    return INSTALLED


@pytest.mark.parametrize(("script", "scenario"), scenarios())
def test_kafkajs(script: str, scenario: str, scripts: Path, server: BrokerProcess) -> None:
    done = subprocess.run(
        ["node", "--test-reporter=tap", f"--test-name-pattern=^{re.escape(scenario)}$", script],
        cwd=scripts,
        env={**os.environ, "BOOTSTRAP": server.bootstrap},
        capture_output=True,
        text=True,
        timeout=SCENARIO_TIMEOUT_S,
    )
    if done.returncode or "\n# pass 1\n" not in done.stdout:
        pytest.fail(done.stdout + done.stderr, pytrace=False)
