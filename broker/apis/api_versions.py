"""ApiVersions: what this broker speaks (KIP-35, KIP-511, KIP-584)."""

import re

from ...protocol.errors import ErrorCode
from ...protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from ..context import Context
from ..registry import handles

_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


@handles(ApiVersionsRequest)
def api_versions(request: ApiVersionsRequest, context: Context) -> ApiVersionsResponse:
    """Answer from the registry. No feature is finalized, and none offered, until it is built."""
    if context.api_version >= 3:
        software = (request.client_software_name, request.client_software_version)
        if not all(_SOFTWARE.fullmatch(text) for text in software):
            return ApiVersionsResponse(error_code=ErrorCode.INVALID_REQUEST)
        context.session.software = software
    return ApiVersionsResponse(api_keys=context.broker.dispatcher.api_versions(), finalized_features_epoch=0)
