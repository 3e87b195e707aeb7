"""What a consumer subscribed to, read from the metadata it sends under protocol type "consumer"."""

import struct

CONSUMER_PROTOCOL_TYPE = "consumer"


def subscribed_topics(metadata: bytes) -> frozenset[str]:
    """Return the topics of a ConsumerProtocolSubscription; version 0 is a prefix of all its versions.

    Raises ValueError when ``metadata`` is something else.
    """
    try:
        _, count = struct.unpack_from(">hi", metadata)
        at = 6
        topics = []
        for _ in range(count):
            (length,) = struct.unpack_from(">h", metadata, at)
            at += 2
            if length < 0 or at + length > len(metadata):
                raise ValueError("a topic name lies outside the subscription")
            topics.append(str(metadata[at : at + length], "utf-8"))
            at += length
    except struct.error as error:
        raise ValueError(f"not a consumer subscription: {error}") from error
    return frozenset(topics)
