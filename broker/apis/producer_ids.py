"""InitProducerId: an identity for idempotent and for transactional producers (KIP-98)."""

from ...protocol.errors import ErrorCode
from ...protocol.messages.producer_ids import InitProducerIdRequest, InitProducerIdResponse
from ..context import Context
from ..errors import ApiError
from ..registry import handles
from ..transactions import NO_PRODUCER_ID, Producer

_FENCED_SINCE = 4


def _refused(request: InitProducerIdRequest, code: ErrorCode) -> InitProducerIdResponse:
    del request
    return InitProducerIdResponse(error_code=code, producer_id=-1, producer_epoch=-1)


@handles(InitProducerIdRequest, refuse=_refused)
async def init_producer_id(request: InitProducerIdRequest, context: Context) -> InitProducerIdResponse:
    """Give a producer its id and epoch; with a transactional id, fence who had it (TransactionCoordinator).

    Without one it gets a new id with epoch 0; a producer that gives its old one starts again likewise (KIP-360).
    """
    if (request.producer_id < 0) != (request.producer_epoch < 0):
        return _refused(request, ErrorCode.INVALID_REQUEST)
    broker = context.broker
    if request.transactional_id is None:
        return InitProducerIdResponse(producer_id=await broker.producer_ids.take(), producer_epoch=0)
    given = None if request.producer_id < 0 else Producer(request.producer_id, request.producer_epoch)
    spare = NO_PRODUCER_ID
    if broker.transactions.needs_producer_id(request.transactional_id):
        spare = await broker.producer_ids.take()
    try:
        producer = broker.transactions.init_producer(
            request.transactional_id, request.transaction_timeout_ms, given, spare
        )
    except ApiError as error:
        is_old = context.api_version < _FENCED_SINCE and error.code is ErrorCode.PRODUCER_FENCED
        return _refused(request, ErrorCode.INVALID_PRODUCER_EPOCH if is_old else error.code)
    await broker.committed()
    return InitProducerIdResponse(producer_id=producer.producer_id, producer_epoch=producer.epoch)
