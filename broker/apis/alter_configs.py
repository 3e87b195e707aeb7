"""AlterConfigs, IncrementalAlterConfigs (KIP-339) and ListConfigResources (KIP-1142)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple, TypeVar

from ...protocol.errors import ErrorCode
from ...protocol.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
    ConfigResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsRequestAlterConfigsResource,
    IncrementalAlterConfigsResponse,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)
from .. import loggers
from ..config import ConfigType, Setting
from ..context import Context
from ..errors import ApiError, code_for, message_for
from ..net.session import TEXT_LENGTH_MAX
from ..registry import handles
from ..resources import VALUE_LENGTH_MAX, Resource, ResourceType, check_node_id, find

logger = logging.getLogger(__name__)

_TYPES_SINCE = 1

AnyResource = TypeVar("AnyResource", AlterConfigsResource, IncrementalAlterConfigsRequestAlterConfigsResource)


class Operation(IntEnum):
    """What becomes of a setting (AlterConfigOp.OpType)."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


class _Step(NamedTuple):
    name: str
    operation: int
    value: str | None


def _results(resources: Iterable[AnyResource], code: ErrorCode) -> list[AlterConfigsResourceResponse]:
    return [
        AlterConfigsResourceResponse(
            error_code=code, resource_type=asked.resource_type, resource_name=asked.resource_name
        )
        for asked in resources
    ]


def _refused(request: AlterConfigsRequest, code: ErrorCode) -> AlterConfigsResponse:
    return AlterConfigsResponse(responses=_results(request.resources, code))


@handles(
    AlterConfigsRequest,
    refuse=_refused,
    leaves_out="as IncrementalAlterConfigs",
)
async def alter_configs(request: AlterConfigsRequest, context: Context) -> AlterConfigsResponse:
    """Replace all that was set on each resource; superseded by IncrementalAlterConfigs (ConfigAdminManager)."""

    async def alter(asked: AlterConfigsResource, is_repeated: bool) -> None:
        steps = _check_steps(
            [_Step(config.name, Operation.SET, config.value) for config in asked.configs], is_repeated
        )
        resource = find(context.broker, asked.resource_type, asked.resource_name, to_alter=True)
        wanted = {step.name: step.value for step in steps if step.value is not None}
        await _configure(asked, resource, wanted, wanted, request.validate_only, context)

    return AlterConfigsResponse(responses=await _alter_each(request.resources, alter, context))


def _increments_refused(request: IncrementalAlterConfigsRequest, code: ErrorCode) -> IncrementalAlterConfigsResponse:
    return IncrementalAlterConfigsResponse(responses=_results(request.resources, code))


@handles(
    IncrementalAlterConfigsRequest,
    refuse=_increments_refused,
    leaves_out="settings of one listener (listener.name.*) are stored without an effect; there are no policy classes",
)
async def incremental_alter_configs(
    request: IncrementalAlterConfigsRequest, context: Context
) -> IncrementalAlterConfigsResponse:
    """Change what is named and nothing else, on each resource for itself."""

    async def alter(asked: IncrementalAlterConfigsRequestAlterConfigsResource, is_repeated: bool) -> None:
        steps = _check_steps(
            [_Step(config.name, config.config_operation, config.value) for config in asked.configs], is_repeated
        )
        if asked.resource_type == ResourceType.BROKER_LOGGER:
            _change_levels(asked.resource_name, steps, request.validate_only, context)
            return
        resource = find(context.broker, asked.resource_type, asked.resource_name, to_alter=True)
        wanted = _changed(resource.overrides, steps, resource.settings, asked.resource_type == ResourceType.BROKER)
        changed = {step.name for step in steps}
        await _configure(asked, resource, wanted, changed, request.validate_only, context)

    return IncrementalAlterConfigsResponse(responses=await _alter_each(request.resources, alter, context))


async def _alter_each(
    resources: Sequence[AnyResource], alter: Callable[[AnyResource, bool], Awaitable[None]], context: Context
) -> list[AlterConfigsResourceResponse]:
    """Alter each resource for itself; ``alter`` is told whether it is there more than once."""
    times = Counter((asked.resource_type, asked.resource_name) for asked in resources)
    results = []
    for asked in resources:
        result = AlterConfigsResourceResponse(
            error_message=None, resource_type=asked.resource_type, resource_name=asked.resource_name
        )
        try:
            async with context.broker.configuring:
                await alter(asked, times[asked.resource_type, asked.resource_name] > 1)
        except Exception as error:
            result.error_code, result.error_message = code_for(error), message_for(error)
        results.append(result)
    await context.broker.synced()
    return results


def _check_steps(steps: list[_Step], is_repeated: bool) -> list[_Step]:
    """Return the steps when they make sense in themselves. Raises ApiError."""
    if is_repeated:
        raise ApiError(ErrorCode.INVALID_REQUEST, "Each resource must appear at most once.")
    if len({step.name for step in steps}) < len(steps):
        raise ApiError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")
    nulls = [step.name for step in steps if step.value is None and step.operation != Operation.DELETE]
    if nulls:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"Null value not supported for : {', '.join(nulls)}")
    for step in steps:
        if step.operation not in Operation.__members__.values():
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Unknown operations type {step.operation}")
    return steps


