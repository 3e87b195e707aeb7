"""One setting: its type, default, rule and documentation, as the tables declare it and DescribeConfigs tells it."""

import re
from collections.abc import Callable
from enum import Enum, IntEnum
from typing import Any, NamedTuple

Value = bool | int | float | str | tuple[str, ...] | None

INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")
_ADDRESS = re.compile(r"(?:\[[0-9a-fA-F:.%]+\]|[^\s:/\[\]]*):([0-9]{1,5})")
_COMMA = re.compile(r"\s*,\s*")


class ConfigType(IntEnum):
    """Kafka's types of a setting, numbered as DescribeConfigs v3 sends them."""

    UNKNOWN = 0
    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class ConfigSource(IntEnum):
    """Where a value was set, numbered as DescribeConfigs sends it; of the first five the lowest wins."""

    TOPIC = 1
    DYNAMIC_BROKER = 2
    DYNAMIC_DEFAULT_BROKER = 3
    STATIC_BROKER = 4
    DEFAULT = 5
    DYNAMIC_BROKER_LOGGER = 6
    CLIENT_METRICS = 7
    GROUP = 8


class Dynamic(Enum):
    """Whether a running broker takes a new value, and for whom."""

    READ_ONLY = "read-only"
    PER_BROKER = "per-broker"
    CLUSTER_WIDE = "cluster-wide"


class InvalidValue(ValueError):
    """A value that a setting refuses. ``str()`` begins with "must be" and says all that is allowed.

    ``shown``: the value as Kafka shows it; ``reason``: what Kafka says of it.
    """

    def __init__(self, allowed: str, shown: str, reason: str) -> None:
        super().__init__(allowed)
        self.shown = shown
        self.reason = reason

    def message(self, name: str) -> str:
        """Return Kafka's message about the setting ``name`` (ConfigException), on which suites and scripts match."""
        return f"Invalid value {self.shown} for configuration {name}: {self.reason}"


class Validator(NamedTuple):
    """A rule on a parsed value, and the words that tell it: "a whole number" + ", at least 1".

    ``reason``: what Kafka says of a value that breaks the rule; ``culprit``: the part of the value that does.
    ``is_set``: a list that names an entry twice means the same as with one of them (KIP-1161).
    """

    accepts: Callable[[Any], bool]
    words: str
    reason: Callable[[Any], str] | None = None
    culprit: Callable[[Any], Any] = lambda value: value
    is_set: bool = False


def at_least(low: int) -> Validator:
    """Accept numbers from ``low`` on."""
    return Validator(lambda value: bool(value >= low), f", at least {low}", lambda _: f"Value must be at least {low}")


def between(low: float, high: float) -> Validator:
    """Accept numbers from ``low`` to ``high``, both included."""

    def reason(value: float) -> str:
        return f"Value must be at least {low}" if value < low else f"Value must be no more than {high}"

    return Validator(lambda value: bool(low <= value <= high), f" between {low} and {high}", reason)


def one_of(*names: str) -> Validator:
    """Accept exactly these words."""
    words = ", ".join(names)
    return Validator(lambda value: value in names, f": one of {words}", lambda _: f"String must be one of: {words}")


def list_of(*names: str, empty_allowed: bool = True) -> Validator:
    """Accept lists of these words, of any words when none is given."""

    def accepts(values: tuple[str, ...]) -> bool:
        if not values:
            return empty_allowed
        return all(value in names for value in values) if names else all(values)

    def unknown(values: tuple[str, ...]) -> str | None:
        return next((value for value in values if names and value not in names), None)

    def reason(values: tuple[str, ...]) -> str:
        return f"must be a list{words}" if unknown(values) is None else f"String must be one of: {', '.join(names)}"

    words = f" of {', '.join(names)}" if names else " of names"
    if not empty_allowed:
        words += ", at least one"
    return Validator(
        accepts, words, reason, lambda values: values if unknown(values) is None else unknown(values), is_set=True
    )


def address_or_nothing() -> Validator:
    """Accept "host:port", ":port" and the empty text."""

    def accepts(value: str) -> bool:
        found = _ADDRESS.fullmatch(value)
        return not value or (found is not None and int(found[1]) < 2**16)

    return Validator(accepts, ", host:port or :port, or none")


