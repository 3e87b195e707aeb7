"""Fetch sessions (KIP-227) as a client sees them."""

from pathlib import Path
from typing import Any

import pytest
from support.calls import (
    Topic,
    batch,
    both_ends,
    fetch_request,
    fetched,
    make_topic,
    placed,
    produce,
    produce_request,
)
from support.process import running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.fetch import FetchRequest, FetchResponse, ForgottenTopic
from barnabas.protocol.messages.topics import DeleteTopicsRequest, DeleteTopicState

ENDS = both_ends(FetchRequest, since=7)
BY_ID = both_ends(FetchRequest, since=13)


def ask(
    wire: Wire,
    version: int,
    *asked: tuple[Topic, int, int],
    session: tuple[int, int],
    forget: tuple[tuple[Topic, int], ...] = (),
    **options: Any,
) -> FetchResponse:
    """Fetch in the session (id, epoch) and return the response."""
    request = fetch_request(*asked, **options)
    request.session_id, request.session_epoch = session
    request.forgotten_topics_data = [
        ForgottenTopic(topic=topic.name, topic_id=topic.topic_id, partitions=[index]) for topic, index in forget
    ]
    return wire.call(request, version)  # type: ignore[no-any-return]


def begin(wire: Wire, version: int, *asked: tuple[Topic, int, int]) -> int:
    """Make a session over the partitions and return its id."""
    response = ask(wire, version, *asked, session=(0, 0))
    assert response.error_code == ErrorCode.NONE
    assert response.session_id > 0
    return response.session_id


@ENDS
def test_the_first_answer_tells_of_every_partition(wire: Wire, version: int) -> None:
    topic = make_topic(wire, partitions=2)
    response = ask(wire, version, (topic, 0, 0), (topic, 1, 0), session=(0, 0))
    assert response.session_id > 0
    assert [result.partition_index for result in fetched(response)] == [0, 1]


@ENDS
def test_later_answers_tell_only_what_is_new(wire: Wire, version: int) -> None:
    topic = make_topic(wire, partitions=3)
    session = begin(wire, version, (topic, 0, 0), (topic, 1, 0), (topic, 2, 0))
    nothing = ask(wire, version, session=(session, 1))
    assert (nothing.error_code, nothing.session_id, nothing.responses) == (ErrorCode.NONE, session, [])
    wire.call(produce_request(topic, (1, batch())), 13)
    (result,) = fetched(ask(wire, version, session=(session, 2)))
    assert (result.partition_index, result.records) == (1, placed(batch(), 0))
    assert not fetched(ask(wire, version, (topic, 1, 3), session=(session, 3)))


@ENDS
def test_what_was_read_is_read_again_until_the_client_asks_for_more(wire: Wire, version: int) -> None:
    topic = make_topic(wire)
    session = begin(wire, version, (topic, 0, 0))
    produce(wire, topic, batch())
    for epoch in (1, 2):
        (result,) = fetched(ask(wire, version, session=(session, epoch)))
        assert result.records == placed(batch(), 0)


@ENDS
def test_partitions_are_added_and_forgotten(wire: Wire, version: int) -> None:
    first, second = make_topic(wire), make_topic(wire)
    session = begin(wire, version, (first, 0, 0))
    added = ask(wire, version, (second, 0, 0), session=(session, 1))
    assert len(fetched(added)) == 1
    produce(wire, first, batch())
    produce(wire, second, batch())
    response = ask(wire, version, session=(session, 2), forget=((first, 0),))
    (topic,) = response.responses
    assert (topic.topic or second.name, topic.topic_id) in {(second.name, second.topic_id), (second.name, bytes(16))}


@ENDS
def test_who_got_records_gets_its_next_turn_last(wire: Wire, version: int) -> None:
    topic = make_topic(wire, partitions=2)
    wire.call(produce_request(topic, (0, batch()), (1, batch())), 13)
    session = begin(wire, version, (topic, 0, 3), (topic, 1, 3))
    size = len(batch())
    wire.call(produce_request(topic, (0, batch()), (1, batch())), 13)
    turns = [
        [
            result.partition_index
            for result in fetched(ask(wire, version, session=(session, epoch), max_bytes=size))
            if result.records
        ]
        for epoch in (1, 2, 3)
    ]
    assert turns == [[0], [1], [0]]


