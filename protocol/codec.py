"""Compiles the declarations into straight-line readers and writers, one pair per (message, version) on first use.

Fields of fixed size that follow one another share one ``struct`` call, nested structs are written out in place,
varints are read in line: about 1 us for a Produce request, where an interpreter of schemas takes 3 to 4.
"""

from typing import TypeVar

from .reading import ELEMENTS_MAX, Decode, Reader, skip_tags
from .schema import Message, Struct
from .writing import Buffer, Encode, Writer

__all__ = ["ELEMENTS_MAX", "Buffer", "Decode", "Encode", "decode", "decoder", "encode", "encoder", "skip_tags"]

M = TypeVar("M", bound=Message)


def decoder(message: type[Struct], version: int, flexible: bool) -> Decode:
    """Return ``decode(buffer, position) -> (message, next position)``. It raises MalformedMessage only."""
    return Reader(version, flexible).compile(message)


def encoder(message: type[Struct], version: int, flexible: bool) -> Encode:
    """Return ``encode(message) -> buffers``: one, or more where record batches are passed through uncopied."""
    return Writer(version, flexible).compile(message)


def decode(message: type[M], version: int, buffer: Buffer, position: int = 0) -> M:
    """Decode one message. Raises MalformedMessage. Compiles on every call: for tests and tools."""
    result, _ = decoder(message, version, version in message.flexible)(memoryview(buffer), position)
    return result  # type: ignore[no-any-return]


def encode(message: Message, version: int) -> bytes:
    """Encode one message into one piece. Compiles on every call: for tests and tools."""
    return b"".join(encoder(type(message), version, version in message.flexible)(message))
