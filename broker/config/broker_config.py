"""The settings one broker runs with: checked as a whole, and never changed. Who changes one makes new ones."""

from collections.abc import Iterator, Mapping
from itertools import dropwhile
from typing import NamedTuple

from .coordinator_table import CONSUMER_ASSIGNORS
from .cross_checks import Finding, check_broker
from .entries import ConfigEntry, ConfigSynonym
from .errors import ConfigError, wrong
from .listeners import (
    Advertised,
    Listener,
    check_names,
    listeners_behind,
    parse_advertised,
    parse_listeners,
    parse_protocol_map,
)
from .setting import ConfigSource, ConfigType, Dynamic, Setting, Value
from .sources import Given
from .table import BROKER_SETTINGS, SYNONYMS, TOPIC_SETTINGS, base_name, broker_setting, unknown
from .typed_access import TypedAccess


class Dynamics(NamedTuple):
    """What was set while brokers ran: for all of them, and over that for this one."""

    cluster: Mapping[str, str]
    own: Mapping[str, str]


MIN_INSYNC_REPLICAS = "min.insync.replicas"

# Where the values of the two layers are from, in words that follow "from".
DYNAMIC_ORIGINS = ("the dynamic settings of all brokers", "the dynamic settings of this broker")


class BrokerConfig(TypedAccess):
    """Every broker setting by name, and what follows from several of them.

    ``consumer_assignors``: names of assignors, the preferred one first.
    ``listeners``: where to listen, at least one. ``advertised_listeners``: what clients are told; empty when each
    is told the address it came by. ``data_dir``: the one directory. ``topic_values``: what each topic setting is
    for a topic that does not set it.
    """

    __slots__ = (
        "_dynamic",
        "_given",
        "advertised_listeners",
        "consumer_assignors",
        "data_dir",
        "listeners",
        "topic_values",
    )

    listeners: tuple[Listener, ...]
    advertised_listeners: tuple[Advertised, ...]
    consumer_assignors: tuple[str, ...]
    data_dir: str
    topic_values: Mapping[str, Value]

    def __init__(self, given: Mapping[str, Given] | None = None, dynamic: Dynamics | None = None) -> None:
        """Take what is ``given``, over it what was set while brokers ran, and defaults for the rest.

        Raises ConfigError, a line for every wrong value.
        """
        given = given or {}
        self._given = _with_both_ids(given)
        self._dynamic = dynamic or Dynamics({}, {})
        problems: dict[str, str] = {}
        values = {setting.name: setting.default for setting in BROKER_SETTINGS.values()}
        super().__init__(values)
        for name, (text, _) in self._set().items():
            setting = BROKER_SETTINGS.get(name)
            if setting is None:
                if name in self._given:
                    problems[name] = unknown(name, BROKER_SETTINGS)
                continue
            try:
                values[name] = setting.parse(text)
            except ValueError as error:
                problems[name] = str(error)
        for copied in self._given.keys() - given.keys():
            problems.pop(copied, None)  # told about the one it was copied from
        for finding in check_broker(self):
            if not any(name in problems for name, _ in finding):
                name, reason = self._blamed(finding)
                problems[name] = reason
        self._settle_listeners(problems)
        self._settle_data_dir(problems)
        if problems:
            lines = (line(name, self.given(name), reason) for name, reason in sorted(problems.items()))
            raise ConfigError(lines, sorted(problems))
        assignors = (CONSUMER_ASSIGNORS[name] for name in self.list("group.consumer.assignors"))
        self.consumer_assignors = tuple(dict.fromkeys(assignors))
        self.topic_values = {name: self._topic_value(name) for name in TOPIC_SETTINGS}

    @classmethod
    def of(cls, values: Mapping[str, str], origin: str = "") -> "BrokerConfig":
        """Return the settings of ``values``, all from one ``origin``. Raises ConfigError."""
        return cls({name: Given(value, origin) for name, value in values.items()})

    def _set(self) -> dict[str, Given]:
        """Return every setting that somebody set, with the value that counts and where it was set."""
        dynamic = {
            name: Given(text, origin)
            for origin, layer in zip(DYNAMIC_ORIGINS, self._dynamic, strict=True)
            for name, text in layer.items()
        }
        return {**self._given, **dynamic}

    def given(self, name: str) -> Given | None:
        """Return the value of a setting as it was written, and where; None for the default."""
        return self._set().get(name)

    def shown(self, name: str) -> str:
        """Return the value of a setting that was set, unless it is a secret."""
        setting = BROKER_SETTINGS.get(name)
        return "(hidden)" if setting is None or setting.sensitive else self._set()[name].value

    def _blamed(self, finding: Finding) -> tuple[str, str]:
        """Return the setting to complain about: one that was changed before one that the broker was started with."""
        for names in ({**self._dynamic.cluster, **self._dynamic.own}, self._given):
            for name, reason in finding:
                if name in names:
                    return name, reason
        return finding[0]

    @property
    def dynamic(self) -> "Dynamics":
        """What was set while brokers ran."""
        return self._dynamic

    @property
    def of_all_brokers(self) -> Mapping[str, str]:
        """The dynamic settings that hold for all brokers.

        ``min.insync.replicas`` is always one of them. A Kafka that knows eligible leader replicas (KIP-966) stores it
        when it is set up, with the value that the broker has been given.
        """
        given, default = self._given.get(MIN_INSYNC_REPLICAS), BROKER_SETTINGS[MIN_INSYNC_REPLICAS].default
        return {MIN_INSYNC_REPLICAS: str(default) if given is None else given.value, **self._dynamic.cluster}

    def changed(self, dynamic: "Dynamics") -> "BrokerConfig":
        """Return the settings with other dynamic ones. Raises ConfigError."""
        return BrokerConfig(self._given, dynamic)

    def entries(self) -> Iterator[ConfigEntry]:
        """Yield every broker setting by name, then the settings with unknown names.

        Internal settings are left out unless they are set.
        """
        for setting in BROKER_SETTINGS.values():
            if setting.is_internal and setting.name not in self._set():
                continue
            yield _entry(setting, setting.format(self._values[setting.name]), self.synonyms_of(setting.name))
        for name in sorted(self._set().keys() - BROKER_SETTINGS.keys()):
            synonyms = self.synonyms_of(name)
            yield _entry(broker_setting(name), synonyms[0].value, synonyms)

    def cluster_entries(self) -> Iterator[ConfigEntry]:
        """Yield the dynamic settings that hold for all brokers, by name."""
        for name, text in sorted(self.of_all_brokers.items()):
            setting = broker_setting(name)
            value = setting.format(setting.parse(text))
            yield _entry(setting, value, (ConfigSynonym(name, value, ConfigSource.DYNAMIC_DEFAULT_BROKER),))

    def synonyms_of(self, name: str) -> tuple[ConfigSynonym, ...]:
        """Return where a setting and those that say the same have values, strongest first.

        As in Kafka the list begins with the setting itself: what is stronger under another name is left out.
        """
        base = base_name(name)
        names = SYNONYMS.get(name, (name,)) if base == name else (name, base)
        settings = [broker_setting(name) for name in names]
        layers = (
            (ConfigSource.DYNAMIC_BROKER, self._dynamic.own),
            (ConfigSource.DYNAMIC_DEFAULT_BROKER, self.of_all_brokers),
            (ConfigSource.STATIC_BROKER, {name: self._given[name].value for name in names if name in self._given}),
        )
        synonyms = [
            ConfigSynonym(setting.name, setting.format(setting.parse(texts[setting.name])), source)
            for source, texts in layers
            for setting in settings
            if setting.name in texts
        ]
        for setting in settings:
            if setting.default is not None:
                synonyms.append(ConfigSynonym(setting.name, setting.format(setting.default), ConfigSource.DEFAULT))
        return tuple(dropwhile(lambda synonym: synonym.name != name, synonyms))

    def _settle_listeners(self, problems: dict[str, str]) -> None:
        """Set ``listeners`` and ``advertised_listeners``; what is wrong about them goes to ``problems``."""
        if "listener.security.protocol.map" in problems or "controller.listener.names" in problems:
            return
        blamed = "listener.security.protocol.map"
        try:
            protocols = parse_protocol_map(self.string(blamed))
            controllers = self.list("controller.listener.names")
            advertised = self.list("advertised.listeners")
            given = self._set().get("listeners")
            listen_as_advertised = any(advertised) and (given is None or not given.value.strip(" ,"))
            if listen_as_advertised:
                blamed = "advertised.listeners"
                self.advertised_listeners = parse_advertised(advertised, None, controllers)
                self.listeners = listeners_behind(self.advertised_listeners, protocols, controllers)
            else:
                blamed = "listeners"
                self.listeners = parse_listeners(self.list(blamed), protocols, controllers)
                blamed = "advertised.listeners"
                self.advertised_listeners = parse_advertised(advertised, self.listeners, controllers)
            for blamed in ("inter.broker.listener.name", "early.start.listeners"):
                check_names(self._names(blamed), self.listeners, controllers)
        except ValueError as error:
            problems[blamed] = str(error)

    def _names(self, name: str) -> tuple[str, ...]:
        value = self._values[name]
        return value if isinstance(value, tuple) else (value,) if isinstance(value, str) else ()

    def _settle_data_dir(self, problems: dict[str, str]) -> None:
        name = "log.dir" if self._values["log.dirs"] is None else "log.dirs"
        directories = [directory for directory in self.list(name) if directory]
        if len(directories) != 1:
            problems[name] = "must be one directory: Barnabas keeps everything in one"
        else:
            self.data_dir = directories[0]

    def _topic_value(self, name: str) -> Value:
        """Return topic setting ``name`` as the broker settings behind it have it, or its own default."""
        setting = TOPIC_SETTINGS[name]
        for broker_name, factor in setting.synonyms:
            value = self._values[broker_name]
            if value is None:
                continue
            if factor != 1 and isinstance(value, int):
                value *= factor
            if name == "retention.ms" and isinstance(value, int):
                value = max(value, -1)  # any negative number of hours means for ever
            return value
        return setting.default


