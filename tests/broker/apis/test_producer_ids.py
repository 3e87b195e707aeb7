import pytest
from support.calls import both_ends, every_version
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.producer_ids import InitProducerIdRequest, InitProducerIdResponse

REFUSED = InitProducerIdResponse(error_code=ErrorCode.INVALID_REQUEST, producer_id=-1, producer_epoch=-1)


def ask(**values: object) -> InitProducerIdRequest:
    return InitProducerIdRequest(**{"transactional_id": None, "transaction_timeout_ms": 1000, **values})


@every_version(InitProducerIdRequest)
def test_every_producer_gets_an_id_of_its_own(wire: Wire, version: int) -> None:
    answers = [wire.call(ask(), version) for _ in range(3)]
    assert all((answer.error_code, answer.producer_epoch) == (0, 0) for answer in answers)
    first = answers[0].producer_id
    assert first >= 0
    assert [answer.producer_id for answer in answers] == [first, first + 1, first + 2]


@both_ends(InitProducerIdRequest, since=3)
def test_a_producer_that_starts_again_gets_a_new_id(wire: Wire, version: int) -> None:
    old = wire.call(ask(), version).producer_id
    answer = wire.call(ask(producer_id=old, producer_epoch=0), version)
    assert (answer.error_code, answer.producer_epoch) == (0, 0)
    assert answer.producer_id > old


@both_ends(InitProducerIdRequest)
@pytest.mark.parametrize("transactional_id", ["", "an id"])
def test_transactional_ids_are_refused(wire: Wire, version: int, transactional_id: str) -> None:
    assert wire.call(ask(transactional_id=transactional_id), version) == REFUSED


@both_ends(InitProducerIdRequest, since=3)
@pytest.mark.parametrize("half", [{"producer_id": 5}, {"producer_epoch": 5}])
def test_an_id_without_an_epoch_is_refused_and_an_epoch_without_an_id(
    wire: Wire, version: int, half: dict[str, int]
) -> None:
    assert wire.call(ask(**half), version) == REFUSED


def test_an_id_does_not_come_again_after_a_crash(broker: BrokerProcess, wire: Wire) -> None:
    before = wire.call(ask(), 5).producer_id
    wire.socket.close()
    broker.kill()
    broker.start()
    with Wire(broker.port) as again:
        assert again.call(ask(), 5).producer_id > before
