"""The wire types a message field can have, as annotations, and the markers behind them.

To a type checker ``string`` is ``str`` and ``int32`` is ``int``; the schema engine reads the marker.
"""

from typing import Annotated


class Primitive:
    """A wire type. ``format``: its ``struct`` letter when it has a fixed size, else ''."""

    __slots__ = ("format", "name", "size", "zero")

    def __init__(self, name: str, format: str, size: int, zero: object) -> None:
        self.name = name
        self.format = format
        self.size = size
        self.zero = zero

    def __repr__(self) -> str:
        return self.name


ZERO_UUID = bytes(16)

boolean = Annotated[bool, Primitive("boolean", "?", 1, False)]
int8 = Annotated[int, Primitive("int8", "b", 1, 0)]
int16 = Annotated[int, Primitive("int16", "h", 2, 0)]
uint16 = Annotated[int, Primitive("uint16", "H", 2, 0)]
int32 = Annotated[int, Primitive("int32", "i", 4, 0)]
uint32 = Annotated[int, Primitive("uint32", "I", 4, 0)]
int64 = Annotated[int, Primitive("int64", "q", 8, 0)]
float64 = Annotated[float, Primitive("float64", "d", 8, 0.0)]
# 16 bytes as they stand on the wire: a dictionary key and a column, never taken apart.
uuid = Annotated[bytes, Primitive("uuid", "16s", 16, ZERO_UUID)]
string = Annotated[str, Primitive("string", "", 0, "")]
# Copied out of the frame, because whoever asks for bytes keeps them.
data = Annotated[bytes, Primitive("data", "", 0, b"")]
# Record batches: a view of the frame when decoded, never copied; any buffer when encoded.
batches = Annotated[memoryview | bytes, Primitive("batches", "", 0, b"")]


class MalformedMessage(ValueError):
    """The bytes are not what the schema says. The only exception that decoding raises."""


def read_uvarint(buffer: memoryview | bytes, position: int) -> tuple[int, int]:
    """Return the unsigned varint at ``position`` (at most 32 bits) and the position behind it.

    Raises MalformedMessage when it is longer than five bytes, IndexError when the buffer ends before it does.
    """
    value = shift = 0
    while True:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value > 0xFFFFFFFF:
                raise MalformedMessage(f"varint of more than 32 bits: {value}")
            return value, position
        shift += 7
        if shift > 28:
            raise MalformedMessage("varint of more than five bytes")


def uvarint(value: int) -> bytes:
    """Return ``value`` (0 or more) as an unsigned varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
