"""DescribeClientQuotas and AlterClientQuotas (KIP-546)."""

from ..primitives import boolean, float64, int8, int16, int32, string
from ..schema import Request, Response, Struct, since


class ComponentData(Struct):
    """A part of a filter; ``match_type`` 0 exact, 1 default, 2 any."""

    entity_type: string = since("0+")
    match_type: int8 = since("0+")
    match: string | None = since("0+")


class DescribeClientQuotasRequest(Request, api_key=48, versions="0-1", flexible="1+"):
    """Describe the quotas that a filter matches; ``strict``: and no others."""

    components: list[ComponentData] = since("0+")
    strict: boolean = since("0+")


class EntityData(Struct):
    """A part of who is meant; the name null: the default."""

    entity_type: string = since("0+")
    entity_name: string | None = since("0+")


class ValueData(Struct):
    """A quota and its value."""

    key: string = since("0+")
    value: float64 = since("0+")


class EntryData(Struct):
    """Who is meant, and the quotas or changes."""

    entity: list[EntityData] = since("0+")
    values: list[ValueData] = since("0+")


class DescribeClientQuotasResponse(Response, answers=DescribeClientQuotasRequest):
    """The quotas by entity."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")
    error_message: string | None = since("0+")
    entries: list[EntryData] | None = since("0+")


class OpData(Struct):
    """A quota to set or remove."""

    key: string = since("0+")
    value: float64 = since("0+")
    remove: boolean = since("0+")


class AlterClientQuotasRequestEntryData(Struct):
    """Who is meant, and the quotas or changes."""

    entity: list[EntityData] = since("0+")
    ops: list[OpData] = since("0+")


class AlterClientQuotasRequest(Request, api_key=49, versions="0-1", flexible="1+"):
    """Change quotas."""

    entries: list[AlterClientQuotasRequestEntryData] = since("0+")
    validate_only: boolean = since("0+")


class AlterClientQuotasResponseEntryData(Struct):
    """Who is meant, and the quotas or changes."""

    error_code: int16 = since("0+")
    error_message: string | None = since("0+")
    entity: list[EntityData] = since("0+")


class AlterClientQuotasResponse(Response, answers=AlterClientQuotasRequest):
    """One result per entity."""

    throttle_time_ms: int32 = since("0+")
    entries: list[AlterClientQuotasResponseEntryData] = since("0+")
