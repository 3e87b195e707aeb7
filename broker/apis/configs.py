"""DescribeConfigs: the settings of everything that has some, with where they come from."""

from __future__ import annotations

from collections.abc import Iterable

from ...protocol.errors import ErrorCode
from ...protocol.messages.configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)
from .. import loggers
from ..config import ConfigEntry, ConfigSource
from ..context import Context
from ..errors import ApiError, code_for, message_for
from ..registry import handles
from ..resources import ResourceType, check_node_id, find


def _refused(request: DescribeConfigsRequest, code: ErrorCode) -> DescribeConfigsResponse:
    return DescribeConfigsResponse(
        results=[
            DescribeConfigsResult(
                error_code=code, resource_type=resource.resource_type, resource_name=resource.resource_name
            )
            for resource in request.resources
        ]
    )


@handles(DescribeConfigsRequest, refuse=_refused)
def describe_configs(request: DescribeConfigsRequest, context: Context) -> DescribeConfigsResponse:
    """Describe each resource for itself (ConfigHelper.describeConfigs).

    One that is named twice is described once, unlike in Kafka: else a small request could ask for gigabytes.
    """
    named = {(resource.resource_type, resource.resource_name): resource for resource in request.resources}
    return DescribeConfigsResponse(results=[_describe(resource, request, context) for resource in named.values()])


def _describe(
    resource: DescribeConfigsResource, request: DescribeConfigsRequest, context: Context
) -> DescribeConfigsResult:
    result = DescribeConfigsResult(resource_type=resource.resource_type, resource_name=resource.resource_name)
    keys = resource.configuration_keys
    try:
        result.configs = [
            _result(entry, request) for entry in _entries(resource, context) if not keys or entry.name in keys
        ]
    except Exception as error:
        result.error_code = code_for(error)
        result.error_message = message_for(error) or ""
    return result


def _entries(resource: DescribeConfigsResource, context: Context) -> Iterable[ConfigEntry]:
    broker, name = context.broker, resource.resource_name
    if resource.resource_type == ResourceType.BROKER_LOGGER:
        if not name:
            raise ApiError(ErrorCode.INVALID_REQUEST, "Broker id must not be empty")
        check_node_id(broker, name, "Unexpected broker id, expected {} but received {}")
        return loggers.entries()
    return find(broker, resource.resource_type, name).entries()


def _result(entry: ConfigEntry, request: DescribeConfigsRequest) -> DescribeConfigsResourceResult:
    return DescribeConfigsResourceResult(
        name=entry.name,
        value=entry.value,
        read_only=entry.is_read_only,
        config_source=entry.source,
        is_sensitive=entry.is_sensitive,
        synonyms=[
            DescribeConfigsSynonym(name=synonym.name, value=synonym.value, source=synonym.source)
            for synonym in (entry.synonyms if request.include_synonyms else ())
        ],
        config_type=entry.type,
        # Kafka never sets it for a logger, whose answer has the message's own default.
        documentation=(
            entry.documentation
            if request.include_documentation or entry.source is ConfigSource.DYNAMIC_BROKER_LOGGER
            else None
        ),
    )
