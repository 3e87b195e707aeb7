"""What one client wrote, in any codec, another one reads."""

import itertools
import struct

import pytest
from support.clients.contract import CODECS, Client, Record
from support.clients.every import CLIENTS
from support.process import BrokerProcess

pytestmark = pytest.mark.conform

RECORDS = [
    record
    for n in range(20)
    for record in (
        Record(b"the same text again and again " * 20 + f"{n}".encode(), f"key {n}".encode()),
        Record(None, f"key {n}".encode()),
        Record(f"{n}".encode(), None, (("name", b"1"), ("name", b""), ("other", b"text"))),
        Record(b"", f"key {n}".encode(), (("null", None),)),
    )
]


def _all_ways() -> list[object]:
    """Every codec from every writer to every reader; the short form has one reader for each codec and writer."""
    ways = []
    for (c, codec), (w, writer), (r, reader) in itertools.product(*map(enumerate, (CODECS, CLIENTS, CLIENTS))):
        is_short = r == (w + c) % len(CLIENTS)
        ways.append(pytest.param(codec, writer, reader, marks=[] if is_short else pytest.mark.slow))
    return ways


@pytest.mark.parametrize(("codec", "writer", "reader"), _all_ways())
def test_what_one_client_writes_another_one_reads(
    codec: str, writer: Client, reader: Client, shared_broker: BrokerProcess, topic: str
) -> None:
    if reason := reader.missing(codec):
        pytest.skip(reason)
    written = [record for record in RECORDS if writer.can_write(record)]

    # Together by their headers, because kcat needs a process for each set of them.
    written.sort(key=lambda record: (repr(record.headers), record.value is None))
    writer.produce(shared_broker.bootstrap, topic, written, codec=codec, idempotent=True)
    received = reader.read(shared_broker.bootstrap, topic, len(written))

    assert [(r.key, r.value, r.headers) for r in received] == [(r.key, r.value, r.headers) for r in written]
    batches = _batches((shared_broker.data_dir / f"{topic}-0" / f"{0:020}.log").read_bytes())
    # A client may leave a small batch uncompressed.
    assert codec in {batch_codec for batch_codec, _ in batches} <= {codec, "none"}
    assert all(producer_id >= 0 for _, producer_id in batches)


def _batches(segment: bytes) -> list[tuple[str, int]]:
    """Return codec and producer id of the batches, which lie on the disk as Kafka keeps them."""
    batches = []
    position = 0
    while position + 61 <= len(segment):
        (length,) = struct.unpack_from(">i", segment, position + 8)
        if not length:
            break
        (attributes,) = struct.unpack_from(">h", segment, position + 21)
        (producer_id,) = struct.unpack_from(">q", segment, position + 43)
        batches.append((CODECS[attributes & 7], producer_id))
        position += 12 + length
    return batches
