"""What the conformance tests ask of every client, and the shape in which they see its records."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
# Ends a test that hangs. Nothing else waits this long, however busy the machine is.
TIMEOUT_S = 300.0
TIMEOUT_MS = 300_000
# The least that a broker with Kafka's defaults allows.
SESSION_TIMEOUT_MS = 6000


class Record(NamedTuple):
    """A record to be written. ``partition``: None leaves it to the client; ``timestamp_ms``: None is now."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp_ms: int | None = None
    partition: int | None = None


class Received(NamedTuple):
    """A record as a consumer got it."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class Refused(Exception):
    """A client said that a record was not written. ``code``: Kafka's error code, None for an error of its own."""

    def __init__(self, code: int | None, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class Producer(Protocol):
    def send(self, topic: str, record: Record) -> None:
        """Queue the record. Raises Refused."""

    def flush(self) -> None:
        """Return when everything that was sent is acknowledged. Raises Refused for the first that is not."""

    def close(self) -> None: ...


class Consumer(Protocol):
    """A consumer of one topic. ``rebalances``: how many times partitions were given to it."""

    rebalances: int

    def poll(self, timeout_s: float) -> list[Received]: ...

    def assignment(self) -> frozenset[int]: ...

    def commit(self) -> None:
        """Commit the position behind the last record that ``poll`` returned, and wait for the answer."""

    def committed(self, partition: int) -> int | None: ...

    def seek(self, partition: int, offset: int) -> None: ...

    def seek_to_beginning(self) -> None: ...

    def offset_for_time(self, partition: int, timestamp_ms: int) -> int | None: ...

    def close(self) -> None: ...


class Client(Protocol):
    """A client library or tool. ``name``: how the tests call it."""

    name: str

    def missing(self, codec: str = "none") -> str:
        """Return why the client cannot be used here, or nothing."""

    def can_write(self, record: Record) -> bool: ...

    def produce(
        self,
        bootstrap: str,
        topic: str,
        records: Sequence[Record],
        *,
        codec: str = "none",
        idempotent: bool = True,
        request_bytes_max: int = 1_000_000,
    ) -> None:
        """Write the records and wait until they are acknowledged by acks=all. Raises Refused."""

    def read(self, bootstrap: str, topic: str, count: int) -> list[Received]:
        """Read all partitions from the beginning, outside of any group, up to ``count`` records."""

    def read_all(self, bootstrap: str, topic: str, isolation_level: str = "read_uncommitted") -> list[Received]:
        """Read partition 0 from the beginning to its end, outside of any group, and more if more comes meanwhile."""

    def brokers(self, bootstrap: str) -> list[tuple[str, int]]:
        """Return host and port of the brokers as Metadata names them."""


class Library(Client, Protocol):
    """A client that runs inside the test."""

    def open_producer(
        self,
        bootstrap: str,
        *,
        codec: str = "none",
        idempotent: bool = True,
        request_bytes_max: int = 1_000_000,
        murmur2: bool = False,
        block_ms: int = TIMEOUT_MS,
    ) -> Producer:
        """``murmur2``: partition by key as Kafka's own producer does. ``block_ms``: how long to look for a topic."""

    def open_consumer(
        self,
        bootstrap: str,
        topic: str,
        group: str,
        *,
        auto_commit: bool = False,
        instance_id: str | None = None,
        session_timeout_ms: int = SESSION_TIMEOUT_MS,
        fetch_wait_ms: int = 500,
    ) -> Consumer:
        """A member of ``group`` with the range assignor, which begins at the beginning."""
