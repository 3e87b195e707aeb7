"""Record batches, format v2 (magic 2): headers as views, records on request. All that storage knows of the wire."""

from .batch import (
    ATTRIBUTES_OFFSET,
    BATCH_OVERHEAD,
    CRC_OFFSET,
    HEADER,
    LOG_OVERHEAD,
    MAGIC,
    NO_SEQUENCE,
    BatchHeader,
    TimestampType,
    assign,
    headers,
    increment_sequence,
    read_header,
    stamp_append_time,
    verify,
)
from .builder import NO_TIMESTAMP, build_batch, recompress
from .checksum import crc32c
from .compression import DECOMPRESSED_BYTES_MAX, Codec, compress, decompress
from .control import (
    ControlType,
    EndTransactionMarker,
    control_type,
    end_transaction_marker,
    end_transaction_marker_in,
    read_end_transaction_marker,
)
from .errors import BatchCorrupt, RecordsTooLarge, UnknownMagic, UnsupportedCodec
from .record import Record, keys, max_timestamp_record, offset_of_timestamp, records
from .retain import emptied, keyed, retain, retain_marker

__all__ = [
    "ATTRIBUTES_OFFSET",
    "BATCH_OVERHEAD",
    "CRC_OFFSET",
    "DECOMPRESSED_BYTES_MAX",
    "HEADER",
    "LOG_OVERHEAD",
    "MAGIC",
    "NO_SEQUENCE",
    "NO_TIMESTAMP",
    "BatchCorrupt",
    "BatchHeader",
    "Codec",
    "ControlType",
    "EndTransactionMarker",
    "Record",
    "RecordsTooLarge",
    "TimestampType",
    "UnknownMagic",
    "UnsupportedCodec",
    "assign",
    "build_batch",
    "compress",
    "control_type",
    "crc32c",
    "decompress",
    "emptied",
    "end_transaction_marker",
    "end_transaction_marker_in",
    "headers",
    "increment_sequence",
    "keyed",
    "keys",
    "max_timestamp_record",
    "offset_of_timestamp",
    "read_end_transaction_marker",
    "read_header",
    "recompress",
    "records",
    "retain",
    "retain_marker",
    "stamp_append_time",
    "verify",
]
