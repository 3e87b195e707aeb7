"""Everything that has settings of its own, in one form: topics, brokers, groups, client metrics subscriptions."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from ..protocol.errors import ErrorCode
from ..storage.catalog import Catalog, ResourceConfigured
from .config import (
    BROKER_SETTINGS,
    CLIENT_METRICS_SETTINGS,
    GROUP_SETTINGS,
    MIN_INSYNC_REPLICAS,
    TOPIC_SETTINGS,
    BrokerConfig,
    ClientMetricsConfig,
    ConfigEntry,
    ConfigError,
    Dynamic,
    Dynamics,
    GroupConfig,
    InvalidValue,
    Setting,
    base_name,
    broker_setting,
    check_change,
    check_dynamic,
    keep_fitting,
    validate_topic_overrides,
)
from .errors import ApiError

if TYPE_CHECKING:
    from .broker import Broker

logger = logging.getLogger(__name__)

# Kafka's bound, which comes from how its metadata log keeps them.
VALUE_LENGTH_MAX = 32767
# A setting of one listener; those that concern the sockets of all may be set for all brokers.
_OF_A_LISTENER = re.compile(
    r"listener\.name\.[^.]*\.(?!(?:max\.connections|max\.connection\.creation\.rate|num\.network\.threads)$).*"
)
# What Kafka replaces in a running broker only listener by listener (SslConfigs.RECONFIGURABLE_CONFIGS).
_STORES = ("ssl.keystore.", "ssl.key.password", "ssl.truststore.")


class ResourceType(IntEnum):
    """Kafka's ConfigResource.Type."""

    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


_KINDS = {ResourceType.GROUP.value: "group", ResourceType.CLIENT_METRICS.value: "subscription"}


class StoredConfigs:
    """What was set on everything but topics."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._configs: dict[tuple[int, str], Mapping[str, str]] = dict(catalog.configs())

    def leave_out_what_does_not_fit(self, broker: BrokerConfig) -> None:
        """Go on without the settings of groups and subscriptions that the broker's do not permit any more.

        They stay stored until others are stored for the same group or subscription.
        """
        for (resource_type, name), stored in self._configs.items():
            if resource_type == ResourceType.GROUP:
                _, fitting, faults = keep_fitting(partial(GroupConfig, broker=broker), stored)
            elif resource_type == ResourceType.CLIENT_METRICS:
                _, fitting, faults = keep_fitting(ClientMetricsConfig, stored)
            else:
                continue
            self._configs[resource_type, name] = fitting
            for fault in faults:
                logger.error("ignoring a stored setting of %s %s: %s", _KINDS[resource_type], name, fault)

    def of(self, resource_type: ResourceType, name: str) -> Mapping[str, str]:
        return self._configs.get((resource_type, name), {})

    def names(self, resource_type: ResourceType) -> Iterator[str]:
        """Yield the names of the resources that have settings of their own."""
        return (name for stored_type, name in self._configs if stored_type == resource_type)

    def replace(self, resource_type: ResourceType, name: str, configs: Mapping[str, str]) -> None:
        """Raises CatalogError."""
        self._catalog.commit(ResourceConfigured(resource_type, name, configs))
        if configs:
            self._configs[resource_type, name] = configs
        else:
            self._configs.pop((resource_type, name), None)

    def dynamics(self, node_id: int) -> Dynamics:
        """Return the settings of all brokers and of this one."""
        return Dynamics(self.of(ResourceType.BROKER, ""), self.of(ResourceType.BROKER, str(node_id)))


class Resource(Protocol):
    """One thing with settings. ``settings``: which ones it can have; ``overrides``: what was set on it."""

    @property
    def settings(self) -> Mapping[str, Setting]: ...

    @property
    def overrides(self) -> Mapping[str, str]: ...

    def entries(self) -> Iterable[ConfigEntry]:
        """Return all its settings. Raises ApiError when it does not exist."""
        ...

    def check(self, wanted: Mapping[str, str]) -> None:
        """Raises ApiError when it cannot have ``wanted`` for its overrides."""
        ...

    async def configure(self, wanted: Mapping[str, str], validate_only: bool = False) -> None:
        """Give it other overrides, which have been checked. Raises ApiError, CatalogError.

        ``validate_only``: change nothing, but try what only an attempt can tell.
        """
        ...


def find(broker: Broker, resource_type: int, name: str, to_alter: bool = False) -> Resource:
    """Return the resource, to describe or ``to_alter`` it: Kafka says the same in other words then.

    Raises ApiError for a type that has none, and for a name that it cannot have.
    """
    match resource_type:
        case ResourceType.TOPIC:
            return _Topic(broker, name)
        case ResourceType.BROKER:
            if name and to_alter:
                check_node_id(broker, name, "Unexpected broker id, expected {}, but received {}", "Node")
            elif name:
                check_node_id(broker, name, "Unexpected broker id, expected {} or empty string, but received {}")
            return _Broker(broker, name)
        case ResourceType.GROUP:
            if not name:
                message = "Default group resources are not allowed." if to_alter else "Group name must not be empty"
                raise ApiError(ErrorCode.INVALID_REQUEST, message)
            return _Group(broker, name)
        case ResourceType.CLIENT_METRICS:
            if not name:
                what = "Subscription name can't be" if to_alter else "Client metrics subscription name must not be"
                raise ApiError(ErrorCode.INVALID_REQUEST, f"{what} empty")
            return _ClientMetrics(broker, name)
    raise ApiError(ErrorCode.INVALID_REQUEST, f"Unknown resource type {resource_type}")


def check_node_id(broker: Broker, name: str, unexpected: str, what: str = "Broker") -> None:
    """Raises ApiError unless ``name`` is this broker's id. ``unexpected``: the message, with room for both ids."""
    try:
        given = int(name)
    except ValueError:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"{what} id must be an integer, but it is: {name}") from None
    if given != broker.node_id:
        raise ApiError(ErrorCode.INVALID_REQUEST, unexpected.format(broker.node_id, name))


