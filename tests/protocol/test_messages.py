"""Every message at every version, byte for byte against kio, an independent implementation of Kafka 4.3."""

import dataclasses
import importlib
import io
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kio.serial import entity_reader, entity_writer
from support.messages import MESSAGE_VERSIONS, MESSAGES, fields_in, instances

from barnabas.protocol.codec import ELEMENTS_MAX, decode, decoder, encode
from barnabas.protocol.primitives import MalformedMessage
from barnabas.protocol.schema import Message, element_of, primitive_of

CASES = [pytest.param(m, v, id=f"{m.__name__}-v{v}") for m, v in MESSAGE_VERSIONS]


def kio_class(message: type[Message], version: int) -> Any:
    name = re.sub(r"(Request|Response)$", "", message.__name__)
    module = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
    kind = "request" if message.__name__.endswith("Request") else "response"
    return getattr(importlib.import_module(f"kio.schema.{module}.v{version}.{kind}"), message.__name__)


def names(struct: Any, version: int) -> list[Any]:
    return [
        (field.name.removesuffix("_ms"), names(inner, version) if inner is not None else None)
        for field in fields_in(struct, version)
        for inner in [_struct_in(field.type)]
    ]


def _struct_in(type_: Any) -> Any:
    type_ = element_of(type_) or type_
    return type_ if primitive_of(type_) is None else None


def kio_names(entity: Any) -> list[Any]:
    def inner(type_: Any) -> Any:
        for part in [type_, *getattr(type_, "__args__", ())]:
            if dataclasses.is_dataclass(part):
                return kio_names(part)
            for deeper in getattr(part, "__args__", ()):
                if dataclasses.is_dataclass(deeper):
                    return kio_names(deeper)
        return None

    return [(field.name.removesuffix("_ms"), inner(field.type)) for field in dataclasses.fields(entity)]


@pytest.mark.parametrize(("message", "version"), CASES)
def test_a_message_has_the_fields_that_kafka_gives_it(message: type[Message], version: int) -> None:
    assert names(message, version) == kio_names(kio_class(message, version))


@pytest.mark.parametrize(("message", "version"), CASES)
def test_a_message_has_the_bytes_that_kafka_gives_it(message: type[Message], version: int) -> None:
    theirs = kio_class(message, version)
    read, write = entity_reader(theirs), entity_writer(theirs)

    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(instances(message, version))
    def check(instance: Message) -> None:
        ours = encode(instance, version)
        entity, size = read(ours, 0)
        assert size == len(ours)
        again = io.BytesIO()
        write(again, entity)
        assert again.getvalue() == ours
        assert decode(message, version, ours) == instance

    check()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.__name__)
def test_a_message_declares_exactly_the_versions_of_kafka(message: type[Message]) -> None:
    low, high = message.versions
    kio_class(message, low)
    kio_class(message, high)
    for outside in {low - 1, high + 1} - {-1}:
        if (message.api_key, outside) == (22, 6):
            continue  # InitProducerId v6 (KIP-939) is unstable: Kafka does not offer it, kio knows it
        with pytest.raises(ModuleNotFoundError):
            kio_class(message, outside)


@pytest.mark.parametrize(("message", "version"), CASES)
def test_a_cut_or_changed_message_raises_only_malformed(message: type[Message], version: int) -> None:
    read = decoder(message, version, version in message.flexible)

    @settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
    @given(instances(message, version), st.data())
    def check(instance: Message, data: st.DataObject) -> None:
        whole = encode(instance, version)
        for cut in range(len(whole)):
            with pytest.raises(MalformedMessage):
                read(memoryview(whole[:cut]), 0)
        for _ in range(4):
            changed = bytearray(whole)
            for _ in range(data.draw(st.integers(1, 4))):
                if changed:
                    changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
            try:
                read(memoryview(changed), 0)
            except MalformedMessage:
                pass

    check()


@given(st.binary(max_size=200), st.sampled_from(MESSAGE_VERSIONS))
@settings(max_examples=400, deadline=None)
def test_noise_raises_only_malformed(noise: bytes, case: tuple[type[Message], int]) -> None:
    try:
        decode(*case, noise)
    except MalformedMessage:
        pass


def test_a_count_is_not_believed_beyond_the_bytes_that_are_left() -> None:
    from barnabas.protocol.messages.metadata import MetadataRequest

    with pytest.raises(MalformedMessage, match="more elements than bytes"):
        decode(MetadataRequest, 0, b"\x7f\xff\xff\xff" + bytes(100))


def test_a_message_cannot_hold_more_elements_than_the_limit() -> None:
    from barnabas.protocol.messages.fetch import FetchRequest, FetchTopic, ForgottenTopic

    half = [FetchTopic(topic="") for _ in range(ELEMENTS_MAX // 2)]
    fits = FetchRequest(topics=half, forgotten_topics_data=[ForgottenTopic() for _ in half])
    assert decode(FetchRequest, 7, encode(fits, 7)) == fits
    fits.topics.append(FetchTopic(topic=""))
    with pytest.raises(MalformedMessage, match="elements in one message"):
        decode(FetchRequest, 7, encode(fits, 7))


def test_unknown_tagged_fields_are_skipped() -> None:
    from barnabas.protocol.messages.group_membership import HeartbeatRequest

    request = HeartbeatRequest(group_id="g", generation_id=3, member_id="m")
    with_tags = encode(request, 4)[:-1] + b"\x02" + b"\x05\x03abc" + b"\x81\x01\x00"
    assert decode(HeartbeatRequest, 4, with_tags) == request
