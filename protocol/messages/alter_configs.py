"""AlterConfigs, IncrementalAlterConfigs (KIP-339), ListConfigResources (KIP-1142)."""

from ..primitives import boolean, int8, int16, int32, string
from ..schema import Request, Response, Struct, since


class AlterableConfig(Struct):
    """A setting and what becomes of it."""

    name: string = since("0+")
    value: string | None = since("0+")


class AlterConfigsResource(Struct):
    """A resource and its settings."""

    resource_type: int8 = since("0+")
    resource_name: string = since("0+")
    configs: list[AlterableConfig] = since("0+")


class AlterConfigsRequest(Request, api_key=33, versions="0-2", flexible="2+"):
    """Replace all settings of resources; what is not named goes back to its default."""

    resources: list[AlterConfigsResource] = since("0+")
    validate_only: boolean = since("0+")


class AlterConfigsResourceResponse(Struct):
    """The result for one resource."""

    error_code: int16 = since("0+")
    error_message: string | None = since("0+")
    resource_type: int8 = since("0+")
    resource_name: string = since("0+")


class AlterConfigsResponse(Response, answers=AlterConfigsRequest):
    """One result per resource."""

    throttle_time_ms: int32 = since("0+")
    responses: list[AlterConfigsResourceResponse] = since("0+")


class IncrementalAlterConfigsRequestAlterableConfig(Struct):
    """A setting and what becomes of it."""

    name: string = since("0+")
    config_operation: int8 = since("0+")
    value: string | None = since("0+")


class IncrementalAlterConfigsRequestAlterConfigsResource(Struct):
    """A resource and its settings."""

    resource_type: int8 = since("0+")
    resource_name: string = since("0+")
    configs: list[IncrementalAlterConfigsRequestAlterableConfig] = since("0+")


class IncrementalAlterConfigsRequest(Request, api_key=44, versions="0-1", flexible="1+"):
    """Change settings: operation 0 set, 1 delete, 2 append, 3 subtract."""

    resources: list[IncrementalAlterConfigsRequestAlterConfigsResource] = since("0+")
    validate_only: boolean = since("0+")


class IncrementalAlterConfigsResponse(Response, answers=IncrementalAlterConfigsRequest):
    """One result per resource."""

    throttle_time_ms: int32 = since("0+")
    responses: list[AlterConfigsResourceResponse] = since("0+")


class ListConfigResourcesRequest(Request, api_key=74, versions="0-1", flexible="0+"):
    """List the resources that have settings; no types: all."""

    resource_types: list[int8] = since("1+")


class ConfigResource(Struct):
    """A resource by name and type."""

    resource_name: string = since("0+")
    resource_type: int8 = since("1+", 16)


class ListConfigResourcesResponse(Response, answers=ListConfigResourcesRequest):
    """The resources."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")
    config_resources: list[ConfigResource] = since("0+")
