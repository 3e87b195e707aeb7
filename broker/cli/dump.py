"""``barnabas dump PATH...``: print what is in the files of a log, for people or as JSON lines."""

import base64
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ...storage.aborted import AbortedTransaction
from ...storage.dump import (
    Batch,
    BatchRecord,
    Entry,
    File,
    LeaderEpoch,
    OffsetEntry,
    PartitionOffset,
    Preallocated,
    Problem,
    Producer,
    Property,
    Selection,
    TimeEntry,
    Unreadable,
    dump,
)
from ..config.command_line import DumpOptions
from . import streams
from .log_output import printable

_TYPES: dict[type[Entry], str] = {
    File: "file",
    Batch: "batch",
    BatchRecord: "record",
    OffsetEntry: "offset_entry",
    TimeEntry: "time_entry",
    AbortedTransaction: "aborted_transaction",
    Producer: "producer",
    LeaderEpoch: "leader_epoch",
    PartitionOffset: "partition_offset",
    Property: "property",
    Preallocated: "preallocated",
    Problem: "problem",
}
# What is not worth a word to people when it is -1.
_MAY_BE_ABSENT = {
    "producer_id",
    "producer_epoch",
    "base_sequence",
    "last_sequence",
    "sequence",
    "base_timestamp",
    "max_timestamp",
    "timestamp",
    "coordinator_epoch",
    "current_txn_first_offset",
}
_TIMES = {"base_timestamp", "max_timestamp", "timestamp", "last_timestamp", "delete_horizon_ms"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def run_dump(options: DumpOptions) -> int:
    """Print and return the exit status: 0 all is well, 1 there is damage, 2 something cannot be read."""
    selection = Selection(options.records, options.from_offset, options.to_offset, options.limit, options.verify)
    render = _json_lines(options.values) if options.json else _lines(options.values)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # In a large file the next line may be far; and a terminal may not know every character.
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    return _Printing().run(dump(map(Path, options.paths), selection), render)


class _Printing:
    def __init__(self) -> None:
        self.status = 0

    def run(self, entries: Iterable[Entry], render: Callable[[Entry], str]) -> int:
        try:
            for entry in entries:
                self._print(entry, render)
            sys.stdout.flush()
        except OSError as error:  # of printing; what cannot be read is an entry
            streams.drop(sys.stdout)
            if not isinstance(error, BrokenPipeError):  # that one means that nobody wants to see more
                print(f"barnabas: cannot print: {error.strerror}", file=sys.stderr)
                return streams.CANNOT_PRINT
        return self.status

    def _print(self, entry: Entry, render: Callable[[Entry], str]) -> None:
        if isinstance(entry, Unreadable):
            print(f"barnabas: {printable(_name(entry.path))}: {printable(entry.reason)}", file=sys.stderr)
            self.status = 2
            return
        if isinstance(entry, Problem):
            self.status = max(self.status, 1)
        sys.stdout.write(render(entry))


def _json_lines(with_values: bool) -> Callable[[Entry], str]:
    file = ""

    def render(entry: Entry) -> str:
        nonlocal file
        if isinstance(entry, File):
            file = _name(entry.path)
        fields: dict[str, Any] = {"type": _TYPES[type(entry)], "file": file}
        if isinstance(entry, BatchRecord):
            fields |= _record_fields(entry, with_values)
        else:
            fields |= entry._asdict()
            fields.pop("path", None)
        # The escapes of JSON leave DEL as it is, and this may be read on a terminal, too.
        return json.dumps(fields).replace("\x7f", "\\u007f") + "\n"

    return render


def _record_fields(record: BatchRecord, with_values: bool) -> dict[str, Any]:
    fields = record._asdict()
    headers = [
        {
            **_content("key", name),
            "value_size_bytes": -1 if value is None else len(value),
            **(_content("value", value) if with_values else {}),
        }
        for name, value in fields.pop("headers")
    ]
    key, value = fields.pop("key"), fields.pop("value")
    if with_values:
        fields |= _content("key", key) | _content("value", value)
    return fields | {"headers": headers}


def _content(name: str, content: bytes | None) -> dict[str, str | None]:
    """Return the field for ``content``: as text, or under another name if it is none."""
    if content is None:
        return {name: None}
    try:
        return {name: content.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(content).decode()}


def _lines(with_values: bool) -> Callable[[Entry], str]:
    def render(entry: Entry) -> str:
        if isinstance(entry, File):
            return f"{printable(_name(entry.path))} ({entry.kind.replace('_', ' ')}, {entry.size_bytes} bytes)\n"
        if isinstance(entry, Problem):
            left = "" if entry.bytes_left is None else f"; {entry.bytes_left} bytes are left"
            return f"problem: at position {entry.position}: {printable(entry.reason)}{left}\n"
        if isinstance(entry, Preallocated):
            return f"  {entry.size_bytes} bytes preallocated at position {entry.position}\n"
        indent = "    " if isinstance(entry, BatchRecord) else "  "
        return f"{indent}{_TYPES[type(entry)]} {' '.join(_words(entry, with_values))}\n"

    return render


def _words(entry: Entry, with_values: bool) -> Iterator[str]:
    for name, value in entry._asdict().items():
        if isinstance(value, bool):
            yield from _flag(name, value)
        elif isinstance(value, int):
            if value != -1 or name not in _MAY_BE_ABSENT:
                yield f"{name}={_number(name, value)}"
        elif isinstance(value, list):
            if value:
                yield f"headers={','.join(_header(name, content, with_values) for name, content in value)}"
        elif isinstance(value, bytes) or (value is None and name in ("key", "value")):
            if with_values:
                yield f"{name}={_quoted(value)}"
        elif value is not None:
            yield f"{name}={printable(str(value))}"


def _flag(name: str, value: bool) -> Iterator[str]:
    if name == "is_crc_right":
        yield "(right)" if value else "(wrong)"
    elif value:
        yield name.removeprefix("is_")


def _number(name: str, value: int) -> str:
    if name == "crc":
        return f"{value:#010x}"
    if name in _TIMES:
        try:
            return (_EPOCH + timedelta(milliseconds=value)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        except OverflowError:  # no year that a calendar has
            return str(value)
    return str(value)


def _header(name: bytes, value: bytes | None, with_values: bool) -> str:
    return f"{_quoted(name)}:{_quoted(value)}" if with_values else _quoted(name)


def _quoted(content: bytes | None) -> str:
    """Return content as a Python literal, of text if it is some: nothing in it reaches the terminal as a command."""
    if content is None:
        return "null"
    try:
        return repr(content.decode())
    except UnicodeDecodeError:
        return repr(content)


def _name(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
