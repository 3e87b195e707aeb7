"""The settings of one resource, a topic or a group: its own values over what holds for all."""

from collections.abc import Callable, Iterator, Mapping
from heapq import nsmallest
from typing import TypeVar

from .entries import ConfigEntry, ConfigSynonym
from .errors import ConfigError
from .setting import ConfigSource, InvalidValue, Setting, Value
from .table import suggestion
from .typed_access import TypedAccess

T = TypeVar("T")

UNKNOWN_NAMES_MAX = 3


class Overrides(TypedAccess):
    """Every setting of ``settings`` by name."""

    __slots__ = ("_overrides", "_settings", "_source")

    def __init__(
        self,
        settings: Mapping[str, Setting],
        overrides: Mapping[str, str],
        defaults: Mapping[str, Value],
        source: ConfigSource,
        kind: str,
    ) -> None:
        """Put ``overrides``, which come from ``source``, over ``defaults``. Raises ConfigError.

        ``kind``: what has the settings, in Kafka's messages: "topic", "group".
        """
        self._settings = settings
        self._overrides = overrides.keys()
        self._source = source
        problems: dict[str, str] = {}
        super().__init__({**defaults, **parse_overrides(settings, overrides, problems, kind)})
        if problems:
            raise ConfigError(problems.values(), problems)

    def entries(self) -> Iterator[ConfigEntry]:
        """Yield every setting, by name; internal ones only where they are set."""
        for setting in self._settings.values():
            if setting.is_internal and setting.name not in self._overrides:
                continue
            value = setting.format(self._values[setting.name])
            synonyms = self._synonyms(setting)
            if setting.name in self._overrides:
                synonyms = (ConfigSynonym(setting.name, value, self._source), *synonyms)
            yield ConfigEntry(
                setting.name,
                value,
                synonyms[0].source if synonyms else ConfigSource.DEFAULT,
                False,
                setting.sensitive,
                setting.type,
                setting.documentation,
                synonyms,
            )

    def _synonyms(self, setting: Setting) -> tuple[ConfigSynonym, ...]:
        """Return where else the setting has values, strongest first."""
        del setting
        return ()


def keep_fitting(
    make: Callable[[Mapping[str, str]], T], overrides: Mapping[str, str]
) -> tuple[T, Mapping[str, str], list[str]]:
    """Return what ``make`` makes of those of ``overrides`` that it takes, these, and a line for each other.

    ``make``: raises ConfigError that names what is wrong. Stored settings may be of another version, or contradict
    what the broker is started with.
    """
    faults: list[str] = []
    while True:
        try:
            return make(overrides), overrides, faults
        except ConfigError as error:
            if not overrides.keys() & set(error.names):
                raise
            faults += error.problems
            overrides = {name: text for name, text in overrides.items() if name not in error.names}


def parse_overrides(
    settings: Mapping[str, Setting], overrides: Mapping[str, str | None], problems: dict[str, str], kind: str
) -> dict[str, Value]:
    """Return the values of ``overrides``; Kafka's message for each that is wrong goes to ``problems``.

    Unknown names come first, and only a few of them: a client may send thousands. Kafka tells one.
    """
    for name in nsmallest(UNKNOWN_NAMES_MAX, overrides.keys() - settings.keys()):
        likely = "" if problems else suggestion(name, settings)
        problems[name] = f"Unknown {kind} config name: {name}{likely}"
    values: dict[str, Value] = {}
    for name in sorted(overrides.keys() & settings.keys()):
        text = overrides[name]
        if text is None:
            problems[name] = f"Null value not supported for {kind} configs: {name}"
        else:
            try:
                values[name] = settings[name].parse(text)
            except InvalidValue as error:
                problems[name] = error.message(name)
    return values
