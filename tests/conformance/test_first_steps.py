"""The README's example, as it stands there."""

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.clients.contract import TIMEOUT_S
from support.process import BrokerProcess

pytestmark = pytest.mark.conform

README = Path(__file__).parents[2] / "README.md"
ADDRESS = "localhost:9092"


def test_the_example_of_the_readme_works_as_it_stands(broker: BrokerProcess) -> None:
    (example,) = (
        block for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.S) if "KafkaConsumer" in block
    )
    assert ADDRESS in example
    # -W ignore: kafka-python warns about itself when it is imported.
    command = [sys.executable, "-u", "-W", "ignore", "-c", example.replace(ADDRESS, broker.bootstrap)]

    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    patience = threading.Timer(TIMEOUT_S, running.kill)
    patience.start()
    try:
        assert running.stdout is not None
        printed = running.stdout.readline()
    finally:
        patience.cancel()
        running.kill()
        running.communicate()

    assert printed == """b'{"key": "value"}'\n"""
