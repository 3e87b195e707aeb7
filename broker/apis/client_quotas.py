"""DescribeClientQuotas and AlterClientQuotas (KIP-546)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ...protocol.errors import ErrorCode
from ...protocol.messages.client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
    AlterClientQuotasResponseEntryData,
    ComponentData,
    DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
    EntityData,
    EntryData,
    ValueData,
)
from ...storage.catalog import QuotaEntity
from ..context import Context
from ..errors import ApiError, code_for, message_for
from ..quotas import CLIENT_ID, IP, USER, QuotaFilter
from ..registry import handles

_EXACT, _DEFAULT, _ANY = 0, 1, 2


@handles(DescribeClientQuotasRequest)
def describe_client_quotas(request: DescribeClientQuotasRequest, context: Context) -> DescribeClientQuotasResponse:
    """Describe the entities that match, with their quotas (Kafka's ClientQuotasImage)."""
    try:
        wanted = _filter(request.components, request.strict)
    except ApiError as error:
        return DescribeClientQuotasResponse(error_code=error.code, error_message=message_for(error), entries=None)
    return DescribeClientQuotasResponse(
        error_message=None,
        entries=[
            EntryData(
                entity=_entity_data(entity),
                values=[ValueData(key=key, value=value) for key, value in quotas.items()],
            )
            for entity, quotas in context.broker.client_quotas.find(wanted)
        ],
    )


def _filter(components: Iterable[ComponentData], strict: bool) -> QuotaFilter:
    """Raises ApiError: INVALID_REQUEST, UNSUPPORTED_VERSION for a type of entity that there is not."""
    exact: dict[str, str | None] = {}
    any_of: set[str] = set()
    for component in components:
        kind, match = component.entity_type, component.match
        if not kind:
            raise ApiError(ErrorCode.INVALID_REQUEST, "Invalid empty entity type.")
        if kind in exact or kind in any_of:
            raise ApiError(
                ErrorCode.INVALID_REQUEST, f"Entity type {kind} cannot appear more than once in the filter."
            )
        if kind not in (USER, CLIENT_ID, IP):
            raise ApiError(ErrorCode.UNSUPPORTED_VERSION, f"Unsupported entity type {kind}")
        if component.match_type == _EXACT:
            if match is None:
                raise ApiError(
                    ErrorCode.INVALID_REQUEST, "Request specified MATCH_TYPE_EXACT, but set match string to null."
                )
            exact[kind] = match
        elif component.match_type in (_DEFAULT, _ANY):
            if match is not None:
                name = "MATCH_TYPE_DEFAULT" if component.match_type == _DEFAULT else "MATCH_TYPE_SPECIFIED"
                raise ApiError(
                    ErrorCode.INVALID_REQUEST, f"Request specified {name}, but also specified a match string."
                )
            if component.match_type == _DEFAULT:
                exact[kind] = None
            else:
                any_of.add(kind)
        else:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Unknown match type {component.match_type}")
    kinds = exact.keys() | any_of
    if IP in kinds and len(kinds) > 1:
        raise ApiError(
            ErrorCode.INVALID_REQUEST,
            "Invalid entity filter component combination. IP filter component should not be used with user or"
            " clientId filter component.",
        )
    return QuotaFilter(exact, frozenset(any_of), strict)


def _entity(data: Iterable[EntityData]) -> QuotaEntity:
    named = {part.entity_type: part.entity_name for part in data}
    return tuple((kind, named[kind]) for kind in sorted(named))


def _entity_data(entity: QuotaEntity) -> list[EntityData]:
    return [EntityData(entity_type=kind, entity_name=name) for kind, name in entity]


def _shown(entity: QuotaEntity) -> str:
    """Return the entity as Kafka prints it."""
    parts = ", ".join(f"{kind}={'null' if name is None else name}" for kind, name in entity)
    return f"ClientQuotaEntity(entries={{{parts}}})"


def _refused(request: AlterClientQuotasRequest, code: ErrorCode) -> AlterClientQuotasResponse:
    return AlterClientQuotasResponse(
        entries=[
            AlterClientQuotasResponseEntryData(error_code=code, error_message=None, entity=entry.entity)
            for entry in request.entries
        ]
    )


@handles(
    AlterClientQuotasRequest,
    refuse=_refused,
    leaves_out="quotas are stored and described; they slow down no client yet",
)
async def alter_client_quotas(request: AlterClientQuotasRequest, context: Context) -> AlterClientQuotasResponse:
    """Set and remove quotas of each entity for itself (Kafka's ClientQuotaControlManager)."""
    entities = [_entity(entry.entity) for entry in request.entries]
    times_named = Counter(entities)
    results = {}
    for entity, entry in zip(entities, request.entries, strict=True):
        result = AlterClientQuotasResponseEntryData(error_message=None, entity=_entity_data(entity))
        try:
            if times_named[entity] > 1:
                raise ApiError(ErrorCode.INVALID_REQUEST, f"Ignoring duplicate entity {_shown(entity)}")
            changes = {op.key: None if op.remove else op.value for op in entry.ops}
            if len(changes) < len(entry.ops):
                raise ApiError(ErrorCode.INVALID_REQUEST, f"Duplicate quota key for the entity {_shown(entity)}")
            context.broker.client_quotas.alter(entity, changes, request.validate_only)
        except Exception as error:
            result.error_code, result.error_message = code_for(error), message_for(error)
        results[entity] = result
    await context.broker.synced()
    return AlterClientQuotasResponse(entries=list(results.values()))
