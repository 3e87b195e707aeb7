"""A setting as DescribeConfigs tells it."""

from typing import NamedTuple

from .setting import ConfigSource, ConfigType


class ConfigSynonym(NamedTuple):
    """One of the places a value can come from; ``value`` is None when it must not be shown."""

    name: str
    value: str | None
    source: ConfigSource


class ConfigEntry(NamedTuple):
    """One setting with its value, as Kafka writes it.

    ``value``: None for Kafka's null and for what must not be shown.
    ``synonyms``: strongest first; ``source`` is that of the first, DEFAULT when there is none.
    """

    name: str
    value: str | None
    source: ConfigSource
    is_read_only: bool
    is_sensitive: bool
    type: ConfigType
    documentation: str
    synonyms: tuple[ConfigSynonym, ...]
