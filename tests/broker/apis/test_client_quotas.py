"""Quotas of clients as an administrator sees them (KIP-546)."""

from collections.abc import Callable, Iterable

import pytest
from support.calls import as_of, both_ends, every_version, fresh
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasRequestEntryData,
    AlterClientQuotasResponse,
    AlterClientQuotasResponseEntryData,
    ComponentData,
    DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
    EntityData,
    EntryData,
    OpData,
    ValueData,
)

ENDS = both_ends(DescribeClientQuotasRequest)
ALTER_ENDS = both_ends(AlterClientQuotasRequest)
EXACT, DEFAULT, ANY = 0, 1, 2
Entity = dict[str, str | None]
RATE, SHARE, CONNECTIONS = "producer_byte_rate", "request_percentage", "connection_creation_rate"


def parts(entity: Entity) -> list[EntityData]:
    return [EntityData(entity_type=kind, entity_name=name) for kind, name in entity.items()]


def alteration(
    *wishes: tuple[Entity, dict[str, float | None]], validate_only: bool = False
) -> AlterClientQuotasRequest:
    """Ask for quotas by entity; None removes one."""
    entries = [
        AlterClientQuotasRequestEntryData(
            entity=parts(entity),
            ops=[OpData(key=key, value=value or 0.0, remove=value is None) for key, value in quotas.items()],
        )
        for entity, quotas in wishes
    ]
    return AlterClientQuotasRequest(entries=entries, validate_only=validate_only)


def altered(*results: tuple[Entity, ErrorCode, str | None]) -> AlterClientQuotasResponse:
    return AlterClientQuotasResponse(
        entries=[
            AlterClientQuotasResponseEntryData(error_code=code, error_message=message, entity=parts(entity))
            for entity, code, message in results
        ]
    )


def set_quotas(wire: Wire, entity: Entity, **quotas: float | None) -> None:
    assert wire.call(alteration((entity, quotas)), 1) == altered((entity, ErrorCode.NONE, None))


def wanted(*components: tuple[str, int, str | None], strict: bool = False) -> DescribeClientQuotasRequest:
    return DescribeClientQuotasRequest(
        components=[ComponentData(entity_type=kind, match_type=how, match=match) for kind, how, match in components],
        strict=strict,
    )


def found(wire: Wire, request: DescribeClientQuotasRequest, version: int = 1) -> list[Entity]:
    response = wire.call(request, version)
    assert (response.error_code, response.error_message) == (ErrorCode.NONE, None)
    return [{part.entity_type: part.entity_name for part in entry.entity} for entry in response.entries or ()]


def quotas_of(wire: Wire, entity: Entity) -> dict[str, float]:
    components = [(kind, DEFAULT if name is None else EXACT, name) for kind, name in entity.items()]
    entries: Iterable[EntryData] = wire.call(wanted(*components, strict=True), 1).entries
    return {value.key: value.value for entry in entries for value in entry.values}


@every_version(AlterClientQuotasRequest)
@pytest.mark.parametrize("kinds", [["user"], ["client-id"], ["client-id", "user"]])
def test_quotas_are_set_changed_and_removed(wire: Wire, version: int, kinds: list[str]) -> None:
    entity: Entity = {kind: fresh("somebody") for kind in kinds}
    expected = as_of(altered((entity, ErrorCode.NONE, None)), version)
    for wish, quotas in (
        ({RATE: 1024.0, SHARE: 12.5}, {RATE: 1024.0, SHARE: 12.5}),
        ({RATE: 2048.0}, {RATE: 2048.0, SHARE: 12.5}),
        ({SHARE: None}, {RATE: 2048.0}),
        ({SHARE: None}, {RATE: 2048.0}),
        ({RATE: None}, {}),
    ):
        assert wire.call(alteration((entity, wish)), version) == expected
        assert quotas_of(wire, entity) == quotas


@every_version(AlterClientQuotasRequest)
@pytest.mark.parametrize("entity", [{"ip": "192.0.2.7"}, {"ip": "2001:db8::7"}, {"ip": None}])
def test_an_address_has_a_rate_of_connections(wire: Wire, version: int, entity: Entity) -> None:
    response = wire.call(alteration((entity, {CONNECTIONS: 5.0})), version)
    assert response == as_of(altered((entity, ErrorCode.NONE, None)), version)
    assert quotas_of(wire, entity) == {CONNECTIONS: 5.0}
    set_quotas(wire, entity, **{CONNECTIONS: None})


