"""Compiles the declarations into straight-line readers and writers, one pair per (message, version) on first use.

Fields of fixed size that follow one another share one ``struct`` call, nested structs are written out in place,
varints are read in line: about 1 us for a Produce request, where an interpreter of schemas takes 3 to 4.
"""

import struct
from collections.abc import Callable
from typing import Any, TypeVar

from .primitives import MalformedMessage, Primitive, read_uvarint, uvarint
from .schema import Field, Message, Struct, element_of, fields_of, primitive_of

Buffer = bytes | bytearray | memoryview
Decode = Callable[[memoryview, int], tuple[Any, int]]
Encode = Callable[[Any], list[Buffer]]
M = TypeVar("M", bound=Message)

# The elements that all arrays of one message may have together. A node holds far fewer partitions than this,
# and decoding as many takes a fraction of a second: the longest that one request can hold up the loop.
ELEMENTS_MAX = 2**18


def decoder(message: type[Struct], version: int, flexible: bool) -> Decode:
    """Return ``decode(buffer, position) -> (message, next position)``. It raises MalformedMessage only."""
    return _Reader(version, flexible).compile(message)


def encoder(message: type[Struct], version: int, flexible: bool) -> Encode:
    """Return ``encode(message) -> buffers``: one, or more where record batches are passed through uncopied."""
    return _Writer(version, flexible).compile(message)


def decode(message: type[M], version: int, buffer: Buffer, position: int = 0) -> M:
    """Decode one message. Raises MalformedMessage. Compiles on every call: for tests and tools."""
    result, _ = decoder(message, version, version in message.flexible)(memoryview(buffer), position)
    return result  # type: ignore[no-any-return]


def encode(message: Message, version: int) -> bytes:
    """Encode one message into one piece. Compiles on every call: for tests and tools."""
    return b"".join(encoder(type(message), version, version in message.flexible)(message))


