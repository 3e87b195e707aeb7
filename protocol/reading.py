"""Compiles the reader of one message in one version."""

import struct
from collections.abc import Callable
from typing import Any

from .primitives import MalformedMessage, Primitive, read_uvarint
from .schema import Field, Struct, element_of, fields_of, primitive_of
from .source import Source

Decode = Callable[[memoryview, int], tuple[Any, int]]

# The elements that all arrays of one message may have together. A node holds far fewer partitions than this,
# and decoding as many takes a fraction of a second: the longest that one request can hold up the loop.
ELEMENTS_MAX = 2**18


class Reader(Source):
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
            return self.nested(type_, target, nullable, field.tag is not None)
        if primitive.size:
            self.fixed(primitive.format, target)
        else:
            self.variable(primitive, field, target, nullable)
        return target

    def nested(self, message: type[Struct], target: str, nullable: bool, is_tagged: bool) -> str:
        """What is null begins with -1, and with 0 in a tagged field; else 1 comes first."""
        if not nullable:
            return self.struct(message)
        marker = self.fresh("n")
        self.fixed("b", marker)
        self.line(f"{target} = None")
        self.raw(f"if {marker} {'>' if is_tagged else '>='} 0:")
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


def _least_size(type_: Any, source: Source) -> int:
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
