"""Settings that were changed while a broker ran, and are stored in its data directory (KIP-226)."""

from collections.abc import Iterator, Mapping

from .broker_config import DYNAMIC_ORIGINS, BrokerConfig, Dynamics, line
from .errors import ConfigError
from .setting import ConfigType, Setting, Value
from .sources import Given
from .table import BROKER_SETTINGS, base_name, broker_setting

# With 0 no client could connect, not even to change the setting back.
_CONNECTION_LIMITS = ("max.connections", "max.connection.creation.rate")
# These have to fit to one another. Each may be wrong because of another one.
_LISTENER_SETTINGS = ("listeners", "advertised.listeners", "listener.security.protocol.map")
_REPORTERS = ("metric.reporters", "kafka.metrics.reporters")
_KNOWN_REPORTERS = ("org.apache.kafka.common.metrics.JmxReporter",)


def check_dynamic(changed: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the fault of each setting that Kafka takes from a file and refuses to change to.

    ``changed``: values by name, of all brokers or of one; what cannot be parsed is passed over.
    Sources of the rules: Kafka's ConnectionQuotas, DynamicMetricsReporters, ConfigDef.parseType.
    """
    for name, text in changed.items():
        bare_name = base_name(name)
        setting = BROKER_SETTINGS.get(bare_name)
        if setting is None:
            continue
        try:
            value = setting.parse(text)
        except ValueError:
            continue
        if bare_name in _CONNECTION_LIMITS and value == 0:
            yield name, f"Invalid {bare_name} 0: nobody could connect any more"
        missing = next(missing_classes(setting, value), None)
        if missing is not None:
            yield name, f"Invalid value {missing} for configuration {bare_name}: Class {missing} could not be found."


def missing_classes(setting: Setting, value: Value) -> Iterator[str]:
    """Yield the classes that a setting names and that are not here; those of Kafka's defaults have a counterpart."""
    if setting.name in _REPORTERS and isinstance(value, tuple):
        yield from (item for item in value if item not in _KNOWN_REPORTERS)
    elif setting.type is ConfigType.CLASS and isinstance(value, str) and value not in ("", setting.default):
        yield value


def with_stored(config: BrokerConfig, stored: Dynamics) -> tuple[BrokerConfig, list[tuple[str, str]]]:
    """Return ``config`` with the stored settings that still fit, and name and fault of each that is left out.

    A stored setting may contradict the start options, or have been stored by another version of Barnabas.
    """
    left_out: list[tuple[str, str]] = []
    for field, origin, layer in zip(Dynamics._fields, DYNAMIC_ORIGINS, stored, strict=True):
        refused = {name: f"is refused: {fault}" for name, fault in check_dynamic(layer)}
        faults = {**dict(_unreadable(layer)), **refused}
        left_out += ((name, line(name, Given(layer[name], origin), fault)) for name, fault in faults.items())
        fitting = {name: text for name, text in layer.items() if name not in faults}
        stored = stored._replace(**{field: fitting})
    while True:
        try:
            return config.changed(stored), left_out
        except ConfigError as error:
            names = {*stored.own, *stored.cluster}
            lines = dict(zip(error.names, error.problems, strict=True))
            found = names.intersection(lines) or names.intersection(_LISTENER_SETTINGS) or names
            if not found:
                raise
            for name in sorted(found):
                left_out.append((name, lines.get(name, f"{name}: {error}")))
                stored = _without(stored, name)


def _unreadable(layer: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, text in layer.items():
        try:
            broker_setting(name).parse(text)
        except ValueError as error:
            yield name, str(error)


def _without(dynamics: Dynamics, name: str) -> Dynamics:
    """Return the settings without the one that counts: this broker's, or else that of all brokers."""
    if name in dynamics.own:
        return dynamics._replace(own={key: value for key, value in dynamics.own.items() if key != name})
    return dynamics._replace(cluster={key: value for key, value in dynamics.cluster.items() if key != name})
