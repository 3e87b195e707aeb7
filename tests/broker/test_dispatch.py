import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from barnabas.broker import apis
from barnabas.broker.context import Context
from barnabas.broker.dispatch import Dispatcher, Route
from barnabas.broker.errors import ApiError, CloseConnection
from barnabas.broker.registry import Api, collect
from barnabas.protocol import codec
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.api_versions import ApiVersion, ApiVersionsResponse
from barnabas.protocol.messages.fetch import FetchableTopicResponse, FetchRequest, FetchResponse, PartitionData
from barnabas.protocol.messages.group_membership import HeartbeatRequest, HeartbeatResponse
from barnabas.protocol.primitives import MalformedMessage
from barnabas.storage.errors import LogOffline, OffsetNotInLog

NO_CONTEXT: Any = None


def refuse(request: Any, code: ErrorCode) -> HeartbeatResponse:
    return HeartbeatResponse(error_code=code)


def route(handler: Any = refuse, version: int = 4) -> Route:
    return Route(Api(HeartbeatRequest, handler, refuse, pipelined=False, leaves_out=""), version)


def raising(error: BaseException) -> Any:
    def handler(request: Any, context: Context) -> None:
        raise error

    return handler


# Finding


def test_an_api_that_is_not_there_closes_the_connection() -> None:
    dispatcher = Dispatcher(collect(apis.__name__))
    for key, version in ((4, 0), (999, 0), (-1, 0), (0, 2), (0, 14), (1, 3), (3, -1), (-1, -1), (32767, 32767)):
        with pytest.raises(CloseConnection):
            dispatcher.route(key, version)


def test_a_route_is_compiled_once() -> None:
    dispatcher = Dispatcher(collect(apis.__name__))
    assert dispatcher.route(3, 12) is dispatcher.route(3, 12)
    assert dispatcher.route(3, 12) is not dispatcher.route(3, 13)


def test_keys_and_versions_are_not_mixed_up() -> None:
    """A negative version of one API is no version of another."""
    dispatcher = Dispatcher(collect(apis.__name__))
    for key in range(-70, 70):
        for version in (-(2**15), -70, -60, -1):
            if key == 18:
                assert type(dispatcher.route(key, version)) is not Route
            else:
                with pytest.raises(CloseConnection):
                    dispatcher.route(key, version)


def test_the_future_of_api_versions_is_not_remembered() -> None:
    dispatcher = Dispatcher(collect(apis.__name__))
    for version in range(5, 3000):
        dispatcher.route(18, version)
    assert len(dispatcher._routes) == 0


def test_api_versions_from_the_future_are_answered_in_version_0() -> None:
    found = Dispatcher(collect(apis.__name__)).route(18, 77)
    request = found.read(memoryview(b"\xff\xff\xff"), 1)
    answer = found.call(request, NO_CONTEXT)
    assert isinstance(answer, ApiVersionsResponse)
    assert answer.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert answer.api_keys == [ApiVersion(api_key=18, min_version=0, max_version=4)]
    sent = b"".join(found.encode(answer, 5))
    assert sent == b"\0\0\0\x10" + b"\0\0\0\x05" + b"\0\x23" + b"\0\0\0\x01" + b"\0\x12\0\0\0\x04"


def test_api_versions_lists_what_has_a_handler() -> None:
    found = collect(apis.__name__)
    listed = {each.api_key: (each.min_version, each.max_version) for each in Dispatcher(found).api_versions()}
    assert listed == {key: tuple(api.request.advertised) for key, api in found.items()}


# Reading


def test_a_request_is_read_behind_the_tags_of_its_header() -> None:
    request = HeartbeatRequest(group_id="g", generation_id=3, member_id="m")
    body = codec.encode(request, 4)
    for tags in (b"\0", b"\x01\x05\x03abc", b"\x02\x05\x00\x81\x01\x01x"):
        assert route().read(memoryview(b"head" + tags + body), 4) == request
    assert route(version=3).read(memoryview(b"head" + codec.encode(request, 3)), 4) == request


