"""The seam between storage and the file system, and that nothing goes around it."""

import ast
import errno
from pathlib import Path

import pytest

import barnabas.storage
from barnabas.storage import files

FOLDER = Path(barnabas.storage.__file__).parent
CHANGES = {
    "os": {"open", "write", "pwrite", "writev", "pwritev", "ftruncate", "truncate", "fsync", "fdatasync", "sync"}
    | {"rename", "replace", "unlink", "remove", "mkdir", "makedirs", "rmdir", "link", "posix_fallocate", "utime"},
    "shutil": {"rmtree", "copy", "copyfile", "move"},
    "path": {"write_bytes", "write_text", "open", "touch", "mkdir", "rmdir", "replace", "read_bytes"},
}
# The lock file is held and not written to; the checker copies the catalog to a place of its own.
EXEMPT = {("layout.py", "lock"), ("checker.py", "_check_catalog")}


def calls(module: Path) -> list[tuple[str, str, int]]:
    """Function, what it calls, and the line, of each call in a module that changes files."""
    found = []
    for function in ast.walk(ast.parse(module.read_text())):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
                if owner in ("files", "self", "cls", "segment", "struct", "table"):
                    continue
                if node.func.attr in CHANGES.get(owner, CHANGES["path"]):
                    found.append((function.name, f"{owner}.{node.func.attr}", node.lineno))
    return found


def test_nothing_in_storage_goes_around_the_seam():
    around = [
        f"{module.name}:{line} {name}"
        for module in sorted(FOLDER.glob("*.py"))
        if module.name not in ("files.py", "dump.py")
        for function, name, line in calls(module)
        if (module.name, function) not in EXEMPT and ".replace" not in name
    ]
    assert around == []


def test_a_short_write_is_continued(tmp_path, monkeypatch):
    written = files.pwrite
    monkeypatch.setattr(files, "pwrite", lambda fd, content, position: written(fd, content[:3], position))
    files.write(tmp_path / "file", b"0123456789")
    assert files.read(tmp_path / "file") == b"0123456789"


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    files.replace(tmp_path / "file", b"old")
    for name in ("open_file", "pwrite", "sync", "rename"):
        with monkeypatch.context() as patch:
            patch.setattr(files, name, full)
            with pytest.raises(OSError, match="full"):
                files.replace(tmp_path / "file", b"new", is_synced=True)
        assert files.read(tmp_path / "file") == b"old"


def test_space_is_allocated_and_reads_as_zeros(tmp_path):
    opened = files.open_file(tmp_path / "file", files.CREATE)
    files.allocate(opened, 5000)
    files.close(opened)
    assert files.read(tmp_path / "file") == bytes(5000)


def test_what_is_not_there_can_be_removed(tmp_path):
    files.unlink(tmp_path / "file")
    files.remove_tree(tmp_path / "folder")
