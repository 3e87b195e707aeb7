"""Compiles the writer of one message in one version."""

import struct
from collections.abc import Callable
from typing import Any

from .primitives import Primitive, uvarint
from .schema import Field, Struct, element_of, may_be_encoded, primitive_of
from .source import Source

Buffer = bytes | bytearray | memoryview
Encode = Callable[[Any], list[Buffer]]


class Writer(Source):
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
            self.value(field.type, value, self.version in field.nullable, is_tagged=True)
            self.line(f"{count} += 1")
            self.raw(f"{tags} += uvarint({field.tag})")
            self.raw(f"{tags} += uvarint(len(out))")
            self.raw(f"{tags} += out")
            self.depth -= 1
        self.line(f"out = {held}")
        self.uvarint(count)
        self.raw(f"out += {tags}")

    def value(self, type_: Any, source: str, nullable: bool, is_tagged: bool = False) -> None:
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
                self.fixed("b", "0" if is_tagged else "-1")
            else:
                self.null(wide=primitive is None or primitive.name != "string")
            self.flush()
            self.depth -= 1
            self.raw("else:")
            self.depth += 1
        if element is not None:
            self.array(element, name, may_be_encoded(type_))
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

    def array(self, element: Any, name: str, may_be_encoded: bool) -> None:
        self.length(f"len({name})", wide=True)
        primitive = primitive_of(element)
        if primitive is not None and primitive.size and primitive.name != "uuid":
            self.line(f"out += pack(f'>{{len({name})}}{primitive.format}', *{name})")
            return
        item = self.fresh("i")
        self.line(f"for {item} in {name}:")
        self.depth += 1
        if may_be_encoded:
            self.raw(f"if type({item}) is bytes:")
            self.raw(f"    out += {item}")
            self.raw("    continue")
        self.value(element, item, nullable=False)
        self.flush()
        self.depth -= 1
