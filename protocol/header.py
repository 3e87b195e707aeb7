"""Request and response headers, and which version of them belongs to a message."""

from .primitives import int16, int32, string
from .schema import Request, Struct, since

API_VERSIONS_KEY = 18


class RequestHeader(Struct):
    """What stands before every request. ``client_id`` keeps its two-byte length in flexible versions too."""

    request_api_key: int16 = since("0+")
    request_api_version: int16 = since("0+")
    correlation_id: int32 = since("0+")
    client_id: string | None = since("1+", None)


def response_header_is_tagged(request: type[Request], version: int) -> bool:
    """Say whether the response header is v1 (with tags). ApiVersions answers in v0 always, so that any client can
    read the answer before it knows what the broker speaks (KIP-511)."""
    return version in request.flexible and request.api_key != API_VERSIONS_KEY
