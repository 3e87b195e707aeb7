"""What a data directory is made of, and who it says that it belongs to."""

import base64
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .errors import DataDirLocked

CATALOG_FILE = "catalog.sqlite"
LOCK_FILE = ".lock"
CLEAN_FILE = ".kafka_cleanshutdown"
META_FILE = "meta.properties"
RECOVERY_POINTS_FILE = "recovery-point-offset-checkpoint"
LOG_STARTS_FILE = "log-start-offset-checkpoint"
CLEAN_OFFSETS_FILE = "cleaner-offset-checkpoint"
PARTITION_FILE = "partition.metadata"
DELETED_SUFFIX = "-delete"
STRAY_SUFFIX = "-stray"
_OWNER = re.compile(r"^topic_id: ([\w-]{22})$", re.MULTILINE | re.ASCII)


def folders(path: Path) -> Iterator[tuple[str, int, Path]]:
    """Yield topic, partition and folder of every partition in a data directory."""
    for folder in sorted(path.iterdir()):
        topic, _, number = folder.name.rpartition("-")
        if folder.is_dir() and topic and number.isdigit():
            yield topic, int(number), folder


def topic_id_in(folder: Path) -> bytes | None:
    """Return the id of the topic that a partition folder says it belongs to, None when it says nothing."""
    try:
        owner = _OWNER.search((folder / PARTITION_FILE).read_text(errors="replace"))
    except FileNotFoundError:
        return None
    return None if owner is None else base64.urlsafe_b64decode(f"{owner[1]}==")


def node_id_in(path: Path) -> int | None:
    """Return whose data directory it is, None when it does not say."""
    text = read_properties(path / META_FILE).get("node.id", "").strip()
    return int(text) if text.isdigit() else None


def lock(path: Path) -> int:
    """Lock the file as Kafka does (a POSIX record lock), so that the two exclude each other; return its descriptor.

    Raises DataDirLocked, OSError.
    """
    held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(held, 20, 0).decode(errors="replace").strip()
        os.close(held)
        who = f" ({holder})" if holder else ""
        raise DataDirLocked(
            f"the data directory {os.path.abspath(path.parent)} is in use by another process{who}"
        ) from None
    with suppress(OSError):  # a full disk; it is only there for whoever comes next
        os.ftruncate(held, 0)
        os.pwrite(held, f"pid {os.getpid()}".encode(), 0)
    return held


def read_properties(path: Path) -> dict[str, str]:
    """Return what a file of lines like ``name=value`` says, nothing if there is none."""
    if not path.exists():
        return {}
    lines = path.read_text(errors="replace").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def encode_id(raw: bytes) -> str:
    """Write an id as Kafka does."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
