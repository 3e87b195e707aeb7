"""InitProducerId: an identity for idempotent producers (KIP-98)."""

import logging

from ...protocol.errors import ErrorCode
from ...protocol.messages.producer_ids import InitProducerIdRequest, InitProducerIdResponse
from ..context import Context
from ..registry import handles

logger = logging.getLogger(__name__)


def _refused(request: InitProducerIdRequest, code: ErrorCode) -> InitProducerIdResponse:
    del request
    return InitProducerIdResponse(error_code=code, producer_id=-1, producer_epoch=-1)


@handles(
    InitProducerIdRequest,
    refuse=_refused,
    leaves_out="transactions are not built yet: INVALID_REQUEST with a transactional id",
)
async def init_producer_id(request: InitProducerIdRequest, context: Context) -> InitProducerIdResponse:
    """Hand out a new producer id with epoch 0; a producer that gives its old one starts again likewise (KIP-360).

    Transactional ids are refused: there is no transaction coordinator yet.
    """
    if request.transactional_id is not None:
        logger.info(
            "%s asked for the transactional id %r: there are no transactions yet",
            context.client_id,
            request.transactional_id,
        )
        return _refused(request, ErrorCode.INVALID_REQUEST)
    if (request.producer_id < 0) != (request.producer_epoch < 0):
        return _refused(request, ErrorCode.INVALID_REQUEST)
    return InitProducerIdResponse(producer_id=await context.broker.producer_ids.take(), producer_epoch=0)
