"""Which Kafka error code an exception stands for. Layers below raise their own errors; this is the only table."""

import logging

from ..protocol.errors import ErrorCode
from ..protocol.records import BatchCorrupt, RecordsTooLarge
from ..storage.errors import (
    BatchTooLarge,
    CatalogError,
    CoordinatorEpochStale,
    LogCorrupt,
    LogOffline,
    OffsetNotInLog,
    ProducerEpochStale,
    SequenceOutOfOrder,
    TransactionStateInvalid,
)

logger = logging.getLogger(__name__)

# Texts of old response versions have at most 32767 bytes in UTF-8, so up to 4 for each character.
MESSAGE_LENGTH_MAX = 32767 // 4

CODES: dict[type[Exception], ErrorCode] = {
    BatchCorrupt: ErrorCode.CORRUPT_MESSAGE,
    BatchTooLarge: ErrorCode.RECORD_LIST_TOO_LARGE,
    CatalogError: ErrorCode.KAFKA_STORAGE_ERROR,
    CoordinatorEpochStale: ErrorCode.TRANSACTION_COORDINATOR_FENCED,
    LogCorrupt: ErrorCode.CORRUPT_MESSAGE,
    LogOffline: ErrorCode.KAFKA_STORAGE_ERROR,
    OffsetNotInLog: ErrorCode.OFFSET_OUT_OF_RANGE,
    RecordsTooLarge: ErrorCode.MESSAGE_TOO_LARGE,
    ProducerEpochStale: ErrorCode.INVALID_PRODUCER_EPOCH,
    SequenceOutOfOrder: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
    TransactionStateInvalid: ErrorCode.INVALID_TXN_STATE,
}


class ApiError(Exception):
    """A refusal that the broker itself decides on. ``message`` reaches the client where the response has room."""

    def __init__(self, code: ErrorCode, message: str = "") -> None:
        super().__init__(message or code.name)
        self.code = code
        self.message = message


class CloseConnection(Exception):
    """The request cannot be answered: the connection is closed, as Kafka does."""


class UnsupportedRequest(CloseConnection):
    """The client uses an API or a version that this broker does not have. The text says which, and what to do."""


def code_for(error: Exception, refused: str = "") -> ErrorCode:
    """Return the code for ``error``; an unexpected error is logged with its traceback.

    ``refused``: the request and its client for the log, with a space behind them, where all of a request is refused.
    """
    if isinstance(error, ApiError):
        logger.debug("%srefused with %s: %s", refused, error.code.name, error)
        return error.code
    for kind in type(error).__mro__:
        if (code := CODES.get(kind)) is not None:
            logger.debug("%srefused with %s: %s", refused, code.name, error)
            return code
    logger.error("unexpected error", exc_info=error)
    return ErrorCode.UNKNOWN_SERVER_ERROR


def message_for(error: Exception) -> str | None:
    """Return the text about ``error`` for the client, None for an unexpected error.

    At most MESSAGE_LENGTH_MAX characters: many messages repeat texts of the request, which can be long.
    """
    if isinstance(error, ApiError):
        return error.message[:MESSAGE_LENGTH_MAX] or None
    known = any(kind in CODES for kind in type(error).__mro__)
    return str(error)[:MESSAGE_LENGTH_MAX] if known else None
