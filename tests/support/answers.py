"""Requests built from plain values, and the errors of an answer, whichever API they belong to."""

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.schema import Request, Struct, element_of, fields_of

R = TypeVar("R", bound=Struct)


class Refusal(NamedTuple):
    """An error code of an answer and the text beside it; None where the answer has no room for a text."""

    code: ErrorCode
    text: str | None


def build(struct: type[R], **values: Any) -> R:
    """Return ``struct`` with ``values``, in which a dict stands for a struct of the type that belongs there."""
    types = {field.name: field.type for field in fields_of(struct)}
    return struct(**{name: _built(types[name], value) for name, value in values.items()})


def _built(type_: Any, value: Any) -> Any:
    if isinstance(value, list):
        return [_built(element_of(type_), one) for one in value]
    return build(type_, **value) if isinstance(value, dict) else value


def request(cls: type[Request], **values: Any) -> Request:
    """Return a request with ``values`` as ``build`` takes them."""
    return build(cls, **values)


def refusals(answer: Struct) -> list[Refusal]:
    """Return every error of an answer, from the outside in, in the order of the answer."""
    return [refusal for refusal in _said(answer) if refusal.code]


def _said(value: Any) -> Iterator[Refusal]:
    if isinstance(value, list):
        for one in value:
            yield from _said(one)
    elif isinstance(value, Struct):
        names = [field.name for field in fields_of(type(value))]
        for name in names:
            if name in ("error_code", "partition_error_code"):
                text = value.error_message if "error_message" in names else None  # type: ignore[attr-defined]
                yield Refusal(ErrorCode(getattr(value, name)), text)
        for name in names:
            yield from _said(getattr(value, name))
