"""Install a wheel into an environment of this Python, from wheels only, and run the example of the README with it.

usage: pythonX try_wheel.py WHEEL README
"""

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

EXPECTED = b'{"key": "value"}'
INSIDE = """
from barnabas.broker.patterns import resolve
from barnabas.protocol.records import Codec, compress, decompress
for codec in Codec:
    assert decompress(codec, compress(codec, b"x" * 100_000)) == b"x" * 100_000, codec
assert resolve(["orders-.*"], ["orders-1", "others"]) == {"orders-.*": {"orders-1"}}
"""


def main(wheel: Path, readme: Path) -> int:
    with tempfile.TemporaryDirectory(prefix="barnabas-") as folder:
        python = installed(Path(folder), wheel)
        subprocess.run([python, "-c", INSIDE], cwd=folder, check=True)
        command = [python, "-m", "barnabas", "--log-level", "warning", "--port", "0", "--data-dir", f"{folder}/data"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as broker:
            assert broker.stdout is not None
            ready = broker.stdout.readline()
            found = re.search(r"is ready on .*?:(\d+)", ready)
            assert found, f"the broker did not start: {ready!r}"
            try:
                run_example(python, readme, found[1], folder)
            finally:
                broker.terminate()
        assert broker.returncode == 0, f"the broker ended with {broker.returncode}"
        said = subprocess.run([python, "-m", "barnabas", "check", f"{folder}/data"], capture_output=True, text=True)
        assert said.returncode == 0, said.stdout
    flavour = ", free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    print(f"Python {sys.version.split()[0]}{flavour}, {sysconfig.get_platform()}: installed, and the example runs")
    return 0


def installed(folder: Path, wheel: Path) -> str:
    """Return the interpreter of a new environment that has the wheel and the client of the README."""
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    python = str(folder / "env/bin/python")
    install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary=:all:"]
    subprocess.run([*install, wheel, "kafka-python"], check=True)
    return python


def run_example(python: str, readme: Path, port: str, folder: str) -> None:
    """Run the README's code until it prints its first message."""
    found = re.search(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)
    assert found, "the README has no example"
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    command = [python, "-c", found[1].replace("localhost:9092", f"localhost:{port}")]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE) as example:
        assert example.stdout is not None
        line = example.stdout.readline()
        example.kill()
    assert EXPECTED in line, f"the example printed {line!r}"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))
