"""The compiled decoder beside one written by hand, for a Produce request of one partition."""

import struct
import timeit

from barnabas.protocol import codec
from barnabas.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from barnabas.protocol.primitives import read_uvarint

_HEAD = struct.Struct(">hi")
_INDEX = struct.Struct(">i")


def by_hand(buffer: memoryview, p: int) -> tuple[object, ...]:
    """Read what the compiled decoder reads, with knowledge of what is in it, into a tuple."""
    end = len(buffer)
    n = buffer[p]
    p += 1
    transactional_id = None
    if n:
        transactional_id = str(buffer[p : p + n - 1], "utf-8")
        p += n - 1
    acks, timeout_ms = _HEAD.unpack_from(buffer, p)
    p += 6
    topics = []
    topic_count = buffer[p] - 1
    p += 1
    for _ in range(topic_count):
        n = buffer[p]
        name = str(buffer[p + 1 : p + n], "utf-8")
        p += n
        partitions = []
        partition_count = buffer[p] - 1
        p += 1
        for _ in range(partition_count):
            (index,) = _INDEX.unpack_from(buffer, p)
            p += 4
            n = buffer[p]
            p += 1
            if n > 127:
                n, p = read_uvarint(buffer, p - 1)
            if p + n - 1 > end:
                raise ValueError
            partitions.append((index, buffer[p : p + n - 1]))
            p += n - 1
            p += 1
        topics.append((name, partitions))
        p += 1
    return transactional_id, acks, timeout_ms, topics


def main() -> None:
    data = [PartitionProduceData(index=0, records=bytes(180))]
    request = ProduceRequest(
        acks=-1, timeout_ms=30_000, topic_data=[TopicProduceData(name="topic", partition_data=data)]
    )
    frame = memoryview(codec.encode(request, 9))
    compiled = codec.decoder(ProduceRequest, 9, flexible=True)
    ours, theirs = (
        min(timeit.repeat(lambda read=read: read(frame, 0), number=50_000, repeat=5)) / 50_000 * 1e6
        for read in (compiled, by_hand)
    )
    print(f"{'decode Produce, one partition':34} {ours:5.2f} us, by hand {theirs:5.2f} us"
          f"                  ratio {ours / theirs:5.2f} (target <= 2)")  # fmt: skip


if __name__ == "__main__":
    main()
