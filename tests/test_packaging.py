"""The repository root is the package: what is shipped, and which part may import which."""

import ast
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# What each part may import of the others.
ALLOWED = {
    "protocol": {"protocol"},
    "storage": {"storage", "protocol.records"},
    "broker": {"broker", "storage", "protocol", "__version__"},
}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [Path(line) for line in listed.splitlines() if (ROOT / line).exists()]


def modules() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py" and path.parts[0] in ALLOWED]


def imports(path: Path) -> Iterator[str]:
    """Yield the names that a module imports; those of ours as paths from the root: "storage.log"."""
    here = path.parts[:-1]
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (f"absolute {alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if not node.level:
                yield f"absolute {node.module}"
                continue
            base = here[: len(here) - node.level + 1]
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ([module] if module else (alias.name for alias in node.names))


def test_every_folder_with_code_is_a_listed_package_and_no_other() -> None:
    folders = {path.parent for path in modules()}
    names = {".".join(["barnabas", *folder.parts]) for folder in folders}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == names | {"barnabas"}
    assert all((ROOT / folder / "__init__.py").exists() for folder in folders)


@pytest.mark.parametrize("path", modules(), ids=str)
def test_imports_point_one_way_and_are_relative(path: Path) -> None:
    for name in imports(path):
        assert not name.startswith("absolute barnabas"), f"{path} imports {name}"
        if not name.startswith("absolute "):
            allowed = ALLOWED[path.parts[0]]
            assert any(f"{name}.".startswith(f"{part}.") for part in allowed), f"{path} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=str)
def test_time_and_randomness_come_from_the_clock_module_only(path: Path) -> None:
    if path != Path("storage/clock.py"):
        assert not {"absolute time", "absolute random", "absolute secrets"} & set(imports(path))
        assert "uuid4(" not in (ROOT / path).read_text()


def test_the_wheel_holds_the_package_and_no_other_top_level_name(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for path in tracked():
        target = source / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / path).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"barnabas"}
    assert {"barnabas/py.typed", "barnabas/__main__.py"} <= set(names)
    shipped = {name.removeprefix("barnabas/") for name in names if name.endswith(".py")}
    assert {str(path) for path in modules()} <= shipped
    assert not any(name.startswith("tests") for name in shipped)


def test_the_command_says_its_version() -> None:
    said = subprocess.run([sys.executable, "-m", "barnabas", "--version"], capture_output=True, text=True, check=True)
    from barnabas import __version__

    assert __version__ in said.stdout
