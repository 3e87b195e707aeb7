"""A disk that forgets at a power failure what was not synced, as far as file systems are known to forget.

The model, from man 2 fsync and from "All File Systems Are Not Created Equal" (ALICE, Pillai et al., OSDI 2014):

- Data. A sync of a file makes its content and length last. Of what was written since, each page of 4 KiB may be on
  the disk as it was at any moment since then, whatever became of the others: later writes without earlier ones, a
  page that was never written between two that were. A page may be torn at sectors of 512 bytes.
- Length. Changes of a file's length keep their order; any number of the last ones may be lost. What lies within the
  length and was not written is zeros. What was cut off stays gone if the cut is not lost.
- Names. A sync of a file does not sync its name. Creations, renames and removals in one directory keep their order,
  as ext4, xfs and btrfs journal them: any number of the last ones may be lost, whatever becomes of other directories
  and of the files' content. ``any_order`` is harsher than these file systems: any of them may be lost. A rename is
  atomic either way. A sync of a directory makes the names in it last.

Not modelled: disks that lie about a sync, or that spoil what they do not write to. What goes around ``files``
(SQLite, the lock) is taken as it is: SQLite has a journal of its own.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from barnabas.storage import files

PAGE_BYTES = 4096
SECTOR_BYTES = 512
TORN_PROBABILITY = 0.3
# How much of what was not synced is there after a failure, in one file or directory.
SHARES = (0.0, 0.1, 0.5, 0.9, 1.0)


class Stopped(BaseException):
    """The process ends here. No ``except Exception`` of the broker's may catch it."""


class Write(NamedTuple):
    position: int
    content: bytes


class Resize(NamedTuple):
    size: int


