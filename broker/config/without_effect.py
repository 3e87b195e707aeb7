"""Warnings about settings that a broker is given for its security and its plugins, and that have no effect here.

Kafka's images pass such settings on, so they do not keep a broker from starting. A class that restricts clients is
refused instead (cross_checks): the broker would be more open without it.
"""

import re
from collections.abc import Iterator

from .broker_config import BrokerConfig
from .table import BROKER_SETTINGS

_SECURITY = re.compile(
    r"(?:sasl|ssl|delegation\.token)\..*|security\.(?:providers|inter\.broker\.protocol)|super\.users"
    r"|allow\.everyone\.if\.no\.acl\.found|connections\.max\.reauth\.ms|principal\.builder\.class"
)
_CLASSES = ("metric.reporters", "kafka.metrics.reporters", "replica.selector.class")


def without_effect(config: BrokerConfig) -> Iterator[str]:
    """Yield a line for each kind of setting that differs from its default and is of no use here."""
    if security := [name for name in BROKER_SETTINGS if _SECURITY.fullmatch(name) and _is_changed(config, name)]:
        yield (
            "ANYBODY WHO REACHES THIS BROKER MAY READ AND WRITE EVERYTHING. This version has neither TLS nor SASL nor"
            f" ACLs, so these settings have no effect: {', '.join(_with_origin(config, name) for name in security)}"
        )
    for name in _CLASSES:
        if _is_changed(config, name):
            yield f"{_with_origin(config, name)} has no effect: Java classes are not run here"
    if config.bool("remote.log.storage.system.enable"):
        yield (
            f"{_with_origin(config, 'remote.log.storage.system.enable')} has no effect: there is no tiered storage,"
            " everything stays in the data directory"
        )


def _is_changed(config: BrokerConfig, name: str) -> bool:
    given = config.given(name)
    setting = BROKER_SETTINGS[name]
    return given is not None and given.value.strip() != "" and setting.parse(given.value) != setting.default


def _with_origin(config: BrokerConfig, name: str) -> str:
    given = config.given(name)
    return name if given is None else f"{name} (from {given.origin})"
