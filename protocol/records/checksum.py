"""CRC-32C (Castagnoli), as the native function itself: no wrapper between the caller and the instruction."""

from __future__ import annotations

import importlib.util
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Checksum(Protocol):
    """``value`` is the checksum of what came before ``data``; 0 when nothing did."""

    def __call__(self, data: ReadableBuffer, value: int = 0, /) -> int: ...


def _native() -> Checksum:
    """Load ``crc32c._crc32c`` alone: the package around it imports argparse and its metadata, 36 ms for nothing."""
    package = importlib.util.find_spec("crc32c")
    if package is None or package.submodule_search_locations is None:
        raise ImportError("no package crc32c")
    spec = PathFinder.find_spec("crc32c._crc32c", package.submodule_search_locations)
    if spec is None or spec.loader is None:
        raise ImportError("no extension crc32c._crc32c")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast(Checksum, module.crc32c)


def _resolve() -> Checksum:
    try:
        return _native()
    except Exception:  # another layout of the package: slower to import, the same function
        from crc32c import crc32c as packaged

        return cast(Checksum, packaged)


# Two positional arguments only: the third of the native function forces or forbids releasing the GIL. Left alone
# it is released for large inputs only (32 KiB and more), and for a batch in the cache that costs nothing measurable.
crc32c: Checksum = _resolve()
