"""FindCoordinator: which broker coordinates a group or a transactional id."""

from ..primitives import int8, int16, int32, string
from ..schema import Request, Response, Struct, since


class FindCoordinatorRequest(Request, api_key=10, versions="0-6", flexible="3+"):
    """``key_type``: 0 group, 1 transactional id, 2 share group. Several keys from v4 (KIP-699)."""

    key: string = since("0-3")
    key_type: int8 = since("1+")
    coordinator_keys: list[string] = since("4+")


class Coordinator(Struct):
    """The coordinator of one key."""

    key: string = since("4+")
    node_id: int32 = since("4+")
    host: string = since("4+")
    port: int32 = since("4+")
    error_code: int16 = since("4+")
    error_message: string | None = since("4+")


class FindCoordinatorResponse(Response, answers=FindCoordinatorRequest):
    """One coordinator, or from v4 one per key."""

    throttle_time_ms: int32 = since("1+")
    error_code: int16 = since("0-3")
    error_message: string | None = since("1-3")
    node_id: int32 = since("0-3")
    host: string = since("0-3")
    port: int32 = since("0-3")
    coordinators: list[Coordinator] = since("4+")
