"""Every declared message, and random instances of them."""

import importlib
import pkgutil
from typing import Any

from hypothesis import strategies as st

from barnabas.protocol import messages
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.schema import Message, Request, Response, Struct, element_of, fields_of, primitive_of

for _module in pkgutil.iter_modules(messages.__path__):
    importlib.import_module(f"{messages.__name__}.{_module.name}")

REQUESTS: list[type[Request]] = sorted(Request.__subclasses__(), key=lambda request: request.api_key)
MESSAGES: list[type[Message]] = sorted(
    [*REQUESTS, *Response.__subclasses__()], key=lambda message: (message.api_key, message.__name__)
)
MESSAGE_VERSIONS = [
    (message, version)
    for message in MESSAGES
    for version in range(message.versions.lowest, message.versions.highest + 1)
]

_INTEGERS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
_TEXT = st.text(max_size=12)


def fields_in(struct: type[Struct], version: int) -> list[Any]:
    return [field for field in fields_of(struct) if version in field.versions]


def instances(struct: type[Struct], version: int) -> st.SearchStrategy[Any]:
    """Random instances that differ from the defaults only in fields which ``version`` has."""
    values = {field.name: _values(field.type, field, version) for field in fields_in(struct, version)}
    return st.builds(struct, **values)


def _values(type_: Any, field: Any, version: int) -> st.SearchStrategy[Any]:
    strategy = _present(type_, field, version)
    return st.none() | strategy if version in field.nullable else strategy


def _present(type_: Any, field: Any, version: int) -> st.SearchStrategy[Any]:
    element = element_of(type_)
    if element is not None:
        return st.lists(_present(element, field, version), max_size=3)
    primitive = primitive_of(type_)
    if primitive is None:
        return instances(type_, version)
    match primitive.name:
        case "boolean":
            return st.booleans()
        case "string":
            return _TEXT
        case "data":
            return st.binary(max_size=40)
        case "batches":
            return st.binary(max_size=40).map(memoryview)
        case "uuid":
            return st.binary(min_size=16, max_size=16)
        case "uint16":
            return st.integers(0, 2**16 - 1)
        case "float64":
            return st.floats(allow_nan=False)
    if field.name.endswith("error_code"):
        return st.sampled_from([int(code) for code in ErrorCode])
    bits = _INTEGERS[primitive.name]
    if field.name.endswith("_ms"):
        return st.integers(0, 2 ** min(bits - 1, 40) - 1)
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
