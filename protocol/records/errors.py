"""What can be wrong with a record batch; all of it can be caught as BatchCorrupt."""


class BatchCorrupt(Exception):
    """The bytes are not the record batch that they claim to be."""


class UnknownMagic(BatchCorrupt):
    """The magic byte is not 2: a message set from before Kafka 0.11, or no batch at all."""


class UnsupportedCodec(BatchCorrupt):
    """The attributes name a compression codec that Kafka does not define (5 to 7)."""


class RecordsTooLarge(BatchCorrupt):
    """The records would decompress to more bytes than the limit allows."""