class _Topic:
    settings = TOPIC_SETTINGS

    def __init__(self, broker: Broker, name: str) -> None:
        self._broker = broker
        self._name = name

    @property
    def overrides(self) -> Mapping[str, str]:
        topic = self._broker.topics.get(self._name)
        return topic.configs if topic is not None else {}

    def entries(self) -> Iterable[ConfigEntry]:
        self._broker.topics.check_name_form(self._name)
        return self._broker.topics.find(self._name).config.entries()

    def check(self, wanted: Mapping[str, str]) -> None:
        if not self._name:
            raise ApiError(ErrorCode.INVALID_REQUEST, "Default topic resources are not allowed.")
        self._broker.topics.check_name_form(self._name)
        try:
            validate_topic_overrides(wanted, self._broker.config)
        except ConfigError as error:
            raise ApiError(ErrorCode.INVALID_CONFIG, str(error)) from None
        if self._broker.topics.get(self._name) is None:
            raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{self._name}' does not exist.")

    async def configure(self, wanted: Mapping[str, str], validate_only: bool = False) -> None:
        if not validate_only:
            self._broker.topics.configure(self._broker.topics.find(self._name), wanted)


class _Broker:
    """This broker, or without a name all of them."""

    settings = BROKER_SETTINGS

    def __init__(self, broker: Broker, name: str) -> None:
        self._broker = broker
        self._name = str(broker.node_id) if name else ""

    @property
    def overrides(self) -> Mapping[str, str]:
        if self._name:
            return self._broker.stored_configs.of(ResourceType.BROKER, self._name)
        return self._broker.config.of_all_brokers

    def entries(self) -> Iterable[ConfigEntry]:
        config = self._broker.config
        return config.entries() if self._name else config.cluster_entries()

    def check(self, wanted: Mapping[str, str]) -> None:
        known = {name: setting for name in wanted if (setting := BROKER_SETTINGS.get(name)) is not None}
        self._refuse(
            "Cannot update these configs dynamically",
            [name for name, setting in known.items() if setting.dynamic is Dynamic.READ_ONLY],
        )
        self._refuse(
            "These security configs can be dynamically updated only per-listener using the listener prefix",
            [name for name in known if name.startswith(_STORES)],
        )
        for name, text in wanted.items():
            try:
                broker_setting(name).parse(text)
            except InvalidValue as error:
                raise ApiError(ErrorCode.INVALID_REQUEST, error.message(base_name(name))) from None
        if not self._name:
            self._refuse(
                "Cannot update these configs at default cluster level, broker id must be specified",
                [
                    *(name for name, setting in known.items() if setting.dynamic is Dynamic.PER_BROKER),
                    *filter(_OF_A_LISTENER.fullmatch, wanted),
                ],
            )
        try:
            changed = self._broker.config.changed(self._dynamics(wanted))
        except ConfigError as error:
            raise ApiError(ErrorCode.INVALID_REQUEST, str(error)) from None
        problem = next(
            chain((fault for _, fault in check_dynamic(wanted)), check_change(self._broker.config, changed)), None
        )
        if problem is not None:
            raise ApiError(ErrorCode.INVALID_REQUEST, problem)
        self._check_min_insync_replicas(wanted)

    def _check_min_insync_replicas(self, wanted: Mapping[str, str]) -> None:
        """Refuse what Kafka's controller refuses where there are eligible leader replicas (KIP-966)."""
        if self._name and wanted.get(MIN_INSYNC_REPLICAS) not in (None, self.overrides.get(MIN_INSYNC_REPLICAS)):
            message = f"Broker-level {MIN_INSYNC_REPLICAS} cannot be altered while ELR is enabled."
            raise ApiError(ErrorCode.INVALID_CONFIG, message)
        if not self._name and MIN_INSYNC_REPLICAS not in wanted:
            message = f"Cluster-level {MIN_INSYNC_REPLICAS} cannot be removed while ELR is enabled."
            raise ApiError(ErrorCode.INVALID_CONFIG, message)

    def _refuse(self, reason: str, names: list[str]) -> None:
        if names:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"{reason}: [{', '.join(names)}]")

    def _dynamics(self, wanted: Mapping[str, str]) -> Dynamics:
        dynamic = self._broker.config.dynamic
        return dynamic._replace(own=wanted) if self._name else dynamic._replace(cluster=wanted)

    async def configure(self, wanted: Mapping[str, str], validate_only: bool = False) -> None:
        broker = self._broker
        if not self._name and wanted[MIN_INSYNC_REPLICAS] == self.overrides[MIN_INSYNC_REPLICAS]:
            # What was not changed goes on following the value that the broker is started with.
            stored = broker.stored_configs.of(ResourceType.BROKER, "")
            wanted = {name: text for name, text in wanted.items() if name != MIN_INSYNC_REPLICAS or name in stored}
        config = broker.config.changed(self._dynamics(wanted))
        try:
            # A listener that moves is opened by the next start, which must not fail then.
            await broker.server.check(one for one in config.listeners if one not in broker.config.listeners)
            if validate_only:
                return
            await broker.server.open(config.listeners)
        except OSError as error:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"listeners: {error.strerror or error}") from None
        try:
            broker.stored_configs.replace(ResourceType.BROKER, self._name, wanted)
        except BaseException:
            broker.server.configure(broker.config)  # closes the listeners that were opened for the change
            raise
        broker.configure(config)


