"""GetTelemetrySubscriptions and PushTelemetry: metrics of clients (KIP-714)."""

from ..primitives import boolean, data, int8, int16, int32, string, uuid
from ..schema import Request, Response, since


class GetTelemetrySubscriptionsRequest(Request, api_key=71, versions="0", flexible="0+"):
    """Ask which metrics are wanted; a zero id asks for an id too."""

    client_instance_id: uuid = since("0+")


class GetTelemetrySubscriptionsResponse(Response, answers=GetTelemetrySubscriptionsRequest):
    """What to send, how often (ms) and how large (bytes)."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")
    client_instance_id: uuid = since("0+")
    subscription_id: int32 = since("0+")
    accepted_compression_types: list[int8] = since("0+")
    push_interval_ms: int32 = since("0+")
    telemetry_max_bytes: int32 = since("0+")
    delta_temporality: boolean = since("0+")
    requested_metrics: list[string] = since("0+")


class PushTelemetryRequest(Request, api_key=72, versions="0", flexible="0+"):
    """Metrics in OpenTelemetry's form, opaque to the broker."""

    client_instance_id: uuid = since("0+")
    subscription_id: int32 = since("0+")
    terminating: boolean = since("0+")
    compression_type: int8 = since("0+")
    metrics: data = since("0+")


class PushTelemetryResponse(Response, answers=PushTelemetryRequest):
    """Whether they were taken."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")
