"""Snapshots of producers, checkpoints and properties; see ``storage.producers`` and ``storage.checkpoints``."""

import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from ...protocol.records import crc32c
from .entries import LeaderEpoch, PartitionOffset, Problem, Producer, Property
from .reader import Reader

_SNAPSHOT_HEAD = struct.Struct(">hIi")
_SNAPSHOT_ENTRY = struct.Struct(">qhiqiqiq")
_SNAPSHOT_VERSION = 1
_CRC_END = 6  # it covers what follows it

_CHECKPOINT_VERSION = b"0"
# A topic's name has 249 characters at most, and the directories' settings are short, too.
LINE_BYTES_MAX = 4096
_NUMBER = rb"-?[0-9]{1,19}"
_COUNT = re.compile(rb"[0-9]{1,19}")
_LEADER_EPOCH = re.compile(rb"(%b)\s+(%b)" % (_NUMBER, _NUMBER))
_PARTITION_OFFSET = re.compile(rb"(\S+)\s+(%b)\s+(%b)" % (_NUMBER, _NUMBER))
_METADATA = re.compile(rb"([^:]+):(.*)")
_PROPERTY = re.compile(rb"([^=]+)=(.*)")

_Parsed = TypeVar("_Parsed", LeaderEpoch, PartitionOffset)


def snapshot_entries(reader: Reader) -> Iterator[Producer | Problem]:
    """Yield the producers, also of a file that is cut short or has a wrong checksum. Raises OSError."""
    head = reader.read(0, _SNAPSHOT_HEAD.size)
    if len(head) < _SNAPSHOT_HEAD.size:
        yield Problem(0, f"{len(head)} bytes are no snapshot", len(head))
        return
    version, crc, count = _SNAPSHOT_HEAD.unpack(head)
    if version != _SNAPSHOT_VERSION:
        yield Problem(0, f"version {version} of a snapshot, only {_SNAPSHOT_VERSION} is known", reader.look())
        return
    found = crc32c(head[_CRC_END:], 0)
    position, entries = _SNAPSHOT_HEAD.size, 0
    while entry := reader.read(position, _SNAPSHOT_ENTRY.size):
        found = crc32c(entry, found)
        if len(entry) < _SNAPSHOT_ENTRY.size:
            yield Problem(position, f"the last {len(entry)} bytes are no whole entry", len(entry))
        else:
            yield Producer(*_SNAPSHOT_ENTRY.unpack(entry))
            entries += 1
        position += len(entry)
    if entries != count:
        yield Problem(0, f"the snapshot says {count} producers, there are {entries}")
    if found != crc:
        yield Problem(0, f"the CRC of the snapshot is {crc:#010x}, that of its bytes {found:#010x}")


def leader_epoch_entries(reader: Reader) -> Iterator[LeaderEpoch | Problem]:
    """Yield the lines of a ``leader-epoch-checkpoint``. Raises OSError."""
    return _checkpoint(reader, _LEADER_EPOCH, lambda match: LeaderEpoch(int(match[1]), int(match[2])))


def offset_entries(reader: Reader) -> Iterator[PartitionOffset | Problem]:
    """Yield the lines of an ``*-offset-checkpoint``. Raises OSError."""
    return _checkpoint(
        reader,
        _PARTITION_OFFSET,
        lambda match: PartitionOffset(_text(match[1]), int(match[2]), int(match[3])),
    )


def metadata_entries(reader: Reader) -> Iterator[Property | Problem]:
    """Yield the lines of a ``partition.metadata``. Raises OSError."""
    return _properties(reader, _METADATA)


def property_entries(reader: Reader) -> Iterator[Property | Problem]:
    """Yield the lines of a ``meta.properties`` that say something. Raises OSError."""
    return _properties(reader, _PROPERTY)


class _Line(NamedTuple):
    position: int
    content: bytes


def _lines(reader: Reader) -> Iterator[_Line | Problem]:
    position = 0
    while piece := reader.read(position, LINE_BYTES_MAX):
        content, newline, _ = piece.partition(b"\n")
        if len(content) == LINE_BYTES_MAX:
            left = reader.look() - position
            yield Problem(position, f"a line has more than {LINE_BYTES_MAX} bytes", left)
            return
        yield _Line(position, content.removesuffix(b"\r"))
        position += len(content) + len(newline)


def _checkpoint(
    reader: Reader, pattern: re.Pattern[bytes], parse: Callable[[re.Match[bytes]], _Parsed]
) -> Iterator[_Parsed | Problem]:
    """Yield what is in a file that begins with its version and the number of its lines; Kafka makes it empty."""
    number = found = 0
    count = b""
    for line in _lines(reader):
        if not isinstance(line, _Line):
            yield line
            return
        number += 1
        if number == 1:
            if line.content != _CHECKPOINT_VERSION:
                yield _no_checkpoint(reader, f"version {_text(line.content)!r} of a checkpoint")
                return
        elif number == 2:
            count = line.content
        elif match := pattern.fullmatch(line.content.strip()):
            found += 1
            yield parse(match)
        else:
            yield Problem(line.position, f"cannot read the line {_text(line.content)!r}")
    if not number:
        return
    if not _COUNT.fullmatch(count):
        yield _no_checkpoint(reader, "the second line does not say how many there are")
    elif int(count) != number - 2:
        yield Problem(0, f"the checkpoint says {int(count)} lines, there are {number - 2}")


def _no_checkpoint(reader: Reader, reason: str) -> Problem:
    return Problem(0, reason, reader.look())


def _properties(reader: Reader, pattern: re.Pattern[bytes]) -> Iterator[Property | Problem]:
    for line in _lines(reader):
        if not isinstance(line, _Line):
            yield line
        elif match := pattern.fullmatch(line.content):
            if not line.content.startswith(b"#"):
                yield Property(_text(match[1]).strip(), _text(match[2]).strip())
        elif line.content.strip() and not line.content.startswith(b"#"):
            yield Problem(line.position, f"cannot read the line {_text(line.content)!r}")


def _text(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")
