import pytest
from support.calls import both_ends, every_version, fresh
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
def test_a_transactional_id_keeps_its_producer_id_and_gets_the_next_epoch(wire: Wire, version: int) -> None:
    name = fresh("transactional")
    first, second = (wire.call(ask(transactional_id=name), version) for _ in range(2))
    assert (first.error_code, first.producer_epoch) == (0, 0)
    assert second == InitProducerIdResponse(producer_id=first.producer_id, producer_epoch=1)


@both_ends(InitProducerIdRequest)
@pytest.mark.parametrize(
    ("name", "timeout_ms", "code"),
    [
        ("", 1000, ErrorCode.INVALID_REQUEST),
        ("an id", 0, ErrorCode.INVALID_TRANSACTION_TIMEOUT),
        ("an id", 900_001, ErrorCode.INVALID_TRANSACTION_TIMEOUT),
    ],
)
def test_what_no_transaction_can_have(wire: Wire, version: int, name: str, timeout_ms: int, code: ErrorCode) -> None:
    request = ask(transactional_id=name, transaction_timeout_ms=timeout_ms)
    assert wire.call(request, version) == InitProducerIdResponse(error_code=code, producer_id=-1, producer_epoch=-1)


@pytest.mark.parametrize(
    ("version", "code"),
    [(3, ErrorCode.INVALID_PRODUCER_EPOCH), (4, ErrorCode.PRODUCER_FENCED), (5, ErrorCode.PRODUCER_FENCED)],
)
def test_a_producer_that_was_replaced_cannot_go_on(wire: Wire, version: int, code: ErrorCode) -> None:
    name = fresh("transactional")
    first = wire.call(ask(transactional_id=name), version)
    wire.call(ask(transactional_id=name), version)
    again = ask(transactional_id=name, producer_id=first.producer_id, producer_epoch=first.producer_epoch)
    assert wire.call(again, version).error_code == code


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
