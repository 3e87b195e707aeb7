"""Messages as declarations: one class for all versions, the annotation is the wire type, ``since`` the versions.

    class FetchTopic(Struct):
        topic: string = since("4-12")
        topic_id: uuid = since("13+")
        partitions: list[FetchPartition] = since("4+")

A class costs nothing but its definition until it is first built, read or written; then ``codec`` compiles what
that needs.
"""

from collections.abc import Callable
from types import UnionType
from typing import Any, ClassVar, NamedTuple, Union, dataclass_transform, get_args, get_origin

from .primitives import Primitive

MISSING: Any = object()
NEWEST = 0x7FFF


class Versions(NamedTuple):
    """An inclusive range of message versions; ``highest`` is NEWEST where the range is open."""

    lowest: int
    highest: int

    @classmethod
    def parse(cls, text: str) -> "Versions":
        """Read Kafka's notation: "3", "0-4", "9+", "none"."""
        if text == "none":
            return cls(NEWEST, -1)
        if text.endswith("+"):
            return cls(int(text[:-1]), NEWEST)
        low, _, high = text.partition("-")
        return cls(int(low), int(high or low))

    def __contains__(self, version: object) -> bool:
        return isinstance(version, int) and self.lowest <= version <= self.highest


class Field:
    """One field of a struct in all versions of its message.

    ``default`` is a value, or a callable that makes one; MISSING stands for the zero of the type.
    """

    __slots__ = ("default", "name", "nullable", "tag", "type", "versions")

    def __init__(self, versions: Versions, default: Any, nullable: Versions, tag: int | None) -> None:
        self.versions = versions
        self.default = default
        self.nullable = nullable
        self.tag = tag
        self.name = ""
        self.type: Any = None


def since(versions: str, default: Any = MISSING, *, nullable: str = "0+", tag: int | None = None) -> Any:
    """Declare in which versions a field is on the wire, its default elsewhere, and its tag if it has one.

    ``nullable`` counts only where the annotation allows None.
    """
    return Field(Versions.parse(versions), default, Versions.parse(nullable), tag)


@dataclass_transform(kw_only_default=True, eq_default=True)
class StructType(type):
    """Turns the declared fields into slots, so that an instance is small and a misspelt field an error."""

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        fields = {key: value for key, value in namespace.items() if isinstance(value, Field)}
        for key, field in fields.items():
            field.name = key
            del namespace[key]
        namespace["__slots__"] = tuple(fields)
        namespace["_fields"] = tuple(fields.values())
        return super().__new__(mcls, name, bases, namespace, **options)


class Struct(metaclass=StructType):
    """A group of fields. The constructor takes them by name; what is left out has its default."""

    _fields: ClassVar[tuple[Field, ...]]

    def __init__(self, **values: Any) -> None:
        cls = type(self)
        cls.__init__ = _constructor(cls)  # type: ignore[method-assign]
        cls.__init__(self, **values)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, field.name) == getattr(other, field.name) for field in self._fields)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in self._fields)
        return f"{type(self).__name__}({values})"


class Message(Struct):
    """What a request and a response have in common: a key, versions, and an encoding per version."""

    api_key: ClassVar[int]
    versions: ClassVar[Versions]
    flexible: ClassVar[Versions]


class Request(Message):
    """A request. ``advertised`` may begin below ``versions``: ApiVersions then promises more than is accepted."""

    advertised: ClassVar[Versions]
    response: ClassVar[type["Response"]]

    def __init_subclass__(cls, api_key: int, versions: str, flexible: str, advertised: str = "") -> None:
        cls.api_key = api_key
        cls.versions = Versions.parse(versions)
        cls.flexible = Versions.parse(flexible)
        cls.advertised = Versions.parse(advertised or versions)

    @classmethod
    def api_name(cls) -> str:
        """Return Kafka's name of the API: "Produce" for ProduceRequest."""
        return cls.__name__.removesuffix("Request")


class Response(Message):
    """The answer to one kind of request, with the versions of that request."""

    def __init_subclass__(cls, answers: type[Request]) -> None:
        cls.api_key = answers.api_key
        cls.versions = answers.versions
        cls.flexible = answers.flexible
        answers.response = cls


def fields_of(struct: type[Struct]) -> tuple[Field, ...]:
    """Return the fields in wire order, their types resolved from the annotations."""
    fields = struct._fields
    if fields and fields[0].type is None:
        for field in fields:
            field.type, optional = _without_none(struct.__annotations__[field.name])
            if not optional:
                field.nullable = Versions.parse("none")
            if field.default is MISSING:
                field.default = zero_of(field.type)
    return fields


def element_of(type_: Any) -> Any:
    """Return T for ``list[T]`` and for ``list[T | bytes]``, else None."""
    if get_origin(type_) is not list:
        return None
    element = get_args(type_)[0]
    return get_args(element)[0] if get_origin(element) is UnionType else element


def may_be_encoded(type_: Any) -> bool:
    """Say whether ``type_`` is ``list[T | bytes]``: elements may be put there in their encoded form."""
    return get_origin(type_) is list and get_origin(get_args(type_)[0]) is UnionType


def primitive_of(type_: Any) -> Primitive | None:
    """Return the marker behind an annotation such as ``int32``, else None."""
    for extra in getattr(type_, "__metadata__", ()):
        if isinstance(extra, Primitive):
            return extra
    return None


def zero_of(type_: Any) -> Any:
    """Return what Kafka takes for a field without a stated default: 0, "", an empty list or a default struct.

    The struct is one and the same for all messages: put another in its place, never change it.
    """
    if element_of(type_) is not None:
        return list
    primitive = primitive_of(type_)
    return type_() if primitive is None else primitive.zero


def _without_none(annotation: Any) -> tuple[Any, bool]:
    arguments = get_args(annotation)
    if type(None) in arguments:
        (rest,) = [argument for argument in arguments if argument is not type(None)]
        return rest, True
    if get_origin(annotation) is Union:
        raise TypeError(f"a field is one type or None, not {annotation}")
    return annotation, False


def _constructor(struct: type[Struct]) -> Callable[..., None]:
    names: dict[str, Any] = {"MISSING": MISSING}
    arguments, body = [], []
    for field in fields_of(struct):
        name = field.name
        if callable(field.default):
            names[f"make_{name}"] = field.default
            arguments.append(f"{name}=MISSING")
            body.append(f" self.{name} = make_{name}() if {name} is MISSING else {name}")
        else:
            names[f"default_{name}"] = field.default
            arguments.append(f"{name}=default_{name}")
            body.append(f" self.{name} = {name}")
    head = f"def __init__(self, *, {', '.join(arguments)}):" if arguments else "def __init__(self):"
    exec("\n".join([head, *(body or [" pass"])]), names)
    return names["__init__"]  # type: ignore[no-any-return]
