"""ApiVersions: what this broker speaks (KIP-35, KIP-511, KIP-584)."""

import re

from ...protocol.errors import ErrorCode
from ...protocol.messages.api_versions import (
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)
from ..context import Context
from ..features import FEATURES
from ..registry import handles

_FEATURES_THAT_MAY_BE_OFF_SINCE = 4
_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


@handles(
    ApiVersionsRequest,
    leaves_out="the features are metadata.version, group.version and transaction.version; others come with what they"
    " switch on",
)
def api_versions(request: ApiVersionsRequest, context: Context) -> ApiVersionsResponse:
    """Answer from the registry; features that may be off are for clients that understand that (KAFKA-17492)."""
    if context.api_version >= 3:
        software = (request.client_software_name, request.client_software_version)
        if not all(_SOFTWARE.fullmatch(text) for text in software):
            return ApiVersionsResponse(error_code=ErrorCode.INVALID_REQUEST)
        context.session.software = software
    features = context.broker.features
    return ApiVersionsResponse(
        api_keys=context.broker.dispatcher.api_versions(),
        supported_features=[
            SupportedFeatureKey(name=feature.name, min_version=feature.min_version, max_version=feature.max_version)
            for feature in FEATURES.values()
            if feature.min_version or context.api_version >= _FEATURES_THAT_MAY_BE_OFF_SINCE
        ],
        finalized_features_epoch=features.epoch,
        finalized_features=[
            FinalizedFeatureKey(
                name=feature.name,
                max_version_level=features.level(feature),
                min_version_level=features.level(feature),
            )
            for feature in FEATURES.values()
            if features.level(feature)
        ],
    )
