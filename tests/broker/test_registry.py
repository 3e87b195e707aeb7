import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.messages import REQUESTS, fields_in, instances

from barnabas.broker import apis
from barnabas.broker.dispatch import Dispatcher
from barnabas.broker.errors import CloseConnection
from barnabas.broker.registry import Api, collect, handles
from barnabas.protocol import codec
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.fetch import FetchRequest
from barnabas.protocol.messages.group_membership import HeartbeatRequest, HeartbeatResponse
from barnabas.protocol.schema import Request, Response

APIS = collect(apis.__name__)
VERSIONS = [
    pytest.param(api, version, id=f"{api.request.api_name()}-v{version}")
    for api in APIS.values()
    for version in range(api.request.versions.lowest, api.request.versions.highest + 1)
]


def test_every_declared_request_has_a_response_of_the_same_versions() -> None:
    for request in REQUESTS:
        assert issubclass(request.response, Response)
        assert request.response.__name__ == request.__name__.replace("Request", "Response")
        assert (request.response.api_key, request.response.versions, request.response.flexible) == (
            request.api_key,
            request.versions,
            request.flexible,
        )


def test_every_handler_answers_a_declared_request_and_only_what_has_one_is_advertised() -> None:
    assert {request.api_key for request in REQUESTS} > set(APIS)
    assert {advertised.api_key for advertised in Dispatcher(APIS).api_versions()} == set(APIS)


def test_all_apis_of_kafka_for_clients_are_declared() -> None:
    """The 77 keys with the broker listener (kafka-protocol.md 1)."""
    controllers_only = {52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82}
    removed = {4, 5, 6, 7}
    assert {request.api_key for request in REQUESTS} == set(range(93)) - controllers_only - removed


def test_starting_a_broker_loads_only_messages_that_most_clients_use() -> None:
    code = (
        "import sys; from barnabas.broker.registry import collect; collect('barnabas.broker.apis');"
        "print(*[name for name in sys.modules if name.startswith('barnabas.protocol.messages.')])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    needed = {
        api.request.__module__ for api in APIS.values() if api.handler.__module__.rpartition(".")[2] not in apis.RARE
    }
    assert set(loaded) == needed | {"barnabas.protocol.messages.leadership"}


@pytest.mark.parametrize("module", apis.RARE)
def test_what_is_said_of_rare_apis_before_they_are_loaded_is_true(module: str) -> None:
    declared = {
        key: tuple(api.request.advertised)
        for key, api in APIS.items()
        if api.handler.__module__ == f"{apis.__name__}.{module}"
    }
    assert declared == apis.RARE[module]


def test_a_handler_lives_where_its_messages_do() -> None:
    for api in APIS.values():
        assert api.handler.__module__.rpartition(".")[2] == api.request.__module__.rpartition(".")[2]


def test_apis_come_in_the_order_of_their_keys() -> None:
    assert list(APIS) == sorted(APIS)
    assert all(api.request.api_key == key for key, api in APIS.items())


def test_what_is_advertised_begins_no_later_than_what_is_accepted() -> None:
    for api in APIS.values():
        assert api.request.advertised.lowest <= api.request.versions.lowest
        assert api.request.advertised.highest == api.request.versions.highest


@pytest.mark.parametrize(("api", "version"), VERSIONS)
def test_every_refusal_can_be_encoded(api: Api, version: int) -> None:
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(instances(api.request, version), st.sampled_from(ErrorCode))
    def check(request: Any, code: ErrorCode) -> None:
        try:
            refusal = api.refuse(request, code)
        except CloseConnection:
            assert (request.api_key, request.acks) == (0, 0)
            return
        sent = codec.encode(refusal, version)
        assert codec.encode(codec.decode(type(refusal), version, sent), version) == sent
        assert type(refusal) is api.request.response

    check()


@pytest.mark.parametrize("api", APIS.values(), ids=lambda api: api.request.api_name())
def test_a_refusal_carries_its_error(api: Api) -> None:
    version = api.request.versions.highest

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(instances(api.request, version))
    def check(request: Any) -> None:
        if getattr(request, "acks", 1) == 0:
            return
        refusal = api.refuse(request, ErrorCode.KAFKA_STORAGE_ERROR)
        assert set(_error_codes(refusal, version)) <= {ErrorCode.KAFKA_STORAGE_ERROR}

    check()


def _error_codes(struct: Any, version: int) -> list[int]:
    codes = []
    for field in fields_in(type(struct), version):
        value = getattr(struct, field.name)
        if field.name == "error_code":
            codes.append(value)
        elif isinstance(value, list):
            codes += [code for item in value if hasattr(item, "_fields") for code in _error_codes(item, version)]
    return codes


# Declaring handlers


def package_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **modules: str) -> str:
    folder = tmp_path / f"apis_{len(sys.modules)}"
    folder.mkdir()
    head = (
        "from barnabas.broker.registry import handles\n"
        "from barnabas.protocol.messages.group_membership import HeartbeatRequest, LeaveGroupRequest\n"
    )
    (folder / "__init__.py").write_text("")
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(head + text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder.name


def test_two_handlers_for_one_key_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = "@handles(HeartbeatRequest)\ndef {}(request, context): ...\n"
    package = package_of(tmp_path, monkeypatch, first=handler.format("one"), second=handler.format("two"))
    with pytest.raises(TypeError, match="Heartbeat has two handlers"):
        collect(package)
    package = package_of(tmp_path, monkeypatch, only=handler.format("one") + handler.format("two"))
    with pytest.raises(TypeError, match="Heartbeat has two handlers"):
        collect(package)


def test_a_handler_that_another_module_imports_is_one_handler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = package_of(
        tmp_path,
        monkeypatch,
        first="@handles(HeartbeatRequest)\ndef one(request, context): ...\n",
        second="from .first import one\n@handles(LeaveGroupRequest)\ndef two(request, context): ...\n",
    )
    assert list(collect(package)) == [12, 13]


def test_without_a_refusal_of_its_own_a_handler_refuses_by_the_error_code() -> None:
    @handles(HeartbeatRequest)
    def handler(request: HeartbeatRequest, context: Any) -> None: ...

    api: Api = handler.__dict__["api"]
    refused = api.refuse(HeartbeatRequest(), ErrorCode.NOT_COORDINATOR)
    assert refused == HeartbeatResponse(error_code=ErrorCode.NOT_COORDINATOR)
    assert not api.pipelined


def test_a_refusal_can_be_given() -> None:
    def refuse(request: Request, code: ErrorCode) -> Response:
        return FetchRequest.response(error_code=99)

    @handles(FetchRequest, refuse=refuse, pipelined=True)
    def handler(request: FetchRequest, context: Any) -> None: ...

    api: Api = handler.__dict__["api"]
    assert api.refuse(FetchRequest(), ErrorCode.NONE) == FetchRequest.response(error_code=99)
    assert api.pipelined
