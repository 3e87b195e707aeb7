"""The docker command, and containers that end with the test that started them."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
# What docker/test.sh has built.
IMAGE = os.environ.get("BARNABAS_IMAGE", "")
PYTHON = "/opt/barnabas/bin/python"
TIMEOUT_S = 60


def docker(*arguments: str, check: bool = True, stdin: str = "", env: dict[str, str] | None = None) -> Any:
    """Run ``docker`` in the repository and return what ``subprocess.run`` does; with ``check`` it has to succeed."""
    done = subprocess.run(
        ["docker", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        cwd=REPOSITORY,
        env={**os.environ, **(env or {})},
    )
    if check and done.returncode != 0:
        raise RuntimeError(f"docker {' '.join(arguments)}: status {done.returncode}: {done.stdout}{done.stderr}")
    return done


class Container:
    """A container by its name or id."""

    def __init__(self, name: str) -> None:
        self.name = name

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(docker("inspect", "--format", "{{json .State}}", self.name).stdout)
        return found

    def health(self) -> str:
        """starting, healthy or unhealthy."""
        return str(self.state()["Health"]["Status"])

    def logs(self) -> str:
        done = docker("logs", self.name)
        return str(done.stdout + done.stderr)

    def run(self, *command: str, check: bool = True) -> Any:
        """Run a command inside."""
        return docker("exec", self.name, *command, check=check)

    def wait_until_healthy(self, timeout_s: float = 15) -> float:
        """Return how many seconds it took."""
        begun = time.monotonic()
        while self.health() != "healthy":
            if time.monotonic() > begun + timeout_s:
                raise TimeoutError(f"{self.name} is {self.state()}: {self.logs()}")
            time.sleep(0.1)
        return time.monotonic() - begun

    def stop(self) -> int:
        """Stop it as ``docker stop`` does and return its exit status."""
        docker("stop", self.name)
        return int(self.state()["ExitCode"])


@contextlib.contextmanager
def container(*arguments: str) -> Iterator[Container]:
    """``docker run -d`` with these options and, behind the image's name, arguments of the broker."""
    started = Container(docker("run", "-d", *arguments).stdout.strip())
    try:
        yield started
    finally:
        docker("rm", "-f", "-v", started.name)


class Stack:
    """docker/compose.yaml under a project name and a port of its own."""

    def __init__(self, project: str, port: int) -> None:
        self.project = project
        self.port = port
        self.network = f"{project}_default"
        self.broker = Container(f"{project}-barnabas-1")

    @property
    def bootstrap(self) -> str:
        return f"localhost:{self.port}"

    def compose(self, *arguments: str) -> None:
        # The file names the image "barnabas"; the tests have their own.
        image = f"services: {{barnabas: {{image: '{IMAGE}'}}}}"
        files = ("-f", "docker/compose.yaml", "-f", "-")
        environ = {"BARNABAS_PORT": str(self.port)}
        docker("compose", "-p", self.project, *files, *arguments, stdin=image, env=environ)

    def up(self) -> float:
        """Return after how many seconds everything is healthy."""
        begun = time.monotonic()
        self.compose("up", "-d", "--wait", "--no-build")
        return time.monotonic() - begun

    def down(self, *arguments: str) -> None:
        self.compose("down", *arguments)