class Synonym(NamedTuple):
    """A broker setting that a topic setting falls back on; its number times ``factor`` is the topic's."""

    name: str
    factor: int = 1


_TYPE_WORDS = {
    ConfigType.UNKNOWN: "text",
    ConfigType.BOOLEAN: "true or false",
    ConfigType.STRING: "text",
    ConfigType.INT: "a 32-bit whole number",
    ConfigType.SHORT: "a 16-bit whole number",
    ConfigType.LONG: "a 64-bit whole number",
    ConfigType.DOUBLE: "a number",
    ConfigType.LIST: "a comma-separated list",
    ConfigType.CLASS: "a class name",
    ConfigType.PASSWORD: "a secret",
}
_NO_BOOLEAN = "Expected value to be either true or false"
_BITS = {ConfigType.SHORT: 16, ConfigType.INT: 32, ConfigType.LONG: 64}


class Setting:
    """One row of a table. ``default`` is a parsed value; None is Kafka's null.

    ``is_internal``: Kafka takes the setting and shows it only where it is set (ConfigDef.defineInternal).
    """

    __slots__ = ("default", "documentation", "dynamic", "is_internal", "name", "synonyms", "type", "validator")

    def __init__(
        self,
        name: str,
        type: ConfigType,
        default: Value,
        documentation: str,
        validator: Validator | None = None,
        dynamic: Dynamic = Dynamic.READ_ONLY,
        synonyms: tuple[Synonym, ...] = (),
        is_internal: bool = False,
    ) -> None:
        self.name = name
        self.type = type
        self.default = default
        self.documentation = documentation
        self.validator = validator
        self.dynamic = dynamic
        self.synonyms = synonyms
        self.is_internal = is_internal

    @property
    def sensitive(self) -> bool:
        """True when the value is never shown: a secret, and what may be one because nobody knows it."""
        return self.type in (ConfigType.PASSWORD, ConfigType.UNKNOWN)

    @property
    def allowed(self) -> str:
        """What a value may be, in words that follow "must be"."""
        return _TYPE_WORDS[self.type] + (self.validator.words if self.validator else "")

    def parse(self, text: str) -> Value:
        """Return the value that ``text`` stands for. Raises InvalidValue."""
        allowed = f"must be {self.allowed}"
        try:
            value = _parse(self.type, text.strip())
        except ValueError:
            is_boolean = self.type is ConfigType.BOOLEAN
            reason = _NO_BOOLEAN if is_boolean else f"Not a number of type {self.type.name}"
            raise InvalidValue(allowed, text, reason) from None
        if self.validator is not None:
            if self.validator.is_set and isinstance(value, tuple):
                value = tuple(dict.fromkeys(value))
            if not self.validator.accepts(value):
                reason = self.validator.reason(value) if self.validator.reason is not None else allowed
                raise InvalidValue(allowed, _shown(self.validator.culprit(value)), reason)
        return value

    def format(self, value: Value) -> str | None:
        """Return ``value`` as Kafka writes it; None for null and for what must not be shown."""
        if value is None or self.sensitive:
            return None
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, tuple):
            return ",".join(value)
        if isinstance(value, float):
            return repr(value).replace("e+", "E").replace("e", "E")
        return str(value)


def _shown(value: Value) -> str:
    """Return a value as Java prints it."""
    return f"[{', '.join(value)}]" if isinstance(value, tuple) else str(value)


def custom(name: str) -> Setting:
    """Return the setting for a name that is in no table; Kafka keeps such for its plugins."""
    return Setting(name, ConfigType.UNKNOWN, None, "")


def _parse(type: ConfigType, text: str) -> Value:
    """Raise ValueError, with no words in it, when ``text`` is not of ``type``."""
    if type in _BITS:
        if not _WHOLE_NUMBER.fullmatch(text) or len(text) > 20:
            raise ValueError
        number = int(text)
        limit = 1 << (_BITS[type] - 1)
        if not -limit <= number < limit:
            raise ValueError
        return number
    if type is ConfigType.BOOLEAN:
        if text.lower() not in ("true", "false"):
            raise ValueError
        return text.lower() == "true"
    if type is ConfigType.DOUBLE:
        if "_" in text:
            raise ValueError
        return float(text)
    if type is ConfigType.LIST:
        return tuple(_COMMA.split(text)) if text else ()
    return text
