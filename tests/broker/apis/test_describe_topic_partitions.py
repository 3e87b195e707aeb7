"""Topics described page by page (KIP-966)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import Topic, make_topic
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
    TopicRequest,
)

OPERATIONS = sum(1 << operation for operation in (3, 4, 5, 6, 7, 8, 10, 11))
Page = list[tuple[str, list[int]]]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    limit = "max.request.partition.size.limit=6"
    with running(tmp_path_factory.mktemp("broker") / "data", "-c", limit) as process:
        yield process


@pytest.fixture(scope="module")
def topics(broker: BrokerProcess) -> dict[str, Topic]:
    """Three topics of three partitions each."""
    with Wire(broker.port) as wire:
        return {name: make_topic(wire, 3, name) for name in ("b", "a", "c")}


def call(wire: Wire, names: list[str], cursor: tuple[str, int] | None, limit: int) -> DescribeTopicPartitionsResponse:
    request = DescribeTopicPartitionsRequest(
        topics=[TopicRequest(name=name) for name in names],
        response_partition_limit=limit,
        cursor=cursor and Cursor(topic_name=cursor[0], partition_index=cursor[1]),
    )
    return wire.call(request, 0)  # type: ignore[no-any-return]


def page(
    wire: Wire, names: list[str], cursor: tuple[str, int] | None = None, limit: int = 6
) -> tuple[Page, tuple[str, int] | None]:
    """Return topics with the partitions on the page, and where the next one begins."""
    response = call(wire, names, cursor, limit)
    found = [(topic.name, [one.partition_index for one in topic.partitions]) for topic in response.topics]
    following = response.next_cursor
    return found, following and (following.topic_name, following.partition_index)


def test_a_topic_is_described(wire: Wire, topics: dict[str, Topic]) -> None:
    partitions = [
        DescribeTopicPartitionsResponsePartition(
            partition_index=index,
            leader_id=1,
            leader_epoch=0,
            replica_nodes=[1],
            isr_nodes=[1],
            eligible_leader_replicas=[],
            last_known_elr=[],
        )
        for index in range(3)
    ]
    expected = DescribeTopicPartitionsResponseTopic(
        name="a",
        topic_id=topics["a"].topic_id,
        partitions=partitions,
        topic_authorized_operations=OPERATIONS,
    )
    assert call(wire, ["a"], None, 2000) == DescribeTopicPartitionsResponse(topics=[expected])


ALL = [0, 1, 2]


@pytest.mark.usefixtures("topics")
@pytest.mark.parametrize(
    ("names", "cursor", "limit", "found", "following"),
    [
        (["c", "a"], None, 6, [("a", ALL), ("c", ALL)], None),
        (["a", "a"], None, 6, [("a", ALL)], None),
        (["a", "b", "c"], None, 2000, [("a", ALL), ("b", ALL)], ("c", 0)),
        (["a", "b", "c"], None, 4, [("a", ALL), ("b", [0])], ("b", 1)),
        (["a", "b", "c"], None, 3, [("a", ALL)], ("b", 0)),
        (["a", "b", "c"], None, 0, [("a", [0])], ("a", 1)),
        (["a", "b", "c"], None, -5, [("a", [0])], ("a", 1)),
        (["a", "b", "c"], ("b", 1), 6, [("b", [1, 2]), ("c", ALL)], None),
        (["a", "b", "c"], ("b", 1), 1, [("b", [1])], ("b", 2)),
        (["a", "b", "c"], ("b", 3), 6, [("b", []), ("c", ALL)], None),
        (["a", "c"], ("c", 0), 6, [("c", ALL)], None),
        ([], None, 6, [("a", ALL), ("b", ALL)], ("c", 0)),
        ([], ("b", 2), 6, [("b", [2]), ("c", ALL)], None),
        ([], ("bb", 2), 6, [("c", ALL)], None),
        ([], ("d", 0), 6, [], None),
    ],
)
def test_a_page_has_so_many_partitions_in_the_order_of_names(
    wire: Wire,
    names: list[str],
    cursor: tuple[str, int] | None,
    limit: int,
    found: Page,
    following: tuple[str, int] | None,
) -> None:
    assert page(wire, names, cursor, limit) == (found, following)


@pytest.mark.usefixtures("topics")
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
def test_pages_come_to_all_partitions(wire: Wire, limit: int) -> None:
    seen, cursor = [], None
    while True:
        found, cursor = page(wire, [], cursor, limit)
        seen += [(name, index) for name, indexes in found for index in indexes]
        if cursor is None:
            break
    assert seen == [(name, index) for name in "abc" for index in range(3)]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nowhere", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ("", ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("a b", ErrorCode.INVALID_TOPIC_EXCEPTION),
    ],
)
def test_an_unknown_topic_is_told(wire: Wire, topics: dict[str, Topic], name: str, code: ErrorCode) -> None:
    response = call(wire, [name, "a"], None, 6)
    expected = DescribeTopicPartitionsResponseTopic(
        error_code=code, name=name, topic_id=bytes(16), topic_authorized_operations=OPERATIONS
    )
    assert next(topic for topic in response.topics if topic.error_code) == expected
    assert [topic.name for topic in response.topics if not topic.error_code] == ["a"]


@pytest.mark.usefixtures("topics")
@pytest.mark.parametrize("cursor", [("b", -1), ("c", 0), ("0", 0)])
def test_a_cursor_that_fits_no_topic_is_refused(wire: Wire, cursor: tuple[str, int]) -> None:
    response = call(wire, ["a", "b"], cursor, 6)
    assert [(topic.name, topic.error_code, topic.partitions) for topic in response.topics] == [
        ("a", ErrorCode.INVALID_REQUEST, []),
        ("b", ErrorCode.INVALID_REQUEST, []),
    ]


def test_internal_topics_are_told_apart(tmp_path: Path) -> None:
    with running(tmp_path / "data") as broker, Wire(broker.port) as wire:
        make_topic(wire, name="__consumer_offsets")
        make_topic(wire, name="mine")
        response = call(wire, [], None, 6)
        assert [(topic.name, topic.is_internal) for topic in response.topics] == [
            ("__consumer_offsets", True),
            ("mine", False),
        ]
