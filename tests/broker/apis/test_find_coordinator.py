import pytest
from support.calls import as_of, both_ends, every_version
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.find_coordinator import Coordinator, FindCoordinatorRequest, FindCoordinatorResponse
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic


@every_version(FindCoordinatorRequest)
@pytest.mark.parametrize("group", ["some group", ""])
def test_this_broker_coordinates_every_group(broker: BrokerProcess, wire: Wire, version: int, group: str) -> None:
    if version < 4:
        expected = FindCoordinatorResponse(error_message="NONE", node_id=1, host="127.0.0.1", port=broker.port)
    else:
        expected = FindCoordinatorResponse(
            coordinators=[
                Coordinator(key=key, node_id=1, host="127.0.0.1", port=broker.port, error_message="")
                for key in (group, "another")
            ]
        )
    request = FindCoordinatorRequest(key=group, coordinator_keys=[group, "another"])
    assert wire.call(request, version) == as_of(expected, version)


@both_ends(FindCoordinatorRequest, since=1)
@pytest.mark.parametrize(("kind", "topic"), [(0, "__consumer_offsets"), (1, "__transaction_state")])
def test_the_topic_that_clients_look_for_is_there_then(wire: Wire, version: int, kind: int, topic: str) -> None:
    answer = wire.call(FindCoordinatorRequest(key="a", coordinator_keys=["a"], key_type=kind), version)
    (found,) = answer.coordinators if version >= 4 else [answer]
    assert (found.error_code, found.node_id) == (ErrorCode.NONE, 1)
    asked = MetadataRequest(topics=[MetadataRequestTopic(name=topic)], allow_auto_topic_creation=False)
    (described,) = wire.call(asked, 12).topics
    assert (described.is_internal, len(described.partitions)) == (True, 50)


@both_ends(FindCoordinatorRequest, since=1)
@pytest.mark.parametrize("kind", [2, 3, -1, 127])
def test_there_are_no_other_coordinators_yet(wire: Wire, version: int, kind: int) -> None:
    request = FindCoordinatorRequest(key="a", coordinator_keys=["a", "b"], key_type=kind)
    response = wire.call(request, version)
    refused = response.coordinators if version >= 4 else [response]
    assert len(refused) == (2 if version >= 4 else 1)
    for result in refused:
        assert (result.error_code, result.node_id, result.host, result.port) == (
            ErrorCode.INVALID_REQUEST,
            -1,
            "",
            -1,
        )
        assert result.error_message


@both_ends(FindCoordinatorRequest, since=4)
def test_no_keys_have_no_coordinators(wire: Wire, version: int) -> None:
    assert wire.call(FindCoordinatorRequest(), version) == FindCoordinatorResponse()
