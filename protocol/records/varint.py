"""Zigzag variable-length integers as records use them (int32 "varint", int64 "varlong")."""

from .errors import BatchCorrupt

VARINT_BYTES_MAX = 5
VARLONG_BYTES_MAX = 10


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the int32 at ``position`` and the position after it. Raises BatchCorrupt."""
    try:
        byte = data[position]
    except IndexError:
        raise BatchCorrupt("a varint begins behind the last byte") from None
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), position + 1
    return _read_long(data, position, VARINT_BYTES_MAX, 32)


def read_varlong(data: bytes, position: int) -> tuple[int, int]:
    """Return the int64 at ``position`` and the position after it. Raises BatchCorrupt."""
    try:
        byte = data[position]
    except IndexError:
        raise BatchCorrupt("a varlong begins behind the last byte") from None
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), position + 1
    return _read_long(data, position, VARLONG_BYTES_MAX, 64)


def _read_long(data: bytes, position: int, bytes_max: int, bits: int) -> tuple[int, int]:
    value = shift = 0
    for byte in data[position : position + bytes_max]:
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> bits:
                raise BatchCorrupt(f"a varint does not fit {bits} bits")
            return (value >> 1) ^ -(value & 1), position
        shift += 7
    raise BatchCorrupt("a varint does not end")


def write_varint(out: bytearray, value: int) -> None:
    """Append ``value``, an int32 or an int64: both are written alike, and the caller answers for the range."""
    rest = value << 1 if value >= 0 else (-value << 1) - 1
    while rest >= 0x80:
        out.append((rest & 0x7F) | 0x80)
        rest >>= 7
    out.append(rest)
