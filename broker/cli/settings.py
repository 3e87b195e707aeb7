"""``barnabas settings DATA_DIR``: show the settings that admin clients have stored, and forget those of brokers."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...storage.catalog import ResourceConfigured
from ...storage.catalog.sqlite import SqliteCatalog
from ...storage.clock import SystemClock
from ...storage.errors import StorageError
from ...storage.layout import CATALOG_FILE, LOCK_FILE, lock
from ..config import BROKER_SETTINGS
from ..config.command_line import SettingsOptions
from ..resources import ResourceType

_KINDS: dict[int, str] = {
    ResourceType.TOPIC: "topic",
    ResourceType.BROKER: "broker",
    ResourceType.GROUP: "group",
    ResourceType.CLIENT_METRICS: "client metrics",
}


def run_settings(data_dir: str, options: SettingsOptions) -> int:
    """Show or forget and return the exit status: 0 done, 1 a setting to forget is not stored, 2 not possible."""
    path = Path(data_dir)
    try:
        if not (path / CATALOG_FILE).exists():
            raise StorageError(f"{path} is not a data directory: there is no {CATALOG_FILE} in it")
        held = lock(path / LOCK_FILE)
        try:
            catalog = SqliteCatalog(path / CATALOG_FILE, SystemClock())
            try:
                if options.forget or options.forget_all:
                    return _forget(catalog, options)
                return _show(catalog)
            finally:
                catalog.close()
        finally:
            os.close(held)
    except (StorageError, OSError) as error:
        print(f"barnabas: {error}", file=sys.stderr)
        return 2


def _show(catalog: SqliteCatalog) -> int:
    configs = {(ResourceType.TOPIC.value, topic.name): topic.configs for topic in catalog.topics()}
    lines = [
        f"{_title(kind, name)}: {_printable(setting)}={_value(kind, setting, text)}"
        for (kind, name), stored in sorted({**catalog.configs(), **configs}.items(), key=_brokers_first)
        for setting, text in sorted(stored.items())
    ]
    print("\n".join(lines) if lines else "no settings are stored")
    return 0


def _forget(catalog: SqliteCatalog, options: SettingsOptions) -> int:
    stored = {key: configs for key, configs in catalog.configs().items() if key[0] == ResourceType.BROKER}
    known = {setting for configs in stored.values() for setting in configs}
    names = known if options.forget_all else set(options.forget)
    if missing := sorted(names - known):
        print(f"barnabas: not stored for a broker, nothing was changed: {', '.join(missing)}", file=sys.stderr)
        return 1
    changes = []
    for (kind, name), configs in sorted(stored.items()):
        kept = {setting: text for setting, text in configs.items() if setting not in names}
        if kept != configs:
            changes.append(ResourceConfigured(kind, name, kept))
    catalog.commit(*changes)
    catalog.sync()
    for line in _forgotten(stored, names):
        print(line)
    if not changes:
        print("no settings of brokers are stored")
    return 0


def _forgotten(stored: Mapping[tuple[int, str], Mapping[str, str]], names: set[str]) -> Iterator[str]:
    for (kind, name), configs in sorted(stored.items()):
        for setting in sorted(names & configs.keys()):
            yield f"forgotten: {_title(kind, name)}: {_printable(setting)}={_value(kind, setting, configs[setting])}"


def _brokers_first(stored: tuple[tuple[int, str], Mapping[str, str]]) -> tuple[bool, int, str]:
    kind, name = stored[0]
    return kind != ResourceType.BROKER, kind, name


def _title(kind: int, name: str) -> str:
    if kind == ResourceType.BROKER and not name:
        return "all brokers"
    return f"{_KINDS.get(kind, f'resource type {kind}')} {_printable(name)}"


def _value(kind: int, setting: str, text: str) -> str:
    known = BROKER_SETTINGS.get(setting)
    if kind == ResourceType.BROKER and (known is None or known.sensitive):
        return "(hidden)"
    return _printable(text)


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
