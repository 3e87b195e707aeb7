"""``barnabas settings``: what is stored in a data directory, without a broker."""

from pathlib import Path

import pytest

from barnabas.broker.cli.settings import run_settings
from barnabas.broker.config.command_line import SettingsOptions
from barnabas.broker.resources import ResourceType
from barnabas.storage.catalog import ResourceConfigured, StoredTopic, TopicCreated
from barnabas.storage.catalog.sqlite import SqliteCatalog
from barnabas.storage.clock import SystemClock
from barnabas.storage.datadir import DataDir

BROKER, GROUP = ResourceType.BROKER, ResourceType.GROUP


def opened(path: Path) -> SqliteCatalog:
    return SqliteCatalog(path / "catalog.sqlite", SystemClock())


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    DataDir(tmp_path, SystemClock(), 1, lambda deliver: deliver()).close()
    catalog = opened(tmp_path)
    catalog.commit(
        ResourceConfigured(BROKER, "", {"message.max.bytes": "3000", "log.retention.ms": "5"}),
        ResourceConfigured(BROKER, "1", {"message.max.bytes": "2000", "ssl.key.password": "secret", "my.own": "x"}),
        ResourceConfigured(GROUP, "g\nh", {"consumer.session.timeout.ms": "\x1b[31m"}),
        TopicCreated(StoredTopic(bytes(16), "orders", 1, 0, {"retention.ms": "-1"})),
        TopicCreated(StoredTopic(bytes(15) + b"\1", "plain", 1, 0, {})),
    )
    catalog.close()
    return tmp_path


def forget(data_dir: Path, *names: str) -> int:
    return run_settings(str(data_dir), SettingsOptions(names))


def stored(data_dir: Path) -> dict[tuple[int, str], dict[str, str]]:
    catalog = opened(data_dir)
    try:
        return catalog.configs()
    finally:
        catalog.close()


def test_all_are_shown_those_of_brokers_first_and_no_secret(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_settings(str(data_dir), SettingsOptions()) == 0
    assert capsys.readouterr().out.splitlines() == [
        "all brokers: log.retention.ms=5",
        "all brokers: message.max.bytes=3000",
        "broker 1: message.max.bytes=2000",
        "broker 1: my.own=(hidden)",
        "broker 1: ssl.key.password=(hidden)",
        "topic orders: retention.ms=-1",
        r"group g\nh: consumer.session.timeout.ms=\x1b[31m",
    ]
    assert (data_dir / ".kafka_cleanshutdown").exists()


def test_a_setting_is_forgotten_for_one_broker_and_for_all(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = stored(data_dir)
    assert forget(data_dir, "message.max.bytes", "my.own") == 0
    assert capsys.readouterr().out.splitlines() == [
        "forgotten: all brokers: message.max.bytes=3000",
        "forgotten: broker 1: message.max.bytes=2000",
        "forgotten: broker 1: my.own=(hidden)",
    ]
    assert stored(data_dir) == before | {
        (BROKER, ""): {"log.retention.ms": "5"},
        (BROKER, "1"): {"ssl.key.password": "secret"},
    }
    assert (data_dir / ".kafka_cleanshutdown").exists()


def test_all_of_brokers_are_forgotten_and_nothing_else(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    everything = SettingsOptions(forget_all=True)
    assert run_settings(str(data_dir), everything) == 0
    assert stored(data_dir).keys() == {(GROUP, "g\nh")}
    capsys.readouterr()
    assert run_settings(str(data_dir), everything) == 0
    assert capsys.readouterr().out == "no settings of brokers are stored\n"
    assert run_settings(str(data_dir), SettingsOptions()) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_what_is_not_stored_is_not_forgotten_and_nothing_changes(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = stored(data_dir)
    assert forget(data_dir, "message.max.bytes", "listeners", "retention.ms") == 1
    assert capsys.readouterr().err == (
        "barnabas: not stored for a broker, nothing was changed: listeners, retention.ms\n"
    )
    assert stored(data_dir) == before


def test_nothing_stored_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    DataDir(tmp_path, SystemClock(), 1, lambda deliver: deliver()).close()
    assert run_settings(str(tmp_path), SettingsOptions()) == 0
    assert capsys.readouterr().out == "no settings are stored\n"


def test_a_directory_that_is_none_of_ours_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path, tmp_path / "none"):
        assert run_settings(str(path), SettingsOptions()) == 2
        assert "is not a data directory" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
