"""Which file is what, by its name, and which files there are to dump."""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from ..errors import StorageError
from .entries import Batch, Content, Entry, File, Kind, Problem, Selection, Unreadable
from .indexes import LogBeside, aborted_entries, offset_index_entries, place_before, time_index_entries
from .reader import Reader
from .segments import segment_entries
from .small_files import leader_epoch_entries, metadata_entries, offset_entries, property_entries, snapshot_entries

_OF_SEGMENTS = {
    "log": Kind.SEGMENT,
    "index": Kind.OFFSET_INDEX,
    "timeindex": Kind.TIME_INDEX,
    "txnindex": Kind.TRANSACTION_INDEX,
    "snapshot": Kind.PRODUCER_SNAPSHOT,
}
_BY_NAME = {
    "leader-epoch-checkpoint": Kind.LEADER_EPOCH_CHECKPOINT,
    "partition.metadata": Kind.PARTITION_METADATA,
    "meta.properties": Kind.META_PROPERTIES,
}
_OFFSET_CHECKPOINT = "-offset-checkpoint"
_OF_SEGMENT = re.compile(r"(?s:(?P<stem>.+))\.(?P<suffix>log|index|timeindex|txnindex|snapshot)")
# What is on its way in or out, in Kafka and here, and what a recovery has put aside: "N.log.1.damaged".
_ENDING = re.compile(r"(?:\.cleaned|\.swap|\.deleted|(?:\.[0-9]+)?(?P<damaged>\.damaged))\Z")
_BASE_OFFSET = re.compile(r"[0-9]{1,20}")
_PARTITION = re.compile(r"(?s:.+)-[0-9]+")


class LogFile(NamedTuple):
    """A file by its name. ``base_offset``: None where the name does not say it.

    ``is_part``: it may begin anywhere in the segment of that name.
    """

    path: Path
    kind: Kind
    base_offset: int | None
    is_part: bool

    def beside(self, suffix: str) -> Path:
        """Return the file of the same segment, in the same state, with another suffix."""
        name, endings = _without_endings(self.path.name)
        return self.path.with_name(f"{name.rpartition('.')[0]}.{suffix}{endings}")


def log_file(path: Path) -> LogFile | None:
    """Say what a file is, None when its name tells nothing."""
    name, endings = _without_endings(path.name)
    if match := _OF_SEGMENT.fullmatch(name):
        base_offset = int(match["stem"]) if _BASE_OFFSET.fullmatch(match["stem"]) else None
        return LogFile(path, _OF_SEGMENTS[match["suffix"]], base_offset, "damaged" in endings)
    kind = Kind.OFFSET_CHECKPOINT if name.endswith(_OFFSET_CHECKPOINT) else _BY_NAME.get(name)
    return None if kind is None else LogFile(path, kind, None, False)


def _without_endings(name: str) -> tuple[str, str]:
    bare = name
    while match := _ENDING.search(bare):
        bare = bare[: match.start()]
    return bare, name[len(bare) :]


def dump(paths: Iterable[Path], selection: Selection) -> Iterator[Entry]:
    """Yield what is in files, in the folders of partitions, and in all partitions of data directories.

    Changes nothing, and holds one batch in memory at most. What cannot be read is ``Unreadable``, nothing is raised.
    """
    # How many batches of each folder may still be shown.
    left: dict[Path, int] = {}
    for path in paths:
        for file in _files(path):
            if isinstance(file, Unreadable):
                yield file
                continue
            selected = selection
            folder = file.path.parent
            if selection.limit is not None and file.kind is Kind.SEGMENT:
                selected = selection._replace(limit=left.setdefault(folder, selection.limit))
                if not selected.limit:
                    continue
            for entry in _dump_file(file, selected, is_listed=file.path != path):
                if folder in left and isinstance(entry, Batch):
                    left[folder] -= 1
                yield entry


def _files(path: Path) -> Iterator[LogFile | Unreadable]:
    try:
        if not stat.S_ISDIR(os.stat(path).st_mode):
            file = log_file(path)
            yield file or Unreadable(path, "is not a file of a log, as far as its name tells")
            return
        files, folders = _listed(path)
        if not files and not folders:
            yield Unreadable(path, "has no files of a log and no folders of partitions in it")
    except OSError as error:
        yield Unreadable(path, str(error.strerror))
        return
    yield from files
    for folder in folders:
        try:
            yield from _listed(folder)[0]
        except FileNotFoundError:
            continue
        except OSError as error:
            yield Unreadable(folder, str(error.strerror))


def _listed(folder: Path) -> tuple[list[LogFile], list[Path]]:
    """Return the files of a log and the folders of partitions in a folder. Raises OSError."""
    files: list[LogFile] = []
    folders: list[Path] = []
    for name in sorted(os.listdir(folder)):
        path = folder / name
        if _PARTITION.fullmatch(name) and path.is_dir():
            folders.append(path)
        elif (file := log_file(path)) and (file.base_offset is not None or file.kind not in _OF_SEGMENTS.values()):
            files.append(file)
    return files, folders


def _dump_file(file: LogFile, selection: Selection, is_listed: bool) -> Iterator[Entry]:
    """``is_listed``: it was found in a folder, from where a running broker may have taken it since."""
    try:
        with Reader(file.path) as reader:
            yield File(file.path, file.kind, reader.size_bytes, file.base_offset)
            yield from _content(file, reader, selection)
    except FileNotFoundError as error:
        if not is_listed:
            yield Unreadable(file.path, str(error.strerror))
    except OSError as error:
        yield Unreadable(file.path, str(error.strerror))
    except StorageError as error:
        yield Unreadable(file.path, str(error))


def _content(file: LogFile, reader: Reader, selection: Selection) -> Iterator[Content]:
    match file.kind:
        case Kind.SEGMENT:
            start = _start(file, reader, selection.from_offset)
            return segment_entries(reader, file.base_offset, start, selection)
        case Kind.OFFSET_INDEX | Kind.TIME_INDEX:
            return _index(file, reader, selection.verify)
        case Kind.TRANSACTION_INDEX:
            return aborted_entries(reader)
        case Kind.PRODUCER_SNAPSHOT:
            return snapshot_entries(reader)
        case Kind.LEADER_EPOCH_CHECKPOINT:
            return leader_epoch_entries(reader)
        case Kind.OFFSET_CHECKPOINT:
            return offset_entries(reader)
        case Kind.PARTITION_METADATA:
            return metadata_entries(reader)
        case Kind.META_PROPERTIES:
            return property_entries(reader)


def _start(file: LogFile, reader: Reader, from_offset: int | None) -> int:
    """Return a position from which on no batch that is wanted is missed, near to the first if the index helps."""
    if from_offset is None or file.base_offset is None or file.is_part:
        return 0
    try:
        with Reader(file.beside("index")) as index:
            return place_before(index, reader, file.base_offset, from_offset)
    except (OSError, StorageError):
        return 0


def _index(file: LogFile, reader: Reader, is_compared: bool) -> Iterator[Content]:
    entries = offset_index_entries if file.kind is Kind.OFFSET_INDEX else time_index_entries
    with ExitStack() as opened:
        log = None
        if is_compared and file.base_offset is None:
            yield Problem(0, "cannot be compared: its name does not say where the segment begins")
        elif is_compared and file.base_offset is not None:
            path = file.beside("log")
            try:
                log = LogBeside(opened.enter_context(Reader(path)), file.base_offset)
            except (OSError, StorageError) as error:
                yield Problem(0, f"cannot be compared with {path.name}: {getattr(error, 'strerror', None) or error}")
        yield from entries(reader, file.base_offset, log)