@every_version(DescribeClientQuotasRequest)
def test_quotas_are_described(wire: Wire, version: int) -> None:
    entity: Entity = {"user": fresh("somebody")}
    set_quotas(wire, entity, **{RATE: 1024.0})
    entry = EntryData(entity=parts(entity), values=[ValueData(key=RATE, value=1024.0)])
    expected = DescribeClientQuotasResponse(error_message=None, entries=[entry])
    assert wire.call(wanted(("user", EXACT, entity["user"])), version) == as_of(expected, version)


@pytest.mark.parametrize(
    ("stored", "listed"),
    [
        ([RATE, "consumer_byte_rate", SHARE], ["consumer_byte_rate", SHARE, RATE]),
        ([RATE, "controller_mutation_rate", SHARE], ["controller_mutation_rate", SHARE, RATE]),
        (
            [SHARE, "controller_mutation_rate", RATE, "consumer_byte_rate"],
            [RATE, "consumer_byte_rate", "controller_mutation_rate", SHARE],
        ),
    ],
    ids=["three", "with mutations", "all four"],
)
def test_the_quotas_of_an_entity_are_listed_in_the_order_of_kafka(
    wire: Wire, stored: list[str], listed: list[str]
) -> None:
    """As Apache Kafka 4.3.1 lists quotas that are set at once."""
    entity: Entity = {"user": fresh("somebody")}
    set_quotas(wire, entity, **dict.fromkeys(stored, 5.0))
    assert list(quotas_of(wire, entity)) == listed


@ENDS
def test_entities_are_found_by_their_parts(wire: Wire, version: int) -> None:
    user, client = fresh("user"), fresh("client")
    entities: list[Entity] = [
        {"user": user},
        {"client-id": client, "user": user},
        {"client-id": client},
        {"user": None},
        {"client-id": None, "user": user},
    ]
    for entity in entities:
        set_quotas(wire, entity, **{RATE: 1.0})

    def numbers(*components: tuple[str, int, str | None], strict: bool = False) -> list[int]:
        seen = found(wire, wanted(*components, strict=strict), version)
        return [number for number, entity in enumerate(entities) if entity in seen]

    assert numbers(("user", EXACT, user)) == [0, 1, 4]
    assert numbers(("user", EXACT, user), strict=True) == [0]
    assert numbers(("user", DEFAULT, None)) == [3]
    assert numbers(("user", ANY, None)) == [0, 1, 3, 4]
    assert numbers(("user", ANY, None), strict=True) == [0, 3]
    assert numbers(("user", EXACT, user), ("client-id", EXACT, client)) == [1]
    assert numbers(("user", EXACT, user), ("client-id", DEFAULT, None), strict=True) == [4]
    assert numbers(("user", ANY, None), ("client-id", ANY, None)) == [1, 4]
    assert numbers() == [0, 1, 2, 3, 4]
    assert numbers(strict=True) == []
    for entity in entities:
        set_quotas(wire, entity, **{RATE: None})