async def _configure(
    asked: AnyResource,
    resource: Resource,
    wanted: Mapping[str, str],
    changed: Iterable[str],
    validate_only: bool,
    context: Context,
) -> None:
    resource.check(wanted)
    if any(len(wanted[name]) > VALUE_LENGTH_MAX for name in changed if name in wanted):
        raise ApiError(
            ErrorCode.INVALID_CONFIG,
            "The configuration value cannot be added because it exceeds the maximum value size of"
            f" {VALUE_LENGTH_MAX} bytes.",
        )
    before = resource.overrides
    if wanted != before:
        await resource.configure(wanted, validate_only)
        if not validate_only:
            _log_change(asked, resource.settings, before, wanted, context.client)


def _log_change(
    asked: AnyResource,
    settings: Mapping[str, Setting],
    before: Mapping[str, str],
    wanted: Mapping[str, str],
    client: object,
) -> None:
    told = [
        _told(name, wanted.get(name), settings.get(name))
        for name in sorted(before.keys() | wanted.keys())
        if before.get(name) != wanted.get(name)
    ]
    kind = ResourceType(asked.resource_type).name.lower().replace("_", " ")
    whose = f"{kind} {asked.resource_name}" if asked.resource_name else f"every {kind}"
    logger.info("settings of %s changed by %s: %s", whose, client, ", ".join(told))


def _told(name: str, value: str | None, setting: Setting | None) -> str:
    """Return what the log says of a setting; of a value that may be secret, nothing."""
    name = name[:TEXT_LENGTH_MAX]
    if value is None:
        return f"{name} has its default again"
    if setting is None or setting.type is ConfigType.PASSWORD:
        return name
    return f"{name}={value[:TEXT_LENGTH_MAX]}"


def _changed(
    overrides: Mapping[str, str], steps: Iterable[_Step], settings: Mapping[str, Setting], of_a_broker: bool
) -> dict[str, str]:
    """Return the overrides after the steps. Raises ApiError: INVALID_CONFIG to append to what is no list."""
    changed = dict(overrides)
    for name, operation, value in steps:
        if operation == Operation.DELETE:
            changed.pop(name, None)
        elif operation == Operation.SET:
            changed[name] = value or ""
        else:
            setting = settings.get(name)
            if setting is None or setting.type is not ConfigType.LIST:
                verb = Operation(operation).name
                message = f"Can't {verb} to key {name} because its type is not LIST."
                if of_a_broker and setting is None:
                    message = f"Unknown config name: {name}"
                elif of_a_broker:
                    message = f"Config value {verb.lower()} is not allowed for config key: {name}"
                raise ApiError(ErrorCode.INVALID_CONFIG, message)
            present = changed.get(name)
            if present is None:
                present = setting.format(setting.default)
            items = _items(present) if present else []
            given = _items(value or "")
            if operation == Operation.APPEND:
                items += [item for item in dict.fromkeys(given) if item not in items]
            else:
                items = [item for item in items if item not in given]
            changed[name] = ",".join(items)
    return changed


def _items(text: str) -> list[str]:
    """Return the entries of a list as Java splits it: an empty text has one, empty ones at the end do not count."""
    items = [item.strip() for item in text.split(",")]
    while len(items) > 1 and not items[-1]:
        items.pop()
    return items


def _change_levels(broker_id: str, steps: Iterable[_Step], validate_only: bool, context: Context) -> None:
    if not broker_id:
        raise ApiError(ErrorCode.INVALID_REQUEST, "Broker id must not be empty")
    check_node_id(context.broker, broker_id, "Unexpected node id. Expected {}, but received {}")
    for step in steps:
        if step.operation not in (Operation.SET, Operation.DELETE):
            verb = Operation(step.operation).name
            raise ApiError(
                ErrorCode.INVALID_REQUEST, f"{verb} operation is not allowed for the BROKER_LOGGER resource"
            )
    levels = {step.name: step.value if step.operation == Operation.SET else None for step in steps}
    loggers.change(levels, validate_only)


@handles(ListConfigResourcesRequest)
def list_config_resources(request: ListConfigResourcesRequest, context: Context) -> ListConfigResourcesResponse:
    """Name what has settings: every topic and broker, and the groups and subscriptions on which some were set."""
    broker = context.broker
    wanted = {ResourceType.CLIENT_METRICS.value}
    if context.api_version >= _TYPES_SINCE:
        every = {member.value for member in ResourceType}
        wanted = set(request.resource_types) or every
        if not wanted <= every:
            return ListConfigResourcesResponse(error_code=ErrorCode.UNSUPPORTED_VERSION)
    names: dict[ResourceType, Iterable[str]] = {
        ResourceType.TOPIC: (topic.name for topic in broker.topics),
        ResourceType.BROKER: (str(broker.node_id),),
        ResourceType.BROKER_LOGGER: (str(broker.node_id),),
        ResourceType.CLIENT_METRICS: broker.stored_configs.names(ResourceType.CLIENT_METRICS),
        ResourceType.GROUP: broker.stored_configs.names(ResourceType.GROUP),
    }
    return ListConfigResourcesResponse(
        config_resources=[
            ConfigResource(resource_name=name, resource_type=resource_type)
            for resource_type in names
            if resource_type in wanted
            for name in names[resource_type]
        ]
    )
