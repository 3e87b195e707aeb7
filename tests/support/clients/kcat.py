"""kcat, as the conformance tests use it: one process for each thing that is done."""

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from .contract import TIMEOUT_S, Received, Record, Refused

_KEY_ENDS, _RECORD_ENDS = "\x02", "\x01"
_ERRORS = {"Message size too large": 10, "Unknown topic or partition": 3}
SETTINGS = ("-X", "reconnect.backoff.max.ms=500", "-X", "log_level=2")


def received(line: str) -> Received:
    """Return the record that ``kcat -J`` printed; keys and values have to be text."""
    printed: dict[str, Any] = json.loads(line)

    def data(text: str | None) -> bytes | None:
        return None if text is None else text.encode()

    headers = printed.get("headers", [])
    return Received(
        printed["partition"],
        printed["offset"],
        printed["ts"],
        data(printed["key"]),
        data(printed["payload"]),
        tuple((name, data(value)) for name, value in zip(headers[::2], headers[1::2], strict=True)),
    )


class Kcat:
    name = "kcat"

    def missing(self, codec: str = "none") -> str:
        return "" if shutil.which("kcat") else "kcat is not installed (make conform does it)"

    def run(self, bootstrap: str, *arguments: str, stdin: bytes = b"") -> str:
        """Return what it printed. Raises Refused."""
        ended = subprocess.run(
            ["kcat", "-b", bootstrap, "-m", "30", *SETTINGS, *arguments],
            input=stdin,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if ended.returncode:
            text = ended.stderr.decode()
            raise Refused(next((code for error, code in _ERRORS.items() if error in text), None), text)
        return ended.stdout.decode()

    def can_write(self, record: Record) -> bool:
        is_nothing = not record.value and record.key is None
        return record.timestamp_ms is None and not is_nothing and all(name for name, _ in record.headers)

    def produce(
        self,
        bootstrap: str,
        topic: str,
        records: Sequence[Record],
        *,
        codec: str = "none",
        idempotent: bool = True,
        request_bytes_max: int = 1_000_000,
    ) -> None:
        # Headers, the partition and what an empty value means hold for a whole process.
        for (headers, partition, is_null), run in itertools.groupby(
            records, lambda record: (record.headers, record.partition, record.value is None)
        ):
            arguments = ["-P", "-t", topic, "-D", r"\x01", "-K", r"\x02", "-X", f"compression.codec={codec}"]
            arguments += ["-X", f"enable.idempotence={str(idempotent).lower()}", "-X", "acks=all"]
            arguments += ["-X", f"message.max.bytes={request_bytes_max}"]
            arguments += ["-Z"] if is_null else []
            arguments += [] if partition is None else ["-p", str(partition)]
            for name, value in headers:
                arguments += ["-H", name if value is None else f"{name}={value.decode()}"]
            self.run(bootstrap, *arguments, stdin=_RECORD_ENDS.join(map(_written, run)).encode())

    def read(self, bootstrap: str, topic: str, count: int) -> list[Received]:
        printed = self.run(bootstrap, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-J", "-c", str(count))
        return [received(line) for line in printed.splitlines()]

    def read_all(self, bootstrap: str, topic: str, isolation_level: str = "read_uncommitted") -> list[Received]:
        settings = ["-X", f"isolation.level={isolation_level}", "-X", "check.crcs=true"]
        # It sees the end when there is nothing new for that long.
        settings += ["-X", "fetch.wait.max.ms=10"]
        printed = self.run(bootstrap, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", "-J", *settings)
        return [received(line) for line in printed.splitlines()]

    def brokers(self, bootstrap: str) -> list[tuple[str, int]]:
        named = [broker["name"] for broker in json.loads(self.run(bootstrap, "-L", "-J"))["brokers"]]
        return [(host.strip("[]"), int(port)) for host, _, port in (name.rpartition(":") for name in named)]


def _written(record: Record) -> str:
    value = (record.value or b"").decode()
    return value if record.key is None else f"{record.key.decode()}{_KEY_ENDS}{value}"


ASSIGNED = re.compile(r"assigned: (.*)")
PARTITION = re.compile(r"\[(\d+)\]")
