"""FindCoordinator: this broker, for every group and transactional id."""

from ...protocol.errors import ErrorCode
from ...protocol.messages.find_coordinator import Coordinator, FindCoordinatorRequest, FindCoordinatorResponse
from ..context import Context
from ..partitions.internal import CONSUMER_OFFSETS, TRANSACTION_STATE, ensure
from ..registry import handles

GROUP, TRANSACTION, SHARE = 0, 1, 2
_STATE_TOPICS = {GROUP: CONSUMER_OFFSETS, TRANSACTION: TRANSACTION_STATE}
_BATCHED_SINCE_VERSION = 4
_NO_NODE = -1


def _refused(request: FindCoordinatorRequest, code: ErrorCode) -> FindCoordinatorResponse:
    return FindCoordinatorResponse(
        error_code=code,
        node_id=_NO_NODE,
        port=_NO_NODE,
        coordinators=[
            Coordinator(key=key, node_id=_NO_NODE, port=_NO_NODE, error_code=code) for key in request.coordinator_keys
        ],
    )


@handles(
    FindCoordinatorRequest,
    refuse=_refused,
    leaves_out="share groups, not built, get INVALID_REQUEST",
)
def find_coordinator(request: FindCoordinatorRequest, context: Context) -> FindCoordinatorResponse:
    """Name this broker as the coordinator, and make the topic that Kafka makes for it."""
    is_batched = context.api_version >= _BATCHED_SINCE_VERSION
    keys = request.coordinator_keys if is_batched else [request.key]
    state_topic = _STATE_TOPICS.get(request.key_type)
    if state_topic is None:
        kind = "share groups" if request.key_type == SHARE else f"coordinators of type {request.key_type}"
        response = _refused(request, ErrorCode.INVALID_REQUEST)
        response.error_message = f"{kind} are not supported"
        for coordinator in response.coordinators:
            coordinator.error_message = response.error_message
        return response
    ensure(state_topic, context.broker.topics, context.broker.config)
    host, port = context.session.endpoint
    node_id = context.broker.node_id
    if not is_batched:
        return FindCoordinatorResponse(error_message="NONE", node_id=node_id, host=host, port=port)
    return FindCoordinatorResponse(
        coordinators=[Coordinator(key=key, node_id=node_id, host=host, port=port, error_message="") for key in keys]
    )