@pytest.mark.parametrize("frame", [b"head", b"head\x01", b"head\0\x05a", b"head\xff\xff\xff\xff\xff\xff", b""])
def test_a_request_that_ends_too_soon_is_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedMessage):
        route().read(memoryview(frame), 4)


# Calling


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ApiError(ErrorCode.INVALID_REQUEST), ErrorCode.INVALID_REQUEST),
        (OffsetNotInLog("7"), ErrorCode.OFFSET_OUT_OF_RANGE),
        (LogOffline("gone"), ErrorCode.KAFKA_STORAGE_ERROR),
    ],
)
def test_an_error_becomes_the_response_that_says_so(
    error: Exception, code: ErrorCode, caplog: pytest.LogCaptureFixture
) -> None:
    assert route(raising(error)).call(HeartbeatRequest(), NO_CONTEXT) == HeartbeatResponse(error_code=code)
    assert not caplog.records


def test_a_refused_request_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    context: Any = SimpleNamespace(client="client 'c' from 10.0.0.1")
    with caplog.at_level(logging.DEBUG, "barnabas"):
        route(raising(LogOffline("gone"))).call(HeartbeatRequest(), context)
    assert caplog.messages == ["Heartbeat of client 'c' from 10.0.0.1 refused with KAFKA_STORAGE_ERROR: gone"]


def test_an_error_that_nobody_foresaw_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = route(raising(ZeroDivisionError())).call(HeartbeatRequest(), NO_CONTEXT)
    assert answer == HeartbeatResponse(error_code=ErrorCode.UNKNOWN_SERVER_ERROR)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize("error", [CloseConnection("enough"), KeyboardInterrupt(), asyncio.CancelledError()])
def test_some_errors_are_not_answered(error: BaseException) -> None:
    with pytest.raises(type(error)):
        route(raising(error)).call(HeartbeatRequest(), NO_CONTEXT)


async def test_a_handler_that_waited_is_answered_the_same_way() -> None:
    async def fine() -> HeartbeatResponse:
        return HeartbeatResponse()

    async def failing() -> HeartbeatResponse:
        raise OffsetNotInLog("7")

    async def closing() -> HeartbeatResponse:
        raise CloseConnection("enough")

    tasks = [asyncio.ensure_future(each()) for each in (fine, failing, closing)]
    await asyncio.wait(tasks)
    assert route().outcome(HeartbeatRequest(), tasks[0], NO_CONTEXT) == HeartbeatResponse()
    refused = HeartbeatResponse(error_code=ErrorCode.OFFSET_OUT_OF_RANGE)
    assert route().outcome(HeartbeatRequest(), tasks[1], NO_CONTEXT) == refused
    with pytest.raises(CloseConnection):
        route().outcome(HeartbeatRequest(), tasks[2], NO_CONTEXT)


# Answering


@pytest.mark.parametrize("version", range(5))
def test_a_response_has_its_length_and_its_header(version: int) -> None:
    sent = b"".join(route(version=version).encode(HeartbeatResponse(error_code=27), -2))
    body = codec.encode(HeartbeatResponse(error_code=27), version)
    tags = b"\0" if version == 4 else b""
    assert sent == (8 - 4 + len(tags) + len(body)).to_bytes(4, "big") + b"\xff\xff\xff\xfe" + tags + body


@pytest.mark.parametrize("version", [4, 11, 12, 18])
def test_record_batches_are_not_copied_into_the_response(version: int) -> None:
    batches = memoryview(bytes(1000))
    response = FetchResponse(
        responses=[FetchableTopicResponse(partitions=[PartitionData(records=batches) for _ in range(3)])]
    )
    api = collect(apis.__name__)[FetchRequest.api_key]
    buffers = Route(api, version).encode(response, 1)
    assert sum(buffer is batches for buffer in buffers) == 3
    sent = b"".join(buffers)
    assert int.from_bytes(sent[:4], "big") == len(sent) - 4
