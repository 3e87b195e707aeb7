"""Quotas of clients (KIP-546): kept and described. Nobody is slowed down by them yet."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ..protocol.errors import ErrorCode
from ..storage.catalog import Catalog, QuotaEntity, QuotasStored
from .config.setting import INT_MAX, LONG_MAX
from .errors import ApiError

USER, CLIENT_ID, IP = "user", "client-id", "ip"


# What can be set, with the largest value of what has to be a whole number.
_CLIENT_KEYS: Mapping[str, int | None] = {
    "producer_byte_rate": LONG_MAX,
    "consumer_byte_rate": LONG_MAX,
    "request_percentage": None,
    "controller_mutation_rate": None,
}
_IP_KEYS: Mapping[str, int | None] = {"connection_creation_rate": INT_MAX}
# The order in which Kafka lists the quotas of an entity that were set at once: that of a Java HashMap, which is
# another one when there are four. Suites compare the lists.
_LISTED_UP_TO_THREE = ("consumer_byte_rate", "controller_mutation_rate", "request_percentage", "producer_byte_rate")
_LISTED_ALL_FOUR = ("producer_byte_rate", "consumer_byte_rate", "controller_mutation_rate", "request_percentage")
# Kafka's tolerance for what should be a whole number.
_WHOLE = 1e-6


class QuotaFilter(NamedTuple):
    """Which entities are asked for.

    ``exact``: a name, None for the default, of a type; ``any_of``: types that must be there; ``strict``: no others.
    """

    exact: Mapping[str, str | None]
    any_of: frozenset[str]
    strict: bool

    def matches(self, entity: QuotaEntity) -> bool:
        named = dict(entity)
        return (
            (not self.strict or len(named) == len(self.exact) + len(self.any_of))
            and all(kind in named and named[kind] == name for kind, name in self.exact.items())
            and self.any_of <= named.keys()
        )


class ClientQuotas:
    """All quotas, by entity."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._quotas = dict(catalog.quotas())

    def find(self, wanted: QuotaFilter) -> Iterator[tuple[QuotaEntity, Mapping[str, float]]]:
        """Yield the entities that have quotas and match; the quotas of each stand in Kafka's order."""
        return ((entity, _listed(quotas)) for entity, quotas in self._quotas.items() if wanted.matches(entity))

    def alter(self, entity: QuotaEntity, changes: Mapping[str, float | None], validate_only: bool) -> None:
        """Set quotas of an entity; None removes one. Raises ApiError: INVALID_REQUEST; CatalogError."""
        keys = _keys_of(entity)
        for key, value in changes.items():
            if value is not None:
                _check_value(keys, key, value)
        quotas = {**self._quotas.get(entity, {}), **changes}
        kept = {key: value for key, value in quotas.items() if value is not None}
        if validate_only or kept == self._quotas.get(entity, {}):
            return
        self._catalog.commit(QuotasStored(entity, kept))
        if kept:
            self._quotas[entity] = kept
        else:
            del self._quotas[entity]


def _listed(quotas: Mapping[str, float]) -> Mapping[str, float]:
    order = _LISTED_ALL_FOUR if len(quotas) == len(_LISTED_ALL_FOUR) else _LISTED_UP_TO_THREE
    return {key: quotas[key] for key in (*order, *_IP_KEYS) if key in quotas}


def _keys_of(entity: QuotaEntity) -> Mapping[str, int | None]:
    """Return the quotas that an entity can have, with their limits. Raises ApiError."""
    named = dict(entity)
    if not named:
        raise _invalid("Invalid empty client quota entity")
    for kind in named:
        if kind not in (USER, CLIENT_ID, IP):
            raise _invalid(f"Unhandled client quota entity type: {kind}")
        if named[kind] == "":
            raise _invalid(f"Empty {kind} not supported")
    if IP not in named:
        return _CLIENT_KEYS
    if len(named) > 1:
        raise _invalid("Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId")
    address = named[IP]
    try:
        ipaddress.ip_address(address or "0.0.0.0")
    except ValueError:
        raise _invalid(f"{address} is not a valid IP or resolvable host.") from None
    return _IP_KEYS


def _check_value(keys: Mapping[str, int | None], key: str, value: float) -> None:
    if key not in keys:
        raise _invalid(f"Invalid configuration key {key}")
    if not value > 0:
        raise _invalid(f"Quota {key} must be greater than 0")
    limit = keys[key]
    if limit is not None:
        if value > limit:
            raise _invalid(f"Proposed value for {key} is too large for {'an INT' if limit == INT_MAX else 'a LONG'}.")
        if value % 1.0 > _WHOLE:
            raise _invalid(f"{key} cannot be a fractional value.")


def _invalid(message: str) -> ApiError:
    return ApiError(ErrorCode.INVALID_REQUEST, message)