@dataclass(eq=False)
class File:
    """An inode: content and length as last synced, what was done since, and the length now."""

    synced: bytes = b""
    since: list[Write | Resize] = field(default_factory=list)
    size: int = 0

    def write(self, position: int, content: bytes) -> None:
        self.since.append(Write(position, content))
        self.size = max(self.size, position + len(content))

    def resize(self, size: int) -> None:
        if size != self.size:
            self.since.append(Resize(size))
            self.size = size

    def sync(self) -> None:
        content = bytearray(self.synced)
        for change in self.since:
            _apply(content, change)
        self.synced, self.since = bytes(content), []

    def after_failure(self, random: Random) -> bytes:
        """Return the content that is found when the power is back."""
        if not self.since:
            return self.synced
        share = random.choice(SHARES)
        resized = len(self.since) if random.random() < share else random.randint(0, len(self.since))
        block_bytes = SECTOR_BYTES if random.random() < TORN_PROBABILITY else PAGE_BYTES
        size, versions = self._versions(resized, block_bytes)
        found = bytearray(self.synced[:size].ljust(size, b"\0"))
        for block, seen in versions.items():
            start = block * block_bytes
            end = min(start + block_bytes, size)
            if start < end:
                version = seen[-1] if random.random() < share else random.choice(seen)
                found[start:end] = version.ljust(block_bytes, b"\0")[: end - start]
        return bytes(found)

    def _versions(self, resized: int, block_bytes: int) -> tuple[int, dict[int, list[bytes]]]:
        """Return the length when the first ``resized`` changes count, and what each block was since the sync."""
        content, size = bytearray(self.synced), len(self.synced)
        versions: dict[int, list[bytes]] = {}
        gone: set[int] = set()  # blocks of before a cut that is lost: what is written there later goes elsewhere

        def see(block: int) -> None:
            start = block * block_bytes
            before = versions.setdefault(block, [self.synced[start : start + block_bytes]])
            if block not in gone:
                before.append(bytes(content[start : start + block_bytes]))

        for number, change in enumerate(self.since):
            before = len(content)
            if isinstance(change, Write):
                first, last = change.position, change.position + len(change.content) - 1
                _apply(content, change)
                for block in range(first // block_bytes, last // block_bytes + 1):
                    see(block)
            else:
                _apply(content, change)
                if change.size < before:
                    wholly = range(-(-change.size // block_bytes), -(-before // block_bytes))
                    block, rest = divmod(change.size, block_bytes)
                    if rest:
                        see(block)
                    if number < resized:
                        versions.update({lost: [b""] for lost in wholly})
                        if rest:
                            versions[block] = [version[:rest] for version in versions[block]]
                    else:
                        gone.update(wholly)
            if number < resized:
                size = len(content)
        return size, versions


def _apply(content: bytearray, change: Write | Resize) -> None:
    if isinstance(change, Resize):
        if change.size < len(content):
            del content[change.size :]
        else:
            content.extend(bytes(change.size - len(content)))
    else:
        if change.position > len(content):
            content.extend(bytes(change.position - len(content)))
        content[change.position : change.position + len(change.content)] = change.content


class Naming(NamedTuple):
    """``node`` loses the name ``old`` and gets the name ``new``: a creation, removal, or both."""

    node: "File | Directory"
    old: str | None
    new: str | None


@dataclass(eq=False)
class Directory:
    """Names as last synced, what was done since, and the names now."""

    synced: dict[str, "File | Directory"] = field(default_factory=dict)
    since: list[Naming] = field(default_factory=list)
    names: dict[str, "File | Directory"] = field(default_factory=dict)

    def change(self, node: "File | Directory", old: str | None, new: str | None) -> None:
        naming = Naming(node, old, new)
        _rename(self.names, naming)
        self.since.append(naming)

    def sync(self) -> None:
        self.synced, self.since = self.names.copy(), []

    def after_failure(self, random: Random, any_order: bool) -> dict[str, "File | Directory"]:
        names = self.synced.copy()
        share = random.choice(SHARES)
        if any_order:
            left = [naming for naming in self.since if random.random() < share]
        else:
            count = len(self.since)
            left = self.since[: count if random.random() < share else random.randint(0, count)]
        for naming in left:
            _rename(names, naming)
        return names


def _rename(names: dict[str, "File | Directory"], naming: Naming) -> None:
    if naming.old is not None and names.get(naming.old) is naming.node:
        del names[naming.old]
    if naming.new is not None:
        names[naming.new] = naming.node


class Disk:
    """Stands between ``storage.files`` and a folder: does everything there, and keeps a journal of what may be lost.

    ``before``: called with the name of each function that changes something, before it does; may raise Stopped. For
    one thread at a time.
    """

    def __init__(self, root: Path) -> None:
        """``root``: what is in it counts as synced."""
        self.root = root
        self.before: Callable[[str], None] = lambda name: None
        self._tree = _scan(root)
        self._open: dict[int, File] = {}

    @contextmanager
    def installed(self) -> Iterator["Disk"]:
        """Have ``storage.files`` go through this disk."""
        self._real: dict[str, Callable[..., Any]] = {name: getattr(files, name) for name in _WRAPPED}
        try:
            for name in _WRAPPED:
                setattr(files, name, getattr(self, name))
            yield self
        finally:
            for name, function in self._real.items():
                setattr(files, name, function)
            self.close_all()

    def close_all(self) -> None:
        """Close what a process that ended left open."""
        for descriptor in self._open:
            with suppress(OSError):
                os.close(descriptor)
        self._open.clear()

    def file(self, descriptor: int) -> File:
        """The file behind an open descriptor, which lives on when that is closed."""
        return self._open[descriptor]

    def fail(self, target: Path, random: Random, any_order: bool = False) -> None:
        """Make in ``target`` the folder that is found when the power is back."""

        def put(directory: Directory, source: Path, path: Path) -> None:
            path.mkdir()
            for name, node in directory.after_failure(random, any_order).items():
                if isinstance(node, Directory):
                    put(node, source / name, path / name)
                else:
                    (path / name).write_bytes(node.after_failure(random))
            if source == self.root:
                for other in source.iterdir():
                    if other.name not in directory.names and other.is_file():
                        shutil.copyfile(other, path / other.name)

        put(self._tree, self.root, target)

    def _directory(self, path: Path) -> Directory:
        node: File | Directory = self._tree
        for part in path.relative_to(self.root).parts:
            assert isinstance(node, Directory)
            node = node.names[part]
        assert isinstance(node, Directory)
        return node

    def _place(self, path: str | Path) -> tuple[Directory, str]:
        path = Path(path)
        return self._directory(path.parent), path.name

    # What takes the places of the functions of ``files``.

    def pwrite(self, descriptor: int, content: bytes | memoryview, position: int) -> int:
        self.before("pwrite")
        written: int = self._real["pwrite"](descriptor, content, position)
        self._open[descriptor].write(position, bytes(content[:written]))
        return written

    def pwritev(self, descriptor: int, parts: list[bytes | memoryview], position: int) -> int:
        self.before("pwritev")
        return self.pwrite(descriptor, b"".join(parts), position)

    def truncate(self, descriptor: int, size: int) -> None:
        self.before("truncate")
        self._real["truncate"](descriptor, size)
        self._open[descriptor].resize(size)

    def allocate(self, descriptor: int, size: int) -> None:
        self.before("allocate")
        self._real["allocate"](descriptor, size)
        file = self._open[descriptor]
        file.resize(max(size, file.size))

    def sync(self, descriptor: int) -> None:
        self.before("sync")
        self._open[descriptor].sync()

    def async_syncs(self) -> "DiskSyncs":
        return DiskSyncs(self)

    def close(self, descriptor: int) -> None:
        if self._open.pop(descriptor, None) is not None:
            self._real["close"](descriptor)

    def open_file(self, path: str | Path, mode: int) -> int:
        self.before("open_file")
        descriptor: int = self._real["open_file"](path, mode)
        directory, name = self._place(path)
        if name not in directory.names:
            directory.change(File(), None, name)
        file = directory.names[name]
        assert isinstance(file, File)
        if mode & os.O_TRUNC:
            file.resize(0)
        self._open[descriptor] = file
        return descriptor

    def rename(self, old: str | Path, new: str | Path) -> None:
        self.before("rename")
        self._real["rename"](old, new)
        directory, name = self._place(old)
        assert Path(new).parent == Path(old).parent, "a rename from one directory to another is not modelled"
        directory.change(directory.names[name], name, Path(new).name)

    def unlink(self, path: str | Path) -> None:
        self.before("unlink")
        self._real["unlink"](path)
        directory, name = self._place(path)
        if name in directory.names:
            directory.change(directory.names[name], name, None)

    def make_directory(self, path: Path) -> None:
        self.before("make_directory")
        missing = [folder for folder in (*reversed(path.parents), path) if not folder.exists()]
        self._real["make_directory"](path)
        for folder in missing:
            self._directory(folder.parent).change(Directory(), None, folder.name)

    def remove_tree(self, path: Path) -> None:
        self.before("remove_tree")
        self._real["remove_tree"](path)
        directory, name = self._place(path)
        node = directory.names[name]
        assert isinstance(node, Directory)
        for child in list(node.names):
            node.change(node.names[child], child, None)
        directory.change(node, name, None)

    def sync_directory(self, path: Path) -> None:
        self.before("sync_directory")
        self._directory(path).sync()


class DiskSyncs:
    """Syncs by the kernel: every other one is done when it is begun, the rest when somebody asks what has ended."""

    told = -1

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._under_way: dict[int, File] = {}
        self._numbers = count()

    def begin(self, descriptor: int) -> int | None:
        try:
            self._disk.before("begin")
        except OSError:
            return None
        number = next(self._numbers)
        self._under_way[number] = self._disk.file(descriptor)
        if number % 2:
            self._under_way[number].sync()
        return number

    def ended(self, must_wait: bool = False) -> list[tuple[int, OSError | None]]:
        """Return the oldest."""
        if not self._under_way:
            return []
        number = min(self._under_way)
        file = self._under_way.pop(number)
        try:
            if not number % 2:
                self._disk.before("sync")
                file.sync()
        except OSError as error:
            return [(number, error)]
        return [(number, None)]

    def close(self) -> None:
        assert not self._under_way


_WRAPPED = (
    *("pwrite", "pwritev", "truncate", "allocate", "sync", "async_syncs", "close", "open_file"),
    *("rename", "unlink", "make_directory", "remove_tree", "sync_directory"),
)
# Not written through ``files``: the lock and SQLite's files.
_NOT_OURS = (".lock", "catalog.sqlite")


def _scan(path: Path) -> Directory:
    directory = Directory()
    for child in path.iterdir():
        if child.is_dir():
            directory.names[child.name] = _scan(child)
        elif not child.name.startswith(_NOT_OURS):
            content = child.read_bytes()
            directory.names[child.name] = File(content, size=len(content))
    directory.sync()
    return directory
