"""Frames out of a stream of bytes, without copying what can stay where it was received.

All connections of a process receive into one shared scratch buffer, because a process receives for one connection
at a time. What a connection leaves unread there is stashed; a large frame gets a buffer of its own, into which its
bytes are received directly.
"""

import struct

from .primitives import MalformedMessage

# Enough that 64 KB frames arrive whole most of the time; 1 MB is no faster (performance.md 1).
SCRATCH_BYTES = 256 * 2**10
# Frames from here on are received into a buffer of their own.
LARGE_BYTES = 64 * 2**10
# The first buffer of a large frame; it doubles as the frame comes in, because a frame that is only announced must not
# cost much memory.
FIRST_BUFFER_BYTES = 128 * 2**10
# What the pool keeps for the next large frames.
POOL_BYTES_MAX = 64 * 2**20
# Only Produce carries bulk. The largest other requests hold group metadata, which Kafka would have to fit into one
# record of about 1 MB; the rest is headroom. It also bounds what decoding one request may cost.
CONTROL_FRAME_BYTES_MAX = 16 * 2**20
PRODUCE_KEY = 0

_SIZE = struct.Struct(">i")
_SIZE_AND_KEY = struct.Struct(">ih")
_HEADER_BYTES_MIN = 10


class FrameTooLarge(MalformedMessage):
    """The frame announces more bytes than are allowed."""


def _other_protocol(begin: bytes) -> str:
    """Say what a connection may be that begins like this, if it is not Kafka's protocol."""
    if begin[:2] == b"\x16\x03":
        return "; it looks like TLS, and only PLAINTEXT is spoken here"
    return "; it looks like HTTP" if begin in (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI") else ""


class BufferPool:
    """Buffers for large frames, handed out again while they are warm.

    ``budget``: bytes that may be out at one time, over all connections. ``has_refused``: the budget was not enough,
    since somebody last looked and set it back.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.out_bytes = 0
        self.has_refused = False
        self._kept: dict[int, list[bytearray]] = {}
        self._kept_bytes = 0

    def take(self, size: int) -> bytearray | None:
        """Return a buffer of at least ``size`` bytes, or None when the budget is spent."""
        capacity = 1 << (size - 1).bit_length()
        if self.out_bytes and self.out_bytes + capacity > self.budget:
            self.has_refused = True
            return None
        self.out_bytes += capacity
        kept = self._kept.get(capacity)
        if kept:
            self._kept_bytes -= capacity
            return kept.pop()
        return bytearray(capacity)

    def give_back(self, buffer: bytearray) -> None:
        """Take ``buffer`` back; its bytes may be overwritten from now on."""
        capacity = len(buffer)
        self.out_bytes -= capacity
        if self._kept_bytes + capacity <= POOL_BYTES_MAX:
            self._kept.setdefault(capacity, []).append(buffer)
            self._kept_bytes += capacity


class FrameReader:
    """The receiving side of one connection: says where bytes go, and yields the frames they complete.

    A frame is a writable view, without its length, that is valid until the next call. ``large_frames`` counts the
    frames that got a buffer of their own.
    """

    __slots__ = (
        "_end",
        "_filled",
        "_large",
        "_large_size",
        "_limit",
        "_pool",
        "_position",
        "_region",
        "_scratch",
        "_stash",
        "large_frames",
    )

    def __init__(self, scratch: memoryview, pool: BufferPool, frame_bytes_max: int) -> None:
        self._scratch = scratch
        self._pool = pool
        self.large_frames = 0
        self._limit = frame_bytes_max
        self._stash = bytearray()
        self._large: bytearray | None = None
        self._large_size = 0
        self._filled = 0
        self._region: memoryview = scratch[:0]
        self._position = 0
        self._end = 0

    def buffer(self) -> memoryview:
        """Return where the next bytes are to be received; never empty unless a whole large frame waits."""
        if self._large is not None:
            return memoryview(self._large)[self._filled : min(len(self._large), self._large_size)]
        stash = self._stash
        if stash:
            self._scratch[: len(stash)] = stash
            return self._scratch[len(stash) :]
        return self._scratch

    def received(self, count: int) -> None:
        """Take note that ``count`` bytes were received into ``buffer()``."""
        if self._large is not None:
            self._filled += count
            self._grow()
            return
        self._region = self._scratch
        self._position = 0
        self._end = len(self._stash) + count
        self._stash = bytearray()

    def next_frame(self) -> memoryview | None:
        """Return the next frame, or None when more bytes are needed. Raises MalformedMessage."""
        if self._large is not None:
            if self._filled < self._large_size:
                self._grow()
                return None
            frame = memoryview(self._large)[: self._large_size]
            self.release()
            return frame
        if not self._end and self._stash:
            self._region, self._position, self._end = memoryview(self._stash), 0, len(self._stash)
            self._stash = bytearray()
        position = self._position
        available = self._end - position
        if available < 4:
            return None
        (size,) = _SIZE.unpack_from(self._region, position)
        if size <= available - 4:
            if size < _HEADER_BYTES_MIN:
                raise MalformedMessage(f"a frame of {size} bytes is shorter than a request header")
            self._position = position + 4 + size
            return self._region[position + 4 : position + 4 + size]
        if available < _SIZE_AND_KEY.size:
            return None
        size, key = _SIZE_AND_KEY.unpack_from(self._region, position)
        limit = self._limit if key == PRODUCE_KEY else min(self._limit, CONTROL_FRAME_BYTES_MAX)
        if size > limit:
            text = f"a frame of {size} bytes for API {key}, {limit} are allowed"
            raise FrameTooLarge(text + _other_protocol(size.to_bytes(4, "big", signed=True)))
        if size > LARGE_BYTES:
            self._begin_large(size, position + 4)
        return None

    def _begin_large(self, size: int, position: int) -> None:
        held = self._end - position
        large = self._pool.take(max(held, min(size, FIRST_BUFFER_BYTES)))
        if large is None:
            return
        self._large, self._large_size, self._filled = large, size, held
        self.large_frames += 1
        large[:held] = self._region[position : self._end]
        self._position = self._end
        self._grow()

    def _grow(self) -> None:
        """Go on in a larger buffer when this one is full and the frame is not."""
        small = self._large
        if small is None or self._filled < len(small) or self._filled == self._large_size:
            return
        large = self._pool.take(min(2 * len(small), self._large_size))
        if large is not None:
            large[: self._filled] = small[: self._filled]
            self._large = large
            self._pool.give_back(small)

    @property
    def is_starved(self) -> bool:
        """True when a large frame cannot be received because the pool's budget is spent: stop reading."""
        if self._large is None:
            return len(self._stash) > LARGE_BYTES
        return self._filled == len(self._large) < self._large_size

    @property
    def is_receiving_large(self) -> bool:
        """True while a large frame holds memory and is not there as a whole."""
        return self._large is not None and self._filled < self._large_size

    @property
    def unread_bytes(self) -> int:
        """How many bytes were received and not yet asked for as frames."""
        return self._filled if self._large is not None else len(self._stash)

    def keep(self) -> None:
        """Move what was not read out of the shared scratch buffer, which now belongs to the next connection."""
        if self._position < self._end:
            self._stash = bytearray(self._region[self._position : self._end])
        self._region = self._scratch[:0]
        self._position = self._end = 0

    def release(self) -> None:
        """Give the buffer of a large frame back to the pool."""
        if self._large is not None:
            self._pool.give_back(self._large)
            self._large = None
            self._filled = self._large_size = 0
