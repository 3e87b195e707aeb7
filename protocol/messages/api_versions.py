"""ApiVersions: what this broker speaks (KIP-35, KIP-511, KIP-584)."""

from ..primitives import boolean, int16, int32, int64, string
from ..schema import Request, Response, Struct, since


class ApiVersionsRequest(Request, api_key=18, versions="0-4", flexible="3+"):
    """Ask for the supported APIs; from v3 the client names itself."""

    client_software_name: string = since("3+")
    client_software_version: string = since("3+")


class ApiVersion(Struct):
    """One API and the inclusive range of its versions."""

    api_key: int16 = since("0+")
    min_version: int16 = since("0+")
    max_version: int16 = since("0+")


class SupportedFeatureKey(Struct):
    """A feature and the levels the broker can run at."""

    name: string = since("3+")
    min_version: int16 = since("3+")
    max_version: int16 = since("3+")


class FinalizedFeatureKey(Struct):
    """A feature and the level the cluster runs at."""

    name: string = since("3+")
    max_version_level: int16 = since("3+")
    min_version_level: int16 = since("3+")


class ApiVersionsResponse(Response, answers=ApiVersionsRequest):
    """The APIs and features of the broker. Its header is always v0, whatever the version."""

    error_code: int16 = since("0+")
    api_keys: list[ApiVersion] = since("0+")
    throttle_time_ms: int32 = since("1+")
    supported_features: list[SupportedFeatureKey] = since("3+", tag=0)
    finalized_features_epoch: int64 = since("3+", -1, tag=1)
    finalized_features: list[FinalizedFeatureKey] = since("3+", tag=2)
    zk_migration_ready: boolean = since("3+", tag=3)