@ENDS
@pytest.mark.parametrize(
    ("components", "code"),
    [
        ([("", EXACT, "x")], ErrorCode.INVALID_REQUEST),
        ([("user", EXACT, "x"), ("user", ANY, None)], ErrorCode.INVALID_REQUEST),
        ([("user", EXACT, None)], ErrorCode.INVALID_REQUEST),
        ([("user", DEFAULT, "x")], ErrorCode.INVALID_REQUEST),
        ([("user", ANY, "x")], ErrorCode.INVALID_REQUEST),
        ([("user", 3, None)], ErrorCode.INVALID_REQUEST),
        ([("user", -1, None)], ErrorCode.INVALID_REQUEST),
        ([("ip", ANY, None), ("user", ANY, None)], ErrorCode.INVALID_REQUEST),
        ([("ip", EXACT, "192.0.2.7"), ("client-id", DEFAULT, None)], ErrorCode.INVALID_REQUEST),
        ([("group", EXACT, "x")], ErrorCode.UNSUPPORTED_VERSION),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(
    wire: Wire, version: int, components: list[tuple[str, int, str | None]], code: ErrorCode
) -> None:
    response = wire.call(wanted(*components), version)
    expected = DescribeClientQuotasResponse(error_code=code, error_message=response.error_message, entries=None)
    assert response == as_of(expected, version)
    assert response.error_message


@ALTER_ENDS
@pytest.mark.parametrize(
    ("entity", "quotas"),
    [
        ({}, {RATE: 1.0}),
        ({"user": ""}, {RATE: 1.0}),
        ({"group": "x"}, {RATE: 1.0}),
        ({"ip": "192.0.2.7", "user": "x"}, {CONNECTIONS: 1.0}),
        ({"ip": "no address"}, {CONNECTIONS: 1.0}),
        ({"ip": "192.0.2.7"}, {RATE: 1.0}),
        ({"user": "x"}, {CONNECTIONS: 1.0}),
        ({"user": "x"}, {"no_such_rate": 1.0}),
        ({"user": "x"}, {RATE: 0.0}),
        ({"user": "x"}, {RATE: -1.0}),
        ({"user": "x"}, {RATE: 1.5}),
        ({"user": "x"}, {RATE: 1e30}),
        ({"ip": "192.0.2.7"}, {CONNECTIONS: 2.0**31}),
        ({"user": "x"}, {SHARE: 5.0, RATE: 1.5}),
    ],
)
def test_a_quota_that_makes_no_sense_is_refused(
    wire: Wire, version: int, entity: Entity, quotas: dict[str, float | None]
) -> None:
    for validate_only in (True, False):
        response = wire.call(alteration((entity, quotas), validate_only=validate_only), version)
        (result,) = response.entries
        expected = altered((dict(sorted(entity.items())), ErrorCode.INVALID_REQUEST, result.error_message))
        assert response == as_of(expected, version)
        assert result.error_message
    assert {"user": "x"} not in found(wire, wanted())


@ALTER_ENDS
def test_what_is_named_twice_is_refused(wire: Wire, version: int) -> None:
    entity: Entity = {"user": fresh("somebody")}
    twice = alteration((entity, {RATE: 1.0}))
    twice.entries[0].ops *= 2
    for request in (twice, alteration((entity, {RATE: 1.0}), (entity, {SHARE: 1.0}))):
        codes = [result.error_code for result in wire.call(request, version).entries]
        assert codes == [ErrorCode.INVALID_REQUEST]
    assert SHARE not in quotas_of(wire, entity)


@ALTER_ENDS
def test_entities_fail_independently(wire: Wire, version: int) -> None:
    good, bad = {"user": fresh("good")}, {"user": fresh("bad")}
    response = wire.call(alteration((bad, {RATE: 0.0}), (good, {RATE: 1.0})), version)
    assert [result.error_code for result in response.entries] == [ErrorCode.INVALID_REQUEST, ErrorCode.NONE]
    assert (quotas_of(wire, bad), quotas_of(wire, good)) == ({}, {RATE: 1.0})


@ALTER_ENDS
def test_quotas_can_be_tried_out(wire: Wire, version: int) -> None:
    entity: Entity = {"user": fresh("somebody")}
    response = wire.call(alteration((entity, {RATE: 1.0}), validate_only=True), version)
    assert response == as_of(altered((entity, ErrorCode.NONE, None)), version)
    assert quotas_of(wire, entity) == {}


@pytest.mark.parametrize("end", [BrokerProcess.stop, BrokerProcess.kill], ids=["stop", "kill"])
def test_quotas_survive_the_end_of_the_process(broker: BrokerProcess, end: Callable[[BrokerProcess], object]) -> None:
    kept: Entity = {"client-id": None, "user": fresh("kept")}
    gone: Entity = {"user": fresh("gone")}
    with Wire(broker.port) as wire:
        for entity in (kept, gone):
            set_quotas(wire, entity, **{RATE: 1024.0, SHARE: 12.5})
        set_quotas(wire, gone, **{RATE: None, SHARE: None})
    end(broker)
    broker.start()
    with Wire(broker.port) as wire:
        assert (quotas_of(wire, kept), quotas_of(wire, gone)) == ({RATE: 1024.0, SHARE: 12.5}, {})


@ENDS
def test_the_refusal_of_a_long_entity_type_can_be_sent(wire: Wire, version: int) -> None:
    component = ComponentData(entity_type="x" * 32_767, match_type=ANY, match=None)
    answered = wire.call(DescribeClientQuotasRequest(components=[component], strict=False), version)
    assert answered.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert answered.error_message.startswith("Unsupported entity type xxx")
