"""InitProducerId: an identity for idempotent and transactional producers (KIP-98)."""

from ..primitives import int16, int32, int64, string
from ..schema import Request, Response, since


class InitProducerIdRequest(Request, api_key=22, versions="0-5", flexible="2+"):
    """Ask for a producer id. ``transactional_id`` null: for idempotence only."""

    transactional_id: string | None = since("0+")
    transaction_timeout_ms: int32 = since("0+")
    producer_id: int64 = since("3+", -1)
    producer_epoch: int16 = since("3+", -1)


class InitProducerIdResponse(Response, answers=InitProducerIdRequest):
    """The producer id and epoch, both -1 with an error."""

    throttle_time_ms: int32 = since("0+")
    error_code: int16 = since("0+")
    producer_id: int64 = since("0+", -1)
    producer_epoch: int16 = since("0+")