class _Source:
    """Source text under construction, and the constants that it refers to."""

    def __init__(self, version: int, flexible: bool) -> None:
        self.version = version
        self.flexible = flexible
        self.names: dict[str, Any] = {}
        self.lines: list[str] = []
        self.depth = 1
        self.run: list[tuple[str, str]] = []
        self._serial = 0

    def fresh(self, stem: str) -> str:
        self._serial += 1
        return f"{stem}{self._serial}"

    def constant(self, stem: str, value: Any) -> str:
        name = self.fresh(stem)
        self.names[name] = value
        return name

    def line(self, text: str) -> None:
        """Add a line of code, after whatever fixed fields are still waiting for their ``struct`` call."""
        self.flush()
        self.raw(text)

    def raw(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def fixed(self, format: str, expression: str) -> None:
        """Add a field of fixed size to the run of such fields."""
        self.run.append((format, expression))

    def flush(self) -> None:
        raise NotImplementedError

    def function(self, name: str) -> Any:
        self.flush()
        exec("\n".join(self.lines), self.names)
        return self.names[name]

    def present(self, message: type[Struct]) -> tuple[list[Field], list[Field]]:
        """Return the fields of this version: those in order, and the tagged ones."""
        here = [field for field in fields_of(message) if self.version in field.versions]
        tagged = sorted((field for field in here if field.tag is not None), key=lambda field: field.tag or 0)
        return [field for field in here if field.tag is None], tagged


class _Reader(_Source):
    def compile(self, message: type[Struct]) -> Decode:
        self.names |= {
            "Malformed": MalformedMessage,
            "OUTSIDE": (struct.error, IndexError, UnicodeDecodeError, OverflowError),
            "uvarint": read_uvarint,
            "new": object.__new__,
            "unpack_from": struct.unpack_from,
            "skip_tags": _skip_tags,
        }
        self.depth = 0
        self.raw("def decode(buffer, p):")
        self.depth = 1
        self.raw("end = len(buffer)")
        self.raw(f"left = {ELEMENTS_MAX}")
        self.raw("try:")
        self.depth = 2
        target = self.struct(message)
        self.line(f"return {target}, p")
        self.depth = 1
        self.raw("except OUTSIDE as error:")
        self.raw(f"    raise Malformed(f'{message.__name__} v{self.version}: {{error}}') from None")
        decode: Decode = self.function("decode")
        return decode

    def flush(self) -> None:
        if not self.run:
            return
        layout = struct.Struct(">" + "".join(format for format, _ in self.run))
        unpack = self.constant("unpack", layout.unpack_from)
        targets = ", ".join(target for _, target in self.run)
        self.run = []
        self.raw(f"({targets},) = {unpack}(buffer, p)")
        self.raw(f"p += {layout.size}")

    def malformed(self, condition: str, reason: str) -> None:
        self.line(f"if {condition}:")
        self.raw(f"    raise Malformed({reason!r})")

    def uvarint(self, target: str) -> None:
        self.line(f"{target} = buffer[p]")
        self.raw("p += 1")
        self.raw(f"if {target} > 127:")
        self.raw(f"    {target}, p = uvarint(buffer, p - 1)")

    def length(self, wide: bool) -> str:
        """Read a length or count into a variable, -1 for null: compact, or int32 (``wide``) or int16."""
        target = self.fresh("n")
        if self.flexible:
            self.uvarint(target)
            self.raw(f"{target} -= 1")
        else:
            self.fixed("i" if wide else "h", target)
        return target

    def struct(self, message: type[Struct]) -> str:
        """Read a struct and return the variable that holds it."""
        ordered, tagged = self.present(message)
        values = {field.name: self.value(field.type, field, "") for field in ordered}
        if self.flexible:
            values |= self.tags(message, tagged)
        target = self.fresh("o")
        self.line(f"{target} = new({self.constant('C', message)})")
        for field in fields_of(message):
            self.raw(f"{target}.{field.name} = {values.get(field.name) or self.default(field)}")
        return target

    def default(self, field: Field) -> str:
        value = self.constant("d", field.default)
        return f"{value}()" if callable(field.default) else value

    def tags(self, message: type[Struct], tagged: list[Field]) -> dict[str, str]:
        count = self.fresh("n")
        values = {field.name: self.fresh("v") for field in tagged}
        for field in tagged:
            self.line(f"{values[field.name]} = {self.default(field)}")
        self.uvarint(count)
        if not tagged:
            self.raw(f"if {count}:")
            self.raw(f"    p = skip_tags(buffer, p, end, {count})")
            return values
        tag, size, stop = self.fresh("t"), self.fresh("n"), self.fresh("e")
        self.malformed(f"{count} * 2 > end - p", f"{message.__name__}: more tags than bytes")
        self.raw(f"for _ in range({count}):")
        self.depth += 1
        self.uvarint(tag)
        self.uvarint(size)
        self.raw(f"{stop} = p + {size}")
        self.malformed(f"{stop} > end", f"{message.__name__}: a tagged field ends outside the message")
        for word, field in zip(["if"] + ["elif"] * len(tagged), tagged, strict=False):
            self.line(f"{word} {tag} == {field.tag}:")
            self.depth += 1
            value = self.value(field.type, field, values[field.name])
            self.flush()
            if value != values[field.name]:
                self.raw(f"{values[field.name]} = {value}")
            self.malformed(f"p != {stop}", f"{field.name}: the tagged field has another size than it says")
            self.depth -= 1
        self.line("else:")
        self.raw(f"    p = {stop}")
        self.depth -= 1
        return values

    def value(self, type_: Any, field: Field, target: str) -> str:
        """Read a value into ``target`` (or a new variable) and return the variable's name."""
        element = element_of(type_)
        target = target or self.fresh("v")
        nullable = self.version in field.nullable
        if element is not None:
            self.array(element, field, target, nullable)
            return target
        primitive = primitive_of(type_)
        if primitive is None:
            return self.nested(type_, target, nullable)
        if primitive.size:
            self.fixed(primitive.format, target)
        else:
            self.variable(primitive, field, target, nullable)
        return target

    def nested(self, message: type[Struct], target: str, nullable: bool) -> str:
        if not nullable:
            return self.struct(message)
        marker = self.fresh("n")
        self.fixed("b", marker)
        self.line(f"{target} = None")
        self.raw(f"if {marker} >= 0:")
        self.depth += 1
        self.line(f"{target} = {self.struct(message)}")
        self.depth -= 1
        return target

    def null(self, length: str, field: Field, target: str, nullable: bool) -> None:
        """Open the branch for "not null"; what is null must be allowed to be so."""
        if nullable:
            self.line(f"if {length} == -1:")
            self.raw(f"    {target} = None")
            self.raw(f"elif {length} < 0:")
        else:
            self.line(f"if {length} < 0:")
        self.raw(f"    raise Malformed('{field.name}: a length below what is allowed')")
        self.raw("else:")
        self.depth += 1

    def variable(self, primitive: Primitive, field: Field, target: str, nullable: bool) -> None:
        length = self.length(wide=primitive.name != "string")
        self.null(length, field, target, nullable)
        stop = self.fresh("e")
        self.raw(f"{stop} = p + {length}")
        self.malformed(f"{stop} > end", f"{field.name}: longer than the message")
        made = {"string": "str({}, 'utf-8')", "data": "bytes({})", "batches": "{}"}[primitive.name]
        self.raw(f"{target} = {made.format(f'buffer[p:{stop}]')}")
        self.raw(f"p = {stop}")
        self.depth -= 1

    def array(self, element: Any, field: Field, target: str, nullable: bool) -> None:
        count = self.length(wide=True)
        self.null(count, field, target, nullable)
        size = _least_size(element, self)
        self.malformed(f"{count} * {size} > end - p", f"{field.name}: more elements than bytes")
        self.raw(f"left -= {count}")
        self.malformed("left < 0", f"{field.name}: more than {ELEMENTS_MAX} elements in one message")
        primitive = primitive_of(element)
        if primitive is not None and primitive.size and primitive.name != "uuid":
            self.raw(f"{target} = list(unpack_from(f'>{{{count}}}{primitive.format}', buffer, p))")
            self.raw(f"p += {count} * {primitive.size}")
        else:
            self.raw(f"{target} = []")
            self.raw(f"for _ in range({count}):")
            self.depth += 1
            plain = Field(field.versions, None, field.nullable._replace(lowest=1, highest=0), None)
            plain.name = field.name
            item = self.value(element, plain, "")
            self.line(f"{target}.append({item})")
            self.depth -= 1
        self.depth -= 1


class _Writer(_Source):
    def compile(self, message: type[Struct]) -> Encode:
        self.names |= {"uvarint": uvarint, "pack": struct.pack}
        self.depth = 0
        self.raw("def encode(o):")
        self.depth = 1
        self.raw("parts = []")
        self.raw("out = bytearray()")
        self.struct(message, "o")
        self.line("parts.append(out)")
        self.raw("return parts")
        encode: Encode = self.function("encode")
        return encode

    def flush(self) -> None:
        if not self.run:
            return
        layout = struct.Struct(">" + "".join(format for format, _ in self.run))
        values = ", ".join(expression for _, expression in self.run)
        self.run = []
        self.raw(f"out += {self.constant('pack', layout.pack)}({values})")

    def uvarint(self, expression: str) -> None:
        count = self.fresh("n")
        self.line(f"{count} = {expression}")
        self.raw(f"if {count} < 128:")
        self.raw(f"    out.append({count})")
        self.raw("else:")
        self.raw(f"    out += uvarint({count})")

    def length(self, expression: str, wide: bool) -> None:
        """Write a length or count, compact or fixed; ``null`` writes the other case."""
        if self.flexible:
            self.uvarint(f"{expression} + 1")
        else:
            self.fixed("i" if wide else "h", expression)

    def null(self, wide: bool) -> None:
        if self.flexible:
            self.fixed("B", "0")
        else:
            self.fixed("i" if wide else "h", "-1")

    def struct(self, message: type[Struct], source: str) -> None:
        ordered, tagged = self.present(message)
        for field in ordered:
            self.value(field.type, f"{source}.{field.name}", self.version in field.nullable)
        if self.flexible:
            self.tags(tagged, source)

    def tags(self, tagged: list[Field], source: str) -> None:
        if not tagged:
            self.fixed("B", "0")
            return
        held, tags, count = self.fresh("held"), self.fresh("tags"), self.fresh("n")
        self.line(f"{held} = out")
        self.raw(f"{tags} = bytearray()")
        self.raw(f"{count} = 0")
        for field in tagged:
            value = f"{source}.{field.name}"
            default = field.default() if callable(field.default) else field.default
            known = self.constant("d", default)
            self.line(f"if {value} is not {known} and {value} != {known}:")
            self.depth += 1
            self.raw("out = bytearray()")
            self.value(field.type, value, self.version in field.nullable)
            self.line(f"{count} += 1")
            self.raw(f"{tags} += uvarint({field.tag})")
            self.raw(f"{tags} += uvarint(len(out))")
            self.raw(f"{tags} += out")
            self.depth -= 1
        self.line(f"out = {held}")
        self.uvarint(count)
        self.raw(f"out += {tags}")

    def value(self, type_: Any, source: str, nullable: bool) -> None:
        element = element_of(type_)
        primitive = None if element is not None else primitive_of(type_)
        if primitive is not None and primitive.size:
            self.fixed(primitive.format, source)
            return
        name = self.fresh("v")
        self.line(f"{name} = {source}")
        if nullable:
            self.raw(f"if {name} is None:")
            self.depth += 1
            if element is None and primitive is None:
                self.fixed("b", "-1")
            else:
                self.null(wide=primitive is None or primitive.name != "string")
            self.flush()
            self.depth -= 1
            self.raw("else:")
            self.depth += 1
        if element is not None:
            self.array(element, name)
        elif primitive is not None:
            self.variable(primitive, name)
        else:
            if nullable:
                self.fixed("b", "1")
            self.struct(type_, name)
        if nullable:
            self.flush()
            self.depth -= 1

    def variable(self, primitive: Primitive, name: str) -> None:
        if primitive.name == "string":
            self.line(f"{name} = {name}.encode()")
        self.length(f"len({name})", wide=primitive.name != "string")
        if primitive.name == "batches":
            self.line("parts.append(out)")
            self.raw(f"parts.append({name})")
            self.raw("out = bytearray()")
        else:
            self.line(f"out += {name}")

    def array(self, element: Any, name: str) -> None:
        self.length(f"len({name})", wide=True)
        primitive = primitive_of(element)
        if primitive is not None and primitive.size and primitive.name != "uuid":
            self.line(f"out += pack(f'>{{len({name})}}{primitive.format}', *{name})")
            return
        item = self.fresh("i")
        self.line(f"for {item} in {name}:")
        self.depth += 1
        self.value(element, item, nullable=False)
        self.flush()
        self.depth -= 1


def skip_tags(buffer: memoryview, position: int) -> int:
    """Return the position behind a section of tagged fields of which none is known. Raises MalformedMessage."""
    try:
        count, position = read_uvarint(buffer, position)
        return _skip_tags(buffer, position, len(buffer), count) if count else position
    except IndexError:
        raise MalformedMessage("the tagged fields end outside the message") from None


def _skip_tags(buffer: memoryview, position: int, end: int, count: int) -> int:
    """Return the position behind ``count`` tagged fields that this version does not know (KIP-482)."""
    if count * 2 > end - position:
        raise MalformedMessage("more tags than bytes")
    for _ in range(count):
        _, position = read_uvarint(buffer, position)
        size, position = read_uvarint(buffer, position)
        position += size
        if position > end:
            raise MalformedMessage("a tagged field ends outside the message")
    return position


def _least_size(type_: Any, source: _Source) -> int:
    """Return the fewest bytes that one element can take, so that a count can be checked before it is believed."""
    if element_of(type_) is not None:
        return 1 if source.flexible else 4
    primitive = primitive_of(type_)
    if primitive is None:
        ordered, _ = source.present(type_)
        fields = sum(
            1 if field.nullable.highest >= 0 and primitive_of(field.type) is None else _least_size(field.type, source)
            for field in ordered
        )
        return max(1, fields + source.flexible)
    if primitive.size:
        return primitive.size
    if source.flexible:
        return 1
    return 2 if primitive.name == "string" else 4
