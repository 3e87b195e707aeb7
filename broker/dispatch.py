"""From the bytes of a request to its handler, and from the response to bytes; compiled per API and version."""

from __future__ import annotations

import asyncio
import logging
import struct
from typing import TYPE_CHECKING, Any

from ..protocol import codec
from ..protocol.api_names import api_name
from ..protocol.errors import ErrorCode
from ..protocol.header import API_VERSIONS_KEY, response_header_is_tagged
from ..protocol.messages.api_versions import ApiVersion, ApiVersionsRequest, ApiVersionsResponse
from .errors import CloseConnection, UnsupportedRequest, code_for
from .registry import Answer, Api, Apis

if TYPE_CHECKING:
    from ..protocol.codec import Buffer
    from ..protocol.schema import Request, Response
    from .context import Context

logger = logging.getLogger(__name__)

_HEAD = struct.Struct(">ii").pack
_TAGGED_HEAD = struct.Struct(">iiB").pack


class Route:
    """How to serve one version of one API."""

    __slots__ = ("_api", "_decode", "_encode", "_is_flexible", "_is_tagged", "pipelined")

    def __init__(self, api: Api, version: int) -> None:
        request = api.request
        self._api = api
        self._is_flexible = version in request.flexible
        self._is_tagged = response_header_is_tagged(request, version)
        self._decode = codec.decoder(request, version, self._is_flexible)
        self._encode = codec.encoder(request.response, version, self._is_flexible)
        self.pipelined = api.pipelined

    def read(self, frame: memoryview, position: int) -> Request:
        """Decode the request whose header fields end at ``position``. Raises MalformedMessage."""
        if self._is_flexible:
            if position < len(frame) and not frame[position]:
                position += 1
            else:
                position = codec.skip_tags(frame, position)
        request, _ = self._decode(frame, position)
        return request  # type: ignore[no-any-return]

    def call(self, request: Request, context: Context) -> Answer:
        """Call the handler; an exception becomes the response that says so. Raises CloseConnection."""
        try:
            return self._api.handler(request, context)
        except Exception as error:
            return self._refuse(request, error, context)

    def outcome(self, request: Request, task: asyncio.Future[Response | None], context: Context) -> Response | None:
        """Return what a handler that waited came to. Raises CloseConnection."""
        error = task.exception()
        return task.result() if error is None else self._refuse(request, error, context)

    def _refuse(self, request: Request, error: BaseException, context: Context) -> Response:
        if isinstance(error, CloseConnection) or not isinstance(error, Exception):
            raise error
        refused = f"{request.api_name()} of {context.client} " if logger.isEnabledFor(logging.DEBUG) else ""
        return self._api.refuse(request, code_for(error, refused))

    def encode(self, response: Response, correlation_id: int) -> list[Buffer]:
        """Return the frame of the response; record batches in it are not copied."""
        buffers = self._encode(response)
        size = len(buffers[0]) if len(buffers) == 1 else sum(map(len, buffers))
        if self._is_tagged:
            buffers[0] = _TAGGED_HEAD(size + 5, correlation_id, 0) + buffers[0]
        else:
            buffers[0] = _HEAD(size + 4, correlation_id) + buffers[0]
        return buffers


class Dispatcher:
    """Finds the route of a request; each is compiled when it is first used."""

    def __init__(self, apis: Apis) -> None:
        self.apis = apis
        self._routes: dict[int, Route] = {}

    def route(self, key: int, version: int) -> Route:
        """Raises UnsupportedRequest."""
        number = key << 16 | version
        route = self._routes.get(number)
        return route if route is not None else self._make(number, key, version)

    def _make(self, number: int, key: int, version: int) -> Route:
        api = self.apis.get(key)
        if api is not None and version in api.request.versions:
            route = self._routes[number] = Route(api, version)
            return route
        if key == API_VERSIONS_KEY:
            return _UnknownApiVersions()
        raise UnsupportedRequest(_advice(key, version, api))

    def api_versions(self) -> list[ApiVersion]:
        """Return what ApiVersions says: the ranges of everything that has a handler."""
        return [
            ApiVersion(api_key=key, min_version=versions.lowest, max_version=versions.highest)
            for key, versions in self.apis.advertised()
        ]


class _UnknownApiVersions(Route):
    """ApiVersions in a version from the future: its body cannot be read, and is answered in the form that every
    client can read, version 0, with the versions that it may use instead (KIP-511)."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Api(ApiVersionsRequest, _unsupported, _never, pipelined=False, leaves_out=""), 0)

    def read(self, frame: memoryview, position: int) -> Request:
        del frame, position
        return ApiVersionsRequest()


def _advice(key: int, version: int, api: Api | None) -> str:
    name = api_name(key)
    if api is None:
        wanted = f"API key {key}, which Kafka does not have" if name is None else f"{name}, which is not offered here"
        return f"it uses {wanted}; docs/compatibility.md lists what is"
    lowest, highest = api.request.versions
    if version < lowest:
        advice = "use a client as of Kafka 2.1 or newer"
    else:
        advice = "a client has to ask for the versions (ApiVersions) before it uses them"
    return f"it uses {name} version {version}, supported are {lowest} to {highest}; {advice}"


def _unsupported(request: ApiVersionsRequest, context: Context) -> ApiVersionsResponse:
    del context
    low, high = request.advertised
    return ApiVersionsResponse(
        error_code=ErrorCode.UNSUPPORTED_VERSION,
        api_keys=[ApiVersion(api_key=request.api_key, min_version=low, max_version=high)],
    )


def _never(request: Any, code: ErrorCode) -> Response:
    raise CloseConnection(f"{type(request).__name__}: {code.name}")
