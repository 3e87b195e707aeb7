"""The settings of one group, and those of a client metrics subscription."""

from collections.abc import Mapping

from .broker_config import BrokerConfig
from .cross_checks import check_group
from .entries import ConfigSynonym
from .errors import ConfigError
from .overrides import Overrides
from .setting import ConfigSource, Setting, Value
from .table import CLIENT_METRICS_SETTINGS, GROUP_SETTINGS


class GroupConfig(Overrides):
    """Every setting of a group by name (Kafka's GroupConfig): what the group has, or else what the broker's say."""

    __slots__ = ("_broker",)

    def __init__(self, overrides: Mapping[str, str], broker: BrokerConfig) -> None:
        """Put ``overrides`` over the settings of ``broker``. Raises ConfigError."""
        self._broker = broker
        defaults = {setting.name: _default(setting, broker) for setting in GROUP_SETTINGS.values()}
        super().__init__(GROUP_SETTINGS, overrides, defaults, ConfigSource.GROUP, "group")
        problems: dict[str, str] = {}
        for finding in check_group(self, broker):
            blamed = next((blamed for blamed in finding if blamed[0] in overrides), None)
            if blamed is not None and blamed[0] not in problems:
                problems[blamed[0]] = blamed[1]
        if problems:
            raise ConfigError(problems.values(), problems)

    def _synonyms(self, setting: Setting) -> tuple[ConfigSynonym, ...]:
        if setting.synonyms:
            return self._broker.synonyms_of(setting.synonyms[0].name)
        return (ConfigSynonym(setting.name, setting.format(setting.default), ConfigSource.DEFAULT),)


class ClientMetricsConfig(Overrides):
    """What clients are asked to push (KIP-714). Kept for the tools; nobody is asked as long as nothing receives."""

    __slots__ = ()

    def __init__(self, overrides: Mapping[str, str]) -> None:
        """Raises ConfigError."""
        defaults = {setting.name: setting.default for setting in CLIENT_METRICS_SETTINGS.values()}
        super().__init__(CLIENT_METRICS_SETTINGS, overrides, defaults, ConfigSource.CLIENT_METRICS, "client metrics")


def _default(setting: Setting, broker: BrokerConfig) -> Value:
    return broker.int(setting.synonyms[0].name) if setting.synonyms else setting.default
