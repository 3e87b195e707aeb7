"""What is configured: Kafka's names, types, defaults and rules, from one table that DescribeConfigs reads too."""

from .broker_config import BrokerConfig
from .entries import ConfigEntry, ConfigSynonym
from .errors import ConfigError
from .listeners import Advertised, Listener
from .setting import ConfigSource, ConfigType
from .sources import Given, Reading, read_sources
from .topic_config import TopicConfig, validate_topic_overrides

__all__ = [
    "Advertised",
    "BrokerConfig",
    "ConfigEntry",
    "ConfigError",
    "ConfigSource",
    "ConfigSynonym",
    "ConfigType",
    "Given",
    "Listener",
    "Reading",
    "TopicConfig",
    "read_sources",
    "validate_topic_overrides",
]
