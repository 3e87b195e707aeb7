"""What is done with the folders of partitions that move between Barnabas and Apache Kafka."""

import shutil
import subprocess
import sys
from pathlib import Path


def copy(source: Path, target: Path) -> None:
    """As cp does it: files with holes stay so. Kafka's indexes are full of them."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def replace(source: Path, target: Path) -> None:
    """Put the files of ``source`` in place of those of ``target``, which keeps its topic's id."""
    for path in target.iterdir():
        if path.name != "partition.metadata":
            path.unlink()
    for path in source.iterdir():
        if path.name != "partition.metadata":
            shutil.copy2(path, target)


def adopt(data_dir: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "barnabas", "adopt", str(data_dir)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def check(data_dir: Path) -> str:
    """Return what ``barnabas check`` says."""
    command = [sys.executable, "-m", "barnabas", "check", str(data_dir)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120).stdout
