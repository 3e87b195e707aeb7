"""The repository root is the package: what is shipped, and which part may import which."""

import ast
import re
import shutil
import subprocess
import sys
import tarfile
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


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a copy of what is tracked."""
    copy = tmp_path / "source"
    for path in tracked():
        target = copy / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / path).read_bytes())
    return copy


def built(kind: str, source: Path) -> Path:
    """Build a "wheel" or an "sdist" and return the file."""
    into = source.parent / "dist"
    shutil.rmtree(into, ignore_errors=True)
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", str(into), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (file,) = into.iterdir()
    return file


def test_the_wheel_holds_the_package_and_no_other_top_level_name(source: Path) -> None:
    names = zipfile.ZipFile(built("wheel", source)).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"barnabas"}
    assert {"barnabas/py.typed", "barnabas/__main__.py"} <= set(names)
    shipped = {name.removeprefix("barnabas/") for name in names if name.endswith(".py")}
    assert {str(path) for path in modules()} <= shipped
    assert not any(name.startswith("tests") for name in shipped)


def test_a_module_that_is_gone_is_not_in_the_next_wheel(source: Path) -> None:
    gone = source / "broker/gone.py"
    gone.touch()
    assert "barnabas/broker/gone.py" in zipfile.ZipFile(built("wheel", source)).namelist()
    gone.unlink()
    assert "barnabas/broker/gone.py" not in zipfile.ZipFile(built("wheel", source)).namelist()


def test_the_source_distribution_holds_all_that_is_tracked(source: Path) -> None:
    with tarfile.open(built("sdist", source)) as archive:
        names = {str(Path(*Path(member.name).parts[1:])) for member in archive.getmembers() if member.isfile()}
    ours = {str(path) for path in tracked() if not path.parts[0].startswith(".")}
    made = {name for name in names if name.startswith("barnabas.egg-info/")} | {"PKG-INFO", "setup.cfg"}
    assert names - made == ours


def test_every_dependency_has_wheels_everywhere_and_the_others_are_extras() -> None:
    # google-re2, lz4 and zstandard have none for musl, free-threaded Python or Python 3.15: make pythons looks.
    names = {re.split("[>=<;]", dependency)[0] for dependency in PROJECT["project"]["dependencies"]}
    assert names == {"crc32c", "cramjam", "prometheus-client", "uvloop"}


def test_links_in_the_readme_lead_somewhere_also_from_a_package_index() -> None:
    links = re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text())
    relative = [link for link in links if "://" not in link]
    assert all((ROOT / link).exists() for link in relative)
    # A package index shows the README without the files around it. When the project has a home, links begin with it.
    assert not relative or "urls" not in PROJECT["project"]


@pytest.mark.parametrize(
    "page", [path for path in tracked() if path.parts[0] == "docs" and path.suffix == ".md"], ids=str
)
def test_links_between_the_docs_lead_to_a_heading(page: Path) -> None:
    for link, heading in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", (ROOT / page).read_text()):
        target = ROOT / page.parent / link if link else ROOT / page
        assert target.exists(), link
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings}
        assert not heading or heading in anchors, f"{link}#{heading}"


def test_the_command_says_its_version() -> None:
    said = subprocess.run([sys.executable, "-m", "barnabas", "--version"], capture_output=True, text=True, check=True)
    from barnabas import __version__

    assert __version__ in said.stdout