@ENDS
def test_an_error_is_told_each_time_and_its_end_too(wire: Wire, version: int) -> None:
    topic = make_topic(wire)
    session = begin(wire, version, (topic, 0, 5))
    for epoch in (1, 2):
        (result,) = fetched(ask(wire, version, session=(session, epoch)))
        assert result.error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    (result,) = fetched(ask(wire, version, (topic, 0, 0), session=(session, 3)))
    assert (result.error_code, result.high_watermark) == (ErrorCode.NONE, 0)


@ENDS
def test_a_wait_in_a_session_ends_when_there_are_records(wire: Wire, other: Wire, topic: Topic, version: int) -> None:
    session = begin(wire, version, (topic, 0, 0))
    request = fetch_request(max_wait_ms=10_000)
    request.session_id, request.session_epoch = session, 1
    wire.send(request, version)
    produce(other, topic, batch())
    (result,) = fetched(wire.receive(FetchRequest, version))
    assert result.records == placed(batch(), 0)


@ENDS
def test_a_session_that_nobody_made_is_not_found(wire: Wire, topic: Topic, version: int) -> None:
    response = ask(wire, version, (topic, 0, 0), session=(5, 1))
    assert (response.error_code, response.session_id, response.responses) == (
        ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
        0,
        [],
    )


@ENDS
@pytest.mark.parametrize("epoch", [2, 17])
def test_an_epoch_out_of_order_is_refused(wire: Wire, topic: Topic, version: int, epoch: int) -> None:
    session = begin(wire, version, (topic, 0, 0))
    response = ask(wire, version, session=(session, epoch))
    assert (response.error_code, response.session_id) == (ErrorCode.INVALID_FETCH_SESSION_EPOCH, 0)
    assert ask(wire, version, session=(session, 1)).error_code == ErrorCode.NONE


@pytest.mark.parametrize(("names", "ids"), [(12, 13), (7, 18)])
def test_a_session_keeps_to_names_or_to_ids(wire: Wire, topic: Topic, names: int, ids: int) -> None:
    by_name, by_id = begin(wire, names, (topic, 0, 0)), begin(wire, ids, (topic, 0, 0))
    for session, version in ((by_name, ids), (by_id, names)):
        response = ask(wire, version, session=(session, 1))
        assert response.error_code == ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR


@ENDS
@pytest.mark.parametrize("epoch", [0, -1])
def test_asking_for_everything_ends_the_session(wire: Wire, topic: Topic, version: int, epoch: int) -> None:
    session = begin(wire, version, (topic, 0, 0))
    response = ask(wire, version, (topic, 0, 0), session=(session, epoch))
    assert len(fetched(response)) == 1
    assert (response.session_id == 0) == (epoch == -1)
    assert ask(wire, version, session=(session, 1)).error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


@ENDS
def test_a_session_without_partitions_ends(wire: Wire, topic: Topic, version: int) -> None:
    session = begin(wire, version, (topic, 0, 0))
    response = ask(wire, version, session=(session, 1), forget=((topic, 0),))
    assert (response.error_code, response.session_id, response.responses) == (ErrorCode.NONE, 0, [])
    assert ask(wire, version, session=(session, 2)).error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


@BY_ID
@pytest.mark.parametrize("is_made_again", [False, True])
def test_a_topic_that_is_deleted_meanwhile(wire: Wire, version: int, is_made_again: bool) -> None:
    topic = make_topic(wire)
    session = begin(wire, version, (topic, 0, 0))
    wire.call(DeleteTopicsRequest(topics=[DeleteTopicState(name=topic.name)]), 6)
    if is_made_again:
        make_topic(wire, name=topic.name)
    (result,) = fetched(ask(wire, version, session=(session, 1)))
    expected = ErrorCode.INCONSISTENT_TOPIC_ID if is_made_again else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert result.error_code == expected


def test_a_session_goes_on_over_another_connection(wire: Wire, other: Wire, topic: Topic) -> None:
    session = begin(wire, 18, (topic, 0, 0))
    assert ask(other, 18, session=(session, 1)).error_code == ErrorCode.NONE


def test_without_slots_there_are_no_sessions(tmp_path: Path) -> None:
    slots = "max.incremental.fetch.session.cache.slots=0"
    with running(tmp_path / "data", "-c", slots) as broker, Wire(broker.port) as wire:
        response = ask(wire, 18, (make_topic(wire), 0, 0), session=(0, 0))
        assert (response.session_id, len(fetched(response))) == (0, 1)
