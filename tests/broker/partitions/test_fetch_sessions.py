"""Which sessions have to go when there is no room for another."""

import pytest

from barnabas.broker.errors import ApiError
from barnabas.broker.partitions import fetch_sessions
from barnabas.broker.partitions.fetch_sessions import EVICTION_S, FetchSessions
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.fetch import FetchableTopicResponse, FetchPartition, FetchRequest, FetchTopic
from barnabas.protocol.messages.fetch import PartitionData as Result
from barnabas.storage.clock import ManualClock


class NoTopics:
    """Stands in for the topics; names are not what is tested here."""

    def with_id(self, topic_id: bytes) -> None:
        return None


class Sessions:
    def __init__(self, slots_max: int) -> None:
        self.clock = ManualClock()
        self.all = FetchSessions(slots_max, NoTopics(), self.clock)  # type: ignore[arg-type]

    def make(self, size: int) -> int:
        """Ask for a session over ``size`` partitions; return its id, 0 when there is none."""
        partitions = [FetchPartition(partition=index) for index in range(size)]
        request = FetchRequest(session_epoch=0, topics=[FetchTopic(topic="topic", partitions=partitions)])
        results = [Result(partition_index=index, records=b"") for index in range(size)]
        session = self.all.make(request, False, [FetchableTopicResponse(topic="topic", partitions=results)])
        return session.session_id if session else 0

    def use(self, session_id: int, epoch: int, partitions: int = 0) -> None:
        added = [FetchPartition(partition=1000 + index) for index in range(partitions)]
        topics = [FetchTopic(topic="topic", partitions=added)]
        self.all.begin(FetchRequest(session_id=session_id, session_epoch=epoch, topics=topics), False)

    def has(self, session_id: int, epoch: int = 1) -> bool:
        try:
            self.use(session_id, epoch)
        except ApiError as error:
            return error.code is not ErrorCode.FETCH_SESSION_ID_NOT_FOUND
        return True


def test_there_are_no_more_than_the_slots() -> None:
    sessions = Sessions(2)
    assert sessions.make(1)
    assert sessions.make(1)
    assert not sessions.make(100)
    assert len(sessions.all) == 2


def test_the_one_that_was_not_used_for_longest_goes_first() -> None:
    sessions = Sessions(2)
    unused, used = sessions.make(5), sessions.make(5)
    sessions.clock.advance(EVICTION_S + 1)
    sessions.use(used, 1)
    assert sessions.make(1)
    assert not sessions.has(unused)
    assert sessions.has(used, 2)


def test_a_smaller_one_makes_room_when_it_is_old_though_in_use() -> None:
    sessions = Sessions(2)
    small, large = sessions.make(2), sessions.make(5)
    sessions.clock.advance(EVICTION_S + 1)
    sessions.use(small, 1)
    sessions.use(large, 1)
    assert not sessions.make(1)
    assert sessions.make(3)
    assert not sessions.has(small, 2)
    assert sessions.has(large, 2)


def test_all_sessions_together_remember_so_many_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_sessions, "PARTITIONS_MAX", 10)
    sessions = Sessions(100)
    session = sessions.make(8)
    assert not sessions.make(3)
    with pytest.raises(ApiError, match="FETCH_SESSION_ID_NOT_FOUND"):
        sessions.use(session, 1, partitions=3)
    assert sessions.make(10)