def line(name: str, given: Given | None, reason: str) -> str:
    """Return the line that says what is wrong with a broker setting; ``given``: None for the default."""
    setting = BROKER_SETTINGS.get(name)
    if given is None:
        shown = setting.format(setting.default) if setting is not None else None
        return wrong(name, f"{shown} (the default)", "", reason)
    hidden = setting is not None and setting.sensitive
    return wrong(name, "(hidden)" if hidden else given.value, given.origin, reason)


def _entry(setting: Setting, value: str | None, synonyms: tuple[ConfigSynonym, ...]) -> ConfigEntry:
    return ConfigEntry(
        setting.name,
        value,
        synonyms[0].source if synonyms else ConfigSource.DEFAULT,
        setting.dynamic is Dynamic.READ_ONLY or setting.type is ConfigType.UNKNOWN,
        setting.sensitive,
        setting.type,
        setting.documentation,
        synonyms,
    )


def _with_both_ids(given: Mapping[str, Given]) -> dict[str, Given]:
    """Return ``given`` with node.id and broker.id standing for each other; a broker.id of -1 asks for none."""
    both = dict(given)
    if "broker.id" in both and both["broker.id"].value.strip() == "-1":
        del both["broker.id"]
    for name, other in (("node.id", "broker.id"), ("broker.id", "node.id")):
        if name in both and other not in both:
            both[other] = both[name]
    return both
