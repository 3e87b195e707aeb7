"""Which APIs there are: the handlers that ``broker.apis`` declares, and what each needs to know to be called."""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

from ..protocol.errors import ErrorCode
from ..protocol.schema import Request, Response
from .context import Context

Answer = Response | None | Awaitable[Response | None]
Handler = Callable[[Any, Context], Answer]
Refusal = Callable[[Any, ErrorCode], Response]
H = TypeVar("H", bound=Handler)


class Api(NamedTuple):
    """An API and its handler.

    ``refuse`` makes the response that says that the whole request failed. ``pipelined``: while an answer is being
    waited for, the requests behind it are already handled. ``leaves_out``: what of Kafka's is knowingly not done, and
    why; docs/compatibility.md is made of it.
    """

    request: type[Request]
    handler: Handler
    refuse: Refusal
    pipelined: bool
    leaves_out: str


def handles(
    request: type[Request], *, refuse: Refusal | None = None, pipelined: bool = False, leaves_out: str = ""
) -> Callable[[H], H]:
    """Declare the handler of an API: ``handler(request, context)`` returns the response, None for no response at all,
    or an awaitable of either.

    Without ``refuse`` the response must have an ``error_code`` of its own. Record batches in the request are valid
    until the handler returns or first waits, whichever comes first.
    """

    def declare(handler: H) -> H:
        refusal = refuse or _refuse_by_error_code(request)
        handler.__dict__["api"] = Api(request, handler, refusal, pipelined, leaves_out)
        return handler

    return declare


def _refuse_by_error_code(request: type[Request]) -> Refusal:
    def refuse(_: Request, code: ErrorCode) -> Response:
        response: Any = request.response()
        response.error_code = code
        return response  # type: ignore[no-any-return]

    return refuse


def collect(package: str) -> dict[int, Api]:
    """Import every module of ``package`` and return its APIs by key, in the order of the keys.

    Raises TypeError when two handlers are declared for one key.
    """
    found: dict[int, Api] = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        for value in vars(importlib.import_module(f"{package}.{module.name}")).values():
            api = getattr(value, "api", None)
            if isinstance(api, Api) and api.handler is value:
                key = api.request.api_key
                if found.get(key, api) is not api:
                    raise TypeError(f"{api.request.api_name()} has two handlers")
                found[key] = api
    return dict(sorted(found.items()))
