"""Which APIs there are: the handlers that ``broker.apis`` declares, and what each needs to know to be called."""

import importlib
import logging
import pkgutil
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from ..protocol.errors import ErrorCode
from ..protocol.schema import Request, Response, Versions
from .context import Context
from .pending import Pending

Answer = Response | None | Pending | Awaitable[Response | None]
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
    an awaitable of either, or a Pending.

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


class Apis(Mapping[int, Api]):
    """The APIs that have a handler, by key. A module of the package's RARE is imported when one of its APIs is asked
    for: what RARE says of their versions is enough to advertise them."""

    def __init__(self, package: str) -> None:
        """Raises TypeError when two handlers are declared for one key."""
        self._package = importlib.import_module(package)
        rare: Mapping[str, Mapping[int, tuple[int, int]]] = getattr(self._package, "RARE", {})
        self._rare = {key: module for module, ranges in rare.items() for key in ranges}
        self._ranges = {key: Versions(*bounds) for ranges in rare.values() for key, bounds in ranges.items()}
        self._loaded: dict[int, Api] = {}
        for module in pkgutil.iter_modules(self._package.__path__):
            if module.name not in rare:
                self._load(module.name)
        for name in rare:  # so that admin clients can name its logger before the module is loaded
            logging.getLogger(f"{self._package.__name__}.{name}")

    def _load(self, module: str) -> None:
        for value in vars(importlib.import_module(f"{self._package.__name__}.{module}")).values():
            api = getattr(value, "api", None)
            if isinstance(api, Api) and api.handler is value:
                key = api.request.api_key
                if self._loaded.get(key, api) is not api or self._rare.get(key, module) != module:
                    raise TypeError(f"{api.request.api_name()} has two handlers")
                self._loaded[key] = api
                self._ranges[key] = api.request.advertised

    def __getitem__(self, key: int) -> Api:
        if key not in self._loaded:
            self._load(self._rare[key])
        return self._loaded[key]

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._ranges))

    def __len__(self) -> int:
        return len(self._ranges)

    def advertised(self) -> Iterator[tuple[int, Versions]]:
        """Yield each key with the versions that ApiVersions tells of, in the order of the keys."""
        return iter(sorted(self._ranges.items()))


def collect(package: str) -> Apis:
    """Return the APIs of a package of handlers. Raises TypeError when two are declared for one key."""
    return Apis(package)
