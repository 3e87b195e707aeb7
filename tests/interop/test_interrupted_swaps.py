"""A broker died while cleaned segments took the place of others: the other broker completes what was begun."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from support.apache_kafka import ApacheKafka
from support.compacted import (
    COMPACTED,
    KAFKA_CLEANS,
    WE_CLEAN,
    Server,
    configure,
    connected,
    end_segments,
    produce,
    wait_until_clean,
)
from support.log_files import Written, create, read
from support.moved_folders import adopt, check, copy, replace
from support.process import running

ORIGINS = ("barnabas", "kafka")
TOPIC = "t"
FOLDER = f"{TOPIC}-0"
CLEANED = (".log", ".index", ".timeindex", ".txnindex")


class Life(NamedTuple):
    """The folder of a partition before it was cleaned and after that, with the records that were read then."""

    before: Path
    after: Path
    was: list[Written]
    became: list[Written]

    def cleaned(self) -> list[Path]:
        """The log files of cleaned segments."""
        found = []
        for path in sorted(self.after.glob("*.log")):
            original = self.before / path.name
            if not original.is_file() or original.read_bytes() != path.read_bytes():
                found.append(path)
        return found

    def replaced(self) -> list[Path]:
        """The log files of the segments that are no more what they were."""
        logs = sorted(self.before.glob("*.log"))
        return [path for path in logs if path.read_bytes() not in map(Path.read_bytes, self.after.glob("*.log"))]


def mark(life: Life, folder: Path, *marks: str) -> None:
    """Add the files of the cleaned segments; ``marks``: of each kind of file, the last is for the others, too."""
    for log in life.cleaned():
        for number, suffix in enumerate(CLEANED):
            source = log.with_suffix(suffix)
            if source.is_file():
                shutil.copy(source, folder / f"{source.name}{marks[min(number, len(marks) - 1)]}")


def delete(life: Life, folder: Path, count: int) -> None:
    """Mark that many of the segments that are replaced as deleted."""
    for log in life.replaced()[:count]:
        for suffix in CLEANED:
            path = folder / log.with_suffix(suffix).name
            if path.is_file():
                path.rename(f"{path}.deleted")


def unfinished(life: Life, folder: Path) -> list[Written]:
    mark(life, folder, ".cleaned")
    return life.was


def half_renamed(life: Life, folder: Path) -> list[Written]:
    mark(life, folder, ".swap", ".cleaned")
    return life.was


def swapped(life: Life, folder: Path) -> list[Written]:
    mark(life, folder, ".swap")
    return life.became


def one_deleted(life: Life, folder: Path) -> list[Written]:
    mark(life, folder, ".swap")
    delete(life, folder, 1)
    return life.became


def all_deleted(life: Life, folder: Path) -> list[Written]:
    mark(life, folder, ".swap")
    delete(life, folder, len(life.replaced()))
    return life.became


def log_is_left(life: Life, folder: Path) -> list[Written]:
    """The indexes have their names already, the log has not."""
    delete(life, folder, len(life.replaced()))
    mark(life, folder, ".swap", "")
    return life.became


def indexes_are_left(life: Life, folder: Path) -> list[Written]:
    delete(life, folder, len(life.replaced()))
    mark(life, folder, "", ".swap")
    return life.became


INSTANTS: tuple[Callable[[Life, Path], list[Written]], ...] = (
    unfinished,
    half_renamed,
    swapped,
    one_deleted,
    all_deleted,
    log_is_left,
    indexes_are_left,
)
PLACES = [f"{origin}-{instant.__name__}" for origin in ORIGINS for instant in INSTANTS]


def live(server: Server, folder: Path) -> Life:
    """Write, copy the partition, clean it, copy it again."""
    create(server.bootstrap, TOPIC, COMPACTED | {"min.cleanable.dirty.ratio": "1"})
    produce(connected(server), TOPIC, "")
    end_segments(server, TOPIC)
    was = read(server.bootstrap, TOPIC)
    server.stop()
    copy(server.data_dir / FOLDER, folder / "before")
    server.start()
    configure(server, TOPIC, COMPACTED)
    wait_until_clean(server, [TOPIC])
    became = read(server.bootstrap, TOPIC)
    server.stop()
    copy(server.data_dir / FOLDER, folder / "after")
    return Life(folder / "before", folder / "after", was, became)


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Life]]:
    folder = tmp_path_factory.mktemp("lives")
    (folder / "barnabas").mkdir()
    (folder / "kafka").mkdir()
    with running(folder / "ours", *WE_CLEAN) as broker:
        ours = live(broker, folder / "barnabas")
    with ApacheKafka.running(folder / "theirs", *KAFKA_CLEANS) as kafka:
        theirs = live(kafka, folder / "kafka")
    yield {"barnabas": ours, "kafka": theirs}
    shutil.rmtree(folder)


class Crafted(NamedTuple):
    """Folders as they were at an instant of a swap, and what is to be read."""

    folder: Path
    expected: dict[str, list[Written]]


@pytest.fixture(scope="module")
def crafted(lives: dict[str, Life], tmp_path_factory: pytest.TempPathFactory) -> Crafted:
    folder = tmp_path_factory.mktemp("crafted")
    expected = {}
    for origin in ORIGINS:
        for instant in INSTANTS:
            place = f"{origin}-{instant.__name__}"
            copy(lives[origin].before, folder / f"{place}-0")
            expected[place] = instant(lives[origin], folder / f"{place}-0")
    return Crafted(folder, expected)


@pytest.fixture(scope="module")
def completed(crafted: Crafted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """Both brokers, with the crafted folders."""
    folder = tmp_path_factory.mktemp("completed")
    copy(crafted.folder, folder / "ours")
    for path in (folder / "ours").glob("*/partition.metadata"):
        path.unlink()  # they are of one topic
    adopted = adopt(folder / "ours")
    print(adopted.stdout, adopted.stderr)
    assert adopted.returncode == 0
    with ApacheKafka.running(folder / "theirs") as kafka:
        for place in PLACES:
            create(kafka.bootstrap, place, {})
        kafka.stop()
        for place in PLACES:
            replace(crafted.folder / f"{place}-0", kafka.data_dir / f"{place}-0")
        kafka.start()
        with running(folder / "ours") as broker:
            yield {"barnabas": broker, "kafka": kafka}
    shutil.rmtree(folder)


def test_several_segments_are_replaced(lives: dict[str, Life]) -> None:
    for life in lives.values():
        assert len(life.replaced()) > 2
        assert life.cleaned()
        assert len(life.became) < len(life.was) / 2
    assert lives["barnabas"].became == lives["kafka"].became


@pytest.mark.parametrize("by", ORIGINS)
@pytest.mark.parametrize("place", PLACES)
def test_what_was_begun_is_completed_or_undone(
    completed: dict[str, Server], crafted: Crafted, place: str, by: str
) -> None:
    assert read(completed[by].bootstrap, place) == crafted.expected[place]
    folder = completed[by].data_dir / f"{place}-0"
    assert [path.name for path in folder.iterdir() if path.suffix in (".swap", ".cleaned")] == []


def test_nothing_is_wrong_in_the_end(completed: dict[str, Server]) -> None:
    completed["barnabas"].stop()
    assert check(completed["barnabas"].data_dir).endswith("all is well\n")
