"""DescribeConfigs: settings of topics and brokers."""

from ..primitives import boolean, int8, int16, int32, string
from ..schema import Request, Response, Struct, since


class DescribeConfigsResource(Struct):
    """A topic (2) or broker (4) by name; ``configuration_keys`` null: all settings."""

    resource_type: int8 = since("0+")
    resource_name: string = since("0+")
    configuration_keys: list[string] | None = since("0+")


class DescribeConfigsRequest(Request, api_key=32, versions="1-4", flexible="4+"):
    """Read settings with their sources."""

    resources: list[DescribeConfigsResource] = since("0+")
    include_synonyms: boolean = since("1+")
    include_documentation: boolean = since("3+")


class DescribeConfigsSynonym(Struct):
    """A place that could have given the value, in order of precedence."""

    name: string = since("1+")
    value: string | None = since("1+")
    source: int8 = since("1+")


class DescribeConfigsResourceResult(Struct):
    """A setting. ``value`` is null where it is secret."""

    name: string = since("0+")
    value: string | None = since("0+")
    read_only: boolean = since("0+")
    is_default: boolean = since("0")
    config_source: int8 = since("1+", -1)
    is_sensitive: boolean = since("0+")
    synonyms: list[DescribeConfigsSynonym] = since("1+")
    config_type: int8 = since("3+")
    documentation: string | None = since("3+")


class DescribeConfigsResult(Struct):
    """The settings of one resource."""

    error_code: int16 = since("0+")
    error_message: string | None = since("0+")
    resource_type: int8 = since("0+")
    resource_name: string = since("0+")
    configs: list[DescribeConfigsResourceResult] = since("0+")


class DescribeConfigsResponse(Response, answers=DescribeConfigsRequest):
    """One result per resource."""

    throttle_time_ms: int32 = since("0+")
    results: list[DescribeConfigsResult] = since("0+")