class _Stored:
    """What has nothing but its settings here: a group, a client metrics subscription."""

    resource_type: ResourceType

    def __init__(self, broker: Broker, name: str) -> None:
        self._broker = broker
        self._name = name

    @property
    def overrides(self) -> Mapping[str, str]:
        return self._broker.stored_configs.of(self.resource_type, self._name)

    async def configure(self, wanted: Mapping[str, str], validate_only: bool = False) -> None:
        if not validate_only:
            self._broker.stored_configs.replace(self.resource_type, self._name, wanted)


class _Group(_Stored):
    resource_type = ResourceType.GROUP
    settings = GROUP_SETTINGS

    def entries(self) -> Iterable[ConfigEntry]:
        return GroupConfig(self.overrides, self._broker.config).entries()

    def check(self, wanted: Mapping[str, str]) -> None:
        try:
            GroupConfig(wanted, self._broker.config)
        except ConfigError as error:
            raise ApiError(ErrorCode.INVALID_CONFIG, str(error)) from None


class _ClientMetrics(_Stored):
    resource_type = ResourceType.CLIENT_METRICS
    settings = CLIENT_METRICS_SETTINGS

    def entries(self) -> Iterable[ConfigEntry]:
        return ClientMetricsConfig(self.overrides).entries()

    def check(self, wanted: Mapping[str, str]) -> None:
        unknown = wanted.keys() - CLIENT_METRICS_SETTINGS.keys()
        if unknown:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Unknown client metrics configuration: {min(unknown)}")
        interval = wanted.get("interval.ms", "")
        if interval.isdigit() and not 100 <= int(interval) <= 3_600_000:
            raise ApiError(
                ErrorCode.INVALID_REQUEST,
                f"Invalid value {interval} for interval.ms, interval must be between 100 and 3600000 (1 hour)",
            )
        try:
            CLIENT_METRICS_SETTINGS["match"].parse(wanted.get("match", ""))
        except InvalidValue:
            message = f"Illegal client matching pattern: {wanted['match']}"
            raise ApiError(ErrorCode.INVALID_CONFIG, message) from None
        try:
            ClientMetricsConfig(wanted)
        except ConfigError as error:
            raise ApiError(ErrorCode.INVALID_CONFIG, str(error)) from None
