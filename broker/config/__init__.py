"""What is configured: Kafka's names, types, defaults and rules, from one table that DescribeConfigs reads too."""

from .broker_config import MIN_INSYNC_REPLICAS, BrokerConfig, Dynamics
from .cross_checks import check_change
from .entries import ConfigEntry, ConfigSynonym
from .errors import ConfigError
from .group_config import ClientMetricsConfig, GroupConfig
from .listeners import Advertised, Listener
from .overrides import keep_fitting
from .server_table import connection_limits
from .setting import ConfigSource, ConfigType, Dynamic, InvalidValue, Setting
from .sources import Given, Reading, read_sources
from .stored import check_dynamic, with_stored
from .table import (
    BROKER_SETTINGS,
    CLIENT_METRICS_SETTINGS,
    GROUP_SETTINGS,
    TOPIC_SETTINGS,
    base_name,
    broker_setting,
)
from .topic_config import TopicConfig, validate_topic_overrides

__all__ = [
    "BROKER_SETTINGS",
    "CLIENT_METRICS_SETTINGS",
    "GROUP_SETTINGS",
    "MIN_INSYNC_REPLICAS",
    "TOPIC_SETTINGS",
    "Advertised",
    "BrokerConfig",
    "ClientMetricsConfig",
    "ConfigEntry",
    "ConfigError",
    "ConfigSource",
    "ConfigSynonym",
    "ConfigType",
    "Dynamic",
    "Dynamics",
    "Given",
    "GroupConfig",
    "InvalidValue",
    "Listener",
    "Reading",
    "Setting",
    "TopicConfig",
    "base_name",
    "broker_setting",
    "check_change",
    "check_dynamic",
    "connection_limits",
    "keep_fitting",
    "read_sources",
    "validate_topic_overrides",
    "with_stored",
]
