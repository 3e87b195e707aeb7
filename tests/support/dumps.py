"""What ``barnabas dump`` finds in files, by the kind of the entry."""

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from support.logs import START_MS, LogFolder, Settings, append, batch

from barnabas.protocol.records import (
    ATTRIBUTES_OFFSET,
    BATCH_OVERHEAD,
    HEADER,
    LOG_OVERHEAD,
    BatchHeader,
    Codec,
    crc32c,
)
from barnabas.storage.dump import Batch, BatchRecord, Entry, Preallocated, Problem, Selection, dump

_Wanted = TypeVar("_Wanted")


def dumped(*paths: Path, **selection: Any) -> list[Entry]:
    return list(dump(paths, Selection(**selection)))


def only(kind: type[_Wanted], entries: Iterable[Entry]) -> list[_Wanted]:
    return [entry for entry in entries if isinstance(entry, kind)]


def batches(entries: Iterable[Entry]) -> list[Batch]:
    return only(Batch, entries)


def records(entries: Iterable[Entry]) -> list[BatchRecord]:
    return only(BatchRecord, entries)


def reasons(entries: Iterable[Entry]) -> list[str]:
    return [problem.reason for problem in only(Problem, entries)]


def preallocated(entries: Iterable[Entry]) -> list[Preallocated]:
    return only(Preallocated, entries)


def filled(path: Path) -> LogFolder:
    """Twenty batches of two records and 115 bytes, six in a segment, with all indexes; the timestamps rise by one."""
    folder = LogFolder(path, Settings(segment_bytes=700, index_interval_bytes=100))
    log = folder.open()
    for number in range(20):
        append(log, batch(2, 20, START_MS + number, producer_id=1, producer_epoch=0, base_sequence=2 * number))
    folder.close(log)
    return folder


def segment(path: Path, *contents: bytes) -> Path:
    """A segment file with these batches, whose offsets follow each other."""
    offset = 0
    whole = bytearray()
    for content in map(bytearray, contents):
        struct.pack_into(">q", content, 0, offset)
        whole += content
        offset += HEADER.unpack_from(content)[6] + 1
    path.write_bytes(whole)
    return path


def with_crc(content: bytearray) -> bytes:
    struct.pack_into(">I", content, 17, crc32c(memoryview(content)[ATTRIBUTES_OFFSET:]))
    return bytes(content)


def packed(payload: bytes, codec: Codec = Codec.NONE, count: int = 1, delta: int = 0) -> bytes:
    """A batch with a right CRC around any bytes."""
    header = BatchHeader(
        0, BATCH_OVERHEAD - LOG_OVERHEAD + len(payload), 0, 2, 0, codec, delta, 0, 0, -1, -1, -1, count
    )
    return with_crc(bytearray(HEADER.pack(*header) + payload))
